# Real clients against a real server: TLS with a CA of its own, the bw command
# of npm in two versions, and our own client (account.mjs) for what bw lacks.
#
#   my $server = e2e_server();
#   account($server, 'alice', 'register', 'new');      # dies if refused
#   my $bw = VaultE2e->new(server => $server, version => '2026.9');
#   $bw->run('login', …)        { code, out, err }
#   $bw->ok('sync')             stdout; a failed test if the exit code is not 0
#   $bw->json('list', 'items')  the same, decoded
#   $bw->fails('unlock', 'x')   stderr; a failed test if the exit code is 0
#   $bw->{env}                  more of the environment; STDIN is a file
#
# They are installed on first use (t/e2e/install), with the Node.js that runs
# them.  bw starts twice as fast with its compiled code in a cache.

package VaultE2e;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename ();
use File::Path ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More ();

use VaultNginx ();
use VaultServer qw(vault_server folder_of);

our @EXPORT_OK = qw(e2e_server account try_account email password node_command
                    encoded);

our $HERE = "$VaultNginx::ROOT/t/e2e";
our $JSON = JSON::PP->new->utf8->allow_nonref->canonical;

my $profiles = 0;


sub email { return "$_[0]\@example.com" }
sub password { return "correct horse $_[0]" }


# nginx with TLS and HTTP/2 on {port}, and plainly on {plain} for the status
# page and for tests that need raw sockets.

sub e2e_server {
    my (%arg) = @_;

    my $tls = folder_of() . '/tls';
    my $port = delete $arg{port} || VaultNginx::free_port();
    my $plain = VaultNginx::free_port();

    system("$VaultNginx::ROOT/conf/tls '$tls' > /dev/null") == 0
        or die "no certificate\n";

    my $http2 = nginx_version() ge '001.025.001' ? "http2 on;\n" : '';
    my $listen = $http2 ? ' ssl' : ' ssl http2';

    my $server = vault_server(
        name => 'tls', %arg,
        port => $port, fixed => 1, listen => $listen,
        vault => "vault_origin https://localhost:$port;\n"
                 . ($arg{vault} // ''),
        server => $http2 . <<"_EOF_" . ($arg{server} // ''),
listen 127.0.0.1:$plain;
ssl_certificate $tls/server.pem;
ssl_certificate_key $tls/server.key;
_EOF_
    );

    $server->{url} = "https://localhost:$port";
    $server->{plain} = $plain;
    $server->{ca} = "$tls/ca.pem";

    return $server;
}


sub nginx_version {
    my $text = `nginx -v 2>&1`;
    my @parts = $text =~ m{nginx/(\d+)\.(\d+)\.(\d+)};
    return join '.', map { sprintf '%03d', $_ } @parts;
}


# Node.js

my $node;

sub node {
    return $node if $node;

    system("$HERE/install") == 0 or die "no client to test with\n";
    ($node) = glob "$HERE/node_modules/node-linux-*/bin/node";

    die "npm has no Node.js for this machine\n" if !$node;
    return $node;
}


sub node_command {
    my ($script, @args) = @_;

    return (node(), "$HERE/$script", @args);
}


sub environment {
    my ($server) = @_;

    my $cache = "$VaultNginx::ROOT/build/node-cache";
    File::Path::make_path($cache);

    return (
        NODE_EXTRA_CA_CERTS => $server->{ca},
        NODE_COMPILE_CACHE  => $cache,
        NODE_NO_WARNINGS    => 1,
    );
}


# Runs a command; what it wrote and how it ended.  A hundred seconds are the
# end of patience.

sub execute {
    my ($env, $folder, @command) = @_;

    my $in = delete $env->{STDIN} // '/dev/null';
    my ($out, $err) = ("$folder/stdout", "$folder/stderr");
    my $pid = fork;
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDIN, '<', $in;
        open STDOUT, '>', $out;
        open STDERR, '>', $err;
        %ENV = (%ENV, %$env);
        alarm 100 * $VaultNginx::SLOW;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    waitpid $pid, 0;
    my $code = $? >> 8 || ($? & 127 ? 128 + ($? & 127) : 0);

    return {
        code => $code,
        out  => VaultNginx::read_file($out),
        err  => VaultNginx::read_file($err),
    };
}


# Accounts, by our own client

sub try_account {
    my ($server, $name, $password, @verb) = @_;

    my $result = execute(
        { environment($server) }, folder_of(),
        node_command('account.mjs', $server->{url}, email($name), $password,
                     @verb));

    $result->{json} = eval { $JSON->decode($result->{out}) };
    return $result;
}


sub account {
    my ($server, $name, $password, @verb) = @_;

    my $result = try_account($server, $name, $password, @verb);

    die "account $name @verb: $result->{out}$result->{err}\n"
        if $result->{code} != 0;
    return $result->{json};
}


# The bw command, with a profile of its own

sub new {
    my ($class, %arg) = @_;

    my $profile = folder_of() . '/profile-' . ++$profiles;
    my $self = bless { profile => $profile, %arg }, $class;

    File::Path::make_path($profile);

    # Else the first command would ask the cloud for its configuration.
    VaultNginx::write_file("$profile/data.json", $JSON->encode({
        global_environment_environment => {
            region => 'Self-hosted', urls => { base => $arg{server}{url} },
        },
    }));

    return $self;
}


# The client's own writes to its data.json race as it logs in: now and then it
# has lost the key of the session that it has just begun, and says that it is
# locked, without having asked the server.  Its user would unlock it.

sub run {
    my ($self, @args) = @_;

    my $result = $self->run_once(@args);

    if ($result->{err} =~ /^Vault is locked\./ && $self->{password}) {
        my $unlock = $self->run_once('unlock', $self->{password}, '--raw');

        if ($unlock->{code} == 0 && $unlock->{out} ne '') {
            $self->{session} = $unlock->{out};
            $result = $self->run_once(@args);
        }
    }

    return $result;
}


sub run_once {
    my ($self, @args) = @_;

    my %env = (
        environment($self->{server}),
        BITWARDENCLI_APPDATA_DIR => $self->{profile},
        BW_NOINTERACTION => 'true',
        BW_SESSION       => $self->{session} // '',
        %{$self->{env} || {}},
    );

    return execute(\%env, $self->{profile},
                   node_command("node_modules/bw-$self->{version}/build/bw.js",
                                @args));
}


sub title {
    my ($self, @args) = @_;

    my @short = map { length > 40 ? substr($_, 0, 37) . '...' : $_ } @args;
    return join ' ', 'bw', @short;
}


sub ok {
    my ($self, @args) = @_;

    my $result = $self->run(@args);

    Test::More::is($result->{code}, 0, $self->title(@args))
        || Test::More::diag("$result->{out}$result->{err}");
    $result->{out} =~ s/\n\z//;
    return $result->{out};
}


sub json {
    my ($self, @args) = @_;

    my $text = $self->ok(@args);
    my $value = eval { $JSON->decode($text) };

    Test::More::diag("not JSON: $text") if !defined $value;
    return $value;
}


# On a busy machine the client of a year ago may skip the sync of its login,
# says nothing, and then ends in the middle of each unlock, with success, until
# it has synced.

sub unlock {
    my ($self, $password) = @_;

    for (1 .. 3) {
        $self->{session} = $self->ok('unlock', $password, '--raw');
        return if $self->{session} ne '';
        $self->run('sync');
    }
}


sub fails {
    my ($self, @args) = @_;

    my $result = $self->run(@args);

    Test::More::is($result->{code}, 1, $self->title(@args) . ' is refused')
        || Test::More::diag("$result->{out}$result->{err}");
    $result->{err} =~ s/\n\z//;
    return $result->{err};
}


sub login {
    my ($self, @args) = @_;

    my $session = $self->ok('login', @args, '--raw');

    Test::More::like($session, qr{^[A-Za-z0-9+/]{86}==$},
                     'login gives a session key');
    $self->{session} = $session;
    $self->{password} = $args[1];
    return $self;
}


# What `bw encode` does
sub encoded { return encode_base64($JSON->encode($_[0]), '') }


1;
