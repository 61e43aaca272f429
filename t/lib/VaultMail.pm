# Mail in tests: a mail server of the tests' own, a vault that sends through
# it, and mails that debug endpoints cause.
#
#   my $mail = VaultMail->new;                # with TLS for "localhost"
#   my $server = $mail->vault(name => 'x', vault => 'vault_jobs 1s;');
#   VaultMail::queue($server, 'welcome', 'alice@example.com');
#   my $message = $mail->wait_for(1)->[0];    # {to}, {from}, {headers}, …
#   $mail->set(fault => 'greylist', times => 1);

package VaultMail;

use strict;
use warnings;
use utf8;

use Time::HiRes qw(sleep time);

use VaultPeer;
use VaultServer qw(vault_server call folder_of);

our $FROM = "Vault of Z\xc3\xbcrich <vault\@example.com>";     # bytes

# What every template may be given
our %VARS = (
    url       => 'https://vault.example.com/#/verify-email?userId=0191f3ab-'
                 . '6c7d-7e1f-8a90-b2c3d4e5f607&token='
                 . 'sIiHD7ivT1Pq_ub2c4d5e6f7g8h9i0jkLmNoPqRsTuV',
    code      => '482913',
    account   => 'alice@example.com',
    hint      => 'the name of <my> first "cat" & more',
    new_email => 'alice.new@example.com',
    device    => "Firefox – Grüße 🙂\r\nBcc: bob\@example.com",
    address   => '2001:db8::7',
    time      => '2026-11-22 08:51 UTC',
);


sub openssl {
    my (@arguments) = @_;

    my $log = `openssl @arguments 2>&1`;
    die "openssl @arguments: $log\n" if $? != 0;
}


# A certificate that is its own authority: (certificate, key)

sub certificate {
    my ($name, $host) = @_;

    my $path = folder_of() . "/$name";

    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-days', 2,
            '-subj', "/CN=$host", '-addext', "subjectAltName=DNS:$host",
            '-keyout', "$path.key", '-out', "$path.pem");
    return ("$path.pem", "$path.key");
}


sub new {
    my ($class, $host) = @_;

    $host //= 'localhost';
    my ($pem, $key) = certificate("mail-$host", $host);
    my $peer = VaultPeer->new('smtp.py', $pem, $key);

    return bless { peer => $peer, ca => $pem, ports => $peer->state }, $class;
}


sub set      { my ($self, @state) = @_; return $self->{peer}->set(@state) }
sub state    { return $_[0]{peer}->state }
sub messages { return $_[0]{peer}->state->{taken} }
sub ca       { return $_[0]{ca} }
sub smtp     { return $_[0]{ports}{smtp} }
sub smtps    { return $_[0]{ports}{smtps} }


# The default: STARTTLS, and a user with a password

sub url {
    my ($self, $extra) = @_;

    return 'smtp://vault%40example.com@localhost:' . $self->smtp
        . "?password=secret&ca=$self->{ca}" . ($extra // '');
}


sub vault {
    my ($self, %arg) = @_;

    my $url = delete $arg{url} // $self->url;

    return vault_server(%arg, vault => "vault_mail \"$url\";\n"
                        . "vault_mail_from \"$FROM\";\n"
                        . ($arg{vault} // ''));
}


# Causes a mail; how many were queued, or the status.

sub queue {
    my ($server, $template, $to, %option) = @_;

    my %vars = (%VARS, %{delete $option{vars} // {}});
    my $names = call($server, 'GET', '/api/debug/mail')->{json}{$template};
    my @vars = map { { name => $_, value => $vars{$_} } }
               split / /, $names // '';

    my $answer = call($server, 'POST', '/api/debug/mail',
                      json => { template => $template, to => $to,
                                vars => \@vars, %option });

    return $answer->{status} == 200 ? $answer->{body} : $answer->{status};
}


# Messages once there are so many of them, or those that came in time

sub wait_for {
    my ($self, $n, $seconds) = @_;

    my $end = time + ($seconds // 5) * $VaultNginx::SLOW;
    my $taken;

    do {
        $taken = $self->messages;
        return $taken if @$taken >= $n;
        sleep 0.02;
    } while (time < $end);

    return $taken;
}


# Waits until the log says it, for some seconds

sub log_says {
    my ($server, $pattern, $seconds) = @_;

    my $end = time + ($seconds // 5) * $VaultNginx::SLOW;

    do {
        return 1 if $server->log_text =~ $pattern;
        sleep 0.02;
    } while (time < $end);

    return 0;
}


1;
