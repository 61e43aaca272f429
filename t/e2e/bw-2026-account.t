#!/usr/bin/perl
# The keys and passwords of an account, with the newest client.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use VaultWalk;

walk_account('2026.9', 'alice', 'new');
finish();
