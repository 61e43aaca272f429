#!/usr/bin/perl
# A SES that nobody of this project wrote accepts our signatures and our
# messages, and refuses what is not signed well or may not be sent.

use strict;
use warnings;
use utf8;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultPeer;
use VaultServer qw(vault_server call sql user);

my $moto = VaultPeer->new('moto');
my $is = $moto->state;
my $mails = 0;

delete @ENV{grep { /^AWS_/ } keys %ENV};


sub server {
    my ($name, %arg) = @_;

    return vault_server(
        name  => $name,
        env   => { AWS_ACCESS_KEY_ID => $is->{key},
                   AWS_SECRET_ACCESS_KEY => $arg{secret} // $is->{secret} },
        vault => "vault_mail ses:$is->{region}"
                 . "?endpoint=http://127.0.0.1:$is->{aws};\n"
                 . 'vault_mail_from "' . ($arg{from} // $VaultMail::FROM)
                 . "\";\n");
}


# A mail that anybody may ask for, to somebody who is there

sub cause {
    my ($server) = @_;

    is(call($server, 'POST', '/api/accounts/password-hint',
            json => { email => user('alice')->{email} })->{status}, 200,
       'a request that causes a mail');
}


sub ends_clean {
    my ($server) = @_;

    is_deeply([$server->stop], [], 'the server is well');
    unlike($server->log_text, qr/\Q$is->{secret}\E/, 'no secret in the log');
}


sub next_mail {
    my $end = time + 10 * $VaultNginx::SLOW;
    my @mails;

    do {
        @mails = @{$moto->state->{mails}};
        return $mails[$mails++] if @mails > $mails;
        sleep 0.1;
    } while (time < $end);

    return {};
}


my $server = server('ses');
cause($server);
my $mail = next_mail();

is($mail->{from}, 'vault@example.com', 'taken, from us');
is($mail->{to}[0], 'alice@example.com', 'to its recipient');
is_deeply($mail->{defects}, [], 'without a flaw');
like($mail->{headers}{Subject}, qr/password hint/, 'with its words');
like($mail->{headers}{From}, qr/Vault of Zürich/, 'and whose it is');
is(sql('SELECT count(*) FROM mails'), "0\n", 'nothing is left of it');
ends_clean($server);

# A secret that is not the key's
my $stranger = server('stranger', secret => 'wrong');
cause($stranger);
ok(VaultMail::log_says($stranger, qr/is tried again later: SES answers 403/),
   'a wrong signature is refused') or diag($stranger->log_text);
is(sql('SELECT count(*) FROM mails'), "1\n", 'the mail is kept');
ends_clean($stranger);

# once it is mended
sql('UPDATE mails SET due_at = 0');
$server = server('mended');
cause($server);
like(join(' ', map { $_->{to}[0] // '' } next_mail(), next_mail()),
     qr/^alice\@example.com alice\@example.com$/, 'and then sent');
ends_clean($server);

# A sender that SES does not know
my $unverified = server('unverified', from => 'vault@example.org');
cause($unverified);
ok(VaultMail::log_says($unverified,
                       qr/is given up: SES answers 400 MessageRejected: Did /),
   'a sender who is not verified is refused') or diag($unverified->log_text);
like($unverified->log_text, qr/verify the domain of "vault_mail_from"/,
     'with the remedy');
ends_clean($unverified);

is(@{$moto->state->{mails}}, $mails, 'nothing else was taken');
$moto->stop;
done_testing();
