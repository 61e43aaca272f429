#!/usr/bin/perl
# One account, two versions of the client: each reads and edits what the other
# one wrote.  The account is of the oldest kind, with Argon2id.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use VaultWalk;

across('2026.9', '2025.10', 'alice');
finish();
