# SQL from a request: what goes in comes out, on both databases alike.

use strict;
use warnings;

# its endpoints are in builds for tests only
BEGIN { $ENV{VAULT_FLAVOUR} = 'debug' if ($ENV{VAULT_FLAVOUR} || '') ne 'asan' }

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== parameters by number, in any order, twice, null, empty, largest, negative
--- request
GET /api/debug/values
--- json
{"object": "list", "data": [
    {"id": "'); -- 😀", "name": "'); -- 😀", "n": 9223372036854775807},
    {"id": null, "name": "", "n": null},
    {"id": "7", "name": "x", "n": -5}]}

=== many rows by one statement
--- request
POST /api/debug/rows/3000
--- json
{"n": 3000}

=== the same again changes them
--- request
POST /api/debug/rows/3000
--- json
{"n": 3000}

=== a list of ids, quotes and strangers among them
--- request
GET /api/debug/list
--- json
{"data": [{"id": "debug-000000", "name": "<re:^\"q\\\\\näx+$>", "n": 0},
          {"id": "debug-000001", "name": "<text>", "n": 1}]}

=== all of them come back
--- request
GET /api/debug/rows
--- json
{"data": "<list:3000>"}

=== none at all is a statement, too
--- request
POST /api/debug/rows/0
--- json
{"n": 0}

=== and they go
--- request
DELETE /api/debug/rows
--- json
{"n": 3000}

=== no rows are an empty list
--- request
GET /api/debug/rows
--- json
{"data": []}

=== writes of a batch are one transaction: the second fails
--- request
POST /api/debug/atomic/1
--- error_code: 500
--- fails: The server made an error.

=== so the first did not happen
--- request
POST /api/debug/atomic/0
--- json
{"n": 1}

=== now it did
--- request
POST /api/debug/atomic/0
--- json
{"n": 0}

=== a body that fails is rolled back
--- request
POST /api/debug/roll/0
--- error_code: 400
--- fails: Rolled back.

=== also when it has waited
--- request
POST /api/debug/roll/20
--- error_code: 400
--- fails: Rolled back.

=== nothing of it is there, and the connection is good for more
--- request
GET /api/debug/rows
--- json
{"data": [{"id": "debug-atomic"}]}

=== a transaction that counts
--- request eval
["POST /api/debug/count", "POST /api/debug/count"]
--- json eval
['{"n": 1}', '{"n": 2}']

=== a column that the result lacks is an error, not a null
--- request
GET /api/debug/wrong/0
--- error_code: 500
--- fails: The server made an error.
--- error_log
column "n" is not in the result

=== too few arguments
--- request
GET /api/debug/wrong/1
--- error_code: 500
--- fails: The server made an error.

=== an unknown token
--- request
GET /api/debug/wrong/2
--- error_code: 500
--- fails: The server made an error.

=== a text where a number should be
--- request
GET /api/debug/wrong/3
--- error_code: 500
--- fails: The server made an error.
--- error_log
column "n" is not an integer

=== a table that is not there
--- request
GET /api/debug/wrong/4
--- error_code: 500
--- fails: The server made an error.

=== an identifier in quotes is never a text
--- request
GET /api/debug/wrong/5
--- error_code: 500
--- fails: The server made an error.

=== more than the narrowest database takes is refused in strict mode
--- vault
vault_database_strict on;
--- request
POST /api/debug/rows/3001
--- error_code: 500
--- fails: The server made an error.
--- error_log
strict: more than 3000 rows changed in one transaction

=== and nothing of it is kept
--- vault
vault_database_strict on;
--- request
GET /api/debug/rows
--- json
{"data": [{"id": "debug-atomic"}, {"id": "debug-count"}]}

=== 3000 rows are not too many
--- vault
vault_database_strict on;
--- request
POST /api/debug/rows/3000
--- json
{"n": 3000}

=== two tables in one transaction
--- vault
vault_database_strict on;
--- request
GET /api/debug/wrong/6
--- error_code: 500
--- fails: The server made an error.
--- error_log
strict: more than one DDL statement in one transaction

=== a table and rows in one transaction
--- vault
vault_database_strict on;
--- request
GET /api/debug/wrong/7
--- error_code: 500
--- fails: The server made an error.
--- error_log
strict: DDL and DML in one transaction

=== which is allowed otherwise
--- request
GET /api/debug/wrong/7
--- error_code: 200
