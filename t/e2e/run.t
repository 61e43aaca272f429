#!/usr/bin/perl
# make run: what it makes, that a second start keeps it, how it stops, and the
# one line that it says for each thing in its way.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Path ();
use IO::Socket::INET ();
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultNginx ();
use VaultServer qw(folder_of);

my $ROOT = $VaultNginx::ROOT;
our ($MODULE) = VaultNginx::modules();
my $base = folder_of();
our $data = "$base/data";
my $port = VaultNginx::free_port();
my %started;


# conf/run in the background, as user `as` if we may choose

sub start {
    my (%arg) = @_;

    my $out = "$base/out";
    my %env = (MODULE => $MODULE, DATA => $data, PORT => $port,
               %{$arg{env} || {}});
    my @command = (($arg{root} // $ROOT) . '/conf/run');

    unshift @command, 'setpriv', "--reuid=$arg{as}", "--regid=$arg{as}",
        '--clear-groups' if $arg{as};

    my $pid = fork;
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        setpgrp;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>&', \*STDOUT;
        %ENV = (%ENV, %env);
        exec @command or POSIX::_exit(127);
    }

    $started{$pid} = 1;
    return { pid => $pid, out => $out, port => $env{PORT} };
}


sub answers {
    my ($at) = @_;

    my $text = `curl -s --max-time 5 --cacert $data/tls/ca.pem \\
                -w ' %{http_version} %{http_code}' \\
                https://localhost:$at/alive`;
    return $text =~ / 2 200$/;
}


sub wait_for {
    my ($condition) = @_;

    my $end = time + 20 * $VaultNginx::SLOW;

    while (time < $end) {
        return 1 if $condition->();
        sleep 0.05;
    }

    return 0;
}


sub ended {
    my ($run) = @_;

    my $status;
    my $gone = wait_for(sub {
        my $pid = waitpid $run->{pid}, WNOHANG;
        $status = $? if $pid == $run->{pid};
        return defined $status;
    });

    kill 'KILL', -$run->{pid} if !$gone;
    delete $started{$run->{pid}};
    return $gone ? $status : 'it did not end';
}


sub output { return VaultNginx::read_file($_[0]{out}) }


# It ends at once, with a single line that matches.

sub refused {
    my ($name, $line, %arg) = @_;

    my $run = start(%arg);
    my $status = ended($run);
    my @lines = grep { !/^Made / } split /\n/, output($run);

    is($status, 1 << 8, "$name: it ends");
    is(@lines, 1, "$name: in one line") || diag(join "\n", @lines);
    like($lines[-1] // '', $line, "$name: with its fix");
}


sub mode { return sprintf '%o', (stat $_[0])[2] & 07777 }


sub first_start {
    my $run = start();

    ok(wait_for(sub { answers($port) }), 'it answers over HTTP/2 and TLS')
        || diag(output($run));

    my $out = output($run);
    like($out, qr{A vault on https://localhost:$port\n}, 'it says where');
    like($out, qr{NODE_EXTRA_CA_CERTS=\Q$data\E/tls/ca\.pem}, 'its CA');
    like($out, qr{bw config server https://localhost:$port\n}, 'the bw line');

    is(mode($data), '700', 'the folder is private');
    is(mode("$data/tls/$_"), '600', "$_ is private")
        for 'ca.key', 'server.key';
    is(mode("$data/jwt.pem"), '600', 'jwt.pem is private');

    refused('a second one', qr{runs already, as process \d+: .*kill -QUIT \d+});

    kill 'INT', -$run->{pid};
    is(ended($run), 0, 'Ctrl-C stops it');
    unlike(output($run), qr/\[(?:alert|emerg|error)\]/, 'without a complaint');
    ok(!-e "$data/nginx.pid", 'nothing of it is left');
}


sub second_start {
    my @files = map { "$data/$_" } qw(tls/ca.pem tls/server.pem jwt.pem);
    my %before = map { $_ => VaultNginx::read_file($_) } @files;

    my $run = start();
    ok(wait_for(sub { answers($port) }), 'it starts again')
        || diag(output($run));
    is(VaultNginx::read_file($_), $before{$_}, "$_ is kept") for @files;
    unlike(output($run), qr/^Made/m, 'nothing is made anew');

    # What an operator would send
    kill 'QUIT', $run->{pid};
    is(ended($run), 0, 'QUIT stops it');
}


# A certificate near its end is made anew, by the CA that clients know.

sub renewal {
    my $ca = VaultNginx::read_file("$data/tls/ca.pem");

    system("cd $data/tls"
           . ' && openssl req -new -key server.key -subj /CN=localhost'
           . ' | openssl x509 -req -CA ca.pem -CAkey ca.key -days 20'
           . ' -set_serial 1 -out server.pem > /dev/null 2>&1');

    my $old = VaultNginx::read_file("$data/tls/server.pem");
    is(`$ROOT/conf/tls $data/tls`, "Made a certificate for localhost\n",
       'it is made anew');
    isnt(VaultNginx::read_file("$data/tls/server.pem"), $old, 'it is new');
    is(VaultNginx::read_file("$data/tls/ca.pem"), $ca, 'the CA is the same');
    is(`$ROOT/conf/tls $data/tls`, '', 'then it is good');
}


sub obstacles {
    my $other = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
        or die "listen: $!\n";
    my $taken = $other->sockport;

    refused('a port in use',
            qr{port $taken is in use by another program: .*make run PORT=},
            env => { PORT => $taken });
    refused('no port', qr{"70000" is no port: use 1 to 65535},
            env => { PORT => 70000 });
    refused('no database', qr{"mysql://x" is no database: use DATABASE=sqlite:},
            env => { DATABASE => 'mysql://x' });
    refused('a folder that cannot be made',
            qr{cannot make /proc/vault: .*make run DATA=},
            env => { DATA => '/proc/vault' });
    refused('no module',
            qr{cannot open shared object file.*: make clean && make build$},
            env => { MODULE => "$base/nothing.so" });

    VaultNginx::write_file("$data/local.conf", "vault_kdf_rounds many;\n");
    refused('a broken configuration', qr{"vault_kdf_rounds"\ .*
            \Q$data\E/local\.conf:1;\ correct\ that\ line}x);

    VaultNginx::write_file("$data/local.conf", "no_such_directive;\n");
    refused('an unknown directive',
            qr{unknown directive "no_such_directive" in .*local\.conf:1;});
    unlink "$data/local.conf";

    refused('a database in a folder that is not there', qr{\Q$base\E/none},
            env => { DATABASE => "sqlite:$base/none/v.db" });
}


# Whoever starts it needs no privilege.

sub runs_as {
    my ($uid, $folder, %arg) = @_;

    local $data = $folder;
    my $run = start(%arg);
    ok(wait_for(sub { answers($port) }), 'it runs') || diag(output($run));

    my ($worker) = VaultNginx::workers_of($run->{pid});
    is((stat "/proc/$_")[4], $uid, 'as that user') for $run->{pid}, $worker;
    unlike(output($run), qr/\[(?:warn|error|alert|emerg)\]/,
           'without a warning');

    kill 'INT', -$run->{pid};
    is(ended($run), 0, 'it stops');
}


sub unprivileged {
    plan skip_all => 'needs root, to become somebody else' if $> != 0;

    my ($uid) = (getpwnam 'nobody')[2];
    my $home = "/tmp/vault-run-$$";

    mkdir $home or die "$home: $!\n";
    # The checkout itself may lie where only root looks.
    system("cp -r '$ROOT/conf' '$home/conf' && cp '$MODULE' '$home/m.so'"
           . " && chmod 755 '$home/m.so' && chown -R nobody '$home'");

    local $MODULE = "$home/m.so";
    my @nobody = (root => $home, as => $uid);

    refused('a folder of somebody else',
            qr{cannot (?:make|write to) \Q$data\E: .* another: make run DATA=},
            @nobody);
    refused('a privileged port', qr{ports below 1024 need root: make run PORT=},
            @nobody, env => { DATA => "$home/data", PORT => 81 })
        if VaultNginx::read_file('/proc/sys/net/ipv4/'
                                 . 'ip_unprivileged_port_start') > 81;

    runs_as($uid, "$home/data", @nobody);

    # Root in a checkout of somebody else's gives its privileges up, and what
    # it made is good for a start of the owner's.
    runs_as($uid, "$home/own", root => $home);
    runs_as($uid, "$home/own", @nobody);

    File::Path::remove_tree($home);
}


subtest 'first start'   => \&first_start;
subtest 'second start'  => \&second_start;
subtest 'renewal'       => \&renewal;
subtest 'obstacles'     => \&obstacles;
subtest 'without root'  => \&unprivileged;

done_testing();

END {
    local $?;
    kill 'KILL', map { -$_ } keys %started;
}
