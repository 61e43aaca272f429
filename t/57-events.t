# Events of Lambda: accepted as the adapter sends them and not otherwise, done
# in time, once, and told.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(enc);
use VaultMail;
use VaultTest 'debug';

my $SECRET = 'sesame-sesame-sesame';
my $DAY = 86400_000;

my $mail = VaultMail->new;
my $server = lambda('lambda');


sub lambda {
    my ($name, $more) = @_;

    return $mail->vault(name => $name, vault => <<"_EOF_" . ($more // ''));
vault_lambda on;
vault_origin_secret $SECRET;
_EOF_
}


sub context {
    my ($left) = @_;

    return sprintf 'x-amzn-lambda-context: {"request_id":"1","deadline":%d,'
        . '"invoked_function_arn":"arn:aws:lambda:x","client_context":null}',
        1000 * (time + ($left // 60));
}


# What the adapter sends for what is no HTTP request

sub event {
    my ($body, %option) = @_;

    return call($option{on} // $server, 'POST', '/.vault/events',
                headers => ['x-amzn-request-context: null',
                            context($option{left})],
                body => $body, timeout => 60);
}


# Only the adapter

sub test_forged {
    my $body = '{"job": "maintenance"}';
    my $right = 'x-amzn-request-context: null';

    my %forged = (
        'nothing'              => [],
        'no lambda context'    => [$right],
        'an HTTP context'      => ['x-amzn-request-context: {"http":{}}',
                                   context()],
        'an empty context'     => ['x-amzn-request-context:', context()],
        'a context in quotes'  => ['x-amzn-request-context: "null"',
                                   context()],
        'another case'         => ['x-amzn-request-context: NULL', context()],
        'two contexts'         => [$right, $right, context()],
        'both contexts'        => [$right, 'x-amzn-request-context: {}',
                                   context()],
        'two lambda contexts'  => [$right, context(), context()],
        'a forwarded address'  => [$right, context(),
                                   'X-Forwarded-For: 127.0.0.1'],
    );

    for my $what (sort keys %forged) {
        my $answer = call($server, 'POST', '/.vault/events', body => $body,
                          headers => $forged{$what});
        is($answer->{status}, 403, "$what, and no secret");

        $answer = call($server, 'POST', '/.vault/events', body => $body,
                       headers => ["X-Vault-Origin-Secret: $SECRET",
                                   @{$forged{$what}}]);
        is($answer->{status}, 404, "$what, through the front");
        is($answer->{json}{message}, 'Resource not found.', '  like nothing');
    }

    my @all = ($right, context());

    is(call($server, 'GET', '/.vault/events', headers => \@all)->{status}, 405,
       'an event is a POST');
    is(call($server, 'POST', '/api/folders', headers => \@all)->{status}, 403,
       'and leads nowhere else');
    is(call($server, 'POST', '/x/../.vault/events', headers => \@all,
            body => $body)->{status}, 200, 'nginx has made the path plain');

    my $plain = $mail->vault(name => 'plain');
    is(call($plain, 'POST', '/.vault/events', headers => \@all,
            body => $body)->{status}, 404, 'there are none without Lambda');
    is_deeply([$plain->stop], [], 'nginx ended without a complaint');

    # realip takes what is in front of it: the client is not from here then
    my $real = lambda('real', "set_real_ip_from 127.0.0.1;\n"
                              . "real_ip_header X-Vault-Client;\n");
    is(call($real, 'POST', '/.vault/events', body => $body,
            headers => [@all, 'X-Vault-Client: 192.0.2.1'])->{status}, 403,
       'whoever has an address is no adapter');
    is(event($body, on => $real)->{status}, 200, 'who has none may be');
    is_deeply([$real->stop], [], 'nginx ended without a complaint');
}


sub test_bodies {
    my %wrong = (
        ''                          => 400,
        'x'                         => 400,
        '[]'                        => 400,
        '{}'                        => 400,
        '{"job": null}'             => 400,
        '{"job": 1}'                => 400,
        '{"job": ["maintenance"]}'  => 400,
        '{"job": "Maintenance"}'    => 400,
        '{"job": "drop"}'           => 400,
        '{"job": "' . 'x' x 40 . '"}'                   => 400,
        '{"version": "2.0", "rawPath": "/", "body": "{\"job\":\"migrate\"}"}'
                                    => 400,
        ' ' x 2000 . '{"job": "maintenance"}'           => 413,
    );

    for my $body (sort keys %wrong) {
        is(event($body)->{status}, $wrong{$body}, 'refused: '
           . substr($body, 0, 50));
    }

    is(event('{"job": "drop"}')->{json}{message},
       'There is no such job: "drop". It is "maintenance" or "migrate".',
       'and told why');
}


# What is due, once

sub trash {
    my ($user, $n) = @_;

    my $old = int(1000 * time) - 40 * $DAY;

    for (1 .. $n) {
        my $answer = call($server, 'POST', '/api/ciphers', as => $user,
                          headers => ["X-Vault-Origin-Secret: $SECRET"],
                          json => { type => 2, name => enc('x'),
                                    secureNote => { type => 0 } });
        die "cipher: $answer->{body}\n" if $answer->{status} != 200;
        my $id = $answer->{json}{id};
        VaultServer::sql("UPDATE ciphers SET deleted_at = $old"
                         . " WHERE id = '$id'");
    }
}


sub left {
    my $n = VaultServer::sql(
        'SELECT count(*) FROM ciphers WHERE deleted_at IS NOT NULL');
    chomp $n;
    return $n;
}


sub due { VaultServer::sql('UPDATE jobs SET due_at = 0, leased_until = 0') }


sub jobs {
    my $n = VaultServer::sql('SELECT count(*) FROM jobs');
    chomp $n;
    return $n;
}


sub test_maintenance {
    due();
    trash('alice', 3);
    my $done = event('{"job": "maintenance"}');

    is($done->{status}, 200, 'maintenance');
    is(left(), 0, 'the trash is empty');
    is_deeply([@{$done->{json}}{qw(job count failed more busy)}],
              ['maintenance', 3, 0, 0, 0], 'as it says');
    is($done->{json}{ran}, jobs(), 'all jobs have run');
    cmp_ok(jobs(), '>', 5, 'and there are some');

    $done = event('{"job": "maintenance"}');
    is($done->{json}{ran}, 0, 'nothing is due any more');
}


# Two of them, on two workers of one database, and two on one

sub test_twice {
    my $other = lambda('other');

    due();
    trash('alice', 4);

    my @pids;
    my $file = VaultServer::folder_of() . '/twice';

    for my $on ($server, $server, $other, $other) {
        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            my $json = event('{"job": "maintenance"}', on => $on)->{json};
            VaultNginx::write_file("$file.$$", $json ? join ' ',
                                   @$json{qw(ran failed count)} : 'nothing');
            POSIX::_exit(0);
        }

        push @pids, $pid;
    }

    my ($ran, $failed, $count) = (0, 0, 0);

    for my $pid (@pids) {
        waitpid $pid, 0;
        my @n = split / /, VaultNginx::read_file("$file.$pid");
        $ran += $n[0];
        $failed += $n[1];
        $count += $n[2];
    }

    is($ran, jobs(), 'each job ran once');
    is($failed, 0, 'none failed');
    is($count, 4, 'each thing was done once');
    is(left(), 0, 'and is done');
    is_deeply([$other->stop], [], 'nginx ended without a complaint');
}


# Causes a mail, as a request through the front does

sub queue {
    my ($to) = @_;

    my $answer = call($server, 'POST', '/api/debug/mail', timeout => 60,
                      headers => ["X-Vault-Origin-Secret: $SECRET"],
                      json => { template => 'welcome', to => $to,
                                vars => [] });
    is($answer->{status}, 200, "a mail to $to");
}


# The mail server is away when it is to be sent: the event does it

sub test_outbox {
    $mail->set(fault => 'busy', times => 1);
    queue('later@example.com');
    is(@{$mail->messages}, 0, 'the mail server had no time');

    VaultServer::sql('UPDATE mails SET due_at = 0');
    due();

    my $done = event('{"job": "maintenance"}')->{json};
    is($done->{count}, 1, 'the event has dealt with it');
    is($mail->messages->[0]{to}, 'later@example.com', 'it is sent');
    is(VaultServer::sql('SELECT count(*) FROM mails'), "0\n", 'nothing left');
}


# Time: a mail server that says nothing does not take the whole invocation

sub test_time {
    $mail->set(fault => 'silent', times => -1);
    VaultServer::sql('DELETE FROM mails');

    my $from = time;
    queue('held@example.com');
    my $took = time - $from;

    cmp_ok($took, '>=', 9, 'the answer waits for a silent mail server');
    cmp_ok($took, '<', 20 * $VaultNginx::SLOW, 'but not for long');

    VaultServer::sql('UPDATE mails SET due_at = 0');
    due();

    $from = time;
    my $done = event('{"job": "maintenance"}', left => 12);
    is($done->{status}, 200, 'the event is answered');
    cmp_ok(time - $from, '<', 12, 'while its invocation lasts');
    cmp_ok($done->{json}{failed} + $done->{json}{more}, '>', 0,
           'and says that it has not done all');
    $mail->set(fault => '');
}


sub test_migrate {
    my $done = event('{"job": "migrate"}');

    is($done->{status}, 200, 'migrate');
    is($done->{json}{job}, 'migrate', 'says what it is');
    is($done->{json}{steps}, 0, 'all is there');

    # a deployment that brings a last step; all of them may be repeated
    VaultServer::sql('DELETE FROM vault_schema WHERE step ='
                     . ' (SELECT max(step) FROM vault_schema)');
    is(event('{"job": "migrate"}')->{json}{steps}, 1, 'one was missing');
    is(event('{"job": "migrate"}')->{json}{steps}, 0, 'is not any more');
}


test_forged();
test_bodies();
test_maintenance();
test_twice();
test_outbox();
test_migrate();
test_time();

is_deeply([$server->stop], [], 'nginx ended without a complaint');
done_testing();
