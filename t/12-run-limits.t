# What bounds a worker: requests in flight, time, connections, threads.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use VaultHttp;
use VaultTest 'debug';


# Sends all at once; the answers in the order of the paths.

sub at_once {
    my ($server, @paths) = @_;

    my @open;

    for my $path (@paths) {
        my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
        syswrite $sock, VaultHttp::message('GET', $path);
        push @open, $sock;
    }

    return map {
        (VaultHttp::exchange($server->port, [], socket => $_,
                             timeout => 20 * $VaultNginx::SLOW))[0]
    } @open;
}


sub statuses {
    my (@answers) = @_;

    my %count;
    $count{$_->{status} // $_->{error}}++ for @answers;
    return \%count;
}


# A worker's start has work of its own: the database's schema.

sub at_rest {
    my ($vault) = @_;

    for (1 .. 200) {
        return if status($vault)->{coroutines} == 0;
        select undef, undef, undef, 0.05;
    }
}


# Stacks

my $server = vault_server(name => 'stacks', vault => 'vault_requests 5;');
at_rest($server);

my @answers = at_once($server, ('/api/debug/timer/400') x 12);
is_deeply(statuses(@answers), { 200 => 5, 503 => 7 },
          'five requests at once, the others are told to come again');

my ($busy) = grep { $_->{status} == 503 } @answers;
api_error_like($busy->{body}, 'The server is busy. Please try again.',
               'in the shape of the API');
is(status($server)->{refused}, 7, 'and counted');

is_deeply(statuses(at_once($server, ('/api/debug/timer/1') x 5)),
          { 200 => 5 }, 'afterwards all five are free again');
stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');


# Time

my $timeout = 300 * $VaultNginx::SLOW;
$server = vault_server(name => 'time',
                       vault => "vault_request_timeout ${timeout}ms;");
my $start = time;

my $late = call($server, 'GET', '/api/debug/timer/20000');
is($late->{status}, 503, 'a request has its deadline');
api_error_like($late->{body}, 'The server took too long. Please try again.',
               'and says so');
cmp_ok(time - $start, '<', 10, 'in time');

is(call($server, 'GET', '/api/debug/thread/20')->{status}, 200,
   'a short one is not cut');
$late = call($server, 'GET', '/api/debug/transaction/20000');
is($late->{status}, 503, 'a transaction has its deadline');
stops_clean($server, 'and its connection is idle again');
is(call($server, 'GET', '/api/debug/transaction/1')->{status}, 200,
   'and works');
is_deeply([$server->stop], [], 'and nginx is well');


# Connections to the database

$server = vault_server(name => 'connections',
                       vault => 'vault_database_connections 2;');

is_deeply(statuses(at_once($server, ('/api/debug/transaction/10') x 20)),
          { 200 => 20 }, 'twenty transactions share two connections');
cmp_ok(status($server)->{database}{open}, '<=', 3,
       'which is all that were opened');

my $wait = 200 * $VaultNginx::SLOW;
$server->stop;
$server = vault_server(
    name  => 'waiting',
    vault => "vault_database_connections 1;\n"
             . "vault_database_timeout ${wait}ms;");

my $hold = 4 * $wait;
@answers = at_once($server, "/api/debug/transaction/$hold",
                   ('/api/debug/transaction/1') x 3);
is_deeply(statuses(@answers[1 .. 3]), { 503 => 3 },
          'who waits too long for a connection is told to come again');
stops_clean($server, 'nothing is left');


# A client that asks first whether its body is welcome

my ($asked) = VaultHttp::exchange($server->port, [
    "POST /api/debug/body HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    . "Content-Length: 6\r\nExpect: 100-continue\r\n\r\n",
    { value => 'abcdef', delay_before => 0.1 }]);
is($asked->{body}, 6, '100-continue');


# A body that is announced as too large: nobody waits for it.

my ($big) = VaultHttp::exchange($server->port, [
    "POST /api/folders HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n"
]);
is($big->{status}, 413, 'a body that is announced as too large');
like(VaultHttp::header($big, 'content-type'), qr/^application\/json/, 'JSON');
api_error_like($big->{body}, 'The request body is too large.', 'says why');


# A queue of threads

is_deeply(statuses(at_once($server, ('/api/debug/thread/2') x 100)),
          { 200 => 100 }, 'more work than threads');
is_deeply([$server->stop], [], 'and nginx is well');

done_testing();
