# What an account does by mail: each code and link works once, for what it was
# made for, and nobody learns who has an account here.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultServer qw(sql);
use VaultTest 'debug';

my $ORIGIN = $VaultServer::ORIGIN;
my $DAY = 86400;
my $servers = 0;
my $mail = VaultMail->new;


sub vault {
    my (%arg) = @_;

    return $mail->vault(name => 'flows' . $servers++, %arg);
}


sub ends_clean {
    my ($server) = @_;

    is_deeply([$server->stop], [], 'nginx ended without a complaint');
}


sub post {
    my ($server, $path, $json, %option) = @_;

    return call($server, 'POST', "/api/accounts/$path", json => $json // {},
                %option);
}


sub refused {
    my ($answer, $message, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    api_error_like($answer->{body}, ref $message ? '' : $message, $name);
    like($answer->{json}{message}, $message, '  the message') if ref $message;
}


sub empty {
    my ($answer, $status, $name) = @_;

    is($answer->{status}, $status, $name);
    is($answer->{body} // '', '', '  and nothing in it');
}


# The next message to somebody: its text; dies if it does not come

my %read;

sub message {
    my ($to, $subject) = @_;

    my $n = $read{$to} // 0;
    my $end = time + 5 * $VaultNginx::SLOW;

    while (time < $end) {
        my @to = grep { $_->{to} eq $to } @{$mail->messages};

        if (@to > $n) {
            $read{$to} = $n + 1;
            like($to[$n]{headers}{Subject}, $subject, "mail to $to");
            is_deeply($to[$n]{defects}, [], '  well formed');
            return $to[$n]{parts}{'text/plain'} // '';
        }

        sleep 0.02;
    }

    fail("a mail to $to: $subject");
    return '';
}


sub no_message {
    my ($to, $name) = @_;

    my $end = time + 3 * $VaultNginx::SLOW;
    sleep 0.05 while sql('SELECT count(*) FROM mails') > 0 && time < $end;

    my @to = grep { $_->{to} eq $to } @{$mail->messages};
    is(scalar @to, $read{$to} // 0, $name);
}


sub code_in { return $_[0] =~ /^\s+(\d{6})\s*$/m ? $1 : '' }


sub link_in {
    my ($text, $start) = @_;

    my ($url) = $text =~ m{(https://\S+)};
    is(substr($url // '', 0, length $start), $start, '  its link');

    my %arg = map { split /=/, $_, 2 } split /&/, ($url // '') =~ s/.*?\?//r;
    s/%(..)/chr hex $1/ge for values %arg;
    return \%arg;
}


sub wrong {
    my ($code) = @_;

    return sprintf '%06d', ($code + 1) % 1_000_000;
}


sub age {
    my ($email, $seconds) = @_;

    my $at = int((time - $seconds) * 1000);
    sql("UPDATE users SET created_at = $at WHERE email = '$email'");
}


sub token {
    my ($server, $user, $device, @more) = @_;

    return call($server, 'POST', '/identity/connect/token', form => [
        grant_type => 'password', scope => 'api offline_access',
        client_id => 'cli', username => $user->{email},
        password => $user->{hash}, deviceType => 25,
        deviceIdentifier => uuid("$device of $user->{email}"),
        deviceName => $device, @more ]);
}


# The statuses of requests of so many processes at once

sub together {
    my ($n, $ask) = @_;
    my @pipes;

    for my $child (1 .. $n) {
        pipe my $out, my $in or die "pipe: $!\n";
        my $pid = fork;
        die "fork: $!\n" if !defined $pid;

        if ($pid == 0) {
            syswrite $in, $ask->()->{status};
            require POSIX;
            POSIX::_exit(0);
        }

        close $in;
        push @pipes, [$pid, $out];
    }

    return map {
        my ($pid, $out) = @$_;
        my $status = <$out>;
        waitpid $pid, 0;
        $status;
    } @pipes;
}


sub device_error {
    my ($answer, $text, $name) = @_;

    is($answer->{status}, 400, $name);
    is($answer->{json}{error}, 'device_error', '  as an error of the device');
    is($answer->{json}{ErrorModel}{Message}, $text, "  \"$text\"");
}


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
    is(scalar(grep { $_->{to} eq $email
                     && $_->{headers}{Subject} =~ /hint/ }
                   @{$mail->messages}), 5, 'five mails an hour');
    $read{$email} += 4;
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


# Another address

sub test_change {
    my $server = vault(vault => 'vault_signups_domains example.com;');
    my $erin = user('erin');
    my $new = 'erin.new@example.com';
    my %mine = (masterPasswordHash => $erin->{hash});
    my %keys = (newMasterPasswordHash => b64('new hash of erin'),
                key => enc('erin with a new address'));
    my @erin = (as => 'erin');

    refused(post($server, 'email-token', { newEmail => $new,
                 masterPasswordHash => b64('x') }, @erin),
            'Invalid password.', 'a wrong password');
    refused(post($server, 'email-token', { %mine,
                 newEmail => 'erin@elsewhere.example' }, @erin),
            qr/domain/, 'a domain that may not register');

    empty(post($server, 'email-token', { %mine,
               newEmail => user('bob')->{email} }, @erin), 200,
          'an address in use: the same answer');
    unlike(message('bob@example.com', qr/in use already/), qr/^\s+\d{6}\s*$/m,
           '  but a mail without a code');

    empty(post($server, 'email-token', { %mine, newEmail => $new }, @erin),
          200, 'a code');
    my $code = code_in(message($new, qr/code to change/));
    like($code, qr/^\d{6}$/, '  of six digits');

    my %form = (%mine, %keys, newEmail => $new, token => $code);

    refused(post($server, 'email', { %form, token => wrong($code) }, @erin),
            'Invalid token.', 'a wrong code');
    refused(post($server, 'email', { %form, token => undef }, @erin),
            'Invalid token.', 'no code');
    refused(post($server, 'email', { %form,
                 newEmail => 'erin.other@example.com' }, @erin),
            'Invalid token.', 'for another address');
    refused(post($server, 'email', { %form,
                 newEmail => user('bob')->{email} }, @erin),
            'Invalid token.', 'for one in use');
    refused(post($server, 'email', { %form, masterPasswordHash =>
                 user('bob')->{hash} }, as => 'bob'), 'Invalid token.',
            'by somebody else');
    refused(post($server, 'email', { %form, key => undef }, @erin), '',
            'without a key');
    empty(post($server, 'email', \%form, @erin), 200, 'the right one');

    like(message('erin@example.com', qr/address was changed/), qr/\Q$new\E/,
         'the old address is told');
    is(call($server, 'GET', '/api/accounts/profile', @erin)->{status}, 401,
       'all sessions have ended');
    is(token($server, $erin, 'desktop')->{status}, 400,
       'the old address is nobody');

    my $changed = { email => $new, hash => b64('new hash of erin') };
    my $answer = token($server, $changed, 'desktop');
    is($answer->{status}, 200, 'the new one gets in');
    is($answer->{json}{Key}, enc('erin with a new address'), '  with its key');
    message($new, qr/^New login/);
    is(call($server, 'POST', '/identity/accounts/prelogin',
            json => { email => $new })->{json}{salt}, $new,
       'and is the salt');

    # the short form: keys do not hang on the address
    my @session = (headers => ["Authorization: Bearer "
                               . $answer->{json}{access_token}]);
    my $short = { masterPasswordHash => $changed->{hash},
                  newEmail => 'erin.short@example.com' };
    empty(post($server, 'email-token', $short, @session), 200,
          'a code for the short form');
    $code = code_in(message('erin.short@example.com', qr/code to change/));
    empty(post($server, 'email', { %$short, token => $code }, @session), 200,
          'an address alone');
    message($new, qr/address was changed/);
    is(call($server, 'POST', '/identity/accounts/prelogin',
            json => { email => 'erin.short@example.com' })->{json}{salt},
       $new, '  keeps the salt');
    is(call($server, 'GET', '/api/accounts/profile', @session)->{json}{email},
       'erin.short@example.com', '  and the session');

    # guesses
    $short->{newEmail} = 'erin.guess@example.com';
    empty(post($server, 'email-token', $short, @session), 200, 'one more');
    $code = code_in(message('erin.guess@example.com', qr/code to change/));
    refused(post($server, 'email', { %$short, token => wrong($code) },
                 @session), 'Invalid token.', "guess $_") for 1 .. 5;
    refused(post($server, 'email', { %$short, token => $code }, @session),
            'Invalid token.', 'after five guesses the code is dead');
    ends_clean($server);

    # taken while the code was on its way
    $server = vault();
    $short->{newEmail} = 'taken@example.com';
    empty(post($server, 'email-token', $short, @session), 200,
          'an address that is free');
    $code = code_in(message('taken@example.com', qr/code to change/));
    user('taken');
    refused(post($server, 'email', { %$short, token => $code }, @session),
            'This email address is in use already.', 'and then is not');
    is(sql("SELECT count(*) FROM users WHERE email = 'taken\@example.com'"),
       "1\n", 'it belongs to one');
    ends_clean($server);

    # without mail
    $server = vault_server(name => 'nomail2');
    my %frank = (masterPasswordHash => user('frank')->{hash},
                 newEmail => 'frank.new@example.com');
    empty(post($server, 'email-token', \%frank, as => 'frank'), 200,
          'without mail there is no code');
    refused(post($server, 'email', { %frank, newEmail => 'bob@example.com',
                 token => 'x' }, as => 'frank'),
            'This email address is in use already.', '  but rules');
    empty(post($server, 'email', { %frank, token => 'x' }, as => 'frank'),
          200, '  and anything will do');
    ends_clean($server);
    forget_users('erin', 'frank');
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


# New devices

sub test_new_device {
    my $server = vault();
    my $heidi = user('heidi');        # on "desktop", by a vault without mail
    my $required = 'new device verification required';
    my $invalid = 'invalid new device otp';

    is(token($server, $heidi, 'young')->{status}, 200,
       'an account of today needs no code');
    my $notice = message($heidi->{email}, qr/^New login/);
    like($notice, qr/Linux command line/, '  but tells of its second device');
    like($notice, qr/127\.0\.0\.1/, '  and where it is');

    age($heidi->{email}, 25 * 3600);
    is(token($server, $heidi, 'young')->{status}, 200,
       'nor does a device that is known');
    no_message($heidi->{email}, '  or told of');

    device_error(token($server, $heidi, 'thief'), $required, 'a new device');
    my $code = code_in(message($heidi->{email}, qr/^Your login code/));
    device_error(token($server, $heidi, 'thief', newDeviceOtp =>
                       wrong($code)), $invalid, 'a wrong code');
    device_error(token($server, $heidi, 'thief', newDeviceOtp => ''),
                 $invalid, 'an empty code');
    device_error(token($server, $heidi, 'other', newDeviceOtp => $code),
                 $invalid, 'the code of another device');
    my $wrong = token($server, { %$heidi, hash => b64('x') }, 'thief',
                      newDeviceOtp => $code);
    like($wrong->{body}, qr/Username or password is incorrect/,
         'the code without the password');
    is(token($server, $heidi, 'thief', newDeviceOtp => $code)->{status}, 200,
       'the right code');
    like(message($heidi->{email}, qr/^New login/), qr/Linux command line/,
         '  and the owner is told');
    is(token($server, $heidi, 'thief')->{status}, 200,
       'from now on it is known');
    device_error(token($server, $heidi, 'third', newDeviceOtp => $code),
                 $invalid, 'a code is good once');

    # again
    my %again = (email => $heidi->{email},
                 masterPasswordHash => $heidi->{hash});
    my $path = 'resend-new-device-otp';

    device_error(token($server, $heidi, 'third'), $required, 'one more');
    my $first = code_in(message($heidi->{email}, qr/^Your login code/));
    empty(post($server, $path, { %again, masterPasswordHash => b64('x') }),
          200, 'resend: a wrong password');
    empty(post($server, $path, { %again, email => 'nobody@example.com' }),
          200, 'resend: nobody');
    empty(post($server, $path, { %again, email => user('bob')->{email},
               masterPasswordHash => user('bob')->{hash} }), 200,
          'resend: somebody who was not asked');
    no_message('bob@example.com', '  no mail');
    no_message($heidi->{email}, '  nor to the other');
    empty(post($server, $path, \%again), 200, 'resend');
    $code = code_in(message($heidi->{email}, qr/^Your login code/));
    device_error(token($server, $heidi, 'third', newDeviceOtp => $first),
                 $invalid, 'the first one is dead') if $first ne $code;
    empty(post($server, $path, \%again, headers => [
               'Device-Identifier: ' . uuid("third of $heidi->{email}")]),
          200, 'resend, from a client that says who it is');
    $code = code_in(message($heidi->{email}, qr/^Your login code/));
    is(token($server, $heidi, 'third', newDeviceOtp => $code)->{status}, 200,
       'the last one works');
    message($heidi->{email}, qr/^New login/);

    # the stamp
    device_error(token($server, $heidi, 'late'), $required, 'one more');
    $code = code_in(message($heidi->{email}, qr/^Your login code/));
    is(post($server, 'security-stamp', { masterPasswordHash =>
            $heidi->{hash} }, as => 'heidi')->{status}, 200,
       'all sessions end');
    device_error(token($server, $heidi, 'late', newDeviceOtp => $code),
                 $invalid, 'and the code with them');
    forget_users('heidi');

    # by API key: told, but not asked
    my $ivan = user('ivan');
    age($ivan->{email}, 2 * $DAY);
    my $key = post($server, 'api-key', { masterPasswordHash =>
                   $ivan->{hash} }, as => 'ivan')->{json}{apiKey};
    is(call($server, 'POST', '/identity/connect/token', form => [
            grant_type => 'client_credentials', scope => 'api',
            client_id => "user.$ivan->{id}", client_secret => $key,
            deviceType => 25, deviceIdentifier => uuid('robot'),
            deviceName => 'robot' ])->{status}, 200, 'an API key');
    message($ivan->{email}, qr/^New login/);

    # who does not want it
    is(call($server, 'PUT', '/api/accounts/verify-devices', as => 'ivan',
            json => { masterPasswordHash => $ivan->{hash},
                      verifyDevices => JSON::PP::false() })->{status}, 200,
       'switched off');
    is(token($server, $ivan, 'free')->{status}, 200, '  no code');
    message($ivan->{email}, qr/^New login/);
    is(call($server, 'PUT', '/api/accounts/verify-devices', as => 'ivan',
            json => { masterPasswordHash => $ivan->{hash},
                      verifyDevices => JSON::PP::true() })->{status}, 200,
       'switched on');

    # no device yet
    sql("DELETE FROM devices WHERE user_id = '$ivan->{id}'");
    is(token($server, $ivan, 'only')->{status}, 200,
       'the first device needs no code');
    message($ivan->{email}, qr/^New login/);

    # guesses over all codes
    my $limited = 0;
    for (1 .. 4) {
        $limited = token($server, $ivan, 'guess')->{status};
        for (1 .. 5) {
            $limited = token($server, $ivan, 'guess', newDeviceOtp =>
                             '000000')->{status};
        }
    }
    is($limited, 429, 'guesses are counted over all codes');
    ends_clean($server);

    $server = vault_server(name => 'nomail4');
    is(token($server, $ivan, 'new')->{status}, 200,
       'without mail there is no code');
    ends_clean($server);
    $read{$ivan->{email}} = grep { $_->{to} eq $ivan->{email} }
                                 @{$mail->messages};
}


# Protected actions

sub test_codes {
    my $server = vault();
    my $judy = user('judy');
    my @judy = (as => 'judy');
    my $code = sub {
        empty(post($server, 'request-otp', {}, @judy), 200, 'a code');
        return code_in(message($judy->{email}, qr/^Your verification code/));
    };

    my $first = $code->();
    refused(post($server, 'verify-otp', { OTP => wrong($first) }, @judy),
            'Invalid token', 'a wrong one');
    refused(post($server, 'verify-otp', { OTP => $first }, as => 'bob'),
            'Invalid token', 'by somebody else');
    refused(post($server, 'verify-otp', {}, @judy), 'Invalid token', 'none');
    empty(post($server, 'verify-otp', { OTP => $first }, @judy), 200,
          'the right one');
    refused(post($server, 'verify-otp', { OTP => $first }, @judy),
            'Invalid token', 'once');

    my $raced = $code->();
    my @won = grep { $_ == 200 } together(4, sub {
        post($server, 'verify-otp', { OTP => $raced }, @judy);
    });
    is(scalar @won, 1, 'four at once: one of them');

    refused(post($server, 'api-key', {}, @judy),
            'MasterPasswordHash, OTP, or AccessCode must be supplied.',
            'neither password nor code');
    refused(post($server, 'api-key', { otp => $first }, @judy),
            'Invalid token', 'a code that was used');
    like(post($server, 'api-key', { otp => $code->() }, @judy)->{json}{apiKey},
         qr/^\w{30}$/, 'instead of the password: the API key');
    my $second = $code->();
    is(post($server, 'rotate-api-key', { otp => $second }, @judy)->{status},
       200, '  a new one');
    refused(post($server, 'rotate-api-key', { otp => $second }, @judy),
            'Invalid token', '  not twice');
    is(call($server, 'PUT', '/api/accounts/verify-devices', @judy,
            json => { otp => $code->(), verifyDevices => JSON::PP::false() }
           )->{status}, 200, '  settings');
    is(call($server, 'POST', '/api/ciphers/purge', @judy,
            json => { otp => $code->() })->{status}, 200, '  an empty vault');
    refused(post($server, 'verify-password', { otp => $code->() }, @judy),
            '', 'not where the password itself is asked for');

    # it is no code for something else
    age($judy->{email}, 2 * $DAY);
    call($server, 'PUT', '/api/accounts/verify-devices', @judy, json => {
         masterPasswordHash => $judy->{hash},
         verifyDevices => JSON::PP::true() });
    my $action = $code->();
    token($server, $judy, 'new');
    device_error(token($server, $judy, 'new', newDeviceOtp => $action),
                 'invalid new device otp', 'a code for something else');
    message($judy->{email}, qr/^Your login code/);

    is(post($server, 'security-stamp', { otp => $action }, @judy)->{status},
       200, 'all sessions end');
    forget_users('judy');
    @judy = (headers => ['Authorization: Bearer '
                         . login($server, $judy)->{token}]);

    my $last = 0;
    $last = post($server, 'request-otp', {}, @judy)->{status} for 1 .. 12;
    is($last, 429, 'codes are not for the asking');
    ends_clean($server);

    $server = vault_server(name => 'nomail5');
    refused(post($server, 'request-otp', {}, @judy), qr/sends no mail/,
            'without mail');
    ends_clean($server);
    $read{$judy->{email}} = grep { $_->{to} eq $judy->{email} }
                                 @{$mail->messages};
}


# Nothing in the database tells a code

sub test_rows {
    my $server = vault();

    post($server, 'request-otp', {}, as => 'bob');
    my $code = code_in(message('bob@example.com', qr/verification code/));
    my $sha = `printf %s '$code' | sha256sum`;
    my $row = sql("SELECT hash FROM proofs WHERE purpose = 'protected-action'"
                  . " AND user_id = '" . user('bob')->{id} . "'");
    like($row, qr/^[0-9a-f]{64}$/, 'a MAC');
    unlike($row, qr/^\Q@{[substr $sha, 0, 64]}\E/, '  not a hash of the code');

    sql('UPDATE proofs SET expires_at = 1');
    is(call($server, 'POST', '/api/debug/jobs?name=proofs')->{json}{ran}, 1,
       'a job');
    is(sql('SELECT count(*) FROM proofs'), "0\n", 'forgets what is old');
    ends_clean($server);
}


test_registration();
test_verify();
test_hint();
test_change();
test_delete();
test_new_device();
test_codes();
test_rows();

done_testing();
