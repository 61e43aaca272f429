# Random requests: whatever comes, the answer is no 5xx, its errors have the
# API's shape, and nothing is left behind.  The seed is fixed; others by
# VAULT_MONKEY_SEED, more requests by VAULT_MONKEY_N.

use strict;
use warnings;

use IO::Select ();
use Test::More;

use VaultHttp;
use VaultTest 'debug';


my $SEED = $ENV{VAULT_MONKEY_SEED} // 20;
my $N = $ENV{VAULT_MONKEY_N} // 1500;

srand $SEED;

my $server = vault_server(name => 'monkey', workers => 2,
                          vault => 'vault_login_limit off;');

sub pick { return $_[rand @_] }

# A path of "delete" would end the users, and a stamp their sessions; both
# need the password, which is never sent.

my @routes = routes();
my @users = qw(alice bob);
my @ids = (uuid('nobody'), map { user($_)->{id} } @users);

for my $name (@users) {
    push @ids, call($server, 'POST', '/api/folders', as => $name,
                    json => folder("of $name"))->{json}{id} for 1 .. 2;
    push @ids, call($server, 'POST', '/api/ciphers', as => $name,
                    json => cipher(name => "of $name"))->{json}{id} for 1 .. 3;
}

my @odd = (undef, 0, -1, 1, 2**53, 9223372036854775807, 1.5, '', 'x', ' ',
           "\x{1F600}", 'x' x 300, 'x' x 20000, [], {}, [[]], [undef], {a => 1},
           JSON::PP::true(), JSON::PP::false(), date(0), '9999-12-31', '2.a|b',
           enc('x'), b64('x'), uuid('x'), '%00', "a\tb", '"', '\\');

my @names = qw(id ids name type folderId organizationId favorite login card
               identity secureNote sshKey fields passwordHistory key notes
               reprompt archivedDate lastKnownRevisionDate encryptedFor
               ciphers folders folderRelationships email culture avatarColor
               publicKey encryptedPrivateKey pushToken masterPasswordHash
               equivalentDomains excludedGlobalEquivalentDomains userKeyId
               accountData accountKeys accountUnlockData uris username value
               oldMasterKeyAuthenticationHash encryptedUserKey kdf cipher
               encryptedPublicKey verifyDevices emailVerificationToken);


sub thing {
    my ($depth) = @_;

    my $n = rand;

    return pick(@odd) if $depth > 3 || $n < 0.4;
    return pick(@ids) if $n < 0.55;
    return [map { thing($depth + 1) } 1 .. rand 4] if $n < 0.7;
    return { map { pick(@names) => thing($depth + 1) } 1 .. rand 8 };
}


# What is right, with a member or two that are not

sub body {
    my $n = rand;

    return '' if $n < 0.05;

    my $what = $n < 0.25 ? cipher(name => 'm')
             : $n < 0.35 ? folder('m')
             : $n < 0.45 ? { ids => [map { pick(@ids) } 1 .. 3] }
             : $n < 0.55 ? { ciphers => [cipher(name => 'm')],
                             folders => [folder('m')],
                             folderRelationships => [{ key => 0,
                                                       value => 0 }] }
             : {};

    if (rand() < 0.8) {
        $what->{pick(@names)} = thing(0) for 1 .. 1 + rand 4;
    }

    my $text = json_text($what);
    utf8::encode($text) if utf8::is_utf8($text);

    # and now and then what is no JSON
    if (rand() < 0.15) {
        substr($text, rand length $text, 1 + rand 3) = pick(
            "\0", "\xff", '"', '{', '[' x 40, '\ud800', '\u0000', '');
    }

    return $text;
}


sub segment {
    my ($kind) = @_;

    return rand() < 0.8 ? pick(@ids) : 'x' if $kind eq 'uuid';
    return pick(map({ user($_)->{device} } @users), '%ff', '%20', "'", 'x',
                '%2e%2e', 'x' x 128, 'x' x 129, '%f0%9f%98%80');
}


sub one {
    my ($method, $path) = @{pick(@routes)};

    $path =~ s/\{(uuid|id)\}/segment($1)/ge;
    $path .= pick('?', '?excludeDomains=%ff', '?organizationId=x', '/', '?a')
        if rand() < 0.1;
    $method = pick(qw(GET HEAD POST PUT DELETE OPTIONS PATCH))
        if rand() < 0.05;

    my $body = $method eq 'GET' || $method eq 'HEAD' ? undef : body();

    my @headers = ('Connection: close');
    push @headers, 'Authorization: Bearer ' . user(pick(@users))->{token}
        if rand() < 0.9;
    push @headers, 'Authorization: ' . pick('Bearer', 'Bearer x.y.z', "\xff")
        if @headers == 1;
    push @headers, 'Origin: ' . pick('file://', 'https://x.example', "\xfe")
        if rand() < 0.05;
    push @headers, 'Bitwarden-Client-Version: ' . pick('2024.1', '9.', '2024.')
        if rand() < 0.1;
    push @headers, 'X-Request-Email: ' . pick('YQ', '/w', b64("\xff"))
        if rand() < 0.1;

    return ($method, VaultHttp::message($method, $path, \@headers, $body));
}


# Eight at a time; one in twenty leaves before its answer.

my (%count, @bad);

for (1 .. $N / 8) {
    my @open;

    for (1 .. 8) {
        my ($method, $text) = one();
        my $sock = VaultHttp::open_socket($server->port) or die "connect: $!";
        my $buffer = '';

        VaultHttp::send_packets($sock, [$text], \$buffer,
                                time + 10 * $VaultNginx::SLOW);

        if (rand() < 0.05) {
            VaultHttp::reset($sock);
            next;
        }

        push @open, [$sock, $method, $text];
    }

    for (@open) {
        my ($sock, $method, $text) = @$_;
        my ($answer) = VaultHttp::exchange(
            $server->port, [], socket => $sock, methods => [$method],
            timeout => 20 * $VaultNginx::SLOW);

        my $status = $answer->{error} // $answer->{status};
        $count{$status}++;

        # Receivers of a Send have a token of another kind there.
        my $signed = $text =~ /Bearer \w{20}/
                     && $text !~ m{^\w+ /api/sends/access};

        my $odd = $answer->{error} || $status >= 500 || $status == 403
                  || $status == 401 && $signed;

        if (!$odd && $status >= 400 && $method ne 'HEAD') {
            my $json = VaultHttp::json($answer);
            $odd = ref $json ne 'HASH'
                   || !defined $json->{message} && !defined $json->{error};
        }

        push @bad, substr($text, 0, 600) . "\n-> $status "
                   . ($answer->{body} // '')
            if $odd;
    }
}

ok(!@bad, "no request is answered strangely (seed $SEED)")
    || diag(scalar @bad, " of them:\n", join "\n\n", @bad[0 .. ($#bad > 3 ? 3
                                                              : $#bad)]);
cmp_ok($count{200} // 0, '>', $N / 10, 'many are answered well');
cmp_ok($count{400} // 0, '>', $N / 10, 'many are refused');
diag(join ' ', map { "$_: $count{$_}" } sort keys %count)
    if $ENV{VAULT_MONKEY_N};

for my $name (@users) {
    my $sync = call($server, 'GET', '/api/sync', as => $name);
    is($sync->{status}, 200, "$name can still sync");
    is(ref $sync->{json}, 'HASH', 'JSON');
}

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');

done_testing();
