# Mail by SES: what is asked and how it is signed; what is tried again, and
# what is given up with its remedy in the log.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(sleep);

use VaultMail;
use VaultPeer;
use VaultServer qw(vault_server call sql);
use VaultTest 'debug';

delete @ENV{grep { /^AWS_/ } keys %ENV};

my $servers = 0;
my %KEYS = (AWS_ACCESS_KEY_ID => 'AKIDENV',
            AWS_SECRET_ACCESS_KEY => 'hidden-env');


sub vault {
    my ($ses, %env) = @_;

    return vault_server(
        name  => 'ses' . $servers++,
        env   => %env ? \%env : \%KEYS,
        vault => 'vault_mail ses:eu-west-1?endpoint=' . $ses->url . ";\n"
                 . "vault_mail_from \"$VaultMail::FROM\";");
}


sub ends_clean {
    my ($server) = @_;

    is_deeply([$server->stop], [], 'nginx ended without a complaint');
    unlike($server->log_text, qr/hidden-|secret-\d|token\/\d|482913/,
           'no secret in the log');
}


sub taken { return $_[0]->state->{taken} }


sub becomes {
    my ($n, $ses) = @_;

    for (1 .. 100 * $VaultNginx::SLOW) {
        return taken($ses) if @{taken($ses)} >= $n;
        sleep 0.05;
    }

    return taken($ses);
}


sub test_messages {
    my $ses = VaultPeer->new('ses.py');
    my $server = vault($ses);
    my $n = 0;

    for my $name (sort keys %{call($server, 'GET', '/api/debug/mail')->{json}})
    {
        is(VaultMail::queue($server, $name, "$name\@example.com"), 1,
           "$name: queued");
        my $message = becomes(++$n, $ses)->[$n - 1];
        is($message->{to}, "$name\@example.com", '  sent');
        is($message->{from}, 'vault@example.com', '  by us');
        is_deeply($message->{defects}, [], '  without a flaw');
    }

    is(sql('SELECT count(*) FROM mails'), "0\n", 'nothing is left of them');
    ends_clean($server);
}


sub test_refused {
    my $ses = VaultPeer->new('ses.py');
    my $n = 0;
    my @cases = (
        [ 'unverified', 1, qr/400 MessageRejected.*sandbox/ ],
        [ 'paused',     1, qr/400 SendingPausedException.*resume it/ ],
        [ 'suspended',  1, qr/400 AccountSuspendedException.*support cases/ ],
        [ 'mailfrom',   1, qr/400 MailFromDomainNotVerified.*MX record/ ],
        [ 'bad',        1, qr/400 BadRequestException/ ],
        [ 'throttled',  0, qr/429 TooManyRequestsException.*higher/ ],
        [ 'denied',     0, qr/403 AccessDeniedException.*allow ses:/ ],
        [ 'error',      0, qr/500 InternalFailure/ ],
        [ 'unavailable', 0, qr/503 ServiceUnavailable/ ],
        [ 'reset',      0, qr/SES: closed without an answer.*reach AWS/ ],
    );

    for my $case (@cases) {
        my ($fault, $final, $pattern) = @$case;
        my $server = vault($ses);

        $ses->set(fault => $fault, times => 1, requests => 0);
        $ses->set(times => 2) if $fault eq 'reset';
        is(VaultMail::queue($server, 'welcome', "$fault\@example.com"), 1,
           "$fault: queued");

        my $what = $final ? qr/is given up: .*$pattern/
                          : qr/is tried again later: .*$pattern/;
        ok(VaultMail::log_says($server, $what), '  the log has its remedy')
            or diag($server->log_text);
        sleep 0.1;
        $ses->set(fault => '');

        if ($final) {
            is(sql('SELECT count(*) FROM mails'), "0\n", '  given up');
            is($ses->state->{requests}, 1, '  after one try');

        } else {
            sql('UPDATE mails SET due_at = 0');
            call($server, 'POST', '/api/debug/mail/run');
            is(becomes(++$n, $ses)->[$n - 1]{to}, "$fault\@example.com",
               '  sent by the next try');
        }

        ends_clean($server);
    }
}


# What is lost is told each time, what to do once

sub test_once {
    my $ses = VaultPeer->new('ses.py');
    my $server = vault($ses);

    $ses->set(fault => 'paused');
    VaultMail::queue($server, 'welcome', "user$_\@example.com") for 1 .. 3;
    left_is(0);

    my @lines = $server->log_text =~ /given up: SES answers 400 Sending/g;
    my @remedies = $server->log_text =~ /sending is paused in SES/g;
    is(@lines, 3, 'three mails are lost, and told');
    is(@remedies, 1, 'what to do, once');
    is(call($server, 'GET', '/vault-status')->{json}{mail}{givenUp}, 3,
       'and counted');
    ends_clean($server);
}


sub left_is {
    my ($n) = @_;

    for (1 .. 100 * $VaultNginx::SLOW) {
        return if sql('SELECT count(*) FROM mails') == $n;
        sleep 0.05;
    }
}


# On DSQL such keys open no database either: t/25 has what comes then.

sub test_no_keys {
    my $ses = VaultPeer->new('ses.py');

    my $server = vault($ses, AWS_ACCESS_KEY_ID => 'AKIDENV',
                       AWS_SECRET_ACCESS_KEY => 'hidden-wrong');
    VaultMail::queue($server, 'welcome', 'alice@example.com');
    ok(VaultMail::log_says($server, qr/later: .*InvalidSignature.*secret key/),
       'a wrong key') or diag($server->log_text);
    ends_clean($server);
    sql('DELETE FROM mails');

    $server = vault($ses, AWS_EC2_METADATA_DISABLED => 'true');
    VaultMail::queue($server, 'welcome', 'alice@example.com');
    ok(VaultMail::log_says($server, qr/later: .*no credentials of AWS/),
       'no keys') or diag($server->log_text);
    ends_clean($server);
    sql('DELETE FROM mails');
}


sub test_other_keys {
    my $ses = VaultPeer->new('ses.py');

    $ses->set(skew => 3600);
    my $server = vault($ses);
    VaultMail::queue($server, 'welcome', 'bob@example.com');
    is(becomes(1, $ses)->[0]{to}, 'bob@example.com',
       'a clock that is wrong is corrected by the answer');
    $ses->set(skew => 0);
    ends_clean($server);

    my $aws = VaultPeer->new('aws.py');
    $ses->set(expired => 1, taken => []);
    $server = vault($ses, AWS_CONTAINER_CREDENTIALS_FULL_URI
                          => $aws->url('/container'));
    VaultMail::queue($server, 'welcome', 'carol@example.com');
    is(becomes(1, $ses)->[0]{to}, 'carol@example.com',
       'keys that have expired are renewed') or diag($server->log_text);
    ends_clean($server);
}


test_messages();
test_refused();
test_once();
test_no_keys() if $VaultServer::FLAVOUR ne 'dsql';
test_other_keys();

done_testing();
