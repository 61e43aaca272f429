#!/usr/bin/perl
# A vault as a function of AWS Lambda: the real adapter, the configuration of
# the image, and the real client, all processes stopped between invocations.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Digest::SHA qw(sha256_hex);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(enc uuid);
use VaultE2e qw(account email password encoded);
use VaultHttp;
use VaultItems qw(note_item);
use VaultLambda;
use VaultMail;
use VaultNginx ();
use VaultPeer;
use VaultServer qw(folder_of psql sql);
use VaultWalk;

delete @ENV{grep { /^AWS_/ } keys %ENV};

my $MB = 1024 * 1024;
my $dir = folder_of();
my $s3 = VaultPeer->new('s3.py');
my $mail = VaultMail->new;
my $lambda = VaultLambda->new(s3 => $s3, env => {
    VAULT_MAIL => $mail->url, VAULT_MAIL_FROM => 'Vault <vault@example.com>',
    VAULT_SIGNUPS_VERIFY => 'off',
});


sub is_frozen {
    my ($name) = @_;

    my $state = $lambda->state;
    my @running = grep { process_state($_) !~ /T/ } @{$state->{processes}};
    ok($state->{frozen} && !@running, $name // 'all processes are stopped');
}


sub process_state {
    my ($text) = map { VaultNginx::read_file("/proc/$_/stat") } @_;

    return ($text =~ /\) (\S)/)[0] // '';
}


# Through CloudFront, by our own hands

sub ask {
    my ($method, $path, %option) = @_;

    my @command = ('curl', '--silent', '--show-error', '--cacert',
                   $lambda->{ca}, '--request', $method, '--max-time', 100,
                   '--dump-header', "$dir/head", '--output', "$dir/body",
                   '--header', 'Expect:',
                   map { ('--header', $_) } @{$option{headers} || []});

    if (defined $option{body}) {
        VaultNginx::write_file("$dir/sent", $option{body});
        push @command, '--data-binary', "\@$dir/sent";
    }

    system(@command, "$lambda->{url}$path") == 0 or return { status => 0 };

    my $head = VaultNginx::read_file("$dir/head");
    my $body = -e "$dir/body" ? VaultNginx::read_file("$dir/body") : '';
    my ($status) = $head =~ m{^HTTP/\S+ (\d+)};

    return { status => $status, head => $head, body => $body,
             json => scalar eval { $VaultE2e::JSON->decode($body) } };
}


sub token {
    my ($name) = @_;

    my $key = account($lambda, $name, password($name), 'api-key');
    my $answer = ask('POST', '/identity/connect/token', body =>
        VaultData::form(grant_type => 'client_credentials', scope => 'api',
                        client_id => $key->{client_id} // $key->{clientId},
                        client_secret => $key->{client_secret}
                                         // $key->{clientSecret},
                        deviceIdentifier => uuid('device'),
                        deviceName => 'test', deviceType => 8),
        headers => ['Content-Type: application/x-www-form-urlencoded']);

    die "no token: $answer->{status} $answer->{body}\n"
        if $answer->{status} != 200;
    return $answer->{json}{access_token};
}


# The start, and the events of a deployment

sub test_start {
    my $state = $lambda->state;

    is_frozen('it has started, and is frozen');
    note(sprintf 'ready %.0f ms after its start', 1000 * $state->{init});
    is_deeply($state->{extensions}, { 'lambda-adapter' => [] },
              'the adapter is there');

    my $answer = $lambda->event({ job => 'migrate' });
    is($answer->{status}, 200, 'the tables are made')
        || diag($answer->{body} . $lambda->log_text);
    $answer = $lambda->event({ job => 'migrate' });
    is($answer->{json}{steps}, 0, 'once');

    $answer = $lambda->event({ job => 'maintenance' });
    is_deeply([@{$answer->{json}}{qw(job failed more busy)}],
              ['maintenance', 0, 0, 0], 'maintenance');
    is($lambda->event({ job => 'maintenance' })->{json}{ran}, 0,
       'and nothing is due after it');

    is($lambda->event({ job => 'x' })->{status}, 400, 'no other job');
    is($lambda->event({ hello => 1 })->{status}, 400, 'no other event');
    is($lambda->event([1])->{status}, 400, 'no list');
    is_frozen();
}


# What a client may send, the adapter may not take for an event

sub test_forged {
    my $body = '{"job": "migrate"}';
    my $context = 'x-amzn-request-context: null';

    for my $headers ([], [$context],
                     [$context, 'x-amzn-lambda-context: {}'],
                     [$context, 'X-Forwarded-For: 127.0.0.1',
                      'X-Vault-Client: 127.0.0.1'],
                     [$context, 'Content-Type: application/json'])
    {
        my $answer = ask('POST', '/.vault/events', body => $body,
                         headers => $headers);
        is($answer->{status}, 404, "no event: @$headers");
        is($answer->{json}{message}, 'Resource not found.', '  nor a trace');
    }

    # straight to the function URL, with a client's own idea of an event
    my %http = (version => '2.0', routeKey => '$default', rawQueryString => '',
                headers => { host => 'x', 'x-forwarded-for' => '192.0.2.1' },
                requestContext => {
                    http => { method => 'POST', path => '/.vault/events',
                              protocol => 'HTTP/1.1', sourceIp => '192.0.2.1',
                              userAgent => '' },
                    accountId => 'anonymous', apiId => 'x', stage => '$default',
                    domainName => 'x', domainPrefix => 'x', requestId => 'x',
                    routeKey => '$default', time => 'x', timeEpoch => 1 },
                isBase64Encoded => JSON::PP::false, body => $body);

    my $answer = $lambda->event({ %http, rawPath => '/.vault/events' });
    is($answer->{status}, 403, 'past CloudFront: forbidden');
    my %headers = (%{$http{headers}}, 'x-vault-origin-secret' => 'x' x 20);
    $answer = $lambda->event({ %http, rawPath => '/api/config',
                               headers => \%headers });
    is($answer->{status}, 403, 'with a wrong secret as well');

    # one that the adapter cannot read as HTTP comes as an event, all of it
    $answer = $lambda->event({ %http, rawPath => '/.vault/events',
                               requestContext => 'odd' });
    is($answer->{status}, 400, 'what is no request is no job');
    is($lambda->event({ job => 'maintenance', requestContext => 1 })->{status},
       200, 'only its own member counts');
}


# The client's name and address

sub test_client {
    my $config = ask('GET', '/api/config', headers => [
        'X-Vault-Host: evil.example.com', 'X-Forwarded-Host: evil.example.com',
        'X-Vault-Origin-Secret: of-mine', 'X-Vault-Client: 203.0.113.5',
        'X-Forwarded-For: 203.0.113.6']);

    is($config->{status}, 200, 'the front says what is so');
    is($config->{json}{environment}{vault}, $lambda->{url},
       'the name that the client used');

    # It is written after the answer has gone.
    my $entry;
    my $end = time + 10 * $VaultNginx::SLOW;

    do {
        my @lines = $lambda->log_text =~ /^(\{.*"\/api\/config".*\})$/mg;
        ($entry) = grep { $_->{status} == 200 }
                   map { $VaultE2e::JSON->decode($_) } @lines;
    } while (!$entry && time < $end);

    is($entry->{client}, '127.0.0.1', 'the log has the viewer, as JSON');
}


# Mail is sent while somebody waits

sub test_mail {
    account($lambda, 'carol', password('carol'), 'register', 'legacy');

    my @code = ('POST', '/api/accounts/request-otp', body => '{}', headers => [
        'Content-Type: application/json',
        'Authorization: Bearer ' . token('carol') ]);
    my $n = @{$mail->messages};

    for (1 .. 3) {
        is(ask(@code)->{status}, 200, 'a code is asked for');
        is(@{$mail->messages}, ++$n, 'and sent before the answer');
        is_frozen();
    }

    # its time would tell who has an account
    ask('POST', '/api/accounts/password-hint',
        body => '{"email":"carol@example.com"}',
        headers => ['Content-Type: application/json']);
    is(@{$mail->messages}, $n, 'no answer waits for a hint');

    $mail->set(fault => 'busy', times => 1);
    ask(@code);
    is(@{$mail->messages}, $n, 'the mail server had no time for a code');

    sql('UPDATE mails SET due_at = 0');
    sql('UPDATE jobs SET due_at = 0, leased_until = 0');
    is($lambda->event({ job => 'maintenance' })->{json}{count}, 2,
       'the event sends both');
    is(@{$mail->messages}, $n + 2, 'the mails have come');
}


# Files go past the function

sub make_file {
    my ($name, $size) = @_;

    VaultNginx::write_file("$dir/$name", VaultData::bytes($name, $size));
    return "$dir/$name";
}


sub test_files {
    my $bw = VaultE2e->new(server => $lambda, version => '2026.9');
    $bw->login(email('alice'), password('alice'));

    my $item = $bw->json('create', 'item', encoded(note_item('Files')))->{id};
    my $file = make_file('large.bin', 7 * $MB);

    $lambda->control(clear => JSON::PP::true);
    my $made = $bw->json('create', 'attachment', '--file', $file, '--itemid',
                         $item);
    my ($attachment) = grep { $_->{fileName} eq 'large.bin' }
                       @{$made->{attachments}};
    ok($attachment, 'a file of 7 MB is attached');

    my @log = @{$lambda->state->{log}};
    is(grep({ $_->{path} =~ m{^/bucket} } @log), 0, 'past the function');
    is(keys %{$s3->state->{objects}}, 1, 'into the bucket');

    $bw->ok('get', 'attachment', $attachment->{id}, '--itemid', $item,
            '--output', "$dir/back");
    is(sha256_hex(VaultNginx::read_file("$dir/back")),
       sha256_hex(VaultNginx::read_file($file)), 'and back');

    my $send = $bw->json('send', '-f', '-n', 'File', '--fullObject',
                         make_file('sent.bin', 100_000));
    my $stranger = VaultE2e->new(server => $lambda, version => '2026.9');
    $stranger->ok('receive', $send->{accessUrl}, '--output', "$dir/received");
    is(sha256_hex(VaultNginx::read_file("$dir/received")),
       sha256_hex(VaultNginx::read_file("$dir/sent.bin")), 'a Send');
    is_frozen();
}


# More than six megabytes: in no request, but in an answer

sub note_cipher {
    my ($n, $size) = @_;

    return { type => 2, name => enc("note $n"), secureNote => { type => 0 },
             notes => enc('n' x $size) };
}


sub import_of {
    my ($token, $n, $size) = @_;

    return ask('POST', '/api/ciphers/import', body => $VaultE2e::JSON->encode({
        folders => [], folderRelationships => [],
        ciphers => [map { note_cipher($_, $size) } 1 .. $n] }),
        headers => ["Authorization: Bearer $token",
                    'Content-Type: application/json']);
}


sub test_large {
    account($lambda, 'dave', password('dave'), 'register', 'legacy');
    my $token = token('dave');

    is(import_of($token, 900, 6000)->{status}, 413,
       'a request over six megabytes is refused');
    is(import_of($token, 450, 6000)->{status}, 200, "import $_") for 1 .. 3;

    $lambda->control(clear => JSON::PP::true);
    my $sync = ask('GET', '/api/sync',
                   headers => ["Authorization: Bearer $token"]);
    is($sync->{status}, 200, 'a large sync');
    cmp_ok(length $sync->{body}, '>', 6 * $MB, 'of more than six megabytes');
    is(@{$sync->{json}{ciphers}}, 1350, 'is whole');

    my ($log) = @{$lambda->state->{log}};
    is($log->{mode}, 'streaming', 'it came as a stream');
    is($log->{size}, length $sync->{body}, 'byte by byte');
    cmp_ok($log->{first}, '<', $log->{seconds}, 'that began before its end');
}


# A long sleep; what was open is not open any more

sub test_sleep {
    my $token = token('dave');
    my $get = sub {
        return ask('GET', '/api/folders',
                   headers => ["Authorization: Bearer $token"]);
    };

    is($get->()->{status}, 200, 'before');
    my $before = $lambda->state->{counts};

    sleep 26;
    is($get->()->{status}, 200, 'after half a minute');

    if ($VaultServer::FLAVOUR eq 'pg') {
        psql(VaultServer::database(), 'SELECT pg_terminate_backend(pid)'
             . ' FROM pg_stat_activity WHERE pid <> pg_backend_pid()'
             . ' AND datname = current_database()');
        is($get->()->{status}, 200, 'and without the connections of before');
        is(ask('POST', '/api/folders',
               body => '{"name":"' . enc('x') . '"}',
               headers => ["Authorization: Bearer $token",
                           'Content-Type: application/json'])->{status}, 200,
           'a write as well');
    }

    is($lambda->state->{counts}{starts}, $before->{starts},
       'nothing was started anew');
    is_frozen();
}


# Lambda takes its time, and then it does not

sub test_end {
    my $log = $lambda->log_text;

    my @lines = grep { /^\{/ } split /\n/, $log;
    is(grep({ !eval { $VaultE2e::JSON->decode($_) } } @lines), 0,
       'each request is a line of JSON');
    cmp_ok(@lines, '>', 100, 'all of them');
    unlike($log, qr/\?|eyJ|sesame|Bearer|Signature/, 'no secret in the log')
        || diag(grep { /\?|eyJ|sesame|Bearer|Signature/ } @lines);

    is_deeply([$lambda->stop], [], 'it ends in time and without complaints');
}


test_start();
test_forged();
test_client();
test_mail();

walk_on($lambda);
walk('2026.9', 'alice', 'legacy');

test_files();
test_large();
test_sleep();
test_end();

$s3->stop;
done_testing();
