# A bucket as the store: what is asked of it and how it is signed, what happens
# when it fails, and links for clients, through nginx and past it.

use strict;
use warnings;

use lib 't/lib';

use Digest::SHA qw(sha1_hex);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(uuid);
use VaultHttp;
use VaultPeer;
use VaultServer qw(vault_server call folder_of);
use VaultTest 'debug';

my $KEY = 'AKIAIOSFODNN7EXAMPLE';
my $SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

my ($OK, $MISSING, $ERROR) = (0, -5, -1);   # NGX_OK, _DECLINED, _ERROR

my $dir = folder_of();
my $tls = "$dir/tls";
my $servers = 0;
my $tested;             # the server whose configuration is read

delete @ENV{grep { /^AWS_/ } keys %ENV};

system("conf/tls '$tls' > /dev/null") == 0 or die "no certificate\n";

my $peer = VaultPeer->new('s3.py', "$tls/server.pem", "$tls/server.key");


sub server_with {
    my ($options, %arg) = @_;

    my $env = delete $arg{env} // {
        AWS_ACCESS_KEY_ID => $KEY, AWS_SECRET_ACCESS_KEY => $SECRET };
    my $url = $arg{url} // 'https://localhost:' . $peer->port;
    my $vault = $arg{vault} // '';
    delete @arg{'url', 'vault'};

    return vault_server(
        name  => 's3-' . $servers++,
        vault => "vault_files 's3://vault/pre/fix?endpoint=$url$options';\n"
                 . $vault,
        env   => { HOME => "$dir/nobody", AWS_CA_BUNDLE => "$tls/ca.pem",
                   %$env },
        %arg,
    );
}


sub ends_clean {
    my ($server) = @_;

    # a job may be about to end
    my $end = time + 5 * $VaultNginx::SLOW;
    sleep 0.1 while VaultServer::status($server)->{coroutines} && time < $end;

    is(VaultServer::status($server)->{coroutines}, 0, 'nobody is left');
    is_deeply([$server->stop], [], 'nginx ended without a complaint');

    my $log = $server->log_text;
    unlike($log, qr/\Q$_\E/, 'no secret in the log')
        for $SECRET, 'Signature=', 'secret-', 'token/';
}


sub put {
    my ($server, $name, $bytes, $query) = @_;

    return call($server, 'PUT', "/api/debug/files/$name" . ($query // ''),
                body => $bytes, timeout => 30)->{status};
}


sub head {
    my ($server, $name) = @_;

    my $json = call($server, 'GET', "/api/debug/files/$name")->{json};
    return $json->{rc} == $OK ? $json->{size} : "rc $json->{rc}";
}


sub remove {
    my ($server, @names) = @_;

    my $json = call($server, 'POST', '/api/debug/files/delete',
                    json => { ids => \@names })->{json};
    return @{$json->{gone}};
}


sub link_of {
    my ($server, $op, $name, $n) = @_;

    return call($server, 'GET', "/api/debug/files/$name/link?op=$op&n="
                . ($n // 1))->{json};
}


sub asked { return @{$peer->state->{log}} }
sub objects { return $peer->state->{objects} }
sub fails { $peer->set(clear => \1, fail => [@_]) }

sub bytes {
    my ($n) = @_;

    return substr join('', map { sha1_hex($_) } 0 .. $n / 40), 0, $n;
}


sub lines {
    my ($server, $from) = @_;

    return grep { /\[error\].* s3: / } split /\n/, $server->log_text($from);
}


# Requests as they are when all is well

sub test_requests {
    my $server = server_with('&storage_class=INTELLIGENT_TIERING&sse=aws:kms'
                             . '&kms_key=alias/vault');
    my $name = uuid('one');
    my $bytes = bytes(3_000_000);

    is(put($server, $name, $bytes), 200, 'stored');
    is(objects()->{"pre/fix/$name"}, 3_000_000, '  under its prefix, whole');

    my ($put) = asked();
    is($put->{op}, 'PUT', '  by one PUT');
    ok($put->{tls}, '  over TLS');
    is($put->{by}, 'header', '  signed in its headers');
    is($put->{headers}{'x-amz-content-sha256'}, 'UNSIGNED-PAYLOAD',
       '  but for its body');
    is($put->{headers}{'content-length'}, 3_000_000, '  of known length');
    is($put->{headers}{'transfer-encoding'}, undef, '  not in chunks');
    is($put->{headers}{'x-amz-storage-class'}, 'INTELLIGENT_TIERING',
       '  in its class');
    is($put->{headers}{'x-amz-server-side-encryption'}, 'aws:kms',
       '  encrypted there');
    is($put->{headers}{'x-amz-server-side-encryption-aws-kms-key-id'},
       'alias/vault', '  with this key');

    is(head($server, $name), 3_000_000, 'its size is found');
    is(head($server, uuid('none')), "rc $MISSING", 'nothing where nothing is');

    is(put($server, $name, $bytes, '?skip=2999990'), 200, 'the end of a body');
    is(head($server, $name), 10, '  replaces what was there');

    is(put($server, uuid('empty'), 'xyz', '?skip=3'), 200, 'nothing at all');
    is(head($server, uuid('empty')), 0, '  is an object too');

    is_deeply([remove($server, $name, uuid('none'))], [$name, uuid('none')],
              'deleted, or not there: both are gone');
    is(head($server, $name), "rc $MISSING", '  certainly');

    my %connection = map { $_->{connection} => 1 } asked();
    cmp_ok(keys %connection, '<=', 2, 'connections are kept');

    is_deeply([lines($server)], [], 'nothing to complain about');
    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


# A fault that goes away, and one that stays

sub survives {
    my ($server, $op, $kind, $do) = @_;

    fails({ op => $op, kind => $kind });
    ok($do->(), "$op survives $kind");

    my @tries = grep { $_->{op} eq $op } asked();
    is(@tries, 2, '  by a second try');
    is_deeply([lines($server)], [], '  and not a word of it');
}


sub gives_up {
    my ($server, $op, $kind, $tries, $why, $do) = @_;

    my $from = $server->log_size;

    fails({ op => $op, kind => $kind, times => 99 });
    ok($do->(), "$op fails by $kind");

    # a kept connection that breaks is not a try
    my @tries = grep { $_->{op} eq $op } asked();
    cmp_ok(@tries, '>=', $tries, "  after $tries tries");
    cmp_ok(@tries, '<=', $kind eq 'reset' ? 2 * $tries : $tries, '  not more');

    my @lines = lines($server, $from);
    is(@lines, 1, '  which is said once');
    like($lines[0], $why, '  with its reason');
}


sub test_faults {
    my $server = server_with('');
    my $name = uuid('faults');
    my $bytes = bytes(200_000);

    my %do = (
        PUT     => sub { put($server, $name, $bytes) == 200 },
        HEAD    => sub { head($server, $name) eq 200_000 },
        DELETES => sub { remove($server, $name) == 1 },
    );

    for my $kind (qw(500 503 SlowDown reset close lost garbage short)) {
        survives($server, $_, $kind, $do{$_}) for qw(PUT HEAD DELETES);
        $do{PUT}->();
    }

    survives($server, 'PUT', 'reset-mid', $do{PUT});
    survives($server, 'DELETES', 'reset-mid', $do{DELETES});
    $do{PUT}->();

    my %fails = (
        PUT     => sub { put($server, $name, $bytes) == 503 },
        HEAD    => sub { head($server, $name) eq "rc $ERROR" },
        DELETES => sub { remove($server, $name) == 0 },
    );

    for my $op (qw(PUT HEAD DELETES)) {
        gives_up($server, $op, 'SlowDown', 3, $op eq 'HEAD' ? qr/503/
                 : qr/503 SlowDown "Please reduce/, $fails{$op});
        gives_up($server, $op, 'reset', 3, qr/failed 3 times: \w/,
                 $fails{$op});
        gives_up($server, $op, 'garbage', 3, qr/failed 3 times: \w/,
                 $fails{$op});
        gives_up($server, $op, 'redirect', 1, qr/307 .* another region/,
                 $fails{$op});
        gives_up($server, $op, '403', 1, $op eq 'HEAD' ? qr/s3:ListBucket/
                 : qr/403 AccessDenied "Access Denied", request "REQ\d+"/,
                 $fails{$op});
    }

    gives_up($server, $_, '404', 1, qr/404 NoSuchBucket/, $fails{$_})
        for qw(PUT DELETES);

    fails();
    is(head($server, $name), 200_000, 'what was there is there');
    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


# A store that takes its time: the client's deadline counts.

sub test_slow {
    my $server = server_with('', vault => 'vault_request_timeout 2s;');
    my $name = uuid('slow');

    fails({ op => 'PUT', kind => 'slow', seconds => 1 });
    is(put($server, $name, 'x'), 200, 'a slow answer is waited for');
    fails({ op => 'PUT', kind => 'slow', seconds => 3 });
    is(put($server, $name, bytes(1_500_000)), 200,
       'and for longer, the more there is to send');

    for my $kind (qw(silent stall)) {
        fails({ op => 'PUT', kind => $kind, times => 9 });
        my $start = time;
        is(put($server, $name, bytes(200_000)), 503, "$kind: 503");
        cmp_ok(time - $start, '<', 4, '  in time') if $VaultNginx::SLOW == 1;
    }

    # Clients that leave while the store is asked

    fails({ op => '*', kind => 'silent', times => 9 });

    my @socks = map { VaultHttp::open_socket($server->port) } 1 .. 5;
    for my $sock (@socks) {
        print $sock "GET /api/debug/files/$name HTTP/1.1\r\nHost: x\r\n\r\n";
        $sock->flush;
    }

    sleep 0.3;
    close $_ for @socks;
    sleep 0.3;
    fails();

    is(head($server, $name), 1_500_000, 'those who leave do no harm');
    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


sub test_unreachable {
    my $port = VaultNginx::free_port();
    my $server = server_with('', url => "https://127.0.0.1:$port");

    is(put($server, uuid('x'), 'x'), 503, 'nobody there');
    is(head($server, uuid('x')), "rc $ERROR", 'which HEAD does not fail by');
    is(remove($server, uuid('x')), 0, 'nothing is gone');
    my @lines = lines($server);
    is(@lines, 3, 'one line each');
    ends_clean($server);

    # A certificate of nobody we know

    $server = server_with('', env => {
        AWS_ACCESS_KEY_ID => $KEY, AWS_SECRET_ACCESS_KEY => $SECRET,
        AWS_CA_BUNDLE => '/etc/ssl/certs/ca-certificates.crt' });
    is(put($server, uuid('x'), 'x'), 503, 'an unknown authority');
    is(scalar asked(), 0, 'is told nothing');
    like(join('', lines($server)), qr/certificate/, 'and the log says so');
    ends_clean($server);
}


# Credentials end while they are used; and there are none at all.

sub test_credentials {
    my $aws = VaultPeer->new('aws.py');
    my $server = server_with('', env => {
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container') });
    my $name = uuid('credentials');
    my $n = 1;

    is(put($server, $name, 'x'), 200, 'temporary keys');
    is((asked())[0]{access_key}, 'AKID1', '  are those of the container');

    for my $do (sub { put($server, $name, 'xy') == 200 },
                sub { head($server, $name) eq 2 },
                sub { remove($server, $name) == 1 })
    {
        $peer->set(expired => $n++, clear => \1);
        ok($do->(), 'keys that have expired are asked for anew');
        is_deeply([map { $_->{access_key} // 'refused' } asked()],
                  ['refused', "AKID$n"], '  at once');
    }

    is($aws->state->{container}, $n, 'each was asked for once');

    $aws->set(fail => 500);
    $peer->set(expired => 99, clear => \1);
    is(put($server, $name, 'x'), 503, 'no others to be had');
    is(scalar asked(), 1, '  is no reason to try the same');
    like((lines($server))[0], qr/400 ExpiredToken/, '  and is logged');
    $peer->set(expired => 0);
    ends_clean($server);

    $server = server_with('', env => { AWS_EC2_METADATA_DISABLED => 'true' });
    is(put($server, $name, 'x'), 503, 'no keys at all');
    is(head($server, $name), "rc $ERROR", 'HEAD says so');
    is(remove($server, $name), 0, 'nothing is gone');
    is(call($server, 'GET', "/api/debug/files/$name/link?op=get&n=1")
       ->{status}, 503, 'no link');
    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


sub test_clock {
    my $server = server_with('');
    my $name = uuid('clock');

    put($server, $name, 'x');

    for my $skew (3600, -7200) {
        $peer->set(skew => $skew, clear => \1);
        is(put($server, $name, 'xyz'), 200, "a clock that is $skew s off");
        is(scalar asked(), 2, '  is corrected by the first answer');
        is(head($server, $name), 3, '  and stays so');
        is(scalar asked(), 3, '  for all');
    }

    $peer->set(skew => 0, clear => \1);
    is(head($server, $name), 1 * 3, 'HEAD learns it from 403 alone');
    is(scalar asked(), 2, '  at once');

    fails({ op => 'PUT', kind => 'RequestTimeTooSkewed', times => 9 });
    is(put($server, $name, 'x'), 503, 'a clock that is right');
    is(scalar asked(), 1, '  is not corrected');
    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


sub test_delete {
    my $server = server_with('');
    my @names = map { uuid("delete $_") } 1 .. 2500;

    put($server, $_, 'x') for @names[0, 999, 1000, 2499];
    $peer->set(clear => \1);

    my $start = time;
    is_deeply([remove($server, @names)], \@names, 'more than fit in one batch');
    note sprintf '%.0f ms', 1000 * (time - $start);

    is_deeply([map { scalar @{$_->{keys}} } asked()], [1000, 1000, 500],
              'three batches');
    is_deeply(objects(), {}, 'all are gone');
    like((asked())[0]{headers}{'content-md5'}, qr/^[\w+\/]{22}==$/,
         'each with a checksum');

    fails({ op => 'DELETES', kind => 'keys', skip => 1 });
    is_deeply([remove($server, @names)], [@names[0 .. 999, 2000 .. 2499]],
              'keys that fail are not gone');
    like((lines($server))[0], qr/1000 of 1000 objects .* InternalError/,
         'which is logged');

    fails({ op => 'DELETES', kind => '403', skip => 1 });
    is_deeply([remove($server, @names)], [@names[0 .. 999]],
              'a batch that fails ends it');
    is(scalar asked(), 2, 'the rest comes another time');

    ends_clean($server);
    $peer->set(clear => \1);
}


# Links past our server

sub curl {
    my (@arguments) = @_;

    open my $out, '-|', 'curl', '-sS', '-i', '--cacert', "$tls/ca.pem",
        '--noproxy', '*', @arguments or die "curl: $!\n";
    local $/;
    my $text = <$out> // '';
    close $out;

    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($status) = ($head // '') =~ m{^HTTP/\S+ (\d+)};
    return { status => $status, head => $head, body => $body };
}


sub test_get_link {
    my $server = server_with('');
    my $name = uuid('link');
    my $bytes = bytes(100_000);

    put($server, $name, $bytes);
    $peer->set(clear => \1);

    my $made = link_of($server, 'get', $name, 1000);
    is(scalar asked(), 0, 'a link is made without a question');
    note "$made->{ns} ns";
    cmp_ok($made->{ns}, '<', 50_000, '  in less than 50 us')
        if $VaultNginx::SLOW == 1 && $VaultNginx::FLAVOUR ne 'asan';

    my $port = $peer->port;
    like($made->{url}, qr{^https://localhost:$port/vault/pre/fix/$name\?},
         'it leads to the bucket');
    like($made->{url}, qr/X-Amz-Expires=300\b/, '  for five minutes');

    my $answer = curl($made->{url});
    is($answer->{status}, 200, 'whoever has it');
    is(sha1_hex($answer->{body}), sha1_hex($bytes), '  gets the file');
    like($answer->{head}, qr/^content-disposition: attachment\r$/mi,
         '  to be saved');
    like($answer->{head}, qr{^content-type: application/octet-stream\r$}mi,
         '  as bytes');
    like($answer->{head}, qr/^cache-control: no-store\r?$/mi, '  not kept');

    $answer = curl('-r', '10-19', $made->{url});
    is($answer->{status}, 206, 'a part of it');
    is($answer->{body}, substr($bytes, 10, 10), '  the right one');

    for my $change (sub { s/Expires=300/Expires=301/ },
                    sub { s/\Q$name\E/uuid('other')/e },
                    sub { s/attachment/inline/ },
                    sub { s/Signature=./Signature=/ })
    {
        local $_ = $made->{url};
        $change->();
        is(curl($_)->{status}, 403, 'an altered link is refused');
    }

    is(curl('-X', 'PUT', '-d', 'x', $made->{url})->{status}, 403,
       'and so is another method');

    $peer->set(skew => 301);
    is(curl($made->{url})->{status}, 403, 'and a link that is too old');
    $peer->set(skew => 0);

    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


# Links through our server: conf/bucket.conf

sub bucket_conf {
    my $conf = VaultNginx::read_file("$VaultNginx::ROOT/conf/bucket.conf");

    $conf =~ s{/etc/ssl/certs/ca-certificates\.crt}{$tls/ca.pem}
        or die "no CA in bucket.conf\n";
    return $conf;
}


# nginx knows what it has looked up for another location.

sub known_host {
    my $port = $peer->port;

    return "location = /known { internal;\n"
           . "proxy_pass https://localhost:$port; }\n";
}


sub upload {
    my ($server, $method, $path, $body, @headers) = @_;

    return VaultHttp::request(
        $server->port, $method, $path,
        ['x-ms-date: Sun, 22 Nov 2026 03:00:00 GMT',
         'x-ms-version: 2021-08-06', 'x-ms-blob-type: BlockBlob', @headers],
        $body, timeout => 20);
}


sub test_put_link {
    my $server = server_with(
        '&storage_class=STANDARD_IA',
        vault => 'vault_file_max 2m;',
        server => bucket_conf() . known_host());
    my $name = uuid('put');

    my $made = link_of($server, 'put', $name, 1000);
    note "$made->{ns} ns";
    cmp_ok($made->{ns}, '<', 50_000, 'made in less than 50 us')
        if $VaultNginx::SLOW == 1 && $VaultNginx::FLAVOUR ne 'asan';

    my ($path) = $made->{url}
                 =~ m{^\Q$VaultServer::ORIGIN\E(/bucket/vault/pre/fix/.*)$};
    ok($path, 'a link under our own name');
    like($path, qr/[?&]sv=2021-08-06&/, '  says what Azure says');
    like($path, qr/&X-Amz-SignedHeaders=host&/, '  signs Host alone');
    is(scalar asked(), 0, '  made without a question');

    my $bytes = bytes(1_500_000);
    my $answer = upload($server, 'PUT', $path, $bytes, 'Cookie: a=b',
                        'Authorization: Bearer x', 'x-amz-acl: public-read',
                        'Origin: bw-desktop-file://bundle');
    is($answer->{status}, 201, 'a PUT there is answered with 201');
    is(VaultHttp::header($answer, 'access-control-allow-origin'),
       'bw-desktop-file://bundle', '  the desktop application may read it');
    is(VaultHttp::header($answer, 'x-amz-request-id'), undef,
       '  nothing of Amazon in it');
    is(objects()->{"pre/fix/$name"}, 1_500_000, '  the file is there');
    is($peer->state->{meta}{"pre/fix/$name"}{'x-amz-storage-class'},
       'STANDARD_IA', '  in its class');

    my ($put) = asked();
    ok($put->{tls}, '  over TLS');
    is($put->{by}, 'query', '  by the link alone');
    is_deeply([grep { /^(?:cookie|authorization|x-)/ }
               keys %{$put->{headers}}], [],
              '  without headers of the client');

    $peer->set(clear => \1);
    my $other = $path =~ s/\Q$name\E/uuid('other')/er;
    my @refused = (
        [404, 'PUT', '/bucket/vault/pre/fix/', 'no name'],
        [404, 'PUT', "/bucket/vault/pre/fix/$name", 'no signature'],
        [404, 'PUT', "/bucket/vault/pre/fix/../$name?x", 'dots'],
        [404, 'PUT', "/bucket/other/pre/fix/$name?x", 'another bucket'],
        [404, 'PUT', "//bucket/vault/pre/fix/$name?x", 'another spelling'],
        [404, 'PUT', '/bucket/', 'nothing'],
        [405, 'GET', $path, 'another method'],
        [405, 'DELETE', $path, 'yet another'],
    );

    is(upload($server, @$_[1, 2], 'x')->{status}, $_->[0], $_->[3])
        for @refused;
    is(upload($server, 'PUT', $path, "1\r\nx\r\n0\r\n\r\n",
              'Transfer-Encoding: chunked')->{status}, 411, 'no length');
    is(upload($server, 'PUT', $path, bytes(2 * 1024 * 1024 + 1))->{status},
       413, 'too large');
    is(scalar asked(), 0, '  of all which the bucket hears nothing');

    is(upload($server, 'PUT', $other, 'x')->{status}, 403,
       'a link for one file does not do for another');
    is(upload($server, 'PUT', "$path&comp=block", 'x')->{status}, 403,
       'nor one with more to it');

    $answer = upload($server, 'OPTIONS', $path, undef,
                     'Origin: bw-desktop-file://bundle',
                     'Access-Control-Request-Method: PUT',
                     'Access-Control-Request-Headers: x-ms-blob-type');
    is($answer->{status}, 204, 'a preflight');
    like(VaultHttp::header($answer, 'access-control-allow-methods'), qr/PUT/,
         '  lets PUT through');
    is(VaultHttp::header($answer, 'access-control-allow-headers'),
       'x-ms-blob-type', '  and its headers');
    is(VaultHttp::header($answer, 'access-control-allow-origin'),
       'bw-desktop-file://bundle', '  from there');
    is(upload($server, 'OPTIONS', $path, undef, 'Origin: https://evil.example',
              'Access-Control-Request-Method: PUT')->{status}, 405,
       'nobody else may');

    fails({ op => 'PUT', kind => 'reset' });
    is(upload($server, 'PUT', $path, 'x')->{status}, 502, 'the bucket resets');
    fails({ op => 'PUT', kind => '503' });
    is(upload($server, 'PUT', $path, 'x')->{status}, 503, 'or is busy');

    my $access = VaultNginx::read_file($server->root . '/logs/access.log');
    like($access, qr{"PUT /bucket/vault/pre/fix/$name" 201}, 'logged');
    unlike($access, qr/Signature/, '  without its query');

    $server->expect_log(qr/reset by peer/);
    ends_clean($server);
    $peer->set(wipe => \1, clear => \1);
}


# Other stores: plain HTTP on this machine, addresses

sub test_plain {
    my $plain = VaultPeer->new('s3.py');
    my $name = uuid('plain');

    my $server = server_with('&region=garage', url => $plain->url);
    $plain->set(region => 'garage');

    is(put($server, $name, bytes(300_000)), 200, 'a store without TLS');
    is(head($server, $name), 300_000, '  has it');
    is($plain->state->{log}[0]{tls}, JSON::PP::false(), '  in the clear');
    like(link_of($server, 'get', $name)->{url},
         qr{^http://127\.0\.0\.1:\d+/vault/pre/fix/$name\?}, '  a link to it');
    ends_clean($server);
}


sub nginx_test {
    my ($url, $more, $location) = @_;

    my ($http, $server) = VaultServer::vault_conf("vault_files '$url';\n"
                                                  . ($more // ''));
    my $nginx = $tested //= VaultNginx->new(name => 's3-conf');

    $nginx->{http} = $http;
    $nginx->{server} = $server . ($location // '');

    VaultNginx::write_file($nginx->root . '/nginx.conf', $nginx->conf_text);

    local %ENV = (%ENV, VaultNginx::environment($nginx->root));
    my $root = $nginx->root;
    return `nginx -t -p '$root' -c '$root/nginx.conf' -e stderr 2>&1`;
}


sub test_configuration {
    my @wrong = (
        ['s3://Vault', qr{"Vault" is not the name of a bucket}],
        ['s3://vault?regoin=x', qr/unknown option "regoin"/],
        ['s3://vault?region=EU', qr/"EU" is not the name of a region/],
        ['s3://vault?endpoint=minio:9000',
         qr/the endpoint "minio:9000" does not begin/],
        ['s3://vault?storage_class=GLACIER', qr/what is stored as "GLACIER"/],
        ['s3://vault?sse=no', qr/sse is AES256/],
    );

    for my $case (@wrong) {
        my $text = nginx_test($case->[0]);
        like($text, qr/\[emerg\].* "vault_files": $case->[1]/, $case->[0]);
        like($text, qr/test failed/, '  is refused');
    }

    my $good = qr/test is successful/;
    my $text = nginx_test('s3://vault?region=eu-west-1');
    like($text, $good, 'a bucket of AWS');
    unlike($text, qr/\[warn\]/, '  without a word');
    like(nginx_test('s3://vault'), $good, 'whose region is not known yet');

    $text = nginx_test('s3://vault?endpoint=http://minio.example.com:9000');
    like($text, $good, 'a store without TLS elsewhere');
    like($text, qr/\[warn\].*without TLS/, '  is warned of');
    unlike(nginx_test('s3://vault?endpoint=http://127.0.0.1:9000'),
           qr/\[warn\]/, 'but not here');

    $text = nginx_test("file:$dir/files", '', bucket_conf());
    like($text, qr/"vault_bucket" needs "vault_files s3:/, 'no bucket');

    $text = nginx_test('s3://vault?region=eu-west-1', '', bucket_conf());
    like($text, $good, 'a location for links');
    like($text, qr/\[warn\].* "vault_bucket" without "resolver"/,
         '  that wants a resolver');
    unlike(nginx_test('s3://vault?region=eu-west-1',
                      'resolver 127.0.0.1;', bucket_conf()),
           qr/\[warn\]/, '  and nothing else');
}


# A region that only the instance knows

sub test_instance {
    my $aws = VaultPeer->new('aws.py');

    $aws->set(region => 'eu-west-3');
    my $server = vault_server(
        name => 'instance', vault => "vault_files 's3://vault';\n",
        env  => { HOME => "$dir/nobody",
                  AWS_EC2_METADATA_SERVICE_ENDPOINT => $aws->url });
    my $name = uuid('instance');

    like(link_of($server, 'get', $name)->{url},
         qr{^https://vault\.s3\.eu-west-3\.amazonaws\.com/$name\?.*
            Credential=AKID1%2F\d+%2Feu-west-3%2Fs3%2F}x,
         'is asked for it with the first link');
    ends_clean($server);

    $server = vault_server(
        name => 'nowhere', vault => "vault_files 's3://vault';\n",
        env  => { HOME => "$dir/nobody", AWS_ACCESS_KEY_ID => $KEY,
                  AWS_SECRET_ACCESS_KEY => $SECRET,
                  AWS_EC2_METADATA_DISABLED => 'true' });
    is(head($server, $name), "rc $ERROR", 'nobody knows it');
    is(put($server, $name, 'x'), 503, 'nothing can be stored');
    is(remove($server, $name), 0, 'nothing is gone');
    like((lines($server))[0], qr/add region=/, 'and the log says what to do');
    ends_clean($server);
}


test_requests();
test_faults();
test_slow();
test_unreachable();
test_credentials();
test_clock();
test_delete();
test_get_link();
test_put_link();
test_plain();
test_configuration();
test_instance();

done_testing();
