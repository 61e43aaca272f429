# The store that is a folder: links, uploads that go well and that do not, what
# is left of them, and downloads.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use File::Find ();
use IO::Select ();
use Test::More;
use Time::HiRes qw(time sleep);

use VaultFile qw(promise put_file attachments link_of path_of);
use VaultHttp;
use VaultServer qw(sql);
use VaultTest 'debug';

my $SLOW = $VaultNginx::SLOW;
my $ORIGIN = 'https://vault.example.com';

my $server = vault_server(
    vault => "vault_upload presigned;\nvault_jobs off;\nvault_file_max 2m;",
    http => 'client_body_timeout 1s; send_timeout 5s;', vault_temp => 1);
my $store = VaultServer::folder_of() . '/files';
my $item;


sub item {
    return call($server, 'POST', '/api/ciphers', as => 'alice',
                json => cipher())->{json}{id};
}


# Bytes that are no text, and differ

sub random_bytes {
    my ($size, $seed) = @_;

    my $block = join '', map { pack 'N', $_ * 2654435761 % 2**32 } 1 .. 4096;
    return substr(($seed // 'x') . $block x (1 + $size / length $block), 0,
                  $size);
}


sub files_below {
    my ($folder) = @_;

    my @found;
    File::Find::find(sub { push @found, $File::Find::name if -f }, $folder)
        if -d $folder;
    @found = sort @found;
    return @found;
}

sub temp_files { return files_below("$store/tmp") }

sub path_in_store {
    my ($id) = @_;
    return "$store/" . substr($id, 0, 2) . "/$id";
}

sub state_of { return sql("SELECT state FROM files WHERE id = '$_[0]'") + 0 }


sub until_true {
    my ($check) = @_;

    for (1 .. 250 * $SLOW) {
        return 1 if $check->();
        sleep 0.02;
    }

    return 0;
}


sub refused {
    my ($name, $answer, $status, $message) = @_;

    is($answer->{status} // $answer->{error}, $status, $name);
    api_error_like($answer->{body}, $message // '', '  in the API\'s shape');
}


# The form that older clients send a file by

sub send_form {
    my ($bytes) = @_;

    my $name = enc('file');
    return call($server, 'POST', "/api/ciphers/$item/attachment",
                as => 'alice',
                headers => ['Content-Type: multipart/form-data; boundary=x'],
                body => "--x\r\nContent-Disposition: form-data; name=\"data\";"
                        . " filename=\"$name\"\r\n\r\n$bytes\r\n--x--\r\n");
}


# Nothing of a file is seen, and nothing lies about.

sub nothing_of {
    my ($name, $file) = @_;

    ok(until_true(sub { !temp_files() }), "$name: no temporary file")
        or diag join "\n", temp_files();
    ok(!-e path_in_store($file->{id}), "$name: no object");
    is_deeply([grep { $_->{id} eq $file->{id} }
               @{attachments($server, 'alice', $item)}], [],
              "$name: nobody sees it");
}


# Sends the beginning of a request, and gives what comes back without the rest.

sub early {
    my ($port, $text) = @_;

    my $sock = VaultHttp::open_socket($port) or die "connect: $!";
    syswrite $sock, $text;

    my $buffer = '';
    my $answer = VaultHttp::read_answer($sock, \$buffer, 'PUT',
                                        time + 5 * $SLOW);
    return ($answer, $sock);
}


sub head_of {
    my ($method, $path, @headers) = @_;

    return join("\r\n", "$method $path HTTP/1.1", 'Host: localhost', @headers)
           . "\r\n\r\n";
}


# The key that links are signed with, as crypto/keyring.c derives it

sub sign {
    my ($id, %part) = @_;

    my $pem = VaultServer::folder_of() . '/jwt.pem';
    my $text = `openssl rsa -in $pem -noout -text 2>/dev/null`;
    my ($hex) = $text =~ /privateExponent:\s*([0-9a-f:\s]+)/
        or die "no private key\n";
    $hex =~ s/[:\s]//g;
    $hex =~ s/^(?:00)+//;

    my $key = hmac_sha256(pack('H*', $hex), 'vault keyring mac 1');
    my $sig = hmac_sha256_hex("file\n$part{op}\n$id\n$part{size}\n"
                              . $part{exp}, $key);

    return "/files/$id?op=$part{op}&size=$part{size}&exp=$part{exp}&sig=$sig";
}


$item = item();


# An upload that goes well

my $bytes = random_bytes(1_000_000);
my $file = promise($server, 'alice', $item, length $bytes);

is($file->{type}, 1, 'a file is sent by PUT');
like($file->{url}, qr{^\Q$ORIGIN\E/files/$file->{id}\?}, 'to this server');
like($file->{url}, qr/[?&]sv=2021-08-06/, 'with the version clients copy');
is(state_of($file->{id}), 0, 'and is a promise until then');

my $answer = put_file($server, $file->{path}, $bytes);
is($answer->{status}, 201, '201, which clients insist on');
is($answer->{body}, '', 'and nothing else');

my $object = path_in_store($file->{id});
is(-s $object, length $bytes, 'the object is in the store');
is((stat $object)[2] & 07777, 0600, 'for the workers alone');
is((stat "$store/" . substr $file->{id}, 0, 2)[2] & 07777, 0700,
   'as is its folder');
is(sha256_hex(VaultNginx::read_file($object)), sha256_hex($bytes),
   'whole');
ok(until_true(sub { !temp_files() }), 'and nothing else is');
is(state_of($file->{id}), 1, 'the promise is kept');
is(attachments($server, 'alice', $item)->[0]{id}, $file->{id},
   'and its owner sees it');

refused('a second PUT', put_file($server, $file->{path}, $bytes), 400,
        'This file has been uploaded already.');
is(-s $object, length $bytes, 'changes nothing');
ok(until_true(sub { !temp_files() }), 'leaves nothing');

my $upper = promise($server, 'alice', $item, 5);
is(put_file($server, $upper->{path} =~ s{/files/([^?]*)}{"/files/\U$1"}er,
            'bytes')->{status}, 201, 'a UUID in any case');


# Links that are not ours

my $other = promise($server, 'alice', $item, 5);
my $exp = int(time) + 200;

for my $case (
    ['a size that was altered',  sub { s/size=5/size=6/ }],
    ['a size with zeros',        sub { s/size=5/size=05/ }],
    ['a time that was altered',  sub { s/exp=(\d+)/"exp=" . ($1 + 1)/e }],
    ['another operation',        sub { s/op=put/op=get/ }],
    ['another file',             sub { s/$other->{id}/$file->{id}/ }],
    ['no signature',             sub { s/&sig=\w+// }],
    ['half a signature',         sub { s/(&sig=\w{32})\w+/$1/ }],
    ['another signature',
     sub { s/(&sig=)(.)/$1 . ($2 eq 'a' ? 'b' : 'a')/e }],
    ['an endless time',          sub { s/exp=\d+/"exp=" . 9 x 40/e }],
    ['nothing at all',           sub { s/\?.*// }, 'valid'])
{
    my ($name, $alter) = @$case;
    local $_ = $other->{path};
    $alter->();
    refused("PUT: $name", put_file($server, $_, 'bytes'), 400,
            'This link is not valid.');
}

my $path = sign($other->{id}, op => 'put', size => 5, exp => int(time) - 1);
refused('PUT: a link that has expired', put_file($server, $path, 'bytes'),
        400, 'This link has expired. Please try again.');
$path = sign($other->{id}, op => 'put', size => 5, exp => -5);
refused('PUT: a link from before all time',
        put_file($server, $path, 'bytes'), 400);
$path = sign($other->{id}, op => 'put', size => 5, exp => 'soon');
refused('PUT: a link until nobody knows',
        put_file($server, $path, 'bytes'), 400);

$path = sign(uuid('nobody'), op => 'put', size => 5, exp => $exp);
refused('PUT: a file that is no more', put_file($server, $path, 'bytes'),
        404, 'Resource not found.');

$path = sign($other->{id}, op => 'put', size => 5, exp => $exp);
is(put_file($server, $path, 'bytes')->{status}, 201,
   'while one made like these is ours');


# Sizes

$file = promise($server, 'alice', $item, 1000);

for my $length (999, 1001, 0) {
    refused("$length bytes instead of 1000",
            put_file($server, $file->{path}, 'x' x $length), 400,
            'The file does not have the size that was announced.');
}

refused('no length', VaultHttp::request($server->port, 'PUT', $file->{path},
                                        []), 411);
refused('chunks', VaultHttp::request(
    $server->port, 'PUT', $file->{path}, ['Transfer-Encoding: chunked'],
    "3e8\r\n" . 'x' x 1000 . "\r\n0\r\n\r\n"), 411,
    'The request must announce its length.');
nothing_of('a file of another size', $file);

# A promise and its link may differ only by somebody who holds the key.
$path = sign($file->{id}, op => 'put', size => 7, exp => $exp);
refused('a size that was not promised', put_file($server, $path, '7 bytes'),
        400, 'The file has 7 bytes, but 1000 were announced.');
nothing_of('such a file', $file);
is(state_of($file->{id}), 2, 'and the promise is void');

$answer = call($server, 'POST', "/api/ciphers/$item/attachment/v2",
               as => 'alice',
               json => { key => enc('k'), fileName => enc('f'),
                         fileSize => 2 * 1024 * 1024 + 1 });
refused('more than vault_file_max', $answer, 400,
        'The file is too large. This server takes at most 2 MB.');


# Refused before the body is read

my $alice = user('alice')->{token};
my $form = 'Content-Type: multipart/form-data; boundary=x';
my $huge = 'Content-Length: ' . (2 * 1024 * 1024 + 64 * 1024 + 1);

$file = promise($server, 'alice', $item, 1000);

for my $case (
    ['a form that is too large', 413, 'POST', "/api/ciphers/$item/attachment",
     "Authorization: Bearer $alice", $form, $huge],
    ['a PUT that is too large', 413, 'PUT', $file->{path}, $huge],
    ['a PUT of another size', 400, 'PUT', $file->{path},
     'Content-Length: 1001'],
    ['an item that is too large', 413, 'POST', '/api/ciphers',
     "Authorization: Bearer $alice", 'Content-Length: 1048577'],
    ['a stranger\'s file', 401, 'POST', "/api/ciphers/$item/attachment",
     $form, 'Content-Length: 1000000'],
    ['a stranger\'s item', 401, 'POST', '/api/ciphers',
     'Content-Length: 1000000'],
    ['a stranger\'s chunks', 401, 'POST', '/api/ciphers',
     'Transfer-Encoding: chunked'],
    ['a forger\'s item', 401, 'POST', '/api/ciphers',
     "Authorization: Bearer $alice" . 'x', 'Content-Length: 1000000'])
{
    my ($name, $status, $method, $where, @headers) = @$case;

    for my $expect ([], ['Expect: 100-continue']) {
        my ($early, $sock) = early($server->port,
                                   head_of($method, $where, @headers,
                                           @$expect));
        refused("$name, by its header alone", $early, $status);
        close $sock;
    }
}

ok(until_true(sub { !temp_files() }), 'nothing of them is kept');

my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
syswrite $sock, head_of('PUT', $file->{path}, 'Content-Length: 1000',
                        'Expect: 100-continue');
IO::Select->new($sock)->can_read(5 * $SLOW);
sysread $sock, my $line, 100;
like($line, qr{^HTTP/1.1 100 }, 'what is welcome is asked for');
close $sock;


# Uploads that stall or break off

sub half {
    my ($name, $request, $file) = @_;

    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    syswrite $sock, $request;
    ok(until_true(sub { temp_files() }), "$name: half of it is there");
    is((stat +(temp_files())[0])[2] & 07777, 0600, "$name: in private");
    return $sock;
}

my $size = 300_000;
$file = promise($server, 'alice', $item, $size);
my $request = head_of('PUT', $file->{path}, "Content-Length: $size")
            . random_bytes($size / 2);

$sock = half('stalled', $request, $file);
ok(IO::Select->new($sock)->can_read(10 * $SLOW), 'a stalled upload is ended');
nothing_of('stalled', $file);
is(state_of($file->{id}), 0, 'the promise may still be kept');

for my $how ('an end', 'a reset') {
    $sock = half($how, $request, $file);
    $how eq 'a reset' ? VaultHttp::reset($sock) : close $sock;
    nothing_of($how, $file);
}

# at each moment, the last byte's too
my $all = head_of('PUT', $file->{path}, "Content-Length: $size")
        . random_bytes($size);

for my $n (1 .. 20) {
    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    my $buffer = '';
    VaultHttp::send_text($sock, substr($all, 0, $n % 2 ? $size : length $all),
                         \$buffer, time + 5);
    sleep rand 0.01;
    VaultHttp::reset($sock);
}

stops_clean($server, 'clients that leave leave nothing behind');
ok(until_true(sub { !temp_files() }), 'nor temporary files');

my $state = state_of($file->{id});
my @seen = grep { $_->{id} eq $file->{id} }
           @{attachments($server, 'alice', $item)};
is(scalar @seen, $state, 'a file is seen if it is there as a whole');
is(-s path_in_store($file->{id}), $size, 'and it is whole') if $state == 1;


# Several of the same at once: one is stored

$file = promise($server, 'alice', $item, 200_000);
my @socks = map {
    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    my $buffer = '';
    VaultHttp::send_text($sock,
        head_of('PUT', $file->{path}, 'Content-Length: 200000')
        . random_bytes(199_999),
        \$buffer, time + 5);
    $sock;
} 1 .. 5;
syswrite $_, 'x' for @socks;

my %count;
for my $sock (@socks) {
    my $buffer = '';
    my $answer = VaultHttp::read_answer($sock, \$buffer, 'PUT',
                                        time + 10 * $SLOW);
    $count{$answer->{status} // $answer->{error}}++;
}

is_deeply(\%count, { 201 => 1, 400 => 4 }, 'of five at once one is stored');
ok(until_true(sub { !temp_files() }), 'and nothing is left of the others');


# Forms

$bytes = random_bytes(700_000, 'form');
$answer = send_form($bytes);
is($answer->{status}, 200, 'a form') or diag $answer->{body};
my ($formed) = grep { $_->{size} == length $bytes }
               @{attachments($server, 'alice', $item)};
is(sha256_hex(VaultNginx::read_file(path_in_store($formed->{id}))),
   sha256_hex($bytes), 'of which the file\'s part is stored');
is((stat path_in_store($formed->{id}))[2] & 07777, 0600, 'in private');
ok(until_true(sub { !temp_files() }), 'and nothing else');

for my $case (
    ['no parts', "--x--\r\n"],
    ['no end', "--x\r\nContent-Disposition: form-data; name=data;"
               . " filename=a\r\n\r\nbytes"],
    ['no boundary', 'bytes'],
    ['no headers', "--x\r\nbytes\r\n--x--"],
    ['too many parts',
     "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" x 9
     . '--x--'],
    ['names without an end',
     "--x\r\nContent-Disposition: form-data; name=\"" . 'n' x 5000
     . "\"\r\n\r\n\r\n--x--"])
{
    my ($name, $body) = @$case;
    refused("a form with $name",
            call($server, 'POST', "/api/ciphers/$item/attachment",
                 as => 'alice', headers => [$form], body => $body), 400);
}

refused('a form that is none',
        call($server, 'POST', "/api/ciphers/$item/attachment",
             as => 'alice', json => {}), 400,
        'The request must be multipart/form-data.');


# Downloads

sub get {
    my ($path, @headers) = @_;
    return VaultHttp::request($server->port, 'GET', $path, \@headers);
}

sub header_like {
    my ($answer, $name, $want) = @_;
    is(VaultHttp::header($answer, $name) // '', $want, "  $name: $want");
}

my $link = path_of(link_of($server, 'alice', $item, $formed->{id}));
my $length = length $bytes;

$answer = get($link);
is($answer->{status}, 200, 'a download');
is(sha256_hex($answer->{body}), sha256_hex($bytes), 'is what was uploaded');
header_like($answer, 'content-length', $length);
header_like($answer, 'content-type', 'application/octet-stream');
header_like($answer, 'content-disposition', 'attachment');
header_like($answer, 'x-content-type-options', 'nosniff');
header_like($answer, 'cache-control', 'no-store');
header_like($answer, 'accept-ranges', 'bytes');

$answer = VaultHttp::request($server->port, 'HEAD', $link, []);
is($answer->{status}, 200, 'HEAD');
header_like($answer, 'content-length', $length);
is($answer->{body}, '', '  without a body');

for my $case (['0-0', 0, 1], ['100-199', 100, 100],
              ['-10', $length - 10, 10],
              [($length - 5) . '-', $length - 5, 5],
              [($length - 5) . "-$length", $length - 5, 5])
{
    my ($range, $from, $size) = @$case;
    $answer = get($link, "Range: bytes=$range");
    is($answer->{status}, 206, "the bytes $range");
    ok($answer->{body} eq substr($bytes, $from, $size), '  are these');
    header_like($answer, 'content-range', sprintf('bytes %d-%d/%d', $from,
                                                  $from + $size - 1, $length));
}

$answer = get($link, "Range: bytes=$length-");
is($answer->{status}, 416, 'bytes behind the end');
header_like($answer, 'content-range', "bytes */$length");

$answer = get($link, 'Range: bytes=0-1,10-11');
is($answer->{status}, 206, 'two ranges');
like($answer->{body}, qr{Content-Range: bytes 10-11/$length}, 'in parts');

is(get($link, 'Range: bytes=0-1', 'If-Range: "x"')->{status}, 200,
   'a range of another version is the whole');

for my $alter (sub { s/op=get/op=put/ }, sub { s/size=/size=1/ },
               sub { s/exp=1/exp=2/ }, sub { s/(sig=.)/${1}0/ })
{
    local $_ = $link;
    $alter->();
    refused('GET: an altered link', get($_), 400, 'This link is not valid.');
}

$path = sign($formed->{id}, op => 'get', size => $length, exp => int(time));
refused('GET: a link that has expired', get($path), 400,
        'This link has expired. Please try again.');

$file = promise($server, 'alice', $item, 10);
$path = sign($file->{id}, op => 'get', size => 10, exp => $exp);
refused('GET: what is only promised', get($path), 404);
refused('GET: with a link to PUT', get($file->{path}), 400);

ok(unlink(path_in_store($formed->{id})), 'somebody deletes an object');
refused('GET: what is gone', get($link), 404, 'Resource not found.');

# a client that leaves in the middle of a download, or before it
$file = promise($server, 'alice', $item, 2_000_000);
put_file($server, $file->{path}, random_bytes(2_000_000));
$link = path_of(link_of($server, 'alice', $item, $file->{id}));

for (1 .. 20) {
    my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
    syswrite $sock, head_of('GET', $link);
    sleep rand 0.01;
    VaultHttp::reset($sock);
}

stops_clean($server, 'nothing is left of downloads that broke off');
my ($worker) = $server->workers;
ok(until_true(sub {
    !grep { (readlink // '') =~ m{^\Q$store\E/} } glob "/proc/$worker/fd/*"
}), 'no file stays open');


# Names that try to get out

for my $name ('..%2f..%2fjwt.pem', '%2e%2e', '..', 'tmp', 'tmp/0000000001',
              substr($file->{id}, 0, 2) . "/$file->{id}",
              "$file->{id}/..", "$file->{id}%00", "$file->{id}.1", '')
{
    my $query = $link =~ s/.*\?//r;
    $answer = get("/files/$name?$query");
    like($answer->{status}, qr/^(?:400|404|405)$/, "no file \"$name\"");
    unlike($answer->{body}, qr/PRIVATE KEY/, '  nor what is beside');
}

is(call($server, 'POST', $link)->{status}, 405, 'a file is not POSTed');
is(call($server, 'GET', '/files')->{status}, 404, 'files are not listed');


# Other origins

$answer = VaultHttp::request($server->port, 'OPTIONS', $file->{path}, [
    'Origin: bw-desktop-file://bundle', 'Access-Control-Request-Method: PUT',
    'Access-Control-Request-Headers: x-ms-blob-type,x-ms-date,x-ms-version']);
is($answer->{status}, 204, 'the desktop asks before');
like(VaultHttp::header($answer, 'access-control-allow-methods'), qr/\bPUT\b/,
     'and may PUT');
like(VaultHttp::header($answer, 'access-control-allow-headers'),
     qr/x-ms-blob-type,x-ms-date,x-ms-version/, 'with its headers');
is(VaultHttp::header($answer, 'access-control-allow-origin'),
   'bw-desktop-file://bundle', 'from its origin');

$answer = get($link, 'Origin: bw-desktop-file://bundle', 'Range: bytes=0-9');
is(VaultHttp::header($answer, 'access-control-allow-origin'),
   'bw-desktop-file://bundle', 'and reads what it gets');


# A worker that is killed in mid-upload

$file = promise($server, 'alice', $item, $size);
$request = head_of('PUT', $file->{path}, "Content-Length: $size")
         . random_bytes($size / 2);
$sock = half('killed', $request, $file);
my @halves = temp_files();

$server->expect_log(qr/exited on signal 9/);
kill KILL => $worker;
ok(until_true(sub {
    my ($new) = $server->workers;
    $new && $new != $worker
}), 'a worker is killed, and there is another');
is_deeply([temp_files()], \@halves, 'the half stays');

call($server, 'POST', '/api/debug/jobs?name=sweep');
is_deeply([temp_files()], \@halves, 'while it might be one that goes on');

utime time - 90000, time - 90000, @halves;
my $swept = until_true(sub {
    call($server, 'POST', '/api/debug/jobs?name=sweep');
    !temp_files()
});
ok($swept, 'and is swept later') or diag join "\n", temp_files();
nothing_of('killed', $file);
is(put_file($server, $file->{path}, random_bytes($size))->{status}, 201,
   'the link is good until it expires');

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');


# HTTP/2, and bodies on another file system than the store

$server = vault_server(name => 'other', listen => ' http2',
                       vault => "vault_jobs off;\nvault_file_max 2m;");

SKIP: {
    chomp(my $curl = `curl --version`);
    skip 'no curl', 3 if $curl !~ /HTTP2/;

    my $helper = VaultServer::helper();
    $bytes = random_bytes(500_000, 'h2');
    $file = promise($helper, 'alice', $item, length $bytes);
    my $name = VaultServer::folder_of() . '/bytes';
    VaultNginx::write_file($name, $bytes);

    my $http2 = 'curl -sS --http2-prior-knowledge';
    my $url = 'http://127.0.0.1:' . $server->port;
    my $said = `$http2 -o /dev/null -w '%{http_code} %{http_version}' \\
                -T $name '$url$file->{path}'`;
    is($said, '201 2', 'an upload by HTTP/2');
    ok(VaultNginx::read_file(path_in_store($file->{id})) eq $bytes,
       'is stored');

    $link = path_of(link_of($helper, 'alice', $item, $file->{id}));
    $said = `$http2 -r 5-9 '$url$link'`;
    is($said, substr($bytes, 5, 5), 'and had, in parts');
}

is_deeply([$server->stop], [], 'and nginx is well');


# A disk that is full

my $disk = VaultServer::folder_of() . '/disk';
mkdir $disk or die "$disk: $!\n";

SKIP: {
    skip 'only root mounts a small disk', 1
        if $> || system("mount -t tmpfs -o size=1m,mode=700 tmpfs $disk"
                        . ' 2>/dev/null') != 0;

    full_disk(0);
    full_disk(1);

    is(system("umount $disk"), 0, 'the disk is given back');
}

sub full_disk {
    my ($own_temp) = @_;

    my $what = $own_temp ? 'received on it' : 'copied to it';

    $server = vault_server(name => "full$own_temp", vault_temp => $own_temp,
        vault => "vault_files file:$disk/files;\nvault_upload presigned;\n"
               . "vault_jobs off;\nvault_file_max 4m;");
    $store = "$disk/files";

    my $small = promise($server, 'alice', $item, 100_000);
    is(put_file($server, $small->{path}, random_bytes(100_000))->{status},
       201, "$what: a file that has room");

    my $large = promise($server, 'alice', $item, 3_000_000);
    refused("$what: a file that has none",
            put_file($server, $large->{path}, random_bytes(3_000_000)), 503,
            'The server\'s disk is full.');
    nothing_of($what, $large);
    is(state_of($large->{id}), 0, "$what: the promise stays");

    refused("$what: nor has a form", send_form(random_bytes(2_000_000)), 503,
            'The server\'s disk is full.');
    ok(until_true(sub { !temp_files() }), "$what: nothing of it stays");

    # each has room by itself, but not all of them, which is known from the
    # start
    my @files = map { promise($server, 'alice', $item, 400_000) } 1 .. 4;
    my @socks = map {
        my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
        syswrite $sock, head_of('PUT', $_->{path}, 'Content-Length: 400000');
        $sock;
    } @files;
    sleep 0.3;

    my %count;
    for my $sock (@socks) {
        my $buffer = '';
        VaultHttp::send_text($sock, random_bytes(400_000), \$buffer,
                             time + 10);
        my $answer = VaultHttp::read_answer($sock, \$buffer, 'PUT',
                                            time + 10 * $SLOW);
        $count{$answer->{status} // $answer->{error}}++;
    }

    is_deeply(\%count, { 201 => 2, 503 => 2 }, "$what: two of four")
        or diag explain \%count;
    ok(until_true(sub { !temp_files() }), "$what: and nothing of the others");
    is(scalar(grep { -e path_in_store($_->{id}) } @files), 2,
       "$what: two objects");
    is(sql("SELECT count(*) FROM files WHERE state = 1 AND id IN ("
           . join(', ', map { "'$_->{id}'" } @files) . ')') + 0, 2,
       "$what: and two promises kept");

    stops_clean($server, "$what: nothing is left");
    is_deeply([$server->stop], [], "$what: and nginx is well");
    system("rm -r $disk/files");
}

done_testing();
