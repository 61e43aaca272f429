# The outbox: a mail is there if and only if its change is, outlives whatever
# happens to the worker, is nobody's flood, and has an end.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultServer qw(vault_server call sql status);
use VaultTest 'debug';

my $servers = 0;


sub vault {
    my ($mail, %arg) = @_;

    return $mail->vault(name => 'outbox' . $servers++, %arg);
}


sub ends_clean {
    my ($server) = @_;

    is_deeply([$server->stop], [], 'nginx ended without a complaint');
}


sub left { my $n = sql('SELECT count(*) FROM mails'); chomp $n; return $n }


sub left_becomes {
    my ($want, $seconds) = @_;

    my $end = time + ($seconds // 10) * $VaultNginx::SLOW;
    sleep 0.05 while left() != $want && time < $end;
    return left();
}


# With the change, or not at all

sub test_transaction {
    my $mail = VaultMail->new;
    my $server = vault($mail);

    is(VaultMail::queue($server, 'welcome', 'fails@example.com', fail => 1),
       400, 'a change that fails');
    is(VaultMail::queue($server, 'welcome', 'works@example.com'), 1,
       'and one that does not');
    is($mail->wait_for(1)->[0]{to}, 'works@example.com', 'its mail is sent');
    sleep 0.3;
    is(@{$mail->messages}, 1, 'alone');
    is(left_becomes(0), 0, 'nothing is left');

    is(VaultMail::queue($server, 'no-such', 'a@example.com'), 500,
       'there is no other template');
    ends_clean($server);

    my $none = vault_server(name => 'nomail');
    is(VaultMail::queue($none, 'welcome', 'alice@example.com'), 0,
       'a vault without mail queues none');
    is(left(), 0, 'and writes no row');
    ends_clean($none);
}


# kill -9 between the change and the sending, and in the middle of it

sub test_killed {
    my $mail = VaultMail->new;
    my $server = vault($mail, vault => 'vault_jobs off;',
                       expected => [qr/exited on signal 9/]);

    $mail->set(fault => 'silent', connections => 0);
    is(VaultMail::queue($server, 'welcome', 'alice@example.com'), 1,
       'answered');
    kill 'KILL', status($server)->{pid};
    is(left(), 1, 'killed: its row is there');
    $mail->set(fault => '');

    # the lease of the dead one has an end
    like(sql('SELECT due_at - created_at FROM mails'),
         qr/^(?:0|3[0-9]{5})$/, 'leased for minutes, at most');
    sql('UPDATE mails SET due_at = 0');

    my $next = vault($mail, vault => 'vault_jobs 1s;', workers => 2);
    is($mail->wait_for(1, 10)->[0]{to}, 'alice@example.com',
       'the clock of another sends it');
    is(left_becomes(0), 0, 'and is done with it');
    ends_clean($next);
    $server->stop;

    # after DATA: the mail server has it, but nobody knows
    $server = vault($mail, vault => 'vault_jobs off;',
                    expected => [qr/exited on signal 9/]);
    $mail->set(taken => [], fault => 'hang', commands => []);
    VaultMail::queue($server, 'welcome', 'bob@example.com');

    my $end = time + 5 * $VaultNginx::SLOW;
    sleep 0.02 while !grep({ $_ eq 'DATA' } @{$mail->state->{commands}})
                     && time < $end;
    sleep 0.2;
    kill 'KILL', status($server)->{pid};
    is(left(), 1, 'killed in the middle: its row is there');
    $mail->set(fault => '');
    sql('UPDATE mails SET due_at = 0');

    $next = vault($mail, vault => 'vault_jobs 1s;');
    is($mail->wait_for(1, 10)->[0]{to}, 'bob@example.com', 'sent again');
    is(left_becomes(0), 0, 'and is done');
    my %ids = map { $_->{headers}{'Message-ID'} => 1 } @{$mail->messages};
    is(keys %ids, 1, 'under one Message-ID');
    ends_clean($next);
    $server->stop;
}


# Many at once, by many workers: each once

sub test_together {
    my $mail = VaultMail->new;
    my $server = vault($mail, workers => 4, vault => 'vault_jobs 1s;');
    my $n = 120;

    $mail->set(fault => 'busy');      # all of them are there at first

    for my $child (1 .. 4) {
        next if fork;

        VaultMail::queue($server, 'welcome', "user$child-$_\@example.com")
            for 1 .. $n / 4;
        require POSIX;
        POSIX::_exit(0);
    }

    wait for 1 .. 4;
    is(left(), $n, 'many mails');
    $mail->set(fault => '');
    sql('UPDATE mails SET due_at = 0');

    my $taken = $mail->wait_for($n, 60);
    my %to = map { $_->{to} => 1 } @$taken;
    is(keys %to, $n, 'each recipient');
    is(@$taken, $n, 'once');
    is(left_becomes(0), 0, 'nothing is left');
    ends_clean($server);
}


# A mail server that is away: requests do not notice, one line in the log

sub test_away {
    my $mail = VaultMail->new;
    my $server = vault($mail, vault => 'vault_jobs off;');

    $mail->set(fault => 'silent');

    my $start = time;
    for my $i (1 .. 20) {
        VaultMail::queue($server, 'welcome', "user$i\@example.com");
    }
    cmp_ok((time - $start) / 40, '<', 0.05 * $VaultNginx::SLOW,
           'requests are as fast as ever');
    is(left(), 20, 'their mails wait');

    my $tasks = status($server)->{coroutines};
    cmp_ok($tasks, '<=', 4, 'a few tasks are at it, not twenty');
    ends_clean($server);

    $mail->set(fault => 'busy');
    $server = vault($mail, vault => 'vault_jobs off;');

    for (1 .. 5) {
        sql('UPDATE mails SET due_at = 0');
        call($server, 'POST', '/api/debug/mail/run');
    }

    my @lines = $server->log_text =~ /\[error\].*is tried again later/g;
    is(@lines, 1, 'what is wrong is said once');
    is(left(), 20, 'none is given up');

    $mail->set(fault => '');
    sql('UPDATE mails SET due_at = 0');
    call($server, 'POST', '/api/debug/mail/run');
    is(@{$mail->wait_for(20)}, 20, 'all are sent when it is back');
    ok(VaultMail::log_says($server, qr/mails are sent again/),
       'and the log says so');
    ends_clean($server);
}


# Pauses grow; then comes the end

sub test_end {
    my $mail = VaultMail->new;
    my $server = vault($mail, vault => 'vault_jobs off;');
    my @pauses;

    $mail->set(fault => 'greylist');
    VaultMail::queue($server, 'welcome', 'grey@example.com');

    for my $try (1 .. 10) {
        my $end = time + 5 * $VaultNginx::SLOW;
        sleep 0.02 while sql('SELECT tries FROM mails') < $try && time < $end;
        sleep 0.1 while sql('SELECT due_at FROM mails') / 1000
                        > time + 4 * 60 * 60 && time < $end;
        sleep 0.15;
        push @pauses, sql('SELECT due_at FROM mails') / 1000 - time;
        sql('UPDATE mails SET due_at = 0');
        call($server, 'POST', '/api/debug/mail/run') if $try < 10;
    }

    cmp_ok($pauses[0], '>', 25, 'half a minute first');
    cmp_ok($pauses[0], '<', 40, '  or a little more');
    cmp_ok($pauses[4], '>', 8 * $pauses[0], 'then longer');
    cmp_ok($pauses[9], '<', 5400, 'never more than about an hour');

    sql('UPDATE mails SET due_at = 0, expires_at = 1');
    call($server, 'POST', '/api/debug/mail/run');
    is(left(), 0, 'what is of no use any more is given up');
    like($server->log_text, qr/is given up: after 11 tries/, '  and told');
    is(@{$mail->messages}, 0, '  and not sent');
    is(status($server)->{mail}{givenUp}, 1, '  and counted');

    VaultMail::queue($server, 'welcome', 'torn@example.com');
    sql("UPDATE mails SET due_at = 0, variables = '{'");
    call($server, 'POST', '/api/debug/mail/run');
    is(left(), 0, 'what cannot be read is given up');
    like($server->log_text, qr/is given up: .*row cannot be read/,
         '  and told');
    is(status($server)->{mail}{givenUp}, 2, '  and counted');

    VaultMail::queue($server, 'two-factor-code', 'code@example.com',
                     life => 600);
    is(sql('SELECT expires_at - created_at FROM mails'), "600000\n",
       'a code has a short life');
    sql('DELETE FROM mails');
    ends_clean($server);
}


# What anybody may ask for cannot flood a mailbox; what tells of an intruder
# cannot be held back by one.

sub test_limits {
    my $mail = VaultMail->new;
    my $server = vault($mail, workers => 2);

    my @queued = map {
        VaultMail::queue($server, 'password-hint', 'alice@example.com')
    } 1 .. 8;
    is("@queued", '1 1 1 1 1 0 0 0', 'five hints an hour');
    is(VaultMail::queue($server, 'password-hint', 'ALICE@example.com'), 0,
       'whatever the case');
    is(VaultMail::queue($server, 'delete-account', 'alice@example.com'), 1,
       'each kind for itself');
    is(VaultMail::queue($server, 'password-hint', 'bob@example.com'), 1,
       'and each recipient');

    my $codes = 0;
    $codes += VaultMail::queue($server, 'two-factor-code',
                               'alice@example.com') for 1 .. 15;
    is($codes, 10, 'ten codes');

    my $notices = 0;
    $notices += VaultMail::queue($server, 'new-device', 'alice@example.com')
        for 1 .. 15;
    is($notices, 15, 'all notices');

    my $many = 0;
    $many += VaultMail::queue($server, 'register-verify',
                              "user$_\@example.com") for 1 .. 40;
    cmp_ok($many, '<', 30, 'one address asks for a few only');

    like($server->log_text, qr/\[warn\].*mail/, 'and the log tells');
    left_becomes(0);
    ends_clean($server);
}


test_transaction();
test_killed();
test_together();
test_away();
test_end();
test_limits();

done_testing();
