# Aurora DSQL for a test: the peer of t/peers/dsql in front of one database of
# a throw-away PostgreSQL, and what a deployment does before servers start.
#
#   my $dsql = VaultDsql->new($postgresql_url, $folder);
#   $dsql->url                     # dsql://… for vault_database
#   $dsql->migrate($server);       # by the event that a deployment sends
#   $dsql->peer->set(oc000_every => 3);    # dsql_peer/main.py has the list
#   $dsql->conninfo('admin')       # for psql and libpq, with a fresh token
#
# Servers find the access key in the environment.
#
# Environment: VAULT_TEST_FAULTS  what the peer is set to once it was migrated,
#                                 such as '{"oc000_every": 3}'

package VaultDsql;

use strict;
use warnings;

use File::Path ();
use JSON::PP ();

use VaultHttp;
use VaultNginx;
use VaultPeer;

our $ROLE = 'vault';
our $ARN = 'arn:aws:iam::111122223333:role/vault';

my %KEYS = (
    AWS_ACCESS_KEY_ID     => 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY => 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
);


sub new {
    my ($class, $behind, $folder) = @_;

    File::Path::make_path($folder);
    %ENV = (%KEYS, %ENV) if !$ENV{AWS_ACCESS_KEY_ID};

    my $peer = VaultPeer->new('dsql', $behind, $folder);

    # nobody waits for an index, but those who test it
    $peer->set(job_delay => 0.02);

    return bless { peer => $peer, state => $peer->state }, $class;
}


sub peer { return $_[0]{peer} }


sub url {
    my ($self) = @_;

    my $state = $self->{state};

    return "dsql://$state->{host}:$state->{port}?role=$ROLE&grant=$ARN"
           . "&hostaddr=127.0.0.1&sslrootcert=$state->{ca}";
}


sub token {
    my ($self, $user) = @_;

    my $token = `'$VaultNginx::ROOT/t/peers/dsql' token $self->{state}{host} \\
                 $user`;
    die "no token\n" if $? != 0;
    chomp $token;
    return $token;
}


sub conninfo {
    my ($self, $user, $token) = @_;

    my $state = $self->{state};
    $token //= $self->token($user);

    return "host=$state->{host} hostaddr=127.0.0.1 port=$state->{port}"
           . " user=$user dbname=postgres sslmode=verify-full"
           . " sslrootcert=$state->{ca} password='$token'";
}


# The server takes events if it has "vault_lambda on".

sub migrate {
    my ($self, $server) = @_;

    my $answer = VaultHttp::request(
        $server->port, 'POST', '/.vault/events',
        ['x-amzn-request-context: null', 'x-amzn-lambda-context: {}',
         'Content-Type: application/json'],
        '{"job": "migrate"}', timeout => 60 * $VaultNginx::SLOW);

    die 'migration: ' . ($answer->{error} // $answer->{status}) . ' '
        . ($answer->{body} // '') . "\n" . $server->log_text . "\n"
        if ($answer->{status} // 0) != 200;

    my $faults = $ENV{VAULT_TEST_FAULTS};
    $self->{peer}->set(%{JSON::PP->new->decode($faults)}) if $faults;

    return VaultHttp::json($answer);
}


sub stop {
    my ($self) = @_;

    $self->{peer}->stop;
}


1;
