# Jobs: what each of them removes, and that one worker of all runs it.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(cipher);
use VaultHttp;
use VaultNginx;
use VaultServer qw(sql meanwhile);
use VaultTest 'debug';

my ($HOUR, $DAY) = (3600_000, 86400_000);
my ($PENDING, $READY, $DOOMED, $DELETED) = 0 .. 3;

my $store = folder_of() . '/files';
my $server = jobs_server('main');

my ($alice, $bob, $carol) = map { user($_) } qw(alice bob carol);


sub jobs_server {
    my ($name, %arg) = @_;

    my $directives = delete $arg{vault} // '';
    $directives .= "\nvault_jobs off;" if $directives !~ /vault_jobs/;

    return vault_server(
        name => $name, %arg,
        vault => "vault_files file:$store;\nvault_database_strict on;\n"
                 . $directives);
}


sub now { return int(1000 * time) }


# Runs one job now, or what is due.

sub job {
    my ($name, $on) = @_;

    my $query = defined $name ? "?name=$name" : '';
    my $answer = call($on // $server, 'POST', "/api/debug/jobs$query",
                      timeout => 60);

    return $answer->{json} if ($answer->{status} // 0) == 200;
    return { status => $answer->{status} };
}


sub row_of_job {
    my ($name) = @_;

    my $row = sql('SELECT leased_until, due_at, failures, ended_at, owner'
                  . " FROM jobs WHERE name = '$name'");
    chomp $row;

    my %row;
    @row{qw(leased_until due_at failures ended_at owner)}
        = split /\|/, $row, -1;
    return \%row;
}


sub count {
    my ($from) = @_;

    return 0 + sql("SELECT count(*) FROM $from");
}


sub revision {
    my ($user) = @_;

    return 0 + sql("SELECT revised_at FROM users WHERE id = '$user->{id}'");
}


my $seed = 0;

sub id { return uuid('jobs ' . $seed++) }


# Rows as the API leaves them, aged.

sub file_row {
    my ($user, $state, $age, %of) = @_;

    my $id = $of{id} // id();
    my $made = now() - $age;

    sql('INSERT INTO files (id, user_id, cipher_id, send_id, name, size,'
        . ' size_name, state, created_at) VALUES ('
        . join(', ', map { defined ? "'$_'" : 'NULL' }
               $id, $user->{id}, $of{cipher}, $of{send}, '2.x|x|x', 5,
               '5 Bytes', $state, $made) . ')');
    return $id;
}


sub send_row {
    my ($user, $deletes) = @_;

    my $id = id();

    sql('INSERT INTO sends (id, user_id, type, name, data, key, accesses,'
        . ' disabled, hide_email, created_at, revised_at, deletes_at) VALUES ('
        . join(', ', map { "'$_'" } $id, $user->{id}, 1, '2.x|x|x', '{}',
               '2.x|x|x', 0, 0, 0, 1, 1, now() + $deletes) . ')');
    return $id;
}


sub trashed {
    my ($name, $age) = @_;

    my $answer = call($server, 'POST', '/api/ciphers', as => $name,
                      json => cipher(name => "jobs $age"));
    my $id = $answer->{json}{id};

    sql('UPDATE ciphers SET deleted_at = ' . (now() - $age)
        . " WHERE id = '$id'") if $age;
    return $id;
}


sub state_of {
    my ($id) = @_;

    my $state = sql("SELECT state FROM files WHERE id = '$id'");
    chomp $state;
    return $state eq '' ? 'gone' : $state;
}


sub object {
    my ($id) = @_;

    return sprintf '%s/%s/%s', $store, substr($id, 0, 2), $id;
}


sub make_object {
    my ($id) = @_;

    my $file = object($id);
    my ($folder) = $file =~ m{(.*)/};

    mkdir $folder;
    open my $out, '>', $file or die "$file: $!\n";
    print $out 'bytes';
    close $out;
}


# As many doomed rows, old enough to be forgotten at once.

sub many_doomed {
    my ($n) = @_;

    sql('INSERT INTO files (id, user_id, name, size, size_name, state,'
        . ' created_at)'
        . ' WITH RECURSIVE n(i) AS'
        . " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $n)"
        . " SELECT '00000000-0000-4000-8000-'"
        . ' || substr(CAST(1000000000000 + i AS text), 2),'
        . " '$alice->{id}', 'x', 1, 'x', $DOOMED, i FROM n");
}


sub until_true {
    my ($seconds, $check) = @_;

    my $end = time + $seconds * $VaultNginx::SLOW;

    while (time < $end) {
        my $value = $check->();
        return $value if $value;
        sleep 0.02;
    }

    return 0;
}


sub expire_lease {
    my ($name) = @_;

    sql('UPDATE jobs SET leased_until = ' . (now() - 1)
        . " WHERE name = '$name' AND leased_until > 0");
}


sub asking {
    my ($on, $stop) = @_;

    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;

    while (!-e $stop) {
        job('files', $on);
        sleep 0.01;
    }

    POSIX::_exit(0);
}


sub deleted_by {
    my (@servers) = @_;

    my $text = join '', map { $_->log_text } @servers;
    my $sum = 0;

    $sum += $_ for $text =~ /vault: job files: (\d+) files deleted/g;
    return $sum;
}


# Sends

{
    my @due = (send_row($alice, -$HOUR), send_row($bob, -1));
    my $later = send_row($carol, $HOUR);
    my @files = map { file_row(@$_) } (
        [$alice, $READY, 0, send => $due[0]],
        [$bob, $PENDING, 0, send => $due[1]],
        [$carol, $READY, 0, send => $later]);
    my @before = map { revision($_) } $alice, $bob, $carol;

    json_like(job('sends'), { ran => 1, failed => 0, count => 2 },
              'Sends: the two that are due');
    is(count("sends WHERE id IN ('$due[0]', '$due[1]')"), 0, 'are gone');
    is(count("sends WHERE id = '$later'"), 1, 'the third one stays');
    is_deeply([map { state_of($_) } @files], [$DOOMED, $DOOMED, $READY],
              'their files are doomed with them');

    my @after = map { revision($_) } $alice, $bob, $carol;

    cmp_ok($after[0], '>', $before[0], 'which its owner is told');
    cmp_ok($after[1], '>', $before[1], 'and the other owner');
    is($after[2], $before[2], 'and nobody else');
    like($server->log_text, qr/vault: job sends: 2 Sends deleted in \d+ ms/,
         'the log has a line');

    json_like(job('sends'), { ran => 1, failed => 0, count => 0 },
              'a second run finds nothing');
    is(revision($alice), $after[0], 'and changes nothing');

    sql("DELETE FROM sends WHERE id = '$later'");
    sql('DELETE FROM files');
}

# What was found due is asked again: its owner may have been faster.

{
    my $send = send_row($alice, -$HOUR);
    my $item = trashed(alice => 31 * $DAY);
    my @files = (file_row($alice, $READY, 0, send => $send),
                 file_row($alice, $READY, 0, cipher => $item));

    my $holder = meanwhile(
        "UPDATE users SET revised_at = revised_at + 1"
        . " WHERE id = '$alice->{id}'",
        "UPDATE sends SET deletes_at = " . (now() + $DAY)
        . " WHERE id = '$send'",
        "UPDATE ciphers SET deleted_at = NULL WHERE id = '$item'");

    json_like(job('sends'), { ran => 1, failed => 0, count => 0 },
              'a Send that is prolonged in this moment');
    waitpid $holder, 0;
    is(count("sends WHERE id = '$send'"), 1, 'stays');

    sql("UPDATE ciphers SET deleted_at = 1 WHERE id = '$item'");
    $holder = meanwhile(
        "UPDATE users SET revised_at = revised_at + 1"
        . " WHERE id = '$alice->{id}'",
        "UPDATE ciphers SET deleted_at = NULL WHERE id = '$item'");

    json_like(job('trash'), { ran => 1, failed => 0, count => 0 },
              'an item that is restored in this moment');
    waitpid $holder, 0;
    is(count("ciphers WHERE id = '$item'"), 1, 'stays');
    is_deeply([map { state_of($_) } @files], [$READY, $READY],
              'and so do their files');

    sql("DELETE FROM ciphers WHERE id = '$item'");
    sql('DELETE FROM sends');
    sql('DELETE FROM files');
}

# Trash

{
    my $old = trashed(alice => 31 * $DAY);
    my $fresh = trashed(alice => 29 * $DAY);
    my $used = trashed(alice => 0);
    my @files = map { file_row($alice, $READY, 0, cipher => $_) }
                    $old, $fresh, $used;
    my $before = revision($alice);

    my $keeps = jobs_server('keeps', vault => 'vault_trash_days off;');

    json_like(job('trash', $keeps), { ran => 1, failed => 0, count => 0 },
              'trash: off, and nothing goes');
    is_deeply([$keeps->stop], [], 'a clean end');

    json_like(job('trash'), { ran => 1, failed => 0, count => 1 },
              'after 30 days it goes');
    is(call($server, 'GET', "/api/ciphers/$old", as => 'alice')->{status},
       404, 'for ever');
    is(call($server, 'GET', "/api/ciphers/$_", as => 'alice')->{status},
       200, 'others stay') for $fresh, $used;
    is_deeply([map { state_of($_) } @files], [$DOOMED, $READY, $READY],
              'its file is doomed');
    cmp_ok(revision($alice), '>', $before, 'clients are told');

    my $soon = jobs_server('soon', vault => 'vault_trash_days 29;');

    json_like(job('trash', $soon), { ran => 1, failed => 0, count => 1 },
              'the directive counts days');
    is_deeply([$soon->stop], [], 'a clean end');
    sql('DELETE FROM files');
}

# More than one transaction may change (strict mode is on)

{
    my $old = now() - 40 * $DAY;

    sql('INSERT INTO ciphers (id, user_id, type, favorite, data, created_at,'
        . ' revised_at, deleted_at)'
        . ' WITH RECURSIVE n(i) AS'
        . ' (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)'
        . " SELECT 'trash-' || CAST(i AS text), '$bob->{id}', 1, 0, '{}', 1,"
        . " 1, $old FROM n");
    sql('INSERT INTO files (id, user_id, cipher_id, name, size, size_name,'
        . ' state, created_at)'
        . ' WITH RECURSIVE n(i) AS'
        . ' (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 6299)'
        . " SELECT 'file-' || CAST(i AS text), '$bob->{id}',"
        . " 'trash-' || CAST(1 + i % 450 AS text), 'x', 1, 'x', $READY, i"
        . ' FROM n');

    json_like(job('trash'), { ran => 1, failed => 0, count => 450 },
              'a large trash is emptied in batches');
    is(count("ciphers WHERE user_id = '$bob->{id}'"), 0, 'to the last item');
    is(count("files WHERE state = $DOOMED"), 6300, 'and the last file');
    is(count("files WHERE state <> $DOOMED"), 0, 'really');
    sql('DELETE FROM files');
}

# Files

{
    my $old = file_row($alice, $DOOMED, 5 * $HOUR);
    my $young = file_row($alice, $DOOMED, 0);
    my $ready = file_row($alice, $READY, 5 * $HOUR);
    my $absent = file_row($alice, $DOOMED, 5 * $HOUR);

    make_object($_) for $old, $young, $ready;

    json_like(job('files'), { ran => 1, failed => 0, count => 3 },
              'files: what is doomed');
    ok(!-e object($_), 'is deleted') for $old, $young;
    ok(-e object($ready), 'what is not stays');
    is(state_of($_), 'gone', 'and forgotten') for $old, $absent;
    is(state_of($young), $DELETED, 'but while a link to it may live');

    # a client that had a link stores it after all

    make_object($young);
    json_like(job('files'), { ran => 1, failed => 0, count => 0 },
              'too early to look again');

    sql('UPDATE files SET created_at = ' . (now() - 5 * $HOUR)
        . " WHERE id = '$young'");
    json_like(job('files'), { ran => 1, failed => 0, count => 1 },
              'when the last link has ended');
    ok(!-e object($young), 'what was stored late is deleted too');
    is(state_of($young), 'gone', 'and forgotten');

    # one that cannot be deleted does not stop the others

    my $stuck = file_row($alice, $DOOMED, 7 * $HOUR);
    my $other = file_row($alice, $DOOMED, 6 * $HOUR);

    make_object($other);
    mkdir object($stuck) =~ s{/[^/]+$}{}r;
    mkdir object($stuck) or die object($stuck), ": $!\n";

    json_like(job('files'), { ran => 1, failed => 1, count => 1 },
              'one file cannot be deleted');
    is(state_of($other), 'gone', 'the other one can');
    is(state_of($stuck), $DOOMED, 'it is not forgotten');
    is(row_of_job('files')->{failures}, 1, 'the failure is counted');
    like($server->log_text,
         qr/vault: job files failed, 1 in a row; 1 left; again in 30 s/,
         'and logged');

    rmdir object($stuck);
    json_like(job('files'), { ran => 1, failed => 0, count => 1 },
              'later it can');
    is(row_of_job('files')->{failures}, 0, 'and all is well');

    # the folder is not there: a disk that was not mounted

    my $lost = file_row($alice, $DOOMED, 5 * $HOUR);
    make_object($lost);

    rename $store, "$store.away" or die "$store: $!\n";
    json_like(job('files'), { ran => 1, failed => 1, count => 0 },
              'a folder that has gone is not an empty one');
    is(state_of($lost), $DOOMED, 'nothing is forgotten');
    rename "$store.away", $store or die "$store: $!\n";

    json_like(job('files'), { ran => 1, failed => 0, count => 1 },
              'when it is back');
    ok(!-e object($lost), 'its files are deleted');

    unlink object($ready);
    sql('DELETE FROM files');
}

# Half uploads, orphans, devices, what lies in the folder for received bodies

{
    my $item = trashed(alice => 0);
    my $send = send_row($alice, $DAY);
    my @files = map { file_row($alice, @$_) } (
        [$PENDING, 3 * $HOUR, cipher => $item], [$PENDING, 0, cipher => $item],
        [$READY, 2 * $HOUR, cipher => $item], [$READY, 0, send => $send],
        [$READY, 0, cipher => id()], [$READY, 0, send => id()]);

    json_like(job('uploads'), { ran => 1, failed => 0, count => 1 },
              'uploads: a promise that was not kept for two hours');
    is_deeply([map { state_of($_) } @files],
              [$DOOMED, $PENDING, $READY, $READY, $READY, $READY],
              'is doomed');

    json_like(job('orphans'), { ran => 1, failed => 0, count => 2 },
              'orphans: files of items and Sends that are not there');
    is_deeply([map { state_of($_) } @files],
              [$DOOMED, $PENDING, $READY, $READY, $DOOMED, $DOOMED],
              'are doomed');

    sql("UPDATE files SET state = $DOOMED WHERE send_id = '$send'");
    my $text = send_row($alice, $DAY);
    sql("UPDATE sends SET type = 0 WHERE id = '$text'");

    json_like(job('orphans'), { ran => 1, failed => 0, count => 1 },
              'a Send that will never have its file');
    is(count("sends WHERE id = '$send'"), 0, 'is deleted');
    is(count("sends WHERE id = '$text'"), 1, 'a text is not');

    sql('DELETE FROM files');
    sql('DELETE FROM sends');

    my @devices = map { id() } 1 .. 6;
    my $long_ago = now() - 31 * $DAY;
    my $device = sub {
        my ($id, $seen, $hash, $expires, $key) = @_;
        $_ = defined ? "'$_'" : 'NULL' for $hash, $expires, $key;
        sql('INSERT INTO devices (id, user_id, identifier, type, name,'
            . ' refresh_hash, refresh_expires_at, encrypted_user_key,'
            . " created_at, seen_at) VALUES ('$id', '$carol->{id}', '$id', 8,"
            . " 'x', $hash, $expires, $key, 1, $seen)");
    };

    $device->($devices[0], $long_ago);
    $device->($devices[1], $long_ago, 'ended', now() - 1);
    $device->($devices[2], $long_ago, 'lives', now() + $DAY);
    $device->($devices[3], $long_ago, undef, undef, 'trusted');
    $device->($devices[4], now() - 29 * $DAY);
    $device->($devices[5], now());

    my $last = user('dora');          # who was never seen on another
    sql("UPDATE devices SET seen_at = $long_ago, refresh_expires_at = 1"
        . " WHERE user_id = '$last->{id}'");

    json_like(job('devices'), { ran => 1, failed => 0, count => 2 },
              'devices: unseen for 30 days, without a token or a key');
    is_deeply([map { count("devices WHERE id = '$_'") } @devices],
              [0, 0, 1, 1, 1, 1], 'are forgotten');
    is(count("devices WHERE user_id = '$last->{id}'"), 1,
       'the last one of an account is not: the next is no first one');
    is(call($server, 'GET', '/api/devices', as => 'carol')->{status}, 200,
       'a device in use is not');

    for my $name (qw(old new)) {
        open my $out, '>', "$store/tmp/$name" or die "$store/tmp: $!\n";
        close $out;
    }
    my $then = time - 2 * 86400;
    utime $then, $then, "$store/tmp/old";

    json_like(job('sweep'), { ran => 1, failed => 0 }, 'sweep');
    ok(!-e "$store/tmp/old", 'a half upload of two days ago is deleted');
    ok(-e "$store/tmp/new", 'one of now is not');
}

json_like(job('mails'), { ran => 1, failed => 0 }, 'mails');
json_like(job('proofs'), { ran => 1, failed => 0 }, 'old codes');
json_like(job('marks'), { ran => 1, failed => 0 }, 'marks of transactions');
json_like(job('stages'), { ran => 1, failed => 0 }, 'stages');

# Leases

{
    my $ahead = sub { sql('UPDATE jobs SET due_at = ' . (now() + $_[0])) };

    json_like(job(), { ran => 0 }, 'all have run: none is due');

    my $row = row_of_job('sends');
    is($row->{owner}, '', 'nobody holds a lease');
    cmp_ok(abs($row->{due_at} - now() - 225_000), '<', 60_000,
           'each is due again after its interval');
    cmp_ok(abs($row->{ended_at} - now()), '<', 60_000, 'its end is known');

    sql('UPDATE jobs SET due_at = ' . (now() - 1) . " WHERE name = 'trash'");
    json_like(job(), { ran => 1, failed => 0 }, 'what is due runs');

    sql("UPDATE jobs SET owner = 'other', due_at = 0, leased_until = "
        . (now() + 20_000) . " WHERE name = 'sends'");
    json_like(job(), { ran => 0 }, 'unless somebody else runs it');
    json_like(job('sends'), { ran => 0 }, 'even by name');

    expire_lease('sends');
    json_like(job(), { ran => 1, failed => 0 },
              'a lease that has ended is taken');
    is(row_of_job('sends')->{owner}, '', 'and given back');

    sql("UPDATE jobs SET owner = 'other', due_at = " . (now() + 400 * $DAY)
        . ', leased_until = ' . (now() + 400 * $DAY)
        . " WHERE name = 'sends'");
    json_like(job(), { ran => 1, failed => 0 },
              'a clock that was a year ahead stops no job');

    json_like(job('nothing'), { ran => 0 }, 'an unknown name is no job');
    sql('DELETE FROM jobs');
    json_like(job(), { ran => 11, failed => 0 },
              'on a new database each is due');
}

# A job that fails waits longer each time

{
    sql('ALTER TABLE sends RENAME TO sends_away');

    for my $n (1 .. 3) {
        json_like(job('sends'), { ran => 1, failed => 1 }, "failure $n");

        my $row = row_of_job('sends');
        is($row->{failures}, $n, 'is counted');
        cmp_ok(abs($row->{due_at} - now() - 30_000 * 2 ** ($n - 1)), '<',
               10_000, 'and the pause doubles');
    }

    sql("UPDATE jobs SET failures = 1000 WHERE name = 'sends'");
    json_like(job('sends'), { ran => 1, failed => 1 }, 'after many');
    cmp_ok(row_of_job('sends')->{due_at} - now(), '<', 2 * $HOUR,
           'it is about an hour');
    json_like(job('trash'), { ran => 1, failed => 0 }, 'others go on');

    sql('ALTER TABLE sends_away RENAME TO sends');
    json_like(job('sends'), { ran => 1, failed => 0 }, 'well again');
    is(row_of_job('sends')->{failures}, 0, 'and forgotten');
}

stops_clean($server, 'nothing is left behind');

# Eight workers on one database: nothing is done twice at once.

{
    sql('DELETE FROM jobs');
    my $n = 40_000;

    many_doomed($n);

    my @servers = map {
        jobs_server("many$_", workers => 4, listen => ' reuseport',
                    vault => 'vault_jobs 1s;')
    } 1 .. 2;

    # beside the clocks, some who ask for the same job all the time

    my $stop = folder_of() . '/stop';
    my @pids = map { asking($servers[$_ % 2], $stop) } 1 .. 6;

    ok(until_true(180, sub { !count("files WHERE state = $DOOMED") }),
       'a clock runs what is due');

    open my $out, '>', $stop or die "$stop: $!\n";
    close $out;
    waitpid $_, 0 for @pids;

    ok(until_true(20, sub { row_of_job('files')->{owner} eq '' }),
       'and gives the lease back');

    is(deleted_by(@servers), $n, 'eight workers, and each file once');

    ok(until_true(20, sub {
           my $job = status($servers[0])->{jobs}{files};
           return $job && $job->{failures} == 0 && ($job->{endedAt} // 0) > 0
                  && $job->{dueAt} > $job->{endedAt};
       }), 'the status page shows when it ended and is due again');

    sleep 1;
    is_deeply([map { $_->stop } @servers], [], 'clean ends');
    unlike(join('', map { $_->log_text } @servers),
           qr/vault: job \w+ failed|took it over|\[(?:error|crit)\]/,
           'and nobody complained');
}

# A worker dies with the lease in its hand.

{
    many_doomed(60_000);
    sql('DELETE FROM jobs');

    my $dies = jobs_server('dies', vault => 'vault_jobs 1s;',
                           expected => [qr/exited on signal 9/]);

    ok(until_true(20, sub {
           my $left = count("files WHERE state = $DOOMED");
           return $left < 60_000 && $left > 0;
       }), 'in the middle of a job');

    kill 'KILL', status($dies)->{pid};
    my $lives = jobs_server('lives', vault => 'vault_jobs 1s;');

    sleep 0.5;
    my $left = count("files WHERE state = $DOOMED");

    cmp_ok($left, '>', 0, 'its worker is killed');
    isnt(row_of_job('files')->{owner}, '', 'its lease outlives it');

    sleep 1;
    is(count("files WHERE state = $DOOMED"), $left, 'and is respected');

    expire_lease('files');
    ok(until_true(180, sub { !count("files WHERE state = $DOOMED") }),
       'when it has ended another worker goes on');
    ok(until_true(20, sub { row_of_job('files')->{owner} eq '' }),
       'to the end');

    is_deeply([$dies->stop], [], 'nothing else was wrong');
    is_deeply([$lives->stop], [], 'nor there');
}

# Those who end meanwhile

{
    many_doomed(60_000);
    sql('DELETE FROM jobs');

    my $ends = jobs_server('ends', vault => 'vault_jobs 1s;');

    ok(until_true(20, sub {
           count("files WHERE state = $DOOMED") < 60_000;
       }), 'in the middle of a job');

    my $from = time;
    is_deeply([$ends->stop], [], 'a server ends cleanly');
    cmp_ok(time - $from, '<', 5 * $VaultNginx::SLOW, 'and soon');
    cmp_ok(count("files WHERE state = $DOOMED"), '>', 0,
           'without finishing the job');

    # who asked for it leaves: the batch ends, and the worker is free

    expire_lease('files');

    my $client = VaultHttp::open_socket($server->port);
    print {$client} "POST /api/debug/jobs?name=files HTTP/1.1\r\n",
                    "Host: localhost\r\nContent-Length: 0\r\n\r\n";
    ok(until_true(10, sub { row_of_job('files')->{owner} ne '' }),
       'a client asks for a job');
    close $client;

    ok(until_true(10, sub { !status($server)->{coroutines} }),
       'and leaves: it ends soon');
    cmp_ok(count("files WHERE state = $DOOMED"), '>', 0, 'in the middle');

    expire_lease('files');
    my $answer;
    ok(until_true(10, sub { !($answer = job('files'))->{busy} }),
       'the worker is not busy');
    json_like($answer, { ran => 1, failed => 0, busy => 0 }, 'the rest');
    is(count("files WHERE state = $DOOMED"), 0, 'is done by the next');
}

# A reload in the middle: the old worker leaves, a new one takes over.

{
    many_doomed(60_000);
    sql('DELETE FROM jobs');

    my $reloads = jobs_server('reloads', vault => 'vault_jobs 1s;');
    my $old = status($reloads)->{pid};

    ok(until_true(20, sub {
           count("files WHERE state = $DOOMED") < 60_000;
       }), 'in the middle of a job');

    $reloads->signal('HUP');
    ok(until_true(20, sub { !kill 0, $old }), 'the old worker ends');
    cmp_ok(count("files WHERE state = $DOOMED"), '>', 0,
           'without finishing the job');

    expire_lease('files');
    ok(until_true(180, sub { !count("files WHERE state = $DOOMED") }),
       'the new one finishes it');
    is_deeply([$reloads->stop], [], 'a clean end');
}

stops_clean($server, 'nothing is left behind');
is_deeply([$server->stop], [], 'a clean end');

done_testing();
