# A web vault's folder: its files, their headers, and what stays the API's.

use strict;
use warnings;

use lib 't/lib';

use Test::More;

use VaultHttp;
use VaultServer qw(vault_server folder_of);

my $web = folder_of() . '/web';
my $hash = 'abcdef0123456789abcd';

my %files = (
    'index.html'               => '<p>vault</p>',
    'webauthn-connector.html'  => '<p>connector</p>',
    'app-id.json'              => '{"trustedFacets":[]}',
    "app/main.$hash.js"        => 'run()',
    "app/$hash.wasm"           => "\0asm",
    'theme_head.js'            => 'theme()',
);

mkdir $web;
mkdir "$web/app";
chmod 0755, folder_of(), $web, "$web/app";

for my $name (keys %files) {
    open my $file, '>', "$web/$name" or die "$name: $!\n";
    print $file $files{$name};
    close $file;
}

my $server = vault_server(vault => "vault_web_vault $web;",
                          http => "include /etc/nginx/mime.types;\n");

sub get {
    my ($path, $method) = @_;

    return VaultHttp::request($server->port, $method || 'GET', $path);
}


sub header { return VaultHttp::header(@_) // '' }


my $page = get('/');
is($page->{status}, 200, 'the folder answers with its page');
is($page->{body}, $files{'index.html'}, '  the right one');
like(header($page, 'content-type'), qr{text/html}, '  as HTML');
like(header($page, 'content-security-policy'), qr/script-src 'self'/,
     '  with a content policy');
is(header($page, 'x-frame-options'), 'SAMEORIGIN', '  and no framing');
is(header($page, 'cache-control'), 'no-cache', '  asked for again each time');
is(header($page, 'x-content-type-options'), 'nosniff', '  not sniffed');

my $connector = get('/webauthn-connector.html?parent=x');
is($connector->{status}, 200, 'a connector page');
is(header($connector, 'content-security-policy'), '', '  without a policy');
is(header($connector, 'x-frame-options'), '', '  may be framed');

for my $path ("/app/main.$hash.js", "/app/$hash.wasm") {
    my $file = get($path);
    is($file->{status}, 200, $path);
    like(header($file, 'cache-control'), qr/immutable/,
         '  is kept: its name changes with it');
}

like(header(get('/theme_head.js'), 'cache-control'), qr/no-cache/,
     'a plain name is asked for again');
like(header(get("/app/$hash.wasm"), 'content-type'), qr/wasm/,
     'WebAssembly has its type');
is(get('/app-id.json')->{status}, 200, 'app-id.json');

is(get('/missing.js')->{status}, 404, 'a missing file');
is(get('/../v.db')->{status}, 400, 'no way out of the folder');
is(get('/', 'POST')->{status}, 405, 'nothing to post to a file');

my $api = get('/api/nothing');
is($api->{status}, 404, 'below /api the API answers');
is(VaultHttp::json($api)->{object}, 'error', '  in its own shape');
is(get('/alive')->{status}, 200, 'and its other paths too');

is_deeply([$server->stop], [], 'nginx had no complaints');

done_testing();
