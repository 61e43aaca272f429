# Failed logins are counted for an account and for an address, by all workers
# together: what counts, what is given back, and that a reload forgets nothing.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

use VaultTest;

my $REAL_IP = 'set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;';


# One login; "in", "wrong", "blocked", or what else happened

sub try_login {
    my ($server, $email, $password, $address) = @_;

    my $answer = call($server, 'POST', '/identity/connect/token',
        headers => $address ? ["X-Real-IP: $address"] : [],
        form => [
            grant_type => 'password', scope => 'api offline_access',
            client_id => 'cli', username => $email, password => $password,
            deviceType => 8, deviceIdentifier => uuid('a device'),
            deviceName => 'test',
        ]);

    my $body = $answer->{body} // '';

    return 'in' if $answer->{status} == 200;
    return 'blocked' if $body =~ /too many/i;
    return 'wrong' if $answer->{status} == 400 && $body =~ /incorrect/i;
    return "$answer->{status} $body";
}


sub try_right {
    my ($server, $name, $address) = @_;

    my $user = user($name);

    return try_login($server, $user->{email}, $user->{hash}, $address);
}


# The same wrong login n times one after the other: how often each answer came

sub try_wrong {
    my ($server, $email, $n, $address) = @_;

    my %count;

    $count{try_login($server, $email, b64("wrong $_"), $address)}++
        for 1 .. $n;

    return \%count;
}


# And all at once, from n processes

sub try_at_once {
    my ($server, $email, $n) = @_;

    my %count;
    my @pipes;

    for my $i (1 .. $n) {
        my $pid = open(my $pipe, '-|') // die "fork: $!\n";

        if ($pid == 0) {
            print try_login($server, $email, b64("wrong $i"));
            close STDOUT;
            POSIX::_exit(0);
        }

        push @pipes, $pipe;
    }

    for my $pipe (@pipes) {
        my $answer = join '', <$pipe>;
        close $pipe;
        $count{$answer}++;
    }

    return \%count;
}


sub limited {
    my ($name, $limit, %arg) = @_;

    return vault_server(name => $name, workers => 2,
                        vault => "vault_login_limit $limit;", %arg);
}


sub ends {
    my ($server) = @_;

    stops_clean($server, 'nothing is left at work');
    is_deeply([$server->stop], [], 'and the server ends without complaint');
}


user($_) for qw(alice bob carol);

my $server = limited('account', 'account=5/10m address=10000/10m');

is_deeply(try_at_once($server, 'alice@example.com', 16),
          { wrong => 5, blocked => 11 },
          'of guesses sent at once to two workers, five are looked at');
is(try_right($server, 'alice'), 'blocked', 'then not even the right one');
is(try_login($server, 'ALICE@Example.com', 'x'), 'blocked',
   'nor another case of the name');
is(try_right($server, 'bob'), 'in', 'another account is not touched');

is_deeply(try_wrong($server, 'nobody@example.com', 8),
          { wrong => 5, blocked => 3 },
          'a name that does not exist is answered alike');

my @in = map { try_right($server, 'bob') } 1 .. 12;
is_deeply(\@in, [('in') x 12], 'logins that succeed are not counted');

try_wrong($server, 'bob@example.com', 4);
is(try_right($server, 'bob'), 'in', 'one is left');
is_deeply(try_wrong($server, 'bob@example.com', 3),
          { wrong => 1, blocked => 2 },
          'and a success does not give back what others used up');

my @before = $server->workers;
$server->signal('HUP');

for (1 .. 100) {
    my %old = map { $_ => 1 } @before;
    my @now = $server->workers;
    last if @now == 2 && !grep { $old{$_} } @now;
    sleep 0.1;
}

is(try_right($server, 'alice'), 'blocked', 'a reload forgets nothing');
is(try_right($server, 'carol'), 'in', 'and goes on with the rest');
ends($server);


$server = limited('address', 'account=1000/10m address=4/10m',
                  server => $REAL_IP);

is_deeply([map { try_login($server, "user$_\@example.com", 'x', '192.0.2.1') }
           1 .. 6],
          [('wrong') x 4, ('blocked') x 2],
          'an address is limited over all accounts');
is(try_right($server, 'alice', '192.0.2.2'), 'in', 'another address is not');
is_deeply([map { try_login($server, 'a@example.com', 'x', "2001:db8::$_") }
           1 .. 6],
          [('wrong') x 4, ('blocked') x 2],
          'the addresses of one IPv6 network count as one');
is(try_right($server, 'alice', '2001:db8:0:1::1'), 'in', 'the next does not');
ends($server);


$server = limited('time', 'account=1/2s address=1000/1m');
is_deeply(try_wrong($server, 'alice@example.com', 2),
          { wrong => 1, blocked => 1 }, 'a short limit blocks');
sleep 2.1;
is(try_right($server, 'alice'), 'in', 'until its time is over');
ends($server);


$server = limited('off', 'off');
is_deeply(try_wrong($server, 'alice@example.com', 30), { wrong => 30 },
          'off is off');
ends($server);


# Registration, which costs as much as a login, is for anybody

sub try_register {
    my ($server, $n, $address) = @_;

    my %count;

    for (1 .. $n) {
        my $answer = call($server, 'POST', '/identity/accounts/register',
            headers => ["X-Real-IP: $address"],
            json => { email => 'alice@example.com', name => 'x', kdf => 0,
                      kdfIterations => 600000, key => enc('key'),
                      masterPasswordHash => b64('hash'),
                      keys => { publicKey => public_key('alice'),
                                encryptedPrivateKey => enc('private') } });
        $count{$answer->{status}}++;
    }

    return \%count;
}


sub try_verify {
    my ($server, $n, $address) = @_;

    my %count;

    $count{call($server, 'POST',
                '/identity/accounts/register/send-verification-email',
                headers => ["X-Real-IP: $address"],
                json => { email => 'new@example.com' })->{status}}++
        for 1 .. $n;

    return \%count;
}


$server = limited('register', 'account=5/10m address=50/10m',
                  server => $REAL_IP);

is_deeply(try_register($server, 103, '192.0.2.1'), { 400 => 100, 429 => 3 },
          'registrations of an address are counted, also in vain');
is_deeply(try_verify($server, 203, '192.0.2.1'), { 200 => 200, 429 => 3 },
          'so are the proofs of an e-mail address');
is_deeply(try_register($server, 1, '192.0.2.2'), { 400 => 1 },
          'another address goes on');
is(try_right($server, 'alice', '192.0.2.1'), 'in',
   'logins are counted by themselves');
ends($server);


$server = limited('secret', 'account=5/10m address=50/10m');
my $prefix = 'a-long-mail-address-that-is-easy-to-find';
try_wrong($server, "$prefix\@example.com", 7);
unlike($server->log_text, qr/\Q$prefix\E/, 'the log names no account');
like($server->log_text, qr/too many attempts at "login"/,
     'but says that there was a block');
ends($server);

done_testing();
