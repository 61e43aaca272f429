# Devices: who has signed in, and how that ends.

use strict;
use warnings;

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== the first device
--- as: alice
--- request
GET /api/devices
--- json
{"object": "list", "continuationToken": null, "data": [
 {"object": "device", "id": "<uuid>", "name": "desktop", "type": 8,
  "identifier": "{{alice.device}}", "creationDate": "<date>",
  "lastActivityDate": "<date>", "isTrusted": false,
  "encryptedUserKey": null, "encryptedPublicKey": null,
  "devicePendingAuthRequest": null}]}
--- save: desktop=data.0.id


=== a second
--- as: alice/phone
--- request
GET /api/devices
--- json
{"data": [{"name": "phone", "identifier": "{{alice/phone.device}}"},
          {"name": "desktop", "id": "{{desktop}}"}]}
--- save: phone=data.0.id


=== nobody has none
--- request
GET /api/devices
--- error_code: 401
--- fails


=== bob has his own
--- as: bob
--- request
GET /api/devices
--- json
{"data": [{"identifier": "{{bob.device}}"}]}


=== by its id
--- as: alice
--- request
GET /api/devices/{{phone}}
--- json
{"object": "device", "id": "{{phone}}", "name": "phone"}


=== of somebody else
--- as: bob
--- request
GET /api/devices/{{phone}}
--- error_code: 404
--- fails: Resource not found.


=== that is none
--- as: alice
--- request
GET /api/devices/{{uuid:none}}
--- error_code: 404
--- fails


=== by its own name
--- as: alice
--- request
GET /api/devices/identifier/{{alice/phone.device}}
--- json
{"object": "device", "id": "{{phone}}"}


=== of somebody else, by its own name
--- as: bob
--- request
GET /api/devices/identifier/{{alice/phone.device}}
--- error_code: 404
--- fails


=== a known device
--- request
GET /api/devices/knowndevice
--- more_headers
X-Request-Email: YWxpY2VAZXhhbXBsZS5jb20
X-Device-Identifier: {{alice.device}}
--- response_body chomp
true


=== of another account
--- request
GET /api/devices/knowndevice
--- more_headers
X-Request-Email: Ym9iQGV4YW1wbGUuY29t
X-Device-Identifier: {{alice.device}}
--- response_body chomp
false


=== of no account
--- request
GET /api/devices/knowndevice
--- more_headers
X-Request-Email: bm9ib2R5QGV4YW1wbGUuY29t
X-Device-Identifier: {{alice.device}}
--- response_body chomp
false


=== without an e-mail
--- request
GET /api/devices/knowndevice
--- more_headers
X-Device-Identifier: abc
--- error_code: 400
--- fails: Please provide an email and device identifier


=== without a device
--- request
GET /api/devices/knowndevice
--- more_headers
X-Request-Email: YWxpY2VAZXhhbXBsZS5jb20
--- error_code: 400
--- fails: Please provide an email and device identifier


=== with an e-mail that is none
--- request
GET /api/devices/knowndevice
--- more_headers
X-Request-Email: %%%
X-Device-Identifier: abc
--- error_code: 400
--- fails: Please provide an email and device identifier


=== a push token
--- as: alice
--- request
PUT /api/devices/identifier/{{alice/phone.device}}/token
{"pushToken": "token of the phone"}
--- response_body


=== POST too
--- as: alice
--- request
POST /api/devices/identifier/{{alice/phone.device}}/token
{"pushToken": "token of the phone"}
--- response_body


=== none
--- as: alice
--- request
PUT /api/devices/identifier/{{alice/phone.device}}/token
{}
--- error_code: 400
--- fails


=== for the device of somebody else
--- as: bob
--- request
PUT /api/devices/identifier/{{alice/phone.device}}/token
{"pushToken": "token of bob"}
--- error_code: 404
--- fails


=== is cleared without signing in
--- request
PUT /api/devices/identifier/{{alice/phone.device}}/clear-token
--- response_body


=== by POST too
--- request
POST /api/devices/identifier/{{alice/phone.device}}/clear-token
--- response_body


=== but not of a device that is none
--- request
PUT /api/devices/identifier/{{uuid:none}}/clear-token
--- error_code: 404
--- fails


=== web push is honest
--- as: alice
--- request
POST /api/devices/identifier/{{alice.device}}/web-push-auth
{"endpoint": "https://push.example.com/x", "p256dh": "x", "auth": "y"}
--- error_code: 400
--- fails: Web push is not available on this server.


=== by PUT too
--- as: alice
--- request
PUT /api/devices/identifier/{{alice.device}}/web-push-auth
{"endpoint": "https://push.example.com/x", "p256dh": "x", "auth": "y"}
--- error_code: 400
--- fails: Web push is not available on this server.


=== web push for the device of somebody else
--- as: bob
--- request
PUT /api/devices/identifier/{{alice.device}}/web-push-auth
{"endpoint": "https://push.example.com/x", "p256dh": "x", "auth": "y"}
--- error_code: 404
--- fails


=== a device is trusted
--- as: alice
--- request
PUT /api/devices/{{alice/phone.device}}/keys
{"encryptedUserKey": "{{enc:user}}", "encryptedPublicKey": "{{enc:public}}",
 "encryptedPrivateKey": "{{enc:private}}"}
--- json
{"object": "device", "id": "{{phone}}", "isTrusted": true,
 "encryptedUserKey": "{{enc:user}}", "encryptedPublicKey": "{{enc:public}}"}


=== POST too
--- as: alice
--- request
POST /api/devices/{{alice/phone.device}}/keys
{"encryptedUserKey": "{{enc:u}}", "encryptedPublicKey": "{{enc:p}}",
 "encryptedPrivateKey": "{{enc:q}}"}
--- json
{"isTrusted": true, "encryptedUserKey": "{{enc:u}}"}


=== not by keys that are none
--- as: alice
--- request
PUT /api/devices/{{alice/phone.device}}/keys
{"encryptedUserKey": "plain", "encryptedPublicKey": "{{enc:p}}",
 "encryptedPrivateKey": "{{enc:q}}"}
--- error_code: 400
--- fails


=== not by half of them
--- as: alice
--- request
PUT /api/devices/{{alice/phone.device}}/keys
{"encryptedUserKey": "{{enc:u}}"}
--- error_code: 400
--- fails


=== not by somebody else
--- as: bob
--- request
PUT /api/devices/{{alice/phone.device}}/keys
{"encryptedUserKey": "{{enc:u}}", "encryptedPublicKey": "{{enc:p}}",
 "encryptedPrivateKey": "{{enc:q}}"}
--- error_code: 404
--- fails


=== somebody else does not end it
--- as: bob
--- request
DELETE /api/devices/{{phone}}
--- error_code: 404
--- fails


=== nor by POST
--- as: bob
--- request
POST /api/devices/{{phone}}/deactivate
--- error_code: 404
--- fails


=== nor nobody
--- request
DELETE /api/devices/{{phone}}
--- error_code: 401
--- fails


=== it is still there
--- as: alice/phone
--- request
GET /api/devices/{{phone}}
--- json
{"id": "{{phone}}"}


=== its owner does
--- as: alice
--- request
POST /api/devices/{{phone}}/deactivate
--- response_body


=== once
--- as: alice
--- request
DELETE /api/devices/{{phone}}
--- error_code: 404
--- fails


=== then it is signed out
--- as: alice/phone
--- request
GET /api/devices
--- error_code: 401
--- fails


=== the other is not
--- as: alice
--- request
GET /api/devices
--- json
{"data": [{"id": "{{desktop}}"}]}


=== and may end itself
--- as: alice
--- request
DELETE /api/devices/{{desktop}}
--- response_body


=== which signs it out
--- as: alice
--- request
GET /api/devices
--- error_code: 401
--- fails
