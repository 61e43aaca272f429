# Large things to and from other servers: what is sent, what is taken, what
# is refused; connections that are kept, that break and that hang; clients and
# workers that go meanwhile.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IO::Socket::INET ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultPeer;
use VaultServer qw(vault_server call folder_of status);
use VaultTest 'debug';

my $SLOW = $VaultNginx::SLOW;
my $LARGE = 100_000_000;

my $dir = folder_of();
my $peer = peer();
my $server = vault_server(workers => 1);


# A peer has a second port, where it is asked for its counts.

sub peer {
    my $new = VaultPeer->new('manners.py', @_);
    my $out = $new->{out};

    chomp($new->{control} = <$out>);
    return $new;
}


sub counts {
    my ($of, $method) = @_;

    my $answer = VaultHttp::request(($of // $peer)->{control},
                                    $method // 'GET', '/control');
    return VaultHttp::json($answer);
}


sub forget { counts($_[0] // $peer, 'POST') }


# Until a count is what it should become

sub becomes {
    my ($name, $expected, $what, $of) = @_;

    my $count;

    for (1 .. 100 * $SLOW) {
        $count = counts($of)->{$name};
        last if $count == $expected;
        sleep 0.02;
    }

    is($count, $expected, $what);
}


sub escaped {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return $text;
}


sub path_of {
    my ($target, %option) = @_;

    my $task = delete $option{task} ? '/task' : '';
    delete @option{qw(body on via)};
    my %query = (host => '127.0.0.1', port => $peer->port, method => 'GET',
                 as => 'peer.example.com', target => $target, %option);

    return "/api/debug/upstream$task?"
           . join '&', map { "$_=" . escaped($query{$_}) } sort keys %query;
}


sub ask {
    my ($target, %option) = @_;

    my $answer = call($option{on} // $server, 'POST',
                      path_of($target, %option), body => $option{body},
                      timeout => 60);
    return $answer->{json} // { status => 0, error => $answer->{body} };
}


sub refused {
    my ($what, $error, $target, %option) = @_;

    my $answer = ask($target, %option);

    is($answer->{status}, 0, "$what: no answer");
    like($answer->{error}, $error, "$what: why");
}


sub sent {
    my ($answer) = @_;

    is($answer->{status}, 200, 'it answers') or diag($answer->{error});
    return JSON::PP->new->decode($answer->{body} // '{}');
}


sub raw {
    my ($text, %option) = @_;

    my $close = delete $option{close} ? '&close=1'
              : delete $option{reset} ? '&reset=1' : '';

    return ('/raw?text=' . escaped($text) . $close, %option);
}


sub file_of {
    my ($name, $size) = @_;

    my $path = "$dir/$name";
    open my $out, '>:raw', $path or die "$path: $!\n";

    my $block = join '', map { chr($_ % 251) } 0 .. 99_999;
    print $out substr $block, 0, $_
        for (100_000) x int($size / 100_000), $size % 100_000;
    close $out or die "$path: $!\n";

    return $path;
}


sub test_requests {
    my $got = sent(ask('/echo?a=b%20c', header => 'a value'));

    is($got->{method}, 'GET', 'GET');
    is_deeply($got->{headers},
              [[Host => 'peer.example.com'], ['X-Test' => 'a value'],
               [Connection => 'keep-alive']], 'just these headers');

    $got = sent(ask('/echo', method => 'POST', body => 'x' x 5000));
    is($got->{method}, 'POST', 'POST');
    is($got->{sha256}, sha256_hex('x' x 5000), 'its body');

    $got = sent(ask('/echo', method => 'PUT'));
    is_deeply($got->{headers}[1], ['Content-Length' => 0],
              'PUT without a body says so');

    my $body = join ',', 1 .. 500_000;
    $got = sent(ask('/echo', method => 'PUT', body => $body));
    is($got->{sha256}, sha256_hex($body), 'a body from a temporary file');

    my $path = file_of('small', 300_000);
    my $rest = substr VaultNginx::read_file($path), 1234;
    $got = sent(ask('/echo', method => 'PUT', file => $path, from => 1234));
    is($got->{sha256}, sha256_hex($rest), 'the rest of a file');

    refused('two lines of header', qr/malformed/, '/echo',
            header => "a\r\nX-Evil: 1");
    refused('two lines of target', qr/malformed/, "/echo\r\nX-Evil: 1");
    refused('a space in the target', qr/malformed/, '/echo HTTP/1.0');
    refused('no target', qr/malformed/, 'echo');
    refused('two lines of host', qr/malformed/, '/echo', as => "a\r\nb: c");
    refused('less body than announced', qr/malformed/, '/echo',
            body => 'abc', lie => 1);
}


sub test_answers {
    for my $status (200, 302, 403, 404, 500, 503) {
        my $answer = ask("/status?n=$status");
        is($answer->{status}, $status, "a $status");
        is($answer->{body}, 'some text', 'and what it says');
    }

    for my $status (204, 304) {
        is(ask("/bodiless?n=$status")->{status}, $status, "a $status");
    }

    my $answer = ask('/head', method => 'HEAD');
    is($answer->{status}, 200, 'HEAD');
    is($answer->{first}, 'Content-Length: 123456789', 'with its length');
    is($answer->{size}, 0, 'and no body');

    is(ask('/thrice')->{body}, 'after all', 'after interim answers');
    is(ask('/big?n=3')->{headers}, 2, 'its headers');
    is(ask('/many?n=63')->{headers}, 64, 'many headers');
    is(ask('/long?n=16000')->{status}, 200, 'a long header');
    is(ask('/chunked?n=5000&by=7')->{body}, 'y' x 5000, 'chunks');
    is(ask('/chunked?n=300&by=20&slowly=1')->{body}, 'y' x 300,
       'chunks, a byte at a time');
    is(ask('/chunked?n=0')->{status}, 200, 'no chunk at all');

    for my $head ('HTTP/1.0 200 OK', "HTTP/1.1 200 OK\r\nConnection: close",
                  'HTTP/1.1 200')
    {
        is(ask(raw("$head\r\n\r\nthe end", close => 1))->{body}, 'the end',
           'an answer that ends with its connection');
    }
}


sub test_sizes {
    is(ask('/big?n=65536')->{size}, 65536, '64 KiB');
    is(ask('/big?n=10', max => 10)->{size}, 10, '10 bytes');
    is(ask('/big?n=5000000', max => 5_000_000)->{size}, 5_000_000, 'or more');
    is(ask('/chunked?n=65536&by=1')->{size}, 65536, 'framing does not count');

    refused('64 KiB and one', qr/too large/, '/big?n=65537');
    refused('11 bytes', qr/too large/, '/big?n=11', max => 10);
    refused('11 bytes of chunks', qr/too large/, '/chunked?n=11&by=3',
            max => 10);
    refused('11 bytes, length unknown', qr/too large/,
            raw("HTTP/1.0 200 OK\r\n\r\n01234567890", close => 1, max => 10));
    is(ask(raw("HTTP/1.0 200 OK\r\n\r\n0123456789", close => 1,
               max => 10))->{size}, 10, '10 bytes, length unknown');
    refused('too many headers', qr/too large/, '/many?n=64');
    refused('too long a header', qr/too large/, '/long?n=17000');
}


sub test_garbage {
    my %garbage = (
        'not HTTP'      => "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        'not a number'  => "HTTP/1.1 abc OK\r\n\r\n",
        'a low number'  => "HTTP/1.1 099 Low\r\n\r\n",
        'HTTP/2'        => "\0\0\x12\4\0\0\0\0\0",
        'two lengths'   => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                           . "Content-Length: 2\r\n\r\nab",
        'no length'     => "HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\na",
        'less than none' => "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        'huge'          => "HTTP/1.1 200 OK\r\nContent-Length: "
                           . '9' x 30 . "\r\n\r\n",
        'both'          => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                           . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        'encoded twice' => "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, "
                           . "chunked\r\n\r\n0\r\n\r\n",
        'no chunk'      => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                           . "\r\n\r\nxyz\r\n",
        'a large chunk' => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                           . "\r\n\r\n" . 'f' x 20 . "\r\nabc",
        'a chunk that does not end' =>
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                           . "\r\n\r\n1\r\nabc",
        'other protocols' => "HTTP/1.1 101 Switching\r\n\r\nabc",
        'a header of none' => "HTTP/1.1 200 OK\r\n: x\0y\r\n\r\n",
    );

    for my $name (sort keys %garbage) {
        refused($name, qr/malformed/, raw($garbage{$name}));
    }

    my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n";
    refused('nothing', qr/without an answer/, raw('', close => 1));
    refused('half a head', qr/closed in the/, raw($ok, close => 1));
    refused('half a body', qr/closed in the/, raw("$ok\r\nabc", close => 1));
    refused('half a chunk', qr/closed in the/,
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nx",
                close => 1));
    refused('reset at once', qr/without an answer/, raw('', reset => 1));
    refused('reset in the answer', qr/closed in the/,
            raw("$ok\r\nabc", reset => 1));

    # more than was announced is nobody's answer
    my $answer = ask(raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
                         . "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
    is($answer->{body}, 'a', 'the first answer');
    is(ask('/big?n=1')->{body}, 'x', 'and the second one is not taken');
}


sub test_mutants {
    my %seen;

    for (1 .. 400) {
        my $answer = ask('/mutant', silence => 200);
        my $kind = $answer->{error} // $answer->{status};
        $seen{$kind}++;
    }

    is_deeply([grep { !/^(?:\d{3}|[a-z ]+)$/ } keys %seen], [],
              'nearly right answers are taken or refused');
    cmp_ok($seen{$_} // 0, '>', 10, "some: $_")
        for 200, 'the answer is malformed', 'closed in the answer';
}


# Connections

sub test_keeping {
    forget();
    call($server, 'DELETE', '/api/debug/upstream');
    ask('/echo') for 1 .. 5;
    ask('/echo', times => 5);
    ask('/chunked?n=100');
    ask('/head', method => 'HEAD');
    ask('/status?n=404');
    ask('/bodiless?n=204');
    ask('/echo', method => 'PUT', body => 'x' x 100_000);
    is(counts()->{connections}, 1, 'one connection for all of them');

    ask('/echo', method => 'POST', body => 'x');
    is(counts()->{connections}, 2, 'a POST takes a new one');
    ask('/echo', times => 3);
    is(counts()->{connections}, 2, 'and leaves it for others');

    call($server, 'DELETE', '/api/debug/upstream');
    becomes('open', 0, 'all are closed when we stop');
}


sub test_stale {
    for my $method ('GET', 'PUT') {
        forget();
        is(ask('/once', method => $method)->{body}, 'once', "once, $method");
        sleep 0.05;
        is(ask('/echo', method => $method)->{status}, 200,
           'the peer has closed');

        # closes only when it is asked for more, so we cannot know
        call($server, 'DELETE', '/api/debug/upstream');
        forget();
        is(ask('/stale', method => $method, body => 'a' x 1000)->{body},
           'first', 'a connection that will be stale');
        is(ask('/stale', method => $method, body => 'b' x 50_000)->{body},
           'first', 'is not missed');
        is(counts()->{connections}, 2, 'on a new connection');
        is(counts()->{requests}, 3, 'the request was sent twice');
    }

    call($server, 'DELETE', '/api/debug/upstream');
    ask('/echo');
    refused('what fails on a new one', qr/without an answer/,
            raw('', close => 1));
    ask('/stale');
    forget();
    refused('a silent peer', qr/timed out/, '/silent', silence => 300);
    is(counts()->{requests}, 1, 'is asked once');
}


sub at_once {
    my ($n, $target, %option) = @_;

    my $path = path_of($target, %option);

    return map {
        my $sock = VaultHttp::open_socket($server->port);
        $sock->blocking(1);
        syswrite $sock, VaultHttp::message('POST', $path);
        $sock;
    } 1 .. $n;
}


sub answers_like {
    my ($pattern, @socks) = @_;

    return scalar grep { local $/; <$_> =~ $pattern } @socks;
}


sub test_crowd {
    call($server, 'DELETE', '/api/debug/upstream');
    forget();

    my $start = time;
    my @socks = at_once(30, '/slow?s=0.5');

    is(call($server, 'GET', '/alive')->{status}, 200, 'alive meanwhile');
    is(answers_like(qr/at last/, @socks), 30, 'each got its answer');
    cmp_ok(time - $start, '<', 5 * $SLOW, 'at the same time');
    becomes('open', 16, 'some connections are kept');

    is(answers_like(qr/at last/, at_once(16, '/slow?s=0.1')), 16, 'again');
    is(counts()->{connections}, 30, 'on those that were kept');
}


# Time

sub takes {
    my ($what, $least, $most, $code) = @_;

    my $start = time;
    $code->();
    my $took = time - $start;

    cmp_ok($took, '>=', $least, "$what: not too early");
    cmp_ok($took, '<', $most * $SLOW, "$what: in time");
}


sub test_times {
    takes('silence', 0.3, 2, sub {
        refused('silence', qr/^timed out$/, '/silent', silence => 300) });
    takes('half an answer', 0.3, 2, sub {
        refused('half an answer', qr/timed out in the answer/,
                raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
                    silence => 300)) });
    takes('one that does not read', 0.3, 2, sub {
        refused('one that does not read', qr/^timed out$/, '/deaf?s=5',
                method => 'PUT', file => file_of('ten', 10_000_000),
                silence => 300) });
    takes('little by little', 0.8, 5, sub {
        is(ask('/drip?s=0.1', silence => 500 * $SLOW)->{body}, 'slow',
           'little by little') });
    takes('too little by little', 0.4, 1.9, sub {
        refused('too little by little', qr/timed out in the answer/,
                '/drip?s=0.25', silence => 400) });

    # a full queue of connections: the next one's first packet is dropped
    my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "listen: $!";
    my @queue = map {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', Blocking => 0,
                              PeerPort => $full->sockport)
    } 1 .. 5;
    sleep 0.1;
    takes('connecting', 0.3, 2, sub {
        refused('connecting', qr/connecting timed out/, '/',
                port => $full->sockport, connect => 300) });

    my $late = vault_server(
        name => 'late', vault => 'vault_request_timeout ' . 500 * $SLOW
                                 . 'ms;');
    my $open = counts()->{open};
    my $answer = call($late, 'POST', path_of('/silent'));
    is($answer->{status}, 503, "the request's deadline");
    becomes('open', $open, 'and the connection is closed');
    is_deeply([$late->stop], [], 'nothing is left of it');
}


# Hosts

sub test_hosts {
    my $port = VaultNginx::free_port();

    refused('nobody there', qr/cannot connect/, '/', port => $port);
    refused('no such name', qr/looked up/, '/', host => 'no-such-host.invalid');
    is(ask('/echo', host => 'localhost')->{status}, 200, 'a name');
    is(ask('/echo', host => 'localhost')->{status}, 200, 'known by now');
    refused('nobody there by IPv6', qr/cannot connect/, '/', port => $port,
            host => $_) for '::1', '[::1]';
}


# A resolver that knows a name with two addresses, of which one is deaf

sub test_addresses {
    VaultNginx::write_file("$dir/names.c", <<'_EOF_');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

int
getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

    if (strcmp(name, "two.example.com") != 0) {
        return real(name, service, hints, res);
    }

    if (real("127.0.0.2", service, hints, res) != 0) {
        return EAI_AGAIN;
    }

    return real("127.0.0.1", service, hints, &(*res)->ai_next);
}
_EOF_
    my $log = `gcc -shared -fPIC -o $dir/names.so $dir/names.c -ldl 2>&1`;
    is($?, 0, 'a resolver') or diag($log);

    my %env = VaultNginx::environment($dir);
    my $other = vault_server(name => 'two', env => {
        LD_PRELOAD => join ':', grep { $_ } $env{LD_PRELOAD},
                                "$dir/names.so" });
    my @two = (host => 'two.example.com', on => $other);

    forget();
    is(sent(ask('/echo', @two))->{method}, 'GET', 'the second address');
    is(sent(ask('/echo', @two, method => 'PUT', body => 'x' x 50_000))->{size},
       50_000, 'is sent all');
    ask('/echo', @two, method => 'POST');
    is(counts()->{connections}, 2, 'and kept');
    is(counts()->{requests}, 3, 'each was sent once');
    refused('neither', qr/cannot connect/, '/', @two,
            port => VaultNginx::free_port());
    refused('no second one when it was sent', qr/without an answer/,
            raw('', close => 1, @two, method => 'POST'));
    is(counts()->{requests}, 4, 'once');
    is_deeply([$other->stop], [], 'and a clean end');
}


# TLS

sub openssl {
    my (@args) = @_;

    my $log = `openssl @args 2>&1`;
    die "openssl @args: $log\n" if $? != 0;
}


sub certificate {
    my ($name, $alternative, @more) = @_;

    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
            '-nodes', '-subj', "/CN=$name", '-keyout', "$dir/$name.key",
            '-out', "$dir/$name.csr");
    VaultNginx::write_file("$dir/$name.ext", "subjectAltName=$alternative\n");
    openssl('x509', '-req', '-in', "$dir/$name.csr", '-CA', "$dir/ca.pem",
            '-CAkey', "$dir/ca.key", '-set_serial', int rand 1e9,
            '-extfile', "$dir/$name.ext", '-out', "$dir/$name.pem",
            @more ? @more : ('-days', 2));

    return ("$dir/$name.pem", "$dir/$name.key");
}


sub test_tls {
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-days', 2, '-subj',
            '/CN=authority', '-keyout', "$dir/ca.key", '-out',
            "$dir/ca.pem");

    my $secure = peer(certificate('good', 'DNS:localhost'));
    my %tls = (tls => 1, host => 'localhost', ca => "$dir/ca.pem",
               port => $secure->port);

    my $got = sent(ask('/echo', %tls));
    is($got->{headers}[0][1], 'peer.example.com', 'TLS');

    my $path = file_of('ten', 10_000_000);
    $got = sent(ask('/echo', %tls, method => 'PUT', file => $path));
    is($got->{sha256}, sha256_hex(VaultNginx::read_file($path)),
       'a file over TLS');
    is(ask('/chunked?n=50000', %tls)->{size}, 50_000, 'chunks over TLS');
    ask('/echo', %tls, times => 5);
    is(counts($secure)->{connections}, 1, 'all on one connection');

    ask('/echo', %tls, method => 'POST') for 1 .. 3;
    is(counts($secure)->{resumed}, 3, 'new ones resume its session');

    is(ask('/stale', %tls)->{body}, 'first', 'a stale connection');
    is(ask('/stale', %tls)->{body}, 'first', 'is noticed');
    refused('cut off', qr/closed in the answer/,
            raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", %tls,
                close => 1));
    refused('silence', qr/timed out/, '/silent', %tls, silence => 300);

    forget($secure);
    refused('an authority nobody knows', qr/certificate/, '/echo', %tls,
            ca => '');
    refused('another name', qr/mismatch/, '/echo', %tls,
            host => '127.0.0.1');
    refused('not TLS', qr/TLS/, '/echo', %tls, port => $server->port);
    refused('not plain', qr/malformed|without/, '/echo',
            port => $secure->port);
    is(counts($secure)->{requests}, 0, 'nothing was sent to them');

    my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5);
    refused('no handshake', qr/timed out/, '/echo', %tls,
            port => $deaf->sockport, connect => 300);

    my $other = peer(certificate('other', 'DNS:other.example.com'));
    refused('for another host', qr/mismatch/, '/echo', %tls,
            port => $other->port);

    my $old = peer(certificate('old', 'DNS:localhost', '-days', '-1'));
    refused('expired', qr/expired/, '/echo', %tls, port => $old->port);

    my $number = peer(certificate('number', 'IP:127.0.0.1'));
    is(ask('/echo', %tls, host => '127.0.0.1',
           port => $number->port)->{status}, 200, 'an address');
    refused('an address is no name', qr/mismatch/, '/echo', %tls,
            port => $number->port);

    return ($secure, %tls);
}


# Large bodies

sub memory {
    my ($pid) = $server->workers;
    my ($kb) = VaultNginx::read_file("/proc/$pid/status")
               =~ /^RssAnon:\s+(\d+)/m;
    return $kb;
}


sub test_large {
    my ($secure, %tls) = @_;

    my $path = file_of('large', $LARGE);
    my $sum = Digest::SHA->new(256)->addfile($path)->hexdigest;

    for my $case (['plain', $peer], ['TLS', $secure, %tls]) {
        my ($name, $of, @more) = @$case;

        ask('/echo', @more, method => 'PUT', file => $path, from => 1);
        my $before = memory();

        for my $method ('PUT', 'POST') {
            my $got = sent(ask('/echo', @more, method => $method,
                               file => $path));
            is($got->{size}, $LARGE, "$name: 100 MB by $method");
            is($got->{sha256}, $sum, "$name: unharmed");
        }

        my @socks = at_once(3, '/echo', @more, method => 'PUT',
                            file => $path);
        is(answers_like(qr/$sum/, @socks), 3, "$name: three at once");
        cmp_ok(memory() - $before, '<', 2048, "$name: no memory for that")
            if $VaultNginx::FLAVOUR ne 'asan';
    }

    for my $how ('', '?reset=1') {
        my $answer = ask("/early$how", method => 'PUT', file => $path);
        like($answer->{body} // $answer->{error},
             $how ? qr/refused|without an answer/ : qr/^refused$/,
             "refused before it was sent, $how");
    }

    unlink $path;
}


# Without a client

sub task_ends {
    my ($target, %option) = @_;

    call($server, 'POST', path_of($target, %option, task => 1));

    my $state;

    for (1 .. 200 * $SLOW) {
        $state = call($server, 'GET', '/api/debug/upstream/task')->{json};
        last if $state->{ended};
        sleep 0.02;
    }

    return $state;
}


sub test_tasks {
    my ($secure, %tls) = @_;

    my $path = file_of('small', 300_000);

    is_deeply(task_ends('/echo', method => 'PUT', file => $path, times => 70),
              { done => 70, ended => 1, status => 200, error => '' },
              'a task calls as well');
    is(counts()->{last}{size}, 300_000, 'and sends');
    is(task_ends('/echo', %tls, times => 5)->{status}, 200, 'over TLS');
    is(task_ends('/', port => VaultNginx::free_port())->{error},
       'cannot connect', 'nobody there');
    is(task_ends('/silent', silence => 200)->{error}, 'timed out',
       'a silent peer');

    call($server, 'DELETE', '/api/debug/upstream');
    is(task_ends('/silent', deadline => 200)->{done}, 0, 'a deadline');
    becomes('open', 0, 'ends its connection');
}


# Who goes meanwhile

sub test_leaving {
    call($server, 'DELETE', '/api/debug/upstream');

    # A reset that comes in one packet with its request goes unnoticed, so
    # silence ends such calls.
    for my $round (1 .. 5) {
        my @socks = (at_once(5, '/silent', silence => 1000),
                     at_once(5, '/slow?s=0.1'),
                     at_once(5, '/drip?s=0.01'));
        sleep 0.03 * $round;
        VaultHttp::reset($_) for @socks;
    }

    stops_clean($server, 'who left is forgotten');
    call($server, 'DELETE', '/api/debug/upstream');
    becomes('open', 0, 'and so are their connections');
    is(ask('/echo')->{status}, 200, 'it goes on');
}


sub test_http2 {
    my $other = vault_server(name => 'http2', listen => ' http2');
    my $path = path_of('/echo', method => 'PUT', times => 60);

    open my $in, '-|', 'curl', '-sS', '--http2-prior-knowledge',
        '--data-binary', '@' . file_of('small', 300_000),
        'http://127.0.0.1:' . $other->port . $path or die "curl: $!\n";
    local $/;
    like(<$in>, qr/\\"size\\": 300000/, 'HTTP/2, sixty calls in one request');
    close $in;
    is_deeply([$other->stop], [], 'and nginx is well');
}


sub test_workers {
    ask('/echo');
    my @socks = at_once(5, '/slow?s=0.5');
    sleep 0.2;
    $server->signal('HUP');
    is(answers_like(qr/at last/, @socks), 5, 'a reload waits for answers');
    becomes('open', 0, 'and leaves no connection');
    is(ask('/echo', method => 'POST')->{status}, 200,
       'the new worker asks as well');

    call($server, 'POST', path_of('/silent', task => 1, method => 'POST'));
    becomes('open', 2, 'a task waits');
}


test_requests();
test_answers();
test_sizes();
test_garbage();
test_mutants();
test_keeping();
test_stale();
test_crowd();
test_times();
test_hosts();
test_addresses();
my @secure = test_tls();
test_large(@secure);
test_tasks(@secure);
test_leaving();
test_http2();
test_workers();

takes('the end', 0, 5, sub {
    is_deeply([$server->stop], [], 'nginx ended without a complaint') });
becomes('open', 0, 'and left no connection');

done_testing();
