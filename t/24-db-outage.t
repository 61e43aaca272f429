# A PostgreSQL that dies, comes back, or takes few connections.

use strict;
use warnings;

# its endpoints are in builds for tests only
BEGIN { $ENV{VAULT_FLAVOUR} = 'debug' if ($ENV{VAULT_FLAVOUR} || '') ne 'asan' }

use File::Path ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultServer ();
use VaultTest;

die "PostgreSQL only\n" if $VaultServer::FLAVOUR ne 'pg';


my $tool = "$VaultNginx::ROOT/t/tools/pg";
my $dir = "/tmp/vault-outage-$$";       # a socket's path is short
my $url = qx{'$tool' start '$dir' -c max_connections=8};

die "no PostgreSQL\n" if $? != 0;
chomp $url;

END {
    local $?;
    if ($dir && -d $dir) {
        system "'$tool' stop '$dir' > /dev/null 2>&1";
        File::Path::remove_tree($dir);
    }
}


sub pg {
    my ($verb) = @_;

    is(system("'$tool' $verb '$dir' > /dev/null"), 0, "PostgreSQL: $verb");
}


sub count {
    my ($server) = @_;

    my $answer = call($server, 'POST', '/api/debug/count');
    my $status = $answer->{status} // 0;

    return $status == 200 ? $answer->{json}{n} : -$status;
}


sub awaited {
    my ($sql) = @_;

    for (1 .. 100 * $VaultNginx::SLOW) {
        return if qx{psql -XqAt -d '$url' -c "$sql"} > 0;
        sleep 0.05;
    }

    die "never: $sql\n";
}


sub heals {
    my ($server, $name) = @_;

    my $n = 0;

    for (1 .. 50 * $VaultNginx::SLOW) {
        $n = count($server);
        last if $n > 0;
        sleep 0.1;
    }

    cmp_ok($n, '>', 0, $name);
    return $n;
}


my $server = vault_server(
    vault => "vault_database $url;\nvault_database_timeout 3s;");

is(count($server), 1, 'a write');
is(call($server, 'GET', '/api/debug/rows')->{status}, 200, 'and a read');

# Between two requests nobody notices.

for my $path (['POST', '/api/debug/count'], ['GET', '/api/debug/rows']) {
    pg('stop');
    pg('restart');
    is(call($server, @$path)->{status}, 200,
       "after a restart, $path->[0] is answered at once");
}

# While it is down.

pg('kill');

my $start = time;
is(count($server), -503, 'a dead database is told');
is(count($server), -503, 'again');
cmp_ok(time - $start, '<', 2 * $VaultNginx::SLOW, 'soon');
is(call($server, 'GET', '/alive')->{status}, 200, 'the worker lives');

my @socks = map {
    my $sock = VaultHttp::open_socket($server->port);
    syswrite $sock, VaultHttp::message('POST', '/api/debug/count');
    $sock;
} 1 .. 20;
VaultHttp::reset($_) for @socks[0 .. 9];

pg('restart');

my $n = heals($server, 'it recovers by itself');
is($n, 3, 'with all that was answered, and nothing else');
like($server->log_text, qr/answers again after/, 'the log tells');
unlike($server->log_text, qr{postgresql://[^\s"]*:[^\s"]*@}, 'no password');

# In the middle of a transaction.

my $sock = VaultHttp::open_socket($server->port);
syswrite $sock, VaultHttp::message('GET', '/api/debug/transaction/800');
sleep 0.2;
pg('kill');
pg('restart');

$sock->blocking(1);
my $text = do { local $/; readline $sock } // '';
like($text, qr{^HTTP/1.1 503 }, 'a COMMIT that was not answered is told');
is(heals($server, 'and life goes on'), 4, 'with the same rows');
stops_clean($server, 'nothing is left in use');
is_deeply([grep { !/worker process|signal/ } $server->stop], [],
          'a clean end');

# Fewer connections than the pool would like: the rest wait.

$server = vault_server(
    name => 'few',
    vault => "vault_database $url;\nvault_database_connections 20;\n"
             . 'vault_database_timeout 20s;');

my $first = count($server);
my @pids;

for (1 .. 16) {
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        my $bad = grep {
            call($server, 'GET', '/api/debug/transaction/20')->{status} != 200
        } 1 .. 5;
        POSIX::_exit($bad ? 1 : 0);
    }

    push @pids, $pid;
}

is(scalar(grep { waitpid($_, 0); $? != 0 } @pids), 0,
   'more requests than the server takes connections: all are answered');
like($server->log_text, qr/too many clients|remaining connection slots/,
     'although it refused some');
is(count($server), $first + 1, 'and works');
is_deeply([$server->stop], [], 'a clean end');

# A worker that quits while its task waits for an answer.

open my $locker, '|-', 'psql', '-XqAt', '-d', $url or die "psql: $!\n";
$locker->autoflush;
print $locker "BEGIN; LOCK TABLE vault_schema IN ACCESS EXCLUSIVE MODE;\n";

my $locks = "SELECT count(*) FROM pg_locks"
            . " WHERE relation = 'vault_schema'::regclass";
awaited("$locks AND granted");

$server = vault_server(name => 'locked', vault => "vault_database $url;");
awaited("$locks AND NOT granted");
is_deeply([$server->stop], [], 'a worker that quits waits for no lock');
close $locker;

# Down when nginx starts.

pg('stop');
$server = vault_server(name => 'early', vault => "vault_database $url;");
is(count($server), -503, 'nginx starts without its database');
pg('restart');
heals($server, 'and finds it later');
is_deeply([$server->stop], [], 'a clean end');

done_testing();
