#!/usr/bin/perl
# The CloudFront Functions of aws/template.yaml, given events as CloudFront
# makes them: docs.aws.amazon.com/AmazonCloudFront functions-event-structure.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Test::More;

use VaultE2e ();
use VaultLambda;
use VaultNginx ();
use VaultServer qw(folder_of);

my $dir = folder_of();


# What a function makes of some events; each runs beside the others' text.

sub answers {
    my ($name, @events) = @_;

    my $code = VaultLambda::function_code($name);

    # CloudFront takes no more than 10 KB, and nothing newer than this.
    cmp_ok(length $code, '<', 10240, "$name is small enough");
    unlike($code, qr/\brequire\b|\bimport\b|\?\?|\?\.[a-z]/,
           '  in the language of cloudfront-js-2.0');

    VaultNginx::write_file("$dir/$name.mjs", $code . <<'_EOF_');
const { readFileSync } = await import('node:fs');
const events = JSON.parse(readFileSync(process.argv[2]));
console.log(JSON.stringify(events.map(handler)));
_EOF_
    VaultNginx::write_file("$dir/$name.json",
                           $VaultE2e::JSON->encode(\@events));

    open my $out, '-|', VaultE2e::node(), "$dir/$name.mjs", "$dir/$name.json"
        or die "node: $!\n";
    my $text = join '', <$out>;
    close $out or die "$name failed\n";

    return @{$VaultE2e::JSON->decode($text)};
}


sub event {
    my ($type, $method, %more) = @_;

    my $response = delete $more{response};
    my $headers = delete $more{headers} || {};

    return {
        version => '1.0',
        context => { eventType => $type, distributionId => 'E123',
                     distributionDomainName => 'd123.cloudfront.net',
                     requestId => 'x==' },
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
                map { ($_ => { value => $headers->{$_} }) } keys %$headers,
            },
            cookies => { session => { value => 'x' } },
            %more,
        },
        $response ? (response => { headers => {}, %$response }) : (),
    };
}


my $desktop = 'bw-desktop-file://bundle';

sub uploads {
    my %unsigned = ('x-ms-blob-type' => 'BlockBlob',
                    'x-amz-acl' => 'public-read',
                    authorization => 'Bearer x');

    my @events = (
        event('viewer-request', 'PUT', headers => \%unsigned),
        event('viewer-request', 'GET'),
        event('viewer-request', 'DELETE'),
        event('viewer-request', 'PUT', querystring => {}),
        event('viewer-request', 'PUT', uri => '/bucket/other/x'),
        event('viewer-request', 'PUT', uri => '/bucket/files/../x'),
        event('viewer-response', 'PUT', response => { statusCode => 200 }),
        event('viewer-response', 'PUT', response => { statusCode => 204 }),
    );

    my ($put, $get, $delete, $unsigned, $elsewhere, $up, $stored, $other)
        = answers('UploadFunction', @events);

    is($put->{uri}, '/files/8d0f3a1e-0000-4000-8000-000000000001',
       'the bucket is asked for what was signed');
    is_deeply($put->{querystring}, $events[0]{request}{querystring},
              'the signature is as it came');
    is_deeply([sort keys %{$put->{headers}}], ['host', 'x-ms-blob-type'],
              'nothing unsigned goes on, no token either');
    is_deeply($put->{cookies}, {}, 'no cookie');

    is($get->{statusCode}, 405, 'nothing is read through it');
    is($delete->{statusCode}, 405, 'nor deleted');
    is($unsigned->{statusCode}, 404, 'nothing goes on without a signature');
    is($elsewhere->{statusCode}, 404, 'nor to another place');
    is($up->{statusCode}, 404, 'nor above');

    is($stored->{statusCode}, 201, 'stored is what clients call created');
    is($other->{statusCode}, 204, 'another answer stays');
    is_deeply($stored->{headers}, {}, 'nobody has asked from elsewhere');
}


# The desktop application is another origin: it asks first.

sub origins {
    my @ask = ('access-control-request-method' => 'PUT',
               'access-control-request-headers' => 'x-ms-blob-type');

    my ($ask, $page, $own, $stranger, $none, $put, $strangers_put) = answers(
        'UploadFunction',
        event('viewer-request', 'OPTIONS',
              headers => { origin => $desktop, @ask }),
        event('viewer-request', 'OPTIONS',
              headers => { origin => 'file://', @ask }),
        event('viewer-request', 'OPTIONS',
              headers => { origin => 'https://vault.example.com', @ask }),
        event('viewer-request', 'OPTIONS',
              headers => { origin => 'https://evil.example.com', @ask }),
        event('viewer-request', 'OPTIONS'),
        event('viewer-response', 'PUT', headers => { origin => $desktop },
              response => { statusCode => 200 }),
        event('viewer-response', 'PUT',
              headers => { origin => 'https://evil.example.com' },
              response => { statusCode => 200 }),
    );

    is($ask->{statusCode}, 204, 'a preflight is answered here');
    is($ask->{headers}{'access-control-allow-origin'}{value}, $desktop,
       'for the desktop application');
    is($ask->{headers}{'access-control-allow-methods'}{value}, 'PUT',
       'which may PUT');
    is($ask->{headers}{'access-control-allow-headers'}{value},
       'x-ms-blob-type', 'with its headers');
    is($page->{statusCode}, 204, 'and for the older one');
    is($own->{statusCode}, 204, 'and for the web vault');
    is($stranger->{statusCode}, 405, 'not for another site');
    is($none->{statusCode}, 405, 'nor for nobody');

    is($put->{headers}{'access-control-allow-origin'}{value}, $desktop,
       'it may read the answer');
    is($put->{statusCode}, 201, 'which is 201');
    is_deeply($strangers_put->{headers}, {}, 'another site may not');
}


sub api {
    my ($six, $liar, $bare) = answers(
        'ApiFunction',
        { %{event('viewer-request', 'GET', uri => '/api/sync')},
          viewer => { ip => '2001:db8::1' } },
        event('viewer-request', 'POST', uri => '/identity/connect/token',
              headers => { 'x-vault-client' => '203.0.113.9',
                           'x-vault-host' => 'evil.example.com',
                           'x-forwarded-for' => '203.0.113.9',
                           authorization => 'Bearer x' }),
        event('viewer-request', 'GET', uri => '/alive'),
    );

    is($six->{headers}{'x-vault-client'}{value}, '2001:db8::1',
       'the function is told who asks');
    is($six->{headers}{'x-vault-host'}{value}, 'vault.example.com',
       'and under which name');
    is($six->{uri}, '/api/sync', 'and what');

    is($liar->{headers}{'x-vault-client'}{value}, '192.0.2.1',
       'not what he says that he is');
    is($liar->{headers}{'x-vault-host'}{value}, 'vault.example.com',
       'nor where');
    is($liar->{headers}{authorization}{value}, 'Bearer x',
       'his token stays');
    is($bare->{headers}{'x-vault-client'}{value}, '192.0.2.1',
       'always');
}


subtest 'uploads' => \&uploads;
subtest 'other origins' => \&origins;
subtest 'the API' => \&api;

done_testing();
