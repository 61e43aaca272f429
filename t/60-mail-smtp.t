# Mail by SMTP: what a server sees of each message, all ways to connect and to
# authenticate, and whatever a mail server can do wrong.

use strict;
use warnings;
use utf8;

use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultPeer;
use VaultServer qw(vault_server call folder_of sql);
use VaultTest 'debug';

binmode Test::More->builder->$_, ':encoding(UTF-8)'
    for qw(output failure_output todo_output);

my $servers = 0;
my $people = 0;

sub somebody { return 'user' . ++$people . '@example.com' }

sub ends_clean {
    my ($server) = @_;

    is_deeply([$server->stop], [], 'nginx ended without a complaint');
    unlike($server->log_text, qr/secret|482913/, 'no secret in the log');
}

sub vault {
    my ($mail, %arg) = @_;

    return $mail->vault(name => 'mail' . $servers++, %arg);
}

# One mail through a vault with this URL: the message, or undef

sub send_one {
    my ($mail, $server) = @_;

    my $to = somebody();
    my $before = @{$mail->messages};

    is(VaultMail::queue($server, 'two-factor-code', $to), 1, 'queued');
    my $taken = $mail->wait_for($before + 1, 3);
    return $taken->[$before];
}


# Every message: parsed strictly, and both parts say the same.

sub test_messages {
    my $mail = VaultMail->new;
    my $server = vault($mail);
    my $templates = call($server, 'GET', '/api/debug/mail')->{json};

    cmp_ok(keys %$templates, '>=', 12, 'all messages');

    my $n = 0;

    for my $name (sort keys %$templates) {
        my $to = somebody();

        is(VaultMail::queue($server, $name, $to), 1, "$name: queued");
        my $message = $mail->wait_for(++$n)->[$n - 1];

        is($message->{to}, $to, '  goes to one address');
        is($message->{from}, 'vault@example.com', '  from ours');
        is_deeply($message->{defects}, [], '  is flawless');
        is($message->{headers}{'Auto-Submitted'}, 'auto-generated',
           '  wants no vacation notice');
        is($message->{headers}{To}, $to, '  says to whom');
        like($message->{headers}{From},
             qr/^"?Vault of Zürich"? <vault\@example\.com>$/,
             '  and from whom');
        is($message->{headers}{Bcc}, undef, '  and nobody else');
        like($message->{headers}{'Message-ID'},
             qr/^<[0-9a-f-]{36}\@example\.com>$/, '  has an id');
        ok($message->{headers}{Subject}, '  has a subject');

        my $text = $message->{parts}{'text/plain'};
        my $html = $message->{parts}{'text/html'};

        unlike($text . $html, qr/\{\{|\}\}/, '  has no open variable');
        like($text . $html, qr/vault\.example\.com/, '  names the server');
        unlike($html, qr/<script|http:|src=/, '  loads nothing');

        for my $var (split / /, $templates->{$name}) {
            my $value = $VaultMail::VARS{$var};
            my $escaped = $value;

            $_ =~ s/[\r\n]/ /g for $value, $escaped;
            $escaped =~ s/&/&amp;/g;
            $escaped =~ s/</&lt;/g;
            $escaped =~ s/>/&gt;/g;
            $escaped =~ s/"/&quot;/g;
            like($text, qr/\Q$value\E/, "  $var in the text");
            like($html, qr/\Q$escaped\E/, "  $var in the HTML");
        }
    }

    is(sql('SELECT count(*) FROM mails'), "0\n", 'nothing is left of them');
    is(call($server, 'GET', '/vault-status')->{json}{mail}{sent}, $n,
       'the status page counts');
    ends_clean($server);
}


sub test_ways {
    my $mail = VaultMail->new;
    my $ca = $mail->ca;
    my @ways = (
        [ 'STARTTLS', 'smtp://', $mail->smtp, '', 1 ],
        [ 'implicit TLS', 'smtps://', $mail->smtps, '', 1 ],
        [ 'no TLS', 'smtp://', $mail->smtp, '&starttls=none', 0 ],
    );

    for my $way (@ways) {
        my ($name, $scheme, $port, $extra, $tls) = @$way;

        for my $auth ('', 'plain', 'login', 'xoauth2') {
            next if $auth && $name ne 'STARTTLS';

            my $server = vault($mail,
                url => $scheme . 'vault%40example.com@localhost:' . $port
                       . "?password=secret&ca=$ca$extra"
                       . ($auth && "&auth=$auth"));
            my $message = send_one($mail, $server);

            is($message->{user}, 'vault@example.com',
               "$name, auth \"$auth\": authenticated");
            is($message->{tls} ? 1 : 0, $tls, '  as secure as wanted');
            ends_clean($server);
        }
    }

    my $file = folder_of() . '/mail-password';
    open my $out, '>', $file or die "$file: $!\n";
    print $out "secret\n";
    close $out;

    for my $password ("file:$file", 'env:MAIL_PASSWORD') {
        my $server = vault($mail, env => { MAIL_PASSWORD => 'secret' },
            url => 'smtp://vault%40example.com@localhost:' . $mail->smtp
                   . "?password=$password&ca=$ca");

        is(send_one($mail, $server)->{user}, 'vault@example.com',
           'a password from ' . $password =~ s/:.*//r);
        ends_clean($server);
    }

    $mail->set(auth => ['LOGIN']);
    my $server = vault($mail);
    is(send_one($mail, $server)->{user}, 'vault@example.com',
       'LOGIN where there is no PLAIN');
    ends_clean($server);

    $mail->set(auth => [], commands => []);
    $server = vault($mail, url => 'smtp://127.0.0.1:' . $mail->smtp
                           . '?starttls=none&name=vault.example.org');
    is(send_one($mail, $server)->{user}, '', 'without a user');
    is($mail->state->{commands}[0], 'EHLO vault.example.org',
       'under a name of its own');
    ends_clean($server);
}


# Before the recipient, all that is wrong is ours to mend: tried again.

sub test_away {
    my $mail = VaultMail->new;
    my $closed = VaultNginx::free_port();
    my $other = VaultMail->new('mail.example.com');
    my $user = 'vault%40example.com@localhost:';

    my @cases = (
        [ 'nobody there', {}, "smtp://localhost:$closed",
          qr/cannot connect.*host and port/ ],
        [ 'no such host', {}, 'smtp://mail.invalid:25',
          qr/cannot be looked up.*host and port/ ],
        [ 'a wrong password', {},
          "smtp://$user" . $mail->smtp . '?password=wrong&ca=' . $mail->ca,
          qr/535 5\.7\.8 wrong password".*password=/ ],
        [ 'a wrong token', {},
          "smtp://$user" . $mail->smtp . '?password=wrong&auth=xoauth2&ca='
          . $mail->ca, qr/535 5\.7\.8 wrong password/ ],
        [ 'no TLS offered', { starttls => \0 }, undef,
          qr/offers no STARTTLS.*starttls=/ ],
        [ 'an unknown certificate', {},
          "smtp://$user" . $mail->smtp . '?password=secret',
          qr/self.signed certificate.*ca=/i ],
        [ 'a certificate of somebody else', {},
          "smtp://$user" . $other->smtp . '?password=secret&ca='
          . $other->ca, qr/hostname mismatch.*ca=/i ],
        [ 'no such AUTH', { auth => ['GSSAPI'] }, undef,
          qr/does not offer this kind of AUTH/ ],
        [ 'AUTH that is needed', { need_auth => \1 },
          'smtp://localhost:' . $mail->smtp . '?ca=' . $mail->ca,
          qr/530 5\.7\.0 authenticate first/ ],
        [ 'TLS refused', { fault => 'notls' }, undef, qr/454 4\.7\.0/ ],
        [ 'TLS broken', { fault => 'badtls' }, undef,
          qr/(?:TLS|closed|wrong version).*starttls=/i ],
        [ 'more than its answer before TLS', { fault => 'inject' }, undef,
          qr/more than its answer before TLS/ ],
        [ 'no service', { fault => 'greeting' }, undef,
          qr/554 5\.3\.2 no service here/ ],
        [ 'busy', { fault => 'busy' }, undef, qr/421 4\.3\.2/ ],
        [ 'no SMTP', { fault => 'garbage' }, undef, qr/does not speak SMTP/ ],
        [ 'a line without an end', { fault => 'endless' }, undef,
          qr/a line without an end/ ],
        [ 'a name refused', { fault => 'hello' }, undef,
          qr/550 5\.7\.1 name refused".*name=/ ],
        [ 'a sender refused', { fault => 'sender' }, undef,
          qr/550 5\.7\.1 sender refused".*vault_mail_from/ ],
        [ 'silence', { fault => 'silent' }, $mail->url('&timeout=400ms'),
          qr/timed out.*is that a mail server/ ],
    );

    for my $case (@cases) {
        my ($name, $state, $url, $pattern) = @$case;

        $mail->set(%$state);
        my $server = vault($mail, url => $url // $mail->url);
        my $to = somebody();

        my $start = time;
        is(VaultMail::queue($server, 'welcome', $to), 1, "$name: queued");
        cmp_ok(time - $start, '<', 3 * $VaultNginx::SLOW, '  at once');
        ok(VaultMail::log_says($server, qr/is tried again later: .*$pattern/),
           '  the log says what to do') or diag($server->log_text);
        is(@{$mail->messages}, 0, '  nobody got it');

        sleep 0.1;
        my $row = sql('SELECT tries, due_at - created_at FROM mails'
                      . " WHERE recipient = '$to'");
        like($row, qr/^1\|[34]\d{4}$/, '  it waits for its second try');

        ends_clean($server);
        $mail->set(fault => '', starttls => \1, need_auth => \0,
                   auth => ['PLAIN', 'LOGIN', 'XOAUTH2']);
        sql("DELETE FROM mails");
    }
}


# From the recipient on it is about this mail: 4xx for now, 5xx for ever.

sub test_refused {
    my $mail = VaultMail->new;
    my @cases = (
        [ 'greylist', 0, qr/450 4\.2\.0 greylisted/ ],
        [ 'full',     0, qr/452 4\.2\.2 mailbox full/ ],
        [ 'scanner',  0, qr/451 4\.7\.1 scanner is away/ ],
        [ 'closing',  0, qr/421 4\.4\.2 closing/ ],
        [ 'cut',      0, qr/the connection was closed/ ],
        [ 'unknown',  1, qr/550 5\.1\.1 no such user/ ],
        [ 'spam',     1, qr/554 5\.7\.1 looks like spam/ ],
    );

    for my $case (@cases) {
        my ($fault, $final, $pattern) = @$case;
        my $server = vault($mail);
        my $to = somebody();
        my $before = @{$mail->messages};

        $mail->set(fault => $fault, times => 1);
        is(VaultMail::queue($server, 'welcome', $to), 1, "$fault: queued");

        if ($final) {
            ok(VaultMail::log_says($server, qr/is given up: .*$pattern/),
               '  given up') or diag($server->log_text);
            sleep 0.1;
            is(sql('SELECT count(*) FROM mails'), "0\n", '  and gone');
            is(call($server, 'GET', '/vault-status')->{json}{mail}{givenUp},
               1, '  and counted');

        } else {
            ok(VaultMail::log_says($server,
                                   qr/is tried again later: .*$pattern/),
               '  not given up') or diag($server->log_text);
            sleep 0.1;
            sql('UPDATE mails SET due_at = 0');
            call($server, 'POST', '/api/debug/mail/run');
            is($mail->wait_for($before + 1)->[$before]{to}, $to,
               '  and sent by the next try');
        }

        ends_clean($server);
    }
}


# Taken, but the answer was lost: it comes twice, and can be told.

sub test_twice {
    my $mail = VaultMail->new;
    my $server = vault($mail);

    $mail->set(fault => 'lost', times => 1);
    VaultMail::queue($server, 'welcome', somebody());
    ok(VaultMail::log_says($server, qr/the connection was closed/), 'lost');
    sleep 0.1;
    sql('UPDATE mails SET due_at = 0');
    call($server, 'POST', '/api/debug/mail/run');

    my $taken = $mail->wait_for(2);
    is(@$taken, 2, 'sent twice');
    is($taken->[0]{data}, $taken->[1]{data}, 'the same byte for byte');
    ends_clean($server);
}


# A server that never says goodbye holds nobody up.

sub test_manners {
    my $mail = VaultMail->new;
    my $server = vault($mail);

    $mail->set(fault => 'rude', times => 1);
    VaultMail::queue($server, 'welcome', somebody());
    $mail->wait_for(1);

    my $start = time;
    call($server, 'GET', '/alive');
    cmp_ok(time - $start, '<', 3 * $VaultNginx::SLOW, 'nobody waits');
    $mail->set(fault => '');
    VaultMail::queue($server, 'welcome', somebody());
    is(@{$mail->wait_for(2)}, 2, 'and the next mail goes out');

    $mail->set(delay => 0.2);
    VaultMail::queue($server, 'welcome', somebody());
    is(@{$mail->wait_for(3)}, 3, 'a slow one too');
    ends_clean($server);
}


# A worker that ends drops the connection and keeps the row.

sub test_quit {
    my $mail = VaultMail->new;
    my $server = vault($mail);

    sql('DELETE FROM mails');         # what was sent as its worker ended
    $mail->set(fault => 'silent', connections => 0);
    VaultMail::queue($server, 'welcome', somebody());

    my $end = time + 5;
    sleep 0.02 while $mail->state->{connections} == 0 && time < $end;

    my $start = time;
    ends_clean($server);
    cmp_ok(time - $start, '<', 2 * $VaultNginx::SLOW, 'at once');
    is(sql('SELECT count(*) FROM mails'), "1\n", 'the mail is kept');
    sql('DELETE FROM mails');
}


sub test_addresses {
    my $mail = VaultMail->new;
    my $server = vault($mail);

    VaultMail::queue($server, 'welcome', 'odd,"name"@example.com');
    my $message = $mail->wait_for(1)->[0];
    is($message->{to}, '"odd,\"name\""@example.com', 'an odd address');
    is_deeply($message->{defects}, [], 'is written well');

    VaultMail::queue($server, 'welcome', 'grüße@example.com');
    ok(VaultMail::log_says($server, qr/given up: .*beyond ASCII/),
       'one that needs SMTPUTF8 is given up');

    for my $bad ("a\@example.com\r\nRCPT TO:<b\@example.com>",
                 "a\@example.com> SIZE=1", 'a')
    {
        my $before = () = $server->log_text =~ /given up/g;
        VaultMail::queue($server, 'welcome', $bad);
        my $end = time + 5;
        sleep 0.02 while (() = $server->log_text =~ /given up/g) <= $before
                         && time < $end;
    }

    is(@{$mail->messages}, 1, 'and one that is none');
    unlike(join("\n", @{$mail->state->{commands}}), qr/b\@example/,
           'nothing of it was sent');
    ends_clean($server);
}


# A mail server that nobody wrote for these tests

sub test_aiosmtpd {
    my ($pem, $key) = VaultMail::certificate('aiosmtpd', 'localhost');
    my $peer = VaultPeer->new('mailserver.py', $pem, $key,
                              VaultNginx::free_port());
    my $port = $peer->state->{smtp};
    my $n = 0;

    for my $auth ('plain', 'login') {
        my $server = vault_server(
            name  => "aiosmtpd-$auth",
            vault => "vault_mail \"smtp://vault%40example.com\@localhost:$port"
                     . "?password=secret&auth=$auth&ca=$pem\";\n"
                     . "vault_mail_from \"$VaultMail::FROM\";");

        for my $name (sort keys %{call($server, 'GET', '/api/debug/mail')
                                  ->{json}})
        {
            VaultMail::queue($server, $name, "$auth.$name\@example.com");
            $n++;

            my $end = time + 5 * $VaultNginx::SLOW;
            sleep 0.02 while @{$peer->state->{taken}} < $n && time < $end;
        }

        my @taken = @{$peer->state->{taken}};
        is(@taken, $n, "aiosmtpd takes all messages, with $auth");
        is_deeply([map { @{$_->{defects}} } @taken], [], '  without a flaw');
        is_deeply([grep { !$_->{tls} } @taken], [], '  over TLS');
        is($peer->state->{logins}[-1], uc $auth, '  as wanted');
        ends_clean($server);
    }
}


test_messages();
test_aiosmtpd();
test_ways();
test_away();
test_refused();
test_twice();
test_manners();
test_quit();
test_addresses();

done_testing();
