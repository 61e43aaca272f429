#!/usr/bin/perl
# The CloudFront Function of uploads, given events as CloudFront makes them:
# docs.aws.amazon.com/AmazonCloudFront functions-event-structure.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Test::More;

use VaultE2e ();
use VaultNginx ();
use VaultServer qw(folder_of);

my $dir = folder_of();
my $code = VaultNginx::read_file("$VaultNginx::ROOT/aws/cloudfront/bucket.js");

# CloudFront takes no more than 10 KB.
cmp_ok(length $code, '<', 10240, 'the function is small enough');

VaultNginx::write_file("$dir/run.mjs", $code . <<'_EOF_');
const { readFileSync } = await import('node:fs');
const events = JSON.parse(readFileSync(process.argv[2]));
console.log(JSON.stringify(events.map(handler)));
_EOF_


sub event {
    my ($type, $method, %response) = @_;

    return {
        version => '1.0',
        context => { eventType => $type },
        viewer => { ip => '192.0.2.1' },
        request => {
            method => $method,
            uri => '/bucket/files/8d0f3a1e-0000-4000-8000-000000000001',
            querystring => {
                'X-Amz-Signature' => { value => 'abc' },
                'X-Amz-Credential' => { value => 'AKIDEXAMPLE%2F20261122' },
            },
            headers => {
                host => { value => 'vault.example.com' },
                'x-ms-blob-type' => { value => 'BlockBlob' },
                'x-amz-acl' => { value => 'public-read' },
                authorization => { value => 'Bearer x' },
            },
            cookies => { session => { value => 'x' } },
        },
        %response ? (response => { %response }) : (),
    };
}


my @events = (
    event('viewer-request', 'PUT'),
    event('viewer-request', 'GET'),
    event('viewer-request', 'DELETE'),
    event('viewer-response', 'PUT', statusCode => 200, headers => {}),
    event('viewer-response', 'PUT', statusCode => 204, headers => {}),
    event('viewer-response', 'OPTIONS', statusCode => 200, headers => {}),
);

VaultNginx::write_file("$dir/events.json", $VaultE2e::JSON->encode(\@events));

my @command = (VaultE2e::node(), "$dir/run.mjs", "$dir/events.json");
open my $out, '-|', @command or die "$command[0]: $!\n";
my $text = join '', <$out>;
close $out or die "the function failed\n";

my ($put, $get, $delete, $stored, $other, $preflight)
    = @{$VaultE2e::JSON->decode($text)};

is($put->{uri}, '/files/8d0f3a1e-0000-4000-8000-000000000001',
   'the bucket is asked for what was signed');
is_deeply($put->{querystring}, $events[0]{request}{querystring},
          'the signature is as it came');
is_deeply([sort keys %{$put->{headers}}], ['host', 'x-ms-blob-type'],
          'nothing unsigned goes on, no token either');
is_deeply($put->{cookies}, {}, 'no cookie');

is($get->{statusCode}, 405, 'nothing is read through it');
is($delete->{statusCode}, 405, 'nor deleted');

is($stored->{statusCode}, 201, 'stored is what clients call created');
is($other->{statusCode}, 204, 'another answer stays');
is($preflight->{statusCode}, 200, 'so does that to a preflight');

done_testing();
