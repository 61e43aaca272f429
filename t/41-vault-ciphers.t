# Ciphers, one at a time.

use strict;
use warnings;

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== a login with all that a login can have
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "encryptedFor": "{{alice.id}}", "organizationId": null,
 "folderId": null, "name": "{{enc:bank}}", "notes": "{{enc:two lines}}",
 "favorite": true, "lastKnownRevisionDate": null, "reprompt": 1,
 "key": "{{enc:item key}}",
 "login": {
   "response": null, "uri": null, "username": "{{enc:me}}",
   "password": "{{enc:secret}}", "totp": "{{enc:otpauth}}",
   "passwordRevisionDate": "2024-02-29T23:59:59.1234567Z",
   "autofillOnPageLoad": true,
   "uris": [{"uri": "{{enc:https}}", "uriChecksum": "{{enc:sum}}",
             "match": 3},
            {"uri": "{{enc:app}}", "match": null}],
   "fido2Credentials": [{
     "credentialId": "{{enc:c}}", "keyType": "{{enc:t}}",
     "keyAlgorithm": "{{enc:a}}", "keyCurve": "{{enc:u}}",
     "keyValue": "{{enc:v}}", "rpId": "{{enc:r}}", "rpName": "{{enc:n}}",
     "userHandle": "{{enc:h}}", "userName": "{{enc:w}}",
     "userDisplayName": "{{enc:d}}", "counter": "{{enc:0}}",
     "discoverable": "{{enc:true}}",
     "creationDate": "2025-01-02T03:04:05Z"}]},
 "fields": [{"type": 0, "name": "{{enc:f}}", "value": "{{enc:g}}"},
            {"type": 3, "name": "{{enc:l}}", "value": null,
             "linkedId": 100}],
 "passwordHistory": [{"password": "{{enc:old}}",
                      "lastUsedDate": "2023-05-06T07:08:09Z"}],
 "attachments": null, "attachments2": null}
--- json
{"object": "cipherDetails", "id": "<uuid>", "organizationId": null,
 "folderId": null, "type": 1, "name": "{{enc:bank}}",
 "notes": "{{enc:two lines}}", "favorite": true, "reprompt": 1,
 "key": "{{enc:item key}}", "edit": true, "viewPassword": true,
 "permissions": {"delete": true, "restore": true},
 "organizationUseTotp": false, "revisionDate": "<date>",
 "creationDate": "<date>", "deletedDate": null, "archivedDate": null,
 "collectionIds": [], "attachments": null, "data": null,
 "card": null, "identity": null, "secureNote": null, "sshKey": null,
 "login": {
   "username": "{{enc:me}}", "password": "{{enc:secret}}",
   "totp": "{{enc:otpauth}}", "autofillOnPageLoad": true,
   "passwordRevisionDate": "2024-02-29T23:59:59.123Z",
   "uris": [{"uri": "{{enc:https}}", "uriChecksum": "{{enc:sum}}",
             "match": 3},
            {"uri": "{{enc:app}}", "uriChecksum": null, "match": null}],
   "fido2Credentials": [{
     "credentialId": "{{enc:c}}", "discoverable": "{{enc:true}}",
     "counter": "{{enc:0}}", "creationDate": "2025-01-02T03:04:05.000Z"}]},
 "fields": [{"type": 0, "name": "{{enc:f}}", "value": "{{enc:g}}",
             "linkedId": null},
            {"type": 3, "value": null, "linkedId": 100}],
 "passwordHistory": [{"password": "{{enc:old}}",
                      "lastUsedDate": "2023-05-06T07:08:09.000Z"}]}
--- save
bank=id
revision=revisionDate


=== a secure note
--- as: alice
--- request
POST /api/ciphers
{"type": 2, "name": "{{enc:note}}", "secureNote": {"type": 0},
 "login": {"username": "{{enc:stray}}"}}
--- json
{"type": 2, "secureNote": {"type": 0}, "login": null, "fields": null,
 "favorite": false, "reprompt": 0}


=== a card
--- as: alice
--- request
POST /api/ciphers
{"type": 3, "name": "{{enc:card}}", "card": {"number": "{{enc:4111}}",
 "cardholderName": "{{enc:A}}", "brand": "{{enc:Visa}}",
 "expMonth": "{{enc:1}}", "expYear": "{{enc:2030}}", "code": "{{enc:123}}"}}
--- json
{"type": 3, "card": {"number": "{{enc:4111}}", "code": "{{enc:123}}",
 "cardholderName": "{{enc:A}}", "brand": "{{enc:Visa}}",
 "expMonth": "{{enc:1}}", "expYear": "{{enc:2030}}"}}


=== an identity
--- as: alice
--- request
POST /api/ciphers
{"type": 4, "name": "{{enc:me}}", "identity": {"title": "{{enc:Dr}}",
 "ssn": "{{enc:1}}", "licenseNumber": "{{enc:2}}", "postalCode": ""}}
--- json
{"type": 4, "identity": {"title": "{{enc:Dr}}", "ssn": "{{enc:1}}",
 "licenseNumber": "{{enc:2}}", "postalCode": null, "firstName": null}}


=== an SSH key
--- as: alice
--- request
POST /api/ciphers
{"type": 5, "name": "{{enc:key}}", "sshKey": {"privateKey": "{{enc:p}}",
 "publicKey": "{{enc:q}}", "keyFingerprint": "{{enc:r}}"}}
--- json
{"type": 5, "sshKey": {"privateKey": "{{enc:p}}", "publicKey": "{{enc:q}}",
 "keyFingerprint": "{{enc:r}}"}}


=== the call with collections, which a personal item has none of
--- as: alice
--- request
POST /api/ciphers/create
{"cipher": {"type": 2, "name": "{{enc:wrapped}}", "secureNote": {"type": 0},
            "organizationId": null}, "collectionIds": []}
--- json
{"name": "{{enc:wrapped}}", "collectionIds": []}


=== without the item
--- as: alice
--- request
POST /api/ciphers/create
{"collectionIds": []}
--- error_code: 400
--- fails


=== a list of all
--- as: alice
--- request
GET /api/ciphers
--- json
{"object": "list", "data": "<list:6>"}


=== one
--- as: alice
--- request
GET /api/ciphers/{{bank}}
--- json
{"id": "{{bank}}", "name": "{{enc:bank}}", "login": {"uris": "<list:2>"}}


=== its details
--- as: alice
--- request
GET /api/ciphers/{{bank}}/details
--- json
{"id": "{{bank}}", "collectionIds": []}


=== nobody
--- request
GET /api/ciphers/{{bank}}
--- error_code: 401
--- fails


=== another user
--- as: bob
--- request
GET /api/ciphers/{{bank}}
--- error_code: 404
--- fails: Resource not found.


=== an id of nobody
--- as: alice
--- request
GET /api/ciphers/{{uuid:nobody}}
--- error_code: 404
--- fails: Resource not found.


=== an edit that knows the latest revision
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank 2}}", "login": {"username": "{{enc:you}}"},
 "lastKnownRevisionDate": "{{revision}}", "favorite": false}
--- json
{"id": "{{bank}}", "name": "{{enc:bank 2}}", "favorite": false,
 "login": {"username": "{{enc:you}}", "uris": null}, "fields": null,
 "creationDate": "<date>"}


=== an edit that does not
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank 3}}", "login": {"username": "{{enc:you}}"},
 "lastKnownRevisionDate": "{{date:-60}}"}
--- error_code: 400
--- fails: The item cannot be saved because it is out of date. To edit this item, first sync your vault, or log out and back in.


=== an edit that does not ask
--- as: alice
--- request
POST /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank 4}}", "login": {"username": "{{enc:you}}"}}
--- json
{"name": "{{enc:bank 4}}"}


=== an edit by somebody else
--- as: bob
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:mine}}", "login": {"username": "{{enc:bob}}"}}
--- error_code: 404
--- fails: Resource not found.


=== an edit of its type
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 2, "name": "{{enc:mine}}", "secureNote": {"type": 0}}
--- error_code: 400
--- fails: The type of an item cannot be changed.


=== a move into an organization is not an edit
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:mine}}", "login": {},
 "organizationId": "{{uuid:organization}}"}
--- error_code: 400
--- fails: Organization mismatch. Re-sync if you recently moved this item, then try again.


=== an item of an organization
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:mine}}", "login": {},
 "organizationId": "{{uuid:organization}}"}
--- error_code: 404
--- fails: Resource not found.


=== the name is left as it was
--- as: alice
--- request
GET /api/ciphers/{{bank}}
--- json
{"name": "{{enc:bank 4}}", "type": 1}


=== encrypted for another user
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}", "login": {}, "encryptedFor": "{{bob.id}}"}
--- error_code: 400
--- fails: Cipher was not encrypted for the current user. Please try again.


=== a key id, while the user has none
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank 5}}", "login": {},
 "encryptedByKeyId": "00112233445566778899aabbccddeeff"}
--- json
{"name": "{{enc:bank 5}}"}


=== the user gets one
--- as: alice
--- request
POST /api/accounts/key-management/user-key-id
{"userKeyId": "00112233445566778899aabbccddeeff"}
--- error_code: 200


=== the same key
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank 6}}", "login": {},
 "encryptedByKeyId": "00112233445566778899AABBCCDDEEFF"}
--- json
{"name": "{{enc:bank 6}}"}


=== another key
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank 7}}", "login": {},
 "encryptedByKeyId": "ff112233445566778899aabbccddeeff"}
--- error_code: 400
--- fails: Cipher was not encrypted with the current user key. Please try again.


=== a type that does not exist
--- as: alice
--- request
POST /api/ciphers
{"type": 9, "name": "{{enc:x}}"}
--- error_code: 400
--- fails
--- json
{"validationErrors": {"type": ["<text>"]}}


=== a login without its part
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}"}
--- error_code: 400
--- fails
--- json
{"validationErrors": {"login": ["<text>"]}}


=== no name
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "login": {}}
--- error_code: 400
--- fails
--- json
{"validationErrors": {"name": ["<text>"]}}


=== a password in the clear, deep inside
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}", "login": {"password": "secret"}}
--- error_code: 400
--- fails
--- json
{"validationErrors": {"login.password": ["<text>"]}}


=== a passkey without its date
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}", "login": {"fido2Credentials": [{}]}}
--- error_code: 400
--- fails


=== a field of an unknown type
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}", "login": {}, "fields": [{"type": 4}]}
--- error_code: 400
--- fails


=== a history entry that is null
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}", "login": {}, "passwordHistory": [null]}
--- error_code: 400
--- fails


=== a folder of bob
--- as: bob
--- request
POST /api/folders
{"name": "{{enc:bob}}"}
--- save: strange=id


=== takes no item of alice when it is created
--- as: alice
--- request
POST /api/ciphers
{"type": 1, "name": "{{enc:x}}", "login": {}, "folderId": "{{strange}}"}
--- error_code: 400
--- fails


=== nor when it is edited
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:x}}", "login": {}, "folderId": "{{strange}}"}
--- error_code: 400
--- fails: Invalid folder.


=== nor when it is filed
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/partial
{"folderId": "{{strange}}", "favorite": true}
--- error_code: 404
--- fails


=== a folder of alice
--- as: alice
--- request
POST /api/folders
{"name": "{{enc:alice}}"}
--- save: folder=id


=== takes it
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/partial
{"folderId": "{{folder}}", "favorite": true}
--- json
{"id": "{{bank}}", "folderId": "{{folder}}", "favorite": true,
 "name": "{{enc:bank 6}}"}


=== and gives it back
--- as: alice
--- request
POST /api/ciphers/{{bank}}/partial
{"folderId": "", "favorite": false}
--- json
{"folderId": null, "favorite": false}


=== bob files nothing of alice
--- as: bob
--- request
PUT /api/ciphers/{{bank}}/partial
{"folderId": "{{strange}}", "favorite": true}
--- error_code: 404
--- fails: Resource not found.


=== bob puts nothing of alice into the trash
--- as: bob
--- request
PUT /api/ciphers/{{bank}}/delete
--- error_code: 404
--- fails: Resource not found.


=== alice does
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/delete
--- error_code: 200
--- response_body:


=== it has a date
--- as: alice
--- request
GET /api/ciphers/{{bank}}
--- json
{"deletedDate": "<date>"}
--- save: trashed=deletedDate


=== which stays
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/delete
--- error_code: 200


=== as it was
--- as: alice
--- request
GET /api/ciphers/{{bank}}
--- json
{"deletedDate": "{{trashed}}"}


=== bob restores nothing of alice
--- as: bob
--- request
PUT /api/ciphers/{{bank}}/restore
--- error_code: 404
--- fails


=== alice does
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/restore
--- json
{"id": "{{bank}}", "deletedDate": null, "name": "{{enc:bank 6}}"}


=== bob archives nothing of alice
--- as: bob
--- request
PUT /api/ciphers/{{bank}}/archive
--- error_code: 400
--- fails: Cipher was not archived. Ensure the provided ID is correct and you have permission to archive it.


=== alice does
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/archive
--- json
{"id": "{{bank}}", "archivedDate": "<date>"}


=== twice
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/archive
--- error_code: 400
--- fails


=== bob takes nothing out of the archive
--- as: bob
--- request
PUT /api/ciphers/{{bank}}/unarchive
--- error_code: 400
--- fails


=== alice does
--- as: alice
--- request
PUT /api/ciphers/{{bank}}/unarchive
--- json
{"id": "{{bank}}", "archivedDate": null}


=== an edit can archive
--- as: alice
--- request
PUT /api/ciphers/{{bank}}
{"type": 1, "name": "{{enc:bank}}", "login": {},
 "archivedDate": "2026-01-01T00:00:00Z"}
--- json
{"archivedDate": "2026-01-01T00:00:00.000Z"}


=== bob deletes nothing of alice
--- as: bob
--- request
DELETE /api/ciphers/{{bank}}
--- error_code: 404
--- fails: Resource not found.


=== nor by the old call
--- as: bob
--- request
POST /api/ciphers/{{bank}}/delete
--- error_code: 404
--- fails


=== alice does
--- as: alice
--- request
DELETE /api/ciphers/{{bank}}
--- error_code: 200


=== it is gone
--- as: alice
--- request
POST /api/ciphers/{{bank}}/delete
--- error_code: 404
--- fails


=== what mobile clients ask
--- as: alice
--- request
GET /api/ciphers/has-unassigned-ciphers
--- response_body: false


=== a session that a new security stamp has ended writes nothing
--- as: bob
--- request
POST /api/accounts/security-stamp
{"masterPasswordHash": "{{bob.hash}}"}
--- error_code: 200


=== the old token
--- as: bob
--- request
POST /api/folders
{"name": "{{enc:late}}"}
--- error_code: 401
--- fails
