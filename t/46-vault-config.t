# What a client asks before anybody has signed in.

use strict;
use warnings;

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== config
--- request
GET /api/config
--- json
{"object": "config", "version": "<re:^\\d{4}\\.\\d{1,2}\\.\\d+$>",
 "gitHash": "<text>", "server": {"name": "<text>", "url": "<text>"},
 "environment": {"cloudRegion": null, "vault": "https://vault.example.com",
   "api": "https://vault.example.com/api",
   "identity": "https://vault.example.com/identity",
   "notifications": "https://vault.example.com/notifications",
   "sso": ""},
 "featureStates": {"pm-19148-innovation-archive": true,
   "cipher-key-encryption": true},
 "push": {"pushTechnology": 0, "vapidPublicKey": null},
 "settings": {"disableUserRegistration": false,
   "suppressOnboardingInterstitials": false},
 "communication": null}


=== flags of features that are not here are absent
--- request
GET /api/config
--- response_body_unlike: pm-27632|pm-2819|pm-22134|pm-30110|pm-30144|enroll-aead|pm-27279|enable-account-encryption-v2|pm-32009|pm-31885|pm-30811


=== registration closed
--- vault: vault_signups off;
--- request
GET /api/config
--- json
{"settings": {"disableUserRegistration": true}}


=== the version alone
--- request
GET /api/version
--- response_body_like: ^"\d{4}\.\d{1,2}\.\d+"$


=== alive
--- request
GET /alive
--- response_body_like: ^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"$


=== alive below /api
--- request
GET /api/alive
--- response_body_like: ^"\d{4}-.*Z"$


=== now
--- request
GET /api/now
--- response_body_like: ^"\d{4}-.*Z"$


=== HEAD
--- request
HEAD /alive
--- response_body:


=== events of a signed-in user are taken
--- as: alice
--- request
POST /events/collect
[{"type": 1107, "cipherId": "{{uuid:c}}", "date": "{{now}}"}]
--- error_code: 200
--- response_body:


=== below /api too
--- as: alice
--- request
POST /api/events/collect
[]
--- error_code: 200


=== but of nobody else
--- request
POST /events/collect
[]
--- error_code: 401
--- fails
