# Attachments: announced, sent, seen, fetched and deleted by their owner, by
# each way there is, and nothing of them by anybody else.

use strict;
use warnings;

use JSON::PP ();
use Test::More 'no_plan';

use VaultFile qw(put_file path_of);
use VaultServer qw(sql);
use VaultTest;

my $quota = 300_000;
my $server = vault_server(vault => "vault_upload direct;\n"
                        . "vault_file_max 100k;\nvault_file_quota $quota;\n"
                        . 'vault_jobs off;');
my $own = vault_server(name => 'own', vault => "vault_upload presigned;\n"
                                             . 'vault_jobs off;');
my $out_of_date = 'The item cannot be saved because it is out of date. '
                . 'To edit this item, first sync your vault, or log out and '
                . 'back in.';

sub alice { return call($server, @_, as => 'alice') }
sub bob   { return call($server, @_, as => 'bob') }

sub done {
    my ($name, $answer, $status, $message) = @_;

    is($answer->{status}, $status // 200, $name) or diag($answer->{body});
    api_error_like($answer->{body}, $message, $name) if defined $message;
    return $answer->{json};
}

sub item {
    my (%option) = @_;

    return done('an item', alice('POST', '/api/ciphers',
                                 json => cipher(%option)))->{id};
}

sub list_of {
    my ($id) = @_;

    return alice('GET', "/api/ciphers/$id")->{json}{attachments};
}

sub revision { return alice('GET', '/api/accounts/revision-date')->{body} }

sub state_of { return sql("SELECT state FROM files WHERE id = '$_[0]'") + 0 }

sub form_data {
    my (@parts) = @_;

    my $body = join '', map {
        my ($name, $value, $filename) = @$_;
        "--x7\r\nContent-Disposition: form-data; name=\"$name\""
        . (defined $filename ? "; filename=\"$filename\"\r\n"
           . 'Content-Type: application/octet-stream' : '')
        . "\r\n\r\n$value\r\n"
    } @parts;

    return (body => "$body--x7--\r\n",
            headers => ['Content-Type: multipart/form-data; boundary=x7']);
}

sub promised {
    my ($item, $size, %option) = @_;

    return done("$size bytes are announced", alice(
        'POST', "/api/ciphers/$item/attachment/v2",
        json => { key => enc('key'), fileName => enc('file'),
                  fileSize => $size, %option }));
}

sub sent {
    my ($item, $id, $bytes) = @_;

    return alice('POST', "/api/ciphers/$item/attachment/$id",
                 form_data(['data', $bytes, enc('file')]));
}

sub attached {
    my ($item, $bytes, %option) = @_;

    my $id = promised($item, length $bytes, %option)->{attachmentId};
    done('and sent', sent($item, $id, $bytes));
    return $id;
}

sub fetched {
    my ($item, $id) = @_;

    my $url = done('a link', alice('GET',
                   "/api/ciphers/$item/attachment/$id"))->{url};
    return call($server, 'GET', path_of($url))->{body};
}

user($_) for qw(alice bob);


# By a form (type 0)

my $item = item(name => 'first');
my $other = item(name => 'second');
my $before = revision();
my $json = promised($item, 1536);
my $id = $json->{attachmentId};

json_like(json_text($json), {
    object => 'attachment-fileUpload', fileUploadType => 0,
    attachmentId => '<uuid>', url => '<text>', cipherMiniResponse => undef,
    cipherResponse => {
        id => $item, object => 'cipherDetails', edit => JSON::PP::true(),
        attachments => [{
            id => $id, fileName => enc('file'), key => enc('key'),
            size => '1536', sizeName => '1.5 KB', object => 'attachment',
            url => '<text>',
        }],
    },
}, 'the client gets the item as it is to be');

my ($shown) = grep { $_->{id} eq $item }
    @{alice('GET', '/api/sync')->{json}{ciphers}};
is($shown->{attachments}, undef, 'a sync does not show a promise');
is(list_of($item), undef, 'nor does the item');
is(state_of($id), 0, 'it is pending');
done('nor can it be fetched', alice('GET',
     "/api/ciphers/$item/attachment/$id"), 404, 'Resource not found.');

json_like(json_text(done('another link', alice('GET',
          "/api/ciphers/$item/attachment/$id/renew"))), {
    object => 'attachment-fileUpload', fileUploadType => 0,
    url => '<text>', cipherResponse => undef }, 'for the same file');

my $promised_at = alice('GET', "/api/ciphers/$item")->{json}{revisionDate};
my $bytes = join '', map { chr } map { ($_) x 6 } 0 .. 255;
my $announced = revision();

cmp_ok($announced, '>', $before, 'an announcement moves the revision');
done('the file is sent', sent($item, $id, $bytes));
cmp_ok(revision(), '>', $announced, 'and so does the file');
is(alice('GET', "/api/ciphers/$item")->{json}{revisionDate}, $promised_at,
   'but not that of the item, which its client is to edit');

($shown) = grep { $_->{id} eq $item }
    @{alice('GET', '/api/sync')->{json}{ciphers}};
is_deeply($shown->{attachments}, $json->{cipherResponse}{attachments},
          'a sync shows what was promised');
is_deeply(list_of($item), $shown->{attachments}, 'so does the item');
($shown) = grep { $_->{id} eq $item }
    @{alice('GET', '/api/ciphers')->{json}{data}};
is_deeply($shown->{attachments}, list_of($item), 'so does the list');
is(list_of($other), undef, 'another item has nothing of it');

json_like(json_text(done('a link', alice('GET',
          "/api/ciphers/$item/attachment/$id"))), {
    object => 'attachment', id => $id, fileName => enc('file'),
    key => enc('key'), size => '1536', sizeName => '1.5 KB',
    url => '<re:^https://>' }, 'with all of the attachment');
is(fetched($item, $id), $bytes, 'the bytes are what was sent');
done('the same as an administrator', alice('GET',
     "/api/ciphers/$item/attachment/$id/admin"));

done('nothing is sent twice', sent($item, $id, $bytes), 400, '');
is(fetched($item, $id), $bytes, 'the first one stays');
done('there is no other link', alice('GET',
     "/api/ciphers/$item/attachment/$id/renew"), 404, '');

$json = promised($item, 10, adminRequest => JSON::PP::true());
is($json->{cipherResponse}, undef, 'an administrator gets no item');
is(@{$json->{cipherMiniResponse}{attachments}}, 2, 'but a small one');


# Answers of all kinds carry it

done('an edit', alice('PUT', "/api/ciphers/$item",
                      json => cipher(name => 'edited')));
for my $case (['POST', '', cipher(name => 'edited')],
              ['PUT', '/partial', { favorite => JSON::PP::true() }],
              ['PUT', '/archive'], ['PUT', '/unarchive']) {
    my ($method, $path, $body) = @$case;
    my $answer = done("$method $path", alice(
        $method, "/api/ciphers/$item$path", $body ? (json => $body) : ()));

    is($answer->{attachments}[0]{id}, $id, 'answers with the attachment');
}

done('into the trash', alice('PUT', "/api/ciphers/$item/delete"));
is(list_of($item)->[0]{id}, $id, 'where it keeps its file');
is(fetched($item, $id), $bytes, 'which can be fetched');
my $in_trash = attached($item, 'in the trash');
is(@{done('back', alice('PUT', "/api/ciphers/$item/restore"))->{attachments}},
   2, 'and it comes back with what was added there');
done('deleted', alice('DELETE',
     "/api/ciphers/$item/attachment/$in_trash"));


# Deleting

$json = done('deleted', alice('DELETE',
             "/api/ciphers/$item/attachment/$id"));
json_like(json_text($json), { object => 'deleteAttachment',
          cipher => { id => $item, attachments => undef } },
          'the item has none any more');
cmp_ok($json->{cipher}{revisionDate}, 'gt', $promised_at, 'it has changed');
is(list_of($item), undef, 'nobody sees it');
is(state_of($id), 2, 'it is doomed');
done('it cannot be fetched', alice('GET',
     "/api/ciphers/$item/attachment/$id"), 404, '');
done('nor deleted again', alice('DELETE',
     "/api/ciphers/$item/attachment/$id"), 404, 'Resource not found.');

for my $case (['POST', 'delete'], ['POST', 'delete-admin'],
              ['DELETE', 'admin']) {
    my ($method, $verb) = @$case;
    my $one = attached($item, $verb);

    done("$method $verb", alice($method,
         "/api/ciphers/$item/attachment/$one/$verb"));
    is(state_of($one), 2, 'it is doomed');
}

my $given_up = promised($item, 5)->{attachmentId};
done('a promise is taken back', alice('DELETE',
     "/api/ciphers/$item/attachment/$given_up"));
done('and its bytes are not taken', sent($item, $given_up, '12345'), 404, '');


# What is not theirs

$id = attached($item, 'of alice');
my $pending = promised($item, 8)->{attachmentId};
my $bobs = bob('POST', '/api/ciphers',
               json => cipher(name => 'of bob'))->{json}{id};
$before = json_text(list_of($item));

for my $one ($id, $pending) {
    for my $case (
        ['GET', "$item/attachment/$one"],
        ['GET', "$item/attachment/$one/admin"],
        ['GET', "$item/attachment/$one/renew"],
        ['GET', "$bobs/attachment/$one"],
        ['POST', "$item/attachment/$one", form_data(['data', 'of bob!!', 'x'])],
        ['POST', "$bobs/attachment/$one", form_data(['data', 'of bob!!', 'x'])],
        ['DELETE', "$item/attachment/$one"],
        ['DELETE', "$bobs/attachment/$one"],
        ['POST', "$item/attachment/$one/delete"],
    ) {
        my ($method, $path, @body) = @$case;

        done("bob: $method of what is alice's",
             bob($method, "/api/ciphers/$path", @body), 404,
             'Resource not found.');
    }
    done('alice: by another item', alice('GET',
         "/api/ciphers/$other/attachment/$one"), 404, '');
    done('alice: deleted by another item', alice('DELETE',
         "/api/ciphers/$other/attachment/$one"), 404, '');
}

my %good = (key => enc('key'), fileName => enc('file'), fileSize => 5);

done('bob: into an item of alice', bob('POST',
     "/api/ciphers/$item/attachment/v2", json => \%good), 404, '');
done('bob: the same in one body', bob('POST', "/api/ciphers/$item/attachment",
     form_data(['key', enc('k')], ['data', 'x', enc('f')])), 404, '');
done('no such item', alice('POST', '/api/ciphers/' . uuid('none')
     . '/attachment/v2', json => \%good), 404, '');
is(json_text(list_of($item)), $before, 'nothing has happened');


# Bad announcements

for my $case (
    ['no size', { fileSize => undef }],
    ['no bytes', { fileSize => 0 }],
    ['fewer than none', { fileSize => -1 }],
    ['too many', { fileSize => 102_401 }],
    ['far too many', { fileSize => 9_223_372_036_854_775_807 }],
    ['a size in words', { fileSize => 'big' }],
    ['half a byte', { fileSize => 0.5 }],
    ['no name', { fileName => undef }],
    ['an empty name', { fileName => '' }],
    ['a plain name', { fileName => 'plain.txt' }],
    ['a path', { fileName => '../../etc/passwd' }],
    ['a name with a quote', { fileName => enc('x') . '"' }],
    ['a name with a line', { fileName => enc('x') . "\n" }],
    ['a long name', { fileName => enc('x' x 800) }],
    ['no key', { key => undef }],
    ['a plain key', { key => 'key' }],
    ['a long key', { key => enc('x' x 800) }],
    ['no date', { lastKnownRevisionDate => 'yesterday' }],
    ['an old date', { lastKnownRevisionDate => '2020-01-01T00:00:00Z' },
     $out_of_date],
    ['a coming date', { lastKnownRevisionDate => '2120-01-01T00:00:00Z' },
     $out_of_date],
) {
    my ($name, $change, $message) = @$case;

    done($name, alice('POST', "/api/ciphers/$item/attachment/v2",
         json => { %good, %$change }), 400, $message // '');
}

done('half a body', alice('POST', "/api/ciphers/$item/attachment/v2",
     json => '{"key": '), 400, '');
is(json_text(list_of($item)), $before, 'nothing has happened');
promised($item, 5, lastKnownRevisionDate =>
         alice('GET', "/api/ciphers/$item")->{json}{revisionDate});


# Bad bodies

$id = promised($item, 5)->{attachmentId};
my $upload = "/api/ciphers/$item/attachment/$id";

for my $case (
    ['no data', form_data(['other', '12345', 'x'])],
    ['data that is a field', form_data(['data', '12345'])],
    ['no form', json => '12345'],
    ['no boundary', body => '12345',
     headers => ['Content-Type: multipart/form-data']],
    ['half a form', body => "--x7\r\nContent-Disposition: form-data; "
     . "name=\"data\"; filename=\"x\"\r\n\r\n12345",
     headers => ['Content-Type: multipart/form-data; boundary=x7']],
) {
    my ($name, @body) = @$case;

    done($name, alice('POST', $upload, @body), 400, '');
    is(state_of($id), 0, 'the promise stands');
}

done('a name that is a path does not matter here', alice('POST', $upload,
     form_data(['data', '12345', "../../x\x01"])));

for my $size (4, 6) {
    $id = promised($item, 5)->{attachmentId};
    done("$size bytes instead of 5", sent($item, $id, 'x' x $size), 400, '');
    is(state_of($id), 2, 'the promise is doomed');
    done('and its bytes are not taken', sent($item, $id, '12345'), 404, '');
}


# All in one body, as it was before

$item = item(name => 'legacy');
my @key = ('key', enc('legacy key'));

for my $path ('attachment', 'attachment-admin') {
    $json = done($path, alice('POST', "/api/ciphers/$item/$path",
                 form_data([@key], ['data', 'legacy', enc('legacy')])));
    is($json->{id}, $item, 'answers with the item');
}
json_like(json_text($json->{attachments}[0]), { fileName => enc('legacy'),
          key => enc('legacy key'), size => '6', sizeName => '6 Bytes' },
          'and its attachments');
is_deeply($json->{attachments}, list_of($item), 'which are stored');
is(fetched($item, $json->{attachments}[1]{id}), 'legacy', 'with their bytes');
my $keyless = done('without a key', alice('POST',
    "/api/ciphers/$item/attachment",
    form_data(['data', 'old', enc('old')])))->{attachments}[2];
is($keyless->{key}, undef, 'as it was long before');

$before = json_text(list_of($item));

for my $case (
    ['no data', [@key]],
    ['a plain name', [@key], ['data', 'x', 'plain.txt']],
    ['a path', [@key], ['data', 'x', '../../etc/passwd']],
    ['a control character', [@key], ['data', 'x', enc('x') . "\x07"]],
    ['no name', [@key], ['data', 'x']],
    ['an empty name', [@key], ['data', 'x', '']],
    ['a long name', [@key], ['data', 'x', enc('x' x 800)]],
    ['a plain key', ['key', 'plain'], ['data', 'x', enc('x')]],
    ['no bytes', [@key], ['data', '', enc('x')]],
    ['too many bytes', [@key], ['data', 'x' x 102_401, enc('x')]],
    ['an old date', ['lastKnownRevisionDate', '2020-01-01T00:00:00Z'],
     ['data', 'x', enc('x')]],
) {
    my ($name, @parts) = @$case;

    done("$name in one body", alice('POST', "/api/ciphers/$item/attachment",
         form_data(@parts)), 400, '');
}

is(json_text(list_of($item)), $before, 'nothing has happened');


# New names and keys

my ($first, $second) = map { $_->{id} } @{list_of($item)};
my %old = (name => 'edited');

sub edited {
    my ($name, %change) = @_;

    my $answer = done($name, alice('PUT', "/api/ciphers/$item",
                      json => { %{cipher(name => 'edited')}, %change }));
    is_deeply($answer->{attachments}, list_of($item), 'is what is stored');
    return { map { $_->{id} => [$_->{fileName}, $_->{key}] }
             @{$answer->{attachments}} };
}

my $was = edited('an edit without them');
my $foreign = do {
    my $promise = bob('POST', "/api/ciphers/$bobs/attachment/v2",
                      json => { %good, fileSize => 4 })->{json};
    done('a file of bob', bob('POST',
         "/api/ciphers/$bobs/attachment/$promise->{attachmentId}",
         form_data(['data', 'bobs', 'x'])));
    $promise->{attachmentId};
};

is_deeply(edited('an edit with them', attachments2 => {
    $first => { fileName => enc('renamed'), key => enc('rewrapped') },
    $second => { fileName => enc('renamed too'), key => enc('too') },
    $keyless->{id} => { fileName => enc('keyless'), key => undef },
    $foreign => { fileName => enc('x'), key => enc('x') },
    $id => { fileName => enc('x'), key => enc('x') },
    uuid('none') => { fileName => enc('x'), key => enc('x') },
    'no id' => { fileName => enc('x'), key => enc('x') },
}, attachments => { $first => enc('older clients') }), {
    $first => [enc('renamed'), enc('rewrapped')],
    $second => [enc('renamed too'), enc('too')],
    $keyless->{id} => [enc('keyless'), undef],
}, 'gives those that are there their names and keys');

is_deeply([map { @$_{qw(fileName key)} }
           @{bob('GET', "/api/ciphers/$bobs")->{json}{attachments}}],
          [enc('file'), enc('key')], 'and to nobody else');

is_deeply(edited('an edit by an older client', attachments2 => undef,
                 attachments => { $first => enc('older'),
                                  uuid('none') => enc('x') }), {
    $first => [enc('older'), enc('rewrapped')],
    $second => [enc('renamed too'), enc('too')],
    $keyless->{id} => [enc('keyless'), undef],
}, 'gives names');

is_deeply(edited('an edit that forgets a key', attachments2 => {
    $first => { fileName => enc('x'), key => undef } })->{$first},
    [enc('older'), enc('rewrapped')], 'is not listened to');

for my $case (
    ['a plain name', { fileName => 'x', key => enc('x') }],
    ['a plain key', { fileName => enc('x'), key => 'x' }],
    ['a list', [1]],
    ['nothing', undef],
    ['a number', 5],
) {
    my ($name, $value) = @$case;

    done("an edit with $name", alice('PUT', "/api/ciphers/$item",
         json => { %{cipher(name => 'x')}, attachments2 => {
             $first => $value } }), 400, '');
}

done('names in a list', alice('PUT', "/api/ciphers/$item",
     json => { %{cipher()}, attachments2 => [] }), 400, '');
done('an edit that is out of date', alice('PUT', "/api/ciphers/$item",
     json => { %{cipher()}, attachments2 => { $first =>
         { fileName => enc('x'), key => enc('x') } },
         lastKnownRevisionDate => '2020-01-01T00:00:00Z' }), 400,
     $out_of_date);
is(list_of($item)->[0]{fileName}, enc('older'), 'changes no name');

my $clone = done('a clone', alice('POST', '/api/ciphers', json => {
    %{cipher(name => 'clone')}, attachments2 => { $first =>
        { fileName => enc('x'), key => enc('x') } } }));
is($clone->{attachments}, undef, 'has no attachments');
is(list_of($item)->[0]{fileName}, enc('older'), 'and takes none');
done('an import', alice('POST', '/api/ciphers/import', json => {
    ciphers => [{ %{cipher(name => 'imported')}, attachments => {},
                  attachments2 => { $first => { fileName => enc('x'),
                                                key => enc('x') } } }],
    folders => [], folderRelationships => [] }));
is(list_of($item)->[0]{fileName}, enc('older'), 'nor does an import');


# Items that go take their files along

sub deleted {
    my ($name, $how) = @_;

    my $doomed = item(name => $name);
    my @files = (attached($doomed, $name),
                 promised($doomed, 3)->{attachmentId});

    done($name, $how->($doomed));
    is_deeply([map { state_of($_) } @files], [2, 2],
              'its files and promises are doomed');
    done('no bytes are taken', sent($doomed, $files[1], '123'), 404, '');
}

deleted('an item is deleted',
        sub { alice('DELETE', "/api/ciphers/$_[0]") });
deleted('an item is deleted by POST',
        sub { alice('POST', "/api/ciphers/$_[0]/delete") });
deleted('several are deleted', sub {
    alice('DELETE', '/api/ciphers', json => { ids => [$_[0], $bobs] }) });
is(state_of($foreign), 1, 'nothing of bob is');


# Limits

my $full = item(name => 'full');
my @big = map { attached($full, 'x' x 100_000) } 1 .. 2;
my $used = sql("SELECT sum(size) FROM files f JOIN users u ON u.id = f.user_id"
             . " WHERE u.email = '" . user('alice')->{email} . "'"
             . ' AND state < 2') + 0;

cmp_ok($used, '>', 200_000, 'much of the quota is used');
done('the quota is met', alice('POST', "/api/ciphers/$full/attachment/v2",
     json => { %good, fileSize => $quota - $used + 1 }), 400,
     'Not enough storage available.');
done('in one body too', alice('POST', "/api/ciphers/$full/attachment",
     form_data([@key], ['data', 'x' x ($quota - $used + 1), enc('x')])), 400,
     'Not enough storage available.');
is(@{list_of($full)}, 2, 'and nothing was added');
my $exact = promised($full, $quota - $used)->{attachmentId};
done('a promise counts', alice('POST', "/api/ciphers/$full/attachment/v2",
     json => { %good, fileSize => 1 }), 400, 'Not enough storage available.');
done('until it is taken back', alice('DELETE',
     "/api/ciphers/$full/attachment/$exact"));
promised($full, 1);
done('one of them goes', alice('DELETE',
     "/api/ciphers/$full/attachment/$big[0]"));
promised($full, 90_000);
done('the item goes', alice('DELETE', "/api/ciphers/$full"));

my $many = item(name => 'many');
my $count = 0;
for (1 .. 100) {
    my $answer = alice('POST', "/api/ciphers/$many/attachment",
                       form_data([@key], ['data', "$_", enc("file $_")]));
    $count++ if $answer->{status} == 200;
}
is($count, 100, 'an item has up to 100 attachments');
is(@{list_of($many)}, 100, 'all are shown');
is_deeply([map { $_->{fileName} } @{list_of($many)}[0, 50, 99]],
          [map { enc("file $_") } 1, 51, 100], 'in their order');
done('the next one is too many', alice('POST',
     "/api/ciphers/$many/attachment/v2", json => \%good), 400,
     'The item has too many attachments.');
done('in one body too', alice('POST', "/api/ciphers/$many/attachment",
     form_data([@key], ['data', 'x', enc('x')])), 400,
     'The item has too many attachments.');
is(@{list_of($many)}, 100, 'it was not added');


# The number of statements depends on nothing

sub statements {
    my $first = status($server)->{database};
    $_[0]->();
    my $then = status($server)->{database};

    return [$then->{statements} - $first->{statements},
            $then->{roundTrips} - $first->{roundTrips}];
}

my $few = item(name => 'few');
attached($few, 'x');
done('room', alice('DELETE', "/api/ciphers/$many/attachment/"
                           . list_of($many)->[0]{id}));

sub same {
    my ($what, $one, $all) = @_;

    my ($little, $much) = (statements($one), statements($all));
    is_deeply($much, $little, "$what: @$little statements and round trips");
}

my @new;
same('a promise',
     sub { push @new, [$few, promised($few, 1)->{attachmentId}] },
     sub { push @new, [$many, promised($many, 1)->{attachmentId}] });
same('an upload', sub { sent(@{$new[0]}, 'x') }, sub { sent(@{$new[1]}, 'x') });
same('an edit', map { my $one = $_; sub {
         done('of all names', alice('PUT', "/api/ciphers/$one", json => {
             %{cipher(name => 'edited')}, attachments2 => {
                 map { $_->{id} => { fileName => enc('n'), key => enc('k') } }
                 @{call($own, 'GET', "/api/ciphers/$one",
                        as => 'alice')->{json}{attachments}} } })) }
     } $few, $many);
same('deleting one', sub { alice('DELETE', "/api/ciphers/$few/attachment/"
                                 . $new[0][1]) },
                     sub { alice('DELETE', "/api/ciphers/$many/attachment/"
                                 . $new[1][1]) });
same('a sync', sub { call($server, 'GET', '/api/sync', as => 'bob') },
               sub { alice('GET', '/api/sync') });
same('deleting an item', sub { alice('DELETE', "/api/ciphers/$few") },
                         sub { alice('DELETE', "/api/ciphers/$many") });
is(sql("SELECT count(*) FROM files WHERE cipher_id = '$many'"
       . ' AND state < 2') + 0, 0, 'all 100 are doomed');


# By a PUT (type 1)

sub own {
    my ($item, $size) = @_;

    return done('announced', call($own, 'POST',
        "/api/ciphers/$item/attachment/v2", as => 'alice',
        json => { %good, fileSize => $size }));
}

$item = item(name => 'by PUT');
$json = own($item, 6);
is($json->{fileUploadType}, 1, 'type 1');
like($json->{url}, qr{^https://}, 'with a link');
is(put_file($own, path_of($json->{url}), 'by PUT')->{status}, 201,
   'the file is put there');
is(list_of($item)->[0]{id}, $json->{attachmentId}, 'and seen');
is(call($own, 'GET', path_of(call($own, 'GET', "/api/ciphers/$item/attachment/"
        . $json->{attachmentId}, as => 'alice')->{json}{url}))->{body},
   'by PUT', 'and fetched');
$json = own($item, 6);
done('a form is taken for it too', sent($item, $json->{attachmentId},
                                        'a form'));
is(put_file($own, path_of($json->{url}), 'by PUT')->{status}, 400,
   'and then no PUT');
is(@{list_of($item)}, 2, 'two are there');


# Emptying the vault

my $gone = list_of($item)->[0]{id};
$pending = promised($item, 5)->{attachmentId};
done('the vault is emptied', alice('POST', '/api/ciphers/purge',
     json => { masterPasswordHash => user('alice')->{hash} }));
is_deeply([map { state_of($_) } $gone, $pending], [2, 2],
          'files and promises are doomed');
is(state_of($foreign), 1, 'but not those of bob');


# Deleting the account

done('bob goes', bob('DELETE', '/api/accounts',
     json => { masterPasswordHash => user('bob')->{hash} }));
is(state_of($foreign), 2, 'and so does his file');

for my $one ($server, $own) {
    stops_clean($one, 'nothing is left');
    is_deeply([$one->stop], [], 'and nginx is well');
}
