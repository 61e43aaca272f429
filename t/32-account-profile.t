# The account without its password: profile, avatar, keys, revision.

use strict;
use warnings;

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== the profile
--- as: alice
--- request
GET /api/accounts/profile
--- json
{"object": "profile", "id": "{{alice.id}}", "name": "Alice",
 "email": "alice@example.com", "emailVerified": true, "premium": true,
 "premiumFromOrganization": false, "culture": "en-US",
 "twoFactorEnabled": false, "key": "{{alice.key}}",
 "privateKey": "{{alice.private_key}}", "securityStamp": "{{alice.stamp}}",
 "forcePasswordReset": false, "usesKeyConnector": false, "avatarColor": null,
 "creationDate": "<date>", "verifyDevices": true, "organizations": [],
 "providers": [], "providerOrganizations": [],
 "accountKeys": {"object": "privateKeys", "signatureKeyPair": null,
   "securityState": null, "publicKeyEncryptionKeyPair": {
     "publicKey": "{{alice.public_key}}", "signedPublicKey": null,
     "wrappedPrivateKey": "{{alice.private_key}}"}}}


=== nobody has none
--- request
GET /api/accounts/profile
--- error_code: 401
--- fails


=== another user has another
--- as: bob
--- request
GET /api/accounts/profile
--- json
{"id": "{{bob.id}}", "email": "bob@example.com"}


=== sync shows the same profile
--- as: alice
--- request
GET /api/sync?excludeDomains=true
--- json
{"profile": {"id": "{{alice.id}}", "securityStamp": "{{alice.stamp}}",
 "premium": true, "object": "profile"},
 "userDecryption": {"userKeyId": null, "v2UpgradeToken": null,
   "webAuthnPrfOptions": null, "masterPasswordUnlock": {
   "salt": "alice@example.com", "containedKeyId": null,
   "masterKeyEncryptedUserKey": "{{alice.key}}",
   "masterKeyWrappedUserKey": "{{alice.key}}",
   "kdf": {"kdfType": 0, "iterations": 600000, "memory": null,
           "parallelism": null}}}}


=== the revision is a bare number
--- as: alice
--- request
GET /api/accounts/revision-date
--- response_headers_like
Content-Type: application/json.*
--- response_body_like: ^\d{13}$
--- save: before=.


=== a new name
--- as: alice
--- request
PUT /api/accounts/profile
{"name": "Alice Example", "masterPasswordHint": "ignored"}
--- json
{"object": "profile", "name": "Alice Example", "culture": "en-US"}


=== the revision has grown
--- as: alice
--- request
GET /api/accounts/revision-date
--- response_body_like: ^\d{13}$
--- save: after=.


=== POST too, with a language
--- as: alice
--- request
POST /api/accounts/profile
{"name": "Alicia", "culture": "es"}
--- json
{"name": "Alicia", "culture": "es"}


=== the name stays
--- as: alice/phone
--- request
GET /api/accounts/profile
--- json
{"name": "Alicia", "culture": "es"}


=== no name is none
--- as: alice
--- request
PUT /api/accounts/profile
{"name": null}
--- json
{"name": null, "culture": "es"}


=== a name too long
--- as: alice
--- request eval
"PUT /api/accounts/profile\n" . '{"name": "' . ('x' x 201) . '"}'
--- error_code: 400
--- fails


=== a name that is a number
--- as: alice
--- request
PUT /api/accounts/profile
{"name": 7}
--- error_code: 400
--- fails


=== no JSON
--- as: alice
--- request
PUT /api/accounts/profile
{"name": "x"
--- error_code: 400
--- fails


=== bob kept his name
--- as: bob
--- request
GET /api/accounts/profile
--- json
{"name": "Bob"}


=== a color
--- as: alice
--- request
PUT /api/accounts/avatar
{"avatarColor": "#a1B2c3"}
--- json
{"object": "profile", "avatarColor": "#a1B2c3"}


=== and none
--- as: alice
--- request
POST /api/accounts/avatar
{"avatarColor": null}
--- json
{"avatarColor": null}


=== what is no color
--- as: alice
--- request
PUT /api/accounts/avatar
{"avatarColor": "#a1b2cg"}
--- error_code: 400
--- fails


=== nobody paints
--- request
PUT /api/accounts/avatar
{"avatarColor": "#a1b2c3"}
--- error_code: 401
--- fails


=== the keys
--- as: alice
--- request
GET /api/accounts/keys
--- json
{"object": "keys", "key": "{{alice.key}}",
 "publicKey": "{{alice.public_key}}", "privateKey": "{{alice.private_key}}",
 "accountKeys": {"publicKeyEncryptionKeyPair": {
   "publicKey": "{{alice.public_key}}"}}}


=== are there once for all
--- as: alice
--- request
POST /api/accounts/keys
{"publicKey": "{{bob.public_key}}", "encryptedPrivateKey": "{{enc:new}}"}
--- error_code: 400
--- fails: User has existing keypair


=== and are not replaced
--- as: alice
--- request
GET /api/accounts/keys
--- json
{"publicKey": "{{alice.public_key}}", "privateKey": "{{alice.private_key}}"}


=== keys that are none
--- as: alice
--- request
POST /api/accounts/keys
{"publicKey": "{{b64:nonsense}}", "encryptedPrivateKey": "{{enc:new}}"}
--- error_code: 400
--- fails: The public key is not an RSA key.


=== the public key of a user is there for others
--- as: bob
--- request
GET /api/users/{{alice.id}}/public-key
--- json
{"object": "userKey", "userId": "{{alice.id}}",
 "publicKey": "{{alice.public_key}}"}


=== with the id in capitals
--- as: bob
--- request eval
'GET /api/users/' . uc(main::user('alice')->{id}) . '/public-key'
--- json
{"userId": "{{alice.id}}"}


=== but not for nobody
--- request
GET /api/users/{{alice.id}}/public-key
--- error_code: 401
--- fails


=== a user that is none
--- as: bob
--- request
GET /api/users/{{uuid:no one}}/public-key
--- error_code: 404
--- fails: Resource not found.


=== the id of the user key is set
--- as: alice
--- request
POST /api/accounts/key-management/user-key-id
{"userKeyId": "0123456789abcdef0123456789abcdef"}


=== and is in sync
--- as: alice
--- request
GET /api/sync?excludeDomains=true
--- json
{"userDecryption": {"userKeyId": "0123456789abcdef0123456789abcdef",
 "masterPasswordUnlock": {
   "containedKeyId": "0123456789abcdef0123456789abcdef"}}}


=== it is set once
--- as: alice
--- request
POST /api/accounts/key-management/user-key-id
{"userKeyId": "00000000000000000000000000000000"}
--- error_code: 400
--- fails: User key id is already set.


=== bob has none yet, and sends a bad one
--- as: bob
--- request
POST /api/accounts/key-management/user-key-id
{"userKeyId": "0123456789ABCDEF0123456789ABCDEF"}
--- error_code: 400
--- fails: A key id has 32 lower-case hexadecimal digits.


=== or a short one
--- as: bob
--- request
POST /api/accounts/key-management/user-key-id
{"userKeyId": "0123"}
--- error_code: 400
--- fails


=== or none
--- as: bob
--- request
POST /api/accounts/key-management/user-key-id
{}
--- error_code: 400
--- fails


=== bob's sync has none
--- as: bob
--- request
GET /api/sync?excludeDomains=true
--- json
{"userDecryption": {"userKeyId": null}}
