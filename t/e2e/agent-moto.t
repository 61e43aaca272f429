#!/usr/bin/perl
# A STS that nobody of this project wrote knows the agent by the request that it
# has signed, and refuses it when the secret is not the key's.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use VaultAgent;
use VaultNginx;
use VaultPeer;

delete @ENV{grep { /^AWS_/ } keys %ENV};
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';

my $moto = VaultPeer->new('moto');
my $is = $moto->state;
my $vault = vault();

$vault->set(sts => "127.0.0.1:$is->{aws}", server_id => 'vault.example.com');


sub try {
    my (%arg) = @_;

    return agent($vault, auth => 'aws role=app-role server_id='
                 . ($arg{server_id} // 'vault.example.com')
                 . ' sts_region=' . ($arg{region} // $is->{region}),
                 env => { AWS_ACCESS_KEY_ID => $is->{key},
                          AWS_SECRET_ACCESS_KEY => $arg{secret}
                                                   // $is->{secret} });
}


sub fails {
    my ($what, $pattern, %arg) = @_;

    my $nginx = try(%arg);
    log_has($nginx, $pattern, $what);
    unlike($nginx->log_text, qr/logged in, for/, '  there is no token');
    ends_clean($nginx);
}


for my $region ($is->{region}, 'eu-west-1') {
    my $nginx = try(region => $region);
    log_has($nginx, qr/logged in, for \d+ s/, "STS of $region knows us");
    ends_clean($nginx);
}

is($vault->count('login'), 2, 'by a login each');

fails('a secret that is not the key\'s', qr/from STS: SignatureDoesNotMatch/,
      secret => 'wrong');
fails('another server\'s id', qr/expected .* but got/,
      server_id => 'other.example.com');

$vault->stop;
$moto->stop;
done_testing();
