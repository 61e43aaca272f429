# One nginx of the distribution with our module in it, in a folder of its own.
#
#   my $nginx = VaultNginx->new(name => 'abort', server => $text);
#   $nginx->start;                      # dies with nginx's own words
#   $nginx->port; $nginx->pid; $nginx->log_text;
#   my @complaints = $nginx->stop;      # alerts, signals, sanitizers, cores
#
# Environment: VAULT_FLAVOUR   release (default), clang, asan: which module
#              TEST_NGINX_LOAD_MODULES  paths of modules instead of that one
#              TEST_NGINX_BINARY, TEST_NGINX_LOG_LEVEL, TEST_NGINX_PORT
#              TEST_NGINX_USE_VALGRIND  nginx runs under valgrind
#              TEST_NGINX_VERBOSE       prints configurations and answers

package VaultNginx;

use strict;
use warnings;

use Cwd ();
use Fcntl qw(:flock SEEK_SET);
use File::Basename ();
use File::Path ();
use IO::Socket::INET ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

our $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');
our $FLAVOUR = $ENV{VAULT_FLAVOUR} || 'release';
$ENV{PATH} .= ":/usr/sbin:/sbin";

our $VALGRIND = $ENV{TEST_NGINX_USE_VALGRIND};

# How much slower everything is: all timeouts are stretched by it.
our $SLOW = $VALGRIND ? 20 : $FLAVOUR eq 'asan' ? 3 : 1;

my %running;    # servers to end when the test dies


sub new {
    my ($class, %arg) = @_;

    my $self = bless {
        name       => 'nginx',
        workers    => 1,
        main       => '',
        http       => '',
        server     => '',
        listen     => '',
        level      => $ENV{TEST_NGINX_LOG_LEVEL} || 'info',
        master     => 1,
        connections => 512,
        env        => {},
        expected   => [],
        %arg,
    }, $class;

    $self->{root} ||= work_dir($self->{name});
    $self->{port} ||= free_port();
    make_dirs($self->{root});

    return $self;
}


sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }
sub root { return $_[0]{root} }


# Folders.  A second run of the same file at the same time gets another one:
# the lock lives as long as this process.

my @locks;
my %taken;

sub work_dir {
    my ($name) = @_;

    my $base = $ENV{VAULT_TEST_DIR} || "$ROOT/build/t";
    File::Path::make_path($base);

    for my $suffix ('', ".$$") {
        my $dir = "$base/$name-$FLAVOUR$suffix";

        next if $taken{$dir};

        open my $lock, '>>', "$dir.lock" or die "$dir.lock: $!\n";
        if (flock $lock, LOCK_EX | LOCK_NB) {
            push @locks, $lock;
            $taken{$dir} = 1;
            File::Path::remove_tree($dir);
            File::Path::make_path($dir);
            return $dir;
        }
    }

    die "no folder for the test $name below $base\n";
}


sub make_dirs {
    my ($root) = @_;

    File::Path::make_path(map { "$root/$_" } qw(conf logs html temp));
}


# A port that nobody uses, below the range that clients' sockets take theirs
# from.

my %given;

sub free_port {
    for (1 .. 200) {
        my $port = 10000 + int rand 22000;

        next if $given{$port}++;

        my $sock = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp',
            Listen => 1, ReuseAddr => 1) or next;
        close $sock;
        return $port;
    }

    die "no free port\n";
}


sub modules {
    if (defined(my $list = $ENV{TEST_NGINX_LOAD_MODULES})) {
        return split ' ', $list;
    }

    my $module = "$ROOT/build/$FLAVOUR/ngx_http_vault_module.so";
    return -e $module ? $module : ();
}


sub conf_text {
    my ($self) = @_;

    my $temp = "$self->{root}/temp";
    my @modules = modules();

    die "the module is not built: make FLAVOUR=$FLAVOUR\n"
        if !@modules && "$self->{http}$self->{server}" =~ /^\s*vault/m;

    my $modules = join '', map { "load_module $_;\n" } @modules;
    my $user = $> == 0 && $self->{main} !~ /^\s*user\s/m ? "user root;\n" : '';
    my $master = $self->{master} ? 'on' : 'off';
    my $workers = $self->{main} =~ /^\s*worker_processes\s/m ? ''
                  : "worker_processes $self->{workers};\n";

    # without it, the vault takes the folder of its store
    my $body = $self->{vault_temp} ? '' : "client_body_temp_path $temp/body;";

    return <<"_EOF_";
${modules}${user}daemon off;
master_process $master;
${workers}error_log logs/error.log $self->{level};
pid logs/nginx.pid;
worker_shutdown_timeout 20s;
$self->{main}
events {
    worker_connections $self->{connections};
}
http {
    access_log logs/access.log;
    default_type text/plain;
    $body
    proxy_temp_path $temp/proxy;
    fastcgi_temp_path $temp/fastcgi;
    uwsgi_temp_path $temp/uwsgi;
    scgi_temp_path $temp/scgi;
$self->{http}
    server {
        listen 127.0.0.1:$self->{port}$self->{listen};
        server_name localhost;
        root html;
$self->{server}
    }
}
_EOF_
}


# Starting and stopping

sub start {
    my ($self) = @_;

    for my $try (1 .. 3) {
        my $why = $self->try_start or return $self;

        die "nginx did not start: $why\n"
            if $why !~ /Address already in use/ || $try == 3 || $self->{fixed};

        $self->{port} = free_port();
    }
}


sub try_start {
    my ($self) = @_;

    my $root = $self->{root};
    my $conf = $self->conf_text;

    $self->{log_start} = $self->log_size;

    print STDERR $conf if $ENV{TEST_NGINX_VERBOSE};
    write_file("$root/conf/nginx.conf", $conf);

    $self->{pid} = fork;
    die "fork: $!\n" if !defined $self->{pid};

    if ($self->{pid} == 0) {
        $self->exec_nginx;
    }

    $running{$self} = $self;
    return $self->await_start;
}


sub exec_nginx {
    my ($self) = @_;

    my $root = $self->{root};

    open STDIN, '<', '/dev/null';
    open STDOUT, '>>', "$root/logs/stdout";
    open STDERR, '>>', "$root/logs/stderr";

    %ENV = (%ENV, environment($root), %{$self->{env}});
    exec command($root) or POSIX::_exit(127);
}


sub command {
    my ($root, @more) = @_;

    my $nginx = $ENV{TEST_NGINX_BINARY} || 'nginx';
    my @command = ($nginx, '-p', "$root/", '-c', "$root/conf/nginx.conf",
                   '-e', "$root/logs/error.log", @more);

    return @command if !$VALGRIND;

    return ('valgrind', '--quiet', "--log-file=$root/logs/valgrind.%p",
            '--leak-check=no', '--num-callers=24', @command);
}


# The stock nginx is not linked with the sanitizers' libraries: they are
# loaded before it.

sub environment {
    my ($root) = @_;

    return () if $FLAVOUR ne 'asan';

    my @libs = map { chomp(my $path = `gcc -print-file-name=$_`); $path }
                   qw(libasan.so.8 libubsan.so.1);

    return (
        LD_PRELOAD    => join(':', @libs),
        ASAN_OPTIONS  => join(':', "log_path=$root/logs/asan",
                              'detect_leaks=0', 'abort_on_error=0',
                              'detect_stack_use_after_return=1',
                              'alloc_dealloc_mismatch=1',
                              $ENV{ASAN_OPTIONS} // ()),
        UBSAN_OPTIONS => "print_stacktrace=1:log_path=$root/logs/ubsan",
    );
}


# Nothing when the server is up; else why nginx has ended.

sub await_start {
    my ($self) = @_;

    my $end = time + 10 * $SLOW;

    while (time < $end) {
        if (waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
            delete $running{$self};
            return $self->log_text($self->{log_start})
                   || read_file("$self->{root}/logs/stderr")
                   || 'it ended without a word';
        }

        return '' if -s "$self->{root}/logs/nginx.pid" && $self->connected
                     && $self->has_workers;
        sleep 0.005;
    }

    $self->kill_now;
    return "no answer on its port in time\n" . $self->log_text;
}


# The port takes connections before there is anybody to answer them.

sub has_workers {
    my ($self) = @_;

    return 1 if !$self->{master};

    my $wanted = $self->{main} =~ /^\s*worker_processes\s/m
                 ? 1 : $self->{workers};
    my @now = $self->workers;
    return @now >= $wanted;
}


sub connected {
    my ($self) = @_;

    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $self->{port},
                                     Proto => 'tcp', Timeout => 1);
    return defined $sock;
}


sub signal {
    my ($self, $signal) = @_;

    return $self->{pid} && kill $signal, $self->{pid};
}


# Gracefully; what was wrong with its life, as lines.

sub stop {
    my ($self) = @_;

    return () if !$self->{pid};

    my @complaints;
    $self->signal('QUIT');

    if (!$self->gone(25 * $SLOW)) {
        push @complaints, 'nginx did not quit in time';
        $self->kill_now;

    } elsif ($? != 0) {
        push @complaints, "nginx ended with status $?";
    }

    delete $running{$self};
    $self->{pid} = 0;

    return (@complaints, $self->leftovers);
}


sub gone {
    my ($self, $seconds) = @_;

    my $end = time + $seconds;

    do {
        return 1 if waitpid($self->{pid}, WNOHANG) != 0;
        sleep 0.005;
    } while (time < $end);

    return 0;
}


sub kill_now {
    my ($self) = @_;

    my @workers = workers_of($self->{pid});
    kill 'KILL', $self->{pid}, @workers;
    waitpid $self->{pid}, 0;
    delete $running{$self};
}


sub workers_of {
    my ($pid) = @_;

    open my $in, '<', "/proc/$pid/task/$pid/children" or return ();
    return split ' ', <$in> // '';
}

sub workers { return workers_of($_[0]{pid}) }


# What must not be there: a line in the error log that means a crash or a
# mistake of ours, a report of a sanitizer or of valgrind, a core.  nginx binds
# again, while a killed one still has the port, and says so if that was in vain.

sub leftovers {
    my ($self) = @_;

    my $root = $self->{root};
    my @found = grep { !$self->is_expected($_) }
                grep { !/ bind\(\) to \S+ failed \(98: / }
                grep { /\[(?:alert|emerg)\]|exited on signal|runtime error:/ }
                split /\n/, $self->log_text;

    for my $file (glob "$root/logs/asan.* $root/logs/ubsan.* "
                       . "$root/logs/valgrind.* $root/logs/stderr")
    {
        my $text = read_file($file);
        $text =~ s/^==\d+==WARNING: ASan doesn't fully support make.*\n//gm;
        $text =~ s/^nginx: \[(?:warn|notice)\] .*\n//gm;
        push @found, File::Basename::basename($file) . ": $text"
            if $text =~ /\S/;
    }

    push @found, map { "core dump: $_" } glob "$root/core* $root/*/core*";

    return @found;
}


sub is_expected {
    my ($self, $line) = @_;

    for my $pattern (@{$self->{expected}}) {
        return 1 if ref $pattern ? $line =~ $pattern
                                 : index($line, $pattern) >= 0;
    }

    return 0;
}


sub expect_log {
    my ($self, @patterns) = @_;

    push @{$self->{expected}}, @patterns;
}


sub log_text {
    my ($self, $from) = @_;

    return read_file("$self->{root}/logs/error.log", $from);
}


sub log_size {
    my ($self) = @_;

    return -s "$self->{root}/logs/error.log" || 0;
}


sub read_file {
    my ($path, $from) = @_;

    open my $in, '<:raw', $path or return '';
    seek $in, $from, SEEK_SET if $from;
    local $/;
    return scalar <$in> // '';
}


sub write_file {
    my ($path, $text) = @_;

    File::Path::make_path(File::Basename::dirname($path));
    open my $out, '>:raw', $path or die "$path: $!\n";
    print $out $text or die "$path: $!\n";
    close $out or die "$path: $!\n";
}


# A test that dies leaves no server behind.

END {
    local $?;
    $_->kill_now for values %running;
}


1;
