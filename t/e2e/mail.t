#!/usr/bin/perl
# The real client on a device that is new: it asks for the code that was
# mailed, and gets in with that one only.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use VaultE2e qw(e2e_server account email password);
use VaultMail;
use VaultNginx ();
use VaultServer qw(folder_of sql);

my $mail = VaultMail->new;
my $port = VaultNginx::free_port();


# Types an answer once the code was mailed, as a person would.  Who asks gets
# the path to read from.

my $fifos = 0;

sub typist {
    my ($email, $n, $typed) = @_;

    my $fifo = folder_of() . '/typed-' . ++$fifos;
    POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!\n";

    my $pid = fork;
    die "fork: $!\n" if !defined $pid;
    return ($fifo, $pid) if $pid;

    open my $out, '>', $fifo or POSIX::_exit(1);
    my @codes = codes($email, $n);
    sleep 2;                          # the client asks after its answer
    syswrite $out, $typed->($codes[-1] // '') . "\n";
    sleep 20 * $VaultNginx::SLOW;
    POSIX::_exit(0);
}


# All codes that were mailed, once there are so many

sub codes {
    my ($email, $n) = @_;

    my $end = time + 60 * $VaultNginx::SLOW;
    my @codes;

    do {
        select undef, undef, undef, 0.1;
        @codes = map { $_->{headers}{Subject} =~ /login code: (\d{6})/ ? $1
                                                                       : () }
                 grep { $_->{to} eq $email } @{$mail->messages};
    } while (@codes < $n && time < $end);

    return @codes;
}


sub login_with {
    my ($bw, $name, $n, $typed) = @_;

    my ($fifo, $pid) = typist(email($name), $n, $typed);
    $bw->{env} = { BW_NOINTERACTION => 'false', STDIN => $fifo };

    my $result = $bw->run('login', email($name), password($name), '--raw');

    kill 'KILL', $pid;
    waitpid $pid, 0;
    delete $bw->{env};
    return $result;
}


# Accounts of yesterday, with a first device

my %names = ('2026.9' => 'alice', '2025.10' => 'bob');
my $done = 0;
my $server = e2e_server(name => 'before', port => $port);

for my $version (sort keys %names) {
    my $name = $names{$version};

    account($server, $name, password($name), 'register', 'new');
    my $bw = VaultE2e->new(server => $server, version => $version);
    $bw->ok('login', email($name), password($name), '--raw');
}

sql('UPDATE users SET created_at = created_at - 90000000');
is_deeply([$server->stop], [], 'the server without mail is well');

$server = e2e_server(
    name => 'mail', port => $port,
    vault => 'vault_mail "' . $mail->url . "\";\n"
             . "vault_mail_from \"$VaultMail::FROM\";\n");

for my $version (sort keys %names) {
    my $name = $names{$version};
    my $email = email($name);
    my $bw = VaultE2e->new(server => $server, version => $version);
    my @login = ('login', $email, password($name), '--raw');

    like($bw->fails(@login), qr/Code is required/,
         "bw $version: asks for a code");
    is(scalar(() = codes($email, 1)), 1, 'which was mailed');

    my $result = login_with($bw, $name, 2, sub {
        my ($code) = @_;
        return sprintf '%06d', ($code + 1) % 1_000_000;
    });
    isnt($result->{code}, 0, 'a wrong code does not do');
    like($result->{err}, qr/invalid new device otp/, '  and is called wrong');

    $result = login_with($bw, $name, 3, sub { $_[0] });
    is($result->{code}, 0, 'the right one does') or diag $result->{err};
    like($result->{out}, qr{^[\w+/=]{80,}$}, '  with a session');
    $bw->unlock(password($name));
    is_deeply($bw->json('list', 'items'), [], '  that opens the vault');

    my $told = grep { $_->{to} eq $email
                      && $_->{headers}{Subject} =~ /^New login/ }
                    @{$mail->wait_for(4 * ++$done)};
    is($told, 1, 'its owner is told');

    $bw->ok('logout');
    $bw->ok(@login);
    is(scalar(() = codes($email, 3)), 3, 'the next time it is known');
}

is_deeply([$server->stop], [], 'nginx ended without a complaint');
done_testing();
