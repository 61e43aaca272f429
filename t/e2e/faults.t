#!/usr/bin/perl
# Clients that leave and servers that die, under load.  Whatever was answered
# must be there afterwards, and nothing half.  (PostgreSQL's death has a test
# of its own.)

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);

use VaultE2e qw(e2e_server account email password node_command);
use VaultNginx ();
use VaultServer qw(status folder_of);
use VaultTest ();

my $WRITERS = 8;
my $server = e2e_server(workers => 2);


# A node script whose stdout can be read while it runs.

sub start_script {
    my ($script, $name, @args) = @_;

    my %env = VaultE2e::environment($server);
    my @command = node_command($script, $server->{url}, email($name),
                               password($name), @args);
    local @ENV{keys %env} = values %env;

    my $pid = open my $out, '-|', @command or die "$command[0]: $!\n";
    return { pid => $pid, out => $out };
}


sub result_of {
    my ($script) = @_;

    my ($last) = reverse readline $script->{out};

    close $script->{out};
    is($?, 0, 'the client ended well');
    return eval { $VaultE2e::JSON->decode($last) } || {};
}


sub under_load {
    my ($name, $fault, $times) = @_;

    account($server, $name, password($name), 'register');

    my $load = start_script('load.mjs', $name, $WRITERS);
    is(readline $load->{out}, "writing\n", 'the load is on');

    for (1 .. $times) {
        sleep 0.3 + rand 0.4;
        $fault->();
    }

    sleep 0.5;
    kill 'TERM', $load->{pid};
    return result_of($load);
}


sub nothing_lost {
    my ($result, $faults) = @_;

    cmp_ok($result->{acknowledged} // 0, '>', 20 * $faults,
           'writes were acknowledged');
    cmp_ok($result->{failed} // 0, '>', 0, 'and some were cut off');
    is_deeply($result->{refused}, {}, 'no other failure')
        || diag($VaultE2e::JSON->encode($result->{refused}));

    is(@{$result->{lost} // ['?']}, 0, 'no acknowledged item is lost');
    is(@{$result->{stale} // ['?']}, 0, 'no acknowledged change is lost');
    is(@{$result->{risen} // ['?']}, 0, 'no deleted item is back');
    note($VaultE2e::JSON->encode($result));
}


sub kill_workers {
    my @workers = $server->workers;

    kill 'KILL', $workers[rand @workers] if @workers;
}


# The power goes: everything at once, then the same again.

sub kill_server {
    $server->kill_now;
    sleep 0.2;
    $server->start;
}


sub leaving {
    account($server, 'alice', password('alice'), 'register');

    my $result = result_of(start_script('leave.mjs', 'alice', 160,
                                        $server->{plain}));
    my %names;
    $names{$_}++ for @{$result->{names}};

    is($result->{tried}, 160, 'all clients left');
    is_deeply([grep { /^half/ } keys %names], [],
              'a request that came by half did nothing');
    cmp_ok(@{$result->{names}}, '<=', 80, 'nothing was done twice');

    VaultTest::stops_clean($server->{plain},
                           'nothing of the others is left behind');
    is(VaultHttp::request($server->{plain}, 'GET', '/alive')->{status}, 200,
       'the server is alive');
}


subtest 'clients leave in the middle' => \&leaving;

subtest 'kill -9 of workers' => sub {
    $server->expect_log('exited on signal 9');
    nothing_lost(under_load('alice.workers', \&kill_workers, 5), 5);
};

subtest 'kill -9 of the whole server' => sub {
    nothing_lost(under_load('alice.server', \&kill_server, 3), 3);
};

is_deeply([$server->stop], [], 'the server is well');

done_testing();
