# A vault on Lambda: who comes through the front, how it is called and from
# where, and that nothing is left to do after an answer.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(enc);
use VaultMail;
use VaultTest 'debug';

my ($OLD, $NEW) = ('sesame-sesame-old', 'sesame-sesame-new');
my $servers = 0;


sub lambda {
    my ($more, %arg) = @_;

    return vault_server(name => 'lambda' . $servers++, %arg,
                        vault => "vault_lambda on;\n$more");
}


sub ends_clean {
    my ($server) = @_;

    is_deeply([$server->stop], [], 'nginx ended without a complaint');
}


sub log_lines {
    my ($server) = @_;

    return VaultNginx::read_file($server->root . '/logs/access.log');
}


# The secret of the front

sub test_secret {
    my $web = VaultServer::folder_of() . '/web';
    mkdir $web;
    VaultNginx::write_file("$web/index.html", "the web vault\n");

    my $server = lambda("vault_origin_secret $OLD env:VAULT_T_SECRET:-;\n"
                        . "vault_web_vault $web;\n",
                        env => { VAULT_T_SECRET => $NEW });

    my %answer = (
        'no secret'        => [403],
        'an empty one'     => [403, 'X-Vault-Origin-Secret:'],
        'a wrong one'      => [403, "X-Vault-Origin-Secret: ${OLD}x"],
        'a part of it'     => [403, 'X-Vault-Origin-Secret: sesame'],
        'another case'     => [403, 'X-Vault-Origin-Secret: ' . uc $OLD],
        'two of them'      => [403, "X-Vault-Origin-Secret: $OLD",
                               "X-Vault-Origin-Secret: $OLD"],
        'the right one'    => [200, "X-Vault-Origin-Secret: $OLD"],
        'the other one'    => [200, "x-vault-origin-secret: $NEW"],
    );

    for my $what (sort keys %answer) {
        my ($status, @headers) = @{$answer{$what}};

        for my $path ('/api/config', '/index.html', '/') {
            is(call($server, 'GET', $path, headers => \@headers)->{status},
               $status, "$what: $path");
        }
    }

    for my $method (qw(POST OPTIONS DELETE)) {
        is(call($server, $method, '/identity/connect/token')->{status}, 403,
           "$method of a stranger");
    }

    unlike(log_lines($server) . $server->log_text, qr/sesame/,
           'no log has seen it');
    ends_clean($server);
}


# Its name and its client, as the front says

sub test_front {
    my $server = lambda("vault_origin_secret $OLD;\nset_real_ip_from 127.0.0.1;"
                        . "\nreal_ip_header X-Vault-Client;\n");
    my $config = sub {
        my $json = call($server, 'GET', '/api/config', headers =>
                        ["X-Vault-Origin-Secret: $OLD", @_])->{json};
        return $json->{environment}{vault};
    };

    like($server->{http}, qr/vault_origin http/, 'a fixed origin');
    is($config->('X-Vault-Host: evil.example.com'), $VaultServer::ORIGIN,
       'wins over the front');
    ends_clean($server);

    $server = lambda("vault_origin env:VAULT_NO_SUCH:-;\n"
                     . "vault_origin_secret $OLD;\n"
                     . "vault_login_limit account=100/1h address=3/1h;\n"
                     . "set_real_ip_from 127.0.0.1;\n"
                     . "real_ip_header X-Vault-Client;\n");

    is($config->('Host: x.lambda-url.eu-west-1.on.aws',
                 'X-Vault-Host: vault.example.com'),
       'https://vault.example.com', 'the name that clients use');
    is($config->('Host: x.example.com'), 'https://x.example.com',
       'or that of the request');
    is($config->('Host: x.example.com', 'X-Vault-Host: a/b'),
       'https://x.example.com', 'what is no host is none');

    # guesses are counted by who the client is, whatever else he says

    my $guess = sub {
        return call($server, 'POST', '/identity/connect/token',
                    headers => ["X-Vault-Origin-Secret: $OLD", @_],
                    form => [grant_type => 'password', scope => 'api',
                             client_id => 'cli', deviceType => 8,
                             deviceIdentifier => VaultData::uuid('d'),
                             deviceName => 'cli',
                             username => 'n' . rand() . '@example.com',
                             password => 'x' x 44])->{status};
    };

    is($guess->('X-Vault-Client: 192.0.2.1', "X-Forwarded-For: 198.51.100.$_"),
       400, "guess $_") for 1 .. 3;
    is($guess->('X-Vault-Client: 192.0.2.1', 'X-Forwarded-For: 203.0.113.9'),
       429, 'an invented address is no other one');
    is($guess->('X-Vault-Client: 192.0.2.2'), 400, 'another client may');
    is($guess->('X-Vault-Client: 192.0.2.9, 192.0.2.1'), 429,
       'of several the last one counts');
    like(log_lines($server), qr/^192\.0\.2\.2 /m, 'the log has clients');
    ends_clean($server);
}


# The answer goes when all is done

sub queue {
    my ($server, $to) = @_;

    my $from = time;
    my $answer = call($server, 'POST', '/api/debug/mail', timeout => 60,
                      json => { template => 'welcome', to => $to,
                                vars => [] });
    return ($answer->{status}, time - $from);
}


sub test_mail {
    my $mail = VaultMail->new;
    my $server = $mail->vault(name => 'mail', vault => 'vault_lambda on;');

    for my $n (1 .. 5) {
        my ($status) = queue($server, "user$n\@example.com");
        is($status, 200, "mail $n");
        is(@{$mail->messages}, $n, 'it was sent before the answer');
    }

    is(VaultServer::sql('SELECT count(*) FROM mails'), "0\n",
       'and its row is gone');

    $mail->set(delay => 0.1);
    my ($status, $took) = queue($server, 'slow@example.com');
    is(@{$mail->messages}, 6, 'a slow mail server is waited for');
    $mail->set(delay => 0);

    # one that is never ready costs ten seconds, and only who needs it
    $mail->set(fault => 'silent');
    ($status, $took) = queue($server, 'never@example.com');
    is($status, 200, 'a mail server that says nothing: the answer comes');
    cmp_ok($took, '>', 9, 'late');
    cmp_ok($took, '<', 11 * $VaultNginx::SLOW, 'but not too late');

    my $from = time;
    is(call($server, 'GET', '/api/config')->{status}, 200, 'somebody else');
    cmp_ok(time - $from, '<', 3 * $VaultNginx::SLOW, 'does not wait for it');

    # a client that leaves while its answer is held
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $server->port);
    my $body = '{"template":"welcome","to":"gone@example.com","vars":[]}';
    print {$sock} "POST /api/debug/mail HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    sleep 0.5;
    close $sock;
    sleep 0.2;
    is(VaultServer::status($server)->{pid} > 0, 1, 'it lives');

    $mail->set(fault => '');
    $server->stop;
    unlike($server->log_text, qr/\[(?:alert|emerg|crit)\]/, 'no complaint');
    like($server->log_text, qr/\[warn\].*waits no longer/, 'the log tells');
}


# Nothing goes on by itself, and nothing is connected before it is needed

sub test_quiet {
    my $server = lambda('vault_jobs 1s;');

    my $before = VaultServer::status($server);
    is($before->{database}{open}, 0, 'no connection at the start');
    sleep 2.5;
    my $after = VaultServer::status($server);
    is($after->{database}{roundTrips}, $before->{database}{roundTrips},
       'no jobs, though vault_jobs says when');
    is($after->{coroutines}, 0, 'nobody is at work');

    is(call($server, 'GET', '/api/config')->{status}, 200, 'a request');
    is(call($server, 'GET', '/api/folders', as => 'alice')->{status}, 200,
       'that needs the database');
    cmp_ok(VaultServer::status($server)->{database}{open}, '>', 0,
           'connects');
    ends_clean($server);
}


test_secret();
test_front();
test_mail();
test_quiet();

done_testing();
