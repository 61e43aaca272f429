# Key rotation: the whole vault in one request, all or nothing.

use strict;
use warnings;

use JSON::PP ();
use Test::More 'no_plan';

use VaultFile qw(promise post_file);
use VaultTest;

my $server = vault_server(vault => "vault_login_limit off;\n"
                                 . "vault_upload direct;\nvault_jobs off;");
my $path = '/api/accounts/key-management/rotate-user-account-keys';
my $new_id = '00112233445566778899aabbccddeeff';
my $missing = 'All existing items and folders must be included in the '
            . 'rotation.';


sub get {
    my ($as, $what) = @_;

    return call($server, 'GET', "/api/$what", as => $as)->{json};
}


sub post {
    my ($as, $what, $json) = @_;

    my $answer = call($server, 'POST', "/api/$what", as => $as,
                      json => $json);
    is($answer->{status}, 200, "POST /api/$what") || diag($answer->{body});
    return $answer->{json};
}


# What a client sends: its vault as it is, with other texts

sub rotation {
    my ($as) = @_;

    my $user = user($as);
    my $sync = get($as, 'sync?excludeDomains=true');
    my @ciphers = map { {
        %{cipher(type => $_->{type}, name => "rotated $_->{id}")},
        id => $_->{id}, folderId => $_->{folderId},
        favorite => $_->{favorite},
        attachments2 => { map { $_->{id} => {
            fileName => enc("rotated $_->{id}"),
            key => $_->{key} && enc("key of $_->{id}") } }
            @{$_->{attachments} || []} },
    } } @{$sync->{ciphers}};
    my @folders = map { { id => $_->{id}, name => enc("rotated $_->{id}") } }
        @{$sync->{folders}};

    return {
        oldMasterKeyAuthenticationHash => $user->{hash},
        accountUnlockData => {
            masterPasswordUnlockData => {
                kdfType => 0, kdfIterations => 600000, kdfMemory => undef,
                kdfParallelism => undef, email => $user->{email},
                masterKeyAuthenticationHash => b64("rotated hash of $as"),
                masterKeyEncryptedUserKey => enc("rotated key of $as"),
                masterPasswordHint => 'rotated',
            },
            emergencyAccessUnlockData => [],
            organizationAccountRecoveryUnlockData => [],
            passkeyUnlockData => [],
            deviceKeyUnlockData => [],
        },
        accountKeys => {
            userKeyEncryptedAccountPrivateKey => enc("rotated pair of $as"),
            accountPublicKey => $user->{public_key},
        },
        accountData => { ciphers => \@ciphers, folders => \@folders,
                         sends => [] },
    };
}


# A copy in which the member at a path is another

sub with {
    my ($json, $where, $value) = @_;

    my $copy = JSON::PP->new->decode(JSON::PP->new->encode($json));
    my @steps = split /\./, $where;
    my $last = pop @steps;
    my $at = $copy;

    $at = ref $at eq 'ARRAY' ? $at->[$_] : $at->{$_} for @steps;
    ref $at eq 'ARRAY' ? $at->[$last] = $value : ($at->{$last} = $value);

    return $copy;
}


sub rotate {
    my ($as, $json) = @_;

    return call($server, 'POST', $path, as => $as, json => $json,
                timeout => 60);
}


user($_) for qw(alice alice/phone bob);

my %folder = map { $_ => post('alice', 'folders', folder($_))->{id} }
    qw(work home);
my @item = map { post('alice', 'ciphers', $_)->{id} } (
    cipher(name => 'login', folderId => $folder{work}),
    cipher(name => 'note', type => 2), cipher(name => 'card', type => 3),
    cipher(name => 'identity', type => 4, favorite => JSON::PP::true()),
    cipher(name => 'key', type => 5));

is(call($server, 'PUT', "/api/ciphers/$item[1]/delete", as => 'alice')
   ->{status}, 200, 'one item lies in the trash');

# Attachments: two of one item, one of another, one that has not come yet

sub attach {
    my ($item, $bytes) = @_;

    my $file = promise($server, 'alice', $item, length $bytes);
    is(post_file($server, 'alice', "/api/ciphers/$item/attachment/$file->{id}",
                 $bytes)->{status}, 200, 'a file is attached');
    return $file->{id};
}

my @file = map { attach($_, "file of $_") } @item[0, 0, 1];
my $promise = promise($server, 'alice', $item[0], 5)->{id};

my $foreign = post('bob', 'ciphers', cipher(name => 'of bob'))->{id};
my $foreign_folder = post('bob', 'folders', folder('of bob'))->{id};

# Nothing happens unless everything is right

my $good = rotation('alice');
my $before = get('alice', 'sync');
my $bob = get('bob', 'sync');
my $unlock = 'accountUnlockData.masterPasswordUnlockData';
my @ciphers = @{$good->{accountData}{ciphers}};
my @folders = @{$good->{accountData}{folders}};

is(@ciphers, 5, 'the trash is a part of the vault');

# Where the items stand in the list
my %at = map { my $n = $_;
               ($n => (grep { $ciphers[$_]{id} eq $item[$n] } 0 .. 4)[0]) }
         0, 1;

my @bad = (
    ['a wrong password', 'oldMasterKeyAuthenticationHash', b64('x'),
     'Invalid password.'],
    ['no password', 'oldMasterKeyAuthenticationHash', undef],
    ['an item is missing', 'accountData.ciphers', [@ciphers[0 .. 3]],
     $missing],
    ['no item', 'accountData.ciphers', [], $missing],
    ['an item twice', 'accountData.ciphers', [@ciphers, $ciphers[0]],
     $missing],
    ['an item twice, another missing', 'accountData.ciphers',
     [@ciphers[0 .. 3], $ciphers[0]], $missing],
    ['an item of somebody else', 'accountData.ciphers',
     [@ciphers, { %{$ciphers[0]}, id => $foreign }], $missing],
    ['an item of somebody else instead', 'accountData.ciphers',
     [@ciphers[0 .. 3], { %{$ciphers[0]}, id => $foreign }], $missing],
    ['an item that is none', 'accountData.ciphers',
     [@ciphers, { %{$ciphers[0]}, id => uuid('none') }], $missing],
    ['an item without an id', 'accountData.ciphers.0.id', undef],
    ['an item in plain text', 'accountData.ciphers.0.name', 'plain'],
    ['a folder is missing', 'accountData.folders', [$folders[0]], $missing],
    ['a folder twice', 'accountData.folders', [@folders, $folders[0]],
     $missing],
    ['a folder of somebody else', 'accountData.folders',
     [$folders[0], { id => $foreign_folder, name => enc('x') }], $missing],
    ['a folder in plain text', 'accountData.folders.0.name', 'plain'],
    ['no folders', 'accountData.folders', undef],
    ['no attachments', "accountData.ciphers.$at{0}.attachments2", undef,
     $missing],
    ['an attachment is missing', "accountData.ciphers.$at{0}.attachments2",
     { %{$ciphers[$at{0}]{attachments2}}{$file[0]} }, $missing],
    ['one of the trash is missing', "accountData.ciphers.$at{1}.attachments2",
     {}, $missing],
    ['an attachment of another item', "accountData.ciphers.$at{1}",
     { %{$ciphers[$at{1}]}, attachments2 => {
         %{$ciphers[$at{0}]{attachments2}} } }, $missing],
    ['an attachment without its key', "accountData.ciphers.$at{0}"
     . ".attachments2.$file[0].key", undef, $missing],
    ['an attachment with a plain key', "accountData.ciphers.$at{0}"
     . ".attachments2.$file[0].key", 'key'],
    ['attachments of an older client', "accountData.ciphers.$at{0}", {
        %{$ciphers[$at{0}]}, attachments2 => undef, attachments => {
            map { $_ => enc('x') } @file[0, 1] } }, $missing],
    ['a Send', 'accountData.sends', [{}]],
    ['emergency access', 'accountUnlockData.emergencyAccessUnlockData',
     [{ id => uuid('x') }]],
    ['an organization', 'accountUnlockData.'
     . 'organizationAccountRecoveryUnlockData', [{}]],
    ['a passkey', 'accountUnlockData.passkeyUnlockData', [{}]],
    ['a device that is none', 'accountUnlockData.deviceKeyUnlockData',
     [{ deviceId => uuid('x'), encryptedUserKey => enc('x'),
        encryptedPublicKey => enc('x') }],
     'All trusted devices must be your own.'],
    ['another KDF', "$unlock.kdfIterations", 700000],
    ['another salt', "$unlock.email", 'bob@example.com'],
    ['no key', "$unlock.masterKeyEncryptedUserKey", undef],
    ['a key of another type', "$unlock.masterKeyEncryptedUserKey",
     '0.' . b64('i' x 16) . '|' . b64('c' x 16)],
    ['no hash', "$unlock.masterKeyAuthenticationHash", undef],
    ['another public key', 'accountKeys.accountPublicKey',
     public_key('another')],
    ['no private key', 'accountKeys.userKeyEncryptedAccountPrivateKey',
     undef],
    ['signature keys', 'accountKeys.signatureKeyPair',
     { verifyingKey => 'x' }],
    ['a bad key id', 'newUserKeyId', 'xyz'],
    ['no data', 'accountData', undef],
    ['no unlock data', 'accountUnlockData', undef],
);

for my $case (@bad) {
    my ($name, $where, $value, $message) = @$case;
    my $answer = rotate('alice', with($good, $where, $value));

    is($answer->{status}, 400, "$name - 400");
    api_error_like($answer->{body}, $message // '', $name);
}

is(call($server, 'POST', $path, json => $good)->{status}, 401, 'nobody');
is(rotate('bob', { %$good, oldMasterKeyAuthenticationHash =>
                   user('bob')->{hash} })->{status}, 400,
   'the vault of somebody else');

is_deeply(get('alice', 'sync'), $before, 'refusals have changed nothing');
is_deeply(get('bob', 'sync'), $bob, 'nor anything of anybody else');

# All of it

is(rotate('alice', { %$good, newUserKeyId => $new_id })->{status}, 200,
   'a rotation');

is(call($server, 'GET', '/api/sync', as => $_)->{status}, 401,
   "$_ is signed out") for qw(alice alice/phone);

my $old = user('alice');
ok(!eval { login($server, $old) }, 'the old password is gone');

my $alice = login($server, { %$old, hash => b64('rotated hash of alice') });
my $after = call($server, 'GET', '/api/sync?excludeDomains=true', headers =>
                 ["Authorization: Bearer $alice->{token}"])->{json};

json_like($after, {
    profile => { key => enc('rotated key of alice'),
                 privateKey => enc('rotated pair of alice') },
    userDecryption => { userKeyId => $new_id, masterPasswordUnlock => {
        containedKeyId => $new_id, salt => 'alice@example.com',
        masterKeyWrappedUserKey => enc('rotated key of alice') } },
}, 'the keys are new');

for my $kind (qw(ciphers folders)) {
    my %was = map { $_->{id} => $_ } @{$before->{$kind}};
    my %is = map { $_->{id} => $_ } @{$after->{$kind}};

    is_deeply([sort keys %is], [sort keys %was], "all $kind are there");
    is(scalar(grep { $is{$_}{name} ne enc("rotated $_") } keys %is), 0,
       "all $kind are new");
    is(scalar(grep { $is{$_}{revisionDate} le $was{$_}{revisionDate} }
              keys %is), 0, "all $kind have a new date");
}

{
    my %is = map { $_->{id} => $_ } @{$after->{ciphers}};

    is($is{$item[0]}{folderId}, $folder{work}, 'an item stays in its folder');
    ok($is{$item[1]}{deletedDate}, 'and in the trash');
    is_deeply([map { $_->{id} => @$_{qw(fileName key size)} }
               map { @{$is{$_}{attachments}} } @item[0, 1]],
              [map { $_ => enc("rotated $_"), enc("key of $_"), 44 } @file],
              'attachments have new names and keys');
    is(call($server, 'GET', "/api/ciphers/$item[0]/attachment/$promise/renew",
            headers => ["Authorization: Bearer $alice->{token}"])->{status},
       404, 'bytes under the old key are not waited for');
    ok($is{$item[3]}{favorite}, 'and a favorite');
}

is_deeply(get('bob', 'sync'), $bob, 'nothing of anybody else has changed');

# An item of the key before is refused from now on

{
    my $write = sub {
        return call($server, 'POST', '/api/ciphers', headers =>
                    ["Authorization: Bearer $alice->{token}"],
                    json => { %{cipher(name => 'x')},
                              encryptedByKeyId => $_[0] })->{status};
    };

    is($write->('0' x 32), 400, 'an item of another key is refused');
    is($write->($new_id), 200, 'one of the new key is not');
}

# Trusted devices

{
    my @keys = map { ("encrypted${_}Key" => enc("$_ of carol")) }
        qw(User Public Private);

    for my $on ('carol', 'carol/phone') {
        is(call($server, 'PUT', '/api/devices/' . user($on)->{device}
                . '/keys', as => 'carol', json => { @keys })->{status}, 200,
           "$on is trusted");
    }

    my $json = rotation('carol');
    my %id = map { $_->{identifier} => $_->{id} }
        @{get('carol', 'devices')->{data}};

    $json->{accountUnlockData}{deviceKeyUnlockData} = [{
        deviceId => $id{user('carol')->{device}},
        encryptedUserKey => enc('rotated user key'),
        encryptedPublicKey => enc('rotated public key') }];

    is(rotate('carol', $json)->{status}, 200, 'an empty vault is rotated');

    my $carol = login($server, { %{user('carol')},
                                 hash => b64('rotated hash of carol') });
    my %device = map { $_->{identifier} => $_ }
        @{call($server, 'GET', '/api/devices', headers =>
               ["Authorization: Bearer $carol->{token}"])->{json}{data}};

    json_like($device{user('carol')->{device}}, {
        isTrusted => JSON::PP::true(),
        encryptedUserKey => enc('rotated user key'),
        encryptedPublicKey => enc('rotated public key') },
        'a device that took the new key is still trusted');
    json_like($device{user('carol/phone')->{device}}, {
        isTrusted => JSON::PP::false(), encryptedUserKey => undef },
        'one that did not is not');
}

# Many

{
    my $n = 2000;
    my @many = map { cipher(name => "item $_") } 1 .. $n;

    is(call($server, 'POST', '/api/ciphers/import', as => 'dave', timeout => 60,
            json => { ciphers => \@many, folders => [],
                      folderRelationships => [] })->{status}, 200,
       "$n items are imported");

    my $before = status($server)->{database}{statements};
    my $json = rotation('dave');
    my $between = status($server)->{database}{statements};

    is(@{$json->{accountData}{ciphers}}, $n, 'and there');
    is(rotate('dave', $json)->{status}, 200, 'and rotated');
    cmp_ok(status($server)->{database}{statements} - $between, '<=', 15,
           'with a constant number of statements');
}

# Four at once: one wins

sub exit_with {
    my ($yes) = @_;

    require POSIX;
    POSIX::_exit($yes ? 0 : 1);
}


{
    my $json = rotation('erin');
    my @pids;

    for my $n (1 .. 4) {
        my $pid = fork // die "fork: $!";

        exit_with((rotate('erin', $json)->{status} // 0) == 200)
            if $pid == 0;
        push @pids, $pid;
    }

    my $won = grep { waitpid $_, 0; $? == 0 } @pids;

    is($won, 1, 'of four rotations at once one wins');
}

# Another client writes all the time: what it writes with the old key is a part
# of the rotation, or refused

{
    my $busy = vault_server(name => 'busy', workers => 2,
                            vault => 'vault_login_limit off;');
    my $frank = user('frank');
    my $writer = fork // die "fork: $!";

    if ($writer == 0) {
        for my $n (1 .. 400) {
            last if call($busy, 'POST', '/api/folders', as => 'frank',
                         json => folder("old $n"))->{status} == 401;
            select undef, undef, undef, rand 0.02;
        }
        exit_with(1);
    }

    my ($status, $tries) = (0, 0);

    until ($status == 200 || $tries++ > 200) {
        my $json = rotation('frank');

        $status = call($busy, 'POST', $path, as => 'frank', json => $json)
                  ->{status};
    }

    waitpid $writer, 0;
    is($status, 200, 'a rotation beside a busy client');

    $frank = login($server, { %$frank,
                              hash => b64('rotated hash of frank') });
    my $folders = call($server, 'GET', '/api/folders', headers =>
                       ["Authorization: Bearer $frank->{token}"])
                  ->{json}{data};

    note(@$folders . ' folders, ' . $tries . ' refusals');
    is(scalar(grep { $_->{name} ne enc("rotated $_->{id}") } @$folders), 0,
       'leaves nothing that the old key has encrypted');

    stops_clean($busy, 'busy');
    is_deeply([$busy->stop], [], 'the busy one stops clean');
}

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
