# HTTP/2 without TLS: the same answers, streams beside each other, resets.

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET ();
use Test::More;
use Time::HiRes qw(sleep);

use VaultHttp;
use VaultTest 'debug';

my $server = vault_server(name => 'http2', listen => ' http2',
                          level => 'notice');
my $port = $server->port;
my $alice = user('alice');
my $dir = File::Temp->newdir;


# The status page speaks the same protocol, so all goes through curl.

sub curl {
    my (@args) = @_;

    my $path = pop @args;

    open my $out, '-|', 'curl', '-sS', '--http2-prior-knowledge', '-o',
        "$dir/body", '-w', '%{http_code} %{http_version} %{content_type}',
        '--max-time', 20 * $VaultNginx::SLOW, @args,
        "http://127.0.0.1:$port$path" or die "curl: $!\n";
    my $line = <$out> // '';
    close $out;

    my ($status, $version, $type) = split ' ', $line, 3;
    return { status => $status, version => $version, type => $type // '',
             body => VaultNginx::read_file("$dir/body") };
}


sub clean {
    my ($name) = @_;

    my $state;

    for (1 .. 100 * $VaultNginx::SLOW) {
        $state = JSON::PP->new->decode(curl('/vault-status')->{body});
        last if !$state->{coroutines} && !$state->{database}{busy};
        sleep 0.02;
    }

    json_like($state, { coroutines => 0,
                        database => { busy => 0, waiting => 0 } }, $name);
}

my @auth = ('-H', "Authorization: Bearer $alice->{token}");

my $answer = curl('/alive');
is($answer->{status}, 200, 'an answer');
is($answer->{version}, 2, 'by HTTP/2');

$answer = curl(@auth, '-H', 'Content-Type: application/json', '-d',
               json_text(folder('one')), '/api/folders');
is($answer->{status}, 200, 'a write');
json_like($answer->{body}, { object => 'folder', name => enc('one') },
          'its answer');

is(curl('-I', '/alive')->{status}, 200, 'HEAD');

$answer = curl('/api/nothing');
is($answer->{status}, 404, 'an unknown path');
api_error_like($answer->{body}, '', 'in the shape of the API');

# nginx has no length to go by where the client sends none.

VaultNginx::write_file("$dir/big", 'x' x 300_000);
is(curl('--data-binary', "\@$dir/big", '/api/debug/body')->{body}, 300_000,
   'a body that goes to a file');
is(curl('-T', "$dir/big", '-X', 'POST', '-H', 'Content-Length:',
        '/api/debug/body')->{body}, 300_000, 'a body of unknown length');

VaultNginx::write_file("$dir/huge", 'x' x 1_100_000);
# curl 7.88 gives up when a stream is reset after its answer; nghttp does not.

my $seen = `nghttp -v -d '$dir/huge' http://127.0.0.1:$port/api/folders`;
like($seen, qr/:status: 413/, 'a body that is too large');
like($seen, qr/^\{"message":"The request body is too large\."/m,
     'in the shape of the API');
$answer = curl('-T', "$dir/huge", '-X', 'POST', '-H', 'Content-Length:',
               @auth, '/api/folders');
is($answer->{status}, 413, 'and one that did not say so');

# Streams beside each other on one connection

open my $out, '-|', 'nghttp', '-ns', '--timeout=30', map {
    "http://127.0.0.1:$port/api/debug/$_"
} map { ("timer/$_", "thread/$_", "transaction/1", "fail/$_") } 10 .. 29
    or die "nghttp: $!\n";
my @lines = grep { m{\s/api/debug/} } <$out>;
close $out;

my %statuses;
for my $line (@lines) {
    my ($status, $kind) = $line =~ m{\s(\d{3})\s.*/api/debug/(\w+)};
    $statuses{$kind}{$status}++;
}
is_deeply(\%statuses, {
    timer => { 200 => 20 }, thread => { 200 => 20 },
    transaction => { 200 => 1 }, fail => { 400 => 20 } },
    'eighty streams, each with its own answer') || diag(@lines);
clean('nothing is left');


# Streams that the client resets, by a client made of bytes (RFC 9113).

sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $stream) . $payload;
}


# Literal header fields without indexing, no Huffman coding: RFC 7541 §6.2.2

sub headers {
    my ($stream, $path, $end) = @_;

    my $block = join '', map {
        my ($name, $value) = @$_;
        "\0" . pack('C/a C/a', $name, $value)
    } ([':method', $end ? 'GET' : 'POST'], [':scheme', 'http'],
       [':authority', 'localhost'], [':path', $path]);

    return frame(1, 4 | ($end ? 1 : 0), $stream, $block);
}


sub reset_streams {
    my ($name, @paths) = @_;

    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $port) or die "connect: $!";

    syswrite $sock, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '');

    my $stream = -1;
    my @streams = map { $stream += 2; [$stream, $_] } @paths;

    syswrite $sock, join '', map { headers($_->[0], $_->[1], $_->[1] ne
                                           '/api/debug/body') } @streams;

    for my $one (@streams) {
        sleep rand 0.01;
        syswrite $sock, frame(3, 0, $one->[0], pack 'N', 8);
    }

    clean("$name: nothing is left, the connection still open");
    close $sock;
    clean("$name: nor after its end");
}

my $pid = JSON::PP->new->decode(curl('/vault-status')->{body})->{pid};

reset_streams('timer', map { '/api/debug/timer/' . int rand 200 } 1 .. 50);
reset_streams('thread', map { '/api/debug/thread/' . int rand 40 } 1 .. 50);
reset_streams('transaction', ('/api/debug/transaction/5') x 30);
reset_streams('half a body', ('/api/debug/body') x 20);
reset_streams('at once', ('/api/debug/timer/1', '/api/debug/thread/1') x 25);

is(JSON::PP->new->decode(curl('/vault-status')->{body})->{pid}, $pid,
   'the same worker');
is(curl(@auth, '/api/folders')->{status}, 200, 'it works');
is_deeply([$server->stop], [], 'and nginx has nothing to complain of');

done_testing();
