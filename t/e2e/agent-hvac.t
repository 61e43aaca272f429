#!/usr/bin/perl
# hvac, the Python client of Vault, works through the agent as it does with a
# Vault, but without a token; with a cache and without.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use VaultAgent;
use VaultNginx;

delete @ENV{grep { /^AWS_/ } keys %ENV};
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';

chomp(my $python = `$VaultNginx::ROOT/t/peers/venv hvac`);
die "no hvac\n" if $? != 0;

for my $cache ('off', '1m default=off') {
    my $vault = vault();
    my $nginx = agent($vault, http => "vault_agent_cache $cache;");

    my @lines = split /\n/, `$python -B $FindBin::Bin/lib/hvac_client.py \\
        http://127.0.0.1:@{[$nginx->port]} \\
        http://127.0.0.1:$vault->{control_port}/control 2>&1`;

    is($?, 0, "hvac, with \"vault_agent_cache $cache\"");

    for my $line (@lines) {
        if ($line =~ /^(not )?ok \d+ - (.*)/) {
            ok(!$1, "  $2");
        } elsif ($line !~ /^1\.\.\d+$/) {
            diag($line);
        }
    }

    is($lines[-1] // '', '1..24', '  to its end');
    ends_clean($nginx, 'dyn-', 'hidden');
    $vault->stop;
}

done_testing();
