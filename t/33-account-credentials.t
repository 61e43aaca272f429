# What takes the master password, and what a new security stamp ends.

use strict;
use warnings;

use JSON::PP ();
use Test::More 'no_plan';

use VaultTest;

my $server = vault_server(vault => 'vault_login_limit off;');
my $wrong = 'Invalid password.';
my $id = 'fedcba9876543210' x 2;


sub post {
    my ($as, $path, $json, $method) = @_;

    return call($server, $method || 'POST', "/api/accounts$path",
                as => $as, json => $json);
}


sub refused {
    my ($answer, $message, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    api_error_like($answer->{body}, $message, $name);
}


sub profile {
    my ($user) = @_;

    return call($server, 'GET', '/api/accounts/profile',
                headers => ["Authorization: Bearer $user->{token}"])
           ->{status};
}


sub refresh {
    my ($user) = @_;

    return call($server, 'POST', '/identity/connect/token',
                form => [grant_type => 'refresh_token', client_id => 'cli',
                         refresh_token => $user->{refresh}]);
}


sub signs_in {
    my ($user, %more) = @_;

    return scalar eval { login($server, { %$user, %more }) };
}


# All sessions of a user are over; then the user of that name is a new one.

sub all_ended {
    my ($name, $what) = @_;

    for my $on ($name, "$name/phone") {
        is(profile(user($on)), 401, "$what - $on is signed out");

        my $answer = refresh(user($on));
        is($answer->{status}, 400, "$what - $on cannot refresh");
        is($answer->{json}{error}, 'invalid_grant', "$what - and knows why");
    }
}


my @secret = (
    ['POST', '/verify-password'], ['POST', '/security-stamp'],
    ['POST', '/api-key'], ['POST', '/rotate-api-key'], ['DELETE', ''],
    ['POST', '/delete'],
);

user($_) for qw(alice alice/phone bob bob/phone carol carol/phone dave gina);

my %hash = map { $_ => user($_)->{hash} } qw(alice bob carol dave);

# Every one of them wants the password

for my $route (@secret, ['PUT', '/verify-devices'],
               ['POST', '/verify-devices'])
{
    my ($method, $path) = @$route;
    my $name = "$method /accounts$path";
    my %more = $path eq '/verify-devices'
               ? (verifyDevices => JSON::PP::false()) : ();

    refused(post('alice', $path, { masterPasswordHash => b64('x'), %more },
                 $method), $wrong, "$name with a wrong password");
    refused(post('alice', $path, { masterPasswordHash => $hash{bob}, %more },
                 $method), $wrong, "$name with the password of another");
    refused(post('alice', $path, { %more }, $method), '',
            "$name without a password");
    refused(post('alice', $path, '[]', $method), '', "$name with a list");
    is(call($server, $method, "/api/accounts$path",
            json => { masterPasswordHash => $hash{alice}, %more })->{status},
       401, "$name by nobody");
}

is(profile(user('alice')), 200, 'nothing has happened to the account');

json_like(post('alice', '/verify-password',
               { masterPasswordHash => $hash{alice} })->{body},
          { object => 'masterPasswordPolicy', minLength => undef },
          'a good password');

# The API key

{
    my $secret = { masterPasswordHash => $hash{alice} };
    my $key = post('alice', '/api-key', $secret)->{json};

    json_like($key, { object => 'apiKey', apiKey => '<re:^[A-Za-z0-9]{30}$>',
                      revisionDate => '<date>' }, 'the API key');
    is(post('alice', '/api-key', $secret)->{json}{apiKey}, $key->{apiKey},
       'stays the same');

    my $new = post('alice', '/rotate-api-key', $secret)->{json};

    json_like($new, { object => 'apiKey', apiKey => '<re:^[A-Za-z0-9]{30}$>',
                      revisionDate => '<date>' }, 'a new API key');
    isnt($new->{apiKey}, $key->{apiKey}, 'is another one');
    is(post('alice', '/api-key', $secret)->{json}{apiKey}, $new->{apiKey},
       'and is kept');
    is(profile(user('alice')), 200, 'nobody is signed out by it');
}

# New devices

{
    my $path = '/verify-devices';

    is(post('alice', $path, { masterPasswordHash => $hash{alice},
                              verifyDevices => JSON::PP::false() }, 'PUT')
       ->{status}, 200, 'devices are not verified');
    ok(!call($server, 'GET', '/api/accounts/profile', as => 'alice')
       ->{json}{verifyDevices}, 'and the profile says so');
    refused(post('alice', $path, { masterPasswordHash => $hash{alice} }), '',
            'neither yes nor no');
}

# A new stamp

is(post('alice', '/security-stamp', { masterPasswordHash => $hash{alice} })
   ->{status}, 200, 'sessions are ended');
all_ended('alice', 'a new stamp');
forget_users('alice');

{
    my $alice = signs_in({ email => 'alice@example.com',
                           hash => $hash{alice} });
    ok($alice, 'the password is still good');
    is(profile($alice), 200, 'and opens');
    is(profile(user('bob')), 200, 'bob is still signed in');
}

# A new password

my %bob = (masterPasswordHash => $hash{bob},
           newMasterPasswordHash => b64('new hash of bob'),
           masterPasswordHint => 'the usual', key => enc('new user key'));

my $kdf = { kdfType => 0, iterations => 600000, memory => undef,
            parallelism => undef };


# The new form of `%old`, for the KDF and the salt given

sub new_form {
    my ($old, $kdf, $salt) = @_;

    return {
        masterPasswordHash => $old->{masterPasswordHash},
        masterPasswordHint => $old->{masterPasswordHint},
        authenticationData => {
            kdf => $kdf, salt => $salt,
            masterPasswordAuthenticationHash =>
                $old->{newMasterPasswordHash},
        },
        unlockData => {
            kdf => $kdf, salt => $salt,
            masterKeyWrappedUserKey => $old->{key},
        },
    };
}


for my $case (
    ['a wrong password', { %bob, masterPasswordHash => b64('x') }, $wrong],
    ['no new hash', { %bob, newMasterPasswordHash => undef }],
    ['no key', { %bob, key => undef }],
    ['a key that is none', { %bob, key => 'key' }],
    ['a key of another type', { %bob, key => '0.' . b64('i' x 16) . '|'
                                             . b64('c' x 16) }],
    ['another KDF', new_form(\%bob, { %$kdf, iterations => 700000 },
                             'bob@example.com')],
    ['another salt', new_form(\%bob, $kdf, 'bobby@example.com')],
    ['half of the new form', { %{new_form(\%bob, $kdf, 'bob@example.com')},
                               unlockData => undef }])
{
    my ($name, $json, $message) = @$case;

    refused(post('bob', '/password', $json), $message // '',
            "a new password: $name");
}

is(profile(user('bob')), 200, 'no refusal has ended a session');
is(post('bob', '/password', \%bob)->{status}, 200, 'a new password, old form');
all_ended('bob', 'a new password');

ok(!signs_in(user('bob')), 'the old password is refused');

{
    my $bob = signs_in(user('bob'), hash => b64('new hash of bob'));
    ok($bob, 'the new password is good');

    my $sync = call($server, 'GET', '/api/sync', headers =>
                    ["Authorization: Bearer $bob->{token}"]);
    json_like($sync->{body}, { profile => { key => enc('new user key') },
        userDecryption => { masterPasswordUnlock => {
            masterKeyEncryptedUserKey => enc('new user key') } } },
        'and the user key is under it');
}

forget_users('bob');

is(post('carol', '/password', new_form(
       { masterPasswordHash => $hash{carol}, key => enc('new key'),
         newMasterPasswordHash => b64('new hash of carol') },
       $kdf, 'carol@example.com'))->{status}, 200,
   'a new password, new form');
all_ended('carol', 'a new password in the new form');

{
    my $carol = signs_in(user('carol'), hash => b64('new hash of carol'));
    ok($carol, 'the new password of carol is good');
    is($carol && profile($carol), 200, 'and opens');
}

forget_users('carol');

# New KDF settings

{
    my %dave = (masterPasswordHash => $hash{dave}, key => enc('dave'),
                newMasterPasswordHash => b64('argon hash of dave'));
    my $argon = { kdfType => 1, iterations => 3, memory => 64,
                  parallelism => 4 };

    for my $case (
        ['too few iterations', { %$kdf, iterations => 1000 }],
        ['too little memory', { %$argon, memory => 15 }],
        ['an unknown kind', { %$kdf, kdfType => 7 }])
    {
        my ($name, $bad) = @$case;

        refused(post('dave', '/kdf', new_form(\%dave, $bad,
                                              'dave@example.com')), '',
                "KDF settings: $name");
    }

    refused(post('dave', '/kdf', { %dave }), '', 'no KDF settings');
    refused(post('dave', '/kdf', new_form(\%dave, $argon,
                                          'other@example.com')), '',
            'KDF settings with another salt');
    refused(post('dave', '/kdf', new_form(
                { %dave, masterPasswordHash => b64('x') }, $argon,
                'dave@example.com')), $wrong,
            'KDF settings with a wrong password');

    call($server, 'POST', '/api/accounts/key-management/user-key-id',
         as => 'dave', json => { userKeyId => $id });
    my $other = new_form(\%dave, $argon, 'dave@example.com');
    $other->{unlockData}{containedKeyId} = '0' x 32;
    refused(post('dave', '/kdf', $other), '',
            'KDF settings that wrap another key');

    my $good = new_form(\%dave, $argon, 'dave@example.com');
    $good->{unlockData}{containedKeyId} = $id;
    is(post('dave', '/kdf', $good)->{status}, 200, 'Argon2id');
    is(profile(user('dave')), 401, 'new KDF settings end sessions');

    json_like(call($server, 'POST', '/identity/accounts/prelogin/password',
                   json => { email => 'dave@example.com' })->{body},
              { kdf => 1, kdfSettings => $argon }, 'prelogin tells');

    my $dave = signs_in(user('dave'), hash => b64('argon hash of dave'));
    ok($dave, 'the hash of the new KDF is good');

    is(call($server, 'POST', '/api/accounts/kdf', headers =>
            ["Authorization: Bearer $dave->{token}"], json => {
                masterPasswordHash => b64('argon hash of dave'),
                newMasterPasswordHash => $hash{dave}, key => enc('dave'),
                kdf => 0, kdfIterations => 650000, kdfMemory => undef,
                kdfParallelism => undef })->{status}, 200,
       'back to PBKDF2 in the old form');

    json_like(call($server, 'POST', '/identity/accounts/prelogin',
                   json => { email => 'dave@example.com' })->{body},
              { kdf => 0, kdfIterations => 650000, kdfMemory => undef,
                kdfParallelism => undef }, 'prelogin tells that too');
}

# The end

for my $case (['erin', 'DELETE', ''], ['frank', 'POST', '/delete']) {
    my ($name, $method, $path) = @$case;
    my $user = user($name);

    call($server, 'POST', '/api/folders', as => $name, json => folder('x'));
    call($server, 'POST', '/api/ciphers', as => $name, json => {
        type => 2, name => enc('x'), secureNote => { type => 0 } });
    user("$name/phone");

    is(post($name, $path, { masterPasswordHash => $user->{hash} }, $method)
       ->{status}, 200, "$name is deleted");
    all_ended($name, "$name is deleted");
    ok(!signs_in($user), "$name cannot sign in");
    is(call($server, 'GET', "/api/users/$user->{id}/public-key", as => 'gina')
       ->{status}, 404, "nobody finds $name");

    forget_users($name);
    isnt(user($name)->{id}, $user->{id}, "$name can register again");
    my $sync = call($server, 'GET', '/api/sync', as => $name)->{json};
    is(@{$sync->{folders}} + @{$sync->{ciphers}}, 0,
       "and finds nothing of the first $name");
}

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
