# /identity/connect/token: three grants, their answers, their refusals, and
# what ends a session.

use strict;
use warnings;

use MIME::Base64 ();
use Test::More 'no_plan';

use VaultServer qw(sql);
use VaultTest;

my $server = vault_server(vault => 'vault_login_limit off;');
my $alice = user('alice');
my $device = uuid('a new device');


sub token {
    my (%form) = @_;

    return call($form{on} || $server, 'POST', '/identity/connect/token',
                form => [map { $_ => $form{$_} }
                         grep { $_ ne 'on' && defined $form{$_} }
                         sort keys %form]);
}


sub password {
    return token(
        grant_type => 'password', scope => 'api offline_access',
        client_id => 'cli', username => $alice->{email},
        password => $alice->{hash}, deviceType => 8,
        deviceIdentifier => $device, deviceName => 'laptop', @_);
}


sub api_key {
    my ($key, @more) = @_;

    return token(
        grant_type => 'client_credentials', scope => 'api',
        client_id => "user.$alice->{id}", client_secret => $key,
        deviceType => 25, deviceIdentifier => $device,
        deviceName => 'laptop', @more);
}


sub refresh {
    my ($token, @more) = @_;

    return token(grant_type => 'refresh_token', client_id => 'cli',
                 refresh_token => $token, @more);
}


sub profile {
    my ($token, $on) = @_;

    return call($on || $server, 'GET', '/api/accounts/profile',
                headers => ["Authorization: Bearer $token"])->{status};
}


sub claims {
    my (undef, $payload) = split /\./, $_[0];

    return JSON::PP->new->utf8->decode(
        MIME::Base64::decode_base64url($payload));
}


sub refused {
    my ($answer, $json, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    is_deeply($answer->{json}, $json, $name);
}


my $wrong = {
    error => 'invalid_grant',
    error_description => 'invalid_username_or_password',
    ErrorModel => {
        Message => 'Username or password is incorrect. Try again.',
        Object => 'error',
    },
};
my $invalid = { error => 'invalid_grant' };

# The password

{
    my $answer = password();
    my $kdf = { KdfType => 0, Iterations => 600000, Memory => undef,
                Parallelism => undef };
    my $pair = { publicKey => $alice->{public_key},
                 wrappedPrivateKey => $alice->{private_key},
                 signedPublicKey => undef };

    is($answer->{status}, 200, 'password');
    json_like($answer->{body}, {
        access_token => '<text>', expires_in => 3600, token_type => 'Bearer',
        refresh_token => '<text>', scope => 'api offline_access',
        unofficialServer => JSON::PP::true(),
        Key => $alice->{key}, PrivateKey => $alice->{private_key},
        Kdf => 0, KdfIterations => 600000, KdfMemory => undef,
        KdfParallelism => undef, ForcePasswordReset => JSON::PP::false(),
        ResetMasterPassword => JSON::PP::false(),
        MasterPasswordPolicy => { Object => 'masterPasswordPolicy' },
        AccountKeys => { publicKeyEncryptionKeyPair => $pair,
                         signatureKeyPair => undef, securityState => undef },
        UserDecryptionOptions => {
            HasMasterPassword => JSON::PP::true(),
            MasterPasswordUnlock => {
                Kdf => $kdf, Salt => $alice->{email},
                MasterKeyEncryptedUserKey => $alice->{key},
                MasterKeyWrappedUserKey => $alice->{key},
            },
        },
    }, 'the whole answer');

    json_like(claims($answer->{json}{access_token}), {
        sub => $alice->{id}, email => $alice->{email}, name => 'Alice',
        email_verified => JSON::PP::true(), premium => JSON::PP::true(),
        client_id => 'cli', sstamp => '<uuid>', device => $device,
        scope => ['api', 'offline_access'], amr => ['Application'],
        nbf => '<int>', exp => '<int>',
    }, 'the claims');

    my $claims = claims($answer->{json}{access_token});
    is($claims->{exp} - $claims->{nbf}, 3600, 'the token lives as long');

    is(profile($answer->{json}{access_token}), 200, 'the token opens');

    # the same device again: one row, and the old refresh token ends

    my $again = password(deviceName => 'renamed');
    my @mine = grep { $_->{identifier} eq $device }
        @{call($server, 'GET', '/api/devices', as => 'alice')->{json}{data}};

    is(scalar @mine, 1, 'a second sign-in leaves one device');
    is($mine[0]{name}, 'renamed', 'with its new name');
    is(profile($answer->{json}{access_token}), 200,
       'the first access token is still good');
    refused(refresh($answer->{json}{refresh_token}), $invalid,
            'the first refresh token is not');
    is(refresh($again->{json}{refresh_token})->{status}, 200,
       'the second is');
}

refused(password(password => b64('wrong')), $wrong, 'a wrong password');
refused(password(password => undef), $wrong, 'no password');
refused(password(username => 'nobody@example.com'), $wrong, 'nobody');
refused(password(username => 'no address'), $wrong, 'no address');
refused(password(username => undef), $wrong, 'no user');
is(password(username => ' ALICE@example.com ')->{status}, 200,
   'capitals and spaces');

my $no_device = {
    error => 'device_error',
    error_description => 'No device information provided.',
    ErrorModel => { Message => 'no device information provided',
                    Object => 'error' },
};

refused(password(deviceIdentifier => undef), $no_device, 'no device');
refused(password(deviceType => undef), $no_device, 'no kind of device');
is(password(deviceName => undef)->{status}, 200, 'no name of the device');

for my $type ('iOS', '1', ' 1 ') {
    is(claims(password(deviceType => $type)->{json}{access_token})
       ->{devicetype}, 1, "device type \"$type\"");
}

is(claims(password(deviceType => 'toaster')->{json}{access_token})
   ->{devicetype}, 14, 'an unknown kind of device');

{
    my $answer = password(scope => 'api');

    ok(!exists $answer->{json}{refresh_token}, 'no refresh token unasked');
    is($answer->{json}{scope}, 'api', 'the scope that was asked for');
    refused(password(scope => 'other'), { error => 'invalid_scope' },
            'another scope');
    ok(password(scope => undef)->{json}{refresh_token}, 'no scope is all');
}

# The shape of the request

refused(token(grant_type => 'webauthn'),
        { error => 'unsupported_grant_type' }, 'another grant');
refused(token(grant_type => undef, client_id => 'cli'),
        { error => 'unsupported_grant_type' }, 'no grant');
refused(call($server, 'POST', '/identity/connect/token'),
        { error => 'unsupported_grant_type' }, 'no body');
is(password(password => 'x' x 301)->{status}, 400, 'too long a password');
is(call($server, 'GET', '/identity/connect/token')->{status}, 405, 'GET');

# Refresh

{
    my $first = password()->{json};
    my $answer = refresh($first->{refresh_token});

    is($answer->{status}, 200, 'refresh');
    json_like($answer->{body}, {
        access_token => '<text>', expires_in => 3600, token_type => 'Bearer',
        refresh_token => $first->{refresh_token},
        scope => 'api offline_access',
    }, 'refresh answers with tokens');
    is(profile($answer->{json}{access_token}), 200, 'which open');
    is(claims($answer->{json}{access_token})->{device}, $device,
       'for the same device');

    refused(refresh('made-up'), $invalid, 'a made-up refresh token');
    refused(refresh(undef), $invalid, 'no refresh token');
    refused(refresh($answer->{json}{access_token}), $invalid,
            'an access token is no refresh token');

    # deleting the device signs it out

    my ($mine) = grep { $_->{identifier} eq $device }
        @{call($server, 'GET', '/api/devices', as => 'alice')->{json}{data}};

    is(call($server, 'DELETE', "/api/devices/$mine->{id}", as => 'alice')
       ->{status}, 200, 'the device is deleted');
    is(profile($answer->{json}{access_token}), 401,
       'its access token ends');
    refused(refresh($first->{refresh_token}), $invalid,
            'and its refresh token');
}

# The API key

{
    my $key = call($server, 'POST', '/api/accounts/api-key', as => 'alice',
                   json => { masterPasswordHash => $alice->{hash} })
              ->{json}{apiKey};
    my $answer = api_key($key);

    is($answer->{status}, 200, 'API key');
    json_like($answer->{body}, {
        access_token => '<text>', expires_in => '<int>', scope => 'api',
        refresh_token => '<absent>', Key => $alice->{key}, Kdf => 0,
        UserDecryptionOptions => { HasMasterPassword => JSON::PP::true() },
    }, 'the answer to an API key');
    is(profile($answer->{json}{access_token}), 200, 'which opens');

    my $client = { error => 'invalid_client' };

    refused(api_key('x' x 30), $client, 'a wrong API key');
    refused(api_key(undef), $client, 'no API key');
    refused(api_key($key, client_id => 'user.' . uuid('nobody')), $client,
            'the API key of nobody');
    refused(api_key($key, client_id => 'user.' . user('bob')->{id}), $client,
            'the API key of somebody else');
    refused(api_key($key, client_id => "organization.$alice->{id}"), $client,
            'another kind of client');
    refused(api_key($key, client_id => $alice->{id}), $client,
            'no kind of client');
    is(api_key($key, client_id => 'user.' . uc $alice->{id})->{status}, 200,
       'an id in capitals');

    my $refresh = password()->{json}{refresh_token};
    api_key($key);
    is(refresh($refresh)->{status}, 200,
       'an API key leaves the refresh token of its device');
}

# What the guard takes

is(profile($alice->{token}), 200, 'a token');
is(call($server, 'GET', '/api/accounts/profile', headers =>
        ["Authorization: bearer $alice->{token}"])->{status}, 200,
   'the scheme in small letters');

my ($header, $payload, $signature) = split /\./, $alice->{token};
my %forged = (
    'no token at all' => '',
    'no JWT' => 'secret',
    'a signature cut off' => "$header.$payload.",
    'another payload' => join('.', $header, MIME::Base64::encode_base64url(
        '{"iss":"vault|login","sub":"x","exp":9999999999}'), $signature),
    'no algorithm' => join('.', MIME::Base64::encode_base64url(
        '{"alg":"none","typ":"JWT"}'), $payload, ''),
    'a registration token' => call($server, 'POST',
        '/identity/accounts/register/send-verification-email',
        json => { email => 'x@example.com' })->{json},
    'a refresh token' => $alice->{refresh},
);

for my $name (sort keys %forged) {
    my $answer = call($server, 'GET', '/api/accounts/profile', headers =>
                      ["Authorization: Bearer $forged{$name}"]);

    is($answer->{status}, 401, "$name - 401");
    api_error_like($answer->{body}, '', $name);
}

is(call($server, 'GET', '/api/accounts/profile')->{status}, 401, 'no header');
is(call($server, 'GET', '/api/accounts/profile', headers =>
        ['Authorization: Basic eDp5'])->{status}, 401, 'another scheme');

{
    my $short = vault_server(name => 'short', vault =>
        'vault_access_token_lifetime 1s; vault_refresh_token_lifetime 8s;');
    my $answer = password(on => $short)->{json};
    my $expiry = 'SELECT min(refresh_expires_at) FROM devices';

    sleep 2;
    is(profile($answer->{access_token}, $short), 401,
       'an access token has its time');

    my $before = sql($expiry);
    is(refresh($answer->{refresh_token}, on => $short)->{status}, 200,
       'a refresh token');
    cmp_ok(sql($expiry), '>', $before, 'that is used lives on');

    sql('UPDATE devices SET refresh_expires_at = 1');
    refused(refresh($answer->{refresh_token}, on => $short), $invalid,
            'one that was not used expires');

    stops_clean($short, 'short');
    is_deeply([$short->stop], [], 'the short-lived one stops clean');
}

# Rounds rise when somebody signs in

{
    my $more = vault_server(name => 'more', vault => 'vault_kdf_rounds 2000;');
    my $time = sub { return password(on => $more)->{status} };

    is($time->(), 200, 'a password that was hashed with fewer rounds');
    is($time->(), 200, 'and again with more');
    is(password()->{status}, 200, 'and where fewer are configured');
    is(password(on => $more, password => b64('wrong'))->{status}, 400,
       'a wrong password is still wrong');
    stops_clean($more, 'more');
    is_deeply([$more->stop], [], 'the one with more rounds stops clean');
}

# Guessing

{
    my $strict = vault_server(name => 'strict', vault =>
                              'vault_login_limit account=3/300s;');
    my @status = map { password(on => $strict, password => b64("guess $_"))
                       ->{status} } 1 .. 4;

    is("@status", '400 400 400 429', 'guesses are counted');
    is(password(on => $strict)->{status}, 429,
       'then the right password is refused too');
    is(password(on => $strict, username => 'bob@example.com',
                password => user('bob')->{hash})->{status}, 200,
       'but only for that account');
    is(call($strict, 'POST', '/api/accounts/verify-password', as => 'alice',
            json => { masterPasswordHash => $alice->{hash} })->{status}, 429,
       'wherever the password is asked for');
    stops_clean($strict, 'strict');
    is_deeply([$strict->stop], [], 'the strict one stops clean');
}

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
