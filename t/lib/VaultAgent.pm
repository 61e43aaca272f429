# A Vault of t/peers/vault.py, and nginx as its agent.
#
#   my $vault = vault(tls => 1);           # VaultPeer, with {url} and {ca};
#                                          # clients => CA: of these alone
#   my $nginx = agent($vault, auth => 'token_file PATH',
#                     options => 'retries=0', http => …, location => …);
#   until_true { $vault->count('login') } 'a login';
#   ends_clean($nginx, 'secret', …);       # and none of them is in the log

package VaultAgent;

use strict;
use warnings;

use Exporter qw(import);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultMail;
use VaultNginx;
use VaultPeer;

our @EXPORT = qw(vault agent until_true ends_clean log_has folder save
                 %AWS_KEYS);

# Keys that the peer knows
our %AWS_KEYS = (
    AWS_ACCESS_KEY_ID     => 'AKIDENV',
    AWS_SECRET_ACCESS_KEY => 'hidden-env',
    AWS_REGION            => 'eu-west-1',
);

my $folder;
my $agents = 0;


sub folder {
    return $folder if $folder;

    my ($name) = $0 =~ m{([^/]+?)(?:\.t)?$};
    $folder = VaultNginx::work_dir("$name.data");
    chmod 0755, $folder;
    return $folder;
}


# Writes a file of the test's; its path.

sub save {
    my ($name, $text) = @_;

    VaultNginx::write_file(folder() . "/$name", $text);
    return folder() . "/$name";
}


sub vault {
    my (%arg) = @_;

    my @certificate = $arg{tls} ? VaultMail::certificate('vault', 'localhost')
                                : ();
    my $peer = VaultPeer->new('vault.py', @certificate,
                              $arg{clients} // ());

    $peer->{ca} = $certificate[0];
    $peer->{url} = $arg{tls} ? 'https://localhost:' . $peer->port
                             : $peer->url;
    return $peer;
}


# An nginx whose only business is the agent's; not yet started with start => 0.

sub agent {
    my ($vault, %arg) = @_;

    my $options = $arg{options} // '';
    $options .= " ca=$vault->{ca}" if $vault->{ca} && $options !~ /\bca=/;

    my $auth = $arg{auth} // 'aws role=app-role';
    my $location = $arg{location} // 'location /v1/ { vault_agent on; }';

    my $nginx = VaultNginx->new(
        name    => 'agent-' . ($0 =~ /(\d\d)-/ ? $1 : 'e2e') . '-' . $agents++,
        workers => $arg{workers} // 1,
        main    => $arg{main} // '',
        env     => { %{$arg{env} // \%AWS_KEYS} },
        http    => ($arg{bare} // '') . "vault_agent $vault->{url} $options;\n"
                   . "vault_agent_auth $auth;\n" . ($arg{http} // ''),
        server  => $location . ($arg{server} // ''),
        expected => $arg{expected} // [],
    );

    return ($arg{start} // 1) ? $nginx->start : $nginx;
}


sub until_true (&$;$) {
    my ($check, $what, $seconds) = @_;

    my $end = time + ($seconds // 5) * $VaultNginx::SLOW;

    do {
        return pass($what) if $check->();
        sleep 0.02;
    } while (time < $end);

    return fail($what);
}


sub log_has {
    my ($nginx, $pattern, $what) = @_;

    my $ok = until_true { $nginx->log_text =~ $pattern } $what;
    diag($nginx->log_text) if !$ok;
    return $ok;
}


# No complaint, and none of the secrets in the log.

sub ends_clean {
    my ($nginx, @secrets) = @_;

    is_deeply([$nginx->stop], [], 'nginx ended without a complaint');

    my $log = $nginx->log_text;
    my @told = grep { $log =~ /\Q$_\E/ }
                    'hvs.', 'hidden-', 'secret-1', 'jwt-1', @secrets;
    is_deeply(\@told, [], 'no secret in its log');
}


1;
