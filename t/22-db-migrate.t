# The schema is made by whoever comes first, and by all who come at once.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultServer qw(sql);
use VaultTest;

my $SQLITE = $VaultServer::FLAVOUR eq 'sqlite';
my @PATH = ('POST', '/identity/accounts/prelogin');


sub asked {
    my ($server) = @_;

    return call($server, @PATH, json => { email => 'nobody@example.com' });
}


sub steps {
    return sql('SELECT count(*), max(step) FROM vault_schema');
}


# Several servers with several workers each, all at once, on nothing.

my @servers = map {
    vault_server(name => "first$_", workers => 3, listen => ' reuseport')
} 1 .. 2;

my @pids;

for my $n (1 .. 24) {
    my $pid = fork // die "fork: $!\n";

    POSIX::_exit(asked($servers[$n % 2])->{status} == 200 ? 0 : 1)
        if $pid == 0;

    push @pids, $pid;
}

is(scalar(grep { waitpid($_, 0); $? != 0 } @pids), 0,
   'all who come at once are answered');

my ($count, $known) = steps() =~ /^(\d+)\|(\d+)$/m;

cmp_ok($known, '>=', 7, 'the ledger has steps');
is($count, $known, 'each of them once');

is_deeply([map { $_->stop } @servers], [], 'nothing was wrong with it');
unlike(join('', map { $_->log_text } @servers), qr/\[(?:error|crit)\]/,
       'and nobody complained');

# A server that died half-way: the step was done, its row was not written.

sql('DELETE FROM vault_schema WHERE step > 2');

my $server = vault_server(name => 'again');

is(asked($server)->{status}, 200, 'steps that were done are repeated');
is(steps(), "$known|$known\n", 'and written down');
like($server->log_text, qr/schema $known, was 2/, 'which the log tells');
is_deeply([$server->stop], [], 'a clean end');

# A newer module was here.

sql('INSERT INTO vault_schema (step, applied_at) VALUES (9999, 0)');

$server = vault_server(name => 'newer');

my $answer = asked($server);
is($answer->{status}, 503, 'a newer schema is left alone');
like($answer->{body}, qr/"message":"The database is not available/,
     'the client is asked to come again');
like($server->log_text,
     qr/schema 9999 is newer than this module's $known: upgrade the module/,
     'the operator is told what to do');

my $logged = () = $server->log_text =~ /is newer than/g;

is(asked($server)->{status}, 503, 'a second request at once');
is(scalar(() = $server->log_text =~ /is newer than/g), $logged,
   'does not look again within a second');
is(call($server, 'GET', '/alive')->{status}, 200, 'the rest works');

sql('DELETE FROM vault_schema WHERE step = 9999');
sleep 1.1;

is(asked($server)->{status}, 200, 'and it recovers by itself');
is_deeply([$server->stop], [], 'a clean end');

done_testing();
