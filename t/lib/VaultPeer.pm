# Servers that ours talks to, as fakes: the scripts of t/peers/.
#
#   my $aws = VaultPeer->new('aws.py');
#   $aws->port; $aws->url('/container');
#   $aws->set(ttl => 5, fail => 500);      # what the script says it can
#   $aws->state->{issued};
#   $aws->stop;
#
# vault.py, which is a Vault, also has
#
#   $vault->count('login'); $vault->asked;     # counts, log of what came
#   $vault->clear;
#
# A peer ends with its test: it serves until its standard input is closed.

package VaultPeer;

use strict;
use warnings;

use IO::Handle ();
use IPC::Open2 qw(open2);
use JSON::PP ();

use VaultHttp;
use VaultNginx;


sub new {
    my ($class, $script, @arguments) = @_;

    my $pid = open2(my $out, my $in,
                    "$VaultNginx::ROOT/t/peers/$script", @arguments);
    my $port = <$out>;

    die "$script did not start\n" if !defined $port;

    # a second port is that of its control
    ($port, my $control) = split ' ', $port;

    return bless { pid => $pid, in => $in, out => $out, port => $port,
                   control_port => $control || $port }, $class;
}


sub port { return $_[0]{port} }


sub url {
    my ($self, $path) = @_;

    return "http://127.0.0.1:$self->{port}" . ($path // '');
}


sub state {
    my ($self) = @_;

    return control($self, 'GET');
}


sub set {
    my ($self, %state) = @_;

    return control($self, 'POST', JSON::PP->new->canonical->encode(\%state));
}


sub control {
    my ($self, $method, $body) = @_;

    my $answer = VaultHttp::request($self->{control_port}, $method,
                                    '/control', [], $body);

    die "no answer of the peer\n" if ($answer->{status} // 0) != 200;
    return VaultHttp::json($answer);
}


sub count { return $_[0]->state->{counts}{$_[1]} // 0 }


sub asked { return @{$_[0]->state->{log}} }


sub clear { return $_[0]->set(clear => JSON::PP::true, fail => []) }


sub stop {
    my ($self) = @_;

    return if !$self->{pid};

    close $self->{in};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
}


sub DESTROY {
    my ($self) = @_;

    local $?;
    stop($self);
}


1;
