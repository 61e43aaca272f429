# The key that signs tokens, kept in the database: made by whoever comes first,
# the same for all, and waited for by those who come before it.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep);

use VaultFile qw(promise put_file attachments);
use VaultHttp;
use VaultServer qw(sql folder_of forget_users);
use VaultTest;

# Six workers look for primes at once: that may take its time.
my $SHARED = "vault_jwt_key database;\nvault_upload presigned;\n"
             . 'vault_database_timeout 60s; vault_request_timeout 60s;';
my @PRELOGIN = ('POST', '/identity/accounts/prelogin');


sub server {
    my ($name, %more) = @_;

    return vault_server(name => $name, vault => $SHARED, %more);
}


sub keys_made {
    my (@servers) = @_;

    return scalar(() = join('', map { $_->log_text } @servers)
                       =~ /made the key that signs/g);
}


# A failed start is tried again once a second at most.

sub until_status {
    my ($status, $ask) = @_;
    my $answer;

    for (1 .. 100 * $VaultNginx::SLOW) {
        $answer = $ask->();
        last if ($answer->{status} // 0) == $status;
        sleep 0.05;
    }

    return $answer;
}


# Several servers with several workers, all at once, on nothing.

my @servers = map { server("first$_", workers => 3, listen => ' reuseport') }
              1 .. 2;
my @pids;

for my $n (1 .. 18) {
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        my $answer = call($servers[$n % 2], @PRELOGIN,
                          json => { email => 'nobody@example.com' },
                          timeout => 60);
        POSIX::_exit($answer->{status} == 200 ? 0 : 1);
    }

    push @pids, $pid;
}

is(scalar(grep { waitpid($_, 0); $? != 0 } @pids), 0,
   'all who come at once are answered');
is(sql('SELECT count(*) FROM server_keys'), "1\n", 'by one key');
cmp_ok(keys_made(@servers), '>=', 1, 'which was made here');
ok(!-e folder_of() . '/jwt.pem', 'and is in no file');
unlike(join('', map { $_->log_text } @servers), qr/PRIVATE KEY/,
       'nor in a log');

my $alice = user('alice', $servers[0]);

is(call($servers[1], 'GET', '/api/sync', as => 'alice')->{status}, 200,
   'the other server takes a token of this one');

my $item = call($servers[0], 'POST', '/api/ciphers', as => 'alice',
                json => cipher())->{json}{id};
my $file = promise($servers[0], 'alice', $item, 5);
my $late = promise($servers[0], 'alice', $item, 5);

is_deeply([map { $_->stop } @servers], [], 'a clean end');

# Nothing is known yet, and a question with a body is the first.

my $made = sql('SELECT value FROM server_keys');
my $server = server('second');

is(call($server, 'POST', '/api/folders', as => 'alice',
        json => folder('x'))->{status}, 200,
   'the token is good after a new start');
is(put_file($server, $file->{path}, 'hello')->{status}, 201,
   'so is a link');
is(sql('SELECT value FROM server_keys'), $made, 'the key has stayed');
is(keys_made($server), 0, 'none was made');
stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'a clean end');

# A database that cannot be used yet: the key is waited for, and nobody is told
# that his session is over.

sql('INSERT INTO vault_schema (step, applied_at) VALUES (9999, 0)');
$server = server('waits');

my %ask = (
    'a token with a body' => sub {
        call($server, 'POST', '/api/folders', as => 'alice',
             json => folder('y')) },
    'a token without'  => sub {
        call($server, 'GET', '/api/sync', as => 'alice') },
    'a forged token'   => sub {
        call($server, 'POST', '/api/folders', json => folder('z'),
             headers => ["Authorization: Bearer $alice->{token}x"]) },
    'a link to put'    => sub { put_file($server, $late->{path}, 'hello') },
    'a forged link'    => sub {
        put_file($server, $late->{path} =~ s/sig=./sig=x/r, 'hello') },
    'a stranger'       => sub {
        call($server, @PRELOGIN, json => { email => 'no@example.com' }) },
);

for my $name (sort keys %ask) {
    is($ask{$name}->()->{status}, 503, "$name: to be asked again");
}

is(call($server, 'GET', '/alive')->{status}, 200,
   'what needs no key does not wait');

sql('DELETE FROM vault_schema WHERE step = 9999');

# Each on a server that has no key yet: admitted late, by the same rules.

my %later = (
    'a token with a body' => 200, 'a token without' => 200,
    'a forged token' => 401, 'a link to put' => 201,
    'a forged link' => 400, 'a stranger' => 200,
);

is_deeply([$server->stop], [], 'a clean end');

my $n = 0;

for my $name (sort keys %later) {
    $n++;
    sql('INSERT INTO vault_schema (step, applied_at) VALUES (9999, 0)');
    $server = server("late$n");
    is($ask{$name}->()->{status}, 503, "$name: not yet");

    sql('DELETE FROM vault_schema WHERE step = 9999');
    is(until_status($later{$name}, $ask{$name})->{status}, $later{$name},
       "$name: as soon as there is a key");
    is_deeply([$server->stop], [], '  a clean end');
}

# A key that is none.

sql("UPDATE server_keys SET value = 'no key'");
$server = server('broken');

my $answer = call($server, 'GET', '/api/sync', as => 'alice');
is($answer->{status}, 503, 'a key that is none signs nobody out');
like($server->log_text, qr/\[crit\].*"server_keys" is not a PEM.*delete it/,
     'and the log says what to do');
unlike($server->log_text, qr/no key\b/, 'without its text');

sql('DELETE FROM server_keys');
$answer = until_status(401, sub {
    call($server, 'GET', '/api/sync', as => 'alice') });

is($answer->{status}, 401, 'a new key ends all sessions');
is(keys_made($server), 1, 'it was made when it was needed');

is_deeply([grep { !/\[crit\]/ } $server->stop], [], 'a clean end');

# A server without a client, and two names of one database.

forget_users('alice');
$server = vault_server(name => 'two', vault => $SHARED,
    http => 'server { listen 127.0.0.1:' . VaultNginx::free_port()
            . '; location / { vault on; } }');
is(call($server, @PRELOGIN, json => { email => 'no@example.com' })->{status},
   200, 'two servers of one database');
is_deeply([$server->stop], [], 'a clean end');

done_testing();
