# Our own server without a secret in its configuration: values of directives
# that are fetched from a Vault.

use strict;
use warnings;

use lib 't/lib';

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultAgent;
use VaultNginx;
use VaultServer qw(vault_server vault_conf database folder_of call user);

delete @ENV{grep { /^AWS_/ } keys %ENV};

my $vault = vault();
my $agent = "vault_agent $vault->{url} retries=0;\n"
            . "vault_agent_auth aws role=app-role;\n";
my $database = database();
my $pem = `openssl genpkey -quiet -algorithm RSA`;
my $n = 0;


sub true { return JSON::PP::true }
sub false { return JSON::PP::false }


sub fresh {
    my (%more) = @_;

    $vault->clear;
    $vault->set(up => true, sealed => false, denied => [], token_ttl => 3600,
                secrets => { 'secret/app' => { url => $database, pem => $pem,
                                               empty => '', %more } });
}


sub server {
    my ($lines, %arg) = @_;

    my ($http, $location) = vault_conf(
        "vault_database vault://secret/data/app#url;\n$lines");

    return VaultNginx->new(
        name => 'agent-75-' . $n++, env => { %AWS_KEYS },
        http => ($arg{agent} // $agent) . $http, server => $location,
        %arg);
}


sub test_values {
    fresh();

    my $server = server('vault_jwt_key vault://secret/data/app#pem;',
                        workers => 2)->start;

    my $alice = user('alice', $server);
    is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 200,
       'a vault on a database that only the Vault knows');
    is($vault->count('login'), 1, 'one login for start and workers');
    is($vault->count('read'), 1, 'and the secret read once, for two values');

    my $conf = VaultNginx::read_file($server->root . '/conf/nginx.conf');
    unlike($conf, qr/sqlite:|postgres|PRIVATE/, 'no secret in the file');

    $vault->clear;
    $server->signal('HUP');
    until_true { $server->log_text =~ /gracefully shutting down/ } 'a reload';
    sleep 0.5;
    is($vault->count('login'), 0, 'keeps the token');
    is($vault->count('read'), 1, 'and reads the secret anew');
    is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 200,
       'and works');
    ends_clean($server, $database, 'PRIVATE');
}


# Credentials that are others with each read: a user and its own password.

sub test_together {
    fresh();

    my $path = 'vault://database/creds/a-role-of-some-length';
    my $server = server("vault_origin_secret $path#username $path#password;")
                 ->start;

    for my $name ('v-a-role-of-some-length', 'dyn-a-role-of-some-length') {
        my ($status) = map { $_->{status} } call($server, 'GET', '/alive',
            headers => ["X-Vault-Origin-Secret: $name-1"]);
        is($status, 200, "the first of $name");
    }

    is($vault->count('read'), 2, 'of one read, beside that of the database');
    ends_clean($server, $database, 'dyn-');
}


sub refused {
    my ($what, $pattern, $lines, %arg) = @_;

    my $server = server($lines // '', %arg);
    my $begin = time;
    eval { $server->start };
    like($@, $pattern, $what);
    unlike($@, qr/\Q$database\E/, '  without the secret');
    ok(time - $begin < 10 * $VaultNginx::SLOW, '  and in time');
    $server->stop if !$@;
}


sub test_faults {
    fresh();
    refused('no agent', qr/write "vault_agent" and "vault_agent_auth" before/,
            '', agent => '');
    refused('an agent that comes later', qr/"vault_agent_auth" before it/,
            $agent, agent => '');
    refused('no key', qr/wants the path and the key of a secret/,
            'vault_jwt_key vault://secret/data/app;');
    refused('a key that is not there', qr/no such key.*cannot be fetched/s,
            'vault_jwt_key vault://secret/data/app#none;');
    refused('a secret that is not there', qr/404; write it/,
            'vault_jwt_key vault://secret/data/none#x;');
    refused('an empty one', qr/the value is empty/,
            'vault_jwt_key vault://secret/data/app#empty;');

    $vault->set(denied => ['secret/data/app']);
    refused('not allowed', qr/403; allow "read"/);

    fresh();
    $vault->set(sealed => true);
    refused('a Vault that is sealed', qr/unseal the Vault.*cannot be fetched/s);

    fresh();
    $vault->set(up => false);
    refused('a Vault that is down', qr/is the Vault up.*cannot be fetched/s);

    fresh();
    $vault->set(delay => 30);
    refused('a Vault that is slow', qr/cannot be fetched/, '', agent =>
            "vault_agent $vault->{url} retries=0 timeout=1s;\n"
            . "vault_agent_auth aws role=app-role;\n");
    $vault->set(delay => 0);
}


# A reload while the Vault is down keeps what runs.

sub test_down_at_reload {
    fresh();

    my $server = server('')->start;
    $vault->set(up => false);
    $server->signal('HUP');
    until_true { $server->log_text =~ /cannot be fetched/ } 'down at reload';
    is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 401,
       'the old configuration stays')
        or diag($server->log_text);
    $server->expect_log(qr/cannot be fetched/);
    $vault->set(up => true);
    ends_clean($server);
}


# What has changed at the Vault is taken over by a reload of nginx's own.

sub test_change {
    fresh();

    my $server = server('vault_jwt_key vault://secret/data/app#pem;',
                        agent => $agent =~ s/retries=0/retries=0 watch=1s/r);
    $server->start;

    my @old = $server->workers;
    sleep 2;
    is_deeply([$server->workers], \@old, 'nothing new: no reload');

    my $other = `openssl genpkey -quiet -algorithm RSA`;
    fresh(pem => $other);
    log_has($server, qr/app" has changed: nginx reloads/, 'a new key: told');
    until_true { join(' ', $server->workers) ne "@old" } 'nginx has reloaded';
    sleep 2;

    my @reloads = $server->log_text =~ /has changed/g;
    is(scalar @reloads, 1, 'once');
    ends_clean($server, 'PRIVATE');
}


test_values();
test_together();
test_faults();
test_down_at_reload();
test_change();

done_testing();
