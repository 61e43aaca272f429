#!/usr/bin/perl
# The server image, built as it is released and run as a container would run
# it: no root, no capability, nothing writable but the volume and /tmp.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(cipher);
use VaultHttp ();
use VaultImage;
use VaultNginx ();
use VaultServer qw(call user);

my $ROOT = $VaultNginx::ROOT;
my $ENTRY = '/usr/local/lib/vault/entrypoint';
my $image = VaultImage->new('server');
my $root = $image->{root};
my $port = VaultNginx::free_port();
my %domain = (DOMAIN => 'https://vault.example.com');


sub alive { return (call($port, 'GET', '/alive')->{status} // 0) == 200 }


sub started {
    my ($env) = @_;

    my $begin = time;
    my $run = $image->start({ ROCKET_PORT => $port,
                              DOMAIN => 'https://vault.example.com', %$env });
    sleep 0.002 while !alive() && time < $begin + 20 * $VaultNginx::SLOW;
    $run->{seconds} = time - $begin;

    ok(alive(), 'it answers') || diag($run->output);
    return $run;
}


# What the entry point writes, as nginx understood it

sub configuration {
    my (%env) = @_;

    my ($status, $out) = $image->run({ ROCKET_PORT => $port, %env },
                                     $ENTRY, '-T');
    return $status == 0 ? $out : "exit $status: $out";
}


# It ends at once and says one line.

sub refuses {
    my ($env, $line, $name) = @_;

    my ($status, $out) = $image->run({ ROCKET_PORT => $port, %$env },
                                     $ENTRY, '-T');
    my @lines = split /\n/, $out;

    # Warnings come before, and are not the reason.
    shift @lines if @lines && $lines[0] =~ /^vault: warning: /;
    is($status, 1, "$name: refused");
    is(@lines, 1, '  in one line') || diag($out);
    like($lines[0] // '', qr/^vault: .*$line/, '  with its fix');
}


# A folder or a file in the image, as a mount would bring it

sub put {
    my ($path, $text) = @_;

    my ($folder) = $path =~ m{^(.*)/};
    File::Path::make_path("$root$folder");
    VaultNginx::write_file("$root$path", $text);
    chmod 0644, "$root$path";
}


sub mount_of {
    my ($pid, $path) = @_;

    my ($line) = grep { (split)[4] eq $path }
                 split /\n/, VaultNginx::read_file("/proc/$pid/mountinfo");
    return (split ' ', $line // '')[5] // '';
}


sub serves {
    my $run = started({});
    note(sprintf 'ready %.0f ms after its start', 1000 * $run->{seconds});

    my $alice = user('alice', $port);
    my $item = call($port, 'POST', '/api/ciphers', as => 'alice',
                    json => cipher());
    is($item->{status}, 200, 'an item is kept');

    my $sync = call($port, 'GET', '/api/sync', as => 'alice')->{json};
    is($sync->{profile}{email}, $alice->{email}, 'a sync has the profile');
    is($sync->{ciphers}[0]{id}, $item->{json}{id}, 'and the item');

    is(call($port, 'GET', '/api/config')->{json}{environment}{vault},
       'https://vault.example.com', 'DOMAIN is the address of the vault');

    my $status = VaultNginx::read_file("/proc/$run->{pid}/status");
    like($status, qr/^Uid:\s+10001\s+10001\s+10001/m, 'nginx is no root');
    like($status, qr/^Cap$_:\s+0+$/m, "no capability: Cap$_") for qw(Prm Eff);
    like($status, qr/^NoNewPrivs:\s+1$/m, 'and none to be had');
    like(mount_of($run->{pid}, '/'), qr/^ro\b/, 'the root is read-only');

    my ($code) = $image->run({ ROCKET_PORT => $port },
                             '/usr/local/lib/vault/health');
    is($code, 0, 'the healthcheck finds it well');

    stops_gracefully($run);

    ($code) = $image->run({ ROCKET_PORT => $port },
                          '/usr/local/lib/vault/health');
    isnt($code, 0, 'the healthcheck finds it gone');

    my $out = $run->output;
    like($out, qr{"GET /api/sync HTTP/1\.1" 200 }, 'requests are logged');
    unlike($out, qr/\Q$alice->{token}\E/, 'without secrets');
    unlike($out, qr/\[(?:warn|error|crit|alert|emerg)\]/, 'nothing went wrong')
        || diag($out);

    my $kept = started({});
    is(call($port, 'GET', '/api/sync', as => 'alice')->{json}{ciphers}[0]{id},
       $item->{json}{id}, 'the next container has the data');
    $kept->signal('TERM');
    is($kept->ended, 0, 'TERM ends it too');
}


# A request that has begun is finished.

sub stops_gracefully {
    my ($run) = @_;

    my $socket = VaultHttp::open_socket($port);
    my $body = '{"email":"alice@example.com"}';
    my $text = VaultHttp::message('POST', '/identity/accounts/prelogin',
                                  ['Content-Type: application/json'], $body);

    syswrite $socket, substr $text, 0, -5;
    sleep 0.3;
    $run->signal(substr $image->{config}{StopSignal}, 3);
    sleep 0.3;
    ok(!VaultHttp::open_socket($port), 'told to stop, it takes nothing new');
    my ($answer) = VaultHttp::exchange($port, [substr $text, -5],
                                       methods => ['POST'], socket => $socket);

    is($answer->{status}, 200, 'what had begun is answered');
    close $socket;
    is($run->ended, 0, 'then it ends well');
}


sub maps {
    my $bare = configuration();

    like($bare, qr{vault_database "sqlite:/data/vault\.db";}, 'SQLite');
    like($bare, qr{vault_jwt_key "/data/jwt\.pem";}, 'its key beside');
    like($bare, qr{vault_files "file:/data/files";}, 'files in the volume');
    like($bare, qr{DOMAIN is not set}, 'it asks for a DOMAIN');
    unlike($bare, qr{vault_mail|real_ip_header|web_vault}, 'and no more');

    put('/vw/index.html', '<p>');
    put('/run/secrets/smtp', "wonder\"land\n");
    put('/run/secrets/limit', "77\n");
    put('/run/secrets/db', "postgresql://v:pass\@db.example.com/v\n");

    my @cases = (
        [{ DOMAIN => 'https://vault.example.com/' },
         'vault_origin "https://vault.example.com";'],
        [{ DATA_FOLDER => 'data' }, 'vault_database "sqlite:/data/vault.db";'],
        [{ DATABASE_URL => 'data/db.sqlite3' },
         'vault_database "sqlite:/data/db.sqlite3";',
         'vault_jwt_key "/data/jwt.pem";'],
        [{ DATABASE_URL => 'sqlite:///data/x/../v.db' },
         'vault_database "sqlite:/data/v.db";'],
        [{ DATABASE_URL => 'postgresql://v:pass@db.example.com/v' },
         'vault_database "env:DATABASE_URL";', 'vault_jwt_key "database";',
         '!pass@'],
        [{ DATABASE_URL_FILE => '/run/secrets/db',
           DATABASE_MAX_CONNS => 10, DATABASE_TIMEOUT => 7,
           ROCKET_WORKERS => 3 },
         'vault_database "file:/run/secrets/db";', 'worker_processes 3;',
         'vault_database_connections "4";', 'vault_database_timeout "7s";',
         '!pass@'],
        [{ RSA_KEY_FILENAME => 'data/rsa_key' },
         'vault_jwt_key "/data/rsa_key.pem";'],
        [{ WEB_VAULT_FOLDER => '/vw' }, 'vault_web_vault "/vw";'],
        [{ WEB_VAULT_FOLDER => '/vw', WEB_VAULT_ENABLED => 'No' },
         '!vault_web_vault'],
        [{ SIGNUPS_ALLOWED => 'false' }, 'vault_signups "off";'],
        [{ SIGNUPS_ALLOWED => 'FALSE',
           SIGNUPS_DOMAINS_WHITELIST => 'example.com, example.org' },
         'vault_signups "on";',
         'vault_signups_domains "example.com" "example.org";'],
        [{ SIGNUPS_VERIFY => 'false', PASSWORD_ITERATIONS => 700000,
           SHOW_PASSWORD_HINT => 'true' },
         'vault_signups_verify "off";', 'vault_kdf_rounds "700000";',
         'vault_password_hint "show";'],
        [{ LOGIN_RATELIMIT_SECONDS => 30, LOGIN_RATELIMIT_MAX_BURST => 5 },
         'vault_login_limit "account=10/5m" "address=5/150s";'],
        [{ USER_ATTACHMENT_LIMIT => 2048, TRASH_AUTO_DELETE_DAYS => 7,
           JOB_POLL_INTERVAL_MS => 5000 },
         'vault_file_quota "2048k";', 'vault_trash_days "7";',
         'vault_jobs "5000ms";'],
        [{ TRASH_AUTO_DELETE_DAYS => 'off', JOB_POLL_INTERVAL_MS => 0 },
         'vault_trash_days "off";', 'vault_jobs "off";'],
        [{ ATTACHMENTS_FOLDER => 's3://bucket/x?region=eu-west-1' },
         'vault_files "s3://bucket/x?region=eu-west-1";',
         'client_body_temp_path /tmp/vault/body;'],
        [{ DATA_FOLDER => 's3://bucket/x?region=eu-west-1' },
         'vault_files "s3://bucket/x?region=eu-west-1";',
         'vault_database "sqlite:/data/vault.db";'],
        [{ ATTACHMENTS_FOLDER => '/data/attachments' },
         'vault_files "file:/data/attachments";'],
        [{ %domain, SMTP_HOST => 'mail.example.com',
           SMTP_FROM => 'v@example.com',
           SMTP_USERNAME => 'v@example.com', SMTP_PASSWORD => 'wonder',
           SMTP_FROM_NAME => 'The "Vault"; x $y', SMTP_TIMEOUT => 9,
           HELO_NAME => 'vault.example.com',
           SMTP_AUTH_MECHANISM => '"Login"' },
         'vault_mail "smtp://v%40example.com@mail.example.com:587?starttls'
         . '=required&password=env%3ASMTP_PASSWORD&auth=login'
         . '&name=vault.example.com&timeout=9s";',
         'vault_mail_from "The \"Vault\"; x $y <v@example.com>";', '!wonder'],
        [{ %domain, SMTP_HOST => 'mail.example.com',
           SMTP_FROM => 'v@example.com',
           SMTP_USERNAME => 'v', SMTP_PASSWORD_FILE => '/run/secrets/smtp',
           SMTP_SECURITY => 'force_tls', SIGNUPS_VERIFY => 'yes' },
         'vault_mail "smtps://v@mail.example.com:465?password=file%3A/run/'
         . 'secrets/smtp";', 'vault_mail_from "Vault <v@example.com>";',
         'vault_signups_verify "on";'],
        [{ USER_ATTACHMENT_LIMIT_FILE => '/run/secrets/limit' },
         'vault_file_quota "77k";'],
        [{ %domain, SMTP_HOST => '::1', SMTP_FROM => 'v@example.com',
           SMTP_SECURITY => 'off', SMTP_PORT => 2525 },
         'vault_mail "smtp://[::1]:2525?starttls=none";'],
        [{ %domain, VAULT_MAIL => 'ses:eu-west-1',
           SMTP_FROM => 'v@example.com' },
         'vault_mail "ses:eu-west-1";'],
        [{ IP_HEADER => 'X-Real-IP' }, 'real_ip_header X-Real-IP;',
         'set_real_ip_from 172.16.0.0/12;', 'limit_req zone=vault_identity'],
        [{ IP_HEADER => 'CF-Connecting-IP',
           TRUSTED_PROXIES => '192.0.2.1, 2001:db8::/32' },
         'set_real_ip_from 192.0.2.1;', 'set_real_ip_from 2001:db8::/32;',
         '!172.16'],
        [{ ROCKET_ADDRESS => '127.0.0.2' }, "listen 127.0.0.2:$port;",
         'listen 127.0.0.1:' . ($port + 1)],
        [{ LOG_LEVEL => 'warn' }, 'error_log stderr warn;', 'access_log off;'],
        [{ LOG_LEVEL => 'info,vaultwarden::api=debug' },
         'error_log stderr notice;'],
    );

    for my $case (@cases) {
        my ($env, @wanted) = @$case;
        my $out = configuration(%$env);
        my $name = join ' ', map { "$_=$env->{$_}" } sort keys %$env;

        for my $text (@wanted) {
            $text =~ s/^!// ? unlike($out, qr/\Q$text\E/, "$name: no $text")
                            : like($out, qr/\Q$text\E/, $name);
        }
    }
}


sub wrong {
    put('/data-of-vw/config.json', '{}');
    put('/data-of-vw/db.sqlite3', 'CREATE TABLE __diesel_schema_migrations');
    put('/empty', "\n");

    my %smtp = (%domain, SMTP_HOST => 'm.example.com',
                SMTP_FROM => 'v@example.com');

    my @cases = (
        [{ DOMAIN => 'vault.example.com' }, 'DOMAIN=.*say https://'],
        [{ DOMAIN => 'https://example.com/vault' }, 'a path is not supported'],
        [{ DOMAIN => "https://example.com;\n}" }, 'DOMAIN'],
        [{ SIGNUPS_ALLOWED => 'maybe' }, 'SIGNUPS_ALLOWED=maybe: say true or'],
        [{ SHOW_PASSWORD_HINT => 'perhaps' }, 'say true or false'],
        [{ SIGNUPS_VERIFY => 'true' }, 'SIGNUPS_VERIFY needs mail: set SMTP_'],
        [{ SIGNUPS_DOMAINS_WHITELIST => 'a.example; b' }, 'say domains with'],
        [{ DATABASE_URL => 'mysql://x' }, 'MySQL is not supported'],
        [{ DATABASE_URL => 'host=db user=v' }, 'say postgresql://'],
        [{ DATABASE_URL => '/data-of-vw/db.sqlite3' },
         'is a database of Vaultwarden'],
        [{ DATABASE_URL => 'postgresql://a@b/c',
           DATABASE_URL_FILE => '/etc/passwd' }, 'are both set: choose one'],
        [{ DATABASE_URL_FILE => '/nowhere' }, 'cannot read /nowhere as user'],
        [{ SMTP_HOST_FILE => '/empty' }, '/empty is empty'],
        [{ DATA_FOLDER => '/data-of-vw' }, 'config\.json holds settings of'],
        [{ DATA_FOLDER => '/root' }, 'cannot write to /root as user 10001: '
                                     . '.*chown -R 10001'],
        [{ DATABASE_URL => '/data' }, '/data is a folder, not a file'],
        [{ WEB_VAULT_FOLDER => '/nowhere' }, 'no /nowhere/index\.html'],
        [{ SMTP_HOST => 'm.example.com' }, 'SMTP_FROM is missing'],
        [{ %smtp, DOMAIN => '' }, 'DOMAIN is missing'],
        [{ %smtp, SMTP_HOST => 'a/b' }, 'SMTP_HOST=a/b: say a host'],
        [{ %smtp, SMTP_USERNAME => 'v' }, 'without SMTP_PASSWORD'],
        [{ %smtp, SMTP_SECURITY => 'none' }, 'say starttls, force_tls or off'],
        [{ %smtp, SMTP_FROM => 'nobody' }, 'vault_mail_from.*see SMTP_FROM'],
        [{ %smtp, SMTP_FROM_NAME => "a\nb" }, 'has a control character'],
        [{ %smtp, SMTP_PORT => '70000' }, 'SMTP_PORT=70000: say a number'],
        [{ ROCKET_PORT => 'x' }, 'ROCKET_PORT=x: say a number'],
        [{ ROCKET_ADDRESS => 'x;' }, 'ROCKET_ADDRESS=x;: say an address'],
        [{ ROCKET_TLS => '{}' }, 'ROCKET_TLS: say \{certs='],
        [{ ROCKET_TLS => '{certs="/nowhere",key="/nowhere"}' },
         'ROCKET_TLS: cannot read /nowhere'],
        [{ IP_HEADER => 'X; y' }, 'IP_HEADER=.*say the name of a header'],
        [{ IP_HEADER => 'X-Real-IP', TRUSTED_PROXIES => 'all' },
         'TRUSTED_PROXIES: all is no network'],
        [{ TRASH_AUTO_DELETE_DAYS => -1 }, 'TRASH_AUTO_DELETE_DAYS=-1: say a'],
        [{ LOG_LEVEL => 'loud' }, 'LOG_LEVEL=loud: say debug, info'],
        [{ ATTACHMENTS_FOLDER => 'gs://bucket' }, 'say a folder or s3://'],
        [{ ATTACHMENTS_FOLDER => 's3://b?sse=x' }, 'vault_files.*ATTACHMENTS'],

        # Promises that would not be kept
        [{ SSO_ONLY => 'true' }, 'SSO_ONLY is not supported as true'],
        [{ SENDS_ALLOWED => 'false' }, 'Sends cannot be turned off'],
        [{ DISABLE_2FA_REMEMBER => '1' }, 'may always be remembered'],
        [{ PASSWORD_HINTS_ALLOWED => 'no' }, 'may always have a password hint'],
        [{ ENABLE_DB_WAL => 'false' }, 'SQLite always has its WAL'],
        [{ ENV_FILE => '/data/.env' }, 'use --env-file'],
    );

    refuses($_->[0], $_->[1], join ' ', map { s/[\n]/ /r } %{$_->[0]})
        for @cases;

    my ($status, $out) = $image->run({ ROCKET_PORT => $port,
        SSO_ENABLED => 'false', SENDS_ALLOWED => 'true', ADMIN_TOKEN => 'x1y2',
        PUSH_ENABLED => 'true', DOMAIN => 'https://vault.example.com' },
        $ENTRY, '-t');
    is($status, 0, 'what asks for no less than there is, is no obstacle');
    is((grep { /^vault: / } split /\n/, $out), 1, 'one line of warning');
    like($out, qr/ Not supported, and left aside: ADMIN_TOKEN PUSH_ENABLED\.$/m,
         'names what is left aside');
    unlike($out, qr/x1y2/, 'but no value');

    my ($code) = $image->run({}, $ENTRY, 'sh', '-c', 'echo > /x');
    isnt($code, 0, 'nothing writes to the root');
    ($code) = $image->run({}, $ENTRY, 'sh', '-c', 'echo > /data/x');
    is($code, 0, 'but to the volume');
}


# TLS without a proxy, and a configuration of one's own

sub alternatives {
    system("$ROOT/conf/tls '$root/tls' > /dev/null"
           . " && chmod -R a+rX '$root/tls'");

    my $run = started_tls();
    my ($code) = $image->run({}, 'sh', '-c', 'exit 0');
    is($code, 0, 'a command of one\'s own runs');

    $run->signal('QUIT');
    is($run->ended, 0, 'it ends');

    put('/etc/vault/nginx.conf', <<"_EOF_");
load_module modules/ngx_http_vault_module.so;
pid /tmp/nginx.pid;
events { }
http {
    proxy_temp_path /tmp/proxy;
    server {
        listen 127.0.0.1:$port;
        vault_database sqlite:/data/own.db;
        location / { vault on; }
    }
}
_EOF_

    $run = started({ SIGNUPS_ALLOWED => 'nonsense' });

    # To be alive takes no database; this does.
    is(call($port, 'POST', '/identity/accounts/prelogin',
            json => { email => 'alice@example.com' })->{status}, 200,
       'it serves');
    ok(-e "$root/../data/own.db", 'nginx.conf of one\'s own is what counts');
    $run->signal('QUIT');
    is($run->ended, 0, 'it ends');
    unlink "$root/etc/vault/nginx.conf";
}


sub started_tls {
    my $run = $image->start({
        ROCKET_PORT => $port, DOMAIN => 'https://localhost',
        ROCKET_TLS => '{certs="/tls/server.pem",key="/tls/server.key"}' });
    my $end = time + 20;
    my $code = '';

    while ($code ne '2 200' && time < $end) {
        $code = `curl -s --cacert $root/tls/ca.pem -o /dev/null -w \\
                 '%{http_version} %{http_code}' https://localhost:$port/alive`;
    }

    is($code, '2 200', 'ROCKET_TLS: HTTP/2 and TLS') || diag($run->output);

    # Each container has a /tmp of its own, so its port is told.
    my ($well) = $image->run({ ROCKET_PORT => $port + 1 },
                             '/usr/local/lib/vault/health');
    is($well, 0, 'the healthcheck has a port without TLS');

    return $run;
}


# Every variable that is read is in the table for users, and the other way
# round.

sub documented {
    my %table = map { $_ => 1 }
        VaultNginx::read_file("$ROOT/docker/README.md")
        =~ /^\| `([A-Z_0-9]+)`/mg;
    my $code = VaultNginx::read_file("$ROOT/docker/mapping")
               . VaultNginx::read_file("$ROOT/docker/entrypoint");
    $code =~ s/^\s*#.*$//mg;

    my %read = map { $_ => 1 } $code =~ /\b(
        (?:DATA|DATABASE|ATTACHMENTS|SIGNUPS|SMTP|WEB_VAULT|ROCKET|LOGIN|VAULT
           |JOB|SHOW|PASSWORD|TRASH|USER|RSA|IP|TRUSTED|LOG|HELO|REQUIRE)
        _[A-Z_]+ | DOMAIN)\b/gx;
    delete @read{grep { /_FILE$/ } keys %read};

    is_deeply([sort keys %table], [sort keys %read],
              'docker/README.md has a row for each variable');

    my ($mapped) = VaultNginx::read_file("$ROOT/docker/variables")
                   =~ /^MAPPED=\((.*?)\)/ms;
    is_deeply([sort split ' ', $mapped], [sort keys %table],
              'and each may be a file');
}


subtest 'it serves'      => \&serves;
subtest 'variables'      => \&maps;
subtest 'wrong ones'     => \&wrong;
subtest 'alternatives'   => \&alternatives;
subtest 'documentation'  => \&documented;

done_testing();
