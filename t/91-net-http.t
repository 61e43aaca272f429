# Asking other servers: what is sent, what is taken, what is refused, and that
# nobody else waits meanwhile.

use strict;
use warnings;

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultHttp;
use VaultPeer;
use VaultServer qw(vault_server call folder_of status);
use VaultTest 'debug';

my $peer = VaultPeer->new('aws.py');
my $server = vault_server(workers => 1);


sub escaped {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return $text;
}


sub path_of {
    my ($url, %option) = @_;

    my %query = (url => $url, method => 'GET', %option);
    delete $query{body};

    return '/api/debug/http?'
           . join '&', map { "$_=" . escaped($query{$_}) } sort keys %query;
}


sub ask {
    my ($url, %option) = @_;

    $url = $peer->url($url) if $url =~ m{^/};
    my $answer = call($server, 'POST', path_of($url, %option),
                      body => $option{body});
    return $answer->{json};
}


sub refused {
    my ($what, $error, $url, %option) = @_;

    my $answer = ask($url, %option);

    is($answer->{status}, 0, "$what: no answer");
    like($answer->{error}, $error, "$what: why");
}


sub sent {
    my ($answer) = @_;

    is($answer->{status}, 200, 'it answers');
    return JSON::PP->new->decode($answer->{body});
}


sub test_requests {
    my $got = sent(ask('/http/echo', header => 'a value'));
    is($got->{method}, 'GET', 'GET');
    is($got->{headers}{'X-Test'}, 'a value', 'its header');
    is(join(' ', sort map { lc } keys %{$got->{headers}}),
       'accept host x-test', 'and nothing that was not asked for');

    $got = sent(ask('/http/echo', header => ''));
    is($got->{headers}{'X-Test'}, '', 'an empty header');

    $got = sent(ask('/http/echo', method => 'POST', body => 'x' x 5000));
    is($got->{method}, 'POST', 'POST');
    is($got->{body}, 'x' x 5000, 'its body');
    ok(!exists $got->{headers}{Expect}, 'without asking first');

    $got = sent(ask('/http/echo', method => 'PUT'));
    is($got->{method}, 'PUT', 'PUT');
    is($got->{headers}{'Content-Length'}, 0, 'without a body');

    my $head = ask('/http/echo', method => 'HEAD');
    is($head->{status}, 200, 'HEAD');
    is($head->{body} // '', '', 'without a body');
    is($head->{type}, 'application/json', 'but with headers');
}


sub test_answers {
    for my $status (204, 302, 404, 500) {
        is(ask("/http/status?n=$status")->{status}, $status, "a $status");
    }

    is(ask('/http/redirect')->{body}, 'elsewhere', 'it is not followed');

    is(length ask('/http/big?n=65536')->{body}, 65536, '64 KiB');
    refused('more', qr/too large/, '/http/big?n=65537');
    is(length ask('/http/big?n=10', max => 10)->{body}, 10, '10 bytes');
    refused('11 bytes', qr/too large/, '/http/big?n=11', max => 10);
    refused('headers', qr/too large/, '/http/headers');

    refused('half an answer', qr/\w/, '/http/cut');
    refused('no answer', qr/\w/, '/http/nothing');
}


sub test_refusals {
    my $port = VaultNginx::free_port();

    refused('nobody there', qr/connect/i, "http://127.0.0.1:$port/");
    refused('no such name', qr/resolve/i, 'http://no-such-host.invalid/');
    refused('a file', qr/protocol/i, 'file:///etc/passwd');
    refused('another protocol', qr/protocol/i, "gopher://127.0.0.1:$port/");
    refused('an empty URL', qr/malformed/, 'http://127.0.0.1/ /');
    refused('two lines of URL', qr/malformed/,
            $peer->url("/http/echo\r\nX-Evil: 1"));
    refused('two lines of header', qr/malformed/, '/http/echo',
            header => "a\r\nX-Evil: 1");

    my $start = time;
    refused('a slow server', qr/timed? ?out/i, '/http/slow?s=5',
            total => 300);
    cmp_ok(time - $start, '<', 3 * $VaultNginx::SLOW, 'in time');
}


# A certificate that nobody has signed is refused; AWS_CA_BUNDLE may say whom
# to trust.

sub test_certificates {
    my $dir = folder_of();
    my $log = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \\
               -nodes -days 2 -subj /CN=localhost \\
               -addext subjectAltName=DNS:localhost \\
               -keyout $dir/key.pem -out $dir/cert.pem 2>&1`;
    is($?, 0, 'a certificate') or diag($log);

    my $secure = VaultPeer->new('aws.py', "$dir/cert.pem", "$dir/key.pem");
    my $url = 'https://localhost:' . $secure->port;

    refused('nobody knows it', qr/certificate/i, "$url/http/echo");

    VaultNginx::write_file("$dir/token", 'identity-1');
    my %env = (
        HOME => $dir, AWS_REGION => 'eu-west-1',
        AWS_ROLE_ARN => 'arn:aws:iam::123456789012:role/vault',
        AWS_WEB_IDENTITY_TOKEN_FILE => "$dir/token",
    );

    my @cases = (
        [200, "$url/", AWS_CA_BUNDLE => "$dir/cert.pem"],
        [503, "$url/"],
        [503, 'https://127.0.0.1:' . $secure->port . '/',
         AWS_CA_BUNDLE => "$dir/cert.pem"],
    );

    my $count = 0;

    for my $case (@cases) {
        my ($status, $sts, @more) = @$case;
        my $other = vault_server(
            name => 'tls' . $count++,
            env  => { %env, AWS_ENDPOINT_URL_STS => $sts, @more });

        is(call($other, 'GET', '/api/debug/aws/credentials')->{status},
           $status, "$sts @more");
        is_deeply([$other->stop], [], 'and a clean end');
    }
}


# Many at once, and one who does not wait for them.

sub clients {
    my ($n, $url) = @_;

    my $path = path_of($peer->url($url));

    return map {
        my $sock = VaultHttp::open_socket($server->port);
        $sock->blocking(1);
        print $sock "POST $path HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                    . "Connection: close\r\n\r\n";
        $sock->flush;
        $sock;
    } 1 .. $n;
}


sub test_crowd {
    my $start = time;
    my @socks = clients(20, '/http/slow?s=0.8');

    my $alive = call($server, 'GET', '/alive');
    is($alive->{status}, 200, 'alive meanwhile');

    my $good = 0;
    for my $sock (@socks) {
        local $/;
        $good++ if <$sock> =~ /at last/;
    }

    is($good, 20, 'each got its answer');
    cmp_ok(time - $start, '<', 8, 'at the same time');
}


sub test_leaving {
    for my $round (1 .. 5) {
        my @socks = clients(10, '/http/slow?s=1');
        sleep 0.02 * $round;
        VaultHttp::reset($_) for @socks;
    }

    my $end = time + 5 * $VaultNginx::SLOW;
    my $left;

    do {
        $left = status($server)->{coroutines};
        sleep 0.05;
    } while ($left && time < $end);

    is($left, 0, 'who left is forgotten');
    is(ask('/http/echo')->{status}, 200, 'and it goes on');
}


# Workers that end finish what clients wait for, and leave nothing open.

sub test_reload {
    my @socks = clients(5, '/http/slow?s=0.5');
    sleep 0.1;
    $server->signal('HUP');

    my $good = 0;
    for my $sock (@socks) {
        local $/;
        $good++ if <$sock> =~ /at last/;
    }

    is($good, 5, 'a reload waits for answers');
    is(ask('/http/echo')->{status}, 200, 'the new worker asks as well');
}


test_requests();
test_answers();
test_refusals();
test_certificates();
test_crowd();
test_leaving();
test_reload();

is_deeply([$server->stop], [], 'nginx ended without a complaint');

done_testing();
