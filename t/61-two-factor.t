# The second step of a login: an authenticator app, the recovery code and
# devices that are remembered.  Codes by mail: 61-two-factor-mail.t.

use strict;
use warnings;

use POSIX ();
use Test::More 'no_plan';

use VaultServer qw(sql);
use VaultTest;
use VaultTotp;

my $server = vault_server(workers => 2, vault => 'vault_login_limit off;');
my $true = JSON::PP::true();
my $false = JSON::PP::false();
my $no_secret = 'MasterPasswordHash, OTP, or AccessCode must be supplied.';


# A login of alice's; `second` is [provider, code, remember]

sub token_of {
    my ($name, %arg) = @_;

    my $user = user($name);
    my ($provider, $code, $remember) = @{$arg{second} || []};

    return call($arg{on} || $server, 'POST', '/identity/connect/token',
        headers => $arg{headers} || [],
        form => [
            grant_type => 'password', scope => 'api offline_access',
            client_id => 'cli', username => $user->{email},
            password => $arg{password} // $user->{hash}, deviceType => 8,
            deviceIdentifier => $arg{device} // uuid('a device'),
            deviceName => 'test',
            defined $provider ? (twoFactorProvider => $provider) : (),
            defined $code ? (twoFactorToken => $code) : (),
            defined $remember ? (twoFactorRemember => $remember) : (),
        ]);
}


sub ask {
    my ($method, $path, $json, $as, $on) = @_;

    return call($on || $server, $method, "/api/two-factor/$path",
                as => $as // 'alice', defined $json ? (json => $json) : ());
}


sub secret { return { masterPasswordHash => user($_[0] // 'alice')->{hash} } }

sub providers {
    my ($as) = @_;

    my $list = call($server, 'GET', '/api/two-factor', as => $as // 'alice')
        ->{json};
    return [map { $_->{type} } @{$list->{data}}];
}


sub enabled {
    my ($as) = @_;

    my @seen = (
        call($server, 'GET', '/api/accounts/profile', as => $as // 'alice')
            ->{json}{twoFactorEnabled},
        call($server, 'GET', '/api/sync', as => $as // 'alice')
            ->{json}{profile}{twoFactorEnabled});

    return join ' ', map { $_ ? 1 : 0 } @seen;
}


# Lets a step be used again: tests do not wait for half minutes

sub forget_step { sql('UPDATE two_factors SET last_step = NULL'); return }


# Sets an app up: its key

sub set_up {
    my ($as) = @_;

    my $got = ask('POST', 'get-authenticator', secret($as), $as)->{json};
    my $answer = ask('PUT', 'authenticator', {
        key => $got->{key}, token => totp($got->{key}),
        userVerificationToken => $got->{userVerificationToken} }, $as);

    is($answer->{status}, 200, 'an app is set up');
    forget_step();

    return $got->{key};
}


my $policy = { Object => 'masterPasswordPolicy' };
my $question = {
    error => 'invalid_grant', error_description => 'Two factor required.',
    TwoFactorProviders => ['0'], TwoFactorProviders2 => { 0 => undef },
    MasterPasswordPolicy => $policy,
};
my $wrong = {
    error => 'invalid_grant',
    error_description => 'invalid_username_or_password',
    ErrorModel => { Message => 'Two-step token is invalid. Try again.',
                    Object => 'error' },
};

sub refused {
    my ($answer, $json, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    is_deeply($answer->{json}, $json, $name);
}


sub fails {
    my ($answer, $message, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    api_error_like($answer->{body}, $message, $name);
    return;
}


# Without any

is_deeply(call($server, 'GET', '/api/two-factor', as => 'alice')->{json},
          { object => 'list', data => [], continuationToken => undef },
          'no second step at first');
is(enabled(), '0 0', 'and the profile says so');
is_deeply(ask('POST', 'get-recover', secret())->{json},
          { object => 'twoFactorRecover', code => undef },
          'nor a recovery code');
is(token_of('alice', second => [0, '123456', 1])->{status}, 200,
   'a code that nobody asked for does no harm');


# An app is set up

my ($key, $verified, $used);

{
    my $answer = ask('POST', 'get-authenticator', secret());

    is($answer->{status}, 200, 'get-authenticator');
    ($key, $verified) = @{$answer->{json}}{qw(key userVerificationToken)};
    like($key, qr/^[A-Z2-7]{32}$/, 'a key of 160 bits');
    json_like($answer->{body}, {
        object => 'twoFactorAuthenticator', enabled => $false,
        authenticator => { enabled => $false, key => $key },
        userVerificationToken => '<text>',
    }, 'the answer, for newer and older clients');

    isnt(ask('POST', 'get-authenticator', secret())->{json}{key}, $key,
         'each time another key');

    fails(ask('POST', 'get-authenticator',
              { masterPasswordHash => b64('wrong') }),
          'Invalid password.', 'a wrong password');
    fails(ask('POST', 'get-authenticator', {}), $no_secret, 'no password');
}

{
    my $bob = ask('POST', 'get-authenticator', secret('bob'), 'bob')->{json};
    my @bad = (
        ['a wrong code', { token => '000000' }, 'Invalid token.'],
        ['no code at all', { token => 'abcdef' }, 'Invalid token.'],
        ['another key than the token\'s',
         { key => $bob->{key}, token => totp($bob->{key}) },
         'User verification failed.'],
        ['another user\'s token',
         { key => $bob->{key}, token => totp($bob->{key}),
           userVerificationToken => $bob->{userVerificationToken} },
         'User verification failed.'],
        ['an access token instead',
         { userVerificationToken => user('alice')->{token} },
         'User verification failed.'],
        ['nothing that proves anything', { userVerificationToken => undef },
         $no_secret],
        ['a short key',
         { key => 'MFRGG', userVerificationToken => undef, %{secret()} },
         'Invalid key.'],
        ['a key that is no base32',
         { key => '1' x 32, userVerificationToken => undef, %{secret()} },
         'Invalid key.'],
    );

    for my $case (@bad) {
        my ($name, $change, $message) = @$case;
        my $answer = ask('PUT', 'authenticator',
            { key => $key, token => totp($key),
              userVerificationToken => $verified, %$change });

        fails($answer, $message, $name);
    }

    is_deeply(providers(), [], 'none of them set anything up');
}

{
    $used = totp($key);
    my $answer = ask('PUT', 'authenticator',
                     { key => $key, token => $used,
                       userVerificationToken => $verified });

    is($answer->{status}, 200, 'a right code sets it up');
    json_like($answer->{body}, {
        object => 'twoFactorAuthenticatorUpdate', enabled => $true,
        key => $key, authenticator => { enabled => $true, key => $key },
    }, 'the answer');

    is_deeply(call($server, 'GET', '/api/two-factor', as => 'alice')
              ->{json}{data},
              [{ enabled => $true, type => 0,
                 object => 'twoFactorProvider' }], 'the list has it');
    is(enabled(), '1 1', 'the profile says so');
    is(enabled('bob'), '0 0', 'not that of another user');
    json_like(ask('POST', 'get-authenticator', secret())->{body},
              { enabled => $true, key => $key }, 'the key can be seen again');
}


# The login asks for it

refused(token_of('alice'), $question, 'the question');
refused(token_of('alice', second => [0]), $question, 'no code');
refused(token_of('alice', second => [undef, '123456']), $question,
        'no provider');
refused(token_of('alice', second => [0, ' ']), $question, 'an empty code');
refused(token_of('alice', second => ['app', '123456']), $question,
        'a provider that is no number');
is(token_of('alice', password => b64('wrong'))->{json}{ErrorModel}{Message},
   'Username or password is incorrect. Try again.',
   'not to somebody with a wrong password');

refused(token_of('alice', second => [0, $used]), $wrong,
        'the code that set it up was used');
refused(token_of('alice', second => [0, '12345']), $wrong, 'a short code');
refused(token_of('alice', second => [0, totp($key, 3)]), $wrong,
        'a code of the future');
refused(token_of('alice', second => [0, totp($key, -3)]), $wrong,
        'a code of the past');
refused(token_of('alice', second => [1, totp($key, 1)]), $wrong,
        'a provider that is not set up');
refused(token_of('alice', second => [$_, totp($key, 1)]), $wrong,
        "provider $_") for 2, 3, 4, 6, 7, 99;

{
    $used = totp($key, 1);
    my $answer = token_of('alice', second => [0, $used]);

    is($answer->{status}, 200, 'the next code logs in');
    ok(!exists $answer->{json}{TwoFactorToken}, 'without a token to remember');

    my $bearer = "Authorization: Bearer $answer->{json}{access_token}";
    is(call($server, 'GET', '/api/accounts/profile', headers => [$bearer])
       ->{status}, 200, 'the session is one');
    is(call($server, 'POST', '/identity/connect/token', form => [
           grant_type => 'refresh_token', client_id => 'cli',
           refresh_token => $answer->{json}{refresh_token}])->{status}, 200,
       'and goes on without being asked');

    refused(token_of('alice', second => [0, $used]), $wrong,
            'the same code again');
    forget_step();
    is(token_of('alice', second => [0, totp($key) . ' '])->{status}, 200,
       'a code with a space behind it');
    refused(token_of('alice', second => [0, totp($key, -1)]), $wrong,
            'an older code after a newer one');
}


# The same code from many at once, on two workers: one of them is first.

{
    forget_step();

    my $code = totp($key, 1);
    my @pids;

    for my $n (1 .. 8) {
        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            my $status = token_of('alice', device => uuid("racer $n"),
                                  second => [0, $code])->{status};
            POSIX::_exit($status == 200 ? 0 : $status == 400 ? 1 : 2);
        }

        push @pids, $pid;
    }

    my %count;
    for my $pid (@pids) {
        waitpid $pid, 0;
        $count{$? >> 8}++;
    }

    is_deeply(\%count, { 0 => 1, 1 => 7 }, 'a code logs in once, of eight');
}


# The API key needs no second step, and a device may be remembered.

{
    my $api_key = call($server, 'POST', '/api/accounts/api-key',
                       as => 'alice', json => secret())->{json}{apiKey};

    is(call($server, 'POST', '/identity/connect/token', form => [
           grant_type => 'client_credentials', scope => 'api',
           client_id => 'user.' . user('alice')->{id},
           client_secret => $api_key, deviceType => 25,
           deviceIdentifier => uuid('script'), deviceName => 'script',
       ])->{status}, 200, 'the API key is not asked for a code');

    forget_step();
    my $answer = token_of('alice', second => [0, totp($key), '1 ']);
    my $remembered = $answer->{json}{TwoFactorToken};

    is($answer->{status}, 200, 'a login that asks to be remembered');
    like($remembered, qr/^[\w-]+\.[\w-]+\.[\w-]+$/, 'gets a token');

    my $again = token_of('alice', second => [5, $remembered, 1]);
    is($again->{status}, 200, 'the token is a second step');
    ok(!exists $again->{json}{TwoFactorToken}, 'and gives no new one');

    refused(token_of('alice', device => uuid('another device'),
                     second => [5, $remembered]), $question,
            'not on another device');
    refused(token_of('alice', second => [5, substr($remembered, 0, -3)
                                          . 'AAA']), $question,
            'nor if it was altered');
    refused(token_of('alice', second => [5, user('alice')->{token}]),
            $question, 'nor is an access token one');
    refused(token_of('alice', second => [0, $remembered]), $wrong,
            'nor is it a code');

    forget_step();
    my $none = token_of('alice', second => [0, totp($key), '0 ']);
    ok(!exists $none->{json}{TwoFactorToken}, '"0 " asks for nothing');

    set_up('bob');
    refused(token_of('bob', second => [5, $remembered]), $question,
            'nor for another user');

    call($server, 'POST', '/api/accounts/security-stamp', as => 'alice',
         json => secret());
    refused(token_of('alice', second => [5, $remembered]), $question,
            'it ends with the security stamp');
}


# The recovery code

sub sign_in {
    my ($name, @second) = @_;

    my $answer = token_of($name, second => \@second,
                          device => user($name)->{device});
    is($answer->{status}, 200, "$name is in again");
    user($name)->{token} = $answer->{json}{access_token};
    return;
}

{
    forget_step();
    sign_in('alice', 0, totp($key));
    fails(ask('PUT', 'authenticator',
              { key => $key, token => totp($key, 1),
                userVerificationToken => $verified }),
          'User verification failed.',
          'what get-authenticator gave ends with the stamp too');

    my $code = ask('POST', 'get-recover', secret())->{json}{code};
    like($code, qr/^[a-z2-7]{32}$/, 'a recovery code');
    is(ask('POST', 'get-recover', secret())->{json}{code}, $code,
       'the same each time');
    isnt(ask('POST', 'get-recover', secret('bob'), 'bob')->{json}{code},
         $code, 'not that of another user');

    refused(token_of('alice', second => [8, 'a' x 32]), $wrong,
            'a wrong recovery code');
    refused(token_of('alice', second => [8, substr $code, 1]), $wrong,
            'a part of it');
    is_deeply(providers(), [0], 'nothing has changed');

    my $typed = uc join ' ', $code =~ /(.{4})/g;
    my $answer = token_of('alice', second => [8, $typed, 1]);

    is($answer->{status}, 200, 'the recovery code logs in');
    ok(!exists $answer->{json}{TwoFactorToken}, 'nothing to remember');
    is_deeply(providers(), [], 'and turns all others off');
    is(enabled(), '0 0', 'the profile says so');
    is(token_of('alice')->{status}, 200, 'the password is enough now');
    is(ask('POST', 'get-recover', secret())->{json}{code}, undef,
       'it was used up');
    is_deeply(providers('bob'), [0], 'another user keeps his');

    $key = set_up('alice');
    refused(token_of('alice', second => [8, $code]), $wrong,
            'the old code is of no use');

    my $new = ask('POST', 'get-recover', secret())->{json}{code};
    isnt($new, $code, 'there is a new one');

    my %old = (email => user('alice')->{email}, recoveryCode => $new,
               masterPasswordHash => user('alice')->{hash});
    my $recover = sub {
        return call($server, 'POST', '/api/two-factor/recover',
                    json => { %old, @_ });
    };

    fails($recover->(masterPasswordHash => b64('wrong')),
          'Username or password is incorrect. Try again.',
          'recover - a wrong password');
    fails($recover->(email => 'nobody@example.com'),
          'Username or password is incorrect. Try again.',
          'recover - nobody');
    fails($recover->(recoveryCode => $code),
          'Recovery code is incorrect. Try again.', 'recover - an old code');
    is_deeply(providers(), [0], 'nothing was turned off');
    is($recover->()->{status}, 200, 'recover - as older clients do it');
    is_deeply(providers(), [], 'all are off');
    is($recover->()->{status}, 400, 'recover - only once');
}


# Turning one off

{
    $key = set_up('alice');
    my $got = ask('POST', 'get-authenticator', secret())->{json};

    is(ask('DELETE', 'authenticator',
           { key => $key, userVerificationToken => 'x' })->{status}, 400,
       'not without a proof');
    is_deeply(ask('DELETE', 'authenticator', { key => $key,
                  userVerificationToken => $got->{userVerificationToken} })
              ->{json},
              { enabled => $false, type => 0, object => 'twoFactorProvider' },
              'with one');
    is_deeply(providers(), [], 'it is off');

    $key = set_up('alice');

    for my $method (qw(PUT POST)) {
        is(ask($method, 'disable', { type => 0, masterPasswordHash =>
                                     b64('wrong') })->{status}, 400,
           "$method disable - a wrong password");
        is(ask($method, 'disable', { type => 5, %{secret()} })->{status}, 400,
           "$method disable - what cannot be on");
    }

    is_deeply(providers(), [0], 'still on');
    is(ask('PUT', 'disable', { type => 0, %{secret()} })->{status}, 200,
       'PUT disable');
    is_deeply(providers(), [], 'off');
    is(ask('POST', 'disable', { type => 0, %{secret()} })->{status}, 200,
       'POST disable, of what is off');
    is(token_of('alice')->{status}, 200, 'the password is enough');

    my $again = ask('POST', 'get-authenticator', secret())->{json}{key};
    is(ask('POST', 'authenticator', { key => lc $again, %{secret()},
           token => join ' ', totp($again) =~ /(...)/g })->{status}, 200,
       'set up as older clients do, by hand');
    is(ask('POST', 'get-authenticator', secret())->{json}{key}, $again,
       'its key in capitals');
}


# Guesses are limited; those that are right do not count.

{
    my $limited = vault_server(name => 'limited');
    my $bob = ask('POST', 'get-authenticator', secret('bob'), 'bob')
        ->{json}{key};

    for my $n (1 .. 12) {
        forget_step();
        is(token_of('bob', on => $limited, second => [0, totp($bob)])
           ->{status}, 200, 'right codes') if $n == 1 || $n == 12;
        token_of('bob', on => $limited, second => [0, totp($bob)])
            if $n > 1 && $n < 12;
    }

    my @seen = map {
        token_of('bob', on => $limited, second => [0, '000001'])->{status}
    } 1 .. 12;

    is("@seen", '400 ' x 10 . '429 429', 'ten wrong codes, then none');

    forget_step();
    is(token_of('bob', on => $limited, second => [0, totp($bob)])->{status},
       429, 'not even a right one');
    is(token_of('bob', on => $limited)->{status}, 400,
       'the question is still asked');
    is(call($limited, 'POST', '/api/two-factor/recover', json => {
           email => user('bob')->{email}, recoveryCode => 'x',
           %{secret('bob')} })->{status}, 429, 'nor by way of recovery');

    is_deeply([$limited->stop], [], 'ended without a complaint');
}


# An account takes its steps with it

{
    my $id = user('bob')->{id};

    like(sql("SELECT count(*) FROM two_factors WHERE user_id = '$id'"),
         qr/^2$/, 'bob has an app and a recovery code');
    is(call($server, 'DELETE', '/api/accounts', as => 'bob',
            json => secret('bob'))->{status}, 200, 'bob leaves');
    like(sql("SELECT count(*) FROM two_factors WHERE user_id = '$id'"),
         qr/^0$/, 'with both');
}

unlike($server->log_text, qr/\Q$key\E/, 'no key in the log');
stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
