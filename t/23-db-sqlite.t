# What can happen to a file: modes, locks, a full disk, another file in its
# place, a missing folder, death.

use strict;
use warnings;

# its endpoints are in builds for tests only
BEGIN { $ENV{VAULT_FLAVOUR} = 'debug' if ($ENV{VAULT_FLAVOUR} || '') ne 'asan' }

use Test::More;
use Time::HiRes qw(sleep time);

use VaultServer ();
use VaultTest;

die "SQLite only\n" if $VaultServer::FLAVOUR ne 'sqlite';


my $data = folder_of();


sub server_on {
    my ($file, %arg) = @_;

    my $more = delete $arg{vault} // '';

    return vault_server(vault => "vault_database sqlite:$file;\n$more", %arg);
}


sub mode_of { return sprintf '%04o', (stat $_[0])[2] & 07777 }

# The next number; or the status of a refusal below zero, 0 for no answer.

sub count {
    my ($server) = @_;

    my $answer = call($server, 'POST', '/api/debug/count');
    my $status = $answer->{status} // 0;

    return $status == 200 ? $answer->{json}{n} : -$status;
}


# Eventually: what heals by itself may take a second.

sub heals {
    my ($server, $name) = @_;

    my $n = 0;

    for (1 .. 30 * $VaultNginx::SLOW) {
        $n = count($server);
        last if $n > 0;
        sleep 0.1;
    }

    cmp_ok($n, '>', 0, $name);
    return $n;
}


# Files are nobody else's, whatever the umask.

{
    my $file = "$data/modes.db";
    my $old = umask 0;
    my $server = server_on($file, name => 'modes');
    umask $old;

    is(count($server), 1, 'the file is made');
    is(mode_of($file), '0600', 'for its owner only');
    is(mode_of("$file-wal"), '0600', 'as its log');
    is(mode_of("$file-shm"), '0600', 'and its index');

    $server->stop;
    ok(-s $file, 'the file stays');
    ok(!-e "$file-wal", 'a clean end leaves no log behind');
}

# Somebody else holds the lock.

{
    my $file = "$data/lock.db";
    my $server = server_on($file, name => 'lock',
                           vault => 'vault_database_timeout 1s;');
    is(count($server), 1, 'a write');

    my $pid = open my $sqlite, '|-', 'sqlite3', $file or die "sqlite3: $!\n";
    $sqlite->autoflush(1);
    print $sqlite "BEGIN IMMEDIATE;\n";
    sleep 0.3;

    my $start = time;
    is(count($server), -503, 'a lock that does not end is told');
    cmp_ok(time - $start, '<', 3 * $VaultNginx::SLOW, 'within the timeout');
    is(call($server, 'GET', '/api/debug/rows')->{status}, 200,
       'those who read do not wait for it');
    is(call($server, 'GET', '/alive')->{status}, 200, 'nor does the worker');

    print $sqlite "ROLLBACK;\n.quit\n";
    close $sqlite;

    is(count($server), 2, 'and all is well again');
    stops_clean($server, 'nothing is left in use');
    is_deeply([$server->stop], [], 'a clean end');
}

# Another file in its place: a backup that was restored, say.

{
    my $file = "$data/other.db";
    my $server = server_on($file, name => 'other');

    count($server) for 1 .. 3;
    is(system('sqlite3', $file, ".backup $file.copy"), 0, 'a copy');
    count($server) for 1 .. 3;

    unlink "$file-wal", "$file-shm";
    rename "$file.copy", $file or die "$file: $!\n";

    is(heals($server, 'the other file is found'), 4,
       'it is the one that is written to');

    unlink $file, "$file-wal", "$file-shm";
    is(heals($server, 'none at all'), 1, 'a new one is made, with its tables');
    $server->stop;
}

# A file that is no database.

{
    my $file = "$data/text.db";
    open my $out, '>', $file or die "$file: $!\n";
    print $out 'a letter to nobody ' x 100;
    close $out;

    my $server = server_on($file, name => 'text');
    is(count($server), -503, 'what is no database is refused');
    like($server->log_text, qr/file is not a database/, 'and said');
    is(-s $file, 1900, 'and left as it is');
    $server->stop;
}

# A folder that goes and comes.

{
    mkdir "$data/away" or die "$data/away: $!\n";
    my $server = server_on("$data/away/vault.db", name => 'away');

    rename "$data/away", "$data/gone" or die "rename: $!\n";
    is(count($server), -503, 'no folder');
    sleep 0.3;                        # what had begun before is over
    is(count($server), -503, 'nor later');
    like($server->log_text, qr{cannot create \S+/away/vault\.db: No such file},
         'is said with its name');
    rename "$data/gone", "$data/away" or die "rename: $!\n";
    heals($server, 'until it is back');
    $server->stop;
}

# Started wrongly: one line that names the remedy.

my $wrong = 0;

for my $case (
    ["$data/missing/vault.db",
     qr{folder "\S+/missing" cannot be reached: mkdir -p \S+ && chown \S+ /}],
    ["$data", qr{"\S+" is not a file: name a file}],
    ["$data/modes.db/vault.db", qr{is not a folder|Not a directory}],
    ["$data/", qr{must name a file, not a folder}],
    [':memory:', qr{must be a file, since every worker opens it}],
    ["$data/x.db?mode=ro", qr{must not have parameters}])
{
    my ($file, $message) = @$case;
    my $server = eval { server_on($file, name => 'wrong' . ++$wrong) };

    like($@, $message, "$file is refused");
    $server->stop if $server;
}

SKIP: {
    skip 'needs root, to be somebody else', 2 if $> != 0;

    mkdir "$data/theirs" or die "$data/theirs: $!\n";
    chmod 0755, "$data/theirs";

    my $server = eval { server_on("$data/theirs/vault.db", name => 'theirs',
                                  main => 'user www-data;') };
    like($@, qr{"\S+/theirs" cannot be written by www-data: chown www-data /},
         'a folder that the workers cannot write to is refused');
    $server->stop if $server;
    ok(!-e "$data/theirs/vault.db", 'and nothing is made in it');
}

# A full disk.

SKIP: {
    my $disk = "$data/disk";
    mkdir $disk or die "$disk: $!\n";

    skip 'no small disk can be mounted here', 8
        if system("mount -t tmpfs -o size=3m tmpfs '$disk' 2>/dev/null") != 0;

    my $server = server_on("$disk/vault.db", name => 'disk');

    my $ok = eval {
        is(count($server), 1, 'a write to a small disk');
        is(call($server, 'POST', '/api/debug/rows/100')->{json}{n}, 100,
           'some rows');
        is(call($server, 'POST', '/api/debug/rows/3000')->{status}, 503,
           'too many rows');
        like($server->log_text, qr/database or disk is full/, 'is said');
        is(scalar @{call($server, 'GET', '/api/debug/rows')->{json}{data}},
           101, 'none of them is there, and the others are');

        open my $fill, '>', "$disk/fill" or die "$disk/fill: $!\n";
        1 while syswrite $fill, 'x' x 4096;
        close $fill;

        my $last = 0;
        for (1 .. 200) {
            my $n = count($server);
            last if $n < 0;
            $last = $n;
        }

        is(call($server, 'GET', '/api/debug/rows')->{status}, 200,
           'a full disk still answers to those who read');

        unlink "$disk/fill";
        is(heals($server, 'and takes writes when there is room'), $last + 1,
           'none was lost, none half-written');
        1;
    };
    my $why = $@;

    $server->stop;
    system 'umount', $disk;
    die $why if !$ok;
}

# Death in the middle of writing: what was answered is there.

{
    my $file = "$data/death.db";
    my $server = server_on($file, name => 'death', workers => 2,
                           listen => ' reuseport');
    my $log = "$data/death.answers";

    for my $round (1 .. 3) {
        my $child = fork // die "fork: $!\n";

        if ($child == 0) {
            open my $out, '>>', $log or POSIX::_exit(1);
            for (1 .. 1000) {
                my $n = count($server);
                syswrite $out, "$n\n" if $n > 0;
            }
            POSIX::_exit(0);
        }

        sleep 0.4 + rand 0.3;
        kill 'KILL', status($server)->{pid};
        sleep 0.1;
        kill 'TERM', $child;
        waitpid $child, 0;
    }

    open my $in, '<', $log or die "$log: $!\n";
    my ($answered) = sort { $b <=> $a } map { /^(\d+)$/ } <$in>;

    cmp_ok($answered, '>', 3, 'writes were answered');
    cmp_ok(heals($server, 'after three deaths of a worker'), '>', $answered,
           'every answered write is there');
    is(qx{sqlite3 '$file' 'PRAGMA integrity_check'}, "ok\n",
       'and the file is whole');
    $server->stop;
}

done_testing();
