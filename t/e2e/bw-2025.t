#!/usr/bin/perl
# The same with the client of a year ago, on an account made the way it did.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use VaultWalk;

walk('2025.10', 'alice', 'old');
finish();
