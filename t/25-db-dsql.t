# Aurora DSQL, on the peer that refuses what it refuses: who is let in, what is
# tried again and what is not, and what a connection is good for.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultDsql;
use VaultNginx;
use VaultServer ();
use VaultTest 'debug';

my $behind = VaultServer::postgresql();
my $folder = folder_of();
my $dsql = VaultDsql->new($behind, "$folder/dsql");
my $peer = $dsql->peer;
my $state = $peer->state;
my $url = $dsql->url;

my $extra = "vault_jwt_key $folder/dsql.pem;\nvault_login_limit off;\n";


sub start {
    my ($name, $database, %more) = @_;

    return vault_server(name => $name, %more,
                        vault => "vault_database $database;\n$extra"
                                 . ($more{vault} // ''));
}


sub rows {
    my ($server, $n) = @_;

    return call($server, 'POST', "/api/debug/rows/$n")->{status};
}


sub count {
    my ($server) = @_;

    my $answer = call($server, 'POST', '/api/debug/count', timeout => 60);
    return $answer->{status} == 200 ? $answer->{json}{n}
                                    : -$answer->{status};
}


sub reads {
    my ($server) = @_;

    return call($server, 'GET', '/api/debug/rows')->{status};
}


sub counts { return $peer->state->{counts} }


# How often something was done at the peer meanwhile

sub during {
    my ($what, $code) = @_;

    my $before = counts()->{$what} // 0;
    $code->();
    return (counts()->{$what} // 0) - $before;
}


# Migrations

my $server = start('server', $url);

is(reads($server), 503, 'an empty cluster: nobody is let in');
is(psql($behind, "SELECT count(*) FROM pg_tables"
                 . " WHERE schemaname = 'public'"), "0\n",
   'and no server makes a table');

my $migrated = call($server, 'POST', '/api/debug/migrate', timeout => 120);
is($migrated->{status}, 200, 'the deploy step migrates');
cmp_ok($migrated->{json}{n}, '>', 20, 'by many steps');
is(call($server, 'POST', '/api/debug/migrate')->{json}{n}, 0, 'once');
is(reads($server), 200, 'now the server serves');

is(psql($behind, 'SELECT count(*) FROM pg_index WHERE NOT indisvalid'), "0\n",
   'all indexes are valid');

is(psql($behind, 'SELECT rolsuper FROM pg_roles WHERE rolname = \'vault\''),
   "f\n", 'servers are nobody special');
is(psql($behind, <<'SQL'), "t|f|t|f\n", 'and may change rows, not the schema');
    SELECT bool_and(has_table_privilege('vault', t, r)), bool_or(vault_owns),
        has_table_privilege('vault', 'vault_schema', 'SELECT'),
        has_table_privilege('vault', 'vault_schema', 'DELETE')
    FROM (SELECT quote_ident(tablename) AS t, tableowner = 'vault'
            AS vault_owns FROM pg_tables WHERE schemaname = 'public'
            AND tablename <> 'vault_schema') AS tables,
        (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS rights (r)
SQL

sleep 1.1;                      # a failure is remembered for so long
psql($behind, 'DELETE FROM vault_schema WHERE step > 2');

my $other = start('old', $url);

is(reads($other), 503, 'a schema that is too old');
like($other->log_text,
     qr/schema 2 is older than this module's \d+: run the deploy step's/,
     'is named with its remedy');
is(psql($behind, 'SELECT max(step) FROM vault_schema'), "2\n",
   'and left alone');

# two at once, and indexes that take their time

psql($behind, 'DROP INDEX mails_due');
$peer->set(job_delay => 0.5);

my @pids = map {
    my $pid = fork // die "fork: $!\n";
    POSIX::_exit(call($other, 'POST', '/api/debug/migrate',
                      timeout => 120)->{status} != 200) if $pid == 0;
    $pid;
} 1 .. 2;

is((grep { waitpid $_, 0; $? } @pids), 0, 'two migrate at once');
is(reads($other), 200, 'and it serves');

$peer->set(job_delay => 0.02, job_fails => 1);
psql($behind, 'DROP INDEX mails_due; DELETE FROM vault_schema WHERE step > 2');
is(call($other, 'POST', '/api/debug/migrate', timeout => 120)->{status}, 503,
   'an index that cannot be built');
like($other->log_text, qr/the index mails_due could not be built/, 'is named');
$peer->set(job_fails => 0);
is(call($other, 'POST', '/api/debug/migrate', timeout => 120)->{status}, 200,
   'the next attempt builds it');

psql($behind, 'INSERT INTO vault_schema VALUES (9999, 0)');
$other->stop;
$other = start('newer', $url);
is(reads($other), 503, 'a schema that is too new');
like($other->log_text, qr/schema 9999 is newer .*: upgrade the module/,
     'is named with its remedy');
psql($behind, 'DELETE FROM vault_schema WHERE step = 9999');
$other->stop;

# Collisions

my $n = count($server);
cmp_ok($n, '>', 0, 'a transaction');

$peer->set(oc000_every => 2);
is(count($server), ++$n, "collides now and then: $n") for 1 .. 6;
is(rows($server, $_), 200, 'a write on its own, too') for 1 .. 4;
$peer->set(oc000_every => 0);

$peer->set(oc001_next => 3);
is(reads($server), 200, 'a stale catalog: reads are tried again');
$peer->set(oc001_next => 3);
is(count($server), ++$n, 'and so are transactions');

$peer->set(oc000_every => 1);
is(count($server), -503, 'one that always collides ends');
$peer->set(oc000_every => 0);
is(count($server), ++$n, 'and has changed nothing');

# A COMMIT that is not answered

for my $round (1 .. 3) {
    $peer->set(eof_before_commit => 1);
    is(count($server), ++$n, 'cut before COMMIT was done: done again');
    like($server->log_text, qr/COMMIT that nobody answered was not done/,
         'which was looked up');

    $peer->set(eof_after_commit => 1);
    is(count($server), ++$n, 'cut after it: done once');
    like($server->log_text, qr/COMMIT that nobody answered was done/,
         'which was looked up, too');
}

my $alice = user('alice', $server);

for my $cut (qw(eof_before_commit eof_after_commit)) {
    $peer->set($cut => 1);
    my $made = call($server, 'POST', '/api/folders', as => 'alice',
                    json => folder($cut));
    is($made->{status}, 200, "$cut: a folder is made");
}

is(@{call($server, 'GET', '/api/folders', as => 'alice')->{json}{data}}, 2,
   'each once');

my ($marks) = psql($behind, 'SELECT count(*) FROM marks') =~ /(\d+)/;
cmp_ok($marks, '>', 10, 'transactions leave marks');
psql($behind, "UPDATE marks SET id = '00000000000001' || substr(id, 15)");
cmp_ok(call($server, 'POST', '/api/debug/jobs?name=marks')->{json}{count}, '>=',
       $marks, 'that a job removes');
cmp_ok((psql($behind, 'SELECT count(*) FROM marks') =~ /(\d+)/)[0], '<', 10,
       'when they are old');

# Connections that end

$peer->set(drop => 1);
is(reads($server), 200, 'all connections have ended: a read');
$peer->set(drop => 1);
is(count($server), ++$n, 'a transaction');
$peer->set(drop => 1);
is(rows($server, 5), 200, 'a write on its own');

my $connects = during(connections => sub { reads($server) for 1 .. 5 });
is($connects, 0, 'a connection is used again');

call($server, 'POST', '/api/debug/age/40');
my $trips = status($server)->{database}{round_trips} // 0;
is(during(connections => sub { is(reads($server), 200, 'after 40 s') }), 0,
   'one that has slept proves that it lives');

call($server, 'POST', '/api/debug/age/3301');
cmp_ok(during(connections => sub {
    is(reads($server), 200, 'after 55 minutes')
}), '>=', 1, 'one that is old is replaced');

$peer->set(lifetime => 0.3);
call($server, 'POST', '/api/debug/age/3301');
for (1 .. 8) {
    is(count($server), ++$n, 'connections of a short life');
    sleep 0.1;
}
$peer->set(lifetime => 3600);

# "Later"

for my $how (qw(53300 53400 waking)) {
    $peer->set(drop => 1, refuse => { how => $how, times => 2 });
    is(reads($server), 200, "$how: asked again a moment later");
}

# "No"

my $fresh = sub {
    my ($name, $database) = @_;

    my $new;
    my $tries = during(connections => sub {
        $new = start($name, $database);
        is(reads($new), 503, "$name: nobody is let in");
    });
    my $log = $new->log_text;
    $new->stop;
    return ($tries, $log);
};

$peer->set(refuse => { how => 'denied', times => 2 });
my ($tries, $log) = $fresh->('denied', $url);
is($tries, 1, 'it is asked once');
$peer->set(refuse => {});
unlike($log, qr/X-Amz-Signature|Action=DbConnect/, 'no token in the log');

$peer->set(skew => 2000);
($tries, $log) = $fresh->('expired', $url);
is($tries, 2, 'it is asked once more, with another token');
like($log, qr/Signature expired/, 'the log has the hint');
$peer->set(skew => 0);

($tries, $log) = $fresh->('role', $url =~ s/role=vault/role=other/r);
like($log, qr/not authorized/, 'a role that nobody has granted');

{
    local $ENV{AWS_SECRET_ACCESS_KEY} = 'wrong';
    ($tries, $log) = $fresh->('key', $url);
    is($tries, 1, 'a wrong key is tried once');
    like($log, qr/access denied/, 'the log tells');
}

# TLS

system "openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=other"
       . " -keyout $folder/other.key -out $folder/other.pem 2>/dev/null";
($tries, $log) = $fresh->('strange', $url =~ s/sslrootcert=[^&]*/
                                              sslrootcert=$folder\/other.pem/xr
                                          =~ s/\s//gr);
is($tries, 0, 'nothing is said to a server that nobody vouches for');
like($log, qr/certificate verify failed/, 'the log tells');

my $strange = 'z' x 26;
($tries, $log) = $fresh->('name',
                          $url =~ s{//\w{26}}{//$strange}r);
is($tries, 0, 'nor to one of another name');
like($log, qr/does not match host name/, 'the log tells');

# Session tokens

$peer->set(keys => { %{$peer->state->{keys}}, ASIATEMPORARY => {
    secret => 'another', token => 'x' x 1500 . '/+==',
    arn => 'arn:aws:iam::111122223333:role/vault' } });

{
    local $ENV{AWS_ACCESS_KEY_ID} = 'ASIATEMPORARY';
    local $ENV{AWS_SECRET_ACCESS_KEY} = 'another';
    local $ENV{AWS_SESSION_TOKEN} = 'x' x 1500 . '/+==';

    my $temporary = start('temporary', $url);
    is(reads($temporary), 200, 'temporary keys, with a long session token');
    is_deeply([$temporary->stop], [], 'end well');
}

like(psql($behind, 'SELECT count(*) FROM stages'), qr/^0$/, 'no stage is left');
stops_clean($server);
$server->stop;
$dsql->stop;

done_testing();
