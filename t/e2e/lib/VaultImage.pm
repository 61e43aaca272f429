# Images, built for real, and run as a container would run them.
#
#   my $image = VaultImage->new('server');   # builds and unpacks it, needs root;
#                                            # or ->build, then ->unpack
#   $image->{config}{User}; $image->{size}   # of its archive, in bytes
#   my $run = $image->start({ ROCKET_PORT => 8080 });   # as its config says
#   $run->{pid}                              # of the program, on this machine
#   $run->signal('QUIT'); $run->ended; $run->output
#   my ($status, $out) = $image->run(\%env, @command);  # waits for the end

package VaultImage;

use strict;
use warnings;

use File::Path ();
use JSON::PP ();
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

use VaultNginx ();
use VaultServer qw(folder_of);

my $ROOT = $VaultNginx::ROOT;
my %running;
my $runs = 0;


sub command {
    my ($name, @command) = @_;

    my $log = folder_of() . '/command.log';

    open my $stdout, '>&', \*STDOUT or die "dup: $!\n";
    open my $stderr, '>&', \*STDERR or die "dup: $!\n";
    open STDOUT, '>', $log or die "$log: $!\n";
    open STDERR, '>&', \*STDOUT;
    my $status = system @command;
    open STDOUT, '>&', $stdout;
    open STDERR, '>&', $stderr;

    die "$name: " . VaultNginx::read_file($log) . "\n" if $status;
}


sub new {
    my ($class, $kind) = @_;

    $class->build($kind);
    return $class->unpack($kind);
}


sub build {
    my ($class, $kind) = @_;

    die "images are built and run by root only\n" if $> != 0;

    command("docker/build $kind", "$ROOT/docker/build", $kind);
}


sub unpack {
    my ($class, $kind) = @_;

    my $name = $kind eq 'lambda' ? 'ngx-vault-lambda' : 'ngx-vault';
    my $archive = "$ROOT/build/$name.tar";
    my $dir = folder_of() . "/$kind";

    File::Path::remove_tree($dir);
    File::Path::make_path($dir);
    command('skopeo', 'skopeo', 'copy', "oci-archive:$archive",
            "oci:$dir/oci:latest");
    command('umoci', 'umoci', 'unpack', '--image', "$dir/oci:latest",
            "$dir/bundle");

    my $text = `skopeo inspect --config oci:$dir/oci:latest`;

    # The volume is beside the root, as t/tools/container wants it.
    my $config = JSON::PP->new->decode($text)->{config};
    my ($volume) = keys %{$config->{Volumes} || {}};
    my ($uid) = $config->{User} =~ /^(\d+)/;

    my $self = bless {
        dir => $dir, root => "$dir/bundle/rootfs", config => $config,
        size => -s $archive, uid => $uid, volume => $volume // '-',
    }, $class;
    $self->fresh_volume;

    return $self;
}


# Empty, and the user's of the image: as docker makes one.

sub fresh_volume {
    my ($self) = @_;

    return if $self->{volume} eq '-';
    my $path = "$self->{root}/..$self->{volume}";

    File::Path::remove_tree($path);
    mkdir $path, 0700 or die "$path: $!\n";
    chown $self->{uid}, $self->{uid}, $path;
}


sub launch {
    my ($self, $env, @command) = @_;

    my $out = "$self->{dir}/out." . $runs++;
    my %image = map { split /=/, $_, 2 } @{$self->{config}{Env} || []};
    my %env = (PATH => $ENV{PATH}, %image, %$env);

    my $pid = fork;
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        setpgrp;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>&', \*STDOUT;
        chmod 0666, $out;             # /dev/stdout is opened anew by some
        %ENV = %env;
        exec "$ROOT/t/tools/container", $self->{root}, $self->{uid},
            $self->{volume}, @command or POSIX::_exit(127);
    }

    my $run = bless { outer => $pid, out => $out }, 'VaultImage::Run';
    $running{$pid} = 1;

    return $run;
}


sub start {
    my ($self, $env) = @_;

    my $run = $self->launch($env, @{$self->{config}{Entrypoint}});
    my $end = time + 20;

    while (!$run->{pid} && time < $end) {
        ($run->{pid}) = VaultNginx::workers_of($run->{outer});
        sleep 0.001;
    }

    return $run;
}


sub run {
    my ($self, $env, @command) = @_;

    my $run = $self->launch($env, @command);

    waitpid $run->{outer}, 0;
    my $status = $?;
    delete $running{$run->{outer}};

    return ($status >> 8, $run->output);
}


END {
    local $?;
    kill 'KILL', map { -$_ } keys %running;
}


package VaultImage::Run;

use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);


sub output { return VaultNginx::read_file($_[0]{out}) }


sub signal {
    my ($self, $name) = @_;

    kill $name, $self->{pid};
}


# Its exit code; undef if it is there still after so many seconds.

sub ended {
    my ($self, $seconds) = @_;

    my $end = time + ($seconds // 20);

    while (time < $end) {
        if (waitpid($self->{outer}, WNOHANG) == $self->{outer}) {
            delete $running{$self->{outer}};
            return $? >> 8;
        }
        sleep 0.01;
    }

    return undef;
}

1;
