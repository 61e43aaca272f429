#!/usr/bin/perl
# A store that nobody of this project wrote accepts our signatures: objects are
# put, asked for, read and deleted, and what is not signed well is refused.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(cipher);
use VaultFile qw(promise put_file attachments link_of);
use VaultHttp;
use VaultPeer;
use VaultServer qw(vault_server call);

my $moto = VaultPeer->new('moto');
my $is = $moto->state;
my $store = "s3://$is->{bucket}/some/where?region=$is->{region}"
            . "&endpoint=http://127.0.0.1:$is->{aws}&path_style=on";

delete @ENV{grep { /^AWS_/ } keys %ENV};


sub server {
    my ($upload, $secret) = @_;

    return vault_server(
        name  => $upload,
        env   => { AWS_ACCESS_KEY_ID => $is->{key},
                   AWS_SECRET_ACCESS_KEY => $secret // $is->{secret} },
        vault => "vault_files $store;\nvault_upload $upload;\n"
                 . "vault_jobs 1s;\n");
}


sub item {
    my ($server, $name) = @_;

    my $answer = call($server, 'POST', '/api/ciphers', as => 'alice',
                      json => cipher(name => $name));
    return $answer->{json}{id};
}


sub sizes {
    my ($server, $cipher) = @_;

    return join ' ', sort map { $_->{size} }
                          @{attachments($server, 'alice', $cipher)};
}


# Deleting is a job's: it may take a moment.

sub is_gone {
    my ($key, $name) = @_;

    my $end = time + 15 * $VaultNginx::SLOW;

    while (exists $moto->state->{objects}{$key} && time < $end) {
        sleep 0.2;
    }

    is($moto->state->{objects}{$key}, undef, $name);
}


my $server = server('auto');
my $cipher = item($server, 'with a file');

# PUT, streamed with a payload that is not hashed
my $bytes = join '', map { chr $_ % 251 } 1 .. 100_000;
my $file = promise($server, 'alice', $cipher, length $bytes);
my $key = "some/where/$file->{id}";

is(put_file($server, $file->{path}, $bytes)->{status}, 201, 'PUT');
is($moto->state->{objects}{$key}, length $bytes, 'the object is there');
is($moto->set(get => [$key])->{bodies}{$key}, $bytes, 'as it was sent');
is(sizes($server, $cipher), length $bytes, 'and in the sync');

# moto cannot check a presigned URL while it asks for signatures in headers;
# that is t/peers/s3.py's.
my $link = link_of($server, 'alice', $cipher, $file->{id});
like($link, qr{^http://127\.0\.0\.1:$is->{aws}/vault/\Q$key\E\?.*X-Amz-Sig},
     'GET has a presigned URL of the store');

# DELETE of several at once
my $other = promise($server, 'alice', $cipher, 5);
put_file($server, $other->{path}, 'other');

for my $id ($file->{id}, $other->{id}) {
    my $path = "/api/ciphers/$cipher/attachment/$id";
    is(call($server, 'DELETE', $path, as => 'alice')->{status}, 200,
       'it is deleted');
    is_gone("some/where/$id", 'from the bucket, too');
}

is_deeply([$server->stop], [], 'the server is well');

# HEAD: what came to the bucket by itself is found there
my $presigned = server('presigned');
$cipher = item($presigned, 'with a file in the bucket');
$file = promise($presigned, 'alice', $cipher, 5);

is(sizes($presigned, $cipher), '', 'a promise is not in the sync');
$moto->set(put => { "some/where/$file->{id}" => '12345' });
is(sizes($presigned, $cipher), '5', 'HEAD finds what was promised');
is_deeply([$presigned->stop], [], 'the server is well');

# A secret that is not the key's
my $stranger = server('auto', 'wrong');
$file = promise($stranger, 'alice', item($stranger, 'nothing'), 5);
is(put_file($stranger, $file->{path}, '12345')->{status}, 503,
   'a wrong signature is refused');
is($moto->state->{objects}{"some/where/$file->{id}"}, undef,
   'and nothing is kept');
is_deeply([$stranger->stop], [], 'the server is well');

$moto->stop;
done_testing();
