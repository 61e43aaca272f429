#!/usr/bin/perl
# The ways to a PostgreSQL server: names, several hosts, sockets, passwords,
# TLS that is checked.  What fails is named in the log, a password never is.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep);

use VaultNginx ();
use VaultTest;

my $PASSWORD = 'open:sesame@#1';
my $ESCAPED = 'open%3Asesame%40%231';

my $dir = "/tmp/vault-pg-connect-$$";
my $tls = folder_of() . '/tls';
my $number = 0;


sub pg {
    my ($verb, @options) = @_;

    my $out = `'$VaultNginx::ROOT/t/tools/pg' $verb '$dir' @options`;
    die "pg $verb failed\n" if $? != 0;
    chomp $out;
    return $out;
}

END {
    local $?;
    eval { pg('stop') } if -d $dir;
    system 'rm', '-rf', $dir;
}


# A server that takes a password over TLS, and nothing else over TCP.

my $url = pg('start', '-c fsync=off');
my ($port) = $url =~ /:(\d+)/;

sub give {
    my ($name, $text, $mode) = @_;

    open my $file, '>', "$dir/data/$name" or die "$name: $!\n";
    print $file $text;
    close $file;

    my ($uid, $gid) = (stat "$dir/data")[4, 5];
    chown $uid, $gid, "$dir/data/$name";
    chmod $mode, "$dir/data/$name";
}

sub secure {
    system("$VaultNginx::ROOT/conf/tls '$tls' > /dev/null") == 0
        or die "no certificate\n";

    give('server.crt', VaultNginx::read_file("$tls/server.pem"), 0644);
    give('server.key', VaultNginx::read_file("$tls/server.key"), 0600);

    psql($url, "SET password_encryption = 'scram-sha-256';"
               . " CREATE ROLE keeper LOGIN PASSWORD '$PASSWORD'");
    psql($url, 'ALTER DATABASE vault OWNER TO keeper');
    psql($url, 'ALTER SYSTEM SET ssl = on');

    give('pg_hba.conf', "local all all trust\n"
                        . "hostssl all keeper all scram-sha-256\n"
                        . "hostnossl all keeper all reject\n", 0600);
    pg('restart');
}

secure();


# A vault on that URL; `ca.pem` is what a client would be given.

sub vault_on {
    my ($url) = @_;

    return vault_server(
        name => 'connect' . ++$number,
        vault => "vault_database '$url';\nvault_database_timeout 3s;");
}


sub asks {
    my ($server) = @_;

    return call($server, 'POST', '/identity/connect/token', form => [
        grant_type => 'refresh_token', client_id => 'cli',
        refresh_token => 'nobody has this one',
    ]);
}


sub keeps_quiet {
    my ($server, $name) = @_;

    my $log = $server->log_text;

    unlike($log, qr/sesame/, "$name: the password is not in the log");
    is_deeply([$server->stop], [], "$name: ends well");
}


sub connects {
    my ($name, $url) = @_;

    my $server = vault_on($url);

    is(asks($server)->{status}, 400, "$name: the database has answered");
    keeps_quiet($server, $name);
}


sub fails {
    my ($name, $url, $reason) = @_;

    my $server = vault_on($url);

    is(asks($server)->{status}, 503, "$name: 503");
    like($server->log_text, $reason, "$name: the log says why");
    keeps_quiet($server, $name);
}


my $who = "postgresql://keeper:$ESCAPED";
my $checked = "sslmode=verify-full&sslrootcert=$tls/ca.pem";

connects('TLS, checked', "$who\@localhost:$port/vault?$checked");
connects('TLS, if there is any', "$who\@127.0.0.1:$port/vault");
connects('a literal address for a name',
         "$who\@localhost:$port/vault?$checked&hostaddr=127.0.0.1");
connects('the second of two hosts',
         "$who\@127.0.0.1:1,localhost:$port/vault?$checked");
connects('a unix socket',
         "postgresql://keeper\@/vault?host=$dir&port=$port");
connects('the short scheme', "postgres://keeper:$ESCAPED"
                             . "\@localhost:$port/vault?sslmode=require");

fails('no TLS', "$who\@localhost:$port/vault?sslmode=disable",
      qr/pg_hba\.conf rejects/);
fails('the wrong name',
      "$who\@other.invalid:$port/vault?$checked&hostaddr=127.0.0.1",
      qr/does not match host name "other\.invalid"/);
fails('no CA', "$who\@localhost:$port/vault?sslmode=verify-full"
               . "&sslrootcert=$tls/none.pem",
      qr/root certificate file .* does not exist/);
fails('the wrong CA', "$who\@localhost:$port/vault?sslmode=verify-ca"
                      . '&sslrootcert=/etc/ssl/certs/ca-certificates.crt',
      qr/certificate verify failed|does not exist/);
fails('the wrong password',
      "postgresql://keeper:sesame\@localhost:$port/vault?$checked",
      qr/password authentication failed/);
fails('no such database', "$who\@localhost:$port/none?$checked",
      qr/database "none" does not exist/);

# a label that no name can have: no resolver need be asked
my $nowhere = 'x' x 64 . '.invalid';
fails('no such host', "$who\@$nowhere:$port/vault", qr/host "$nowhere": /);

fails('nobody there', "$who\@localhost:1/vault", qr/Connection refused/);


# What nginx -t can say already

my $nginx = VaultNginx->new(name => 'pg-connect');
my $root = $nginx->root;

sub refused {
    my ($name, $url, $reason) = @_;

    $nginx->{server} = "vault_database '$url';\nlocation / { vault on; }\n";
    VaultNginx::write_file("$root/conf/nginx.conf", $nginx->conf_text);

    local %ENV = (%ENV, VaultNginx::environment($root));
    my $command = join ' ', map { "'$_'" } VaultNginx::command($root, '-t');
    my $text = `$command 2>&1`;

    isnt($?, 0, "$name: refused");
    like($text, $reason, "$name: and why");
    unlike($text, qr/sesame/, "$name: without the password");
}

refused('a port of words', "$who\@localhost:five/vault",
        qr/port is not a number/);
refused('a port out of range', "$who\@localhost:70000/vault",
        qr/port is not a number/);
refused('an sslmode of its own', "$who\@localhost/vault?sslmode=yes",
        qr/unknown sslmode/);
refused('an unknown parameter', "$who\@localhost/vault?speed=high",
        qr/not a URL that libpq understands/);
refused('a bracket left open', "$who\@[::1/vault",
        qr/not a URL that libpq understands/);

done_testing();
