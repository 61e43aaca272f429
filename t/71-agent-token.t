# One token for all workers: fetched once, renewed in time, dropped in time.

use strict;
use warnings;

use lib 't/lib';

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultAgent;
use VaultHttp;
use VaultNginx;

delete @ENV{grep { /^AWS_/ } keys %ENV};

my $vault = vault();


sub true { return JSON::PP::true }
sub false { return JSON::PP::false }


sub count { return $vault->count($_[0]) }


sub fresh {
    my (%state) = @_;

    $vault->clear;
    $vault->set(token_ttl => 3600, token_max_ttl => 86400, renewable => true,
                sealed => false, standby => 0, up => true, delay => 0,
                %state);
}


sub test_single_flight {
    fresh(delay => 0.3);

    my $nginx = agent($vault, workers => 4);

    log_has($nginx, qr/logged in/, 'four workers have started');
    sleep 0.5;
    is(count('login'), 1, 'and made one login');

    $nginx->signal('HUP');
    until_true { $nginx->log_text =~ /gracefully shutting down/ } 'a reload';
    sleep 0.3;
    is(count('login'), 1, 'keeps the token');
    ends_clean($nginx);
}


sub test_renewal {
    fresh(token_ttl => 3);

    my $nginx = agent($vault, workers => 2);

    until_true { count('renew') >= 2 } 'renewed twice', 8;
    is(count('login'), 1, 'and logged in once');

    my @asked = map { $_->{op} } $vault->asked;
    is($asked[0], 'login', 'in this order');
    ok(!(grep { $_ eq 'read' } @asked), 'and nothing else asked');
    ends_clean($nginx);
}


sub test_not_renewable {
    fresh(token_ttl => 2, renewable => false);

    my $nginx = agent($vault);

    until_true { count('login') >= 3 } 'logged in again', 8;
    is(count('renew'), 0, 'as it cannot be renewed');
    ends_clean($nginx);
}


# A token near the end of all it may live is renewed for less: the next time a
# login is better.

sub test_max_ttl {
    fresh(token_ttl => 3, token_max_ttl => 4);

    my $nginx = agent($vault);

    until_true { count('login') >= 2 } 'a login when renewing gains little',
               10;
    ok(count('renew') >= 1, 'after having tried');
    ends_clean($nginx);
}


sub test_renewal_refused {
    fresh(token_ttl => 3);

    my $nginx = agent($vault);
    log_has($nginx, qr/logged in/, 'a token');

    $vault->set(forget => true);
    until_true { count('login') >= 2 } 'revoked: renewed by a login', 8;
    like($nginx->log_text,
         qr/renewing the token is answered with 403; it has ended.*a login/,
         'and told');
    ends_clean($nginx);
}


# What a node answers that is not the one to ask.

sub test_renewal_elsewhere {
    for my $case (['412', qr/this node is behind the others/],
                  ['429', qr/this node is a standby or out of its quota/],
                  ['472', qr/this node is a standby or out of its quota/],
                  ['473', qr/this node is a standby or out of its quota/],
                  ['503', qr/is the Vault sealed\?/],
                  ['500', qr/see the log of the Vault/],
                  ['html', qr/is the address that of a Vault\?/])
    {
        my ($kind, $remedy) = @$case;

        fresh(token_ttl => 2,
              fail => [{ op => 'renew', kind => $kind, times => 99 }]);

        my $nginx = agent($vault, options => 'retries=0');
        log_has($nginx, qr/renewing the token is answered with \d+; $remedy/,
                "$kind when it is renewed: the remedy is named");
        ends_clean($nginx);
    }
}


# Renewed for no time at all: it does not live for ever.

sub test_renewal_of_nothing {
    fresh(token_ttl => 3, token_max_ttl => 0);

    my $nginx = agent($vault);

    until_true { count('login') >= 2 } 'renewed for nothing: a login', 8;
    ok(count('renew') >= 1, '  after having tried');
    ends_clean($nginx);
}


sub test_down_at_start {
    fresh(up => false);

    my $nginx = agent($vault, options => 'retries=0');
    log_has($nginx, qr/no login: .*is the Vault up, and are its address/,
            'down at start: told');
    $vault->set(up => true);
    log_has($nginx, qr/logged in/, 'and logged in when it is up');
    ends_clean($nginx);
}


sub test_sealed {
    fresh(sealed => true);

    my $nginx = agent($vault, options => 'retries=0');
    log_has($nginx, qr/answered with 503: Vault is sealed; unseal the Vault/,
            'sealed at start: told');
    $vault->set(sealed => false);
    log_has($nginx, qr/logged in/, 'and logged in when it is not');
    ends_clean($nginx);
}


# Down for a while, while the token has to be renewed.

sub test_down_later {
    fresh(token_ttl => 6);

    my $nginx = agent($vault, options => 'retries=0');
    log_has($nginx, qr/logged in/, 'a token');
    $vault->set(up => false);
    until_true { $nginx->log_text =~
                 /cannot be renewed now: .*; is the Vault up, and is "vault_a/ }
               'down when it is due: told', 8;
    $vault->set(up => true);
    until_true { count('renew') >= 1 || count('login') >= 2 } 'and made good',
               8;
    ends_clean($nginx);
}


# The transient ones: each is one login in the end, without a word.

sub test_retries {
    for my $fault (
        ['a connection that is cut', 'reset'],
        ['one that ends without an answer', 'close'],
        ['one that ends in the middle', 'short'],
        ['an error of the server', '500'],
        ['a node that is behind', '412'],
        ['a quota', '429'],
    ) {
        my ($what, $kind) = @$fault;

        fresh(fail => [{ op => 'login', kind => $kind, times => 2 }]);

        my $nginx = agent($vault, options => 'retries=2');
        log_has($nginx, qr/logged in/, "$what: tried again");
        unlike($nginx->log_text, qr/\[error\].*no login/, '  without a word');
        ends_clean($nginx);
    }
}


# Answers that are none.

sub test_garbage {
    for my $fault (
        ['garbage', qr/no login: .*is the Vault up/, { kind => 'garbage' }],
        ['half of it', qr/without a token; is the address that of a Vault/,
         { kind => 'badjson' }],
        ['a page', qr/without a token; is the address that of a Vault/,
         { kind => 'html' }],
        ['too long a head', qr/no login: /, { kind => 'longhead' }],
        ['too much', qr/no login: .*too large/, { kind => 'oversized' }],
        ['nothing in time', qr/no login: .*timed out/,
         { kind => 'silent', s => 3 }],
    ) {
        my ($what, $pattern, $more) = @$fault;

        fresh(fail => [{ op => 'login', times => 50, %$more }]);

        my $nginx = agent($vault, options => 'retries=0 timeout=500ms');
        log_has($nginx, $pattern, "$what: told");
        $vault->set(fail => []);
        ends_clean($nginx);
    }
}


# A standby sends to the active node: another Vault, with the same tokens for
# that matter.

sub test_standby {
    my $active = vault();

    fresh(standby => 307, leader => $active->url);

    my $nginx = agent($vault);
    log_has($nginx, qr/logged in/, 'a standby sends on');
    is($active->count('login'), 1, 'to the active node');
    ends_clean($nginx);

    for my $leader ('https://127.0.0.1:1', 'http://user@127.0.0.1:1',
                    $active->url . '/elsewhere')
    {
        fresh(standby => 307, leader => $leader);
        $nginx = agent($vault, options => 'retries=0');
        log_has($nginx, qr/is not followed; set its api_addr/,
                "but not to $leader");
        ends_clean($nginx);
    }

    fresh(standby => 473);
    $nginx = agent($vault, options => 'retries=0');
    log_has($nginx, qr/473; this node is a standby/, 'a standby of its own');
    ends_clean($nginx);
    fresh();
}


# A process that is frozen sees by the wall clock that its token has ended.

sub test_freeze {
    fresh(token_ttl => 2);

    my $nginx = agent($vault);
    log_has($nginx, qr/logged in/, 'a token');

    my @pids = ($nginx->pid, $nginx->workers);
    my $logins = count('login');

    kill 'STOP', @pids;
    sleep 3;
    kill 'CONT', @pids;

    until_true { count('login') > $logins } 'thawed: another login';
    ends_clean($nginx);
}


# A worker that dies while it logs in is not waited for.

sub test_death {
    fresh(delay => 1.5);

    my $nginx = agent($vault, workers => 2, expected => [qr/exited on signal/],
                      options => 'timeout=20s');

    until_true { count('login') >= 1 } 'a login has begun';
    sleep 0.2;

    my ($first) = $nginx->workers;
    kill 'KILL', $nginx->workers;
    $vault->set(delay => 0);
    log_has($nginx, qr/logged in/, 'both die: others log in');
    ends_clean($nginx);
}


# The memory that the token lies in is left out of core dumps, and no other
# has it once what it was used for has ended.

sub maps {
    my ($pid, $mode) = @_;

    open my $in, '<', "/proc/$pid/smaps" or die "smaps: $!\n";

    no warnings 'portable';
    my ($range, @found);

    while (<$in>) {
        $range = [hex $1, hex $2] if /^([0-9a-f]+)-([0-9a-f]+) $mode/;
        undef $range if /^[0-9a-f]+-[0-9a-f]+ (?!$mode)/;
        push @found, [@$range, $1] if $range && /^VmFlags: (.*)/;
    }

    return @found;
}


# How often it is there, by whether the memory is dumped

sub tokens {
    my ($pid, $mode) = @_;

    my %found = (shown => 0, hidden => 0);
    open my $memory, '<:raw', "/proc/$pid/mem" or die "mem: $!\n";

    for my $map (maps($pid, $mode)) {
        my ($from, $to, $flags) = @$map;
        next if $to - $from > 1 << 30;      # a sanitizer has reserved it

        sysseek $memory, $from, 0;
        sysread $memory, my $bytes, $to - $from;

        my $n = () = ($bytes // '') =~ /hvs\.[\w-]{20,}/g;
        $found{$flags =~ /\bdd\b/ ? 'hidden' : 'shown'} += $n;
    }

    return \%found;
}


sub test_memory {
    fresh(secrets => { 'secret/a' => { k => 'v' } });

    my $nginx = agent($vault, workers => 1, http => 'vault_agent_cache 1m;');
    log_has($nginx, qr/logged in/, 'a token');

    for my $header ('cache', 'nocache', 'nocache') {
        is(VaultHttp::request($nginx->port, 'GET', '/v1/secret/data/a',
                              ['X-Vault-Request: true',
                               "X-Vault-Cache-Control: $header"])->{status},
           200, "  that is used: $header");
    }

    my ($pid) = $nginx->workers;

    is_deeply(tokens($pid, 'rw-s'), { shown => 0, hidden => 1 },
              'the token lies in shared memory that is not dumped');
    until_true { tokens($pid, 'rw-p')->{shown} == 0 }
        'and in none of the worker\'s own, when the requests have ended';
    ends_clean($nginx);
}


sub test_revoke {
    fresh();

    my $nginx = agent($vault, options => 'revoke=on', workers => 2);
    log_has($nginx, qr/logged in/, 'a token');
    $nginx->signal('HUP');
    until_true { $nginx->log_text =~ /gracefully shutting down/ } 'a reload';
    sleep 0.5;
    is($vault->count('revoke'), 0, 'revokes nothing');
    ends_clean($nginx);
    is($vault->count('revoke'), 1, 'the end does');

    fresh();
    $nginx = agent($vault, options => 'revoke=on');
    log_has($nginx, qr/logged in/, 'a token');
    $vault->set(up => false);
    ends_clean($nginx);
    like($nginx->log_text, qr/could not be revoked and lives to its end/,
         'a Vault that is down by then');
    $vault->set(up => true);

    $nginx = agent($vault);
    log_has($nginx, qr/logged in/, 'a token');
    $vault->clear;
    ends_clean($nginx);
    is($vault->count('revoke'), 0, 'not revoked unless that is wished');
}


test_revoke();
test_single_flight();
test_renewal();
test_not_renewable();
test_max_ttl();
test_renewal_refused();
test_renewal_elsewhere();
test_renewal_of_nothing();
test_down_at_start();
test_sealed();
test_down_later();
test_retries();
test_garbage();
test_standby();
test_freeze();
test_death();
test_memory();

done_testing();
