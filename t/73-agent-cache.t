# Answers that are kept: which, for how long, for whom; one fetch for all; what
# is given when Vault is not there.

use strict;
use warnings;

use lib 't/lib';

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultAgent;
use VaultHttp;
use VaultNginx;
use VaultPeer;

my $GUARD = 'X-Vault-Request: true';
my $CONTROL = 'X-Vault-Cache-Control';
my $YES = JSON::PP::true;
my $NO = JSON::PP::false;
my $SLOW = $VaultNginx::SLOW;

delete @ENV{grep { /^AWS_/ } keys %ENV};
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';

my $vault = vault();
my $nginx;


# An agent with two workers and an empty cache

sub cached {
    my ($options, %arg) = @_;

    $vault->set(clear => $YES, fail => [], sealed => $NO, standby => 0,
                up => $YES, denied => [], lease_ttl => 3600, secrets => {
                    'secret/a' => { k => 'value-a' },
                    'secret/b' => { k => 'value-b' },
                    'kv/c' => { k => 'value-c' },
                    'kv/large' => { k => 'x' x 300_000 } });

    return agent($vault, workers => 2, options => 'timeout=3s retries=1',
                 http => "vault_agent_cache $options;",
                 server => 'location = /status { vault_agent_status; }', %arg);
}


sub ask {
    my ($path, @headers) = @_;

    return ask_by('GET', $path, @headers);
}


sub ask_by {
    my ($method, $path, @headers) = @_;

    my $answer = VaultHttp::request($nginx->port, $method, "/v1/$path",
                                    [$GUARD, @headers], undef,
                                    timeout => 30 * $SLOW);

    $answer->{json} = VaultHttp::json($answer);
    return $answer;
}


# "200 HIT"

sub told {
    my ($answer) = @_;

    return ($answer->{status} // $answer->{error}) . ' '
           . (VaultHttp::header($answer, 'X-Cache') // '-');
}


sub status {
    my ($method, $query) = @_;

    return VaultHttp::json(VaultHttp::request(
        $nginx->port, $method // 'GET', '/status' . ($query // '')));
}


sub stats { return status()->{caches}[0] }


sub test_hits {
    $nginx = cached('1m ttl=60s');

    my $first = ask('secret/data/a');
    is(told($first), '200 MISS', 'the first one is fetched');

    for my $headers ([], ['X-Request-Id: 7', 'Accept: */*'],
                     ['traceparent: 00-x-y-01', 'X-Vault-Token: other'])
    {
        my $again = ask('secret/data/a', @$headers);
        is(told($again), '200 HIT', '  the next is kept');
        is($again->{body}, $first->{body}, '  the same bytes');
        is(VaultHttp::header($again, 'Content-Type'), 'application/json',
           '  of the same type');
    }

    is($vault->count('read'), 1, 'Vault was asked once');
    is(told(ask('secret/data/a?version=1')), '200 MISS', 'another query');
    is(told(ask('secret/data/b')), '200 MISS', 'another path');
    is(told(ask_by('LIST', 'secret/metadata')), '200 MISS', 'another method');
    is(told(ask_by('LIST', 'secret/metadata')), '200 HIT', '  LIST is kept');
    is(told(ask_by('GET', 'secret/metadata?list=true')), '200 MISS', '  GET');
    is(told(ask_by('HEAD', 'secret/data/a')), '200 BYPASS', 'HEAD is not');

    $vault->set(namespace => 'team');
    is(told(ask('secret/data/a', 'X-Vault-Namespace: team')), '200 MISS',
       'another namespace');
    is(told(ask('secret/data/a', 'X-Vault-Namespace: team')), '200 HIT',
       '  has its own');
    $vault->set(namespace => '');

    my $stats = stats();
    is("$stats->{hits} $stats->{entries}", '5 6', 'all of it is counted');
    cmp_ok($stats->{bytes}, '>', 1000, '  in bytes, too');

    my $agent = status()->{agents}[0];
    is("$agent->{address} $agent->{logins}", "$vault->{url} 1",
       'and so are logins');
    like($agent->{tokenAge}, qr/^\d+$/, '  with the age of the token');
}


sub test_logins {
    is(told(ask('secret/data/a')), '200 HIT', 'before another login');
    sleep 5.1;
    $vault->set(forget => $YES);
    is(told(ask('secret/data/b?x=1')), '200 MISS', 'another login');
    is(status()->{agents}[0]{logins}, 2, '  there was one');
    is(told(ask('secret/data/a')), '200 HIT', '  what was kept is');

    $nginx->signal('HUP');
    log_has($nginx, qr/worker process \d+ exited with code 0/, 'a reload');
    is(told(ask('secret/data/a')), '200 HIT', '  what was kept is');
}


sub test_control {
    is(told(ask('secret/data/a', "$CONTROL: nocache")), '200 BYPASS',
       'nocache');
    is(told(ask('secret/data/a', "$CONTROL: cache , nocache")), '200 BYPASS',
       '  wins');
    is(told(ask('secret/data/a', "$CONTROL: cache", "$CONTROL:  NoCache ")),
       '200 BYPASS', '  in whatever header');

    my $old = ask('secret/data/a');
    my $new = ask('secret/data/a', "$CONTROL: recache");
    is(told($new), '200 MISS', 'recache fetches');
    isnt($new->{body}, $old->{body}, '  another answer');
    is(ask('secret/data/a')->{body}, $new->{body}, '  which is kept');
    is(told(ask('secret/data/a', "$CONTROL: other")), '200 HIT',
       'other words say nothing');
    ends_clean($nginx, 'value-');

    $nginx = cached('1m default=off');
    is(told(ask('secret/data/a')), '200 BYPASS', 'by default, nothing is kept');
    is(told(ask('secret/data/a', "$CONTROL: cache")), '200 MISS',
       '  but what is asked to be');
    is(told(ask('secret/data/a', "$CONTROL: ,cache, ")), '200 HIT', '  is');
    is(told(ask('secret/data/a')), '200 BYPASS', '  for those who say so');
    ends_clean($nginx, 'value-');
}


sub never {
    my ($name, $status, $path, @headers) = @_;

    my ($one, $two) = map { ask($path, @headers) } 1, 2;
    like(told($_), qr/^$status (?:MISS|BYPASS)$/, "$name is not kept")
        for $one, $two;
}


sub test_never {
    $nginx = cached('1m ttl=60s');

    never('what is not there', 404, 'secret/data/none');
    $vault->set(denied => ['kv/c']);
    never('what is denied', 403, 'kv/c');
    $vault->set(denied => []);
    is(told(ask('kv/c')), '200 MISS', '  but it is when it is not');
    never('a wrapped answer', 200, 'kv/c', 'X-Vault-Wrap-TTL: 60');
    isnt(ask('kv/c', 'X-Vault-Wrap-TTL: 60')->{json}{wrap_info}{token},
         ask('kv/c', 'X-Vault-Wrap-TTL: 60')->{json}{wrap_info}{token},
         '  each is another one');
    never('the state of Vault', 200, 'sys/health');
    never('a token', 200, 'auth/token/lookup-self', "$CONTROL: cache");
    is(told(ask($_, "$CONTROL: cache")), '404 BYPASS',
       '  nor in a namespace') for 'team/auth/token/lookup-self',
                                  'team/a/auth/token/lookup';
    is(told(ask('team/sys/mounts')), '404 BYPASS', '  nor the state of one');
    is(told(ask('secret/data/sys/x')), '404 MISS', '  but a secret may be');
    never('a large answer', 200, 'kv/large');
    is(length ask('kv/large')->{json}{data}{k}, 300_000, '  all of it comes');

    my $login = VaultHttp::request(
        $nginx->port, 'PUT', '/v1/auth/approle/login', [$GUARD],
        '{"role_id": "role-id-1", "secret_id": "secret-id-1"}');
    is(told($login), '200 BYPASS', 'a login is not');

    for my $kind ('html', 'badjson') {
        $vault->set(fail => [{ kind => $kind, op => 'read' }]);
        is(told(ask("secret/data/b?$kind")), '200 MISS', "$kind comes");
        is(told(ask("secret/data/b?$kind")), '200 MISS', '  but is not kept');
    }

    $vault->set(fail => [{ kind => '500', op => 'read', times => 2 }]);
    is(told(ask('secret/data/a')), '500 MISS', 'an error comes');
    is(told(ask('secret/data/a')), '200 MISS', '  but is not kept');
    $vault->set(fail => [{ kind => 'oversized', op => 'read', times => 2 }]);
    is(told(ask('secret/data/b')), '200 BYPASS', 'far too large');

    for my $kind ('garbage', 'short', 'close', 'longhead') {
        $vault->set(fail => [{ kind => $kind, op => 'read', times => 9 }]);
        is(told(ask("kv/c?$kind")), '502 -', "$kind: no answer");
        $vault->set(fail => []);
        is(told(ask("kv/c?$kind")), '200 MISS', '  then there is one');
    }

    $vault->set(fail => [{ kind => 'silent', op => 'read', times => 2,
                           s => 20 }]);
    is(told(ask('kv/c?silent')), '504 -', 'silence');
    ends_clean($nginx, 'value-', 'hidden', 'half-a-secret');
}


sub test_times {
    $nginx = cached('1m ttl=1s stale=0s');
    is(told(ask('kv/c')), '200 MISS', 'kept for a second');
    is(told(ask('kv/c')), '200 HIT', '  there it is');
    sleep 1.1;
    is(told(ask('kv/c')), '200 MISS', '  there it was');
    ends_clean($nginx, 'value-');

    $nginx = cached('1m ttl=60s');
    $vault->set(lease_ttl => 1);
    my $one = ask('database/creds/app');
    is(ask('database/creds/app')->{body}, $one->{body}, 'a lease is kept');
    sleep 1.1;
    my $two = ask('database/creds/app');
    is(told($two), '200 MISS', '  until it ends');
    isnt($two->{json}{data}{password}, $one->{json}{data}{password},
         '  then there is another one');
    sleep 1.1;
    $vault->set(up => $NO);
    is(told(ask('database/creds/app')), '502 -', '  never a dead one');
    ends_clean($nginx, 'value-', 'dyn-');
}


sub test_refresh {
    $nginx = cached('1m ttl=4s');     # asked for within its last fifth
    is(told(ask('secret/data/a')), '200 MISS', 'the first');

    my %seen;
    my $end = time + 30;

    while (stats()->{refreshes} < 2 && time < $end) {
        $seen{told(ask('secret/data/a'))}++;
        sleep 0.02;
    }

    is_deeply([keys %seen], ['200 HIT'], 'what is used never ends')
        or diag(JSON::PP->new->encode(\%seen));
    cmp_ok(stats()->{refreshes}, '>=', 2, '  it is fetched before it does');
    cmp_ok($vault->count('read'), '<=', 3, '  not more often');
    ends_clean($nginx, 'value-');
}


sub test_stale {
    $nginx = cached('1m ttl=1s stale=4s');

    my $first = ask('secret/data/a');
    ask('kv/c');
    sleep 1.1;
    $vault->set(up => $NO);

    my $stale = ask('secret/data/a');
    is(told($stale), '200 STALE', 'Vault is down: what was there');
    is($stale->{body}, $first->{body}, '  the same bytes');
    like(VaultHttp::header($stale, 'Warning'), qr/^110 /, '  with a warning');
    is(told(ask('secret/data/a')), '200 STALE', '  at once the next time');
    is(told(ask('secret/data/b')), '502 -', 'what was not there is not');
    cmp_ok(stats()->{stale}, '>=', 2, 'it is counted');
    log_has($nginx, qr/vault agent: \S+: cannot connect; is it up/,
            'with one line that says what to do');

    sleep 4.1;
    is(told(ask('secret/data/a')), '502 -', 'but not for ever');
    $vault->set(up => $YES);
    is(told(ask('secret/data/a')), '200 MISS', 'and up');

    for my $state ([sealed => $YES], [standby => 429], [standby => 473]) {
        is(told(ask('secret/data/a', "$CONTROL: recache")), '200 MISS',
           'well');
        sleep 1.1;
        $vault->set(@$state);
        is(told(ask('secret/data/a')), $state->[1] eq '473' ? '473 MISS'
                                                            : '200 STALE',
           "$state->[0] $state->[1]");
        log_has($nginx, $state->[0] eq 'sealed'
                        ? qr/answers 503: .* it is to be unsealed/
                        : qr/answers $state->[1]: .*active node/,
                '  a line says what to do');
        $vault->set(sealed => $NO, standby => 0);
        sleep 1.2;
    }

    is(told(ask('secret/data/a', "$CONTROL: recache")), '200 MISS', 'well');
    sleep 1.1;
    $vault->set(denied => ['secret/data/a']);
    is(told(ask('secret/data/a')), '403 MISS', 'permission lost: nothing');
    $vault->set(up => $NO);
    is(told(ask('secret/data/a')), '502 -', '  not even from before');
    ends_clean($nginx, 'value-');
}


# Sends `n` requests at once and gives what came: "200 MISS" => how often.

sub burst {
    my ($n, $path_of) = @_;

    my @socks = map { VaultHttp::open_socket($nginx->port) } 1 .. $n;
    my $end = time + 60 * $SLOW;
    my (%seen, @bodies);

    for my $i (0 .. $#socks) {
        my $buffer = '';
        VaultHttp::send_text($socks[$i], VaultHttp::message(
            'GET', '/v1/' . $path_of->($i), [$GUARD]), \$buffer, $end);
    }

    for my $sock (@socks) {
        my $buffer = '';
        my $answer = VaultHttp::read_answer($sock, \$buffer, 'GET', $end);
        $seen{told($answer)}++;
        push @bodies, $answer->{body};
        close $sock;
    }

    return (\%seen, \@bodies);
}


sub test_together {
    $nginx = cached('1m ttl=60s');
    ask('kv/c');                      # there is a token
    $vault->set(clear => $YES, fail => [{ kind => 'slow', s => 1,
                                          op => 'read' }]);

    my ($seen, $bodies) = burst(300, sub { 'secret/data/a' });
    my %different = map { $_ => 1 } @$bodies;

    is(($seen->{'200 MISS'} // 0) + ($seen->{'200 HIT'} // 0), 300,
       '300 at once') or diag(JSON::PP->new->encode($seen));
    is($vault->count('read'), 1, '  are one request');
    is(scalar keys %different, 1, '  and get the same');

    ($seen) = burst(300, sub { 'secret/data/a?x=' . $_[0] % 30 });
    is($vault->count('read'), 31, '300 of 30 kinds are 30 requests');

    $vault->set(clear => $YES, fail => [{ kind => '500', op => 'read',
                                          times => 999 }]);
    ($seen) = burst(50, sub { 'secret/data/b' });
    is($seen->{'500 MISS'}, 50, '50 that fail');
    $vault->clear;

    # who leaves does not hold up the others

    $vault->set(fail => [{ kind => 'slow', s => 1, op => 'read' }]);
    my $get = VaultHttp::message('GET', '/v1/kv/c?leave', [$GUARD]);

    for (1 .. 20) {
        my $sock = VaultHttp::open_socket($nginx->port);
        my $buffer = '';
        VaultHttp::send_text($sock, $get, \$buffer, time + 5);
        sleep 0.01;
        VaultHttp::reset($sock);
    }

    is(told(ask('kv/c?leave')) =~ /^200/ ? 1 : 0, 1, 'clients leave');
    is($vault->count('read'), 1, '  what they wanted was fetched');
    ends_clean($nginx, 'value-');
}


# Two caches of one agent: what is fetched for one is not for the other.

sub test_two {
    my $port = VaultNginx::free_port();

    $nginx = cached('', workers => 1, http => "vault_agent_cache 1m;
        server {
            listen 127.0.0.1:$port;
            location /v1/ { vault_agent on; vault_agent_cache 2m; }
        }");
    ask('kv/c');                      # there is a token
    $vault->set(clear => $YES, fail => [{ kind => 'slow', s => 1, times => 2,
                                          op => 'read' }]);

    my $get = VaultHttp::message('GET', '/v1/secret/data/a', [$GUARD]);
    my $end = time + 60 * $SLOW;
    my @socks = map { VaultHttp::open_socket($_) } $nginx->port, $port;

    for my $sock (@socks) {
        my $buffer = '';
        VaultHttp::send_text($sock, $get, \$buffer, $end);
    }

    for my $sock (@socks) {
        my $buffer = '';
        is(told(VaultHttp::read_answer($sock, \$buffer, 'GET', $end)),
           '200 MISS', 'both caches fetch');
    }

    is($vault->count('read'), 2, '  each for itself');
    is(told(VaultHttp::request($port, 'GET', '/v1/secret/data/a', [$GUARD],
                               undef, timeout => 5 * $SLOW)),
       '200 HIT', '  and the second knows it');
    ends_clean($nginx, 'value-');
}


# A worker that dies while it fetches is not waited for.

sub test_death {
    $nginx = cached('1m ttl=60s', options => 'timeout=60s retries=1',
                    expected => [qr/exited on signal/]);
    ask('kv/c');
    $vault->set(clear => $YES, fail => [{ kind => 'slow', s => 5,
                                          op => 'read' }]);

    my $sock = VaultHttp::open_socket($nginx->port);
    my $buffer = '';
    VaultHttp::send_text($sock, VaultHttp::message(
        'GET', '/v1/secret/data/a', [$GUARD]), \$buffer, time + 5 * $SLOW);

    until_true { $vault->count('read') == 1 } 'a fetch has begun';
    kill 'KILL', $nginx->workers;
    is(told(ask('secret/data/a')), '200 MISS', 'its worker dies: another one');
    is($vault->count('read'), 2, '  fetches');
    ends_clean($nginx, 'value-');
}


sub test_full {
    $nginx = cached('64k ttl=60s');
    $vault->set(secrets => { 'kv/big' => { k => 'y' x 30_000 } });

    for my $round (1 .. 2) {
        my %seen;

        for my $i (1 .. 300) {
            my $answer = ask("kv/c?$i");
            $seen{told($answer)}++ if $answer->{json}{data}{k} eq 'value-c';
        }

        is(($seen{'200 MISS'} // 0) + ($seen{'200 HIT'} // 0), 300,
           'more than there is room for');
    }

    my $stats = stats();
    cmp_ok($stats->{evicted}, '>', 100, '  what was not used leaves');
    cmp_ok($stats->{entries}, '>', 10, '  what was used stays');
    is(told(ask('kv/c?300')), '200 HIT', '  the last, for instance');
    is(() = $nginx->log_text =~ /the cache of 65536 bytes is full; a larger/g,
       1, '  one line says so, and what to do');

    $vault->set(secrets => { 'kv/mid' => { k => 'z' x 100_000 } });
    is(length ask('kv/mid')->{json}{data}{k}, 100_000, 'more than the room');
    cmp_ok(stats()->{evicted} - $stats->{evicted}, '<', 5,
           '  nothing else leaves for it');
    is(told(ask('kv/c?300')), '200 HIT', '  what was there is');
    is(told(ask('kv/mid')), '200 BYPASS', '  and it is known to be too large');

    is(length ask('kv/big')->{json}{data}{k}, 30_000, 'half of the room');
    is(length ask("kv/large?$_")->{json}{data}{k}, 300_000, 'more than all')
        for 1 .. 2;
    is(told(ask('kv/c')) =~ /^200/ ? 1 : 0, 1, 'and on it goes');
    ends_clean($nginx, 'value-');
}


sub test_purge {
    $nginx = cached('1m ttl=60s');
    ask($_) for 'secret/data/a', 'secret/data/b', 'kv/c';

    is_deeply(status('DELETE', '?path=%2Fv1%2Fsecret%2F'), { purged => 2 },
              'what is below a path is forgotten');
    is(told(ask('kv/c')), '200 HIT', '  other things are not');
    is(told(ask('secret/data/a')), '200 MISS', '  but those');
    is_deeply(status('DELETE'), { purged => 2 }, 'all is forgotten');
    is(told(ask('kv/c')), '200 MISS', '  all');
    until_true { stats()->{entries} == 1 } '  and counted';

    $vault->set(secrets => { 'secret/a b' => { k => 'value-a' } });
    ask('secret/data/a%20b');
    is_deeply(status('DELETE', '?path=/v1/secret/data/a%20b'), { purged => 1 },
              'escapes are no other path');
    is(VaultHttp::request($nginx->port, 'POST', '/status')->{status}, 405,
       'nothing else may be done there');
    ends_clean($nginx, 'value-');
}


sub test_identities {
    my $file = save('token', 'hvs.static-token');

    $nginx = cached('1m ttl=60s', server => "
        location = /status { vault_agent_status; }
        location /v1/kv/ { vault_agent on; vault_agent_auth token_file $file; }
        location /v1/secret/own { vault_agent on; vault_agent_own_token on; }
        ");
    ask('secret/data/a');
    $vault->set(secrets => { 'kv/own' => { k => 'v' } });
    is(told(ask('kv/c')), '200 MISS', 'another identity');
    is(told(ask('kv/c')), '200 HIT', '  has a cache');

    my $before = stats()->{entries};
    ask('secret/own', 'X-Vault-Token: hvs.static-token') for 1, 2;
    is(stats()->{entries}, $before, "what a caller's own token gets is not "
                                    . 'kept');
    is(scalar @{status()->{agents}}, 2, 'both are told of');
    ends_clean($nginx, 'value-', 'static-token');
}


sub test_dumps {
    $nginx = cached('1m');
    ask('secret/data/a');

    my ($worker) = $nginx->workers;
    my $maps = VaultNginx::read_file("/proc/$worker/smaps");
    my @zones = grep { /^\S+ rw-s/m && /^Size:\s+1024 kB/m }
                split /^(?=[0-9a-f]+-[0-9a-f]+ )/m, $maps;

    cmp_ok(scalar @zones, '>=', 1, 'the zone is found');
    is(scalar(grep { !/^VmFlags:.*\bdd\b/m } @zones), 0,
       'and is in no core dump');
    ends_clean($nginx, 'value-');
}


test_hits();
test_logins();
test_control();
test_never();
test_times();
test_refresh();
test_stale();
test_together();
test_two();
test_death();
test_full();
test_purge();
test_identities();
test_dumps();
done_testing();
