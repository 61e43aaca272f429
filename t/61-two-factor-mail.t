# The second step of a login by mail: setting it up, the code that is asked
# for, and what is told by mail.

use strict;
use warnings;

use Test::More 'no_plan';

use VaultMail;
use VaultServer qw(sql);
use VaultTest;
use VaultTotp;

my $mail = VaultMail->new;
my $server = $mail->vault(vault => 'vault_login_limit off;');
my $true = JSON::PP::true();
my $false = JSON::PP::false();
my $no_secret = 'MasterPasswordHash, OTP, or AccessCode must be supplied.';
my $box = 'alice.box@example.org';
my $taken = 0;


sub ask {
    my ($method, $path, $json, %arg) = @_;

    return call($arg{on} || $server, $method, "/api/two-factor/$path",
                exists $arg{as} ? () : (as => 'alice'),
                $arg{as} ? (as => $arg{as}) : (),
                headers => $arg{version}
                    ? ["Bitwarden-Client-Version: $arg{version}"] : [],
                json => $json);
}


sub secret { return { masterPasswordHash => user($_[0] // 'alice')->{hash} } }


sub token_of {
    my (%arg) = @_;

    my $user = user($arg{user} // 'alice');
    my ($provider, $code) = @{$arg{second} || []};

    return call($arg{on} || $server, 'POST', '/identity/connect/token',
        headers => $arg{version}
            ? ["Bitwarden-Client-Version: $arg{version}"] : [],
        form => [
            grant_type => 'password', scope => 'api offline_access',
            client_id => 'cli', username => $user->{email},
            password => $user->{hash}, deviceType => $arg{type} // 8,
            deviceIdentifier => $arg{device} // $user->{device},
            deviceName => 'test',
            defined $provider ? (twoFactorProvider => $provider,
                                 twoFactorToken => $code) : (),
        ]);
}


# The next mail, once it has come: its subject, or the code in it

sub next_mail {
    my ($subject, $to) = @_;

    my $message = $mail->wait_for(++$taken)->[$taken - 1] || {};
    my $words = $message->{headers}{Subject} // '';

    like($words, $subject, 'its subject');
    is($message->{to}, $to, 'its recipient');

    return $words;
}


sub next_code {
    my ($to) = @_;

    return next_mail(qr/code: \d{6}$/, $to) =~ /(\d{6})/ ? $1 : '';
}


sub no_mail_came {
    my ($name) = @_;

    is(scalar @{$mail->wait_for($taken + 1, 0.3)}, $taken, $name);
    return;
}


sub fails {
    my ($answer, $message, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    api_error_like($answer->{body}, $message, $name);
    return;
}


sub other {
    my ($code) = @_;

    return sprintf '%06d', ($code + 1) % 1_000_000;
}

my $wrong = {
    error => 'invalid_grant',
    error_description => 'invalid_username_or_password',
    ErrorModel => { Message => 'Two-step token is invalid. Try again.',
                    Object => 'error' },
};


# Setting up

my $verified;

{
    my $answer = ask('POST', 'get-email', secret());

    is($answer->{status}, 200, 'get-email');
    json_like($answer->{body}, {
        object => 'twoFactorEmail', userVerificationToken => '<text>',
        email => { enabled => $false, email => undef },
    }, 'as newer clients read it');
    $verified = $answer->{json}{userVerificationToken};

    json_like(ask('POST', 'get-email', secret(), version => '2026.6.1')
              ->{body}, { enabled => $false, email => undef },
              'as older clients read it');
    fails(ask('POST', 'get-email', {}), $no_secret, 'no password');

    my %form = (email => $box, userVerificationToken => $verified);

    for my $case (
        ['no address', { email => undef }, ''],
        ['no address at all', { email => 'nowhere' }, ''],
        ['two lines', { email => "a\@b.example\r\nBcc: c\@d.example" }, ''],
        ['a forged token', { userVerificationToken => 'x' },
         'User verification failed.'],
        ['no proof', { userVerificationToken => undef }, $no_secret],
        ['what proves something else', { userVerificationToken =>
            ask('POST', 'get-authenticator', secret())
                ->{json}{userVerificationToken} },
         'User verification failed.'])
    {
        my ($name, $change, $message) = @$case;
        fails(ask('POST', 'send-email', { %form, %$change }), $message,
              "send-email - $name");
    }

    no_mail_came('none of them sent anything');

    is(ask('POST', 'send-email', \%form)->{status}, 200, 'send-email');
    my $code = next_code($box);
    like($mail->messages->[-1]{parts}{'text/plain'},
         qr/^The account alice\@example\.com at /, 'which says for whom');
    my %set = (%form, token => $code);

    fails(ask('PUT', 'email', { %set, token => other($code) }),
          'Invalid token.', 'a wrong code');
    fails(ask('PUT', 'email', { %set, email => 'other@example.org' }),
          'Invalid token.', 'a code for another address');
    is_deeply(call($server, 'GET', '/api/two-factor', as => 'alice')
              ->{json}{data}, [], 'nothing is set up');

    json_like(ask('PUT', 'email', { %set, email => uc $box })->{body}, {
        object => 'twoFactorEmailUpdate',
        email => { enabled => $true, email => $box },
    }, 'the right one sets it up');
    fails(ask('PUT', 'email', \%set), 'Invalid token.', 'but only once');

    is_deeply(call($server, 'GET', '/api/two-factor', as => 'alice')
              ->{json}{data}, [{ enabled => $true, type => 1,
                                 object => 'twoFactorProvider' }],
              'the list has it');
    json_like(ask('POST', 'get-email', secret())->{body},
              { email => { enabled => $true, email => $box } },
              'the address can be seen again');
    like(ask('POST', 'get-recover', secret())->{json}{code},
         qr/^[a-z2-7]{32}$/, 'with it came a recovery code');
}


# Logging in

my $session;

{
    my $answer = token_of();

    is($answer->{status}, 400, 'the question');
    $session = delete $answer->{json}{SsoEmail2faSessionToken};
    like($session, qr/^[\w-]+\.[\w-]+\.[\w-]+$/, 'with a token');
    is_deeply($answer->{json}, {
        error => 'invalid_grant',
        error_description => 'Two factor required.',
        TwoFactorProviders => ['1'],
        TwoFactorProviders2 => { 1 => { Email => 'al*******@example.org' } },
        MasterPasswordPolicy => { Object => 'masterPasswordPolicy' },
        Email => 'alice@example.com',
    }, 'the question itself');
    no_mail_came('it sends nothing by itself');

    my %form = (email => user('alice')->{email}, %{secret()},
                deviceIdentifier => uuid('a device'));
    my $send = sub {
        return ask('POST', 'send-email-login', { %form, @_ }, as => undef);
    };
    my $no = 'Cannot send two-factor email.';

    fails($send->(masterPasswordHash => b64('wrong')), $no,
          'a wrong password');
    fails($send->(masterPasswordHash => undef), $no, 'no password');
    fails($send->(email => 'nobody@example.com'), $no, 'nobody');
    fails($send->(ssoEmail2FaSessionToken => 'x'), $no, 'a forged token');
    fails($send->(ssoEmail2FaSessionToken => $verified), $no,
          'a token for something else');
    fails($send->(email => user('bob')->{email}, %{secret('bob')}), $no,
          'somebody without this step');
    fails($send->(email => user('bob')->{email},
                  ssoEmail2FaSessionToken => $session), $no,
          'another one\'s token');
    no_mail_came('none of them sent anything');

    is($send->()->{status}, 200, 'the right password sends a code');
    my $code = next_code($box);
    like($mail->messages->[-1]{parts}{'text/plain'},
         qr/ as alice\@example\.com, type this code:/, 'for the account');

    is_deeply(token_of(second => [1, other($code)])->{json}, $wrong,
              'a wrong code');
    is_deeply(token_of(second => [0, $code])->{json}, $wrong,
              'the code of another step');
    fails(ask('PUT', 'email', { email => $box, token => $code,
                                userVerificationToken => $verified }),
          'Invalid token.', 'a code to log in sets nothing up');
    is(token_of(second => [1, " $code "])->{status}, 200, 'the right one');
    is_deeply(token_of(second => [1, $code])->{json}, $wrong,
              'but only once');

    is($send->(masterPasswordHash => undef,
               ssoEmail2FaSessionToken => $session)->{status}, 200,
       'the token that came with the question will do');
    my $old = next_code($box);
    is($send->()->{status}, 200, 'another code');
    my $new = next_code($box);

    is_deeply(token_of(second => [1, $old])->{json}, $wrong,
              'ends the one before') if $old ne $new;
    is(token_of(second => [1, $new])->{status}, 200, 'and is good');

    is($send->()->{status}, 200, 'a code to guess');
    $code = next_code($box);
    token_of(second => [1, sprintf '%06d', ($code + $_) % 1_000_000])
        for 1 .. 5;
    is_deeply(token_of(second => [1, $code])->{json}, $wrong,
              'after five wrong ones it is gone');

    is($send->()->{status}, 200, 'a code that grows old');
    $code = next_code($box);
    sql('UPDATE proofs SET expires_at = expires_at - 600000');
    is_deeply(token_of(second => [1, $code])->{json}, $wrong,
              'is no good after ten minutes');
}


# Clients that wait for a code which they have not asked for

{
    is(token_of(version => '2025.4.2')->{status}, 400, 'an old client');
    is(token_of(second => [1, next_code($box)])->{status}, 200,
       'is sent a code at once');
    is(token_of(version => '2025.5.0')->{status}, 400, 'a newer one');
    no_mail_came('is not');
}


# Two steps to choose from

{
    my $key = ask('POST', 'get-authenticator', secret())->{json}{key};

    is(ask('PUT', 'authenticator',
           { key => $key, token => totp($key), %{secret()} })->{status}, 200,
       'an app too');

    my $asked = token_of(version => '2025.4.2')->{json};
    is_deeply([@$asked{qw(TwoFactorProviders TwoFactorProviders2)}],
              [['0', '1'], { 0 => undef,
                             1 => { Email => 'al*******@example.org' } }],
              'both are offered');
    no_mail_came('and nothing is sent unasked');
    is(token_of(second => [0, totp($key, 1)])->{status}, 200,
       'the one logs in');
    is(ask('POST', 'send-email-login',
           { email => user('alice')->{email}, %{secret()} }, as => undef)
       ->{status}, 200, 'for the other');
    is(token_of(second => [1, next_code($box)])->{status}, 200,
       'a code is sent');
}


# A login that stops half way is told, once, unless it goes on.

{
    my $waiting = sub {
        return sql("SELECT count(*) FROM mails"
                   . " WHERE template = 'incomplete-login'") + 0;
    };

    is($waiting->(), 0, 'all logins so far went on');
    token_of();
    is($waiting->(), 1, 'one that is asked for the second step is noted');
    token_of(second => [1, '000000']);
    is($waiting->(), 1, 'with a wrong code it is the same one');
    token_of(device => uuid('an intruder'), type => 10);
    is($waiting->(), 2, 'from another device another one');

    is(ask('POST', 'send-email-login',
           { email => user('alice')->{email}, %{secret()} }, as => undef)
       ->{status}, 200, 'for the one');
    is(token_of(second => [1, next_code($box)])->{status}, 200,
       'which goes on');
    is($waiting->(), 1, 'nothing is told');

    sql("UPDATE mails SET due_at = 1");
    is(ask('POST', 'send-email-login',
           { email => user('alice')->{email}, %{secret()} }, as => undef)
       ->{status}, 200, 'when the other\'s time has come');

    my @came = sort map { $_->{headers}{Subject} =~ s/\d{6}/N/r }
               @{$mail->wait_for($taken + 2)}[$taken, $taken + 1];
    $taken += 2;
    is_deeply(\@came, ['A login without the second step',
                       'Your login code: N'], 'it is told');
    is($waiting->(), 0, 'once');
}


# A new device needs no code of its own where there is a second step.

{
    sql('UPDATE users SET created_at = created_at - 100000000');

    my $asked = token_of(device => uuid('a new device'));
    is($asked->{json}{error_description}, 'Two factor required.',
       'a new device is asked for the second step');
    is(ask('POST', 'send-email-login',
           { email => user('alice')->{email}, %{secret()} }, as => undef)
       ->{status}, 200, 'a code for it');
    is(token_of(device => uuid('a new device'), second => [1, next_code($box)])
       ->{status}, 200, 'and for nothing else');
    next_mail(qr/^New login to your account$/, 'alice@example.com');
}


# What ends with the security stamp

{
    is(ask('POST', 'send-email-login',
           { email => user('alice')->{email}, %{secret()} }, as => undef)
       ->{status}, 200, 'a code is open');
    my $code = next_code($box);
    my $open = token_of()->{json}{SsoEmail2faSessionToken};

    is(call($server, 'POST', '/api/accounts/security-stamp', as => 'alice',
            json => secret())->{status}, 200, 'all sessions end');
    is_deeply(token_of(second => [1, $code])->{json}, $wrong,
              'so does the code');
    fails(ask('POST', 'send-email-login',
              { email => user('alice')->{email},
                ssoEmail2FaSessionToken => $open }, as => undef),
          'Cannot send two-factor email.', 'and the token for another');
}


# Recovery is told by mail; then without this step

{
    is(ask('POST', 'send-email-login',
           { email => user('alice')->{email}, %{secret()} }, as => undef)
       ->{status}, 200, 'a code');
    my $in = token_of(second => [1, next_code($box)]);
    user('alice')->{token} = $in->{json}{access_token};

    my $recovery = ask('POST', 'get-recover', secret())->{json}{code};
    is(token_of(second => [8, $recovery])->{status}, 200, 'recovery');

    next_mail(qr/^Two-step login was turned off$/, 'alice@example.com');
    is(token_of()->{status}, 200, 'no second step any more');

    fails(ask('POST', 'send-email-login',
              { email => user('alice')->{email}, %{secret()} },
              as => undef),
          'Cannot send two-factor email.', 'and no code for it');
}


# Off again, in all the ways

{
    for my $way (
        ['DELETE', 'email', {}],
        ['PUT', 'disable', { type => 1 }])
    {
        my ($method, $path, $form) = @$way;

        is(ask('POST', 'send-email', { email => $box, %{secret()} })
           ->{status}, 200, 'set up as older clients do');
        json_like(ask('POST', 'email', { email => $box, %{secret()},
                                         token => next_code($box) },
                      version => '2025.10.0')->{body},
                  { enabled => $true, email => $box }, 'the old answer');
        is(ask($method, $path, $form)->{status}, 400,
           "$method $path - not without a proof");
        is_deeply(ask($method, $path, { %$form, %{secret()} })->{json},
                  { enabled => $false, type => 1,
                    object => 'twoFactorProvider' }, "$method $path");
        is(token_of()->{status}, 200, 'it is off');
    }
}


# Too many codes; no mail at all

{
    my $limited = $mail->vault(name => 'limited');
    my @seen = map {
        ask('POST', 'send-email', { email => $box, %{secret()} },
            on => $limited)->{status}
    } 1 .. 12;

    is("@seen", '200 ' x 10 . '429 429', 'ten codes, then none');
    is_deeply([$limited->stop], [], 'ended without a complaint');

    my $none = vault_server(name => 'none');
    fails(ask('POST', 'send-email', { email => $box, %{secret()} },
              on => $none), 'This server sends no mail.',
          'a server without mail');
    is_deeply([$none->stop], [], 'ended without a complaint');
}


{
    my $id = user('alice')->{id};

    like(sql("SELECT count(*) FROM proofs WHERE user_id = '$id'"),
         qr/^[1-9]$/, 'codes are open');
    is(call($server, 'DELETE', '/api/accounts', as => 'alice',
            json => secret())->{status}, 200, 'alice leaves');
    like(sql("SELECT count(*) FROM proofs WHERE user_id = '$id'"),
         qr/^0$/, 'with them');
}

unlike($server->log_text, qr/code: \d{6}/, 'no code in the log');
stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
