# Directives: a mistake is named by `nginx -t`, and a secret may come from a
# file or from the environment.

use strict;
use warnings;

use lib 't/lib';

use Test::More;

use VaultNginx;

my $nginx = VaultNginx->new(name => '05-directives');
my $root = $nginx->root;
my $location = 'location / { vault on; }';


sub save {
    my ($name, $text) = @_;

    open my $file, '>', "$root/$name" or die "$name: $!\n";
    print $file $text;
    close $file;
    chmod 0600, "$root/$name";
    return "$root/$name";
}


# What `nginx -t` says of a server with these directives; ok is its exit code.

sub nginx_test {
    my ($server, %env) = @_;

    $nginx->{server} = $server;
    save('conf/nginx.conf', $nginx->conf_text);

    local %ENV = (%ENV, VaultNginx::environment($root), %env);
    my @command = VaultNginx::command($root, '-t');
    my $pid = open my $out, '-|';
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec @command or die "@command: $!\n";
    }

    my $text = do { local $/; <$out> };
    close $out;
    return { ok => $? == 0, text => $text };
}


sub refused {
    my ($directive, $pattern) = @_;

    my $answer = nginx_test("vault_database sqlite:$root/v.db;\n"
                            . "$directive\n$location");
    ok(!$answer->{ok}, "refused: $directive");
    like($answer->{text}, $pattern, '  and the reason named');
    like($answer->{text}, qr{nginx\.conf:\d+|vault_\w+}, '  and the place');
}


save('v.txt', '');

my $base = "vault_database sqlite:$root/v.db;\n";
my $answer = nginx_test("$base$location");
ok($answer->{ok}, 'two lines are a whole configuration')
    or diag $answer->{text};
ok(!-e "$root/jwt.pem", 'a test of the configuration makes no key');
ok(nginx_test("${base}vault_jwt_key database;\n$location")->{ok},
   'the key may be in the database');
refused('vault_jwt_key database; vault_jwt_key a;', qr/is duplicate/);

refused('vault_signups maybe;', qr/"vault_signups".*"on" or "off"/);
refused('vault_signups on; vault_signups off;', qr/is duplicate/);
refused('vault_signups_verify maybe;', qr/"on" or "off"/);
refused('vault_password_hint hide;', qr/invalid value "hide"/);
refused('vault_signups_domains @example.com;', qr/without "@"/);
refused('vault_origin vault.example.com;', qr/must be like "https:/);
refused('vault_origin http://vault.example.com;', qr/must be like "https:/);
refused('vault_origin https://vault.example.com/sub;', qr/a path/);
refused('vault_web_vault /no/such/folder;', qr/is not there/);
refused('vault_kdf_rounds 10;', qr/between 1000 and/);
refused('vault_kdf_rounds many;', qr/invalid number/);
refused('vault_database_connections 0;', qr/between 1 and/);
refused('vault_database_timeout soon;', qr/invalid value/);
refused('vault_database_strict 1;', qr/"on" or "off"/);
refused('vault_access_token_lifetime -1;', qr/invalid value/);
refused('vault_refresh_token_lifetime x;', qr/invalid value/);
refused('vault_request_timeout x;', qr/invalid value/);
refused('vault_trash_days -1;', qr/a number of days/);
refused('vault_trash_days 0;', qr/a number of days/);
refused('vault_trash_days 30d;', qr/a number of days/);
refused('vault_trash_days off; vault_trash_days 1;', qr/is duplicate/);
refused('vault_files /var/lib/vault/files;', qr{must be like "file:/});
refused('vault_files file:;', qr/a folder of its own/);
refused('vault_files file:/;', qr/a folder of its own/);
refused('vault_files file:/no/such/folder;', qr{vault_files: folder .* above});
refused("vault_files file:$root/v.txt;", qr/is not a folder/);
refused('vault_files file:a; vault_files file:b;', qr/is duplicate/);
refused('vault_upload sometimes;', qr/invalid value "sometimes"/);
refused('vault_file_max 257m;', qr/between 1 and 256m/);
refused('vault_file_max 0;', qr/between 1 and 256m/);
refused('vault_file_max big;', qr/invalid value/);
refused('vault_file_quota none;', qr/invalid value/);
refused('vault_file_quota off; vault_file_quota 1g;', qr/is duplicate/);
refused('vault_jobs often;', qr/invalid value/);
refused('vault_jobs 10ms;', qr/at least 1s/);
refused('vault_jobs 1m; vault_jobs off;', qr/is duplicate/);
refused('vault_agent_cache 10k;', qr/64k at least/);
refused('vault_agent_cache lots;', qr/64k at least/);
refused('vault_agent_cache 1m ttl=often;', qr/no use for "ttl=often"/);
refused('vault_agent_cache 1m default=maybe;', qr/no use for "default=maybe"/);
refused('vault_agent_cache 1m ever=1;', qr/no use for "ever=1"/);
refused('vault_agent_cache 1m; vault_agent_cache off;', qr/is duplicate/);
refused('vault_agent_require_header perhaps;', qr/invalid value/);
refused('vault_agent_own_token perhaps;', qr/invalid value/);
refused('vault_sync_cache lots;', qr/invalid value/);
refused('vault_login_limit 10;', qr{account=10/5m});
refused('vault_login_limit account=0/5m;', qr{failures/time});
refused('vault_login_limit account=5/never;', qr{failures/time});
refused('vault_jwt_key env:VAULT_NO_SUCH_KEY;', qr/is not set/);
refused('vault_jwt_key file:/no/such/key;', qr/cannot be read/);
refused('vault_requests 10;', qr/not allowed here/);

# Mail

my $from = 'vault_origin https://vault.example.com;'
           . ' vault_mail_from "Vault <vault@example.com>";';
my $smtp = 'smtp://u@mail.example.com?password=x';

refused("vault_mail sendmail; $from", qr/smtp:.*ses:REGION/);
refused("vault_mail off; vault_mail off;", qr/is duplicate/);
refused("vault_mail smtp://; $from", qr/host that is none/);
refused("vault_mail smtp://a:0; $from", qr/port that is none/);
refused("vault_mail smtp://a:65536; $from", qr/port that is none/);
refused("vault_mail smtp://a:x; $from", qr/port that is none/);
refused("vault_mail smtp://[::1; $from", qr/without its "\]"/);
refused("vault_mail smtp://a/b; $from", qr/host that is none/);
refused("vault_mail smtp://u\@a; $from", qr/no password=/);
refused("vault_mail smtp://u:p\@a; $from", qr/password in the wrong place/);
refused("vault_mail smtp://a?password=x; $from", qr/but no user/);
refused("vault_mail smtp://a?auth=plain; $from", qr/but no user/);
refused("vault_mail $smtp&auth=ntlm; $from", qr/neither plain, login nor/);
refused("vault_mail $smtp&starttls=maybe; $from", qr/required nor none/);
refused("vault_mail $smtp&timeout=soon; $from", qr/is no time/);
refused("vault_mail $smtp&name=a%0d%0aDATA; $from", qr/a name= that is none/);
refused("vault_mail $smtp&port=1; $from", qr/does not know/);
refused("vault_mail $smtp&auth; $from", qr/without "="/);
refused("vault_mail $smtp&ca=/no/such; $from", qr/names no file/);
refused("vault_mail smtp://u\@a?password=file:/no/such; $from",
        qr/cannot be read/);
refused("vault_mail smtp://u\@a?password=env:VAULT_NO_SUCH; $from",
        qr/is not set/);
refused("vault_mail smtps://a?starttls=none; $from", qr/does not know/);
refused("vault_mail ses:; $from", qr/ses:eu-west-1/);
refused("vault_mail ses:eu/west; $from", qr/ses:eu-west-1/);
refused("vault_mail ses:eu-west-1?endpoint=x; $from", qr/is no URL/);
refused("vault_mail ses:eu-west-1?auth=plain; $from", qr/does not know/);
refused("vault_mail $smtp;", qr/needs "vault_mail_from"/);
refused("vault_mail $smtp; vault_mail_from vault\@example.com;",
        qr/needs "vault_origin" too/);

for my $bad ('vault', 'Vault <vault@example.com', 'Vault <vault@>',
             'Vault <a b@example.com>', '<>')
{
    refused("vault_mail $smtp; vault_mail_from \"$bad\";",
            qr/must be like "Vault <vault\@example\.com>"/);
}

refused("vault_mail $smtp; vault_origin https://vault.example.com;"
        . ' vault_mail_from vault@exa_mple.com;', qr/no usable address/);
refused('vault_mail_templates /no/such/folder;', qr/is not there/);

mkdir "$root/words";
save('words/welcome.txt', "Hello\n\n{{code}}\n");
refused("vault_mail $smtp; $from vault_mail_templates $root/words;",
        qr/welcome\.txt" has \{\{code\}\}, but knows only: server origin/);
unlink "$root/words/welcome.txt";

for my $good ($smtp, 'smtps://[::1]:465', 'smtp://127.0.0.1:25?starttls=none',
              'ses:eu-west-1', 'ses:us-gov-west-1?endpoint=http://[::1]:80')
{
    my $answer = nginx_test("${base}vault_mail $good; $from\n"
                            . "vault_mail_templates $root/words;\n$location");
    ok($answer->{ok}, "accepted: $good") or diag $answer->{text};
}

ok(nginx_test("${base}vault_mail off;\n$location")->{ok}, 'no mail');

$answer = nginx_test("${base}vault_mail $smtp&starttls=none; $from\n"
                     . $location);
ok($answer->{ok}, 'a password without TLS is taken');
like($answer->{text}, qr/sends its password to mail\.example\.com without/,
     '  with a warning');

for my $case (
    [ 'mysql://x/y',                  qr/sqlite:|postgresql:/ ],
    [ 'sqlite:',                      qr/sqlite:/ ],
    [ 'sqlite:/no/such/folder/v.db',  qr/folder/ ],
    [ 'postgresql://%zz',             qr/"vault_database"/ ],
    [ 'dsql://',                      qr/sqlite:|dsql:/ ],
    [ 'dsql://short.dsql.us-east-1.on.aws', qr/not a cluster's endpoint/ ],
    [ 'dsql://db.test',               qr/does not tell the region/ ],
    [ 'dsql://db.test?region=us-east-1&role=admin', qr/"admin".* only/ ],
    [ 'dsql://db.test?sslmode=disable', qr/an option other than/ ],
    [ 'env:VAULT_NO_SUCH_URL',        qr/is not set/ ],
    [ 'file:/no/such/file',           qr/cannot be read/ ])
{
    $answer = nginx_test("vault_database $case->[0];\n$location");
    ok(!$answer->{ok}, "refused: vault_database $case->[0]");
    like($answer->{text}, $case->[1], '  and the reason named');
}

# The store

ok(-d "$root/files/tmp", 'a store beside the database');
is((stat "$root/files/tmp")[2] & 07777, 0700, 'of its own user');

$answer = nginx_test("${base}vault_files file:$root/one;\n$location\n}\n"
                     . "server {\nlisten 127.0.0.1:1;\n"
                     . "${base}vault_files file:$root/two;\n$location\n");
ok(!$answer->{ok}, 'refused: two stores for one database');
like($answer->{text}, qr/"vault_files" must be the same in all servers/,
     '  and the reason named');

$answer = nginx_test("${base}vault_files file:$root/elsewhere/;\n"
                     . "vault_upload presigned; vault_file_max 256m;\n"
                     . "vault_file_quota off; vault_jobs off;\n$location");
ok($answer->{ok}, 'a store elsewhere') or diag $answer->{text};
ok(-d "$root/elsewhere/tmp", 'is made');
unlike($answer->{text}, qr/client_max_body_size/, 'nothing is in its way');

$answer = nginx_test("${base}client_max_body_size 10m;\n$location");
ok($answer->{ok}, 'a limit of nginx below the vault\'s');
like($answer->{text}, qr/"client_max_body_size" is below/, 'is named');


# Secrets

my $url = save('url', "sqlite:$root/v.db\n");
my $key = `openssl genrsa 2048 2>/dev/null`;
my $pem = save('key.pem', $key);
save('bad.pem', "no key\n");

ok(nginx_test("vault_database file:$url;\n$location")->{ok},
   'the database from a file');
for my $case (
    [ 'vault_origin_secret short;',              qr/16 bytes/ ],
    [ 'vault_origin_secret env:VAULT_NO_SUCH;',  qr/is not set/ ],
    [ 'vault_origin_secret env:VAULT_NO_SUCH:-;', qr/16 bytes/ ],
    [ 'vault_origin_secret a b c;',           qr/number of arguments/ ],
    [ 'vault_lambda maybe;',                     qr/invalid value/ ],
    [ 'vault_trash_days env:VAULT_NO_SUCH;',     qr/is not set/ ],
    [ 'vault_trash_days env:VAULT_NO_SUCH:-x;',  qr/number of days/ ],
    [ 'vault_trash_days env:VAULT_NO_SUCH:x;',   qr/env:NAME:-DEFAULT/ ],
    [ 'vault_trash_days env::-30;',              qr/env:NAME:-DEFAULT/ ],
) {
    refused(@$case);
}

for my $takes ('vault_origin_secret 0123456789abcdef env:VAULT_NO_SUCH:-;',
               'vault_trash_days env:VAULT_NO_SUCH:-30;',
               'vault_trash_days env:VAULT_NO_SUCH:-;',
               'vault_trash_days env:VAULT_T_DAYS;',
               'vault_lambda env:VAULT_NO_SUCH:-on;')
{
    ok(nginx_test("vault_database sqlite:$root/v.db;\n$takes\n$location",
                  VAULT_T_DAYS => 7)->{ok}, "taken: $takes");
}

ok(!nginx_test("vault_database sqlite:$root/v.db;\n"
               . "vault_trash_days env:VAULT_T_DAYS;\n$location",
               VAULT_T_DAYS => 'seven')->{ok}, 'a wrong value is refused');

ok(nginx_test("vault_database env:VAULT_T_URL;\n$location",
              VAULT_T_URL => "sqlite:$root/v.db")->{ok},
   'the database from the environment');
ok(nginx_test("${base}vault_jwt_key file:$pem;\n$location")->{ok},
   'the key from a file');
ok(nginx_test("${base}vault_jwt_key env:VAULT_T_KEY;\n$location",
              VAULT_T_KEY => $key)->{ok},
   'the key from the environment');

$answer = nginx_test("${base}vault_jwt_key file:$root/bad.pem;\n$location");
ok(!$answer->{ok}, 'a key that is none is refused');
like($answer->{text}, qr/vault_jwt_key/, '  and named');
unlike($answer->{text}, qr/no key/, '  but its text is not shown');

chmod 0644, $pem;
$answer = nginx_test("${base}vault_jwt_key $pem;\n$location");
ok(!$answer->{ok}, 'a key that others may read is refused');
like($answer->{text}, qr/chmod 600/, '  with its remedy');

$answer = nginx_test("vault_database postgresql://vault:geheim\@%zz/x;\n"
                     . $location);
unlike($answer->{text}, qr/geheim/, 'a password in a URL is not shown');

done_testing();
