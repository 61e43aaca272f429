#!/usr/bin/perl
# The keys and passwords of an account made the way of a year ago.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use VaultWalk;

walk_account('2025.10', 'alice', 'old');
finish();
