# A reload and a quit under load lose no request: every one that a client sent
# on a connection that nginx had taken is answered.

use strict;
use warnings;

use IO::Select ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultTest 'debug';

my $CLIENTS = 6;


# Clients in processes of their own, each a request after the other until told
# to stop; what they count comes back through a pipe.

sub start_clients {
    my ($server, $token, $until_refused) = @_;

    my @clients;

    for my $n (1 .. $CLIENTS) {
        pipe my $in, my $out or die "pipe: $!";

        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            close $in;
            client($server->port, $token, $n, $out, $until_refused);
            POSIX::_exit(0);
        }

        push @clients, { pid => $pid, in => $in };
    }

    return @clients;
}


sub client {
    my ($port, $token, $n, $out, $until_refused) = @_;

    my $stop = 0;
    my %count = (ok => 0, refused => 0, bad => 0);
    local $SIG{TERM} = sub { $stop = 1 };

    my @paths = ('/api/debug/timer/20', '/api/folders', '/api/debug/thread/5',
                 '/api/debug/transaction/2', '/api/accounts/revision-date');

    while (!$stop) {
        my $answer = VaultHttp::request(
            $port, 'GET', $paths[$count{ok} % @paths],
            ["Authorization: Bearer $token"], undef, timeout => 60);

        if (($answer->{status} // 0) == 200) {
            $count{ok}++;

        } elsif ($until_refused
                 && ($answer->{error} // '') =~ /^cannot connect|reset by peer/)
        {
            $count{refused}++;
            last;

        } else {
            $count{bad}++;
            $count{why} = ($answer->{error} // $answer->{status})
                          . substr $answer->{body} // '', 0, 200;
        }
    }

    syswrite $out, json_text(\%count) . "\n";
}


sub stop_clients {
    my (@clients) = @_;

    my %sum = (ok => 0, bad => 0, refused => 0);

    kill 'TERM', map { $_->{pid} } @clients;

    for my $client (@clients) {
        my $in = $client->{in};
        my $count = JSON::PP->new->decode(scalar <$in>);

        $sum{$_} += $count->{$_} for qw(ok bad refused);
        $sum{why} //= $count->{why};
        waitpid $client->{pid}, 0;
    }

    return \%sum;
}


sub new_workers {
    my ($server, @old) = @_;

    for (1 .. 500 * $VaultNginx::SLOW) {
        my %now = map { $_ => 1 } $server->workers;
        my @left = grep { $now{$_} } @old;

        return 1 if !@left && keys %now == 2;
        sleep 0.02;
    }

    return 0;
}

my $alice = user('alice');
my $server = vault_server(name => 'reload', workers => 2, level => 'notice',
                          vault => "vault_database_connections 3;");

my @clients = start_clients($server, $alice->{token});
sleep 0.3;

for my $n (1 .. 3) {
    my @old = $server->workers;

    $server->signal('HUP');
    ok(new_workers($server, @old), "reload $n: new workers, the old ones gone");
}

sleep 0.2;
my $sum = stop_clients(@clients);
cmp_ok($sum->{ok}, '>', 100, 'the clients were busy');
is($sum->{bad}, 0, 'no request was lost by three reloads')
    || diag($sum->{why});

# A broken configuration leaves the running one as it is.

my $conf = $server->root . '/conf/nginx.conf';
my $text = VaultNginx::read_file($conf);
my @before = $server->workers;

VaultNginx::write_file($conf, $text =~ s/vault_origin [^;]+/vault_origin x/r);
$server->expect_log('"vault_origin"');
$server->signal('HUP');
sleep 0.5;
is_deeply([$server->workers], \@before, 'a broken configuration is refused');
is(call($server, 'GET', '/api/folders', as => 'alice')->{status}, 200,
   'and the old one goes on');
VaultNginx::write_file($conf, $text);

# Requests that were under way when nginx was told to quit

my @waiting = map {
    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    syswrite $sock, VaultHttp::message('GET', $_);
    $sock;
} ('/api/debug/timer/400', '/api/debug/thread/300',
   '/api/debug/transaction/300') x 3;

@clients = start_clients($server, $alice->{token}, 1);
sleep 0.15 * $VaultNginx::SLOW;
$server->signal('QUIT');

my @statuses = map {
    my ($answer) = VaultHttp::exchange($server->port, [], socket => $_,
                                       timeout => 20 * $VaultNginx::SLOW);
    $answer->{status} // $answer->{error};
} @waiting;

is_deeply(\@statuses, [(200) x @waiting], 'all were answered before the end');
$sum = stop_clients(@clients);
is($sum->{bad}, 0, 'and no other was cut in two') || diag($sum->{why});
is_deeply([$server->stop], [], 'nginx quit by itself');

# After all that the database is whole.

$server = vault_server(name => 'again');
is(call($server, 'GET', '/api/folders', as => 'alice')->{status}, 200,
   'a new start finds everything in place');
is_deeply([$server->stop], [], 'and quits well');

done_testing();
