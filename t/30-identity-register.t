# Prelogin and registration, in every form that clients send.

use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 ();
use Test::More 'no_plan';

use VaultTest;

my $server = vault_server(vault => 'vault_login_limit off;');


sub post {
    my ($path, $json, $on) = @_;

    return call($on || $server, 'POST', "/identity/accounts/$path",
                json => $json);
}


sub refused {
    my ($answer, $message, $name) = @_;

    is($answer->{status}, 400, "$name - 400");
    api_error_like($answer->{body}, $message, $name);
}


sub token {
    my ($email, $on) = @_;

    return post('register/send-verification-email',
                { email => $email, name => 'Some Body' }, $on)->{json};
}


my $pbkdf2 = { kdfType => 0, iterations => 600000, memory => undef,
               parallelism => undef };
my $argon2 = { kdfType => 1, iterations => 3, memory => 64,
               parallelism => 4 };

my $keys = { publicKey => public_key('somebody'),
             encryptedPrivateKey => enc('private key') };


sub proof {
    my ($email, $kdf) = @_;

    return { kdf => $kdf // $pbkdf2, salt => $email,
             masterPasswordAuthenticationHash => b64("hash of $email") };
}


sub unlock {
    my ($email, $kdf) = @_;

    return { kdf => $kdf // $pbkdf2, salt => $email,
             masterKeyWrappedUserKey => enc('user key') };
}


sub finish_new {
    my ($email, %more) = @_;

    return { email => $email, emailVerificationToken => token($email),
             masterPasswordHint => 'a hint', userAsymmetricKeys => $keys,
             masterPasswordAuthentication => proof($email),
             masterPasswordUnlock => unlock($email), %more };
}


sub finish_old {
    my ($email, %more) = @_;

    return { email => $email, emailVerificationToken => token($email),
             masterPasswordHash => b64("hash of $email"),
             masterPasswordHint => undef, userSymmetricKey => enc('user key'),
             userAsymmetricKeys => $keys, kdf => 0, kdfIterations => 600000,
             %more };
}


sub signs_in {
    my ($email, $name) = @_;

    my $answer = eval { login($server, { email => $email,
                                         hash => b64("hash of $email") }) };
    ok($answer && $answer->{token}, "$name - signs in") || diag($@);
    return $answer;
}


# Prelogin

for my $path ('prelogin', 'prelogin/password') {
    my $answer = post($path, { email => ' Nobody@Example.COM ' });

    is($answer->{status}, 200, "$path of nobody");
    json_like($answer->{body}, {
        kdf => '<int>', kdfIterations => '<int>', salt => 'nobody@example.com',
        kdfSettings => { kdfType => $answer->{json}{kdf},
                         iterations => $answer->{json}{kdfIterations},
                         memory => $answer->{json}{kdfMemory},
                         parallelism => $answer->{json}{kdfParallelism} },
    }, "$path of nobody is plausible");

    is_deeply(post($path, { email => 'nobody@example.com' })->{json},
              $answer->{json}, "$path of nobody is stable");

    refused(post($path, {}), '', "$path without an e-mail");
    refused(post($path, '{"email":'), '', "$path with half a body");
}

{
    my %kinds;

    for my $n (1 .. 60) {
        my $kdf = post('prelogin', { email => "n$n\@example.com" })
                  ->{json}{kdf};
        $kinds{$kdf}++;
    }

    is(join(' ', sort keys %kinds), '0 1',
       'nobodies have either kind of KDF');
}

# Forms of the last step

is_deeply(post('register/finish', finish_new('new@example.com'))->{json},
          { object => 'registerFinish' }, 'the new form');
signs_in('new@example.com', 'the new form');

is_deeply(post('register/finish', finish_old('old@example.com'))->{json},
          { object => 'registerFinish' }, 'the old form');
signs_in('old@example.com', 'the old form');

is(post('register/finish', finish_new(
       'second@example.com', userAsymmetricKeys => undef,
       accountKeys => {
           accountPublicKey => $keys->{publicKey},
           userKeyEncryptedAccountPrivateKey => $keys->{encryptedPrivateKey},
           publicKeyEncryptionKeyPair => {
               publicKey => $keys->{publicKey},
               wrappedPrivateKey => $keys->{encryptedPrivateKey} },
       }))->{status}, 200, 'account keys in their second form');
signs_in('second@example.com', 'account keys in their second form');

is(post('register', {
       email => 'legacy@example.com', name => 'Legacy',
       masterPasswordHash => b64('hash of legacy@example.com'),
       key => enc('user key'), keys => $keys, kdf => 0,
       kdfIterations => 600000 })->{json}{object}, 'register',
   'registration in one step');
signs_in('legacy@example.com', 'registration in one step');

is(post('register/finish', finish_new(
       'argon@example.com',
       masterPasswordAuthentication => proof('argon@example.com', $argon2),
       masterPasswordUnlock => unlock('argon@example.com', $argon2)))
   ->{status}, 200, 'Argon2id');

json_like(post('prelogin/password', { email => 'argon@example.com' })->{body}, {
    kdf => 1, kdfIterations => 3, kdfMemory => 64, kdfParallelism => 4,
    salt => 'argon@example.com', kdfSettings => $argon2,
}, 'prelogin tells the settings');

{
    my $id = '0123456789abcdef' x 2;
    my $mine = { %{unlock('keyed@example.com')}, containedKeyId => $id };

    post('register/finish', finish_new('keyed@example.com',
                                       masterPasswordUnlock => $mine));
    my $user = signs_in('keyed@example.com', 'a key id');
    my $sync = call($server, 'GET', '/api/sync', headers =>
                    ["Authorization: Bearer $user->{token}"]);

    json_like($sync->{body}, { userDecryption => {
        userKeyId => $id, masterPasswordUnlock => {
            containedKeyId => $id, salt => 'keyed@example.com',
            masterKeyWrappedUserKey => enc('user key'),
            masterKeyEncryptedUserKey => enc('user key') } } },
        'the key id of registration is in sync');

    is(call($server, 'GET', '/api/accounts/profile', headers =>
            ["Authorization: Bearer $user->{token}"])->{json}{name},
       'Some Body', 'the name travels in the token');
}

# Refusals

refused(post('register/finish', finish_new('new@example.com')),
        "Email 'new\@example.com' is already taken.", 'a second account');
refused(post('register/finish', finish_new('NEW@Example.com')),
        "Email 'new\@example.com' is already taken.",
        'a second account in capitals');

my $expired = 'Expired link. Please restart registration or try logging in. '
            . 'You may already have an account';

refused(post('register/finish', finish_new(
            'thief@example.com',
            emailVerificationToken => token('other@example.com'))),
        $expired, 'the token of another address');
refused(post('register/finish', finish_new(
            'thief@example.com',
            emailVerificationToken => user('alice')->{token})),
        $expired, 'an access token is no registration token');
refused(post('register/finish', finish_new(
            'thief@example.com', emailVerificationToken => 'a.b.c')),
        $expired, 'a made-up token');
refused(post('register/finish', finish_new(
            'thief@example.com', emailVerificationToken => undef)),
        '', 'no token');

my @bad = (
    ['too few iterations', kdfIterations => 599999],
    ['too many iterations', kdfIterations => 2000001],
    ['no iterations', kdfIterations => undef],
    ['no KDF', kdf => undef],
    ['an unknown KDF', kdf => 2],
    ['Argon2id without memory', kdf => 1, kdfIterations => 3],
    ['Argon2id with too much memory', kdf => 1, kdfIterations => 3,
     kdfMemory => 1025, kdfParallelism => 4],
    ['Argon2id with too many lanes', kdf => 1, kdfIterations => 3,
     kdfMemory => 64, kdfParallelism => 17],
    ['Argon2id with one iteration', kdf => 1, kdfIterations => 1,
     kdfMemory => 64, kdfParallelism => 4],
    ['no hash', masterPasswordHash => undef],
    ['no user key', userSymmetricKey => undef],
    ['a user key of type 0', userSymmetricKey =>
     '0.' . b64('i' x 16) . '|' . b64('c' x 16)],
    ['a user key that is none', userSymmetricKey => 'secret'],
    ['no keys', userAsymmetricKeys => undef],
    ['a public key that is none', userAsymmetricKeys =>
     { %$keys, publicKey => b64('no key') }],
    ['a public key with a tail', userAsymmetricKeys =>
     { %$keys, publicKey => tail($keys->{publicKey}) }],
    ['a public key of 1024 bits', userAsymmetricKeys =>
     { %$keys, publicKey => b64(pack('H*',
       '30819f300d06092a864886f70d010101050003818d0030818902818100'
       . 'c1' x 128 . '0203010001')) }],
    ['a public key on an elliptic curve', userAsymmetricKeys =>
     { %$keys, publicKey => b64(pack('H*',
       '3059301306072a8648ce3d020106082a8648ce3d03010703420004'
       . '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'
       . '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'
       )) }],
    ['no private key', userAsymmetricKeys =>
     { publicKey => $keys->{publicKey} }],
    ['an address without @', email => 'thief.example.com'],
    ['signature keys', accountKeys =>
     { signatureKeyPair => { wrappedSigningKey => 'x' } }],
    ['proof without unlock', masterPasswordAuthentication =>
     proof('thief@example.com')],
    ['half of the new form', masterPasswordUnlock =>
     unlock('thief@example.com')],
    ['two KDFs', masterPasswordAuthentication =>
     proof('thief@example.com'),
     masterPasswordUnlock => unlock('thief@example.com', $argon2)],
    ['two salts', masterPasswordAuthentication =>
     proof('thief@example.com'),
     masterPasswordUnlock => unlock('other@example.com')],
    ['a key id in capitals', masterPasswordAuthentication =>
     proof('thief@example.com'), masterPasswordUnlock =>
     { %{unlock('thief@example.com')}, containedKeyId => 'AB' x 16 }],
    ['a hint of 201 letters', masterPasswordHint => 'x' x 201],
);

sub tail {
    my ($base64) = @_;

    return b64(MIME::Base64::decode_base64($base64) . 'x');
}

for my $case (@bad) {
    my ($name, @members) = @$case;
    my $message = $name =~ /^a public key (?!that)/
                  ? 'The public key is not an RSA key.' : '';

    refused(post('register/finish', finish_old('thief@example.com', @members)),
            $message, $name);
}

is(post('prelogin', { email => 'thief@example.com' })->{json}{salt},
   'thief@example.com', 'there is no account after so many refusals');
ok(!eval { login($server, { email => 'thief@example.com',
                            hash => b64('hash of thief@example.com') }) },
   'nor can it sign in');

# The link of the mail

is(post('register/verification-email-clicked',
        { email => 'link@example.com',
          emailVerificationToken => token('link@example.com') })->{status},
   200, 'the link is good');
refused(post('register/verification-email-clicked',
             { email => 'link@example.com',
               emailVerificationToken => token('other@example.com') }),
        $expired, 'the link of another address');
refused(post('register/verification-email-clicked',
             { email => 'new@example.com',
               emailVerificationToken => token('new@example.com') }),
        $expired, 'the link of an account that exists');
refused(post('register/verification-email-clicked', {}), '',
        'a link without a token');

# Closed, and open to some

{
    my $closed = vault_server(name => 'closed', vault => 'vault_signups off;');
    my $text = 'Registration is closed on this server.';
    my $late = finish_new('late@example.com');

    refused(post('register/send-verification-email',
                 { email => 'late@example.com' }, $closed), $text,
            'closed at the first step');
    refused(post('register/finish', $late, $closed), $text,
            'closed at the last step');
    refused(post('register', { email => 'late@example.com' }, $closed), $text,
            'closed for old clients');
    stops_clean($closed, 'closed');
    is_deeply([$closed->stop], [], 'the closed one stops clean');

    my $some = vault_server(name => 'some', vault =>
        'vault_signups_domains example.org Example.net;');
    $text = 'E-mail addresses of this domain may not register on this server.';

    ok(token('in@example.net', $some), 'a domain of the list');
    refused(post('register/send-verification-email',
                 { email => 'out@example.com' }, $some), $text,
            'a domain that is not on the list');
    refused(post('register/send-verification-email',
                 { email => 'out@sub.example.org' }, $some), $text,
            'a subdomain of one on the list');
    refused(post('register/finish', $late, $some), $text,
            'nor at the last step');
    stops_clean($some, 'some');
    is_deeply([$some->stop], [], 'the choosy one stops clean');
}

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'stops clean');
