# Links to what is in a bucket, past our server and through it; attachments by
# all of it; what a configuration may say of a bucket.

use strict;
use warnings;

use lib 't/lib';

use Digest::SHA qw(sha1_hex);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(cipher uuid);
use VaultFile qw(promise put_file attachments);
use VaultHttp;
use VaultPeer;
use VaultServer qw(vault_server call folder_of);
use VaultS3;
use VaultTest 'debug';

my $tested;             # the server whose configuration is read


# Links past our server

sub curl {
    my (@arguments) = @_;

    open my $out, '-|', 'curl', '-sS', '-i', '--cacert', tls_dir() . '/ca.pem',
        '--noproxy', '*', @arguments or die "curl: $!\n";
    local $/;
    my $text = <$out> // '';
    close $out;

    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($status) = ($head // '') =~ m{^HTTP/\S+ (\d+)};
    return { status => $status, head => $head, body => $body };
}


sub test_get_link {
    my $server = s3_server('');
    my $name = uuid('link');
    my $bytes = bytes(100_000);

    put($server, $name, $bytes);
    peer()->set(clear => \1);

    my $made = link_of($server, 'get', $name, 1000);
    is(scalar asked(), 0, 'a link is made without a question');
    note "$made->{ns} ns";
    cmp_ok($made->{ns}, '<', 50_000, '  in less than 50 us')
        if $VaultNginx::SLOW == 1 && $VaultNginx::FLAVOUR ne 'asan';

    my $port = peer()->port;
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

    peer()->set(skew => 301);
    is(curl($made->{url})->{status}, 403, 'and a link that is too old');
    peer()->set(skew => 0);

    ends_clean($server);
    forget();
}


# Links through our server: conf/bucket.conf

sub bucket_conf {
    my $conf = VaultNginx::read_file("$VaultNginx::ROOT/conf/bucket.conf");

    $conf =~ s{/etc/ssl/certs/ca-certificates\.crt}{@{[tls_dir()]}/ca.pem}
        or die "no CA in bucket.conf\n";
    return $conf;
}


# nginx knows what it has looked up for another location.

sub known_host {
    my $port = peer()->port;

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
    my $server = s3_server(
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
    is(peer()->state->{meta}{"pre/fix/$name"}{'x-amz-storage-class'},
       'STANDARD_IA', '  in its class');

    my ($put) = asked();
    ok($put->{tls}, '  over TLS');
    is($put->{by}, 'query', '  by the link alone');
    is_deeply([grep { /^(?:cookie|authorization|x-)/ }
               keys %{$put->{headers}}], [],
              '  without headers of the client');

    peer()->set(clear => \1);
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
    is(upload($server, 'PUT', $path, undef,
              'Content-Length: 99999999999')->{status}, 413, 'far too large');
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
    forget();
}


# Attachments by all of it: announced, sent, seen, fetched, deleted

sub becomes_gone {
    my ($key, $what) = @_;

    my $end = time + 10 * $VaultNginx::SLOW;
    sleep 0.2 while exists objects()->{$key} && time < $end;
    is(objects()->{$key}, undef, $what);
}


sub sizes {
    my ($server, $cipher) = @_;

    return join ' ', sort map { $_->{size} }
                          @{attachments($server, 'alice', $cipher)};
}


sub revision {
    my ($server) = @_;

    return call($server, 'GET', '/api/accounts/revision-date',
                as => 'alice')->{body};
}


sub test_attachment {
    my ($upload, $place) = @_;

    my $server = s3_server(
        '', vault => "vault_upload $upload;\nvault_jobs 1s;\n",
        server => bucket_conf() . known_host());
    my $cipher = call($server, 'POST', '/api/ciphers', as => 'alice',
                      json => cipher(name => $upload))->{json}{id};
    my $bytes = bytes(700_000);
    my $file = promise($server, 'alice', $cipher, length $bytes);

    is($file->{type}, 1, "$upload: by PUT");
    like($file->{path}, qr{^/$place/}, '  to a link of the right kind');
    is(sizes($server, $cipher), '', '  nothing is seen before it came');
    is(put_file($server, $file->{path}, $bytes)->{status}, 201,
       '  which takes it');

    fails({ op => 'HEAD', kind => '503', times => 9 });
    like(sizes($server, $cipher), qr/^(?:700000)?$/,
         '  a store that is busy fails no sync');
    fails();
    is(sizes($server, $cipher), 700_000, '  the next sync shows it');

    my $link = VaultFile::link_of($server, 'alice', $cipher, $file->{id});
    like($link, qr{^https://localhost:\d+/vault/pre/fix/}, '  a link to get');
    is(sha1_hex(curl($link)->{body}), sha1_hex($bytes), '  which has it all');

    my $second = promise($server, 'alice', $cipher, 2000);
    my $revision = revision($server);
    is(put_file($server, $second->{path}, bytes(2000))->{status}, 201,
       '  a second file');
    cmp_ok(revision($server), '>', $revision, '  is a new revision');
    is(revision($server), revision($server), '  only once');
    is(call($server, 'DELETE', "/api/ciphers/$cipher/attachment/$second->{id}",
            as => 'alice')->{status}, 200, '  and goes');

    my $other = promise($server, 'alice', $cipher, 1000);
    is(put_file($server, $other->{path}, 'short')->{status},
       $place eq 'bucket' ? 201 : 400, '  a PUT of another size');
    is(sizes($server, $cipher), 700_000, '  is never seen');
    becomes_gone("pre/fix/$other->{id}", '  nor kept');

    call($server, 'DELETE', "/api/ciphers/$cipher", as => 'alice');
    becomes_gone("pre/fix/$file->{id}", '  goes with its item');

    ends_clean($server);
    forget();
}


# The web vault fetches files from the bucket.

sub test_policy {
    my $web = folder_of() . '/web';

    mkdir $web;
    chmod 0755, folder_of(), $web;
    VaultNginx::write_file("$web/index.html", '<p>vault</p>');

    for my $case (["vault_files 's3://vault?region=eu-west-1';",
                   ' https://vault.s3.eu-west-1.amazonaws.com'],
                  ['', ''])
    {
        my $server = vault_server(name => 'policy',
                                  env  => { HOME => "$web/nobody" },
                                  vault => "vault_web_vault $web;\n$case->[0]");
        my $page = VaultHttp::request($server->port, 'GET', '/');

        is($page->{status}, 200, 'the page of a web vault');
        like(VaultHttp::header($page, 'content-security-policy'),
             qr{;\ connect-src\ 'self'\ https://api\.pwnedpasswords\.com
                \Q$case->[1]\E$}x, '  whose policy knows the store');
        ends_clean($server);
    }
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

    $text = nginx_test("file:@{[folder_of()]}/files", '', bucket_conf());
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
        env  => { HOME => folder_of() . '/nobody',
                  AWS_EC2_METADATA_SERVICE_ENDPOINT => $aws->url });
    my $name = uuid('instance');

    like(link_of($server, 'get', $name)->{url},
         qr{^https://vault\.s3\.eu-west-3\.amazonaws\.com/$name\?.*
            Credential=AKID1%2F\d+%2Feu-west-3%2Fs3%2F}x,
         'is asked for it with the first link');
    ends_clean($server);

    $server = vault_server(
        name => 'nowhere', vault => "vault_files 's3://vault';\n",
        env  => { HOME => folder_of() . '/nobody', AWS_ACCESS_KEY_ID => $KEY,
                  AWS_SECRET_ACCESS_KEY => $SECRET,
                  AWS_EC2_METADATA_DISABLED => 'true' });
    is(head($server, $name), "rc $ERROR", 'nobody knows it');
    is(put($server, $name, 'x'), 503, 'nothing can be stored');
    is(remove($server, $name), 0, 'nothing is gone');
    like((s3_lines($server))[0], qr/add region=/,
         'and the log says what to do');
    ends_clean($server);
}


test_get_link();
test_put_link();
test_attachment('auto', 'files');
test_attachment('presigned', 'bucket');
test_policy();
test_configuration();
test_instance();

done_testing();
