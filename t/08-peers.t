# The S3 of the tests refuses what S3 refuses: it is asked here with signatures
# made in Perl, so that neither it nor src/aws/ is its own judge.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use File::Temp ();
use POSIX qw(strftime);
use Test::More;

use VaultHttp;
use VaultNginx;
use VaultPeer;

my $KEY = 'AKIAIOSFODNN7EXAMPLE';
my $SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

my $self_test = `$VaultNginx::ROOT/t/peers/s3.py --self-test`;
is($?, 0, 'the self-test ends');
like($self_test, qr/^1\.\.46$/m, 'it has gone through');
unlike($self_test, qr/^not ok/m, "AWS's published examples are accepted, "
                                 . 'altered ones are not');

my $peer = VaultPeer->new('s3.py');
my $host = 'vault.s3.example.com';


sub encode {
    my ($text, $keep) = @_;

    my $safe = 'A-Za-z0-9._~' . ($keep // '') . '-';
    $text =~ s/([^$safe])/sprintf '%%%02X', ord $1/ge;
    return $text;
}


sub stamp { return strftime '%Y%m%dT%H%M%SZ', gmtime(time + ($_[0] // 0)) }


sub signature {
    my ($secret, $stamp, $region, $canonical) = @_;

    my $scope = substr($stamp, 0, 8) . "/$region/s3/aws4_request";
    my $key = "AWS4$secret";

    $key = hmac_sha256($_, $key) for split m{/}, $scope;
    return hmac_sha256_hex("AWS4-HMAC-SHA256\n$stamp\n$scope\n"
                           . sha256_hex($canonical), $key);
}


# A request signed in its headers.  Options: body, headers (signed), loose
# (not signed), late (seconds), key, secret, token, region, payload, raw.

sub signed {
    my ($method, $path, %option) = @_;

    my $body = $option{body} // '';
    my $stamp = stamp($option{late});
    my $payload = $option{payload} // sha256_hex($body);
    my %header = (host => $host, 'x-amz-date' => $stamp,
                  'x-amz-content-sha256' => $payload,
                  %{$option{headers} // {}});
    my $region = $option{region} // 'us-east-1';
    my ($name, $query) = split /\?/, $path, 2;

    $header{'x-amz-security-token'} = $option{token} if $option{token};
    $query = join '&', sort map { /=/ ? $_ : "$_=" } split /&/, $query // '';

    my $names = join ';', sort keys %header;
    my $canonical = join "\n", $method, encode($name, '/'), $query,
        (map { "$_:$header{$_}" } sort keys %header), '', $names, $payload;
    my $sign = signature($option{secret} // $SECRET, $stamp, $region,
                         $canonical);
    my $scope = substr($stamp, 0, 8) . "/$region/s3/aws4_request";

    return send_it($method, encode($name, '/') . ($query ? "?$query" : ''), [
        (map { "$_: $header{$_}" } sort keys %header),
        'Authorization: AWS4-HMAC-SHA256 Credential='
        . ($option{key} // $KEY) . "/$scope, SignedHeaders=$names, "
        . "Signature=$sign", @{$option{loose} // []}], $body, %option);
}


# A presigned path.  Options: expires, late, query (pairs, signed), token,
# headers (signed).

sub presigned {
    my ($method, $path, %option) = @_;

    my $stamp = stamp($option{late});
    my %header = (host => $host, %{$option{headers} // {}});
    my $scope = substr($stamp, 0, 8) . '/us-east-1/s3/aws4_request';
    my %query = (
        'X-Amz-Algorithm'     => 'AWS4-HMAC-SHA256',
        'X-Amz-Credential'    => ($option{key} // $KEY) . "/$scope",
        'X-Amz-Date'          => $stamp,
        'X-Amz-Expires'       => $option{expires} // 300,
        'X-Amz-SignedHeaders' => join(';', sort keys %header),
        %{$option{query} // {}},
    );

    $query{'X-Amz-Security-Token'} = $option{token} if $option{token};

    my $query = join '&', map { encode($_) . '=' . encode($query{$_}) }
                          sort keys %query;
    my $canonical = join "\n", $method, encode($path, '/'), $query,
        (map { "$_:$header{$_}" } sort keys %header), '',
        join(';', sort keys %header), 'UNSIGNED-PAYLOAD';

    return encode($path, '/') . "?$query&X-Amz-Signature="
        . signature($option{secret} // $SECRET, $stamp, 'us-east-1',
                    $canonical);
}


sub send_it {
    my ($method, $target, $headers, $body, %option) = @_;

    push @$headers, "Host: $host" if !grep { /^host:/i } @$headers;
    push @$headers, 'Content-Length: 0'
        if $method =~ /^P/ && ($body // '') eq '' && !$option{raw};

    return VaultHttp::request($peer->port, $method, $target, $headers, $body);
}


sub answer_ok {
    my ($answer, $status, $code, $name) = @_;

    my ($found) = ($answer->{body} // '') =~ m{<Error><Code>(\w+)</Code>};
    is(($answer->{status} // $answer->{error}) . ' ' . ($found // ''),
       "$status " . ($code // ''), $name);
}


# Objects

my $put = signed('PUT', '/a/file one', body => 'Hello, S3.');
answer_ok($put, 200, undef, 'an object is stored');
is(VaultHttp::header($put, 'ETag'), '"' . md5_hex('Hello, S3.') . '"',
   'its tag is its MD5');
like(VaultHttp::header($put, 'x-amz-request-id'), qr/^REQ/, 'and has a number');

my $get = signed('GET', '/a/file one');
is($get->{body}, 'Hello, S3.', 'it comes back');
like(VaultHttp::header($get, 'Date'), qr/ GMT$/, 'with a date');

my $range = signed('GET', '/a/file one', headers => { range => 'bytes=7-8' });
is("$range->{status} $range->{body}", '206 S3', 'a range of it');
is(VaultHttp::header($range, 'Content-Range'), 'bytes 7-8/10',
   'is called what it is');
answer_ok(signed('GET', '/a/file one', loose => ['Range: bytes=10-']),
          416, 'InvalidRange', 'a range beyond its end');
is(VaultHttp::header(signed('HEAD', '/a/file one'), 'Content-Length'), 10,
   'HEAD tells the size');
is(signed('HEAD', '/none')->{status}, 404, 'or that there is nothing');
answer_ok(signed('GET', '/none'), 404, 'NoSuchKey', 'nor to get');
answer_ok(signed('GET', '/none/a', late => 5), 404, 'NoSuchKey',
          'a clock that is a little ahead');

is(signed('DELETE', '/a/file one')->{status}, 204, 'it is deleted');
is(signed('DELETE', '/a/file one')->{status}, 204, 'as often as one likes');
answer_ok(signed('GET', '/a/file one'), 404, 'NoSuchKey', 'and is gone');

$host = '127.0.0.1';
answer_ok(signed('PUT', '/vault/p', body => 'path'), 200, undef,
          'the bucket in the path');
answer_ok(signed('GET', '/elsewhere/p'), 404, 'NoSuchBucket',
          'a bucket that is none');
$host = 'vault.s3.example.com';
is(signed('GET', '/p')->{body}, 'path', 'is the same bucket');

answer_ok(signed('PUT', '/m', body => 'x', loose => ['Content-MD5: '
                 . md5_base64('y') . '==']), 400, 'BadDigest', 'a wrong MD5');
answer_ok(signed('PUT', '/m', body => 'x', payload => sha256_hex('y')),
          400, 'XAmzContentSHA256Mismatch', 'a wrong hash');
answer_ok(signed('PUT', '/m', body => 'x', payload => 'UNSIGNED-PAYLOAD'),
          200, undef, 'a hash that is not told');
answer_ok(signed('PUT', '/m', raw => 1), 411, 'MissingContentLength',
          'no length');
answer_ok(signed('PUT', '/m', body => 'x', headers =>
                 { 'x-amz-storage-class' => 'CHEAP' }),
          400, 'InvalidStorageClass', 'a storage class that is none');


# Who is it?

answer_ok(send_it('GET', '/p', []), 403, 'AccessDenied', 'no signature');
answer_ok(signed('GET', '/p', secret => 'x'), 403, 'SignatureDoesNotMatch',
          'a wrong secret');
answer_ok(signed('GET', '/p', key => 'AKIDx'), 403, 'InvalidAccessKeyId',
          'an unknown key');
answer_ok(signed('GET', '/p', region => 'eu-west-1'), 400,
          'AuthorizationHeaderMalformed', 'another region');
answer_ok(signed('GET', '/p', late => -901), 403, 'RequestTimeTooSkewed',
          'too late');
answer_ok(signed('GET', '/p', late => 905), 403, 'RequestTimeTooSkewed',
          'too early');
answer_ok(signed('GET', '/p', loose => ['x-amz-acl: private']), 403,
          'AccessDenied', 'an x-amz header that is not signed');
answer_ok(signed('GET', '/p', loose => ['x-ms-version: 1']), 200, undef,
          'other headers need not be signed');

my %temporary = (key => 'AKID3', secret => 'secret-3');
answer_ok(signed('GET', '/p', %temporary, token => 'token/3+=='), 200, undef,
          'temporary keys');
answer_ok(signed('GET', '/p', %temporary), 403, 'InvalidAccessKeyId',
          'without their token');
answer_ok(signed('GET', '/p', %temporary, token => 'x'), 400, 'InvalidToken',
          'with another one');
$peer->set(expired => 3);
answer_ok(signed('GET', '/p', %temporary, token => 'token/3+=='), 400,
          'ExpiredToken', 'when they have expired');
$peer->set(expired => 0, skew => 3600);
my $skewed = signed('GET', '/p');
answer_ok($skewed, 403, 'RequestTimeTooSkewed', 'another idea of the time');
isnt(VaultHttp::header($skewed, 'Date'), undef, 'which the answer tells');
$peer->set(skew => 0);


# Presigned

answer_ok(send_it('GET', presigned('GET', '/p'), []), 200, undef,
          'a presigned GET');
answer_ok(send_it('GET', presigned('GET', '/p', %temporary,
                                   token => 'token/3+=='), []),
          200, undef, 'by temporary keys');
answer_ok(send_it('PUT', presigned('PUT', '/q'),
                  ['x-ms-blob-type: BlockBlob'], 'q'), 200, undef,
          'a presigned PUT as Azure clients send it');
answer_ok(send_it('PUT', presigned('PUT', '/q', query => {
              'x-amz-storage-class' => 'INTELLIGENT_TIERING' }), [], 'q'),
          200, undef, 'a storage class in the query');
is($peer->state->{meta}{q}{'x-amz-storage-class'}, 'INTELLIGENT_TIERING',
   'is kept');
answer_ok(send_it('PUT', presigned('PUT', '/q'),
                  ['x-amz-acl: public-read'], 'q'), 403, 'AccessDenied',
          'an x-amz header that is not signed');
answer_ok(send_it('GET', presigned('GET', '/p') . '&sv=1', []), 403,
          'SignatureDoesNotMatch', 'a parameter that is not signed');
answer_ok(send_it('GET', presigned('PUT', '/p'), []), 403,
          'SignatureDoesNotMatch', 'for another method');
answer_ok(send_it('GET', presigned('GET', '/p', late => -301), []), 403,
          'AccessDenied', 'expired');
answer_ok(send_it('GET', presigned('GET', '/p', expires => 604801), []), 400,
          'AuthorizationQueryParametersError', 'for longer than a week');
answer_ok(send_it('GET', presigned('GET', '/p', expires => 0), []), 400,
          'AuthorizationQueryParametersError', 'for no time at all');
answer_ok(send_it('GET', presigned('GET', '/p'),
                  ['Authorization: AWS4-HMAC-SHA256 x']), 400,
          'InvalidArgument', 'two methods at once');

my $named = send_it('GET', presigned('GET', '/p', query => {
    'response-content-disposition' => 'attachment; filename="x"' }), []);
is(VaultHttp::header($named, 'Content-Disposition'),
   'attachment; filename="x"', 'a header of the answer may be chosen');


# Many

sub delete_many {
    my ($body, @headers) = @_;

    @headers = 'Content-MD5: ' . md5_base64($body) . '==' if !@headers;
    return signed('POST', '/?delete', body => $body, loose => [@headers]);
}

my $xml = '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
          . '<Object><Key>p</Key></Object><Object><Key>none</Key></Object>'
          . '</Delete>';

my $deleted = delete_many($xml);
like($deleted->{body}, qr{<Deleted><Key>p</Key></Deleted><Deleted>},
     'many are deleted at once');
is($peer->state->{objects}{p}, undef, 'and are gone');
answer_ok(delete_many($xml, 'X: y'), 400, 'InvalidRequest', 'without a sum');
answer_ok(delete_many('<Delete>'), 400, 'MalformedXML', 'half of it');
answer_ok(delete_many('<Delete>' . '<Object><Key>k</Key></Object>' x 1001
                      . '</Delete>'), 400, 'MalformedXML', '1,001');
answer_ok(delete_many('<Delete>' . '<Object><Key>k</Key></Object>' x 1000
                      . '<Quiet>true</Quiet></Delete>'), 200, undef, '1,000');
like(signed('GET', '/?list-type=2&prefix=m')->{body},
     qr{<KeyCount>1</KeyCount>.*<Key>m</Key>.*<Size>1</Size>},
     'what is there is listed');


# Faults, each once

$peer->set(clear => JSON::PP::true);

for my $fault (
    ['500', 500, 'InternalError'], ['503', 503, 'ServiceUnavailable'],
    ['SlowDown', 503, 'SlowDown'], ['403', 403, 'AccessDenied'],
    ['404', 404, 'NoSuchBucket'], ['ExpiredToken', 400, 'ExpiredToken'],
) {
    $peer->set(fail => [{ op => 'PUT', kind => $fault->[0] }]);
    is(signed('GET', '/m')->{body}, 'x', "before $fault->[0], GET goes on");
    answer_ok(signed('PUT', '/f', body => 'f'), $fault->[1], $fault->[2],
              "fault $fault->[0]");
    answer_ok(signed('PUT', '/f', body => 'f'), 200, undef,
              "fault $fault->[0], once");
}

for my $fault (['reset', 'complete header'], ['reset-mid', '.'],
               ['close', 'closed before'], ['garbage', 'not a status line'],
               ['lost', 'complete header'], ['short', 'closed inside'])
{
    my ($kind, $error) = @$fault;

    $peer->set(fail => [{ op => 'GET', kind => $kind }]);
    like(signed('GET', '/m')->{error}, qr/$error/, "fault $kind");
    is(signed('GET', '/m')->{body}, 'x', "fault $kind, once");
}

$peer->set(fail => [{ op => 'PUT', kind => 'reset-mid' }]);
ok(signed('PUT', '/half', body => 'h' x 1000000)->{error}, 'half a PUT');
is($peer->state->{objects}{half}, undef, 'is none');

$peer->set(fail => [{ op => 'PUT', kind => '503', skip => 1, times => 2 }]);
is(join(' ', map { signed('PUT', '/f', body => 'f')->{status} } 1 .. 4),
   '200 503 503 200', 'a fault may come later and stay');

my $state = $peer->state;
is($state->{counts}{DELETES} // 0, 0, 'counts were cleared');
is($state->{log}[-1]{op} . $state->{log}[-1]{status}, 'PUT200',
   'the log tells of the last request');


# TLS

my $dir = File::Temp->newdir;
system(qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj
          /CN=localhost -addext subjectAltName=DNS:vault.localhost
          -keyout), "$dir/key", '-out', "$dir/cert") == 0 or die;
my $tls = VaultPeer->new('s3.py', "$dir/cert", "$dir/key");
my $port = $tls->port;

is($tls->state->{region}, 'us-east-1', 'with TLS, control needs none');
like(VaultHttp::request($port, 'GET', '/vault/x', [])->{raw_headers},
     qr/400 TLS/, 'but all else does');
like(`curl -s --cacert $dir/cert --resolve vault.localhost:$port:127.0.0.1 \\
           https://vault.localhost:$port/x`, qr/AccessDenied/,
     'and gets it');

$_->stop for $peer, $tls;
done_testing();
