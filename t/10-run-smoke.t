# A request from its route to its answer, with each way to wait.

use Test::Nginx::Socket 'no_plan';
use VaultTest 'debug';

run_tests();

__DATA__

=== without a wait
--- request
GET /alive
--- json: "<date>"
--- response_headers_like
Content-Type: application/json(?:; charset=utf-8)?

=== HEAD where GET is: its headers, no body
--- request
HEAD /alive
--- response_headers_like
Content-Length: [1-9]\d*
--- response_body chomp

=== a trailing slash is ignored
--- request
GET /alive/
--- json: "<date>"

=== an unknown path of the API
--- request
GET /api/no-such-thing
--- error_code: 404
--- response_headers_like
Content-Type: application/json.*
--- fails: Resource not found.

=== an unknown path of the identity service
--- request
POST /identity/nothing
{}
--- error_code: 404
--- fails: Resource not found.

=== HEAD of an unknown path
--- request
HEAD /api/no-such-thing
--- error_code: 404
--- response_body chomp

=== a path that looks like a route but is longer
--- request
GET /api/alive/and/more
--- error_code: 404
--- fails: Resource not found.

=== a known path, another method
--- request
DELETE /api/sync
--- error_code: 405
--- fails: Method not allowed.

=== a known path, a method that nobody has
--- request
PATCH /api/folders
{}
--- error_code: 405
--- fails: Method not allowed.

=== HEAD where only POST is
--- request
HEAD /identity/connect/token
--- error_code: 405
--- response_body chomp

=== a UUID that is none
--- as: alice
--- request
GET /api/folders/not-a-uuid
--- error_code: 404
--- fails: Resource not found.

=== nobody has no session
--- request
GET /api/sync
--- error_code: 401
--- fails

=== the timer
--- request
GET /api/debug/timer/20

=== a timer of no time
--- request
GET /api/debug/timer/0

=== a thread
--- request
GET /api/debug/thread/20

=== a transaction
--- request
GET /api/debug/transaction/5

=== a failure
--- request
GET /api/debug/fail/0
--- error_code: 400
--- fails: Failed at the bottom.

=== a failure from two hundred frames down
--- request
GET /api/debug/fail/200
--- error_code: 400
--- fails

=== a failure is logged once, at info
--- request
GET /api/debug/timer/nonsense
--- error_code: 400
--- fails: Not a number of milliseconds.
--- error_log
Not a number of milliseconds.
--- no_error_log
[error]
[warn]

=== many on one connection
--- pipelined_requests eval
[map { "GET $_" } ('/api/debug/timer/3', '/api/debug/thread/1', '/alive',
                   '/api/debug/transaction/1', '/api/debug/fail/3')]
--- error_code eval
[200, 200, 200, 200, 400]

=== a body
--- request
POST /api/debug/body
0123456789
--- json: 10

=== no body
--- request
POST /api/debug/body
--- json: 0

=== a body in chunks
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /api/debug/body\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"
--- json: 5

=== a body in pieces
--- raw_request eval
["POST /api/debug/body HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
 . "Content-Length: 6\r\n\r\n", "ab", "cdef"]
--- raw_request_middle_delay: 0.05
--- json: 6

=== a body that goes to a file
--- request eval
"POST /api/debug/body\n" . 'x' x 300_000
--- json: 300000

=== a JSON body that goes to a file, with a field that is too long
--- as: alice
--- request eval
'POST /api/folders' . "\n" . '{"name": "' . 'x' x 300_000 . '"}'
--- error_code: 400
--- fails

=== a body that turns out too large
--- as: alice
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /api/folders\n" . ("10000\r\n" . 'x' x 65536 . "\r\n") x 17 . "0\r\n\r\n"
--- error_code: 413
--- fails: The request body is too large.

=== not JSON
--- as: alice
--- more_headers
Content-Type: application/json
--- request
POST /api/folders
nonsense
--- error_code: 400
--- fails

=== nested deeply
--- as: alice
--- request eval
"POST /api/folders\n" . '{"name":' . '[' x 100_000 . ']' x 100_000 . '}'
--- error_code: 400
--- fails

=== nested deeply, where unknown members are
--- as: alice
--- request eval
"POST /api/folders\n" . '{"x":' . '{"x":' x 40_000 . '1' . '}' x 40_000 . '}'
--- error_code: 400
--- fails

=== the server is well after that
--- request
GET /alive
--- json: "<date>"
