# The lists of features that are to come: empty, and behind their guards.

use strict;
use warnings;

use Test::More 'no_plan';

use VaultTest;

my $server = vault_server();
my $empty = { object => 'list', data => [], continuationToken => undef };

for my $path (qw(
    accounts/organizations auth-requests auth-requests/pending collections
    emergency-access/granted emergency-access/trusted notifications sends
    tasks webauthn))
{
    my $answer = call($server, 'GET', "/api/$path", as => 'alice');

    is($answer->{status}, 200, "/api/$path");
    is_deeply($answer->{json}, $empty, "/api/$path is an empty list");
    is(call($server, 'GET', "/api/$path")->{status}, 401,
       "/api/$path for nobody");
    is(call($server, 'GET', "/api/$path/", as => 'alice')->{status}, 200,
       "/api/$path/ with a slash");
}

is_deeply(call($server, 'GET', '/api/plans')->{json}, $empty,
          'nothing is sold to anybody');

json_like(call($server, 'GET',
               '/api/two-factor/get-device-verification-settings',
               as => 'alice')->{body},
          { object => 'deviceVerificationSettings',
            isDeviceVerificationSectionEnabled => JSON::PP::false(),
            unknownDeviceVerificationEnabled => JSON::PP::false() },
          'no verification of devices');
is(call($server, 'GET', '/api/two-factor/get-device-verification-settings')
   ->{status}, 401, 'which is nobody\'s business');

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
