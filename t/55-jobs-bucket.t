# Jobs on a bucket: promises that were kept without anybody telling us, and
# files that are deleted when the bucket is there again.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use VaultData qw(cipher);
use VaultPeer;
use VaultServer qw(sql);
use VaultTest 'debug';

my $HOUR = 3600_000;
my ($PENDING, $READY, $DOOMED, $DELETED) = 0 .. 3;

my $dir = folder_of();
my $tls = "$dir/tls";

delete @ENV{grep { /^AWS_/ } keys %ENV};
system("conf/tls '$tls' > /dev/null") == 0 or die "no certificate\n";

my $peer = VaultPeer->new('s3.py', "$tls/server.pem", "$tls/server.key");
my $url = 'https://localhost:' . $peer->port;

my $server = vault_server(
    name  => 'bucket',
    vault => "vault_files 's3://vault/files?endpoint=$url';\n"
             . "vault_upload presigned;\nvault_jobs off;\n"
             . 'vault_database_strict on;',
    env   => {
        HOME => "$dir/nobody", AWS_CA_BUNDLE => "$tls/ca.pem",
        AWS_ACCESS_KEY_ID => 'AKIAIOSFODNN7EXAMPLE',
        AWS_SECRET_ACCESS_KEY => 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    });

my $alice = user('alice');
my $item = call($server, 'POST', '/api/ciphers', as => 'alice',
                json => cipher())->{json}{id};


sub job {
    my ($name) = @_;

    my $answer = call($server, 'POST', "/api/debug/jobs?name=$name",
                      timeout => 60);

    return $answer->{json} if ($answer->{status} // 0) == 200;
    return { status => $answer->{status} };
}


my $seed = 0;

sub file_row {
    my ($state, $age) = @_;

    my $id = uuid('bucket ' . $seed++);

    sql('INSERT INTO files (id, user_id, cipher_id, name, size, size_name,'
        . " state, created_at) VALUES ('$id', '$alice->{id}', '$item',"
        . ' ' . "'" . enc('name') . "', 5, '5 Bytes', $state, "
        . (int(1000 * time) - $age) . ')');
    return $id;
}


sub put {
    my ($id, $bytes) = @_;

    my $answer = call($server, 'PUT', "/api/debug/files/$id", body => $bytes);
    die "not stored: $answer->{body}\n" if $answer->{status} != 200;
}


sub state_of {
    my ($id) = @_;

    my $state = sql("SELECT state FROM files WHERE id = '$id'");
    chomp $state;
    return $state eq '' ? 'gone' : $state;
}


sub there {
    my ($id) = @_;

    return exists $peer->state->{objects}{"files/$id"};
}


sub fails { $peer->set(clear => \1, fail => [@_]) }

sub failures {
    my ($name) = @_;

    return 0 + sql("SELECT failures FROM jobs WHERE name = '$name'");
}


sub attachments {
    my $list = call($server, 'GET', "/api/ciphers/$item", as => 'alice')
               ->{json}{attachments};
    return map { $_->{id} } @{$list || []};
}


# Promises

{
    my $kept = file_row($PENDING, 3 * $HOUR);
    my $short = file_row($PENDING, 3 * $HOUR);
    my $never = file_row($PENDING, 3 * $HOUR);
    my $young = file_row($PENDING, 0);

    put($kept, 'bytes');
    put($short, 'byte');
    put($young, 'bytes');
    is_deeply([attachments()], [], 'nobody sees what was promised');

    fails({ op => 'HEAD', kind => '503', times => 999 });

    json_like(job('uploads'), { ran => 1, failed => 1, count => 0 },
              'uploads: the bucket does not answer');
    is(state_of($_), $PENDING, 'nothing is decided') for $kept, $never;
    is(failures('uploads'), 1, 'the failure is counted');

    fails();
    json_like(job('uploads'), { ran => 1, failed => 0, count => 3 },
              'the bucket answers');
    is_deeply([map { state_of($_) } $kept, $short, $never, $young],
              [$READY, $DOOMED, $DOOMED, $PENDING],
              'there and whole is ready, all else is doomed');
    is_deeply([attachments()], [$kept], 'clients see it now');

    json_like(job('files'), { ran => 1, failed => 0, count => 2 }, 'files');
    ok(!there($short), 'what was short is deleted');
    ok(there($kept), 'what is ready is not');

    # its link is used once more, or its upload was slow

    put($short, 'late!');
    is(state_of($short), $DELETED, 'an upload that comes too late');
    sql("UPDATE files SET created_at = 1 WHERE id = '$short'");
    json_like(job('files'), { ran => 1, failed => 0, count => 1 },
              'is found');
    ok(!there($short), 'and deleted');
    is(state_of($short), 'gone', 'and forgotten');
}

# A bucket that is away

{
    sql('DELETE FROM files');
    my @ids = map { file_row($DOOMED, 9 * $HOUR) } 1 .. 3;

    put($_, 'bytes') for @ids;

    for my $kind (qw(500 SlowDown reset keys)) {
        fails({ op => '*', kind => $kind, times => 999 });

        json_like(job('files'), { ran => 1, failed => 1, count => 0 },
                  "files: the bucket is not well ($kind)");
        is_deeply([map { state_of($_) } @ids], [($DOOMED) x 3],
                  'nothing is forgotten');
    }

    is(failures('files'), 4, 'each failure is counted');

    fails();
    json_like(job('files'), { ran => 1, failed => 0, count => 3 },
              'when it is back');
    ok(!there($_), 'they are deleted') for @ids;
    is(failures('files'), 0, 'and all is well');
}

stops_clean($server, 'nothing is left behind');
is_deeply([$server->stop], [], 'a clean end');

done_testing();
