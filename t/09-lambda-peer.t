# The peer that plays AWS Lambda keeps its word: who waits is frozen, who asked
# for events gets them, who takes too long is killed.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep);

use VaultHttp;
use VaultNginx;
use VaultPeer;

my $dir = VaultNginx::work_dir('09-lambda-peer');

# A runtime that answers with what it is told to, and an extension that writes
# down what it hears; both count as long as they run.

VaultNginx::write_file("$dir/common.py", <<'_EOF_');
import http.client, json, os, sys, threading, time

def connect():
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    return http.client.HTTPConnection(host, int(port))

def call(connection, method, path, body=None, headers={}):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()

def tick(path):
    def run():
        with open(path, "ab", buffering=0) as f:
            while True:
                f.write(b".")
                time.sleep(0.01)
    threading.Thread(target=run, daemon=True).start()
_EOF_

VaultNginx::write_file("$dir/runtime.py", <<'_EOF_');
from common import *

tick(sys.argv[1] + "/ticks")
api = connect()
next_ = "/2018-06-01/runtime/invocation/"
while True:
    answer, body = call(api, "GET", next_ + "next")
    event = json.loads(body)
    path = next_ + answer.headers["Lambda-Runtime-Aws-Request-Id"]
    left = int(answer.headers["Lambda-Runtime-Deadline-Ms"])
    left -= time.time() * 1000
    do = event.get("do")
    if do == "sleep":
        time.sleep(event["seconds"])
    if do == "exit":
        sys.exit(3)
    if do == "fail":
        call(api, "POST", path + "/error", json.dumps(
            {"errorType": "Odd", "errorMessage": "as told"}))
    elif do == "stream":
        prelude = json.dumps({"statusCode": 201, "headers": {"x-a": "b"},
                              "cookies": ["c=d"]}).encode() + b"\0" * 8
        pieces = [prelude[:5], prelude[5:] + b"one ", b"two"]
        api.request("POST", path + "/response", iter(pieces), {
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Transfer-Encoding": "chunked", "Content-Type":
            "application/vnd.awslambda.http-integration-response"},
            encode_chunked=True)
        api.getresponse().read()
    elif do == "large":
        call(api, "POST", path + "/response", b"x" * (7 * 1024 * 1024))
    else:
        call(api, "POST", path + "/response",
             json.dumps({"left": left, "event": event}))
_EOF_

VaultNginx::write_file("$dir/extension.py", <<'_EOF_');
from common import *

api = connect()
base = "/2020-01-01/extension/"
answer, body = call(api, "POST", base + "register",
                    json.dumps({"events": ["INVOKE", "SHUTDOWN"]}),
                    {"Lambda-Extension-Name": "scribe"})
me = {"Lambda-Extension-Identifier":
      answer.headers["Lambda-Extension-Identifier"]}
while True:
    answer, body = call(api, "GET", base + "event/next", None, me)
    event = json.loads(body)
    with open(sys.argv[1] + "/heard", "a") as f:
        f.write(event["eventType"] + "\n")
    if event["eventType"] == "SHUTDOWN":
        if os.path.exists(sys.argv[1] + "/stubborn"):
            time.sleep(10)
        sys.exit(0)
_EOF_

my $lambda = VaultPeer->new(
    'lambda.py', '--timeout', 2, '--log', "$dir/log",
    '--extension', "python3 -B $dir/extension.py $dir", '--front', '', '',
    '--secret', 'sesame', '--', 'python3', '-B', "$dir/runtime.py", $dir);


sub invoke { return $lambda->set(invoke => { @_ }) }
sub ticks { return -s "$dir/ticks" }
sub heard { return VaultNginx::read_file("$dir/heard") }


sub test_freeze {
    my $state = $lambda->state;

    ok($state->{frozen}, 'who waits is frozen');
    is_deeply($state->{extensions}, { scribe => ['INVOKE', 'SHUTDOWN'] },
              'the extension is known');

    my $n = ticks();
    sleep 0.3;
    is(ticks(), $n, 'it does nothing meanwhile');

    my $json = VaultHttp::json(invoke(do => 'sleep', seconds => 0.2, x => 1));
    is($json->{event}{x}, 1, 'the event comes as it is');
    cmp_ok($json->{left}, '>', 0, 'with a deadline');
    cmp_ok($json->{left}, '<=', 2000, 'of the timeout');
    cmp_ok(ticks(), '>', $n, 'it runs with an event');
    is(heard(), "INVOKE\n", 'and so does the extension');

    $n = ticks();
    sleep 0.3;
    is(ticks(), $n, 'it is frozen again');
}


sub test_answers {
    my $answer = invoke(do => 'stream');
    is($answer->{status}, 201, 'a stream has a status');
    is($answer->{headers}{'x-a'}, 'b', 'and headers');
    is($answer->{body}, 'one two', 'and a body');
    is($answer->{mode}, 'streaming', 'is one');

    $answer = invoke(do => 'fail');
    is_deeply($answer, { error => 'Odd', message => 'as told' }, 'an error');
    is(invoke(do => 'large')->{error}, 'Function.ResponseSizeTooLarge',
       'what is not streamed has 6 MB at most');
    is(invoke(x => 'x' x (6 * 1024 * 1024))->{error}, 'RequestTooLarge',
       'so has an event');
}


sub test_killed {
    is(invoke(do => 'sleep', seconds => 9)->{error}, 'Sandbox.Timedout',
       'too long');
    is(VaultHttp::json(invoke(do => 'echo'))->{event}{do}, 'echo',
       'the next one begins anew');
    is($lambda->state->{counts}{starts}, 2, 'with new processes');
    is(invoke(do => 'exit')->{error}, 'Runtime.ExitError', 'one that ends');
    is(VaultHttp::json(invoke(do => 'echo'))->{event}{do}, 'echo',
       'is started again');
}


sub test_front {
    my $port = $lambda->state->{front};
    my $answer = VaultHttp::request($port, 'POST', '/a%20b?c=d&c=e', [
        'X-Forwarded-For: 203.0.113.1, 203.0.113.2', 'X-Two: 1', 'x-two: 2',
        'X-Vault-Origin-Secret: of-mine', 'Cookie: a=1; b=2',
        'Content-Type: application/octet-stream'], "\0\xff");

    is($answer->{status}, 200, 'what is no HTTP answer comes as it is');
    my $event = VaultHttp::json($answer)->{event};

    is($event->{version}, '2.0', 'a payload of a function URL');
    is($event->{rawQueryString}, 'c=d&c=e', 'with its query');
    is($event->{headers}{'x-forwarded-for'}, '203.0.113.1',
       'and the first address that the client invented');
    is($event->{headers}{'x-two'}, '1,2', 'headers are joined');
    is($event->{headers}{'x-vault-origin-secret'}, 'sesame',
       "the origin's win");
    unlike($event->{headers}{host}, qr/127/, 'nobody sees the Host');
    is_deeply($event->{cookies}, ['a=1', 'b=2'], 'cookies are apart');
    ok($event->{isBase64Encoded}, 'bytes are in base64');
    is($event->{body}, 'AP8=', 'all of them');

    is(VaultHttp::request($port, 'POST', '/', [], 'x' x (5 * 1024 * 1024))
       ->{status}, 413, 'five megabytes of bytes are over six of text');
}


sub test_end {
    my $end = $lambda->set(shutdown => 'spindown');
    is($end->{codes}[0], 0, 'the extension ends by itself');
    like(heard(), qr/SHUTDOWN\n\z/, 'since it was told');

    VaultNginx::write_file("$dir/stubborn", '');
    invoke(do => 'echo');
    $end = $lambda->set(shutdown => 'spindown');
    is($end->{codes}[0], undef, 'one that does not');
    cmp_ok($end->{seconds}, '>=', 2, 'has two seconds');
    is_deeply($lambda->state->{processes}, [], 'then it is killed');
}


test_freeze();
test_answers();
test_killed();
test_front();
test_end();

$lambda->stop;
done_testing();
