# The peer that plays Aurora DSQL refuses what DSQL refuses, in its words: it is
# asked here by libpq, with tokens made in Perl, so that neither it nor src/ is
# its own judge.  What DSQL says is as recorded on live clusters.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use IPC::Open2 qw(open2);
use JSON::PP ();
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm);

use VaultDsql;
use VaultNginx;
use VaultServer;

my $behind = VaultServer::postgresql();
my $dsql = VaultDsql->new($behind, VaultServer::folder_of() . '/dsql');
my $peer = $dsql->peer;
my $state = $peer->state;

my $KEY = 'AKIDEXAMPLE';
my $SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
my $HOST = $state->{host};
my $ABORTED = 'current transaction is aborted, commands ignored until end of '
              . 'transaction block';
my $OC000 = '40001 change conflicts with another transaction (OC000)';
my $OC001 = '40001 schema has been updated by another transaction (OC001)';


# A token; options: action, key, secret, token, region, service, late, expires,
# host, signed_host

sub encode {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return $text;
}


sub token {
    my (%option) = @_;

    my $stamp = strftime '%Y%m%dT%H%M%SZ', gmtime(time + ($option{late} // 0));
    my $scope = join '/', substr($stamp, 0, 8),
        $option{region} // 'us-east-1', $option{service} // 'dsql',
        'aws4_request';
    my %query = (
        'Action' => $option{action} // 'DbConnectAdmin',
        'X-Amz-Algorithm' => 'AWS4-HMAC-SHA256',
        'X-Amz-Credential' => ($option{key} // $KEY) . "/$scope",
        'X-Amz-Date' => $stamp, 'X-Amz-Expires' => $option{expires} // 900,
        'X-Amz-SignedHeaders' => 'host',
    );
    my $host = $option{host} // $HOST;

    $query{'X-Amz-Security-Token'} = $option{token} if $option{token};

    my $query = join '&', map { encode($_) . '=' . encode($query{$_}) }
                              sort keys %query;
    my $key = 'AWS4' . ($option{secret} // $SECRET);

    $key = hmac_sha256($_, $key) for split m{/}, $scope;

    my $signature = hmac_sha256_hex(
        "AWS4-HMAC-SHA256\n$stamp\n$scope\n" . sha256_hex(
            "GET\n/\n$query\nhost:" . ($option{signed_host} // $host)
            . "\n\nhost\n" . sha256_hex('')), $key);

    return "$host/?$query&X-Amz-Signature=$signature";
}


# libpq: t/peers/libpq.py

my $pid = open2(my $from, my $to, "$VaultNginx::ROOT/t/peers/libpq.py");
my $json = JSON::PP->new->canonical;

sub ask {
    print $to $json->encode([@_]), "\n";
    $to->flush;
    return $json->decode(scalar <$from>);
}


# Opened, or the words of why not

sub open_it {
    my ($name, $user, $token, $more) = @_;

    my $answer = ask($name, 'open', $dsql->conninfo($user, $token)
                                    . ' ' . ($more // ''));
    return $answer->{ok} ? 'open'
           : $answer->{error} =~ s/^.*?failed: //sr =~ s/\s+/ /gr;
}


# Each result in short: the tag, rows behind it; or the error

sub short {
    my ($result) = @_;

    return "$result->{tag}" . join '', map { ' ' . join ',', map { $_ // '-' }
                                             @$_ } @{$result->{rows}}
        if defined $result->{tag};

    return 'skipped' if ($result->{code} // '') eq 'skipped';
    return $result->{code} ? "$result->{code} $result->{words}" : 'cut';
}


sub results { return join ' | ', map { short($_) } @{$_[0]{results}} }

# One statement after the other; all in one pipeline; the simple protocol

sub run { return results(ask(shift, 'run', map { ref ? $_ : [$_] } @_)) }
sub at_once { return results(ask(shift, 'pipe', map { ref ? $_ : [$_] } @_)) }
sub query { return results(ask($_[0], 'query', $_[1])) }
sub tx { return ask($_[0], 'state')->{state} }


sub renewed {
    my ($name) = @_;

    is(open_it($name, 'admin', token()), 'open', "$name is open again");
}


# Tokens

is(open_it('a', 'admin', token()), 'open', 'admin comes in');
like(ask('b', 'open', $dsql->conninfo('admin', token())
         =~ s/dbname=postgres/dbname=vault/r)->{error},
     qr/database "vault" does not exist/, 'there is one database');

my $denied = 'FATAL: unable to accept connection, access denied';

for my $case (
    ['an old token', 'HINT: Signature expired: ', late => -901],
    ['a token of the future', 'HINT: Signature not yet', late => 1000],
    ['an unknown key', 'security token', key => 'AKIDUNKNOWN'],
    ['another secret', 'does not match', secret => 'x'],
    ['another region', 'valid region', region => 'eu-west-1'],
    ['another service', 'correct service', service => 'rds-db'],
    ['a week and a second', 'X-Amz-Expires', expires => 604801],
    ["another host's signature", 'does not match',
     signed_host => "x$HOST"],
    ["another cluster's token", 'not for this',
     host => 'z' x 26 . '.dsql.us-east-1.on.aws'],
    ["the role's action", 'Wrong user to action mapping. user: admin, '
     . 'action: DbConnect', action => 'DbConnect'],
    ['a session token', 'security token', token => 'x'],
) {
    my ($name, $hint, %option) = @$case;

    like(open_it('b', 'admin', token(%option)), qr/^$denied.*\Q$hint/,
         "$name is denied");
}

is(open_it('b', 'admin', token(late => -890)), 'open', 'old enough is taken');
like(open_it('b', 'admin', token() =~ s/Expires=900/Expires=901/r),
     qr/^$denied/, 'changed afterwards');
like(open_it('b', 'admin', 'secret'), qr/^$denied/, 'a password is none');
like(open_it('b', 'vault', token(action => 'DbConnect')),
     qr/^$denied.*not authorized to access/, 'a role that is not there');

# A signature of AWS's own kit, for another day
my $vector = 'abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws/?Action='
    . '%s&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%%2F'
    . '20261122%%2Fus-east-1%%2Fdsql%%2Faws4_request&X-Amz-Date='
    . '20261122T030000Z&X-Amz-Expires=900%s&X-Amz-SignedHeaders=host'
    . '&X-Amz-Signature=%s';
my $skew = timegm(0, 0, 3, 22, 10, 2026) - time;

$peer->set(skew => $skew + 5);
is(open_it('b', 'admin', sprintf $vector, 'DbConnectAdmin', '',
           '3b746a3e98aade6c675036269ceb312bd13dae47254b133c16ef718435656e6c'),
   'open', 'what the SDK has signed is taken');
$peer->set(keys => { $KEY => { secret => $SECRET, token => 'tok/en+==',
                               arn => $VaultDsql::ARN } });
is(open_it('b', 'admin', sprintf $vector, 'DbConnectAdmin',
           '&X-Amz-Security-Token=tok%2Fen%2B%3D%3D',
           'd74c86c5c600982800812ee79a1f88245a922a4ec60333e1a92bfa3e90551fef'),
   'open', 'and with a session token');
$peer->set(skew => $skew + 905);
like(open_it('b', 'admin', sprintf $vector, 'DbConnectAdmin',
             '&X-Amz-Security-Token=tok%2Fen%2B%3D%3D',
             'd74c86c5c600982800812ee79a1f88245a922a4ec60333e1a92bfa3e90551fef'
     ), qr/HINT: Signature expired/, 'until it is too old');
$peer->set(skew => 0, keys => $state->{keys});


# TLS

like(open_it('b', 'admin', token(), 'sslmode=disable'),
     qr/FATAL: unable to accept connection/, 'plain text is refused');
like(open_it('b', 'admin', token(), 'sslsni=0'),
     qr/FATAL: unable to accept connection, sni was not received/,
     'without a name');
like(open_it('b', 'admin', token(), "host=x$HOST"),
     qr/does not match host name/, 'the certificate is for one host');
like(open_it('b', 'admin', token(),
             'sslrootcert=/etc/ssl/certs/ca-certificates.crt'),
     qr/certificate verify failed/, 'and signed by one');

# What libpq 17 does with sslnegotiation=direct
sub direct {
    my (@alpn) = @_;

    my $startup = pack('NZ*Z*Z*Z*x', 196608, 'user', 'admin', 'database',
                       'postgres');
    my $pid = open2(my $out, my $in, 'openssl', 's_client', '-quiet',
                    '-connect', "127.0.0.1:$state->{port}", '-servername',
                    $HOST, '-CAfile', $state->{ca}, @alpn);

    print $in pack('N', 4 + length $startup), $startup;
    $in->flush;
    my $got = '';
    sysread $out, $got, 9;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    return unpack 'H*', $got;
}

{
    open my $old, '>&', \*STDERR;
    open STDERR, '>', '/dev/null';
    $peer->set(clear => 1);
    is(direct('-alpn', 'postgresql'), '520000000800000003',
       'TLS at once, and it asks for a password');
    is(direct(), '', 'but not without ALPN');
    open STDERR, '>&', $old;
    is_deeply([@{$peer->state->{counts}}{'direct', 'requested'}], [1, undef],
              'which is counted');
    open_it('b', 'admin', token());
    is_deeply([@{$peer->state->{counts}}{'direct', 'requested',
                                         'logins admin'}], [1, 1, 1],
              'apart from TLS by request');
}


# SQL

is(run('a', 'CREATE TABLE t (id text PRIMARY KEY, n bigint, b text)',
       'CREATE TABLE parent (id uuid PRIMARY KEY)'),
   'CREATE TABLE | CREATE TABLE', 'tables');

my @refused = (
    'TRUNCATE TABLE t' => 'unsupported statement: Truncate',
    'CREATE EXTENSION pgcrypto' => 'unsupported statement: CreateExtension',
    'CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()'
        => 'CREATE TRIGGER not supported',
    'CREATE DATABASE other' => 'unsupported statement: Createdb',
    'CREATE TEMPORARY TABLE x (id int)'
        => 'TEMPORARY or TEMP table not supported for CREATE TABLE',
    'CREATE UNLOGGED TABLE x (id int)'
        => 'UNLOGGED table not supported for CREATE TABLE',
    'CREATE MATERIALIZED VIEW x AS SELECT 1'
        => 'unsupported statement: CreateTableAs',
    'CREATE TABLE x AS SELECT 1' => 'unsupported statement: CreateTableAs',
    "CREATE TYPE x AS ENUM ('a')" => 'CREATE TYPE not supported',
    'CREATE TYPE x AS (a int)' => 'unsupported statement: CompositeType',
    'VACUUM t' => 'unsupported VACUUM statement',
    'LISTEN x' => 'unsupported statement: Listen',
    'NOTIFY x' => 'unsupported statement: Notify',
    "ALTER SYSTEM SET work_mem = '4MB'"
        => 'unsupported statement: AlterSystem',
    'CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$'
        => 'CREATE FUNCTION with language plpgsql not supported',
    'CREATE TABLE x (v int[])' => 'datatype integer[] not supported',
    'CREATE TABLE x (v inet)' => 'datatype inet not supported',
    'CREATE TABLE x (v money)' => 'datatype money not supported',
    'CREATE TABLE x (v varbit(8))' => 'datatype bit varying not supported',
    'CREATE TABLE x (id serial)' => '42704 type "serial" does not exist',
    'CREATE TABLE x (id int GENERATED ALWAYS AS IDENTITY (CACHE 1))' =>
        'datatype integer not supported, identity column type must be bigint',
    'CREATE SEQUENCE s' => 'CREATE SEQUENCE is not supported without an '
        . 'explicit cache size. please define CACHE greater than or equal to '
        . '65536 or equal to 1',
    'CREATE INDEX x ON t (n)'
        => 'unsupported mode. please use CREATE INDEX ASYNC.',
    'CREATE INDEX CONCURRENTLY x ON t (n)'
        => 'CONCURRENTLY not supported for CREATE INDEX',
    'CREATE INDEX ASYNC x ON t (n DESC)'
        => 'specifying sort order not supported for index keys',
    'CREATE INDEX ASYNC x ON t (b text_pattern_ops)'
        => 'opclass not supported for index keys',
    'CREATE INDEX ASYNC public.x ON t (n)'
        => '42601 syntax error at or near "."',
    'ALTER TABLE t ADD COLUMN c int DEFAULT 7'
        => 'ALTER TABLE ADD COLUMN with constraint not supported',
    'ALTER TABLE t ADD COLUMN c int NOT NULL'
        => 'ALTER TABLE ADD COLUMN with constraint not supported',
    'ALTER TABLE t ADD COLUMN c text[]' => 'datatype text[] not supported',
    'ALTER TABLE t ALTER COLUMN n TYPE text' => 'unsupported ALTER TABLE '
        . 'ALTER COLUMN ... SET DATA TYPE statement',
    'ALTER TABLE t ALTER COLUMN n SET NOT NULL' => 'unsupported ALTER TABLE '
        . 'ALTER COLUMN ... SET NOT NULL statement',
    'ALTER TABLE t ADD CONSTRAINT u UNIQUE (n)'
        => 'unsupported ALTER TABLE ADD CONSTRAINT statement',
    'ALTER TABLE t ADD CONSTRAINT k CHECK (n > 0)'
        => 'unsupported ALTER TABLE ADD CONSTRAINT statement',
    'SAVEPOINT x' => 'unsupported transaction statement: SAVEPOINT',
    'ROLLBACK TO SAVEPOINT x'
        => 'unsupported transaction statement: ROLLBACK TO',
    'BEGIN ISOLATION LEVEL SERIALIZABLE'
        => 'Unsupported isolation level: SERIALIZABLE',
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'
        => 'Unsupported isolation level: SERIALIZABLE',
    'SET TRANSACTION READ ONLY'
        => 'setting configuration parameter "TRANSACTION" not supported',
    "SET default_transaction_isolation = 'repeatable read'" => 'setting '
        . 'configuration parameter "default_transaction_isolation" not '
        . 'supported',
    'SELECT n FROM t FOR SHARE' => 'locking clauses other than FOR UPDATE/'
        . 'FOR KEY SHARE are not supported',
    'SELECT n FROM t TABLESAMPLE SYSTEM (1)'
        => 'TABLESAMPLE clause not supported',
    "SELECT to_tsvector('english', 'x')"
        => '42704 text search configuration "english" does not exist',
    'SELECT * FROM t LEFT JOIN LATERAL (SELECT t.n) AS x ON true'
        => '42804 attribute 1 of type record has wrong type',
    'MERGE INTO t USING parent p ON false WHEN MATCHED THEN DELETE'
        => 'unsupported statement type: MERGE',
    'SHOW lc_collate'
        => '42704 unrecognized configuration parameter "lc_collate"',
    'GRANT USAGE ON SCHEMA public TO admin'
        => 'feature not supported on system entity',
    # refused there too; in which words is not known
    'COPY t TO STDOUT' => 'unsupported statement: Copy',
    'LOCK TABLE t' => 'unsupported statement: Lock',
    'DO $$ BEGIN END $$' => 'unsupported statement: Do',
    'PREPARE x AS SELECT 1' => 'unsupported statement: Prepare',
    'DECLARE x CURSOR FOR SELECT 1' => 'unsupported statement: DeclareCursor',
    'SELECT pg_advisory_lock(1)' => 'function pg_advisory_lock not supported',
    'SET work_mem = 1'
        => 'setting configuration parameter "work_mem" not supported',
);

while (my ($sql, $words) = splice @refused, 0, 2) {
    $words = "0A000 $words" if $words !~ /^\d/;
    is(run('a', $sql), $words, $sql);
    is(query('a', $sql), $words, 'in the simple protocol');
}

is(query('a', 'SELECT 1; TRUNCATE t'), '0A000 unsupported statement: Truncate',
   'several at once');
is(tx('a'), 'idle', 'nothing of that has begun a transaction');

my @taken = (
    'SELECT 1', 'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 '
    . 'FROM r WHERE n < 3) SELECT n FROM r',
    "INSERT INTO t VALUES ('a', 1) ON CONFLICT (id) DO UPDATE SET n = "
    . 'excluded.n RETURNING n',
    'SELECT n FROM t FOR UPDATE', 'SELECT n FROM t FOR KEY SHARE',
    'BEGIN ISOLATION LEVEL REPEATABLE READ', 'COMMIT',
    'BEGIN READ ONLY', 'ROLLBACK', 'ANALYZE t', 'EXPLAIN SELECT 1',
    'CREATE VIEW v AS SELECT 1 AS x', 'DROP VIEW v',
    'CREATE DOMAIN d AS int', 'CREATE SEQUENCE s CACHE 1',
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    'CREATE TABLE x (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 65536),'
    . ' j jsonb, p uuid REFERENCES parent(id) ON DELETE CASCADE)',
    'ALTER TABLE x ADD COLUMN c text', 'ALTER TABLE x ADD CONSTRAINT k '
    . 'CHECK (c IS NOT NULL) NOT VALID',
    'ALTER TABLE ASYNC x VALIDATE CONSTRAINT k',
    'ALTER TABLE x ALTER COLUMN c SET DEFAULT 1', 'ALTER TABLE x DROP COLUMN c',
    'SELECT p.id FROM parent p CROSS JOIN LATERAL (SELECT p.id) AS x',
    "SELECT '127.0.0.1'::inet", "SELECT string_to_array('1', ',')",
    'DROP TABLE x', 'DEALLOCATE ALL',
);
unlike(run('a', $_), qr/^[0-9][0-9A-Z]{4} /, $_) for @taken;

is(run('a', 'SHOW transaction_isolation'), 'SHOW repeatable read',
   'the isolation');
is(run('a', 'SHOW timezone'), 'SHOW UTC', 'the time zone');
ask('a', 'prepare', 'p', 'SELECT $1::text');
is(results(ask('a', 'execute', 'p', 'x')), 'SELECT 1 x',
   'statements of the protocol have names');
is(results(ask('a', 'prepare', 'q', 'TRUNCATE t')),
   '0A000 unsupported statement: Truncate', 'and are read');


# Transactions

run('a', 'DELETE FROM t');
my $number = 'INSERT INTO t SELECT g::text, g FROM generate_series(1, %d) g';
my $many = sprintf $number, 3001;

is(at_once('a', 'BEGIN', 'CREATE TABLE x (id int)', 'CREATE TABLE y (id int)',
        'SELECT 1'),
   'BEGIN | CREATE TABLE | 0A000 multiple ddl statements not supported in a '
   . 'transaction | skipped', 'one DDL a transaction');
is(tx('a'), 'failed', 'which has failed');
is(run('a', 'TRUNCATE t', 'SELECT 1', 'COMMIT'),
   "25P02 $ABORTED | 25P02 $ABORTED | ROLLBACK", 'and is over');
is(run('a', 'BEGIN', 'GRANT SELECT ON t TO admin', 'GRANT SELECT ON t TO '
       . 'admin', 'ROLLBACK'),
   'BEGIN | GRANT | 0A000 multiple ddl statements not supported in a '
   . 'transaction | ROLLBACK', 'grants are DDL');

my $mixed = '0A000 ddl and dml are not supported in the same transaction';

is(at_once('a', 'BEGIN', 'CREATE TABLE x (id int)',
           "INSERT INTO t VALUES ('1')", 'COMMIT'),
   "BEGIN | CREATE TABLE | $mixed | skipped", 'DDL and DML');
run('a', 'ROLLBACK');
is(at_once('a', "INSERT INTO t VALUES ('1')", 'CREATE TABLE x (id int)'),
   "INSERT 0 1 | $mixed", 'nor in a pipeline without BEGIN');
is(query('a', 'CREATE TABLE x (id int); CREATE TABLE y (id int)'),
   '0A000 multiple ddl statements not supported in a transaction',
   'nor in one query');
is(run('a', 'SELECT count(*) FROM t'), 'SELECT 1 0', 'nothing was done');

is(run('a', $many), '54000 transaction row limit exceeded', '3,001 rows');
is(query('a', $many), '54000 transaction row limit exceeded', 'by a query');
is(at_once('a', 'BEGIN', $many, 'SELECT 1', 'COMMIT'),
   'BEGIN | 54000 transaction row limit exceeded | skipped | skipped',
   'in a transaction');
is(tx('a') . ' ' . run('a', 'SELECT 1', 'ROLLBACK'),
   "failed 25P02 $ABORTED | ROLLBACK", 'which has failed');
is(run('a', 'BEGIN', $many, 'SELECT 1', 'COMMIT'),
   "BEGIN | 54000 transaction row limit exceeded | 25P02 $ABORTED | ROLLBACK",
   'one statement after the other');
is(run('a', 'SELECT count(*) FROM t'), 'SELECT 1 0', 'all for nothing');
is(run('a', 'BEGIN', sprintf($number, 2999), "INSERT INTO t VALUES ('x')",
       'COMMIT'), 'BEGIN | INSERT 0 2999 | INSERT 0 1 | COMMIT', '3,000 rows');
is(run('a', 'BEGIN', 'UPDATE t SET n = 1', 'DELETE FROM t WHERE n = 1',
       'ROLLBACK'), 'BEGIN | UPDATE 3000 | 54000 transaction row limit '
   . 'exceeded | ROLLBACK', 'of all kinds together');

my $mib = 'x' x 1048576;

is(run('a', ["INSERT INTO t VALUES ('big', 1, \$1)", "${mib}x"]),
   '54000 datatype limit greater than 1048576 bytes not supported for text',
   'a value of more than a MiB');
is(run('a', ["INSERT INTO t VALUES ('big', 1, \$1)", $mib]), 'INSERT 0 1',
   'and of one');
is(run('a', 'CREATE TABLE wide (a text, b text, c text)',
       ['INSERT INTO wide VALUES ($1, $1, $1)', $mib]),
   'CREATE TABLE | 54000 maximum row size exceeded', 'a row of three');
is(run('a', 'BEGIN', (map { ['UPDATE t SET b = $1 WHERE id = $2', $mib, $_] }
                      1 .. 10), 'COMMIT'),
   join(' | ', 'BEGIN', ('UPDATE 1') x 10,
        '54000 transaction size limit 10mb exceeded'),
   'ten of them in a transaction, and a little');
is(tx('a'), 'idle', 'which is over');
is(run('a', ['SELECT length($1)', 'x' x 10485760]), 'cut',
   'a message of more than ten: the connection ends without a word');
renewed('a');

$peer->set(max_age => 0.2);
run('a', 'BEGIN', 'SELECT 1');
sleep 0.3;
is(run('a', 'COMMIT'), '54000 transaction age limit of 300s exceeded',
   'a transaction that is too old');
$peer->set(max_age => 300);


# Collisions

renewed('b');
is(run('b', 'BEGIN', "UPDATE t SET n = 5 WHERE id = '1'"),
   'BEGIN | UPDATE 1', 'one writes a row');
my $begun = time;
is(run('a', 'BEGIN', "SELECT n FROM t WHERE id = '1' FOR UPDATE",
       "UPDATE t SET n = 6 WHERE id = '1'", "UPDATE t SET n = 6 WHERE id = "
       . "'2'", "SELECT n FROM t WHERE id = '1'"),
   'BEGIN | SELECT 1 1 | UPDATE 1 | UPDATE 1 | SELECT 1 1',
   'another does not wait for it');
cmp_ok(time - $begun, '<', 10, 'not at all');
is(run('b', 'COMMIT'), 'COMMIT', 'who commits first has won');
is(run('a', 'COMMIT'), $OC000, 'the other collides at its end');
is(tx('a') . ' ' . run('a', "SELECT n FROM t WHERE id IN ('1', '2')"
                           . ' ORDER BY n'),
   'idle SELECT 2 2 5', 'and nothing is done');

run('a', 'BEGIN', "SELECT n FROM t WHERE id = '1'");
run('b', "UPDATE t SET n = 7 WHERE id = '1'");
is(at_once('a', "UPDATE t SET n = n + 1 WHERE id = '1'", 'COMMIT'),
   "UPDATE 1 | $OC000", 'what was read before must not have changed');
is(run('a', "SELECT n FROM t WHERE id = '1'"), 'SELECT 1 7', 'nor is it lost');

run('a', 'BEGIN', "UPDATE t SET n = 8 WHERE id = '3'");
is(run('b', "UPDATE t SET n = 8 WHERE id = '4'"), 'UPDATE 1',
   'other rows are no matter');
is(run('a', 'COMMIT'), 'COMMIT', 'for both');

is(run('a', 'ALTER TABLE t ADD COLUMN c text'), 'ALTER TABLE', 'DDL');
is(run('b', 'SELECT 1', 'SELECT 1'), "$OC001 | SELECT 1 1",
   'is a surprise for others, reads as well, once');
run('b', 'BEGIN', "UPDATE t SET n = 9 WHERE id = '1'");
run('a', 'GRANT SELECT ON parent TO admin');
is(run('b', 'COMMIT'), $OC001, 'at COMMIT where it came in between');
is(run('b', 'BEGIN', 'SELECT 1', 'COMMIT'), 'BEGIN | SELECT 1 1 | COMMIT',
   'once, too');


# Indexes

$peer->set(job_delay => 0.4);
my $made = ask('a', 'run', ['CREATE INDEX ASYNC t_n ON t (n)']);
my $job = $made->{results}[0]{rows}[0][0];
like($job, qr/^[a-z2-7]{26}$/, 'a job is named');
is_deeply($made->{results}[0]{columns}, ['job_id'], 'in a row');
my $valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'"
            . '::regclass';
is(run('a', $valid), 'SELECT 1 f', 'the index is not valid yet');
is(run('a', "SELECT status, job_type, object_name FROM sys.jobs WHERE job_id"
       . " = '$job'"), 'SELECT 1 submitted,INDEX_BUILD,t_n', 'its job');
is(run('a', "CALL sys.wait_for_job('$job')"), 'CALL', 'is waited for');
is(run('a', $valid), 'SELECT 1 t', 'then it is');
is(run('a', 'CREATE INDEX ASYNC IF NOT EXISTS t_n ON t (n)'),
   'CREATE INDEX', 'one that is there needs no job');
is(run('a', 'BEGIN', "CALL sys.wait_for_job('$job')", 'ROLLBACK')
   =~ s/2D000.*? \|/refused |/r, 'BEGIN | refused | ROLLBACK',
   'nobody waits in a transaction');
$peer->set(job_delay => 0.02, job_fails => JSON::PP::true);
run('a', 'CREATE INDEX ASYNC t_b ON t (c)');
sleep 0.3;
is(run('a', 'SELECT status FROM sys.jobs WHERE object_name = \'t_b\''),
   'SELECT 1 failed', 'a job may fail');
is(run('a', $valid =~ s/t_n/t_b/r), 'SELECT 1 f', 'and the index stays so');
$peer->set(job_fails => JSON::PP::false);


# Roles

is(run('a', 'CREATE ROLE app WITH LOGIN'), 'CREATE ROLE', 'a role');
is(run('a', 'CREATE ROLE app WITH LOGIN'), '42710 role "app" already exists',
   'once');
like(open_it('c', 'app', token(action => 'DbConnect')),
     qr/^$denied.*not authorized to access/, 'which nobody has yet');
is(run('a', "AWS IAM GRANT other TO '$VaultDsql::ARN'"),
   '42704 role "other" does not exist', 'not for those that are not there');
is(run('a', "AWS IAM GRANT app TO '$VaultDsql::ARN'"), 'GRANT', 'is given');
is(run('a', 'SELECT * FROM sys.iam_pg_role_mappings'),
   "SELECT 1 app,$VaultDsql::ARN", 'which is seen');
like(open_it('c', 'app', token()), qr/Wrong user to action mapping/,
     'not by the action of admin');
is(open_it('c', 'app', token(action => 'DbConnect')), 'open', 'by its own');
is(run('c', 'SELECT count(*) FROM t'), '42501 permission denied for table t',
   'it sees nothing');
run('a', 'GRANT SELECT, INSERT ON t TO app');
is(run('c', 'SELECT 1', 'SELECT count(*) FROM t', 'DELETE FROM t'),
   "$OC001 | SELECT 1 3001 | 42501 permission denied for table t",
   'but what it was given');
is(run('c', 'CREATE TABLE mine (id int)'),
   '42501 permission denied for schema public', 'it makes no tables');
is(run('c', 'SELECT count(*) >= 0 FROM sys.jobs'), 'SELECT 1 t',
   'and sees jobs');
run('a', "AWS IAM REVOKE app FROM '$VaultDsql::ARN'");
like(open_it('d', 'app', token(action => 'DbConnect')), qr/^$denied/,
     'until it is taken away');
$peer->set(keys => { $KEY => { secret => $SECRET, arn => $VaultDsql::ARN,
                               actions => ['DbConnect'] } });
like(open_it('d', 'admin', token()),
     qr/not authorized to perform: dsql:DbConnectAdmin/,
     'who may not be admin is not');
$peer->set(keys => $state->{keys});


# Faults

renewed('b');
$peer->set(oc000_every => 2);
is(join(' ', map { run('a', "INSERT INTO t VALUES ('o$_')") =~ /OC000/ || 0 }
            1 .. 4), '0 1 0 1', 'each second write collides');
is(join(' ', map { run('a', 'BEGIN', "INSERT INTO t VALUES ('p$_')", 'COMMIT')
                   =~ /COMMIT$/ || 0 } 1 .. 4), '1 0 1 0',
   'or transaction');
is(run('a', 'SELECT 1', 'BEGIN', 'SELECT 1', 'COMMIT'),
   'SELECT 1 1 | BEGIN | SELECT 1 1 | COMMIT', 'reads do not');
$peer->set(oc000_every => 0);
is(run('a', "SELECT id FROM t WHERE id ~ '^[op]' ORDER BY id"),
   'SELECT 4 o1 o3 p1 p3', 'what collided is not there');

$peer->set(oc001_next => 2);
is(run('a', 'SELECT 1', 'SELECT 1', 'SELECT 1'),
   "$OC001 | $OC001 | SELECT 1 1", 'a stale catalog');

for my $case (['eof_before_commit', 0], ['eof_after_commit', 1]) {
    my ($fault, $done) = @$case;

    $peer->set($fault => 1);
    is(run('a', "INSERT INTO t VALUES ('$fault')"), 'cut', "$fault: a write");
    renewed('a');
    is(run('a', "SELECT count(*) FROM t WHERE id = '$fault'"),
       "SELECT 1 $done", "$fault: and it is done or not");

    run('a', 'BEGIN', "INSERT INTO t VALUES ('$fault 2')");
    $peer->set($fault => 1);
    is(run('a', 'COMMIT'), 'cut', "$fault: a transaction");
    renewed('a');
    is(run('a', "SELECT count(*) FROM t WHERE id = '$fault 2'"),
       "SELECT 1 $done", "$fault: which is done or not");

    $peer->set($fault => 1);
    is(query('a', "INSERT INTO t VALUES ('$fault 3')"), 'cut',
       "$fault: a query");
    renewed('a');
    is(run('a', "SELECT count(*) FROM t WHERE id = '$fault 3'"),
       "SELECT 1 $done", "$fault: the same");
}

$peer->set(eof_every => 2);
is(join(' ', map { my $got = run('a', "INSERT INTO t VALUES ('e$_')");
                   open_it('a', 'admin', token()) if $got eq 'cut';
                   $got =~ s/INSERT 0 1/done/r } 1 .. 4),
   'done cut done cut', 'each second write is cut');
$peer->set(eof_every => 0);
is(run('a', "SELECT id FROM t WHERE id IN ('e1', 'e2', 'e3', 'e4')"
       . ' ORDER BY id'), 'SELECT 3 e1 e3 e4', 'the fourth after it was done');

for my $case (
    ['53300', 'Unable to accept connection, too many open connections.'],
    ['53400', 'Unable to accept connection, rate exceeded.'],
    ['waking', 'unable to accept connection, waking up cluster, please retry '
     . 'later'],
    ['denied', 'unable to accept connection, access denied'],
) {
    my ($how, $words) = @$case;

    $peer->set(refuse => { how => $how, times => 2 });
    is(join('; ', map { open_it('d', 'admin', token()) } 1 .. 3),
       "FATAL: $words; FATAL: $words; open", "$how, twice");
}

$peer->set(freeze => JSON::PP::true);
my $answer;
{
    local $SIG{ALRM} = sub { $peer->set(freeze => JSON::PP::false) };
    $begun = time;
    alarm 1;
    $answer = run('a', 'SELECT 1');
    alarm 0;
}
is($answer, 'SELECT 1 1', 'frozen, until it is not');
cmp_ok(time - $begun, '>', 0.9, 'for as long as that');

$peer->set(close_after => 0.2);
sleep 0.5;
is(run('a', 'SELECT 1'), 'cut', 'connections end after some time');
$peer->set(close_after => 0);
renewed('a');
$peer->set(drop => 1);
is(run('a', 'SELECT 1'), 'cut', 'or at once');

$state = $peer->state;
is($state->{sessions}, 0, 'nobody is left');
cmp_ok($state->{counts}{54000}, '>', 5, 'errors are counted');
is($state->{refusals}[-1][0], '08006', 'and told');

close $to;
waitpid $pid, 0;
$dsql->stop;
done_testing();
