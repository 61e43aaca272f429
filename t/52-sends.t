# Sends of their owner: texts and files, made, read, edited, deleted, rotated.

use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use Test::More 'no_plan';

use VaultFile qw(put_file post_file send_of);
use VaultTest;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

my $server = vault_server(
    vault => "vault_login_limit off;\nvault_upload direct;\n"
             . 'vault_database_strict on;');


sub api {
    my ($as, $method, $path, @json) = @_;

    return call($server, $method, "/api/$path", as => $as,
                @json ? (json => $json[0]) : ());
}


sub good {
    my ($as, $method, $path, @json) = @_;

    my $answer = api($as, $method, $path, @json);
    is($answer->{status}, 200, "$method $path of $as")
        || diag($answer->{body});
    return $answer->{json};
}


sub refused {
    my ($name, $answer, $status, $message) = @_;

    is($answer->{status}, $status, "$name: $status") || diag($answer->{body});
    api_error_like($answer->{body}, $message // '', "$name: the words");
}


# As clients send it; options replace members.

sub text {
    my ($name, %more) = @_;

    return {
        type => 0, authType => 2, name => enc($name), notes => enc('notes'),
        key => enc("key of $name"), maxAccessCount => undef,
        expirationDate => undef, deletionDate => date(86400),
        text => { text => enc("text of $name"), hidden => $false },
        password => undef, emails => undef, disabled => $false,
        hideEmail => $false, %more,
    };
}


sub file {
    my ($name, $size, %more) = @_;

    my $file = text($name, type => 1, fileLength => $size,
                    file => { fileName => enc("file of $name") }, %more);
    delete $file->{text};
    return $file;
}


# The bytes of a .NET GUID

sub access_id {
    my ($uuid) = @_;

    my ($a, $b, $c, @rest) = split /-/, $uuid;
    return encode_base64url(pack 'VvvH*', hex $a, hex $b, hex $c,
                                 join '', @rest);
}


sub sends_of {
    my ($as) = @_;

    my $list = good($as, 'GET', 'sends');
    my $sync = good($as, 'GET', 'sync?excludeDomains=true');

    is_deeply([sort map { json_text($_) } @{$list->{data}}],
              [sort map { json_text($_) } @{$sync->{sends}}],
              "sync and list of $as say the same");
    return $list->{data};
}


user($_) for qw(alice bob carol);


# A text

json_like(good('alice', 'GET', 'sends'),
          { data => [], object => 'list', continuationToken => undef },
          'nobody begins with a Send');

my $send = good('alice', 'POST', 'sends', text('first'));
my $id = $send->{id};

json_like($send, {
    id => '<uuid>', accessId => access_id($id), type => 0, authType => 2,
    name => enc('first'), notes => enc('notes'), key => enc('key of first'),
    text => { text => enc('text of first'), hidden => $false },
    file => undef, maxAccessCount => undef, accessCount => 0,
    password => undef, emails => undef, disabled => $false,
    hideEmail => $false, revisionDate => '<date>', expirationDate => undef,
    deletionDate => '<date>', object => 'send',
}, 'a text');

is_deeply(sends_of('alice'), [$send], 'it is listed');
is_deeply(good('alice', 'GET', "sends/$id"), $send, 'and read');

my $revision = good('alice', 'GET', 'accounts/revision-date');

my $edited = good('alice', 'PUT', "sends/$id", text('second',
    notes => undef, maxAccessCount => 5, disabled => $true,
    hideEmail => $true, expirationDate => date(3600),
    deletionDate => date(7200),
    text => { text => enc('other'), hidden => $true }));

json_like($edited, {
    id => $id, accessId => $send->{accessId}, name => enc('second'),
    notes => undef, key => enc('key of second'), maxAccessCount => 5,
    disabled => $true, hideEmail => $true, expirationDate => '<date>',
    text => { text => enc('other'), hidden => $true }, accessCount => 0,
}, 'an edit changes all of it');

cmp_ok(good('alice', 'GET', 'accounts/revision-date'), '>', $revision,
       'and moves the revision');
is_deeply(sends_of('alice'), [$edited], 'other devices see it');

json_like(good('alice', 'PUT', "sends/$id", {
    Type => 0, Key => enc('k'), DeletionDate => date(60),
    Text => { Text => enc('t') } }), {
    name => undef, maxAccessCount => undef, disabled => $false,
    text => { text => enc('t'), hidden => $false },
}, 'what is left out gets its default');


# Passwords.  What clients read says that there is one, and is none.

my $secret = b64('p' x 32);
my $locked = good('alice', 'POST', 'sends',
                  text('locked', authType => 1, password => $secret));

json_like($locked, { authType => 1, password => '<text>' }, 'a password');
isnt($locked->{password}, $secret, 'is not given back');

sub hash_of {
    my ($send) = @_;

    my $hash = VaultServer::sql(
        "SELECT password_hash, password_salt, password_rounds FROM sends"
        . " WHERE id = '$send->{id}'");
    chomp $hash;
    return $hash;
}

my $hash = hash_of($locked);
like($hash, qr{^[A-Za-z0-9+/=]{44}\|[A-Za-z0-9+/=]{44}\|1000$},
     'it is stored hashed, with a salt of its own');

my @keeps = (
    ['a client that says nothing', authType => undef],
    ['a client that says there is one', authType => 1],
    ['a client that sends back what it read', authType => 1,
     password => $locked->{password}],
    ['the same without a type', authType => undef,
     password => $locked->{password}],
    ['an empty one', authType => undef, password => ''],
);

for my $case (@keeps) {
    my ($name, @more) = @$case;

    json_like(good('alice', 'PUT', "sends/$locked->{id}",
                   text('locked', @more)),
              { authType => 1, password => $locked->{password} }, $name);
    is(hash_of($locked), $hash, "$name keeps the password");
}

good('alice', 'PUT', "sends/$locked->{id}",
     text('locked', authType => 1, password => b64('q' x 32)));
isnt(hash_of($locked), $hash, 'another password is set');

json_like(good('alice', 'PUT', "sends/$locked->{id}", text('locked')),
          { authType => 2, password => undef },
          'authType 2 takes the password away');
is(hash_of($locked), '||', 'nothing is left of it');

for my $path (qw(remove-password remove-auth)) {
    good('alice', 'PUT', "sends/$locked->{id}",
         text('locked', authType => undef, password => $secret));
    json_like(good('alice', 'PUT', "sends/$locked->{id}/$path"),
              { id => $locked->{id}, authType => 2, password => undef,
                name => enc('locked') }, $path);
    is(hash_of($locked), '||', 'nothing is left of it');
}

refused('to ask for a password that is none',
        api('alice', 'POST', 'sends', text('x', authType => 1)), 400,
        'A Send that asks for a password needs one.');
refused('what clients read is no password',
        api('alice', 'POST', 'sends', text('x', authType => 1,
            password => $send->{password} // 'YSBwYXNzd29yZCBpcyBzZXQ=')),
        400, 'A Send that asks for a password needs one.');


# What is refused, for new ones and for edits

my $past = 'You cannot have a Send with a deletion date in the past. '
         . 'Adjust the deletion date and try again.';
my $far = 'You cannot have a Send with a deletion date that far into the '
        . 'future. Adjust the Deletion Date to a value less than 31 days '
        . 'from now and try again.';
my $expired = 'You cannot have a Send with an expiration date in the past. '
            . 'Adjust the expiration date and try again.';
my $later = 'You cannot have a Send with an expiration date greater than '
          . 'the deletion date. Adjust the expiration date and try again.';
my $mail = 'Sends with e-mail verification are not available on this '
         . 'server. Use a password.';

my @bad = (
    ['deleted in the past', $past, deletionDate => date(-60)],
    ['deleted after 31 days', $far, deletionDate => date(31 * 86400 + 60)],
    ['no day of deletion', '', deletionDate => undef],
    ['a day that is none', '', deletionDate => 'tomorrow'],
    ['expired', $expired, expirationDate => date(-60)],
    ['expires after it is deleted', $later, expirationDate => date(86500)],
    ['no access at all', '', maxAccessCount => 0],
    ['accesses below none', '', maxAccessCount => -1],
    ['more accesses than a number holds', '', maxAccessCount => 2 ** 31],
    ['e-mail verification', $mail, authType => 0,
     emails => 'bob@example.com'],
    ['addresses only', $mail, authType => undef,
     emails => 'bob@example.com'],
    ['e-mail verification without addresses', $mail, authType => 0],
    ['a way to prove that is none', '', authType => 3],
    ['a type that is none', '', type => 2],
    ['no type', '', type => undef],
    ['no text', 'Text is required for text sends.', text => undef],
    ['an empty text', '', text => { text => undef, hidden => $false }],
    ['a plain text', '', text => { text => 'plain', hidden => $false }],
    ['a text that is too long', '', text => { text => enc('x' x 9000) }],
    ['a plain name', '', name => 'plain'],
    ['a name that is too long', '', name => enc('x' x 1000)],
    ['plain notes', '', notes => 'plain'],
    ['no key', '', key => undef],
    ['a plain key', '', key => 'plain'],
    ['a password that is too long', '', authType => 1,
     password => 'x' x 1001],
    ['disabled by a word', '', disabled => 'perhaps'],
);

my $before = sends_of('alice');

for my $case (@bad) {
    my ($name, $message, @more) = @$case;

    refused("new: $name", api('alice', 'POST', 'sends', text('x', @more)),
            400, $message);
    refused("edit: $name",
            api('alice', 'PUT', "sends/$id", text('x', @more)), 400,
            $message);
}

good('alice', 'POST', 'sends', text('month', deletionDate =>
                                    date(31 * 86400 - 5)));
good('alice', 'DELETE', 'sends/' . (grep { ($_->{name} // '') eq enc('month') }
                                    @{sends_of('alice')})[0]{id});
good('alice', 'PUT', "sends/$id", text('x', emails => ''));
is_deeply([sort map { $_->{id} } @{sends_of('alice')}],
          [sort map { $_->{id} } @$before], 'nothing was made of it');


# Somebody else's is not there.

my $mine = json_text(sends_of('alice'));

refused('bob reads it', api('bob', 'GET', "sends/$id"), 404,
        'Resource not found.');
refused('bob edits it', api('bob', 'PUT', "sends/$id", text('x')), 404,
        'Resource not found.');
refused("bob's $_", api('bob', 'PUT', "sends/$id/$_"), 404,
        'Resource not found.') for qw(remove-password remove-auth);
refused('bob deletes it', api('bob', 'DELETE', "sends/$id"), 404,
        'Resource not found.');
is(json_text(sends_of('alice')), $mine, 'nothing of it has changed');

good('alice', 'DELETE', "sends/$id");
refused('a deleted one', api('alice', 'GET', "sends/$id"), 404);
refused('deleted twice', api('alice', 'DELETE', "sends/$id"), 404);


# Files: promised first

my $content = 'encrypted bytes ' x 100;
my $promise = good('alice', 'POST', 'sends/file/v2',
                   file('upload', length $content));
my $upload = $promise->{sendResponse};
my $path = "sends/$upload->{id}/file/$upload->{file}{id}";

json_like($promise, {
    fileUploadType => 0, url => '<text>', object => 'send-fileUpload',
    sendResponse => {
        id => '<uuid>', type => 1, text => undef, object => 'send',
        file => { id => '<uuid>', fileName => enc('file of upload'),
                  size => '1600', sizeName => '1.56 KB' },
    },
}, 'a file is promised');

is((grep { $_->{id} eq $upload->{id} } @{sends_of('alice')}), 0,
   'a promise is not listed');
refused('nor read', api('alice', 'GET', "sends/$upload->{id}"), 404);
refused('nor edited', api('alice', 'PUT', "sends/$upload->{id}",
                          file('x', 1)), 404);

json_like(good('alice', 'GET', $path), {
    fileUploadType => 0, object => 'send-fileUpload', url => '<text>',
    sendResponse => { id => $upload->{id} },
}, 'the way to keep it can be asked for again');

refused('bob asks for it', api('bob', 'GET', $path), 404);
refused("bob's upload", post_file($server, 'bob', "/api/$path", $content),
        404);
refused('an upload to another Send',
        post_file($server, 'alice',
                  "/api/sends/$locked->{id}/file/$upload->{file}{id}",
                  $content), 404);

is(post_file($server, 'alice', "/api/$path", $content)->{status}, 200,
   'it is uploaded');
is_deeply([grep { $_->{id} eq $upload->{id} } @{sends_of('alice')}],
          [$upload], 'now it is there');
refused('a second upload',
        post_file($server, 'alice', "/api/$path", $content), 400);
refused('another link, when it is there', api('alice', 'GET', $path), 404);

json_like(good('alice', 'PUT', "sends/$upload->{id}",
               file('renamed', undef, file => { fileName => enc('other') })),
          { name => enc('renamed'), file => $upload->{file}, text => undef },
          'an edit leaves the file alone');
refused('a file turns into a text',
        api('alice', 'PUT', "sends/$upload->{id}", text('x')), 400,
        "Cannot change a Send's type");
refused('and back', api('alice', 'PUT', "sends/$locked->{id}",
                        file('x', 1)), 400, "Cannot change a Send's type");

my $state = "SELECT state FROM files WHERE id = '%s'";

sub state_of {
    my ($file) = @_;

    return VaultServer::sql(sprintf $state, $file->{file}{id}) =~ s/\n//r;
}

good('alice', 'DELETE', "sends/$upload->{id}");
is(state_of($upload), 2, 'a deleted Send gives its file up');

my $wrong = good('alice', 'POST', 'sends/file/v2', file('wrong', 10));
refused('a file of another size',
        post_file($server, 'alice', "/api/sends/$wrong->{sendResponse}{id}"
                  . "/file/$wrong->{sendResponse}{file}{id}", 'x' x 11),
        400);
is(state_of($wrong->{sendResponse}), 2, 'is given up');
is((grep { $_->{type} == 1 } @{sends_of('alice')}), 0, 'and not listed');

my $rollback = good('alice', 'POST', 'sends/file/v2', file('rollback', 10))
    ->{sendResponse};
good('alice', 'DELETE', "sends/$rollback->{id}");
is(state_of($rollback), 2, 'a promise is taken back');

for my $case (
    ['a text', text('x', fileLength => 1), 'Invalid content.'],
    ['no length', file('x', undef),
     'Invalid content. File size hint is required.'],
    ['no name', file('x', 1, file => undef),
     'File metadata is required for file sends.'],
    ['an empty name', file('x', 1, file => { fileName => undef }),
     'File metadata is required for file sends.'],
    ['a plain name', file('x', 1, file => { fileName => 'a.txt' })],
    ['nothing in it', file('x', 0)],
    ['less than nothing', file('x', -1)],
    ['too much', file('x', 256 * 1024 * 1024)],
    ['a day in the past', file('x', 1, deletionDate => date(-1)), $past],
) {
    refused("a promise: $case->[0]",
            api('alice', 'POST', 'sends/file/v2', $case->[1]), 400,
            $case->[2]);
}

refused('a file without a promise',
        api('alice', 'POST', 'sends', file('x', 1)), 400,
        'A Send of a file begins at /api/sends/file/v2.');


# Files as they came until 2021: model and data in one body

sub form_post {
    my ($as, %parts) = @_;

    my $body = '';

    for my $name (sort { $b cmp $a } keys %parts) {
        my $more = $name eq 'data' ? '; filename="x"' : '';
        $body .= "--b\r\nContent-Disposition: form-data; name=\"$name\"$more"
               . "\r\n\r\n$parts{$name}\r\n";
    }

    return call($server, 'POST', '/api/sends/file', as => $as,
                body => "$body--b--\r\n",
                headers => ['Content-Type: multipart/form-data; boundary=b']);
}

my $old = form_post('alice', model => json_text(file('old', undef)),
                    data => 'x' x 77);
is($old->{status}, 200, 'model and data at once') || diag($old->{body});
json_like($old->{json}, { type => 1, name => enc('old'),
                          file => { size => '77', sizeName => '77 Bytes' } },
          'a Send of a file');
is_deeply([grep { $_->{type} == 1 } @{sends_of('alice')}], [$old->{json}],
          'is there at once');

refused('no data', form_post('alice', model =>
                             json_text(file('x', undef))), 400);
refused('no model', form_post('alice', data => 'x'), 400,
        'The Send that the file belongs to is missing.');
refused('a model that is none', form_post('alice', model => '{', data => 'x'),
        400);
refused('a text with a file', form_post('alice', model =>
        json_text(text('x')), data => 'x'), 400, 'Invalid content.');
refused('a file of nothing', form_post('alice', model =>
        json_text(file('x', undef)), data => ''), 400);
is(@{[grep { $_->{type} == 1 } @{sends_of('alice')}]}, 1,
   'nothing was made of it');
good('alice', 'DELETE', "sends/$old->{json}{id}");


# By a PUT to a link of ours

my $own = vault_server(name => 'own', vault => "vault_login_limit off;\n"
                       . 'vault_upload presigned;');
my $put = send_of($own, 'alice', 500);

is($put->{type}, 1, 'a link to put it to');
is((grep { $_->{id} eq $put->{send} } @{sends_of('alice')}), 0,
   'a promise is not listed');
is(put_file($own, $put->{path}, 'y' x 500)->{status}, 201, 'is put');
is((grep { $_->{id} eq $put->{send} } @{sends_of('alice')}), 1,
   'and there');
good('alice', 'DELETE', "sends/$put->{send}");
is_deeply([$own->stop], [], 'that server is well');


# A promise and its quota

my $small = vault_server(name => 'small', vault => "vault_login_limit off;\n"
                         . 'vault_file_quota 1k;');

is(call($small, 'POST', '/api/sends/file/v2', as => 'bob',
        json => file('x', 1000))->{status}, 200, 'within the quota');
refused('above the quota', call($small, 'POST', '/api/sends/file/v2',
        as => 'bob', json => file('x', 100)), 400);
is(VaultServer::sql("SELECT count(*) FROM sends WHERE user_id = '"
                    . user('bob')->{id} . "'") + 0, 1,
   'no Send without its file');
is_deeply([$small->stop], [], 'that server is well');


# A key rotation wraps the keys of all Sends anew, and nothing else.

sub rotation {
    my ($as, @sends) = @_;

    my $user = user($as);

    return api($as, 'POST',
               'accounts/key-management/rotate-user-account-keys', {
        oldMasterKeyAuthenticationHash => $user->{hash},
        accountUnlockData => {
            masterPasswordUnlockData => {
                kdfType => 0, kdfIterations => 600000, kdfMemory => undef,
                kdfParallelism => undef, email => $user->{email},
                masterKeyAuthenticationHash => b64("rotated hash of $as"),
                masterKeyEncryptedUserKey => enc("rotated key of $as"),
                masterPasswordHint => undef,
            },
            emergencyAccessUnlockData => [], passkeyUnlockData => [],
            organizationAccountRecoveryUnlockData => [],
            deviceKeyUnlockData => [],
        },
        accountKeys => {
            userKeyEncryptedAccountPrivateKey => enc("rotated pair of $as"),
            accountPublicKey => $user->{public_key},
        },
        accountData => { ciphers => [], folders => [], sends => \@sends },
    });
}

sub rotated { return { %{$_[0]}, key => enc("rotated $_[0]{id}") } }

my $all = 'All existing sends must be included in the rotation.';
my $erins = good('erin', 'POST', 'sends',
                 text('erin', authType => 1, password => $secret));
my $file = send_of($server, 'erin', 7);
my $late = send_of($server, 'erin', 8)->{send};
post_file($server, 'erin', "/api/sends/$file->{send}/file/$file->{id}",
          'x' x 7);

my @two = @{sends_of('erin')};
is(@two, 2, 'erin has two Sends, and one that is to come');

refused('none is sent', rotation('erin'), 400, $all);
refused('one is missing', rotation('erin', rotated($two[0])), 400, $all);
refused('one is there twice',
        rotation('erin', map { rotated($_) } @two, $two[0]), 400, $all);
refused('one of somebody else',
        rotation('erin', map { rotated($_) } @two, $locked), 400, $all);
refused('one without a key', rotation('erin', rotated($two[0]),
        { %{$two[1]}, key => undef }), 400);
is_deeply([sort map { json_text($_) } @{sends_of('erin')}],
          [sort map { json_text($_) } @two], 'refusals change nothing');

$hash = hash_of($erins);
is(rotation('erin', map { rotated($_) } @two)->{status}, 200, 'all of them');

{
    my $erin = login($server, { %{user('erin')},
                                hash => b64('rotated hash of erin') });
    my $sync = call($server, 'GET', '/api/sync', headers =>
                    ["Authorization: Bearer $erin->{token}"])->{json};
    my %is = map { $_->{id} => $_ } @{$sync->{sends}};

    is_deeply([map { $is{$_->{id}}{key} } @two],
              [map { enc("rotated $_->{id}") } @two], 'have their new keys');
    is_deeply([map { { %{$is{$_->{id}}}, key => 0, revisionDate => 0 } } @two],
              [map { { %$_, key => 0, revisionDate => 0 } } @two],
              'and are the same else');
    is(hash_of($erins), $hash, 'the password too');
    is(VaultServer::sql("SELECT count(*) FROM sends WHERE id = '$late'") + 0,
       0, 'what was to come, under the old key, is forgotten');
    is(VaultServer::sql("SELECT state FROM files WHERE send_id = '$late'")
       + 0, 2, 'and its file given up');
}


# An account takes its Sends with it.

my $gone = good('carol', 'POST', 'sends/file/v2', file('gone', 5))
    ->{sendResponse};
post_file($server, 'carol', "/api/sends/$gone->{id}/file/$gone->{file}{id}",
          '12345');
good('carol', 'POST', 'sends', text('gone'));
is(@{sends_of('carol')}, 2, 'carol has Sends');
good('carol', 'DELETE', 'accounts',
     { masterPasswordHash => user('carol')->{hash} });
is(VaultServer::sql("SELECT count(*) FROM sends WHERE user_id = '"
                    . user('carol')->{id} . "'") + 0, 0,
   'they go with the account');
is(state_of($gone), 2, 'and so do their files');

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');
