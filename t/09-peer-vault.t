# The Vault of the tests refuses what Vault refuses: it is asked here by logins
# signed in Perl, so that neither it nor src/ is its own judge.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use Test::More;

use VaultHttp;
use VaultPeer;

my $BODY = 'Action=GetCallerIdentity&Version=2011-06-15';
my $JSON = JSON::PP->new->canonical;
my $vault = VaultPeer->new('vault.py');
our @request = ('X-Vault-Request: true');


sub ask {
    my ($method, $path, $token, $body, @headers) = @_;

    push @headers, "X-Vault-Token: $token" if defined $token;

    my $answer = VaultHttp::request($vault->port, $method, "/v1/$path",
                                    [@request, @headers],
                                    ref $body ? $JSON->encode($body) : $body);
    $answer->{json} = VaultHttp::json($answer);
    return $answer;
}


sub refused {
    my ($answer, $status, $error, $name) = @_;

    is($answer->{status}, $status, $name);
    like(join('|', @{$answer->{json}{errors} || []}), $error, "$name: why");
}


# What a login carries, as clients of the method make it.  Options: region,
# host, key, secret, token, server_id, unsigned, late, role, spoil.

sub proof {
    my (%option) = @_;

    my $region = $option{region} || 'eu-west-1';
    my $host = $option{host} || "sts.$region.amazonaws.com";
    my $stamp = strftime '%Y%m%dT%H%M%SZ', gmtime(time + ($option{late} // 0));
    my $scope = substr($stamp, 0, 8) . "/$region/sts/aws4_request";
    my %headers = (
        'Content-Type' => 'application/x-www-form-urlencoded; charset=utf-8',
        'X-Amz-Date' => $stamp, %{$option{headers} || {}});

    $headers{'X-Amz-Security-Token'} = $option{token} if $option{token};
    $headers{'X-Vault-AWS-IAM-Server-ID'} = $option{server_id}
        if $option{server_id};

    my %lower = (host => $host, map { (lc $_ => $headers{$_}) } keys %headers);
    delete $lower{lc $option{unsigned}} if $option{unsigned};

    my $signed = join ';', sort keys %lower;
    my $canonical = join "\n", 'POST', '/', '',
        (map { "$_:$lower{$_}" } sort keys %lower), '', $signed,
        sha256_hex($BODY);
    my $key = 'AWS4' . ($option{secret} || 'secret-7');

    $key = hmac_sha256($_, $key) for split m{/}, $scope;
    $headers{Authorization} = 'AWS4-HMAC-SHA256 Credential='
        . ($option{key} || 'AKID7') . "/$scope, SignedHeaders=$signed, "
        . 'Signature=' . hmac_sha256_hex("AWS4-HMAC-SHA256\n$stamp\n$scope\n"
                                         . sha256_hex($canonical), $key);

    return {
        role => $option{role} || 'app-role', iam_http_request_method => 'POST',
        iam_request_url => encode_base64("https://$host/", ''),
        iam_request_body => encode_base64($BODY, ''),
        iam_request_headers => encode_base64($JSON->encode({
            map { ($_ => [$headers{$_}]) } keys %headers }), ''),
        %{$option{spoil} || {}} };
}


sub login {
    my (%option) = @_;

    $option{token} //= 'token/7+==';
    return ask('PUT', 'auth/aws/login', undef, proof(%option));
}


# Logins

my $answer = login();
is($answer->{status}, 200, 'a signed request is a login');
is(VaultHttp::header($answer, 'Content-Type'), 'application/json',
   'of exactly this type');
my $auth = $answer->{json}{auth};
like($auth->{client_token}, qr/^hvs\./, 'a token comes of it');
is($auth->{lease_duration}, 3600, 'with a time to live');
is(login(host => 'sts.amazonaws.com', region => 'us-east-1')->{status}, 200,
   'the global host');

refused(login(@$_[2 .. $#$_]), 400, $_->[1], $_->[0]) for (
    ['a wrong secret', qr/SignatureDoesNotMatch/, secret => 'x'],
    ['a wrong key', qr/InvalidClientTokenId/, key => 'AKIDx'],
    ['a wrong session token', qr/InvalidClientTokenId/, token => 'x'],
    ['too late', qr/expired/, late => -400],
    ['too early', qr/expired/, late => 400],
    ['host and region differ', qr/region/,
     host => 'sts.us-east-1.amazonaws.com'],
    ['another host', qr/invalid iam_request_url/, host => 'sts.example.com'],
    ['another role', qr/role other not found/, role => 'other'],
    ['no method', qr/missing iam_http/,
     spoil => { iam_http_request_method => 'GET' }],
    ['another body', qr/body is invalid/, spoil => {
        iam_request_body => encode_base64("$BODY&x=y", '') }],
    ['a header that may not be', qr/invalid request header/,
     headers => { 'X-Amz-Target' => 'x' }],
);

$vault->set(server_id => 'vault.example.com', region => 'eu-west-1');
refused(login(), 400, qr/missing header/, 'no server id');
refused(login(server_id => 'x'), 400, qr/but got "x"/, 'a wrong server id');
refused(login(server_id => 'vault.example.com',
              unsigned => 'X-Vault-AWS-IAM-Server-ID'), 400,
        qr/wasn't signed/, 'an unsigned server id');
refused(login(server_id => 'vault.example.com', region => 'eu-west-2'), 400,
        qr/region/, 'another region than wanted');
is(login(server_id => 'vault.example.com')->{status}, 200, 'as it should be');
$vault->set(expired => 9);
refused(login(server_id => 'vault.example.com'), 400, qr/ExpiredToken/,
        'expired keys');

is(ask('POST', 'auth/kubernetes/login', undef,
       { role => 'app-role', jwt => 'jwt-1' })->{status}, 200, 'kubernetes');
refused(ask('POST', 'auth/kubernetes/login', undef,
            { role => 'app-role', jwt => 'x' }), 403, qr/denied/,
        'a wrong JWT');
is(ask('POST', 'auth/approle/login', undef,
       { role_id => 'role-id-1', secret_id => 'secret-id-1' })->{status}, 200,
   'approle');
refused(ask('POST', 'auth/approle/login', undef,
            { role_id => 'role-id-1', secret_id => 'x' }), 400, qr/invalid/,
        'a wrong secret id');


# Tokens

my $token = $auth->{client_token};
is(ask('GET', 'auth/token/lookup-self', $token)->{json}{data}{ttl}, 3600,
   'lookup-self');
is(ask('PUT', 'auth/token/renew-self', $token, { increment => '100s' })
   ->{json}{auth}{lease_duration}, 100, 'renew-self');
is(ask('PUT', 'auth/token/revoke-self', $token)->{status}, 204, 'revoke-self');
refused(ask('GET', 'auth/token/lookup-self', $token), 403, qr/denied/,
        'and it is gone');

$vault->set(token_ttl => 1, renewable => JSON::PP::false, expired => 0,
            server_id => '');
$token = login()->{json}{auth}{client_token};
refused(ask('PUT', 'auth/token/renew-self', $token), 400, qr/not renewable/,
        'not renewable');
sleep 1.2;
refused(ask('GET', 'auth/token/lookup-self', $token), 403, qr/denied/,
        'expired');
$vault->set(token_ttl => 3600, renewable => JSON::PP::true);
$token = login()->{json}{auth}{client_token};


# Key-value

is(ask('POST', 'secret/data/a/b', $token, { data => { k => 'v1' } })
   ->{json}{data}{version}, 1, 'a secret is written');
is(ask('PUT', 'secret/data/a/b', $token,
       { data => { k => 'v2' }, options => { cas => 1 } })
   ->{json}{data}{version}, 2, 'again, checked');
refused(ask('PUT', 'secret/data/a/b', $token,
            { data => {}, options => { cas => 1 } }), 400, qr/check-and-set/,
        'not twice');
is(ask('GET', 'secret/data/a/b', $token)->{json}{data}{data}{k}, 'v2', 'read');
is(ask('GET', 'secret/data/a/b?version=1', $token)->{json}{data}{data}{k},
   'v1', 'an older version');
is_deeply(ask('LIST', 'secret/metadata/a', $token)->{json}{data}{keys}, ['b'],
          'listed');
is_deeply(ask('GET', 'secret/metadata?list=true', $token)->{json}{data}{keys},
          ['a/'], 'in the other way');
is(ask('PATCH', 'secret/data/a/b', $token, { data => { n => 1 } },
       'Content-Type: application/merge-patch+json')->{status}, 200, 'patched');
is(ask('PATCH', 'secret/data/a/b', $token, {})->{status}, 415,
   'PATCH without its type');
is(ask('DELETE', 'secret/data/a/b', $token)->{status}, 204, 'deleted');
$answer = ask('GET', 'secret/data/a/b', $token);
is("$answer->{status} $answer->{json}{data}{metadata}{version}", '404 3',
   'which tells of it');
refused(ask('GET', 'secret/data/none', $token), 404, qr/^$/, 'nothing there');

is(ask('PUT', 'kv/x', $token, { k => 'v' })->{status}, 204, 'version 1');
is(ask('GET', 'kv/x', $token)->{json}{lease_duration}, 2764800, 'its lease');
refused(ask('PUT', 'kv/x', $token, {}), 400, qr/missing data/, 'no fields');


# Leases, wrapping

my ($one, $two) = map { ask('GET', 'database/creds/app', $token)->{json} } 1, 2;
isnt($one->{data}{password}, $two->{data}{password}, 'new credentials each');
is(ask('PUT', 'sys/leases/renew', $token, { lease_id => $one->{lease_id} })
   ->{json}{lease_duration}, 3600, 'a lease is renewed');
ask('PUT', 'sys/leases/revoke', $token, { lease_id => $one->{lease_id} });
refused(ask('PUT', 'sys/leases/renew', $token,
            { lease_id => $one->{lease_id} }), 400, qr/not found/,
        'not when it is revoked');

my $wrapped = ask('GET', 'kv/x', $token, undef, 'X-Vault-Wrap-TTL: 5m')
    ->{json}{wrap_info};
is($wrapped->{ttl}, 300, 'an answer is wrapped');
is(ask('PUT', 'sys/wrapping/unwrap', $wrapped->{token})->{json}{data}{k}, 'v',
   'and unwrapped');
refused(ask('PUT', 'sys/wrapping/unwrap', $wrapped->{token}), 400,
        qr/not valid/, 'once');


# What must be sent

refused(ask('GET', 'kv/x'), 403, qr/permission denied/, 'no token');
refused(ask('GET', 'kv/x', $token, undef, 'X-Vault-Token: y'), 400, qr/twice/,
        'two tokens');
refused(ask('GET', 'kv/x', $token, undef, 'X-Vault-Namespace: a'), 404,
        qr/namespace/, 'a namespace that is none');
$vault->set(namespace => 'a/b');
refused(ask('GET', 'kv/x', $token), 404, qr/namespace/, 'no namespace');
is(ask('GET', 'kv/x', $token, undef, 'X-Vault-Namespace: a/b/')->{status}, 200,
   'the right one');
$vault->set(namespace => '');
{
    local @request = ();
    refused(ask('GET', 'kv/x', $token), 400, qr/X-Vault-Request/,
            'not a request');
}


# States and faults

for my $state (['sealed', 1, 503], ['standby', 429, 429], ['standby', 473, 473],
               ['standby', 307, 307])
{
    my ($name, $value, $status) = @$state;

    $vault->set($name => $value, leader => 'https://leader.example.com');
    $answer = ask('GET', 'kv/x', $token);
    is($answer->{status}, $status, "$name $value");
    $vault->set($name => 0);
}
is(VaultHttp::header($answer, 'Location'),
   'https://leader.example.com/v1/kv/x', 'to the leader');

$vault->set(denied => ['kv/x']);
refused(ask('GET', 'kv/x', $token), 403, qr/permission denied/, 'denied');
$vault->set(denied => [], fail => [{ op => 'read', kind => '412',
                                     times => 2 }]);
is(join(' ', map { ask('GET', 'kv/x', $token)->{status} } 1 .. 3),
   '412 412 200', '412, twice');

for my $fault (['close', 'complete header'], ['reset', '.'],
               ['short', 'inside the body'], ['short-chunk', 'inside a chunk'],
               ['garbage', 'not a status line'], ['lost', 'complete header'])
{
    $vault->set(fail => [{ kind => $fault->[0] }]);
    like(ask('GET', 'kv/x', $token)->{error}, qr/$fault->[1]/,
         "fault $fault->[0]");
    is(ask('GET', 'kv/x', $token)->{status}, 200, 'once');
}

$vault->set(fail => [{ kind => 'oversized' }]);
cmp_ok(length ask('GET', 'kv/x', $token)->{body}, '>', 4_000_000, 'oversized');
$vault->set(secrets => { 'kv/long' => { k => 'x' x 5000 } });
like(ask('GET', 'kv/long', $token)->{raw_headers}, qr/chunked/,
     'long answers come in chunks');

$vault->set(up => JSON::PP::false);
like(ask('GET', 'kv/x', $token)->{error}, qr/connect/, 'it is down');
$vault->set(up => JSON::PP::true);
is(ask('GET', 'kv/x', $token)->{status}, 200, 'and up again');

$vault->clear;
login();
is($vault->count('login'), 1, 'logins are counted');
is(($vault->asked)[0]{target}, '/v1/auth/aws/login', 'and told of');
$vault->set(forget => JSON::PP::true);
refused(ask('GET', 'kv/x', $token), 403, qr/denied/, 'all tokens are lost');

$vault->stop;
done_testing();
