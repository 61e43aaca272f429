# Who may call what: each route of the table, each kind of caller.  A route
# that is new fails here until its expected answers are written down.

use strict;
use warnings;

use MIME::Base64 qw(encode_base64url);
use Test::More;
use Time::HiRes qw(sleep);

use VaultFile qw(form_of promise);
use VaultTest;

# To be refused is no test of a route.
delete $ENV{VAULT_TEST_ASKED};

my $server = vault_server(name => 'authz', vault => 'vault_login_limit off;');
my ($alice, $bob) = (user('alice'), user('bob'));

# Routes without a guard: the answer to an empty object, whoever asks
my %OPEN = (
    'GET /alive'                    => 200,
    'GET /now'                      => 200,
    'GET /api/alive'                => 200,
    'GET /api/now'                  => 200,
    'GET /api/config'               => 200,
    'GET /api/version'              => 200,
    'GET /api/plans'                => 200,
    'GET /api/devices/knowndevice'  => 400,
    'PUT /api/devices/identifier/{id}/clear-token'  => 200,
    'POST /api/devices/identifier/{id}/clear-token' => 200,
    'POST /identity/connect/token'                  => 400,
    'POST /identity/accounts/prelogin'              => 400,
    'POST /identity/accounts/prelogin/password'     => 400,
    'POST /identity/accounts/register'              => 400,
    'POST /identity/accounts/register/send-verification-email'    => 400,
    'POST /identity/accounts/register/verification-email-clicked' => 400,
    'POST /identity/accounts/register/finish'       => 400,
    (map { ("POST /api/accounts/$_" => 400) } qw(
        verify-email-token password-hint delete-recover delete-recover-token
        resend-new-device-otp)),
    'POST /api/two-factor/send-email-login'         => 400,
    'POST /api/two-factor/recover'                  => 400,
    # alice's Send has a password
    'POST /api/sends/access/{id}'           => 401,
    'POST /api/sends/{id}/access/file/{id}' => 401,
    'PUT /files/{uuid}'             => 400,   # a link without its signature
    'GET /files/{uuid}'             => 400,
    'POST /.vault/events'           => 404,   # no adapter sends it: 57-events.t
);

# Guards that are no session's
my $OPEN = qr/^(?:anyone|upload|download|adapter)$/;

# Routes that name an object in their path: what bob hears of alice's.  Her
# object is "not found", never "forbidden".
my %NAMED = (
    'GET /api/users/{uuid}/public-key'           => 200,
    'GET /api/folders/{uuid}'                    => 404,
    'PUT /api/folders/{uuid}'                    => 404,
    'POST /api/folders/{uuid}'                   => 404,
    'DELETE /api/folders/{uuid}'                 => 404,
    'POST /api/folders/{uuid}/delete'            => 404,
    'GET /api/ciphers/{uuid}'                    => 404,
    'GET /api/ciphers/{uuid}/details'            => 404,
    'GET /api/ciphers/{uuid}/full-details'       => 404,
    'PUT /api/ciphers/{uuid}'                    => 404,
    'POST /api/ciphers/{uuid}'                   => 404,
    'PUT /api/ciphers/{uuid}/partial'            => 404,
    'POST /api/ciphers/{uuid}/partial'           => 404,
    'PUT /api/ciphers/{uuid}/delete'             => 404,
    'POST /api/ciphers/{uuid}/delete'            => 404,
    'DELETE /api/ciphers/{uuid}'                 => 404,
    'PUT /api/ciphers/{uuid}/restore'            => 404,
    'PUT /api/ciphers/{uuid}/archive'            => 400,
    'PUT /api/ciphers/{uuid}/unarchive'          => 400,
    (map { ("$_" => 404) } map { my $verb = $_;
        map { "$verb->[0] /api/ciphers/{uuid}/attachment$_" }
            @$verb[1 .. $#$verb] }
        ['POST', '', '-admin', '/v2', '/{uuid}', '/{uuid}/delete',
         '/{uuid}/delete-admin'],
        ['GET', '/{uuid}', '/{uuid}/renew', '/{uuid}/admin'],
        ['DELETE', '/{uuid}', '/{uuid}/admin']),
    'GET /api/devices/{uuid}'                    => 404,
    'DELETE /api/devices/{uuid}'                 => 404,
    'POST /api/devices/{uuid}/deactivate'        => 404,
    'GET /api/devices/identifier/{id}'           => 404,
    'PUT /api/devices/identifier/{id}/token'     => 404,
    'POST /api/devices/identifier/{id}/token'    => 404,
    'PUT /api/devices/identifier/{id}/web-push-auth'  => 404,
    'POST /api/devices/identifier/{id}/web-push-auth' => 404,
    'GET /api/sends/{uuid}'                      => 404,
    'PUT /api/sends/{uuid}'                      => 404,
    'DELETE /api/sends/{uuid}'                   => 404,
    'PUT /api/sends/{uuid}/remove-password'      => 404,
    'PUT /api/sends/{uuid}/remove-auth'          => 404,
    'GET /api/sends/{uuid}/file/{uuid}'          => 404,
    'POST /api/sends/{uuid}/file/{uuid}'         => 404,
    'POST /api/sends/access/file/{id}'           => 401,
    'PUT /api/devices/{id}/keys'                 => 404,
    'POST /api/devices/{id}/keys'                => 404,
);

# Routes that name objects in their body: the same.  Bulk forms answer as if
# alice's were not in the list.
my %LISTED = (
    'POST /api/ciphers'           => 400,
    'POST /api/ciphers/create'    => 400,
    'PUT /api/ciphers/delete'     => 200,
    'POST /api/ciphers/delete'    => 200,
    'DELETE /api/ciphers'         => 200,
    'PUT /api/ciphers/move'       => 400,
    'POST /api/ciphers/move'      => 400,
    'PUT /api/ciphers/restore'    => 200,
    'PUT /api/ciphers/archive'    => 400,
    'PUT /api/ciphers/unarchive'  => 400,
    'POST /api/ciphers/purge'     => 200,
    'POST /api/ciphers/import'    => 200,
    'DELETE /api/folders'         => 200,
    'POST /api/sends/access'      => 401,
);

# Routes that reach nothing but the caller's own account
my %OWN = map { $_ => 1 } (
    (map { "$_ /api/accounts/profile" } qw(GET PUT POST)),
    (map { "$_ /api/accounts/avatar" } qw(PUT POST)),
    (map { "$_ /api/accounts/keys" } qw(GET POST)),
    (map { "$_ /api/accounts/verify-devices" } qw(PUT POST)),
    (map { "$_ /api/settings/domains" } qw(GET PUT POST)),
    (map { my $path = $_; map { "$_ /api/two-factor/$path" }
                              qw(PUT POST DELETE) } qw(authenticator email)),
    (map { "$_ /api/two-factor/disable" } qw(PUT POST)),
    (map { "POST /api/two-factor/$_" } qw(
        get-authenticator get-email get-recover send-email)),
    (map { "POST /api/accounts/$_" } qw(
        verify-password password kdf security-stamp api-key rotate-api-key
        delete verify-email email-token email request-otp verify-otp
        key-management/user-key-id
        key-management/rotate-user-account-keys)),
    (map { "POST $_" } qw(/events/collect /api/events/collect
                          /api/folders /api/sends /api/sends/file
                          /api/sends/file/v2)),
    (map { "GET /api/$_" } qw(
        accounts/revision-date accounts/organizations ciphers
        ciphers/has-unassigned-ciphers devices folders sync auth-requests
        auth-requests/pending collections emergency-access/granted
        emergency-access/trusted notifications sends tasks two-factor
        two-factor/get-device-verification-settings webauthn)),
    'DELETE /api/accounts', 'DELETE /api/folders/all',
);


# Callers whose Authorization is worth nothing, each in its own way

sub callers {
    my ($head, $payload, $signature) = split /\./, $alice->{token};

    my $other = $bob->{token} =~ s/^[^.]*\.([^.]*)\..*/$1/r;
    my $none = encode_base64url('{"alg":"none","typ":"JWT"}');

    return (
        'nobody'         => undef,
        'garbage'        => 'Bearer nonsense',
        'empty'          => 'Bearer ',
        'another scheme' => "Basic $alice->{token}",
        'cut'            => 'Bearer ' . substr($alice->{token}, 0, -4),
        'no signature'   => "Bearer $head.$payload.",
        'algorithm none' => "Bearer $none.$payload.",
        'claims of another' => "Bearer $head.$other.$signature",
        'refresh token'  => "Bearer $alice->{refresh}",
        'registration'   => 'Bearer ' . registration_token(),
        'expired'        => 'Bearer ' . expired_token(),
        'stamp changed'  => 'Bearer ' . stale_token(),
        'deleted'        => 'Bearer ' . deleted_token(),
    );
}


sub registration_token {
    return call($server, 'POST',
        '/identity/accounts/register/send-verification-email',
        json => { email => 'new@example.com', name => 'New',
                  receiveMarketingEmails => JSON::PP::false() })->{json};
}


sub expired_token {
    my $short = vault_server(name => 'short',
                             vault => 'vault_access_token_lifetime 2s;');
    my $token = login($short, VaultServer::account('alice'), 'old')->{token};

    is(call($short, 'GET', '/api/folders',
            headers => ["Authorization: Bearer $token"])->{status}, 200,
       'a token is good until it expires');
    sleep 3;
    is_deeply([$short->stop], [], 'the server of short tokens is well');
    return $token;
}


sub stale_token {
    my $token = user('carol')->{token};

    is(call($server, 'POST', '/api/accounts/security-stamp', as => 'carol',
            json => { masterPasswordHash => user('carol')->{hash} })->{status},
       200, 'a user ends all sessions');
    return $token;
}


sub deleted_token {
    my $token = user('dave')->{token};

    is(call($server, 'DELETE', '/api/accounts', as => 'dave',
            json => { masterPasswordHash => user('dave')->{hash} })->{status},
       200, 'a user deletes the account');
    return $token;
}


# What alice has

sub send_form {
    my ($name) = @_;

    return (type => 0, name => enc($name), key => enc('key'),
            text => { text => enc($name) }, deletionDate => date(86400));
}

my %mine = (
    folder => call($server, 'POST', '/api/folders', as => 'alice',
                   json => folder('mine'))->{json}{id},
    cipher => call($server, 'POST', '/api/ciphers', as => 'alice',
                   json => cipher(name => 'mine'))->{json}{id},
    trash  => call($server, 'POST', '/api/ciphers', as => 'alice',
                   json => cipher(name => 'trash'))->{json}{id},
    device => call($server, 'GET', '/api/devices', as => 'alice')
              ->{json}{data}[0]{id},
    send   => call($server, 'POST', '/api/sends', as => 'alice',
                   json => { send_form('mine'), password => b64('x' x 32) })
              ->{json}{id},
);

$mine{attachment} = promise($server, 'alice', $mine{cipher}, 5)->{id};

is(call($server, 'PUT', "/api/ciphers/$mine{trash}/delete",
        as => 'alice')->{status}, 200, 'alice has something in the trash');

sub state_of_alice {
    my $sync = call($server, 'GET', '/api/sync', as => 'alice')->{json};
    my $devices = call($server, 'GET', '/api/devices', as => 'alice')->{json};
    my $revision = call($server, 'GET', '/api/accounts/revision-date',
                        as => 'alice')->{json};

    delete $_->{lastActivityDate} for @{$devices->{data}};
    return json_text([$sync, $devices, $revision]);
}


# A path with alice's object in it

sub path_of {
    my ($path) = @_;

    return $path =~ s/\{\w+\}/$mine{send}/gr if $path =~ /sends/;

    my $id = $path =~ m{^/files/}         ? $mine{cipher}
           : $path =~ /folders/          ? $mine{folder}
           : $path =~ /ciphers/          ? $mine{cipher}
           : $path =~ /users/            ? $alice->{id}
           : $path =~ /identifier|\{id}/ ? $alice->{device}
           : $path =~ /devices/          ? $mine{device}
           : die "say what $path is about\n";

    $path =~ s/\{\w+\}/$id/;
    return $path =~ s/\{uuid\}/$mine{attachment}/r;
}


# A body that would be good if alice's objects were bob's, for all routes

sub body_of {
    my ($method, $path) = @_;

    return () if $method eq 'GET';

    if ($path =~ m{/attachment(?:-admin|/\{uuid\})?$}) {
        my ($boundary, $body) = form_of('bytes', enc('bob'));
        return (body => $body, headers => [
            "Content-Type: multipart/form-data; boundary=$boundary"]);
    }

    return (json => { send_form('bob') }) if $path =~ m{/sends};

    my $cipher = cipher(name => 'bob', folderId => $mine{folder});
    my @ids = @mine{qw(cipher trash)};

    return (json => { cipher => $cipher, ciphers => [], folders => [],
                      folderRelationships => [] })
        if $path =~ m{/create$|/import$};

    return (json => {
        %{cipher(name => 'bob')},
        folderId => $path =~ m{/ciphers(?:/move)?$} ? $mine{folder} : undef,
        ids => $path =~ /folders/ ? [$mine{folder}] : \@ids,
        masterPasswordHash => $bob->{hash}, pushToken => 'x',
        endpoint => 'https://push.example.com/x', p256dh => b64('x' x 65),
        auth => b64('x' x 16),
        encryptedUserKey => enc('a'), encryptedPublicKey => enc('b'),
        encryptedPrivateKey => enc('c'),
        fileName => enc('d'), key => enc('e'), fileSize => 5,
    });
}


# Callers without a session

my %callers = callers();
my $before = state_of_alice();

for my $route (routes()) {
    my ($method, $pattern, $guard) = @$route;
    my $name = "$method $pattern";
    my $path = $pattern =~ /\{/ ? path_of($pattern) : $pattern;
    my $open = $guard =~ $OPEN;

    if ($open && !defined $OPEN{$name}) {
        fail("$name has no guard: say in this file what anybody gets");
        next;
    }

    my $expected = $open ? $OPEN{$name} : 401;
    my %statuses;

    for my $caller (sort keys %callers) {
        my $header = $callers{$caller};
        my $answer = call($server, $method, $path,
                          ($method eq 'GET' ? () : (json => {})),
                          headers => [defined $header
                                      ? "Authorization: $header" : ()]);

        $statuses{$caller} = $answer->{status} // $answer->{error};

        $statuses{$caller} .= ' in another shape'
            if !$open && json_differences($answer->{json} // '', {
                object => 'error', message => '<text>',
                errorModel => { object => 'error', message => '<text>' } },
                '');
    }

    is_deeply(\%statuses, { map { $_ => $expected } keys %callers },
              "$name: $expected for all without a session");

    next if $method ne 'GET' || $open;

    is(call($server, 'HEAD', $path)->{status}, 401, "HEAD $pattern: 401");
}

is(state_of_alice(), $before, 'nothing of alice has changed');


# Bob, and what is alice's

for my $route (routes()) {
    my ($method, $pattern, $guard) = @$route;
    my $name = "$method $pattern";

    next if $guard =~ $OPEN || $OWN{$name};

    my $expected = $pattern =~ /\{/ ? $NAMED{$name} : $LISTED{$name};

    if (!defined $expected) {
        fail("$name: say in this file what bob gets of alice's");
        next;
    }

    my $path = $pattern =~ /\{/ ? path_of($pattern) : $pattern;
    my $answer = call($server, $method, $path, as => 'bob',
                      body_of($method, $pattern));

    is($answer->{status}, $expected, "$name: $expected for another user")
        || diag($answer->{body});
    unlike($answer->{body} // '', qr/\Q${\enc('mine')}\E/,
           "$name: nothing of alice is in the answer");
}

is(state_of_alice(), $before, 'nothing of alice has changed');


# What the tables above say of routes that are no more

my %there = map { ("$_->[0] $_->[1]" => 1) } routes();
is_deeply([grep { !$there{$_} } sort keys %OPEN, keys %NAMED, keys %LISTED,
           keys %OWN], [], 'no expectation is left of a route that has gone');

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');

done_testing();
