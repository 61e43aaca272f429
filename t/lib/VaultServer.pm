# Vault servers for tests: nginx with our module on a database of the test's
# own, on SQLite, PostgreSQL or Aurora DSQL, and users on them.
#
#   my $server = vault_server(workers => 2, vault => 'vault_requests 3;');
#   my $alice = user('alice');             # registered through the API, once
#   $alice->{id}, {email}, {hash}, {token}, {refresh}
#   my $answer = call($server, 'POST', '/api/folders',
#                     as => 'alice', json => folder('x'));
#   $answer->{status}, {json}, {body}      # and the rest of VaultHttp's
#   status($server)                        # the status page
#
# All servers of a test share its database and its signing key.
#
# Environment: VAULT_TEST_DB  sqlite (default), pg or dsql
#              VAULT_TEST_PG  URL of a PostgreSQL server, on which dsql stands
#                             as well; else one is started for this test alone

package VaultServer;

use strict;
use warnings;

use Exporter qw(import);
use File::Path ();
use JSON::PP ();
use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(sleep);

use VaultData qw(b64 enc form public_key uuid json_text);
use VaultDsql;
use VaultHttp;
use VaultNginx;

our @EXPORT_OK = qw(vault_server vault_conf database folder_of user login call
                    status forget_users psql sql meanwhile routes dsql);

our $FLAVOUR = $ENV{VAULT_TEST_DB} || 'sqlite';
our $ORIGIN = 'https://vault.example.com';

my $folder;             # of this test's data
my $database;           # URL
my $behind;             # PostgreSQL's URL of it
my $dsql;               # a VaultDsql, if it is on one
my $cluster;            # folder of a PostgreSQL of our own
my $helper;             # a server for registering users
my %users;


sub test_name {
    my ($name) = $0 =~ m{([^/]+?)(?:\.t)?$};
    $name =~ s/[^\w.-]/_/g;
    return "$name-$FLAVOUR";
}


sub folder_of {
    return $folder if $folder;

    $folder = VaultNginx::work_dir(test_name() . '.data');
    chmod 0700, $folder;
    return $folder;
}


# The URL of a database that nobody else uses, empty at first

sub database {
    return $database if $database;

    return $database = 'sqlite:' . folder_of() . '/vault.db'
        if $FLAVOUR eq 'sqlite';

    die "VAULT_TEST_DB is sqlite, pg or dsql, not $FLAVOUR\n"
        if $FLAVOUR !~ /^(?:pg|dsql)$/;

    $behind = postgresql();
    return $database = $behind if $FLAVOUR eq 'pg';

    $dsql = VaultDsql->new($behind, folder_of() . '/dsql');
    $database = $dsql->url;

    my $key = folder_of() . '/migrate.pem';
    my $server = vault_server(name => 'migrate', vault =>
        "vault_lambda on;\nvault_jwt_key $key;");
    $dsql->migrate($server);
    $server->stop;

    return $database;
}


# An empty database of PostgreSQL; its URL

sub postgresql {
    my $server = $ENV{VAULT_TEST_PG} || start_cluster();
    my $name = lc "vault_$$" . '_' . int rand 1e6;

    psql($server, "CREATE DATABASE $name");
    $server =~ s{/[^/?]*(\?|$)}{/$name$1};
    return $server;
}


# The peer that plays Aurora DSQL

sub dsql {
    database();
    return $dsql;
}


sub start_cluster {
    $cluster = "/tmp/vault-pg-$$";

    my $url = `'$VaultNginx::ROOT/t/tools/pg' start '$cluster' -c fsync=off`;
    die "no PostgreSQL\n" if $? != 0;
    chomp $url;
    return $url;
}


# Runs SQL with psql; its output, a row a line, columns split by |.

sub psql {
    my ($url, $sql) = @_;

    open my $out, '-|', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1',
        '-d', $url, '-c', $sql or die "psql: $!\n";
    local $/;
    my $text = <$out>;
    close $out or die "psql failed: $sql\n";
    return $text;
}


# SQL past the server; rows as lines, columns split by |.

sub sql {
    my ($text) = @_;

    my $url = database();

    return psql($behind, $text) if $behind;

    my ($file) = $url =~ /^sqlite:(.*)/;

    open my $out, '-|', 'sqlite3', '-batch', '-cmd', '.timeout 5000', $file,
        $text or die "sqlite3: $!\n";
    local $/;
    my $rows = <$out>;
    close $out or die "sqlite3 failed: $text\n";
    return $rows // '';
}


# A transaction of somebody else that ends a second later, while others see
# what was before: the pid of who holds it.

sub meanwhile {
    my (@statements) = @_;

    my $holds = folder_of() . '/holds';
    unlink $holds;

    my $pid = fork // die "fork: $!\n";

    if ($pid) {
        sleep 0.02 while !-e $holds && kill 0, $pid;
        return $pid;
    }

    my ($sqlite) = database() =~ /^sqlite:(.*)/;
    my @command = $sqlite ? ('sqlite3', '-batch', $sqlite)
                          : ('psql', '-Xq', '-d', $behind);
    my $wait = 1.5 * $VaultNginx::SLOW;

    # on DSQL nobody waits for it, but tries again for a while
    $wait = 0.2 if $dsql;

    open my $in, '|-', @command or die "@command: $!\n";
    print {$in} $sqlite ? "BEGIN IMMEDIATE;\n" : "BEGIN;\n",
                map({ "$_;\n" } @statements),
                $sqlite ? '.shell' : '\!', " touch '$holds'; sleep $wait\n",
                "COMMIT;\n";
    close $in;
    POSIX::_exit($? == 0 ? 0 : 1);
}


# Configuration.  A directive in `extra` replaces the default of that name.

sub vault_conf {
    my ($extra) = @_;

    $extra //= '';

    my %default = (
        vault_database   => database(),
        vault_jwt_key    => folder_of() . '/jwt.pem',
        vault_origin     => $ORIGIN,
        vault_kdf_rounds => 1000,
        vault_jobs       => 'off',      # a test says when
        vault_files      => 'file:' . folder_of() . '/files',
    );

    my $text = '';

    for my $name (sort keys %default) {
        $text .= "$name $default{$name};\n" if $extra !~ /^\s*$name\s/m;
    }

    return ("$text$extra\n", <<'_EOF_');
location / {
    vault on;
}
location = /vault-status {
    vault_status;
}
_EOF_
}


# Starts one more server; `vault` are directives, the rest is VaultNginx's.

sub vault_server {
    my (%arg) = @_;

    my ($http, $server) = vault_conf(delete $arg{vault});
    my $name = delete $arg{name} || 'server';

    # The keys that are there for DSQL would come before those of a service.
    $arg{env} = { AWS_ACCESS_KEY_ID => '', %{$arg{env}} }
        if grep { /^AWS_(?:CONTAINER|EC2)_/ } keys %{$arg{env} // {}};

    return VaultNginx->new(
        name   => test_name() . ".$name",
        %arg,
        http   => $http . ($arg{http} // ''),
        server => $server . ($arg{server} // ''),
    )->start;
}


sub helper {
    return $helper //= vault_server(name => 'users');
}


# Requests

sub call {
    my ($server, $method, $path, %option) = @_;

    my @headers = @{$option{headers} || []};
    my $body = $option{body};

    if (defined $option{as}) {
        push @headers, 'Authorization: Bearer ' . user($option{as})->{token};
    }

    if (exists $option{json}) {
        $body = ref $option{json} ? json_text($option{json}) : $option{json};
        push @headers, 'Content-Type: application/json';
    }

    if ($option{form}) {
        $body = form(@{$option{form}});
        push @headers, 'Content-Type: application/x-www-form-urlencoded';
    }

    my $port = ref $server ? $server->port : $server;
    my $answer = VaultHttp::request(
        $port, $method, $path, \@headers, $body,
        timeout => ($option{timeout} || 20) * $VaultNginx::SLOW);

    $answer->{json} = VaultHttp::json($answer)
        if ($answer->{body} // '') =~ /^[\[{"\d-]/;

    return $answer;
}


sub must {
    my ($what, $answer) = @_;

    return $answer->{json} if ($answer->{status} // 0) == 200;

    die "$what: " . ($answer->{error} // $answer->{status}) . ' '
        . ($answer->{body} // '') . "\n";
}


sub status {
    my ($server) = @_;

    return must('status page', call($server, 'GET', '/vault-status'));
}


# The route table as lists: method, path, guard, body limit

sub routes {
    my ($module) = VaultNginx::modules();

    local %ENV = (%ENV, VaultNginx::environment(folder_of()));

    open my $in, '-|', "$VaultNginx::ROOT/t/tools/routes", $module // ()
        or die "routes: $!\n";
    my @routes = map { [split ' '] } <$in>;
    close $in or die "t/tools/routes failed\n";

    return grep { $_->[1] !~ m{^/api/debug/} } @routes;
}


# Users: "alice" is alice@example.com on her first device, "alice/phone" the
# same account on another one.

sub user {
    my ($name, $server) = @_;

    return $users{$name} if $users{$name};

    my ($account, $device) = split m{/}, $name;
    $server //= helper();

    if (!$users{$account}) {
        my $user = account($account);
        register($server, $user);
        $users{$account} = login($server, $user);
    }

    return $users{$name} //= login($server, account($account), $device);
}


# What a client derives from a password it never sends

sub account {
    my ($name) = @_;

    return {
        name  => ucfirst $name,
        email => "$name\@example.com",
        hash  => b64(VaultData::bytes("hash of $name", 32)),
        key   => enc("user key of $name"),
        public_key  => public_key($name),
        private_key => enc("private key of $name" . 'x' x 1000),
    };
}


sub register {
    my ($server, $user) = @_;

    my $token = must('registration mail', call(
        $server, 'POST',
        '/identity/accounts/register/send-verification-email',
        json => { email => $user->{email}, name => $user->{name},
                  receiveMarketingEmails => JSON::PP::false() }));

    my $kdf = { kdfType => 0, iterations => 600000 };

    must('registration', call(
        $server, 'POST', '/identity/accounts/register/finish',
        json => {
            email => $user->{email},
            emailVerificationToken => $token,
            masterPasswordHint => undef,
            masterPasswordAuthentication => {
                kdf => $kdf, salt => $user->{email},
                masterPasswordAuthenticationHash => $user->{hash},
            },
            masterPasswordUnlock => {
                kdf => $kdf, salt => $user->{email},
                masterKeyWrappedUserKey => $user->{key},
            },
            userAsymmetricKeys => {
                publicKey => $user->{public_key},
                encryptedPrivateKey => $user->{private_key},
            },
        }));
}


# Signs in: a copy of the user with tokens.

sub login {
    my ($server, $user, $device) = @_;

    $device //= 'desktop';
    my $identifier = uuid("device $device of $user->{email}");

    my $answer = must('sign-in', call(
        $server, 'POST', '/identity/connect/token',
        form => [
            grant_type => 'password', scope => 'api offline_access',
            client_id => 'cli', username => $user->{email},
            password => $user->{hash}, deviceType => 8,
            deviceIdentifier => $identifier, deviceName => $device,
        ]));

    my $claims = claims($answer->{access_token});

    return {
        %$user,
        id      => $claims->{sub},
        stamp   => $claims->{sstamp},
        device  => $identifier,
        token   => $answer->{access_token},
        refresh => $answer->{refresh_token},
    };
}


sub claims {
    my ($token) = @_;

    my (undef, $payload) = split /\./, $token;
    my $text = MIME::Base64::decode_base64url($payload);
    return JSON::PP->new->utf8->decode($text);
}


# After a test has deleted an account: the next use registers it anew.

sub forget_users {
    my (@names) = @_;

    for my $name (@names) {
        delete @users{grep { m{^\Q$name\E(?:/|$)} } keys %users};
    }
}


# What was wrong with the helper, for the last test of a file

sub finish {
    return () if !$helper;

    my @complaints = $helper->stop;
    undef $helper;
    return @complaints;
}


END {
    local $?;
    finish();
    $dsql->stop if $dsql;

    if ($cluster) {
        system "$VaultNginx::ROOT/t/tools/pg", 'stop', $cluster;
        File::Path::remove_tree($cluster);

    } elsif ($behind) {
        my ($name) = $behind =~ m{/([^/?]+)(?:\?|$)};
        eval { psql($ENV{VAULT_TEST_PG},
                    "DROP DATABASE IF EXISTS $name WITH (FORCE)") };
    }
}


1;
