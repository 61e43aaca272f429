#!/usr/bin/perl
# The Lambda image, built as it is released: what is in it, how soon it is
# ready, and that its adapter gets events through, as a user that the image
# knows nothing of and with nothing writable but /tmp; on SQLite and, with what
# a deployment says and no more, on Aurora DSQL's peer.
#
# Its port is fixed, so all of this has a network of its own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use File::Find ();
use Socket qw(AF_INET SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultDsql;
use VaultHttp ();
use VaultImage;
use VaultNginx ();
use VaultPeer;
use VaultServer qw(call folder_of);

my $ROOT = $VaultNginx::ROOT;
my $LIMIT = 20 * 1024 * 1024;
my $PORT = 8080;
my $SECRET = 'a secret of the front';

# As Lambda's, which is in no /etc/passwd.
my $USER = 993;

my %function = (
    AWS_LAMBDA_FUNCTION_NAME => 'vault',
    VAULT_DATABASE => 'sqlite:/tmp/vault.db', VAULT_FILES => 'file:/tmp/files',
    VAULT_ORIGIN_SECRET => $SECRET, VAULT_ORIGIN => 'https://vault.example.com',
);


sub own_network {
    $ENV{VAULT_OWN_NETWORK} = 1;
    exec 'unshare', '--net', $^X, (map { "-I$_" } @INC), $0, @ARGV
        or die "unshare: $!\n";
}


# SIOCSIFFLAGS: up and running

sub loopback_up {
    socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
    my $request = pack 'Z16 s x22', 'lo', 1 | 64;
    ioctl $socket, 0x8914, $request
        or die "ioctl: $!\n";
}


# The image is built on the outside, where there is a way to packages, those of
# a peer as well.

if (!$ENV{VAULT_OWN_NETWORK}) {
    VaultImage->build('lambda');
    system("'$ROOT/t/peers/venv' dsql > /dev/null") == 0 or die "no venv\n";
    own_network();
}

loopback_up();
delete $ENV{VAULT_TEST_PG};           # which is on the outside
my $image = VaultImage->unpack('lambda');
$image->{uid} = $USER;


sub contents {
    cmp_ok($image->{size}, '<=', $LIMIT, 'the image has at most 20 MB');
    note(sprintf '%.1f MB', $image->{size} / 1024 / 1024);

    my (@programs, @wrong);

    File::Find::find({ no_chdir => 1, wanted => sub {
        return if -l $_;
        my $mode = (stat _)[2];
        my ($path) = m{^\Q$image->{root}\E(.*)};

        push @programs, $path if -f _ && $path =~ m{/s?bin/|/opt/};
        push @wrong, "$path may be written to by all"
            if $mode & 0002 && $path ne '/tmp';
        push @wrong, "$path is not for all to read" if !($mode & 0004);
        push @wrong, "$path is setuid" if $mode & 06000;
    } }, $image->{root});

    is_deeply([sort @programs],
              ['/opt/extensions/lambda-adapter', '/usr/sbin/nginx'],
              'nginx and the adapter are all its programs');
    is_deeply(\@wrong, [], 'permissions');
    ok(-s "$image->{root}/etc/ssl/certs/ca-certificates.crt",
       'certificate authorities');
    is($image->{config}{User}, '65534:65534', 'no root elsewhere either');
}


sub nginx {
    my ($env, @options) = @_;

    return $image->run({ %function, %$env },
                       @{$image->{config}{Entrypoint}}, @options);
}


sub configuration {
    my ($status, $out) = nginx({}, '-t');
    is($status, 0, 'nginx takes its configuration') || diag($out);
    unlike($out, qr/\[\w+\]/, 'without a warning');

    ($status, $out) = nginx({ VAULT_DATABASE => '' }, '-t');
    isnt($status, 0, 'not without a database');
    like($out, qr/"VAULT_DATABASE" is not set/, 'and says which variable');
}


# Many libraries are loaded and nothing is connected to.

sub ready {
    my @seconds;

    for (1 .. 5) {
        my $run = $image->start(\%function);
        my $end = time + 20;

        # What makes the container is not nginx.
        1 while (readlink "/proc/$run->{pid}/exe" // '') !~ /nginx$/
                && time < $end;
        my $begin = time;

        sleep 0.0005 while !VaultHttp::open_socket($PORT) && time < $end;
        my $answer = call($PORT, 'GET', '/alive');
        push @seconds, time - $begin;
        is($answer->{status}, 200, 'alive') || diag($run->output);

        $run->signal('TERM');
        is($run->ended, 0, 'TERM ends it');
        unlike($run->output, qr/\[(?:warn|error|crit|alert|emerg)\]/,
               'without a complaint') || diag($run->output);
    }

    note(sprintf 'ready %s ms after exec',
         join ' ', map { sprintf '%.0f', 1000 * $_ } sort { $a <=> $b }
         @seconds);
}


sub event {
    my ($method, $path, %headers) = @_;

    return {
        version => '2.0', routeKey => '$default', rawPath => $path,
        rawQueryString => '', isBase64Encoded => JSON::PP::false,
        headers => { host => 'x.lambda-url.us-east-1.on.aws',
                     'x-forwarded-for' => '192.0.2.1', %headers },
        requestContext => {
            accountId => 'anonymous', apiId => 'x', stage => '$default',
            domainName => 'x', domainPrefix => 'x', requestId => 'x',
            routeKey => '$default', time => 'x', timeEpoch => 1,
            http => { method => $method, path => $path, sourceIp => '192.0.2.1',
                      protocol => 'HTTP/1.1', userAgent => 'test' } },
    };
}


# The image as Lambda runs it

sub lambda {
    my ($log, $env, @options) = @_;

    my @container = ("$ROOT/t/tools/container", $image->{root}, $USER, '-');
    my %env = (%function, %$env);

    return VaultPeer->new('lambda.py', @options,
        '--extension', "@container /opt/extensions/lambda-adapter",
        '--log', $log,
        (map { ('--env', "$_=$env{$_}") } sort keys %env),
        (map { ('--env', $_) } @{$image->{config}{Env}}),
        '--', @container, @{$image->{config}{Entrypoint}});
}


sub adapter {
    my $log = folder_of() . '/lambda.log';
    my $lambda = lambda($log, {});

    my $state = $lambda->state;
    is_deeply($state->{errors}, [], 'it starts')
        || diag(VaultNginx::read_file($log));
    ok($state->{frozen}, 'and is frozen, since nobody has anything to do');
    note(sprintf 'ready %.0f ms after its start', 1000 * ($state->{init} // 0));

    my %secret = ('x-vault-origin-secret' => $SECRET);
    my $answer = $lambda->set(invoke => event('GET', '/alive', %secret));
    is($answer->{status}, 200, 'an event becomes a request');
    is($answer->{mode}, 'streaming', 'and its answer a stream');

    $answer = $lambda->set(invoke => event('GET', '/api/config', %secret));
    like($answer->{body}, qr{"vault":"https://vault\.example\.com"},
         'the vault answers');
    $answer = $lambda->set(invoke => event('GET', '/api/config'));
    is($answer->{status}, 403, 'not past CloudFront');

    $answer = $lambda->set(invoke => { job => 'migrate' });
    is($answer->{status}, 200, 'an event makes the tables')
        || diag($answer->{body});

    $lambda->set(shutdown => 'spindown');
    $lambda->stop;
}


# Two functions, as in the template: one may only be admin and makes the
# tables, the other may not.

my %KEYS = (
    AKIDMIGRATION => { secret => 'secret of the migration',
                       arn => 'arn:aws:iam::111122223333:role/migration',
                       actions => ['DbConnectAdmin'] },
    AKIDFUNCTION  => { secret => 'secret of the function',
                       arn => $VaultDsql::ARN, actions => ['DbConnect'] },
);


sub on_dsql {
    my ($log, $url, $key, @options) = @_;

    return lambda($log, {
        VAULT_DATABASE => $url, AWS_ACCESS_KEY_ID => $key,
        AWS_SECRET_ACCESS_KEY => $KEYS{$key}{secret},
    }, @options);
}


sub migration {
    my ($log, $url) = @_;

    my $lambda = on_dsql($log, $url, 'AKIDMIGRATION');
    my $answer = $lambda->set(invoke => { job => 'migrate' });
    $lambda->stop;

    return $answer;
}


# What the peer has counted since it was last asked

sub came {
    my ($peer) = @_;

    my $counts = $peer->state->{counts};
    $peer->set(clear => 1);

    cmp_ok($counts->{direct} // 0, '>', 0, 'libpq says TLS at once');
    is($counts->{requested}, undef, 'and never asks for it');

    return $counts;
}


sub serve {
    my ($log, $url) = @_;

    my $lambda = on_dsql($log, $url, 'AKIDFUNCTION', '--front', '', '',
                         '--secret', $SECRET);
    my $port = $lambda->state->{front};

    my $begin = time;
    my $answer = call($port, 'POST', '/identity/accounts/prelogin',
                      json => { email => 'alice@example.com' });
    is($answer->{status}, 200, 'a request') || diag($answer->{body});
    note(sprintf '%.0f ms, with its connection', 1000 * (time - $begin));

    my $account = VaultServer::account('alice');
    VaultServer::register($port, $account);
    my $alice = VaultServer::login($port, $account);

    my @as_alice = (headers => ["Authorization: Bearer $alice->{token}"]);
    $answer = call($port, 'POST', '/api/folders', @as_alice,
                   json => { name => VaultData::enc('folder') });
    is($answer->{status}, 200, 'somebody registers and writes');

    $answer = call($port, 'GET', '/api/sync', @as_alice);
    is($answer->{json}{profile}{email}, 'alice@example.com', 'and syncs');
    is(scalar @{$answer->{json}{folders}}, 1, 'what there is');

    is($lambda->set(invoke => { job => 'migrate' })->{status}, 503,
       'but makes no tables');

    $lambda->stop;
}


sub dsql {
    my $behind = VaultServer::postgresql();
    my $dsql = VaultDsql->new($behind, folder_of() . '/dsql');
    my $peer = $dsql->peer;
    my $state = $peer->state;
    my $log = folder_of() . '/dsql.log';

    # no option says where and by whom: the image finds both
    my $url = "dsql://$state->{host}:$state->{port}";
    my $etc = "$image->{root}/etc";

    VaultNginx::write_file("$etc/hosts", "127.0.0.1 $state->{host}\n");
    $peer->set(keys => \%KEYS);

    my $answer = migration($log, "$url?grant=$VaultDsql::ARN");
    isnt($answer->{status}, 200, 'a cluster with a strange certificate');
    like(VaultNginx::read_file($log), qr/certificate verify failed/,
         'is not believed');
    is($peer->state->{counts}{logins}, undef, 'nor told anything');

    my $system = "$etc/ssl/certs/ca-certificates.crt";
    VaultNginx::write_file($system, VaultNginx::read_file($system)
                                    . VaultNginx::read_file($state->{ca}));
    $peer->set(clear => 1);

    $answer = migration($log, "$url?grant=$VaultDsql::ARN");
    is($answer->{status}, 200, 'an event makes the tables')
        || diag($answer->{body} . VaultNginx::read_file($log));

    my $counts = came($peer);
    is($counts->{logins}, $counts->{'logins admin'}, 'as admin');

    serve($log, $url);
    $counts = came($peer);
    is($counts->{logins}, $counts->{'logins vault'}, 'as role vault');
    is(VaultServer::psql($behind, 'SELECT count(*) FROM users'), "1\n",
       'all of it arrived');

    $dsql->stop;
}


subtest 'what is in it'  => \&contents;
subtest 'configuration'  => \&configuration;
subtest 'ready'          => \&ready;
subtest 'adapter'        => \&adapter;
subtest 'dsql'           => \&dsql;

done_testing();
