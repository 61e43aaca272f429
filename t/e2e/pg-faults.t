#!/usr/bin/perl
# PostgreSQL dies, hangs, refuses, restarts.  Whatever was answered must be
# there afterwards, everybody else gets a 503 in time, the event loop stays
# alive, and nothing needs a restart to be well again.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp ();
use VaultNginx ();
use VaultTest;

my $WRITERS  = 6;
my $CONNECTIONS = 3;                    # of a worker
my $DEADLINE = 3;                       # vault_database_timeout, in seconds
my $TOO_LATE = ($DEADLINE + 2) * $VaultNginx::SLOW;

my $dir = "/tmp/vault-pg-faults-$$";
my $parent = $$;


# A cluster with fsync, unlike that of the other tests.  It need not sync its
# folder file by file when it recovers: only processes die here.

sub pg {
    my ($verb, @options) = @_;

    my $out = `'$VaultNginx::ROOT/t/tools/pg' $verb '$dir' @options`;
    die "pg $verb failed\n" if $? != 0;
    chomp $out;
    return $out;
}

END {
    if ($$ == $parent && -d $dir) {
        local $?;
        eval { pg('thaw') };
        eval { pg('stop') };
        system 'rm', '-rf', $dir;
    }
}

my $url = pg('start', '-c max_connections=20',
             '-c recovery_init_sync_method=syncfs');

my $server = vault_server(name => 'faults', workers => 2, vault => <<"_EOF_");
vault_database $url;
vault_database_connections $CONNECTIONS;
vault_database_timeout ${DEADLINE}s;
vault_request_timeout 10s;
_EOF_

user('alice', $server);


# Checks

sub complain {
    my ($answer) = @_;

    diag(substr $answer->{error} // $answer->{body}, 0, 200);
}


sub answers_ok {
    my ($name) = @_;

    my $answer = call($server, 'GET', '/api/folders', as => 'alice');
    is($answer->{status}, 200, $name) or complain($answer);
}


sub is_503 {
    my ($answer, $name) = @_;

    is($answer->{status}, 503, "$name: 503") or complain($answer);
    is($answer->{json}{object}, 'error', "$name: in the API's shape");
    like($answer->{json}{message}, qr/database/, "$name: says so");
    unlike($answer->{body}, qr/postgres|SQL|127\.0\.0\.1/i,
           "$name: and nothing of the inside");
}


sub refuses_in_time {
    my ($name) = @_;

    my $start = time;
    my $answer = call($server, 'GET', '/api/folders', as => 'alice');
    my $took = time - $start;

    is_503($answer, $name);
    cmp_ok($took, '<', $TOO_LATE, "$name: in time");
}


sub is_alive {
    my ($name) = @_;

    my $slowest = 0;

    for (1 .. 10) {                     # both workers, one would think
        my $start = time;
        my $answer = call($server, 'GET', '/alive');

        return fail("$name: alive") if ($answer->{status} // 0) != 200;
        $slowest = time - $start if time - $start > $slowest;
    }

    cmp_ok($slowest, '<', 3 * $VaultNginx::SLOW, "$name: alive");
}


# Recovers by itself, and soon: a worker pauses briefly after each failure.

sub recovers {
    my ($name) = @_;

    my $end = time + 15 * $VaultNginx::SLOW;
    my $row = 0;

    while (time < $end && $row < 10) {
        my $answer = call($server, 'GET', '/api/folders', as => 'alice');

        $row = $answer->{status} == 200 ? $row + 1 : 0;
        sleep 0.05 if !$row;
    }

    is($row, 10, "$name: all is well again");
}


# One client that makes, renames and deletes folders until it is told to stop,
# and knows of each what it was promised: the names it may have, or 'gone'.

my $stop = 0;

sub write_folders {
    my ($n, $out) = @_;

    my (%may, %count);

    local $SIG{TERM} = sub { $stop = 1 };
    my $parent = getppid;

    my $try = sub {
        my ($method, $path, $name) = @_;

        my $start = time;
        my $answer = call($server, $method, $path, as => 'alice',
                          $name ? (json => folder($name)) : ());
        my $status = $answer->{status} // 0;

        $count{$status}++;
        $count{late}++ if time - $start > $TOO_LATE;
        $count{shape}++ if $status == 503
                           && ($answer->{json}{object} // '') ne 'error';
        sleep 0.05 if $status != 200;
        return $status == 200 ? $answer : undef;
    };

    for (my $i = 0; !$stop && getppid == $parent; $i++) {
        my $answer = $try->('POST', '/api/folders', "writer $n, $i")
            or next;
        my $id = $answer->{json}{id};

        $may{$id} = [enc("writer $n, $i")];

        if ($i % 2) {
            my $name = "writer $n, $i again";

            if ($try->('PUT', "/api/folders/$id", $name)) {
                $may{$id} = [enc($name)];
            } else {
                push @{$may{$id}}, enc($name);
            }
        }

        if ($i % 3 == 0) {
            if ($try->('DELETE', "/api/folders/$id")) {
                $may{$id} = ['gone'];
            } else {
                push @{$may{$id}}, 'gone';
            }
        }
    }

    print $out JSON::PP->new->canonical->encode(
        { may => \%may, count => \%count });
}


sub start_writers {
    my @writers;

    for my $n (1 .. $WRITERS) {
        pipe my $in, my $out or die "pipe: $!\n";
        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            close $in;
            eval { write_folders($n, $out); close $out };
            print STDERR $@ if $@;
            POSIX::_exit($@ ? 1 : 0);
        }

        close $out;
        push @writers, { pid => $pid, in => $in };
    }

    return @writers;
}


sub stop_writers {
    my @writers = @_;

    my %sum = (may => {}, count => {});

    kill 'TERM', map { $_->{pid} } @writers;

    for my $writer (@writers) {
        my $text = do { local $/; readline $writer->{in} };

        waitpid $writer->{pid}, 0;
        is($?, 0, 'a client ended well');

        my $result = JSON::PP->new->decode($text || '{}');
        %{$sum{may}} = (%{$sum{may}}, %{$result->{may} || {}});
        $sum{count}{$_} += $result->{count}{$_}
            for keys %{$result->{count} || {}};
    }

    return \%sum;
}


sub nothing_lost {
    my ($sum) = @_;

    my %count = %{$sum->{count}};
    my $ok = delete $count{200} // 0;
    my $refused = delete $count{503} // 0;

    cmp_ok($ok, '>', 100, 'writes were acknowledged');
    cmp_ok($refused, '>', 0, 'others were refused');
    is_deeply(\%count, {}, 'no other status, no late answer, no other shape')
        or diag(JSON::PP->new->canonical->encode(\%count));

    my $answer = call($server, 'GET', '/api/folders', as => 'alice');
    my %is = map { $_->{id} => $_->{name} } @{$answer->{json}{data}};
    my @wrong;

    for my $id (sort keys %{$sum->{may}}) {
        my @may = @{$sum->{may}{$id}};
        my $is = $is{$id} // 'gone';

        push @wrong, "$id is $is, may be @may" if !grep { $_ eq $is } @may;
    }

    is_deeply(\@wrong, [], 'what was acknowledged is there');
    note("$ok acknowledged, $refused refused, "
         . keys(%{$sum->{may}}) . " folders");
}


# Faults

subtest 'kill -9 under load' => sub {
    my @writers = start_writers();

    for my $round (1 .. 3) {
        sleep 0.6 + rand 0.5;
        pg('kill');
        is_alive("round $round");
        sleep 0.2;
        pg('restart');
    }

    sleep 1;
    nothing_lost(stop_writers(@writers));
    stops_clean($server, 'nothing is left behind');
};


subtest 'gone' => sub {
    answers_ok('at first');
    pg('kill');

    refuses_in_time("attempt $_") for 1 .. 3;
    is_alive('without a database');

    my $answer = call($server, 'POST', '/api/folders', as => 'alice',
                      json => folder('into the void'));
    is_503($answer, 'a write');

    pg('restart');
    recovers('back');
};


subtest 'hangs' => sub {
    answers_ok('at first');
    pg('freeze');

    my @pending = map {
        my $sock = VaultHttp::open_socket($server->port);
        syswrite $sock, VaultHttp::message(
            'GET', '/api/folders',
            ['Authorization: Bearer ' . user('alice')->{token}]);
        $sock;
    } 1 .. 10;

    my $start = time;
    is_alive('while requests hang');

    for my $sock (@pending) {
        $sock->blocking(1);
        my $text = do { local $/; readline $sock };
        like($text, qr{^HTTP/1.1 503}, 'a request that hung is told so');
    }

    # half of them waited for a connection first

    cmp_ok(time - $start, '<', 2 * $TOO_LATE, 'in time');

    pg('thaw');
    recovers('thawed');
    stops_clean($server, 'nothing is left behind');
};


subtest 'restarts while nobody asks' => sub {
    recovers('at first');

    for my $round (1 .. 3) {
        pg('restart');
        answers_ok("request $_ after restart $round") for 1 .. 4;
    }
};


subtest 'ends the sessions' => sub {
    for my $round (1 .. 5) {
        answers_ok('before');
        psql($url, 'SELECT count(pg_terminate_backend(pid))'
                   . ' FROM pg_stat_activity WHERE pid <> pg_backend_pid()'
                   . " AND backend_type = 'client backend'");
        answers_ok("after, $_") for 1 .. 2;
    }
};


subtest 'has no connection to give' => sub {
    pg('restart');                      # the pools are empty now

    my @hogs;

    while (@hogs < 40 && system("psql -XqAt -d '$url' -c 'SELECT 1'"
                                . ' > /dev/null 2>&1') == 0)
    {
        open my $hog, '|-', "psql -XqAt -d '$url' > /dev/null 2>&1"
            or die "psql: $!\n";
        push @hogs, $hog;
    }

    cmp_ok(scalar @hogs, '<', 40, 'somebody else takes all connections');
    refuses_in_time('all taken');
    is_alive('all taken');

    close $_ for @hogs;
    recovers('given back');
};


subtest 'is locked' => sub {
    my $lock = sub {
        my ($seconds) = @_;

        open my $psql, '|-', "psql -XqAt -d '$url' > /dev/null"
            or die "psql: $!\n";
        print {$psql} 'BEGIN; LOCK TABLE folders IN ACCESS EXCLUSIVE MODE;'
                      . " SELECT pg_sleep($seconds); COMMIT;\n";
        $psql->flush;

        for (1 .. 100) {
            last if psql($url, "SELECT 1 FROM pg_locks WHERE granted AND"
                               . " mode = 'AccessExclusiveLock'") =~ /1/;
            sleep 0.05;
        }

        return $psql;
    };

    my $ask = sub {
        my ($n) = @_;

        return map {
            my $sock = VaultHttp::open_socket($server->port);
            syswrite $sock, VaultHttp::message(
                'GET', '/api/folders',
                ['Authorization: Bearer ' . user('alice')->{token}]);
            $sock;
        } 1 .. $n;
    };

    my $result = sub {
        my ($sock) = @_;

        $sock->blocking(1);
        my $text = do { local $/; readline $sock } // '';
        return $text =~ m{^HTTP/1.1 (\d+)} ? $1 : 0;
    };

    my $psql = $lock->(1);
    my @socks = $ask->(20);

    is_alive('waiting');
    is_deeply([map { $result->($_) } @socks], [(200) x 20],
              'who waits for a connection gets one');
    close $psql;

    my $busy = psql($url, 'SELECT count(*) FROM pg_stat_activity WHERE'
                          . " application_name = 'ngx_http_vault_module'");
    cmp_ok($busy, '<=', 2 * $CONNECTIONS,
           'no more connections than the workers may have');

    $psql = $lock->(2 * $DEADLINE);
    @socks = $ask->(20);

    is_deeply([map { $result->($_) } @socks], [(503) x 20],
              'who waits for too long is told so');
    close $psql;
    recovers('unlocked');
    stops_clean($server, 'nothing is left behind');
};


# What was prepared before does not fit any more.

subtest 'is altered' => sub {
    recovers('at first');

    for my $type ('varchar(20000)', 'text') {
        psql($url, "ALTER TABLE folders ALTER COLUMN name TYPE $type");
        answers_ok("a read as $type, $_") for 1 .. 4;

        psql($url, "ALTER TABLE users ALTER COLUMN email TYPE $type");
        my @status = map {
            call($server, 'POST', '/api/folders', as => 'alice',
                 json => folder('altered'))->{status}
        } 1 .. 4;
        is_deeply(\@status, [(200) x 4], "writes as $type");
    }
};


subtest 'is read-only' => sub {
    my $set = sub {
        psql($url, "ALTER SYSTEM SET default_transaction_read_only = $_[0]");
        psql($url, 'SELECT pg_reload_conf()');
        sleep 0.3;
    };

    $set->('on');

    my $answer = call($server, 'POST', '/api/folders', as => 'alice',
                      json => folder('read-only'));
    is_503($answer, 'a write');
    answers_ok('a read');

    $set->('off');

    $answer = call($server, 'POST', '/api/folders', as => 'alice',
                   json => folder('writable'));
    is($answer->{status}, 200, 'writes are back');
};


is_deeply([$server->stop], [], 'the server is well');

done_testing();
