# Equivalent domains: the global list and a user's own.

use strict;
use warnings;

use Test::Nginx::Socket 'no_plan';
use VaultTest;

run_tests();

__DATA__

=== at first there are the global ones
--- as: alice
--- request
GET /api/settings/domains
--- json
{"object": "domains", "equivalentDomains": [],
 "globalEquivalentDomains": "<list:91>"}


=== each has a number, names and a mark
--- as: alice
--- request
GET /api/settings/domains
--- response_body_like: "globalEquivalentDomains":\[\{"type":0,"domains":\["youtube.com","google.com","gmail.com"\],"excluded":false\},\{"type":1,"domains":\["apple.com","icloud.com"\],"excluded":false\}


=== own ones, and globals switched off
--- as: alice
--- request
PUT /api/settings/domains
{"equivalentDomains": [["a.example", "b.example"], ["ü.example"]],
 "excludedGlobalEquivalentDomains": [1, 91]}
--- json
{"object": "domains",
 "equivalentDomains": [["a.example", "b.example"], ["ü.example"]],
 "globalEquivalentDomains": "<list:91>"}


=== are kept, and marked
--- as: alice
--- request
GET /api/settings/domains
--- response_body_like: "equivalentDomains":\[\["a.example","b.example"\],.*"type":1,"domains":\["apple.com","icloud.com"\],"excluded":true.*"type":2,[^}]*"excluded":false.*"type":91,[^}]*"excluded":true


=== or left out
--- as: alice
--- request
GET /api/settings/domains?excluded=false
--- json
{"globalEquivalentDomains": "<list:89>"}


=== of another user they are not
--- as: bob
--- request
GET /api/settings/domains
--- json
{"equivalentDomains": [], "globalEquivalentDomains": "<list:91>"}


=== POST replaces them, too; what is null is emptied
--- as: alice
--- request
POST /api/settings/domains
{"equivalentDomains": null, "excludedGlobalEquivalentDomains": [3]}
--- json
{"equivalentDomains": []}


=== so it is
--- as: alice
--- request
GET /api/settings/domains?excluded=false
--- json
{"equivalentDomains": [], "globalEquivalentDomains": "<list:90>"}


=== nobody reads
--- request
GET /api/settings/domains
--- error_code: 401
--- fails


=== nor writes
--- request
PUT /api/settings/domains
{"equivalentDomains": []}
--- error_code: 401
--- fails


=== groups that are no lists
--- as: alice
--- request
PUT /api/settings/domains
{"equivalentDomains": ["a.example"]}
--- error_code: 400
--- fails


=== a domain that is null
--- as: alice
--- request
PUT /api/settings/domains
{"equivalentDomains": [["a.example", null]]}
--- error_code: 400
--- fails


=== a group that is null
--- as: alice
--- request
PUT /api/settings/domains
{"equivalentDomains": [null]}
--- error_code: 400
--- fails


=== a number that is none
--- as: alice
--- request
PUT /api/settings/domains
{"excludedGlobalEquivalentDomains": ["x"]}
--- error_code: 400
--- fails


=== a number that no byte holds
--- as: alice
--- request
PUT /api/settings/domains
{"excludedGlobalEquivalentDomains": [256]}
--- error_code: 400
--- fails


=== half a body
--- as: alice
--- request
PUT /api/settings/domains
{"equivalentDomains": [
--- error_code: 400
--- fails
