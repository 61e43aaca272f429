# What hostile or unlucky requests may cost: memory, time, and who pays.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time sleep);

use VaultHttp;
use VaultTest 'debug';


sub peak {
    my ($pid) = @_;

    open my $in, '<', "/proc/$pid/status" or die "no worker $pid\n";
    my ($kib) = join('', <$in>) =~ /^VmHWM:\s+(\d+)/m;
    return $kib / 1024;
}


sub chunked {
    my ($server, $path, $mib) = @_;

    my $chunk = sprintf("%x\r\n", 1 << 20) . 'x' x (1 << 20) . "\r\n";

    return call($server, 'POST', $path,
                headers => ['Transfer-Encoding: chunked'],
                body => $chunk x $mib . "0\r\n\r\n");
}


# Until the database counts what is waited for

sub await {
    my ($sql) = @_;

    for (1 .. 200) {
        return if psql(database(), $sql) > 0;
        sleep 0.05;
    }

    die "never: $sql\n";
}


my $server = vault_server(name => 'memory');
my ($worker) = $server->workers;

SKIP: {
    skip 'sanitizers have memory of their own', 2
        if $VaultNginx::FLAVOUR eq 'asan';

    is(chunked($server, '/api/debug/body', 1)->{body}, 1 << 20,
       'a body in chunks');

    my $before = peak($worker);

    is(chunked($server, '/identity/accounts/prelogin', 64)->{status}, 413,
       'one that grows too large is refused');
    cmp_ok(peak($worker) - $before, '<', 16, 'before it is read');
}


# Texts that no database takes

my $bytes = "\xff\xfe";

for my $path ('/api/devices/identifier/%ff%fe',
              '/api/devices/identifier/a%c0%80b')
{
    my $answer = call($server, 'GET', $path, as => 'alice');
    is($answer->{status}, 404, "$path is nobody's");
    $answer = call($server, 'PUT', "$path/clear-token");
    is($answer->{status}, 404, "$path/clear-token");
}

is(call($server, 'GET', '/api/devices/knowndevice',
        headers => ['X-Request-Email: YWxpY2VAZXhhbXBsZS5jb20',
                    "X-Device-Identifier: $bytes"])->{status}, 400,
   'a device is named by text');

for my $text ('%00', '%ff', 'a%00b') {
    my $answer = call($server, 'POST', '/identity/connect/token',
        headers => ['Content-Type: application/x-www-form-urlencoded'],
        body => 'grant_type=password&scope=api&client_id=cli&username=x&'
                . "password=x&deviceType=8&deviceIdentifier=$text"
                . '&deviceName=x');
    is($answer->{status}, 400, "nor is $text a device");
}

for my $text ('\u0000', '\ud800', '\udc00x', $bytes) {
    is(call($server, 'PUT', '/api/accounts/profile', as => 'alice',
            json => qq({"name":"a$text"}))->{status}, 400,
       'nor is what is no text a name');
}

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');


# Memory for JSON of many small values

SKIP: {
    skip 'sanitizers have memory of their own', 2
        if $VaultNginx::FLAVOUR eq 'asan';

    $server = vault_server(name => 'json');
    ($worker) = $server->workers;

    my $small = '{"ciphers":[' . join(',', ('""') x (8 << 20)) . ']}';
    my $answer = call($server, 'POST', '/api/ciphers/import', as => 'alice',
                      json => $small);
    is($answer->{status}, 400, 'millions of texts are no import');
    cmp_ok(peak($worker), '<', 200, 'and cost little more than their bytes');
    is_deeply([$server->stop], [], 'and nginx is well');
}


# Hashes that nobody waits for any more do not hold up the end

user('alice');
$server = vault_server(name => 'end',
                       vault => "vault_kdf_rounds 100000;\n"
                                . 'vault_login_limit off;');

my @logins = map {
    my $body = form(grant_type => 'password', scope => 'api', client_id => 'x',
                    username => "nobody$_\@example.com", password => 'x',
                    deviceType => 8, deviceIdentifier => 'x');
    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    syswrite $sock, VaultHttp::message('POST', '/identity/connect/token',
        ['Content-Type: application/x-www-form-urlencoded'], $body);
    $sock;
} 1 .. 200;

sleep 0.5;
$server->signal('TERM');
ok($server->gone(15 * $VaultNginx::SLOW), 'told to end at once, it does');
unlike($server->log_text, qr/exited on signal/, 'by itself');
$server->stop;


# The deadline of a request is never lost

SKIP: {
    skip 'SQLite answers from a thread', 4 if $VaultServer::FLAVOUR ne 'pg';

    my $deadline = 3000 * $VaultNginx::SLOW;
    $server = vault_server(name => 'late',
                           vault => "vault_request_timeout ${deadline}ms;");
    ($worker) = $server->workers;
    call($server, 'GET', '/api/debug/transaction/1');

    open my $lock, '|-', 'psql', '-XqAt', '-d', database() or die "psql: $!";
    $lock->autoflush;
    print $lock "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE;\n";
    await('SELECT count(*) FROM pg_locks WHERE granted'
          . " AND mode = 'AccessExclusiveLock'"
          . " AND relation = 'users'::regclass");

    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    my $start = time;
    syswrite $sock, VaultHttp::message('GET', '/api/debug/transaction/20000');
    await('SELECT count(*) FROM pg_locks WHERE NOT granted'
          . " AND relation = 'users'::regclass");

    # the answer of the database and the deadline come while the loop stands
    my $stall = VaultHttp::open_socket($server->port) or die "connect: $!";
    syswrite $stall, VaultHttp::message('GET', "/api/debug/stall/$deadline");
    sleep 0.2;
    print $lock "ROLLBACK;\n";
    close $lock;

    my ($answer) = VaultHttp::exchange($server->port, [], socket => $sock,
                                       timeout => 12 * $VaultNginx::SLOW);
    is($answer->{status}, 503, 'a late request ends although it was answered');
    cmp_ok(time - $start, '<', 12 * $VaultNginx::SLOW, 'in time');
    stops_clean($server, 'nothing is left');
    is_deeply([$server->stop], [], 'and nginx is well');
}

done_testing();
