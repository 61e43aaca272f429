# What is more than a transaction of the narrowest database takes is all or
# nothing nevertheless: it is staged, decided by one small write, and folded.

use strict;
use warnings;

use JSON::PP ();
use Test::More;

use VaultServer qw(sql);
use VaultTest 'debug';

my $MANY = 3100;
my $PART = 500;                 # rows of a part

my $server = vault_server(vault => "vault_database_strict on;\n"
                                 . "vault_login_limit off;\nvault_jobs off;");
my $rotate = '/api/accounts/key-management/rotate-user-account-keys';


sub ask {
    my ($as, $method, $path, $json, $status, $name) = @_;

    my $answer = call($server, $method, "/api/$path", as => $as,
                      ($json ? (json => $json) : ()), timeout => 120);
    is($answer->{status}, $status, $name) or diag($answer->{body});
    return $answer->{json};
}


sub vault {
    my ($as) = @_;

    return call($server, 'GET', '/api/sync?excludeDomains=true', as => $as,
                timeout => 60)->{json};
}


sub left {
    my ($name) = @_;

    is(sql('SELECT count(*) FROM stages'), "0\n", "$name: no part is left");
    is(sql('SELECT count(*) FROM users WHERE stage IS NOT NULL'), "0\n",
       "$name: no vault is in two pieces");
}


sub revision {
    my ($as) = @_;

    my ($n) = sql("SELECT revised_at FROM users"
                  . " WHERE email = '$as\@example.com'") =~ /(\d+)/;
    return $n;
}


user($_) for qw(alice bob);

# An import

my $before = revision('alice');

ask('alice', 'POST', 'ciphers/import', {
    ciphers => ciphers($MANY), folders => [folder('work'), folder('home')],
    folderRelationships => [map { { key => $_, value => $_ % 2 } }
                            0 .. $MANY - 1],
}, 200, "an import of $MANY items");

my $vault = vault('alice');
is(scalar @{$vault->{ciphers}}, $MANY, 'all of them are there');
is(scalar @{$vault->{folders}}, 2, 'with their folders');
is((grep { !$_->{folderId} } @{$vault->{ciphers}}), 0, 'each is in its own');
cmp_ok(revision('alice'), '>', $before, 'which clients are told');
left('import');

my @ids = map { $_->{id} } @{$vault->{ciphers}};
my ($folder) = map { $_->{id} } @{$vault->{folders}};

# Many at once

ask('alice', 'PUT', 'ciphers/delete', { ids => \@ids }, 200, 'to the trash');
is((grep { !$_->{deletedDate} } @{vault('alice')->{ciphers}}), 0,
   'all of them are in it');

my $answer = ask('alice', 'PUT', 'ciphers/restore', { ids => \@ids }, 200,
                 'out of it');
is(scalar @{$answer->{data}}, $MANY, 'and each is answered');
is((grep { $_->{deletedDate} } @{vault('alice')->{ciphers}}), 0,
   'none of them is in it');

for my $what (qw(archive unarchive)) {
    $answer = ask('alice', 'PUT', "ciphers/$what", { ids => \@ids }, 200,
                  $what);
    is(scalar @{$answer->{data}}, $MANY, "$what: each is answered");
    is((grep { !$_->{archivedDate} == ($what eq 'archive') }
        @{vault('alice')->{ciphers}}), 0, "$what: all of them");
}

ask('alice', 'PUT', 'ciphers/move',
    { ids => \@ids, folderId => '00000000-0000-4000-8000-000000000000' }, 400,
    'into a folder that is not there');
is((grep { !$_->{folderId} } @{vault('alice')->{ciphers}}), 0, 'none goes');
sql('DELETE FROM stages');      # of what was refused; a job does it

ask('alice', 'PUT', 'ciphers/move', { ids => \@ids, folderId => $folder },
    200, 'into a folder');
is((grep { $_->{folderId} ne $folder } @{vault('alice')->{ciphers}}), 0,
   'all go');

ask('bob', 'PUT', 'ciphers/move', { ids => \@ids, folderId => undef }, 200,
    'somebody else moves them');
ask('bob', 'DELETE', 'ciphers', { ids => \@ids }, 200, 'and deletes them');
is((grep { $_->{folderId} ne $folder } @{vault('alice')->{ciphers}}), 0,
   'they stay');

ask('alice', 'DELETE', "folders/$folder", undef, 200, 'their folder goes');
$vault = vault('alice');
is(scalar @{$vault->{folders}}, 1, 'it has gone');
is((grep { $_->{folderId} } @{$vault->{ciphers}}), 0, 'they are in none');

ask('alice', 'PUT', 'ciphers/move', { ids => \@ids, folderId => undef }, 200,
    'out of all folders');
left('many at once');

# A key rotation

sub rotation {
    my ($as, $word) = @_;

    my $user = user($as);
    my $vault = vault($as);

    return {
        oldMasterKeyAuthenticationHash => $user->{hash},
        accountUnlockData => {
            masterPasswordUnlockData => {
                kdfType => 0, kdfIterations => 600000, kdfMemory => undef,
                kdfParallelism => undef, email => $user->{email},
                masterKeyAuthenticationHash => $user->{hash},
                masterKeyEncryptedUserKey => enc("$word key of $as"),
                masterPasswordHint => undef,
            },
            (map { $_ => [] } qw(emergencyAccessUnlockData passkeyUnlockData
                organizationAccountRecoveryUnlockData deviceKeyUnlockData)),
        },
        accountKeys => {
            userKeyEncryptedAccountPrivateKey => enc("$word pair of $as"),
            accountPublicKey => $user->{public_key},
        },
        accountData => {
            ciphers => [map { {
                %{cipher(type => $_->{type}, name => "$word $_->{id}")},
                id => $_->{id}, folderId => $_->{folderId},
                favorite => $_->{favorite} } } @{$vault->{ciphers}}],
            folders => [map { { id => $_->{id}, name => enc("$word folder") } }
                        @{$vault->{folders}}],
            sends => [],
        },
    };
}


sub rotate {
    my ($as, $json) = @_;

    return call($server, 'POST', $rotate, as => $as, json => $json,
                timeout => 120);
}


# What a vault looks like: names that are of a word, and others.

sub words {
    my ($as, $word) = @_;

    my $vault = vault($as);
    my $new = grep { $_->{name} eq enc("$word $_->{id}") }
                   @{$vault->{ciphers}};
    return "$new of " . @{$vault->{ciphers}};
}

my $all = rotation('alice', 'first');

{
    my $list = $all->{accountData}{ciphers};
    my $refused = qr/All existing items and folders/;

    my $last = pop @$list;
    my $less = rotate('alice', $all);
    is($less->{status}, 400, 'one item is not sent');
    like($less->{body}, $refused, 'which is said');

    push @$list, $list->[0];
    $less = rotate('alice', $all);
    is($less->{status}, 400, 'one is sent twice');
    like($less->{body}, $refused, 'which is said, too');

    $list->[-1] = { %$last, id => '00000000-0000-4000-8000-000000000000' };
    is(rotate('alice', $all)->{status}, 400, 'one is nobody\'s');
    $list->[-1] = $last;

    my $folders = $all->{accountData}{folders};
    $all->{accountData}{folders} = [];
    is(rotate('alice', $all)->{status}, 400, 'a folder is not sent');
    $all->{accountData}{folders} = $folders;

    is(words('alice', 'first'), "0 of $MANY", 'nothing has happened');
    is(sql('SELECT count(*) FROM stages'), "0\n", 'nothing was stored');
}

is(rotate('alice', $all)->{status}, 200, "a rotation of $MANY items");
is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 401,
   'ends the session');

# Alice signs in again, with the same password.

user('alice/new');
is(words('alice/new', 'first'), "$MANY of $MANY", 'each has its new name');
$vault = vault('alice/new');
is($vault->{folders}[0]{name}, enc('first folder'), 'the folder, too');
is($vault->{profile}{key}, enc('first key of alice'), 'and the key');
left('rotation');

# A server that ends after the write that decides: whoever comes next folds.

sub interrupted {
    my ($as, $parts) = @_;

    my $stage = '11111111-2222-4333-8444-55555555' . sprintf '%04d', rand 9999;
    my $id = user($as)->{id};
    my $seq = 0;

    for my $part (@$parts) {
        my ($kind, $data) = @$part;
        $seq++;
        $data =~ s/'/''/g;
        sql('INSERT INTO stages (stage, seq, user_id, kind, data, created_at)'
            . " VALUES ('$stage', $seq, '$id', $kind, '$data', 1)");
    }

    return ($stage, $id);
}

my @halves = (json_text([@ids[0 .. 9]]), json_text([@ids[10 .. 19]]));
my ($stage, $id) = interrupted('alice/new', [map { [5, $_] } @halves]);

is((grep { $_->{deletedDate} } @{vault('alice/new')->{ciphers}}), 0,
   'parts that nobody has decided on are not seen');

sql("UPDATE users SET stage = '$stage' WHERE id = '$id'");
is((grep { $_->{deletedDate} } @{vault('alice/new')->{ciphers}}), 20,
   'once decided, all of them are');
left('interrupted');

# many who come at once fold once

($stage) = interrupted('alice/new', [map { [6, $_] } @halves]);
sql("UPDATE users SET stage = '$stage' WHERE id = '$id'");

my @pids = map {
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        my $vault = vault('alice/new');
        POSIX::_exit(grep({ $_->{deletedDate} } @{$vault->{ciphers}}) != 0);
    }
    $pid;
} 1 .. 4;

is((grep { waitpid $_, 0; $? } @pids), 0, 'four at once see all of it');
left('four at once');

# The job: what was decided is folded, what was not is removed

($stage) = interrupted('alice/new', [map { [5, $_] } @halves]);
sql("UPDATE users SET stage = '$stage' WHERE id = '$id'");
interrupted('bob', [[5, '[]'], [5, '[]']]);

is(call($server, 'POST', '/api/debug/jobs?name=stages')->{json}{count}, 2,
   'the job finds two');
left('job');
is((grep { $_->{deletedDate} } @{vault('alice/new')->{ciphers}}), 20,
   'and does what was decided');

# A part that is lost before anybody decided is not decided on: covered by the
# count in the statement.  All goes:

ask('alice/new', 'POST', 'ciphers/purge',
    { masterPasswordHash => user('alice/new')->{hash} }, 200, 'a purge');
$vault = vault('alice/new');
is(@{$vault->{ciphers}} + @{$vault->{folders}}, 0, 'nothing is there');
left('purge');

ask('alice/new', 'POST', 'ciphers/import', { ciphers => ciphers($MANY),
    folders => [], folderRelationships => [] }, 200, 'all over again');
@ids = map { $_->{id} } @{vault('alice/new')->{ciphers}};
ask('alice/new', 'DELETE', 'ciphers', { ids => [@ids[0 .. 2700]] }, 200,
    '2,701 are deleted');
is(scalar @{vault('alice/new')->{ciphers}}, $MANY - 2701,
   'the others are there');

ask('alice/new', 'POST', 'ciphers/import', { ciphers => ciphers($MANY),
    folders => [], folderRelationships => [] }, 200, 'and again');
ask('alice/new', 'DELETE', 'accounts',
    { masterPasswordHash => user('alice/new')->{hash} }, 200,
    'the account is deleted');
is(sql("SELECT count(*) FROM ciphers WHERE user_id = '$id'"), "0\n",
   'with all items');
is(sql("SELECT count(*) FROM users WHERE id = '$id'"), "0\n", 'and the user');
left('account');

unlike($server->log_text, qr/strict: /, 'no rule was broken');
stops_clean($server);

done_testing();
