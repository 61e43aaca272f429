# Clients that leave at any moment, at each kind of wait: the worker lives,
# nothing runs on, every connection goes back to its pool.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultTest 'debug';

my $CLIENTS = 50;

my $server = vault_server(
    name  => 'abort',
    level => 'notice',
    vault => "vault_database_connections 4;\nvault_login_limit off;",
);

my $pid = status($server)->{pid};
my $alice = user('alice');


# Each client sends `request`, and leaves within `span` seconds: every other
# one with a reset, the others with an orderly end.

sub leave {
    my ($request, $span) = @_;

    my @open;

    for my $n (1 .. $CLIENTS) {
        my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";

        syswrite $sock, ref $request ? $request->($n) : $request;
        push @open, [time + rand $span, $sock, $n];
    }

    for my $client (sort { $a->[0] <=> $b->[0] } @open) {
        my ($when, $sock, $n) = @$client;
        my $left = $when - time;

        sleep $left if $left > 0;
        $n % 2 ? VaultHttp::reset($sock) : close $sock;
    }
}


sub survives {
    my ($name, $request, $span) = @_;

    leave($request, $span // 0.1);

    stops_clean($server, "$name: nothing is left");
    is(status($server)->{pid}, $pid, "$name: the same worker");
    is(call($server, 'GET', '/api/folders', as => 'alice')->{status}, 200,
       "$name: it works");
}


sub get {
    my ($path, @headers) = @_;

    return VaultHttp::message('GET', $path, \@headers);
}

sub post {
    my ($path, $body, @headers) = @_;

    return VaultHttp::message('POST', $path,
                              ['Content-Type: application/json', @headers],
                              $body);
}

my $bearer = "Authorization: Bearer $alice->{token}";

survives('timer', sub { get('/api/debug/timer/' . int rand 120) });
survives('thread', sub { get('/api/debug/thread/' . int rand 40) });
survives('password thread', post('/identity/accounts/prelogin/password',
         json_text({ email => 'alice@example.com' })));
survives('sign-in', VaultHttp::message(
    'POST', '/identity/connect/token',
    ['Content-Type: application/x-www-form-urlencoded'],
    form(grant_type => 'password', scope => 'api offline_access',
         client_id => 'cli', username => $alice->{email},
         password => 'wrong', deviceType => 8, deviceName => 'x',
         deviceIdentifier => uuid('x'))));
survives('query', get('/api/sync', $bearer), 0.05);
survives('transaction, and the queue for a connection',
         sub { get('/api/debug/transaction/' . int rand 10) }, 0.3);
survives('write', sub {
    post('/api/folders', json_text(folder("folder $_[0]")), $bearer)
}, 0.05);
survives('half a body', "POST /api/debug/body HTTP/1.1\r\nHost: a\r\n"
         . "Content-Length: 10\r\n\r\nabc");
survives('a body in a file', "POST /api/debug/body HTTP/1.1\r\nHost: a\r\n"
         . "Content-Length: 200000\r\n\r\n" . 'x' x 200_000);
survives('several on one connection', join '', map {
    "GET /api/debug/timer/$_ HTTP/1.1\r\nHost: a\r\n\r\n" } 1, 20, 3, 40);
survives('a mixture', sub {
    my ($n) = @_;
    my @kinds = (get('/api/debug/timer/50'), get('/api/debug/thread/10'),
                 get('/api/debug/transaction/3'), get('/api/sync', $bearer));
    return $kinds[$n % @kinds];
}, 0.2);

# A write that a client did not wait for is there whole or not at all.

my $folders = call($server, 'GET', '/api/folders', as => 'alice')->{json};
is_deeply([grep { $_->{name} !~ /^2\./ } @{$folders->{data}}], [],
          'no half-written folder');

is_deeply([$server->stop], [], 'and nginx has nothing to complain of');

done_testing();
