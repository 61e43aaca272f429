#!/usr/bin/perl
# aws/backup.sh: what is dumped and restored is the same vault, whose sessions
# go on.  It prints statements by SQL alone, as Aurora DSQL has no COPY; so the
# peer that refuses what DSQL refuses takes all of them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use VaultDsql ();
use VaultNginx ();
use VaultServer qw(psql folder_of user call);
use VaultTest;

my $dir = "/tmp/vault-pg-backup-$$";
my $copy = folder_of() . '/copy';


sub pg {
    my $out = `'$VaultNginx::ROOT/t/tools/pg' $_[0] '$dir' -c fsync=off`;
    die "pg $_[0] failed\n" if $? != 0;
    chomp $out;
    return $out;
}

END {
    local $?;
    system "$VaultNginx::ROOT/t/tools/pg", 'stop', $dir if -d $dir;
    system 'rm', '-rf', $dir;
}


my $first = pg('start');
my @databases = qw(one two three four five);
psql($first, "CREATE DATABASE $_") for @databases;
my %url = map { $_ => $first =~ s{/[^/?]*(\?|$)}{/$_$1}r } @databases;


sub server {
    my ($name, $database) = @_;

    return vault_server(name => $name, vault => "vault_jwt_key database;\n"
                        . "vault_database $url{$database};");
}


sub backup {
    my (@arguments) = @_;

    my $said = folder_of() . '/said';
    my $status = system("'$VaultNginx::ROOT/aws/backup.sh' "
                        . join(' ', map { "'$_'" } @arguments)
                        . " > $said 2>&1");
    return ($status == 0, VaultNginx::read_file($said));
}


# Each table of a database, as one text
sub contents {
    my ($url) = @_;

    my @tables = split /\n/, psql($url,
        "SELECT table_name FROM information_schema.tables
         WHERE table_schema = 'public' ORDER BY 1");
    return { map { $_ => psql($url, "SELECT * FROM $_ ORDER BY 1, 2") }
             grep { $_ ne 'vault_schema' } @tables };
}


my $server = server('one', 'one');
user('alice', $server);

my $folder = call($server, 'POST', '/api/folders', as => 'alice',
                  json => folder('x'));
is($folder->{status}, 200, 'a vault with something in it');

# Texts that are hard to print, and more than a transaction takes
psql($url{one}, q{UPDATE users SET name = E'O''Hara\n\\\\ ü "x" $$; --'});
psql($url{one}, q{INSERT INTO mails SELECT n, 'x@example.com', 'test',
    repeat(md5(n::text), 300), 0, 1, 9e14, NULLIF(9e14, n)
    FROM generate_series(1, 1200) AS n});

my ($ok, $said) = backup('dump', $copy, '--database', $url{one});
ok($ok, 'it is dumped') or diag $said;
is((stat "$copy/database.sql")[2] & 0777, 0600, 'for nobody else to read');

my $text = VaultNginx::read_file("$copy/database.sql");
my @parts = split /^COMMIT;/m, $text;
cmp_ok(@parts, '>', 5, 'in parts');
is(scalar(grep { 5_000_000 < length || (() = /^INSERT/mg) > 600 } @parts), 0,
   'none of which is more than a transaction of DSQL takes');
unlike($text, qr/\bCOPY\b/, 'and without COPY');

is_deeply([$server->stop], [], 'a clean end');


# A new deployment has tables and a key of its own, and no users.

($ok, $said) = backup('restore', $copy, '--database', $url{two});
ok(!$ok, 'without tables nothing is restored');
like($said, qr/no tables: deploy first/, 'which it says');

$server = server('two', 'two');
is(call($server, 'POST', '/identity/accounts/prelogin',
        json => { email => 'no@example.com' })->{status}, 200,
   'a new vault');
is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 401,
   'which knows nobody');
is_deeply([$server->stop], [], 'a clean end');

($ok, $said) = backup('restore', $copy, '--database', $url{two});
ok($ok, 'it is restored') or diag $said;
is_deeply(contents($url{two}), contents($url{one}), 'each row is there');

$server = server('again', 'two');
my $sync = call($server, 'GET', '/api/sync', as => 'alice');
is($sync->{status}, 200, 'the session goes on, by the old key');
is($sync->{json}{folders}[0]{name}, $folder->{json}{name},
   'with all that was there');
is_deeply([$server->stop], [], 'a clean end');

($ok, $said) = backup('restore', $copy, '--database', $url{two});
ok(!$ok, 'a vault with users is left alone');
like($said, qr/has 1 users already/, 'which it says');


# From PostgreSQL to Aurora DSQL, and from there to another cluster

sub cluster {
    my ($name) = @_;

    my $dsql = VaultDsql->new($url{$name}, folder_of() . "/$name");
    my $at = vault_server(name => "migrates.$name", vault =>
        "vault_lambda on;\nvault_jwt_key database;\n"
        . 'vault_database ' . $dsql->url . ';');
    cmp_ok($dsql->migrate($at)->{steps}, '>', 20, 'a cluster is migrated');
    is_deeply([$at->stop], [], 'a clean end');
    return $dsql;
}

my $four = cluster('four');
($ok, $said) = backup('restore', $copy, '--database',
                      $four->conninfo('admin') =~ s/'//gr);
ok($ok, 'a vault moves to Aurora DSQL') or diag $said;

($ok, $said) = backup('dump', "$copy.dsql", '--database',
                      $four->conninfo('admin') =~ s/'//gr);
ok($ok, 'is dumped there') or diag $said;

my $five = cluster('five');
($ok, $said) = backup('restore', "$copy.dsql", '--database',
                      $five->conninfo('admin') =~ s/'//gr);
ok($ok, 'and restored to another cluster') or diag $said;
is_deeply(contents($url{five}), contents($url{one}), 'each row is there');

$server = vault_server(name => 'dsql', vault => "vault_jwt_key database;\n"
                       . 'vault_database ' . $five->url . ';');
is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 200,
   'the session goes on');
is_deeply([$server->stop], [], 'a clean end');
$_->stop for $four, $five;


# What is not whole

VaultNginx::write_file("$copy/database.sql", $text =~ s/-- whole\n$//r);
($ok, $said) = backup('restore', $copy, '--database', $url{three});
ok(!$ok, 'half a copy is none');
like($said, qr/not whole/, 'which it says');

VaultNginx::write_file("$copy/database.sql", $text);
($ok, $said) = backup('dump', $copy, '--database', $url{three});
ok(!$ok, 'a database without a vault is not dumped');
is(VaultNginx::read_file("$copy/database.sql"), $text,
   'and the last copy is as it was');

done_testing();
