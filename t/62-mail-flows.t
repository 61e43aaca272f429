# What an account does by links in mails: each works once, for what it was made
# for, and nobody learns who has an account here.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultFlow;
use VaultServer qw(sql);
use VaultTest 'debug';

my $ORIGIN = $VaultServer::ORIGIN;


my $kdf = { kdfType => 0, iterations => 600000 };

sub finish {
    my ($server, $email, $token) = @_;

    return call($server, 'POST', '/identity/accounts/register/finish',
        json => {
            email => $email, emailVerificationToken => $token,
            masterPasswordHint => "the hint of $email",
            masterPasswordAuthentication => {
                kdf => $kdf, salt => $email,
                masterPasswordAuthenticationHash => b64("hash of $email"),
            },
            masterPasswordUnlock => {
                kdf => $kdf, salt => $email,
                masterKeyWrappedUserKey => enc('user key'),
            },
            userAsymmetricKeys => {
                publicKey => public_key('somebody'),
                encryptedPrivateKey => enc('private key'),
            },
        });
}


sub ask {
    my ($server, $email) = @_;

    return call($server, 'POST',
        '/identity/accounts/register/send-verification-email',
        json => { email => $email, name => 'Zoë & Co' });
}


# Registration

sub test_registration {
    my $server = vault();
    my $email = 'new+1@example.com';

    empty(ask($server, $email), 204, 'the answer holds no token');
    my $arg = link_in(message($email, qr/^Finish creating/),
                      "$ORIGIN/redirect-connector.html#finish-signup?");
    is($arg->{email}, $email, '  for that address');
    is($arg->{fromEmail}, 'true', '  and from a mail');

    refused(finish($server, 'other@example.com', $arg->{token}), qr/Expired/,
            'for another address');
    is(call($server, 'POST',
            '/identity/accounts/register/verification-email-clicked',
            json => { email => $email,
                      emailVerificationToken => $arg->{token} })->{status},
       200, 'the link was opened');
    is(finish($server, $email, $arg->{token})->{status}, 200,
       'an account by the link');
    like(message($email, qr/^Welcome/), qr/\Q$email\E/, '  is welcome');
    is(sql("SELECT email_verified FROM users WHERE email = '$email'"), "1\n",
       '  and its address proved');
    refused(finish($server, $email, $arg->{token}), qr/already taken/,
            'a second one');
    no_message($email, '  causes no mail');

    sql("UPDATE users SET email = 'moved\@example.com' WHERE email = '$email'");
    refused(finish($server, $email, $arg->{token}), qr/Expired/,
            'nor is the link good for another account');
    is(sql("SELECT count(*) FROM users WHERE email = '$email'"), "0\n",
       '  which there is not');
    sql("UPDATE users SET email = '$email' WHERE email = 'moved\@example.com'");

    empty(ask($server, $email), 204, 'an address with an account');
    unlike(message($email, qr/already have an account/), qr/token=/,
           '  gets a mail without a token');

    # a token that no mail has proved
    my $plain = vault_server(name => 'plain');
    my $token = ask($plain, 'plain@example.com')->{json};
    refused(finish($server, 'plain@example.com', $token), qr/Expired/,
            'a token from before there was mail');
    ends_clean($plain);

    refused(call($server, 'POST', '/identity/accounts/register',
                 json => { email => 'old@example.com',
                           masterPasswordHash => b64('hash'),
                           key => enc('key'), kdf => 0,
                           kdfIterations => 600000 }),
            qr/verify your email address first/, 'the oldest form');
    is(sql("SELECT count(*) FROM users WHERE email = 'old\@example.com'"),
       "0\n", '  makes no account');
    ends_clean($server);

    $server = vault(vault => 'vault_signups_verify off;');
    is(call($server, 'POST', '/identity/accounts/register',
            json => { email => 'old@example.com', kdf => 0,
                      masterPasswordHash => b64('hash of old@example.com'),
                      key => enc('key'), kdfIterations => 600000,
                      keys => { publicKey => public_key('old'),
                                encryptedPrivateKey => enc('private') }
                    })->{status},
       200, 'the oldest form where nobody must prove an address');
    is(sql('SELECT email_verified FROM users'
           . " WHERE email = 'old\@example.com'"), "0\n", '  and has not');
    message('old@example.com', qr/^Welcome/);

    my $answer = ask($server, 'open@example.com');
    is($answer->{status}, 200, 'the newest form there: the answer has a token');
    no_message('open@example.com', '  and no mail');
    is(finish($server, 'open@example.com', $answer->{json})->{status}, 200,
       '  with which an account is made');
    message('open@example.com', qr/^Welcome/);
    is(sql('SELECT email_verified FROM users'
           . " WHERE email = 'open\@example.com'"), "0\n",
       '  and its address not proved');

    sql("DELETE FROM users WHERE email = 'open\@example.com'");
    refused(finish($server, 'open@example.com', $answer->{json}),
            qr/Expired/, '  once only');
    is(finish($server, 'open@example.com',
              ask($server, 'open@example.com')->{json})->{status}, 200,
       '  but there may be another');
    message('open@example.com', qr/^Welcome/);
    ends_clean($server);
}


# Whose address nobody has proved may be somebody else, who did not ask for it.

sub test_unproved {
    my $server = vault(vault => 'vault_signups_verify off;');
    my $email = 'victim@example.com';
    my $user = { email => $email, hash => b64("hash of $email") };

    is(finish($server, $email, ask($server, $email)->{json})->{status}, 200,
       'an account of an address that is not proved');
    message($email, qr/^Welcome/);
    is(token($server, $user, "device $_")->{status}, 200, "  on device $_")
        for 1 .. 8;
    message($email, qr/^New login/) for 1 .. 4;
    no_message($email, '  five mails an hour, whatever they say');

    sql("UPDATE users SET email_verified = 1 WHERE email = '$email'");
    token($server, $user, 'one more');
    message($email, qr/^New login/);
    no_message($email, '  an owner hears of each login');
    ends_clean($server);
}


# Proving it later

sub test_verify {
    my $server = vault();
    my $old = { email => 'old@example.com',
                hash => b64('hash of old@example.com') };
    my $answer = token($server, $old, 'first');

    is($answer->{status}, 400, 'who must prove the address gets in after');
    like($answer->{json}{ErrorModel}{Message}, qr/verify your email/,
         '  and is told so');
    my $arg = link_in(message($old->{email}, qr/^Verify your email/),
                      "$ORIGIN/#/verify-email?");

    my $open = vault(vault => 'vault_signups_verify off;');
    my $session = "Authorization: Bearer "
                  . token($open, $old, 'first')->{json}{access_token};
    empty(post($open, 'verify-email', {}, headers => [$session]), 200,
          'a link that was asked for');
    my $newer = link_in(message($old->{email}, qr/^Verify your email/),
                        "$ORIGIN/#/verify-email?");

    refused(post($open, 'verify-email-token', $arg), 'Invalid token.',
            'the older link is of no use any more');
    refused(post($open, 'verify-email-token',
                 { %$newer, userId => uuid('nobody') }), 'Invalid token.',
            'somebody who is not there');
    refused(post($open, 'verify-email-token',
                 { %$newer, userId => user('bob')->{id} }), 'Invalid token.',
            'somebody else');
    refused(post($open, 'delete-recover-token', $newer), 'Invalid token.',
            'for something else');
    empty(post($open, 'verify-email-token', $newer), 200, 'the newer one');
    refused(post($open, 'verify-email-token', $newer), 'Invalid token.',
            'a second time');
    refused(post($open, 'verify-email', {}, headers => [$session]),
            'Email already verified.', 'it has been proved');

    is(token($server, $old, 'first')->{status}, 200, 'and opens the door');
    is(call($server, 'GET', '/api/accounts/profile',
            headers => [$session])->{json}{emailVerified}, 1,
       'clients see it');
    ends_clean($open);
    ends_clean($server);
}


# Hints

sub test_hint {
    my $server = vault();
    my $email = 'new+1@example.com';

    empty(post($server, 'password-hint', { email => 'New+1@example.com' }),
          200, 'a hint');
    like(message($email, qr/password hint/), qr/^the hint of \Q$email\E\r?$/m,
         '  is in the mail');
    empty(post($server, 'password-hint',
               { email => user('bob')->{email} }), 200, 'no hint');
    like(message('bob@example.com', qr/password hint/), qr/have not set one/,
         '  is told in the mail');
    empty(post($server, 'password-hint', { email => 'nobody@example.com' }),
          200, 'nobody');
    no_message('nobody@example.com', '  gets no mail');

    empty(post($server, 'password-hint', { email => $email }), 200,
          'hint ' . $_) for 2 .. 8;
    sleep 0.5;
    is(scalar(grep { $_->{headers}{Subject} =~ /hint/ }
                   messages_to($email)), 5, 'five mails an hour');
    forget_messages($email);
    ends_clean($server);

    $server = vault_server(name => 'nomail');
    refused(post($server, 'password-hint', { email => $_ }),
            qr/sends no mail/, "without mail: $_")
        for $email, 'nobody@example.com';
    ends_clean($server);

    $server = vault_server(name => 'show',
                           vault => 'vault_password_hint show;');
    refused(post($server, 'password-hint', { email => $email }),
            "Your password hint is: the hint of $email", 'shown');
    refused(post($server, 'password-hint', { email => $_ }),
            'There is no password hint.', "shown: $_")
        for 'bob@example.com', 'nobody@example.com';
    post($server, 'password-hint', { email => $email }) for 1 .. 4;
    is(post($server, 'password-hint', { email => $email })->{status}, 429,
       'not often');
    ends_clean($server);
}


# Deleting by mail

sub test_delete {
    my $server = vault();
    my $grace = user('grace');
    my %mail = (email => $grace->{email});

    empty(post($server, 'delete-recover', { email => 'nobody@example.com' }),
          200, 'nobody');
    no_message('nobody@example.com', '  gets no mail');
    empty(post($server, 'delete-recover', \%mail), 200, 'somebody');
    my $arg = link_in(message($grace->{email}, qr/^Delete your account/),
                      "$ORIGIN/#/verify-recover-delete?");
    is($arg->{userId}, $grace->{id}, '  with an id');
    is($arg->{email}, $grace->{email}, '  and an address');

    refused(post($server, 'delete-recover-token',
                 { %$arg, token => "x$arg->{token}" }), 'Invalid token.',
            'a wrong token');
    refused(post($server, 'delete-recover-token',
                 { %$arg, userId => user('bob')->{id} }), 'Invalid token.',
            'somebody else');
    refused(post($server, 'verify-email-token', $arg), 'Invalid token.',
            'for something else');

    is(post($server, 'security-stamp', { masterPasswordHash =>
            $grace->{hash} }, as => 'grace')->{status}, 200,
       'all sessions end');
    refused(post($server, 'delete-recover-token', $arg), 'Invalid token.',
            'and the link with them');

    post($server, 'delete-recover', \%mail);
    $arg = link_in(message($grace->{email}, qr/^Delete your account/),
                   "$ORIGIN/#/verify-recover-delete?");
    sql("UPDATE proofs SET expires_at = 1 WHERE user_id = '$grace->{id}'");
    refused(post($server, 'delete-recover-token', $arg), 'Invalid token.',
            'too late');

    post($server, 'delete-recover', \%mail);
    $arg = link_in(message($grace->{email}, qr/^Delete your account/),
                   "$ORIGIN/#/verify-recover-delete?");
    empty(post($server, 'delete-recover-token', $arg), 200, 'deleted');
    is(sql("SELECT count(*) FROM users WHERE id = '$grace->{id}'"), "0\n",
       '  with the account');
    is(sql("SELECT count(*) FROM proofs WHERE user_id = '$grace->{id}'"),
       "0\n", '  and its links');
    refused(post($server, 'delete-recover-token', $arg), 'Invalid token.',
            'a second time');
    ends_clean($server);

    $server = vault_server(name => 'nomail3');
    refused(post($server, 'delete-recover', { email => $_ }),
            qr/sends no mail/, "without mail: $_")
        for 'bob@example.com', 'nobody@example.com';
    ends_clean($server);
    forget_users('grace');
}


# Whether an account exists changes neither the answer nor the work

sub work_of {
    my ($server, @ask) = @_;

    my $before = status($server)->{database}{statements};
    my $answer = call($server, 'POST', @ask);
    my ($end, $now, $last) = (time + 3 * $VaultNginx::SLOW, 0, -1);

    while (time < $end && $now != $last) {        # its mail is sent
        sleep 0.3;
        ($last, $now) = ($now, status($server)->{database}{statements});
    }

    return join ' ', $answer->{status}, $answer->{body} // '',
                $now - $before;
}


sub test_alike {
    my $server = vault();
    my $bob = user('bob');
    my @pairs = (
        ['/api/accounts/password-hint',
         map { { email => $_ } } $bob->{email}, 'nobody@example.com'],
        ['/api/accounts/delete-recover',
         map { { email => $_ } } $bob->{email}, 'nobody@example.com'],
        ['/identity/accounts/register/send-verification-email',
         map { { email => $_ } } $bob->{email}, 'nobody@example.com'],
        ['/api/accounts/resend-new-device-otp',
         map { { email => $_, masterPasswordHash => b64('wrong') } }
             $bob->{email}, 'nobody@example.com'],
        (map { my $path = $_;
               ["/api/accounts/$path",
                map { { userId => $_, token => 'x' } } $bob->{id}, uuid()] }
             qw(verify-email-token delete-recover-token)),
    );

    work_of($server, $_->[0], json => $_->[1]) for @pairs;   # prepared

    for my $pair (@pairs) {
        my ($path, $somebody, $nobody) = @$pair;

        is(work_of($server, $path, json => $somebody),
           work_of($server, $path, json => $nobody),
           "$path: nobody is like somebody");
    }

    ends_clean($server);
    forget_messages($bob->{email});
}


# On Lambda an answer waits for its mail; but not where that would tell

sub test_lambda {
    my $server = vault(vault => 'vault_lambda on;');
    my $bob = user('bob')->{email};
    my $left = sub { sql('SELECT count(*) FROM mails') + 0 };

    forget_messages('nobody@example.com');
    empty(post($server, 'password-hint', { email => $_ }), 200, "Lambda: $_")
        for $bob, 'nobody@example.com';
    is($left->(), 2, 'neither answer waited for its mail');

    empty(ask($server, 'new@example.com'), 204, 'a mail to whoever asks');
    is($left->(), 2, 'is sent before the answer, alone');
    message('new@example.com', qr/^Finish creating/);
    no_message($bob, 'nothing else', 0);

    call($server, 'POST', '/api/debug/mail/run');
    message($bob, qr/password hint/);
    is($left->(), 0, 'the event sends the others');
    no_message('nobody@example.com', 'to whom there is');
    ends_clean($server);
}


# Bodies that are not what they should be, and a mail server that hangs

sub test_bad {
    my $server = vault();
    my %good = (email => 'nobody@example.com', userId => uuid('x'),
                token => 'x', masterPasswordHash => user('bob')->{hash},
                newEmail => 'new@example.com', OTP => '000000');
    my @bad = (
        ['password-hint', email => ''], ['password-hint', email => 'nobody'],
        ['password-hint', email => "a\r\nBcc: b\@example.com"],
        ['password-hint', email => ['a@example.com']],
        ['delete-recover', email => 'x' x 300 . '@example.com'],
        ['delete-recover-token', userId => "' OR 1=1 --"],
        ['delete-recover-token', token => 'x' x 300],
        ['verify-email-token', userId => undef],
        ['verify-email-token', token => { x => 1 }],
        ['verify-email-token', token => ''],
        ['resend-new-device-otp', email => undef],
        ['resend-new-device-otp', masterPasswordHash => 'x' x 400],
        ['email-token', newEmail => "a b\@example.com"],
        ['email', newEmail => 'new'], ['email', token => 'x' x 300],
        ['verify-otp', OTP => 'x' x 65], ['verify-otp', OTP => 123456],
        ['verify-otp', OTP => "123456\x{0}"],
    );

    for my $bad (@bad) {
        my ($path, %change) = @$bad;
        my ($field) = keys %change;

        is(post($server, $path, { %good, %change }, as => 'bob')->{status},
           400, "$path with another $field");
    }

    is(call($server, 'POST', "/api/accounts/$_", as => 'bob',
            body => '{"email":')->{status}, 400, "$_ with half a body")
        for qw(password-hint delete-recover email-token verify-otp);

    hang_mail();
    my $start = time;
    empty(post($server, 'password-hint', { email => user('bob')->{email} }),
          200, 'a mail server that says nothing');
    cmp_ok(time - $start, '<', 1 * $VaultNginx::SLOW, '  holds up nobody');
    ends_clean($server);
}


test_registration();
test_unproved();
test_verify();
test_hint();
test_delete();
test_alike();
test_lambda();
test_bad();

done_testing();
