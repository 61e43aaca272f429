#!/usr/bin/perl
# The newest command line client, over TLS, through all of its commands.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use VaultWalk;

walk('2026.9', 'alice', 'new');
finish();
