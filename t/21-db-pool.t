# Connections: bounded, waited for in turn, given back whatever happens.

use strict;
use warnings;

# its endpoints are in builds for tests only
BEGIN { $ENV{VAULT_FLAVOUR} = 'debug' if ($ENV{VAULT_FLAVOUR} || '') ne 'asan' }

use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultServer ();
use VaultTest;

my $SQLITE = $VaultServer::FLAVOUR eq 'sqlite';


# Starts a request and leaves it alone.

sub send_off {
    my ($server, $method, $path) = @_;

    my $sock = VaultHttp::open_socket($server->port) or die "no socket\n";
    syswrite $sock, VaultHttp::message($method, $path);
    return $sock;
}


sub answer_of {
    my ($sock) = @_;

    $sock->blocking(1);

    my $text = do { local $/; readline $sock } // '';
    return $text =~ m{^HTTP/1.1 (\d+)} ? $1 : 0;
}


# Until the status page says what is wanted, or two seconds have passed.

sub settles {
    my ($server, $want, $name) = @_;

    my $database;

    for (1 .. 100 * $VaultNginx::SLOW) {
        my $status = status($server);
        $database = { %{$status->{database}},
                      coroutines => $status->{coroutines} };

        if (!grep { $database->{$_} != $want->{$_} } keys %$want) {
            pass($name);
            return;
        }
        sleep 0.02;
    }

    is_deeply({ map { $_ => $database->{$_} } keys %$want }, $want, $name);
}


# One worker, so that there is one pool to look at.

my $server = vault_server(
    vault => "vault_database_connections 2;\nvault_database_timeout 2s;");

is(call($server, 'POST', '/api/debug/count')->{json}{n}, 1, 'a first write');

my $most = $SQLITE ? 1 : 2;             # writers at once

my @held = map { send_off($server, 'GET', '/api/debug/transaction/600') }
           1 .. 4;
settles($server, { busy => $most, waiting => 4 - $most },
        'no more connections than allowed, the others wait');

my $start = time;
is_deeply([map { answer_of($_) } @held], [(200) x 4], 'all have their turn');
cmp_ok(time - $start, '>', 0.6 * (4 / $most - 1), 'one after the other')
    or diag(time - $start);

settles($server, { busy => 0, waiting => 0 }, 'then nothing is in use');

# A queue longer than the timeout.

@held = map { send_off($server, 'GET', '/api/debug/transaction/1500') }
        1 .. 3 * $most;
my @answers = sort map { answer_of($_) } @held;

is_deeply(\@answers, [(200) x (2 * $most), (503) x $most],
          'who waits for longer than the timeout is told so');
settles($server, { busy => 0, waiting => 0 }, 'and has left the queue');

# Clients that leave: in the queue, in a statement, between two statements.

for my $round (1 .. 5) {
    my @socks = map { send_off($server, 'GET', '/api/debug/transaction/5000') }
                1 .. 5;
    push @socks, map { send_off($server, 'POST', '/api/debug/roll/5000') }
                 1 .. 3;
    sleep 0.02 * $round;
    VaultHttp::reset($_) for @socks;
}

settles($server, { busy => 0, waiting => 0 },
        'clients that leave hold nothing');
is(call($server, 'POST', '/api/debug/count')->{json}{n}, 2,
   'nor the lock, and what they did is rolled back');

for (1 .. 100) {
    VaultHttp::reset(send_off($server, 'POST', '/api/debug/rows/200'));
}

settles($server, { busy => 0, waiting => 0 }, 'nor those who never waited');
settles($server, { coroutines => 0 }, 'no request is left over');

stops_clean($server, 'one worker is at rest');
is_deeply([$server->stop], [], 'and ends well');

# Two workers and more who read, then write one more: no step is lost.

$server = vault_server(name => 'workers', workers => 3,
                       listen => ' reuseport');

my $first = call($server, 'POST', '/api/debug/count')->{json}{n};
my $each = $VaultNginx::SLOW > 1 ? 10 : 40;
my @pids;

for (1 .. 8) {
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        my $bad = grep {
            call($server, 'POST', '/api/debug/count')->{status} != 200
        } 1 .. $each;
        POSIX::_exit($bad ? 1 : 0);
    }

    push @pids, $pid;
}

my $bad = grep { waitpid($_, 0); $? != 0 } @pids;

is($bad, 0, 'every count was answered');
is(call($server, 'POST', '/api/debug/count')->{json}{n},
   $first + 8 * $each + 1, 'and none is lost');

is_deeply([$server->stop], [], 'three workers end well');

done_testing();
