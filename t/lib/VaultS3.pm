# A bucket of the tests as the store of a server, and what it was asked.
#
#   my $server = s3_server('&storage_class=STANDARD_IA', vault => '…');
#   put($server, uuid('x'), $bytes);   # by the debug build's endpoints
#   asked(), objects(), fails({ op => 'PUT', kind => '503' })  # peers/s3.py
#   ends_clean($server);
#
# One peer for each test, over TLS; forget() leaves it as it was.

package VaultS3;

use strict;
use warnings;

use Digest::SHA qw(sha1_hex);
use Exporter qw(import);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultNginx;
use VaultPeer;
use VaultServer qw(vault_server call folder_of);

our @EXPORT = qw(peer tls_dir s3_server ends_clean put head remove link_of
                 asked objects fails forget bytes s3_lines $OK $MISSING $ERROR
                 $KEY $SECRET);

our $KEY = 'AKIAIOSFODNN7EXAMPLE';
our $SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

our ($OK, $MISSING, $ERROR) = (0, -5, -1);  # NGX_OK, _DECLINED, _ERROR

my ($peer, $tls);
my $servers = 0;

delete @ENV{grep { /^AWS_/ } keys %ENV};


sub tls_dir {
    return $tls if $tls;

    $tls = folder_of() . '/tls';
    system("'$VaultNginx::ROOT/conf/tls' '$tls' > /dev/null") == 0
        or die "no certificate\n";
    return $tls;
}


sub peer {
    my $dir = tls_dir();

    return $peer //= VaultPeer->new('s3.py', "$dir/server.pem",
                                    "$dir/server.key");
}


sub s3_server {
    my ($options, %arg) = @_;

    my $env = delete $arg{env} // {
        AWS_ACCESS_KEY_ID => $KEY, AWS_SECRET_ACCESS_KEY => $SECRET };
    my $url = $arg{url} // 'https://localhost:' . peer()->port;
    my $vault = $arg{vault} // '';
    delete @arg{'url', 'vault'};

    return vault_server(
        name  => 's3-' . $servers++,
        vault => "vault_files 's3://vault/pre/fix?endpoint=$url$options';\n"
                 . $vault,
        env   => { HOME => folder_of() . '/nobody',
                   AWS_CA_BUNDLE => tls_dir() . '/ca.pem', %$env },
        %arg,
    );
}


sub ends_clean {
    my ($server) = @_;

    # a job may be about to end
    my $end = time + 5 * $VaultNginx::SLOW;
    sleep 0.1 while VaultServer::status($server)->{coroutines} && time < $end;

    is(VaultServer::status($server)->{coroutines}, 0, 'nobody is left');
    is_deeply([$server->stop], [], 'nginx ended without a complaint');

    my $log = $server->log_text;
    unlike($log, qr/\Q$_\E/, 'no secret in the log')
        for $SECRET, 'Signature=', 'secret-', 'token/';
}


sub put {
    my ($server, $name, $bytes, $query) = @_;

    return call($server, 'PUT', "/api/debug/files/$name" . ($query // ''),
                body => $bytes, timeout => 30)->{status};
}


sub head {
    my ($server, $name) = @_;

    my $json = call($server, 'GET', "/api/debug/files/$name")->{json};
    return $json->{rc} == $OK ? $json->{size} : "rc $json->{rc}";
}


sub remove {
    my ($server, @names) = @_;

    my $json = call($server, 'POST', '/api/debug/files/delete',
                    json => { ids => \@names })->{json};
    return @{$json->{gone}};
}


sub link_of {
    my ($server, $op, $name, $n) = @_;

    return call($server, 'GET', "/api/debug/files/$name/link?op=$op&n="
                . ($n // 1))->{json};
}


sub asked { return @{peer()->state->{log}} }
sub objects { return peer()->state->{objects} }
sub fails { peer()->set(clear => \1, fail => [@_]) }
sub forget { peer()->set(wipe => \1, clear => \1) }

sub bytes {
    my ($n) = @_;

    return substr join('', map { sha1_hex($_) } 0 .. $n / 40), 0, $n;
}


sub s3_lines {
    my ($server, $from) = @_;

    return grep { /\[error\].* s3: / } split /\n/, $server->log_text($from);
}


END {
    local $?;
    $peer->stop if $peer;
}


1;
