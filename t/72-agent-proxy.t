# Requests that are handed on to a Vault: what reaches it, what comes back, and
# what is done when nothing does.

use strict;
use warnings;

use lib 't/lib';

use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultAgent;
use VaultHttp;
use VaultNginx;
use VaultPeer;

my $GUARD = 'X-Vault-Request: true';
my $YES = JSON::PP::true;
my $NO = JSON::PP::false;
my $SLOW = $VaultNginx::SLOW;

delete @ENV{grep { /^AWS_/ } keys %ENV};
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';

my $vault = vault();
$vault->set(secrets => {
    'secret/a' => { k => 'value-1' }, 'secret/a b/c' => { k => 'value-2' },
    'kv/long' => { k => 'x' x 50_000 } });

my $nginx = agent($vault, workers => 2, options => 'timeout=3s', server => '
    location /v1/kv/own { vault_agent on; vault_agent_own_token on; }
    location /v1/kv/open { vault_agent on; vault_agent_require_header off; }
    location /v1/kv/closed { vault_agent on; deny all; }
    location /v1/kv/small { vault_agent on; client_max_body_size 10; }
    client_max_body_size 100m;');


sub ask {
    my ($method, $path, %option) = @_;

    my $body = ref $option{body} ? JSON::PP->new->encode($option{body})
                                 : $option{body};
    my $answer = VaultHttp::request(
        ($option{on} // $nginx)->port, $method, "/v1/$path",
        [$option{bare} ? () : $GUARD, @{$option{headers} || []}], $body,
        timeout => 30 * $SLOW);

    $answer->{json} = VaultHttp::json($answer);
    return $answer;
}


sub status_of { return $_[0]{status} // "none: $_[0]{error}" }


sub failed {
    my ($answer, $status, $error, $name) = @_;

    is(status_of($answer), $status, $name);
    like($answer->{json}{errors}[0] // '', $error, '  and says why');
    is(VaultHttp::header($answer, 'Content-Type'), 'application/json',
       '  as Vault does');
}


sub last_asked { return ($vault->asked)[-1] }


sub headers_of {
    my ($entry) = @_;

    my %headers;
    push @{$headers{lc $_->[0]}}, $_->[1] for @{$entry->{headers}};
    return \%headers;
}


# What Vault's own answers say to whoever reads the log.

sub remarks {
    my ($on, $pattern) = @_;

    return scalar(() = $on->log_text =~ /vault agent: \S+: $pattern/g);
}


sub test_remarks {
    my $own = agent($vault, options => 'retries=0');
    my @get = ('GET', 'secret/data/a', on => $own);

    is(status_of(ask(@get)), 200, 'a good answer');
    is(remarks($own, 'a'), 0, '  is not worth a line');

    for my $case ([503, 'answers 503.* unsealed', sealed => $YES],
                  [429, 'answers 429.* active node', standby => 429],
                  [473, 'answers 473.* active node', standby => 473],
                  [403, 'answers 403; does a policy',
                   denied => ['secret/data/a']])
    {
        my ($status, $pattern, @state) = @$case;

        $vault->set(@state);
        is(status_of(ask(@get)), $status, "answers $status") for 1, 2;
        is(remarks($own, $pattern), 1, '  and one line says what to do');
        $vault->set(sealed => $NO, standby => 0, denied => []);
    }

    $vault->set(fail => [{ kind => 'short', op => 'read', times => 2 }]);
    ask(@get) for 1, 2;
    until_true { remarks($own, 'an answer was cut off; is it') == 1 }
        'the same for one that is cut';
    ends_clean($own);
}


# A resolver that fails when a file is there; a clock that has gone on, so that
# names are looked up anew, when another is.

sub names {
    my $dir = folder();

    VaultNginx::write_file("$dir/names.c", <<"_EOF_");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

int
getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

    if (strcmp(name, "vault.example.com") != 0) {
        return real(name, service, hints, res);
    }

    return access("$dir/down", F_OK) == 0
           ? EAI_AGAIN : real("127.0.0.1", service, hints, res);
}

int
gettimeofday(struct timeval *tv, void *zone)
{
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int   rc = real(tv, zone);

    tv->tv_sec += access("$dir/later", F_OK) == 0 ? 60 : 0;

    return rc;
}
_EOF_
    my $log = `gcc -shared -fPIC -o $dir/names.so $dir/names.c -ldl 2>&1`;
    is($?, 0, 'a resolver') or diag($log);

    my %env = VaultNginx::environment($dir);
    return (env => { %AWS_KEYS, LD_PRELOAD => join ':',
                     grep { $_ } $env{LD_PRELOAD}, "$dir/names.so" });
}


sub test_names {
    my @env = names();
    my ($down, $later) = map { folder() . "/$_" } 'down', 'later';
    local $vault->{url} = 'http://vault.example.com:' . $vault->port;

    my $own = agent($vault, options => 'retries=0', @env);
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200, 'a name');
    save('down', '');
    save('later', '');
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200,
       '  that is not told any more');
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200, '  is known');
    ends_clean($own);

    unlink $later;
    $own = agent($vault, options => 'retries=0', @env);
    failed(ask('GET', 'secret/data/a', on => $own), 502, qr/looked up/,
           'a name that nobody knows');
    log_has($own, qr/\S+: the name cannot be looked up: .*; is it up, and is/,
            '  a line says what to do');
    unlink $down;
    ends_clean($own);

    $own = agent($vault, options => 'retries=0', auth => 'aws role=other',
                 location => 'location /v1/ { vault_agent on;
                                              vault_agent_own_token on; }',
                 @env);
    log_has($own, qr/cannot log in|login/, 'no login');
    save('later', '');
    is(status_of(ask('GET', 'secret/data/a', on => $own,
                     headers => ['X-Vault-Token: hvs.static-token'])), 200,
       "  is no matter of a caller's own token");
    ends_clean($own);
}


sub test_methods {
    is(ask('GET', 'secret/data/a')->{json}{data}{data}{k}, 'value-1', 'GET');
    is_deeply(ask('LIST', 'secret/metadata')->{json}{data}{keys},
              ['a', 'a b/'], 'LIST');
    is_deeply(ask('GET', 'secret/metadata?list=true')->{json}{data}{keys},
              ['a', 'a b/'], 'GET ?list=true');

    my $head = ask('HEAD', 'secret/data/a');
    is("$head->{status} " . ($head->{extra} // ''), '200 ', 'HEAD');
    cmp_ok(VaultHttp::header($head, 'Content-Length'), '>', 100, '  its size');

    is(status_of(ask('PUT', 'kv/x', body => { k => 1 })), 204, 'PUT');
    is(status_of(ask('POST', 'kv/x', body => { k => 2 })), 204, 'POST');
    is(ask('GET', 'kv/x')->{json}{data}{k}, 2, '  written');
    is(status_of(ask('PATCH', 'secret/data/a', body => { data => { n => 1 } },
                     headers => ['Content-Type: application/merge-patch+json'
                     ])), 200, 'PATCH');
    is(status_of(ask('DELETE', 'kv/x')), 204, 'DELETE');
    is(status_of(ask('GET', 'kv/x')), 404, '  deleted');
    is_deeply(ask('GET', 'kv/x')->{json}, { errors => [] }, '  says Vault');

    my $path = 'secret/data/a%20b%2Fc?version=1&x=%2e%2e/y';
    is(ask('GET', $path)->{json}{data}{data}{k}, 'value-2', 'a path');
    is(last_asked()->{target}, "/v1/$path", '  is kept as it came');
}


sub test_headers {
    ask('GET', 'secret/data/a', headers => [
        'X-Vault-Token: mine', 'Authorization: Bearer mine', 'X-Other: kept',
        'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Proto: https', 'Via: x',
        'Forwarded: for=1.2.3.4', 'X-Real-IP: 1.2.3.4', 'TE: trailers',
        'Accept-Encoding: gzip', 'X-Vault-Cache-Control: nocache',
        'Keep-Alive: 5', 'Proxy-Authorization: x', 'X-Vault-Index: abc']);

    my $got = headers_of(last_asked());
    like(join(' ', @{delete $got->{'x-vault-token'}}), qr/^hvs\.\S+$/,
         'the token is ours');
    is_deeply($got, { host => ['127.0.0.1:' . $vault->port],
                      connection => ['keep-alive'],
                      'x-vault-request' => ['true'],
                      'x-vault-index' => ['abc'], 'x-other' => ['kept'] },
              'nothing else but what concerns Vault');

    failed(ask('GET', 'secret/data/a', bare => 1), 412,
           qr/missing 'X-Vault-Request'/, 'no X-Vault-Request');
    failed(ask('GET', 'secret/data/a', bare => 1,
               headers => ['X-Vault-Request: false']), 412,
           qr/missing 'X-Vault-Request'/, 'a wrong one');
    is(status_of(ask('GET', 'kv/open', bare => 1)), 404,
       'it need not be, where that is said');

    is(status_of(ask('GET', 'kv/own', headers => ['X-Vault-Token: bad'])), 403,
       "a caller's own token, where that is said");
    is(status_of(ask('GET', 'kv/own',
                     headers => ['Authorization: Bearer hvs.static-token'])),
       404, '  in both ways');
    is(status_of(ask('GET', 'kv/own')), 404, '  or ours, without one');

    my $answer = ask('GET', 'secret/data/a');
    is(VaultHttp::header($answer, 'Cache-Control'), 'no-store',
       "an answer's headers come back");
}


sub test_namespaces {
    $vault->set(namespace => 'team/a');

    my $other = agent($vault, options => 'namespace=team/a');

    is(status_of(ask('GET', 'secret/data/a', on => $other)), 200,
       'the namespace is set');
    is(status_of(ask('GET', 'secret/data/a', on => $other,
                     headers => ['X-Vault-Namespace: team/b'])), 404,
       '  but a caller may name another one');
    is_deeply(headers_of(last_asked())->{'x-vault-namespace'}, ['team/b'],
              '  which is sent alone');
    $vault->set(namespace => '');
    ends_clean($other);
}


sub test_bodies {
    my $body = join '', map { chr($_ % 251) } 1 .. 100_000;

    $body x= 50;
    my $answer = ask('PUT', 'sys/storage/raft/snapshot', body => $body);
    is($answer->{json}{data}{sha256}, sha256_hex($body), '5 MB are sent');
    is($answer->{json}{data}{size}, length $body, '  all of them');

    my ($chunked) = VaultHttp::exchange($nginx->port, [join "\r\n",
        'POST /v1/sys/storage/raft/snapshot HTTP/1.1', 'Host: x', $GUARD,
        'Transfer-Encoding: chunked', 'Connection: close', '',
        '5', 'hello', '6', ' world', '0', '', ''], methods => ['POST']);
    is(VaultHttp::json($chunked)->{data}{sha256}, sha256_hex('hello world'),
       'chunks are sent with a length');

    my ($slowly) = VaultHttp::exchange($nginx->port, [join("\r\n",
        'POST /v1/sys/storage/raft/snapshot HTTP/1.1', 'Host: x', $GUARD,
        'Content-Length: 10', 'Connection: close', '', ''),
        map { { value => 'ab', delay_before => 0.05 } } 1 .. 5],
        methods => ['POST'], timeout => 10 * $SLOW);
    is(VaultHttp::json($slowly)->{data}{sha256}, sha256_hex('ab' x 5),
       'a body that comes slowly');

    failed(ask('PUT', 'kv/small', body => 'x' x 11), 413, qr/too large/,
           'a body that is too large');
    my ($large) = VaultHttp::exchange($nginx->port, [join "\r\n",
        'PUT /v1/kv/small HTTP/1.1', 'Host: x', $GUARD,
        'Transfer-Encoding: chunked', 'Connection: close', '',
        '14', 'x' x 20, '0', '', ''], methods => ['PUT']);
    $large->{json} = VaultHttp::json($large);
    failed($large, 413, qr/too large/, '  in chunks');
    failed(ask('GET', 'kv/closed'), 403, qr/refused by the agent/,
           'who is kept out');

    $answer = ask('GET', 'sys/storage/raft/snapshot?n=20000000');
    is(sha256_hex($answer->{body}), sha256_hex('s' x 20_000_000),
       '20 MB come back');
    is(length ask('GET', 'kv/long')->{json}{data}{k}, 50_000,
       'chunks come back');
}


# The first line is there while Vault has not said the second.

sub test_streams {
    my $sock = VaultHttp::open_socket($nginx->port);
    my $buffer = '';

    VaultHttp::send_text($sock, VaultHttp::message(
        'GET', '/v1/sys/monitor?n=2&s=2', [$GUARD]), \$buffer, time + 5);

    while ($buffer !~ /line 0/) {
        my ($ok) = VaultHttp::fill($sock, \$buffer, time + 20 * $SLOW);
        last if !$ok;
    }

    like($buffer, qr/line 0/, 'a line comes as soon as it is said');
    unlike($buffer, qr/line 1/, '  and not with the next one');
    close $sock;
}


# Requests that Vault sees for one of ours, and the answer to it

sub tries {
    my ($name, $fail, $method, $status, $seen, %option) = @_;

    $vault->set(clear => $YES, fail => [map { { path => 'secret|kv', %$_ } }
                                        @$fail]);

    my $answer = ask($method, $option{path} // 'secret/data/a',
                     body => $option{body});
    is(status_of($answer), $status, $name);
    is(scalar $vault->asked, $seen, '  which Vault has seen as often');
    $vault->clear;
    return $answer;
}


sub test_tries {
    tries('500 twice, then an answer', [{ kind => '500', times => 2 }],
          'GET', 200, 3);
    tries('412 twice, then an answer', [{ kind => '412', times => 2 }],
          'LIST', 200, 3, path => 'secret/metadata');
    tries('429, then an answer', [{ kind => '429' }], 'GET', 200, 2);
    tries('503 all the time', [{ kind => '503', times => 9 }],
          'GET', 503, 3);
    tries('501 is final', [{ kind => '501' }], 'GET', 501, 1);
    tries('400 is final', [{ kind => '400' }], 'GET', 400, 1);
    tries('POST is sent once', [{ kind => '503' }], 'POST', 503, 1,
          path => 'kv/y', body => { k => 1 });
    tries('and PUT, which is the same', [{ kind => '500' }], 'PUT', 500, 1,
          path => 'kv/y', body => { k => 1 });
    tries('DELETE may be repeated', [{ kind => '500' }], 'DELETE', 204, 2,
          path => 'kv/y');

    for my $kind ('close', 'reset', 'garbage') {
        tries("$kind, then an answer", [{ kind => $kind }], 'GET', 200, 2);
    }

    my $lost = tries('an answer to POST that is lost', [{ kind => 'lost' }],
                     'POST', 502, 1, path => 'kv/y', body => { k => 1 });
    failed($lost, 502, qr/closed without an answer/, '  is told');
    my $garbage = tries('garbage all the time',
                        [{ kind => 'garbage', times => 9 }], 'GET', 502, 3);
    failed($garbage, 502, qr/malformed/, '  is told');
    tries('a head that is too long', [{ kind => 'longhead', times => 9 }],
          'GET', 502, 3);
    tries('slow, but in time', [{ kind => 'slow', s => 0.5 }], 'GET', 200, 1);
    failed(tries('silent', [{ kind => 'silent', s => 20, times => 9 }], 'PUT',
                 504, 1, path => 'kv/y', body => { k => 1 }), 504,
           qr/timed out/, '  is told');

    log_has($nginx, qr/vault agent: \S+: timed out; is it up/,
            'one line with the remedy');
}


# What has begun cannot be taken back: the client sees that it is cut off.

sub test_cut {
    for my $kind ('short', 'short-chunk') {
        $vault->set(fail => [{ kind => $kind, path => 'secret' }]);

        my $answer = ask('GET', 'secret/data/a');
        like($answer->{error}, qr/inside/, "$kind: cut off");
    }

    $vault->set(fail => [{ kind => 'oversized', path => 'secret' }]);
    cmp_ok(length ask('GET', 'secret/data/a')->{body}, '>', 4_000_000,
           'a very long answer');
    $vault->set(fail => [{ kind => 'html', path => 'secret' }]);
    like(ask('GET', 'secret/data/a')->{body}, qr/html/,
         'what is no JSON is not our business');
    is(status_of(ask('GET', 'secret/data/a')), 200, 'and on it goes');
}


sub test_tokens {
    my ($one, $two) = map { agent($vault) } 1, 2;

    is(status_of(ask('GET', 'secret/data/a', on => $_)), 200, 'a token')
        for $one, $two;
    $vault->set(clear => $YES, fail => [], denied => ['kv/secret']);
    is(status_of(ask('GET', 'kv/secret', on => $one)), 403,
       'permission denied');
    is($vault->count('login'), 0, '  a new token is not to blame');

    sleep 5.1;                        # it is not new any more
    $vault->set(forget => $YES);
    is(status_of(ask('GET', 'secret/data/a', on => $one)), 200,
       'the token was revoked');
    is($vault->count('login'), 1, '  another one is fetched');
    is(status_of(ask('GET', 'kv/secret', on => $one)), 403, 'denied again')
        for 1 .. 3;
    is($vault->count('login'), 1, '  not each time');

    is(status_of(ask('POST', 'kv/y', on => $two, body => { k => 1 })), 403,
       'POST is not sent again');
    is(status_of(ask('POST', 'kv/y', on => $two, body => { k => 1 })), 204,
       '  but the next one has a token');

    $vault->set(denied => []);
    ends_clean($_) for $one, $two;
}


sub test_cluster {
    my $leader = VaultPeer->new('vault.py');
    my $standby = VaultPeer->new('vault.py');

    $leader->set(secrets => { 'secret/a' => { k => 'of the leader' } });
    my $file = save('token', "hvs.static-token\n");
    $standby->{url} = $standby->url;
    my $own = agent($standby, auth => "token_file $file");

    $standby->set(standby => 307, leader => $leader->url);
    is(ask('GET', 'secret/data/a', on => $own)->{json}{data}{data}{k},
       'of the leader', 'a standby sends to the leader, which is asked');
    is(status_of(ask('POST', 'kv/z', on => $own, body => { k => 1 })), 204,
       '  also what may be sent only once');
    my ($put) = grep { $_->{op} eq 'write' } $leader->asked;
    is_deeply(headers_of($put)->{host}, ['127.0.0.1:' . $leader->port],
              '  by its name');

    $standby->set(leader => 'https://leader.example.com');
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 307,
       'a redirect elsewhere is the answer');
    log_has($own, qr/sends to "https:.*not followed; set its api_addr/,
            '  with a line that says what to do');
    $standby->set(leader => $leader->url . '/x');
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 307,
       'nor is one to another path');

    $standby->set(standby => 429);
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 429,
       'a standby that does not say where');
    $standby->set(standby => 473);
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 473,
       'a performance standby');
    $standby->set(standby => 0, sealed => $YES);
    failed(ask('GET', 'secret/data/a', on => $own), 503, qr/sealed/, 'sealed');

    ends_clean($own, 'static-token', 'of the leader');
    $_->stop for $leader, $standby;
}


sub test_down {
    my $late = VaultPeer->new('vault.py');
    $late->{url} = $late->url;
    $late->set(secrets => { 'secret/a' => { k => 'v' } }, up => $NO);

    my $own = agent($late, options => 'retries=1');
    failed(ask('GET', 'secret/data/a', on => $own), 503, qr/./,
           'Vault is down at start');
    $late->set(up => $YES);

    my $answer;
    until_true {
        $answer = ask('GET', 'secret/data/a', on => $own);
        status_of($answer) eq 200;
    } 'well again when it is up', 30;

    $late->set(up => $NO);
    failed(ask('GET', 'secret/data/a', on => $own), 502, qr/cannot connect/,
           'down later');
    $late->set(up => $YES);
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200, 'and up');
    ends_clean($own);
    $late->stop;
}


sub test_tls {
    my $secure = vault(tls => 1);
    $secure->set(secrets => { 'secret/a' => { k => 'v' } });

    my $own = agent($secure);
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200, 'over TLS')
        for 1 .. 3;
    my $body = 'x' x 3_000_000;
    is(ask('PUT', 'sys/storage/raft/snapshot', on => $own,
           headers => [], body => substr $body, 0, 900_000)
       ->{json}{data}{size}, 900_000, '  also what is long');
    is(length ask('GET', 'sys/storage/raft/snapshot?n=3000000', on => $own)
       ->{body}, 3_000_000, '  in both directions');
    cmp_ok($secure->count('connections'), '<=', 4, '  connections are kept');
    ends_clean($own);

    my ($other) = VaultMail::certificate('other', 'localhost');
    $own = agent($secure, options => "ca=$other retries=0");
    failed(ask('GET', 'secret/data/a', on => $own), 503, qr/certificate/,
           'a certificate that is not trusted');
    ends_clean($own);
    $secure->stop;
}


# Clients that go: while a token is fetched, while they send, while they are
# answered.

sub leave {
    my ($on, $text, $until) = @_;

    my $sock = VaultHttp::open_socket($on->port);
    my $buffer = '';

    VaultHttp::send_text($sock, $text, \$buffer, time + 5);

    while ($until && $buffer !~ $until) {
        my ($ok) = VaultHttp::fill($sock, \$buffer, time + 10 * $SLOW);
        last if !$ok;
    }

    sleep 0.1 if !$until;
    VaultHttp::reset($sock);
}


sub test_leaving {
    $vault->set(clear => $YES, fail => [{ op => 'login', kind => 'slow',
                                          s => 1 }]);
    my $own = agent($vault, options => 'timeout=5s');
    my $get = VaultHttp::message('GET', '/v1/secret/data/a', [$GUARD]);

    leave($own, $get) for 1 .. 10;
    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200,
       'clients left before there was a token');

    my $put = "PUT /v1/sys/storage/raft/snapshot HTTP/1.1\r\nHost: x\r\n"
              . "$GUARD\r\nContent-Length: 500000\r\n\r\n" . 'x' x 100_000;
    leave($own, $put) for 1 .. 5;
    leave($own, VaultHttp::message(
        'GET', '/v1/sys/storage/raft/snapshot?n=50000000', [$GUARD]),
        qr/ssss/) for 1 .. 5;
    leave($own, VaultHttp::message(
        'GET', '/v1/sys/monitor?n=5&s=0.3', [$GUARD]), qr/line 0/);

    $vault->set(fail => [{ kind => '503', op => 'read', times => 99 }]);
    leave($own, $get) for 1 .. 5;     # between two tries
    $vault->set(fail => [{ kind => 'silent', op => 'read', times => 5 }]);
    leave($own, $get) for 1 .. 5;
    $vault->clear;

    is(status_of(ask('GET', 'secret/data/a', on => $own)), 200,
       'and everywhere else');
    ends_clean($own);
}


sub test_http2 {
    my $own = agent($vault, start => 0);
    $own->{listen} = ' http2';
    $own->start;

    my $file = save('body', 'z' x 200_000);
    my $url = 'http://127.0.0.1:' . $own->port . '/v1';
    my $curl = "curl -s --http2-prior-knowledge -H '$GUARD' "
               . "-w ' %{http_code} %{http_version}'";
    my %asked = (
        "$url/secret/data/a"             => qr/value-1.* 200 2$/s,
        "-X LIST $url/secret/metadata"   => qr/"keys".* 200 2$/s,
        "-T $file $url/sys/storage/raft/snapshot" => qr/200000.* 200 2$/s,
        "-H 'Content-Length:' -T - $url/sys/storage/raft/snapshot < $file"
                                         => qr/200000.* 200 2$/s,
        "-I $url/secret/data/a"          => qr/content-length.* 200 2$/s,
        "$url/kv/none"                   => qr/\{"errors": \[\]\}\s+404 2$/s,
    );

    like(`$curl $_`, $asked{$_}, "HTTP/2: $_") for sort keys %asked;
    `$curl -m 1 '$url/sys/monitor?n=5&s=1'`;

    $vault->set(up => $NO);
    like(`$curl -X POST -d '{}' $url/kv/none`,
         qr/\{"errors":\["cannot connect"\]\}\s+502 2$/, 'HTTP/2: down');
    $vault->set(up => $YES);
    ends_clean($own, 'value-1');
}


sub test_many {
    my $own = agent($vault, workers => 2, start => 0);
    $own->{connections} = 2048;       # one worker may get nearly all
    $own->start;

    my @socks = map { VaultHttp::open_socket($own->port) } 1 .. 300;
    my $end = time + 60 * $SLOW;
    my %seen;

    $vault->set(clear => $YES, fail => [{ op => 'login', kind => 'slow',
                                          s => 0.5 }]);

    for my $sock (@socks) {
        my $buffer = '';
        VaultHttp::send_text($sock, VaultHttp::message(
            'GET', '/v1/secret/data/a', [$GUARD]), \$buffer, $end);
    }

    for my $sock (@socks) {
        my $buffer = '';
        my $answer = VaultHttp::read_answer($sock, \$buffer, 'GET', $end);
        $seen{status_of($answer)}++;
        close $sock;
    }

    is_deeply(\%seen, { 200 => 300 }, '300 at once');
    cmp_ok($vault->count('login'), '<=', 1, '  with one login');
    ends_clean($own);
}


sub test_reload {
    my $before = ask('GET', 'secret/data/a')->{status};
    my $login = $vault->count('login');

    $nginx->signal('HUP');
    log_has($nginx, qr/worker process \d+ exited with code 0/, 'a reload');
    is(status_of(ask('GET', 'secret/data/a')), $before, '  changes nothing');
    is($vault->count('login'), $login, '  and the token stays');
}


test_methods();
test_headers();
test_namespaces();
test_bodies();
test_streams();
test_tries();
test_cut();
test_cluster();
test_down();
test_tls();
test_leaving();
test_http2();
test_many();
test_tokens();
test_reload();
test_remarks();
test_names();
ends_clean($nginx, 'value-1', 'half-a-secret', 'hidden');
done_testing();
