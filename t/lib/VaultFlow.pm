# What tests of mail flows have in common: one mail server, vaults that send
# through it, and each message to be read once, in order.
#
#   my $server = vault(vault => 'vault_signups_verify off;');
#   empty(post($server, 'request-otp', {}, as => 'bob'), 200, 'a code');
#   my $code = code_in(message('bob@example.com', qr/verification code/));
#   no_message('alice@example.com', 'nothing for her');
#   forget_messages('bob@example.com');          # what has come so far

package VaultFlow;

use strict;
use warnings;

use Exporter qw(import);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultServer qw(call sql);
use VaultTest;

our @EXPORT = qw(vault ends_clean post refused empty message no_message
                 forget_messages messages_to hang_mail code_in link_in wrong
                 age token together device_error);

my $servers = 0;
my $mail;


sub vault {
    my (%arg) = @_;

    $mail //= VaultMail->new;
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
        my @to = messages_to($to);

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
    my ($to, $name, $seconds) = @_;

    my $end = time + ($seconds // 3) * $VaultNginx::SLOW;
    sleep 0.05 while sql('SELECT count(*) FROM mails') > 0 && time < $end;

    is(scalar(messages_to($to)), $read{$to} // 0, $name);
}


sub messages_to {
    my ($to) = @_;

    my @to = grep { $_->{to} eq $to } @{$mail->messages};
    return @to;
}


sub hang_mail { $mail->set(fault => 'silent') }
sub forget_messages { $read{$_[0]} = messages_to($_[0]) }


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


1;
