# Sends of their receivers: tokens, passwords, what is over, and races for the
# last access.

use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use Test::More 'no_plan';

use VaultFile qw(path_of post_file send_of);
use VaultTest;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

my $server = vault_server(
    workers => 2, vault => "vault_login_limit off;\nvault_upload direct;");
my $secret = b64('p' x 32);


sub good {
    my ($as, $method, $path, @json) = @_;

    my $answer = call($server, $method, "/api/$path", as => $as,
                      @json ? (json => $json[0]) : ());
    is($answer->{status}, 200, "$method $path of $as")
        || diag($answer->{body});
    return $answer->{json};
}


sub body {
    my (%more) = @_;

    return { type => 0, name => enc('name'), key => enc('key'),
             deletionDate => date(86400),
             text => { text => enc('text'), hidden => $true }, %more };
}


sub text { return good('alice', 'POST', 'sends', body(@_)) }
sub edit { my $send = shift; good('alice', 'PUT', "sends/$send->{id}",
                                  body(@_)) }
sub now { return good('alice', 'GET', "sends/$_[0]{id}") }


# A Send of a file that is there

sub file {
    my ($bytes, %more) = @_;

    my $file = send_of($server, 'alice', length $bytes, %more);
    my $answer = post_file($server, 'alice',
        "/api/sends/$file->{send}/file/$file->{id}", $bytes);

    is($answer->{status}, 200, 'a file is uploaded') || diag($answer->{body});
    return good('alice', 'GET', "sends/$file->{send}");
}


sub grant {
    my (@form) = @_;

    return call($server, 'POST', '/identity/connect/token', form => [
        client_id => 'send', grant_type => 'send_access',
        scope => 'api.send.access', @form ]);
}


sub token {
    my ($send, @more) = @_;

    my $answer = grant(send_id => $send->{accessId}, @more);
    is($answer->{status}, 200, 'a token') || diag($answer->{body});
    return $answer->{json}{access_token};
}


sub with_token {
    my ($token, $path) = @_;

    return call($server, 'POST', "/api/sends/access$path", headers =>
                defined $token ? ["Authorization: Bearer $token"] : []);
}


sub by_id {
    my ($send, $password, $path) = @_;

    return call($server, 'POST', "/api/sends/access/$send->{accessId}",
                json => { password => $password });
}


sub file_by_id {
    my ($id, $file, $password) = @_;

    return call($server, 'POST', "/api/sends/$id/access/file/$file",
                json => { password => $password });
}


sub refused {
    my ($name, $answer, $status, $message) = @_;

    is($answer->{status}, $status, "$name: $status") || diag($answer->{body});
    api_error_like($answer->{body}, $message // '', "$name: the words");
}


sub not_granted {
    my ($name, $answer, $error, $type) = @_;

    is($answer->{status}, 400, "$name: 400") || diag($answer->{body});
    is_deeply([@{$answer->{json}}{qw(error send_access_error_type)}],
              [$error, $type], "$name: $error");
}


user($_) for qw(alice bob);


# A text, with a token

my $send = text(expirationDate => date(3600));
my $revision = good('alice', 'GET', 'accounts/revision-date');
my $answer = grant(send_id => $send->{accessId});

json_like($answer->{json}, { access_token => '<text>', expires_in => 300,
                             token_type => 'Bearer',
                             scope => 'api.send.access' }, 'a token');
is(now($send)->{accessCount}, 0, 'which is no access');

my $token = $answer->{json}{access_token};
$answer = with_token($token, '');

is($answer->{status}, 200, 'an access') || diag($answer->{body});
json_like($answer->{json}, {
    id => $send->{accessId}, type => 0, authType => 2, name => enc('name'),
    text => { text => enc('text'), hidden => $true }, file => undef,
    expirationDate => '<date>', creatorIdentifier => 'alice@example.com',
    object => 'send-access', key => '<absent>', notes => '<absent>',
}, 'the text');

is(now($send)->{accessCount}, 1, 'is counted');
cmp_ok(good('alice', 'GET', 'accounts/revision-date'), '>', $revision,
       "and moves its owner's revision");
is(good('alice', 'GET', 'sync')->{sends}[0]{accessCount}, 1,
   "so that it is in the owner's next sync");

edit($send, hideEmail => $true);
json_like(with_token($token, '/')->{json}, { creatorIdentifier => undef },
          'the e-mail can be hidden');
is(now($send)->{accessCount}, 2, 'the second access');


# Without one, as clients did until 2026

$answer = by_id($send);
is($answer->{status}, 200, 'access by id') || diag($answer->{body});
json_like($answer->{json}, { id => $send->{accessId}, type => 0,
                             text => { text => enc('text') },
                             object => 'send-access' }, 'the text');
is(now($send)->{accessCount}, 3, 'is counted');
is(call($server, 'POST', "/api/sends/access/$send->{id}", json => {})
   ->{status}, 200, 'the UUID is an id as well');


# Tokens are for one thing.

my $other = text(name => enc('other'));

for my $bad (
    ['none', undef], ['garbage', 'garbage'], ['empty', ''],
    ["alice's own", user('alice')->{token}],
    ['cut', substr $token, 0, -4],
    ['of another', do {
        my ($head, $claims, $signature) = split /\./, $token;
        join '.', $head, (split /\./, token($other))[1], $signature }],
) {
    refused("a token: $bad->[0]", with_token($bad->[1], ''), 401);
    refused("a file, a token: $bad->[0]",
            with_token($bad->[1], '/file/' . uuid('x')), 401);
}

for my $path (qw(sends sync ciphers accounts/profile)) {
    is(call($server, 'GET', "/api/$path", headers =>
            ["Authorization: Bearer $token"])->{status}, 401,
       "a receiver's token is none for $path");
}

my $claims = decode_base64url((split /\./, $token)[1]);
unlike($claims, qr/alice/, 'and it does not name the owner');


# What the grant refuses

not_granted('no id', grant(), 'invalid_request', 'send_id_required');
not_granted("the id $_", grant(send_id => $_), 'invalid_grant',
            'send_id_invalid')
    for 'x', '!', 'a' x 22, encode_base64url('x' x 15),
        encode_base64url('x' x 17), encode_base64url("\0" x 16),
        uuid('nobody'), 'x' x 128;
not_granted('another client', call($server, 'POST', '/identity/connect/token',
    form => [client_id => 'web', grant_type => 'send_access',
             send_id => $send->{accessId}]), 'invalid_client', undef);
not_granted('another scope', call($server, 'POST', '/identity/connect/token',
    form => [client_id => 'send', grant_type => 'send_access', scope => 'api',
             send_id => $send->{accessId}]), 'invalid_scope', undef);

refused("the id $_", call($server, 'POST', "/api/sends/access/$_",
                          json => {}), 404)
    for 'x', 'a' x 22, uuid('nobody');

is(call($server, 'POST', "/api/sends/access/$send->{accessId}",
        json => { password => 'x' x 9000 })->{status}, 413,
   'a stranger has not that much to say');
is(call($server, 'POST', "/api/sends/access/$send->{accessId}",
        json => $_)->{status}, 400, "a body like $_")
    for '{', '[]', '{"password":5}', '{"password":"' . 'x' x 1001 . '"}';


# Passwords

my $locked = text(password => $secret);

not_granted('no password', grant(send_id => $locked->{accessId}),
            'invalid_request', 'password_hash_b64_required');
not_granted("the password $_",
            grant(send_id => $locked->{accessId}, password_hash_b64 => $_),
            'invalid_grant', 'password_hash_b64_invalid')
    for b64('x' x 32), 'x', '', $locked->{password};

refused('no password', by_id($locked), 401, 'Password not provided.');
refused("the password $_", by_id($locked, $_), 400, 'Invalid password.')
    for b64('x' x 32), '', $locked->{password};
is(now($locked)->{accessCount}, 0, 'none of that is an access');

is(by_id($locked, $secret)->{status}, 200, 'the right one');
my $opened = token($locked, password_hash_b64 => $secret);
is(with_token($opened, '')->{json}{authType}, 1, 'the right one for a token');
is(now($locked)->{accessCount}, 2, 'are accesses');

edit($locked, authType => 2);
is(with_token($opened, '')->{status}, 200,
   'a token is good where none is needed any more');

my $open = token($locked);
edit($locked, authType => 1, password => b64('q' x 32));
refused("$_->[0] when there is another password",
        with_token($_->[1], ''), 401)
    for ['the token of a password', $opened], ['one without', $open];
is(with_token(token($locked, password_hash_b64 => b64('q' x 32)), '')
   ->{status}, 200, 'a new one is good');
edit($locked, authType => 1, name => enc('renamed'));
is(by_id($locked, b64('q' x 32))->{json}{name}, enc('renamed'),
   'an edit keeps the password');


# What is over looks as if it had never been.

sub is_over {
    my ($name, $send, $token) = @_;

    not_granted("$name: a token", grant(send_id => $send->{accessId}),
                'invalid_grant', 'send_id_invalid');
    refused("$name: with a token", with_token($token, ''), 404,
            'Resource not found.');
    refused("$name: by id", by_id($send), 404, 'Resource not found.');

    return if !$send->{file};

    refused("$name: the file",
            with_token($token, "/file/$send->{file}{id}"), 404);
    refused("$name: the file by id",
            file_by_id($send->{accessId}, $send->{file}{id}), 404);
}


sub set {
    my ($send, $what) = @_;

    VaultServer::sql("UPDATE sends SET $what WHERE id = '$send->{id}'");
}

my $content = 'encrypted ' x 50;

for my $make (sub { text() }, sub { file($content) }) {
    for my $case (['expired', 'expires_at = 1'],
                  ['past its day', 'deletes_at = 1'],
                  ['disabled', 'disabled = 1'],
                  ['used up', 'max_accesses = 3, accesses = 3'],
                  ['more than used up', 'max_accesses = 3, accesses = 4'],
                  ['deleted', undef])
    {
        my ($name, $set) = @$case;
        my $send = $make->();
        my $token = token($send);

        $set ? set($send, $set)
             : good('alice', 'DELETE', "sends/$send->{id}");
        is_over("type $send->{type} $name", $send, $token);
    }
}


# Files

my $file = file($content, maxAccessCount => 3);
$token = token($file);
$answer = with_token($token, '');

json_like($answer->{json}, {
    id => $file->{accessId}, type => 1, text => undef,
    file => $file->{file}, object => 'send-access',
}, 'a file is shown');
is(now($file)->{accessCount}, 0, 'which is not counted');

$answer = with_token($token, "/file/$file->{file}{id}");
json_like($answer->{json}, { id => $file->{file}{id},
                             url => '<re:^https://vault.example.com/>',
                             object => 'send-fileDownload' }, 'a link to it');
is(now($file)->{accessCount}, 1, 'is');

my $bytes = call($server, 'GET', path_of($answer->{json}{url}));
is($bytes->{status}, 200, 'the link works for whoever has it');
is($bytes->{body}, $content, 'it is the file');

$answer = file_by_id($file->{accessId}, $file->{file}{id});
is($answer->{status}, 200, 'a link without a token') || diag($answer->{body});
is(call($server, 'GET', path_of($answer->{json}{url}))->{body}, $content,
   'works too');
is(file_by_id($file->{id}, $file->{file}{id})->{status}, 200,
   'and by the UUID');
refused('the fourth', file_by_id($file->{id}, $file->{file}{id}), 404);
is(now($file)->{accessCount}, 3, 'the maximum holds');

my $second = file('other bytes');
refused('the file of another Send',
        with_token(token($second), "/file/$file->{file}{id}"), 404);
refused('the same by id', file_by_id($second->{accessId},
                                     $file->{file}{id}), 404);
refused('a file that is none',
        with_token(token($second), '/file/' . uuid('none')), 404);
refused('an id that is none', with_token(token($second), '/file/x'), 404);
refused('the file of a text',
        with_token(token($send), "/file/$file->{file}{id}"), 404);
is(now($second)->{accessCount}, 0, 'none of that is an access');

edit($second, type => 1, text => undef, password => $secret);
refused('a file, no password',
        file_by_id($second->{accessId}, $second->{file}{id}), 401,
        'Password not provided.');
refused('a file, a wrong password',
        file_by_id($second->{accessId}, $second->{file}{id}, 'x'), 400,
        'Invalid password.');
is(file_by_id($second->{accessId}, $second->{file}{id}, $secret)->{status},
   200, 'a file, its password');

my $late = send_of($server, 'alice', 100);

not_granted('a file that is to come', grant(send_id => $late->{send}),
            'invalid_grant', 'send_id_invalid');
refused('the same by id',
        call($server, 'POST', "/api/sends/access/$late->{send}",
             json => {}), 404);


# Races for the last accesses: all ask at once, on two workers.

sub at_once {
    my (@messages) = @_;

    my @sockets = map { VaultHttp::open_socket($server->port) } @messages;
    my %status;

    for my $n (0 .. $#sockets) {
        $sockets[$n]->blocking(1);
        print {$sockets[$n]} $messages[$n];
        $sockets[$n]->flush;
    }

    for my $socket (@sockets) {
        local $/;
        my $text = <$socket> // '';
        $status{$text =~ m{^HTTP/1.1 (\d+)} ? $1 : 'none'}++;
    }

    return \%status;
}


sub post {
    my ($path, $json, @headers) = @_;

    return VaultHttp::message(
        'POST', $path,
        [@headers, ('Content-Type: application/json') x defined $json],
        $json);
}


sub race {
    my ($n, $method, $path, @headers) = @_;

    return at_once((post($path, $method->{json}, @headers)) x $n);
}

my $few = text(maxAccessCount => 10);
$token = token($few);

is_deeply(race(50, {}, '/api/sends/access', "Authorization: Bearer $token"),
          { 200 => 10, 404 => 40 }, '50 for 10 texts, with a token');
is(now($few)->{accessCount}, 10, 'ten were counted');

$few = text(maxAccessCount => 10);
is_deeply(race(50, { json => '{"password":null}' },
               "/api/sends/access/$few->{accessId}"),
          { 200 => 10, 404 => 40 }, '50 for 10 texts, by id');
is(now($few)->{accessCount}, 10, 'ten were counted');

$few = file('bytes', maxAccessCount => 10);
$token = token($few);

is_deeply(race(50, {}, "/api/sends/access/file/$few->{file}{id}",
               "Authorization: Bearer $token"),
          { 200 => 10, 404 => 40 }, '50 for 10 files');
is(now($few)->{accessCount}, 10, 'ten were counted');

my $many = text();
$token = token($many);
is_deeply(race(50, {}, '/api/sends/access', "Authorization: Bearer $token"),
          { 200 => 50 }, 'without a maximum all get it');
is(now($many)->{accessCount}, 50, 'and none is lost');

# Its owner edits it meanwhile, and in the end deletes it.

{
    my $busy = file('bytes', maxAccessCount => 1000);
    my $token = token($busy);
    my @me = ('Authorization: Bearer ' . user('alice')->{token},
              'Content-Type: application/json');
    my $edit = VaultHttp::message('PUT', "/api/sends/$busy->{id}", \@me,
        json_text(body(type => 1, text => undef, maxAccessCount => 1000)));
    my $get = post("/api/sends/access/file/$busy->{file}{id}", undef,
                   "Authorization: Bearer $token");

    is_deeply(at_once(map { ($get, $get, $get, $edit) } 1 .. 10),
              { 200 => 40 }, '30 accesses and 10 edits at once');
    is(now($busy)->{accessCount}, 30, 'no access is lost');

    my $status = at_once(($get) x 10, VaultHttp::message('DELETE',
        "/api/sends/$busy->{id}", \@me), ($get) x 10);
    is(($status->{200} // 0) + ($status->{404} // 0), 21,
       'accesses while it is deleted are answered or not found')
        || diag(json_text($status));
    is(with_token($token, '')->{status}, 404, 'then it is gone');
}


# Guesses are counted, for a Send and for an address.

my $strict = vault_server(name => 'strict');

sub guess {
    my ($send, $password) = @_;

    return call($strict, 'POST', '/identity/connect/token', form => [
        client_id => 'send', grant_type => 'send_access',
        scope => 'api.send.access', send_id => $send->{accessId},
        password_hash_b64 => $password ])->{status};
}

my @locked = map { text(password => $secret) } 1 .. 6;

is_deeply([map { guess($locked[0], "wrong $_") } 1 .. 20], [(400) x 20],
          '20 guesses');
is(guess($locked[0], 'wrong'), 429, 'are enough');
is(guess($locked[0], $secret), 429, 'for the right one as well');
is(call($strict, 'POST', "/api/sends/access/$locked[0]{accessId}",
        json => { password => $secret })->{status}, 429, 'in each way');
is_deeply([map { guess($locked[1], $secret) } 1 .. 30], [(200) x 30],
          'right ones are not counted');

my @statuses = map { my $n = $_; map { guess($locked[$n], "wrong $_") }
                                     1 .. 20 } 1 .. 4;
is_deeply(\@statuses, [(400) x 80], '100 of an address');
is(guess($locked[5], 'wrong'), 429, 'are enough');
is(call($strict, 'POST', "/api/sends/access/$many->{accessId}", json => {})
   ->{status}, 200, 'who needs no password is not asked how often');
is_deeply([$strict->stop], [], 'that server is well');

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');
