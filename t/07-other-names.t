# Routes that clients of other versions use for what has a newer name.

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== the time, as load balancers ask for it
--- request
GET /now
--- json: "<date>"

=== an item: save
--- as: alice
--- request
POST /api/ciphers
{"type": 2, "name": "{{enc:note}}", "secureNote": {"type": 0}}
--- save: note=id

=== the item with all its details
--- as: alice
--- request
GET /api/ciphers/{{note}}/full-details
--- json
{"id": "{{note}}", "type": 2, "name": "{{enc:note}}", "deletedDate": null}

=== deleted for good by POST
--- as: alice
--- request
POST /api/ciphers/{{note}}/delete
{}

=== and gone
--- as: alice
--- request
GET /api/ciphers/{{note}}
--- error_code: 404
--- fails: Resource not found.

=== device verification is the user's choice, by POST too
--- as: alice
--- request
POST /api/accounts/verify-devices
{"verifyDevices": false, "masterPasswordHash": "{{alice.hash}}"}

=== it is kept
--- as: alice
--- request
GET /api/accounts/profile
--- json
{"verifyDevices": false}

=== keys can be set once
--- as: alice
--- request
POST /api/accounts/keys
{"publicKey": "{{alice.public_key}}",
 "encryptedPrivateKey": "{{alice.private_key}}"}
--- error_code: 400
--- fails: User has existing keypair
