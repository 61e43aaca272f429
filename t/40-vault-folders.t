# Folders: the model resource.

use strict;
use warnings;

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== a new account has no folders
--- as: alice
--- request
GET /api/folders
--- json
{"data": "<list:0>", "object": "list", "continuationToken": null}


=== a folder is created
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:holidays}}"}
--- json
{"object": "folder", "id": "<uuid>", "name": "{{enc:holidays}}",
 "revisionDate": "<date>"}
--- save: holidays=id


=== and read back
--- as: alice
--- request
GET /api/folders/{{holidays}}
--- json
{"object": "folder", "id": "{{holidays}}", "name": "{{enc:holidays}}"}


=== and listed
--- as: alice
--- request
GET /api/folders
--- json
{"data": [{"id": "{{holidays}}", "object": "folder"}]}


=== a name with a capital letter, as .NET sends it
--- as: alice
--- request
PUT /api/folders/{{holidays}}
{"Name": "{{enc:beach}}", "unknown": {"a": []}}
--- json
{"id": "{{holidays}}", "name": "{{enc:beach}}"}


=== POST renames too
--- as: alice
--- request
POST /api/folders/{{holidays}}
{"name": "{{enc:hills}}"}
--- json
{"id": "{{holidays}}", "name": "{{enc:hills}}", "revisionDate": "<date>"}


=== the new name stays
--- as: alice
--- request
GET /api/folders/{{holidays}}
--- json
{"name": "{{enc:hills}}"}


=== nobody sees no folders
--- request
GET /api/folders
--- error_code: 401
--- fails


=== another user does not see it
--- as: bob
--- request
GET /api/folders/{{holidays}}
--- error_code: 404
--- fails: Resource not found.


=== nor rename it
--- as: bob
--- request
PUT /api/folders/{{holidays}}
{"name": "{{enc:mine}}"}
--- error_code: 404
--- fails: Resource not found.


=== nor delete it
--- as: bob
--- request
DELETE /api/folders/{{holidays}}
--- error_code: 404
--- fails: Resource not found.


=== nor delete it among others
--- as: bob
--- request
DELETE /api/folders
{"ids": ["{{holidays}}", "{{uuid:nobody}}"]}
--- error_code: 200


=== nor all
--- as: bob
--- request
DELETE /api/folders/all
--- error_code: 200


=== it is still there, with its name
--- as: alice
--- request
GET /api/folders/{{holidays}}
--- json
{"name": "{{enc:hills}}"}


=== a folder that nobody has
--- as: alice
--- request
PUT /api/folders/{{uuid:nobody}}
{"name": "{{enc:x}}"}
--- error_code: 404
--- fails: Resource not found.


=== an id that is none
--- as: alice
--- request
GET /api/folders/12
--- error_code: 404
--- fails


=== a name in the clear
--- as: alice
--- request
POST /api/folders
{"name": "holidays"}
--- error_code: 400
--- fails
--- json
{"validationErrors": {"name": ["<text>"]}}


=== no name
--- as: alice
--- request
POST /api/folders
{"name": null}
--- error_code: 400
--- fails


=== half a body
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:x}}"
--- error_code: 400
--- fails


=== a list instead of an object
--- as: alice
--- request
POST /api/folders
[]
--- error_code: 400
--- fails


=== a second folder
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:work}}"}
--- save: work=id


=== an item in the first
--- as: alice
--- request
POST /api/ciphers
{"type": 2, "name": "{{enc:note}}", "folderId": "{{holidays}}",
 "secureNote": {"type": 0}}
--- json
{"folderId": "{{holidays}}"}
--- save: note=id


=== a folder is deleted
--- as: alice
--- request
DELETE /api/folders/{{holidays}}
--- error_code: 200
--- response_body:


=== and gone
--- as: alice
--- request
GET /api/folders/{{holidays}}
--- error_code: 404
--- fails


=== its item is not
--- as: alice
--- request
GET /api/ciphers/{{note}}
--- json
{"folderId": null, "id": "{{note}}"}


=== deleted by the old call
--- as: alice
--- request
POST /api/folders/{{work}}/delete
--- error_code: 200


=== twice
--- as: alice
--- request
POST /api/folders/{{work}}/delete
--- error_code: 404
--- fails


=== three more
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:1}}"}
--- save: one=id


=== two
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:2}}"}
--- save: two=id


=== three
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:3}}"}
--- save: three=id


=== two are deleted at once
--- as: alice
--- request
DELETE /api/folders
{"ids": ["{{one}}", "{{three}}"]}
--- error_code: 200


=== one is left
--- as: alice
--- request
GET /api/folders
--- json
{"data": [{"id": "{{two}}"}]}


=== ids that are none
--- as: alice
--- request
DELETE /api/folders
{"ids": ["two"]}
--- error_code: 400
--- fails


=== all are deleted
--- as: alice
--- request
DELETE /api/folders/all
--- error_code: 200


=== none is left
--- as: alice
--- request
GET /api/folders
--- json
{"data": "<list:0>"}


=== a method that folders do not have
--- as: alice
--- request
PUT /api/folders
{}
--- error_code: 405
--- fails
