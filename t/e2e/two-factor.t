#!/usr/bin/perl
# The real client and the second step of a login: an app, a code by mail, the
# recovery code, the API key, which needs none.
#
# SQLite: the newest client.  PostgreSQL: that of a year ago.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);

use VaultE2e qw(e2e_server account email password);
use VaultMail;
use VaultNginx ();
use VaultServer qw(sql);
use VaultTotp;

my $version = ($ENV{VAULT_TEST_DB} // '') eq 'pg' ? '2025.10' : '2026.9';
my $port = VaultNginx::free_port();
my $mail = VaultMail->new;
my $mails = 0;
my ($alice, $bob) = qw(alice bob);

# Their accounts are made before there is mail.

my $server = e2e_server(name => 'before', port => $port);
account($server, $_, password($_), 'register', 'new') for $alice, $bob;
is_deeply([$server->stop], [], 'two accounts');

$server = e2e_server(name => 'tls', port => $port,
                     vault => 'vault_mail "' . $mail->url . "\";\n"
                              . "vault_mail_from \"$VaultMail::FROM\";\n");


sub prove {
    my ($name, $method, $path, $json) = @_;

    return account($server, $name, password($name), 'prove', $method,
                   "/api/two-factor/$path",
                   $VaultE2e::JSON->encode($json // {}));
}


sub client {
    my ($name) = @_;

    return VaultE2e->new(server => $server, version => $version);
}


sub login { return ('login', email($_[0]), password($_[0])) }


# The next mail with such a subject, of those that come within ten seconds:
# what else may be told of a login is not of interest here.

sub next_mail {
    my ($pattern) = @_;

    my $end = time + 10 * $VaultNginx::SLOW;

    do {
        my $all = $mail->messages;

        while ($mails < @$all) {
            my $subject = $all->[$mails++]{headers}{Subject} // '';
            return $subject if $subject =~ $pattern;
        }

        sleep 0.1;
    } while (time < $end);

    return '';
}


sub next_code { return next_mail(qr/code: \d{6}$/) =~ /(\d{6})/ ? $1 : '' }


my $wrong = qr/Two-step token is invalid\. Try again\./;

# An app

{
    my $key = prove($alice, 'POST', 'get-authenticator')->{key};
    my $bw = client();
    my $api_key = account($server, $alice, password($alice), 'api-key');

    ok(prove($alice, 'PUT', 'authenticator',
             { key => $key, token => totp($key) })->{enabled},
       'an app is set up');

    like($bw->fails(login($alice)), qr/Code is required/,
         'the client asks for a code');

    my $code = totp($key, 1);
    like($bw->fails(login($alice), '--method', 0, '--code', '000000'),
         $wrong, 'a wrong one');
    $bw->login(email($alice), password($alice), '--method', 0,
               '--code', $code);
    is($bw->ok('sync'), 'Syncing complete.', 'it syncs');
    $bw->ok('logout');
    like($bw->fails(login($alice), '--method', 0, '--code', $code), $wrong,
         'the same code again');

    local $bw->{env} = { BW_CLIENTID => $api_key->{clientId},
                         BW_CLIENTSECRET => $api_key->{clientSecret} };
    $bw->ok('login', '--apikey');
    $bw->unlock(password($alice));
    is($bw->json('status')->{status}, 'unlocked', 'the API key is enough');
    $bw->ok('logout');
}


# The recovery code, as a method of its own

{
    my ($code) = sql('SELECT data FROM two_factors WHERE provider = 8')
        =~ /^([a-z2-7]{32})$/;
    my $bw = client();

    $bw->login(email($alice), password($alice), '--method', 8,
               '--code', $code);
    $bw->ok('logout');
    ok(next_mail(qr/^Two-step login was turned off$/),
       'which is told by mail');

    delete $bw->{session};
    $bw->login(email($alice), password($alice));
    $bw->ok('logout');
}


# A code by mail

{
    my $bw = client();

    prove($bob, 'POST', 'send-email', { email => 'box@example.org' });
    my $set = prove($bob, 'PUT', 'email', { email => 'box@example.org',
                                            token => next_code() });
    is($set->{email}{email}, 'box@example.org', 'an address is set up');

    like($bw->fails(login($bob)), qr/Code is required/,
         'the client has a code sent');
    my $code = next_code();
    like($code, qr/^\d{6}$/, 'it comes');

    like($bw->fails(login($bob), '--method', 1, '--code', '12345'), $wrong,
         'a wrong one');
    $bw->login(email($bob), password($bob), '--method', 1, '--code', $code);
    is($bw->ok('sync'), 'Syncing complete.', 'it syncs');
    $bw->ok('logout');
    like($bw->fails(login($bob), '--method', 1, '--code', $code), $wrong,
         'the same code again');
}

is_deeply([$server->stop], [], 'nginx ended without a complaint');
done_testing();
