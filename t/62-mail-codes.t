# What an account does by codes in mails: each works once, for what it was made
# for, and cannot be guessed.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultFlow;
use VaultServer qw(sql meanwhile);
use VaultTest 'debug';

my $DAY = 86400;


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

    # somebody else takes the address in the same instant
    my $holder = meanwhile("UPDATE users SET email = 'both\@example.com'"
                           . " WHERE email = 'taken\@example.com'");
    refused(post($server, 'email', { %frank, newEmail => 'both@example.com' },
                 as => 'frank'), 'This email address is in use already.',
            'two who take one address at once');
    waitpid $holder, 0;
    is($?, 0, '  the other has it');
    ends_clean($server);
    forget_users('erin', 'frank');
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


test_change();
test_new_device();
test_codes();
test_rows();

done_testing();
