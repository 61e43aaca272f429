# The harness itself: what passes passes, and what is wrong is noticed.

use strict;
use warnings;

use File::Temp ();
use Test::More;

use VaultNginx;
use VaultTest;

my $dir = File::Temp->newdir;


# Runs blocks in a process of their own; the names that failed.

sub failures {
    my ($blocks, $head) = @_;

    VaultNginx::write_file("$dir/planted.t",
        "use Test::Nginx::Socket 'no_plan';\n" . ($head // '')
        . "run_tests();\n__DATA__\n$blocks");

    local $ENV{VAULT_TEST_DIR} = "$dir/work";
    my $out = `$^X -I$VaultNginx::ROOT/t/lib $dir/planted.t 2>&1`;

    return [$out =~ /^not ok \d+ - (.*)$/mg] if $out =~ /^1\.\.[1-9]/m;
    return ["did not end: $out"];
}


sub blocks_ok {
    my ($name, $blocks, $head) = @_;

    is_deeply(failures($blocks, $head), [], $name);
}


# One block that fails with this test's name, and with no other

sub caught_ok {
    my ($name, $sections, $expected) = @_;

    my $failed = failures(<<"_EOF_");
=== T
--- config
location = /x { return 200 "x\\n"; }
location = /y { add_header X-A b; return 404; }
--- request
GET /x
$sections
_EOF_

    is_deeply($failed, [$expected], $name);
}

blocks_ok('requests, headers, bodies', <<'_EOF_');
=== a request
--- config
    location = /hello {
        add_header X-A b;
        return 200 "hello $request_method $http_x\n";
    }
--- request
GET /hello
--- more_headers
X: 1
--- response_body
hello GET 1
--- response_headers
X-A: b
! X-B
--- response_headers_like
X-A: [a-c]
--- no_error_log
[error]

=== several
--- config
location = /x { return 200 "x\n"; }
--- request eval
["GET /x", "HEAD /x", "GET /y"]
--- response_body eval
["x\n", "", qr/404/]
--- error_code eval
[200, 200, 404]

=== one after the other on one connection
--- config
location = /x { return 200 "x\n"; }
--- pipelined_requests eval
["GET /x", "POST /x\nabc", "GET /f.txt"]
--- user_files
>>> f.txt
file
--- response_body eval
["x\n", "x\n", "file\n"]

=== in pieces
--- config
location = /x { return 200 "x\n"; }
--- raw_request eval
["GET /x HTT", "P/1.1\r\nHost: a\r\n\r\n"]
--- raw_request_middle_delay: 0.02
--- response_body_like chomp
^x$

=== the log
--- config
location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- request
GET /
--- error_code: 502
--- error_log
Connection refused
--- response_body_unlike: ^$

=== chunks
--- config
location / { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/x; }
location = /x { return 200 "$http_content_length\n"; }
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /\n3\r\nabc\r\n0\r\n\r\n"
--- response_body
3

=== a client that leaves
--- config
location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; }
location = /slow { limit_rate 1; return 200 "aaaaaaaaaaaaaaaaaaaaaaaa"; }
--- request
GET /slow
--- timeout: 0.1
--- abort
--- ignore_response

=== not run
--- SKIP
--- request
GET /
_EOF_

blocks_ok('hooks', <<'_EOF_', <<'_HEAD_');
=== hooks
--- mine: location = /x { return 200 "x\n"; }
--- request
GET /x
_EOF_
add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('config', $block->mine);
});
add_response_body_check(sub {
    my ($block, $body, $n, $round, $dry_run) = @_;
    is($body, "x\n", 'the body');
    is($block->name . "$n$round", 'hooks0' . $::round++, 'the rest');
});
repeat_each(2);
_HEAD_

caught_ok('a wrong status', "--- error_code: 201", 'T - status');
caught_ok('a wrong body', "--- response_body\ny\n", 'T - body');
caught_ok('a wrong pattern', "--- response_body_like: ^y", 'T - body');
caught_ok('a missing header', "--- response_headers\nX-A: b",
          'T - header X-A');
caught_ok('a header too many', "--- response_headers\n! Content-Length",
          'T - no header Content-Length');
caught_ok('a missing line of the log', "--- error_log\nnever",
          'T - error log has never');
caught_ok('a forbidden line of the log',
          "--- log_level: debug\n--- no_error_log\nhttp request line",
          'T - error log lacks http request line');

like(failures("=== T\n--- config\nnonsense;\n--- request\nGET /\n")->[0],
     qr/^T - nginx did not start: .*unknown directive "nonsense"/,
     'a wrong configuration');

is_deeply(failures(<<'_EOF_', <<'_HEAD_'), ['nginx left nothing behind'],
=== T
--- config
location = /x { return 200 "x\n"; }
--- request
GET /x
_EOF_
add_response_body_check(sub {
    open my $in, '<', server_root() . '/logs/nginx.pid';
    kill 'SEGV', VaultNginx::workers_of(<$in> + 0);
    select undef, undef, undef, 0.3;
});
_HEAD_
          'a crash');


# JSON

sub differ_ok {
    my ($got, $want, @expected) = @_;

    my $json = JSON::PP->new->allow_nonref;
    is_deeply([json_differences($json->decode($got), $json->decode($want),
                                '')], \@expected, "$got, wanted $want");
}

differ_ok('{"a":1,"b":2}', '{"a":1}');
differ_ok('{"a":1}', '{"a":"1"}', '.a: 1 is not "1"');
differ_ok('{"a":true}', '{"a":1}', '.a: true is not 1');
differ_ok('{"a":null}', '{"a":null}');
differ_ok('{}', '{"a":null}', '.a: absent');
differ_ok('{}', '{"a":"<absent>"}');
differ_ok('{"a":1}', '{"a":"<absent>"}', '.a: is there');
differ_ok('{"a":null}', '{"a":"<any>"}', '.a: null is not <any>');
differ_ok('[1,2]', '[1]', ': 2 items, not 1');
differ_ok('[{"a":1}]', '[{"a":2}]', '.0.a: 1 is not 2');
differ_ok('[1]', '{"a":1}', ': not an object');
differ_ok('{"a":"6ba7b810-9dad-41d1-80b4-00c04fd430c8"}', '{"a":"<uuid>"}');
differ_ok('{"a":"6BA7"}', '{"a":"<uuid>"}', '.a: "6BA7" is not <uuid>');
differ_ok('{"a":"2026-01-31T12:00:00.123Z"}', '{"a":"<date>"}');
differ_ok('{"a":"2026-01-31"}', '{"a":"<date>"}',
          '.a: "2026-01-31" is not <date>');
differ_ok('{"a":1}', '{"a":"<int>"}');
differ_ok('{"a":"1"}', '{"a":"<int>"}', '.a: "1" is not <int>');
differ_ok('{"a":0}', '{"a":"<bool>"}', '.a: 0 is not <bool>');
differ_ok('{"a":false}', '{"a":"<bool>"}');
differ_ok('{"a":[1,2]}', '{"a":"<list:2>"}');
differ_ok('{"a":[1]}', '{"a":"<list:2>"}', '.a: [1] is not <list:2>');
differ_ok('{"a":"abc"}', '{"a":"<re:^ab>"}');
differ_ok('{"a":"' . enc('x') . '"}', '{"a":"<enc>"}');
differ_ok('{"a":"2.x|y"}', '{"a":"<enc>"}', '.a: "2.x|y" is not <enc>');

is(enc('x'), enc('x'), 'the same text, the same EncString');
isnt(enc('x'), enc('y'), 'another text, another one');
is(substituted('a {{b64:bc}} {{uuid:1}}'), 'a YmM= ' . uuid('1'), '{{…}}');
isnt(uuid(), uuid(), 'without a seed, any UUID');
ok(!eval { substituted('{{nothing.such}}'); 1 }, 'a name that was not saved');

done_testing();
