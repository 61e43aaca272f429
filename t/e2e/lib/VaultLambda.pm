# A vault as a function of AWS Lambda: conf/lambda.conf in nginx behind the real
# Lambda Web Adapter, behind peers that play Lambda and CloudFront
# (t/peers/lambda.py), whose functions are those of aws/template.yaml.
#
#   my $lambda = VaultLambda->new(env => { VAULT_MAIL => '…' }, s3 => $peer);
#   $lambda->{url}, {ca}, port             as of e2e_server()
#   $lambda->event({ job => 'migrate' })   the answer, decoded
#   $lambda->control(freezes => JSON::PP::false)
#   $lambda->state                         t/peers/awslambda.py
#   $lambda->log_text; $lambda->stop       what complaints there are
#
# Between invocations all its processes are stopped.

package VaultLambda;

use strict;
use warnings;

use File::Path ();
use JSON::PP ();
use POSIX ();

use VaultE2e ();
use VaultNginx ();
use VaultPeer;
use VaultServer qw(folder_of database);

our $SECRET = 'sesame-of-cloudfront';
our @KEYS = ('AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY');

my $ROOT = $VaultNginx::ROOT;
my $instances = 0;


# The code of a CloudFront Function, from the template

sub function_code {
    my ($name) = @_;

    my $template = VaultNginx::read_file("$ROOT/aws/template.yaml");

    $template =~ m{^[ ]{2}$name:\n
                   [ ]{4}Type:[ ]AWS::CloudFront::Function\n
                   (?:[ ]{4,}.*\n)+?
                   [ ]{6}FunctionCode:[ ]\|\n
                   ((?:[ ]{8}.*\n|\n)+)}mx or die "no $name\n";

    return $1 =~ s/^ {8}//mgr;
}


# The configuration of the image, below a folder and on a port of the test

sub configuration {
    my ($dir, $port, $more) = @_;

    my $text = VaultNginx::read_file("$ROOT/conf/lambda.conf");
    my ($module) = VaultNginx::modules();
    my $user = $> == 0 ? 'user root;' : '';

    $text =~ s{/tmp/}{$dir/tmp/}g;
    $text =~ s{^load_module .*;}{load_module $module;\n$user}m;
    $text =~ s{(listen 127\.0\.0\.1:)8080;}{$1$port;};
    $text =~ s{^( +)vault_lambda on;\n}{$&$1$more\n}m if $more;

    return $text;
}


sub new {
    my ($class, %arg) = @_;

    my $name = VaultServer::test_name() . '.lambda' . $instances++;
    my $dir = VaultNginx::work_dir($name);
    my $port = VaultNginx::free_port();
    my $self = bless { root => $dir, expected => [] }, $class;

    system("$ROOT/aws/adapter/build", "$ROOT/build/adapter") == 0
        or die "no adapter\n";
    system("$ROOT/conf/tls '$dir/tls' > /dev/null") == 0
        or die "no certificate\n";

    VaultNginx::make_dirs($dir);
    File::Path::make_path("$dir/tmp");
    VaultNginx::write_file("$dir/conf/nginx.conf",
                           configuration($dir, $port, $arg{more}));
    VaultNginx::write_file("$dir/$_.js", function_code($_))
        for 'ApiFunction', 'UploadFunction';

    my %env = (
        VaultNginx::environment($dir),
        AWS_LWA_PORT                 => $port,
        AWS_LWA_READINESS_CHECK_PATH => '/alive',
        AWS_LWA_INVOKE_MODE          => 'response_stream',
        AWS_LWA_PASS_THROUGH_PATH    => '/.vault/events',
        AWS_ACCESS_KEY_ID            => $KEYS[0],
        AWS_SECRET_ACCESS_KEY        => $KEYS[1],
        HOME                         => "$dir/nobody",
        VAULT_DATABASE               => database(),
        VAULT_FILES                  => "file:$dir/tmp/files",
        VAULT_ORIGIN_SECRET          => $SECRET,
    );

    my @front = ('--front', "$dir/tls/server.pem", "$dir/tls/server.key",
                 '--secret', $SECRET, '--node', VaultE2e::node(),
                 '--api', "$dir/ApiFunction.js",
                 '--uploads', "$dir/UploadFunction.js");

    if ($arg{s3}) {
        $arg{s3}->set(keys => { $KEYS[0] => { secret => $KEYS[1],
                                              token => undef,
                                              expires => undef } });
        push @front, '--bucket', $arg{s3}->url . '/vault';
        $env{VAULT_FILES} = 's3://vault/files?region=us-east-1&path_style=on'
                            . '&endpoint=' . $arg{s3}->url;
    }

    %env = (%env, %{$arg{env} || {}});
    @front = () if $arg{no_front};

    $self->{peer} = VaultPeer->new(
        'lambda.py', '--extension', "$ROOT/build/adapter/lambda-adapter",
        '--log', "$dir/logs/error.log", @front, @{$arg{options} || []},
        map({ ('--env', "$_=$env{$_}") } sort keys %env), '--',
        VaultNginx::command($dir, '-e', 'stderr'));

    my $state = $self->state;
    die "Lambda did not start: @{$state->{errors}}\n" . $self->log_text
        if @{$state->{errors}};

    $self->{front} = $state->{front};
    $self->{url} = "https://localhost:$state->{front}" if $state->{front};
    $self->{ca} = "$dir/tls/ca.pem";

    return $self;
}


sub port  { return $_[0]{front} }
sub root  { return $_[0]{root} }
sub peer  { return $_[0]{peer} }
sub state { return $_[0]{peer}->state }

sub control {
    my ($self, %wanted) = @_;

    return $self->{peer}->set(%wanted);
}


# What an invocation with this event came to, its body decoded

sub event {
    my ($self, $event) = @_;

    my $answer = $self->control(invoke => $event);

    $answer->{json} = eval { $VaultE2e::JSON->decode($answer->{body}) }
        if defined $answer->{body};
    return $answer;
}


sub log_text {
    my ($self) = @_;

    return VaultNginx::read_file("$self->{root}/logs/error.log");
}


sub expect_log {
    my ($self, @patterns) = @_;

    push @{$self->{expected}}, @patterns;
}


# The environment goes as Lambda ends it; complaints, as of VaultNginx.

sub stop {
    my ($self) = @_;

    my @wrong = @{$self->state->{errors}};
    my $end = $self->control(shutdown => 'spindown');

    push @wrong, 'nginx did not end in time'
        if @{$end->{codes}} && !defined $end->{codes}[-1];

    $self->{peer}->stop;

    return (@wrong, VaultNginx::leftovers($self));
}


*is_expected = \&VaultNginx::is_expected;

1;
