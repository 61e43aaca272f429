# The part of Test::Nginx::Socket's language that this project's tests use, on
# core Perl alone.  t/*.t also run under the genuine module where that comes
# first on the path: prove -I<test-nginx>/lib -It/lib t/
#
# Sections  config http_config main_config request more_headers raw_request
#           raw_request_middle_delay pipelined_requests response_body
#           response_body_like response_body_unlike response_headers
#           response_headers_like raw_response_headers_like
#           raw_response_headers_unlike error_code error_code_like error_log
#           no_error_log log_level timeout wait abort ignore_response
#           user_files SKIP ONLY LAST
# Filters   eval chomp
# Hooks     add_block_preprocessor { my ($block) = @_; … };
#           add_response_body_check(sub {
#               my ($block, $body, $req_idx, $repeated_req_idx, $dry_run) = @_;
#           });
#           add_cleanup_handler(sub { … });
#
# Differences: blocks always run in their order, only as much of an answer is
# read as belongs to it, and one more test at the end fails if nginx logged an
# alert, crashed, or a sanitizer complained.  So files say 'no_plan'.

package Test::Nginx::Socket;

use strict;
use warnings;

use Test::More ();
use Time::HiRes qw(sleep);

use VaultHttp;
use VaultNginx;

our @EXPORT = qw(
    add_block_preprocessor add_cleanup_handler add_response_body_check
    bail_out blocks env_to_nginx html_dir log_level master_off master_on
    master_process_enabled no_long_string no_root_location no_shuffle plan
    repeat_each run_tests server_name server_port server_root timeout
    worker_connections workers
);

our @BlockPreprocessors;
our @ResponseBodyChecks;
our @CleanupHandlers;

my $caller = 'main';
my $repeat = 1;
my $timeout = $ENV{TEST_NGINX_TIMEOUT} || 3;
my $log_level;
my $root_location = 1;
my %server = (workers => 1, master => 1, connections => 512);
my @env;

my $nginx;             # the server that runs
my $current = '';      # the configuration that it runs with
my ($root, $port);
my @complaints;


sub import {
    my ($class, @plan) = @_;

    $caller = caller;
    strict->import;
    warnings->import;

    no strict 'refs';
    *{"${caller}::$_"} = \&{"Test::More::$_"} for @Test::More::EXPORT;
    no warnings 'redefine';
    *{"${caller}::$_"} = \&$_ for @EXPORT;

    Test::More->builder->exported_to($caller);
    Test::More::plan(@plan) if @plan;
}


# Settings

sub add_block_preprocessor (&) { unshift @BlockPreprocessors, shift }
sub add_response_body_check ($) { push @ResponseBodyChecks, shift }
sub add_cleanup_handler ($) { push @CleanupHandlers, shift }

sub repeat_each  { $repeat = shift if @_; return $repeat }
sub timeout      { $timeout = shift if @_; return $timeout }
sub log_level    { $log_level = shift if @_; return $log_level }
sub workers      { $server{workers} = shift if @_; return $server{workers} }
sub worker_connections { $server{connections} = shift if @_;
                         return $server{connections} }
sub master_on    { $server{master} = 1 }
sub master_off   { $server{master} = 0 }
sub master_process_enabled { $server{master} = shift if @_;
                             return $server{master} }
sub env_to_nginx { push @env, @_ }
sub no_root_location { $root_location = 0 }
sub no_shuffle     { }
sub no_long_string { }
sub server_name  { return 'localhost' }
sub plan         { Test::More::plan(@_) }
sub html_dir     { return server_root() . '/html' }

sub server_root {
    return $root //= $ENV{TEST_NGINX_SERVROOT}
                     || VaultNginx::work_dir(file_name());
}

sub server_port {
    $port = shift if @_;
    return $port //= $ENV{TEST_NGINX_PORT} || VaultNginx::free_port();
}

sub file_name {
    my ($name) = $0 =~ m{([^/]+?)(?:\.t)?$};
    return $name;
}

sub bail_out {
    Test::More::BAIL_OUT(join '', @_);
}


# Reading the blocks

my @blocks;

sub blocks {
    @blocks = parse_blocks(data_text()) if !@blocks;
    return @blocks;
}


sub data_text {
    no strict 'refs';
    my $handle = \*{"${caller}::DATA"};

    local $/;
    my $text = <$handle>;
    bail_out('no __DATA__ in ' . $0) if !defined $text;
    return $text;
}


sub parse_blocks {
    my ($text) = @_;

    my @found;

    for my $part (split /^(?====(?:\s|$))/m, $text) {
        next if $part !~ s/^===[ \t]*(.*)\n//;
        push @found, parse_block($1, $part);
    }

    for my $block (@found) {
        return $block if exists $block->{values}{ONLY};
    }

    for my $i (0 .. $#found) {
        return @found[0 .. $i] if exists $found[$i]{values}{LAST};
    }

    return grep { !exists $_->{values}{SKIP} } @found;
}


sub parse_block {
    my ($name, $text) = @_;

    $name =~ s/\s+$//;
    my $block = bless { values => { name => $name } }, 'Test::Nginx::Block';
    my @parts = split /^---[ \t]+(?=[A-Za-z_])/m, $text;
    $block->{values}{description} = shift @parts;

    for my $part (@parts) {
        my ($head, $value) = split /\n/, $part, 2;
        my ($names, $inline) = split /:(?=\s|$)/, $head, 2;
        my ($section, @filters) = split ' ', $names;

        if (defined $inline) {
            $inline =~ s/^\s+|\s+$//g;
            $value = $inline;

        } else {
            $value = trim_lines($value);
        }

        $block->{values}{$section} = filtered($name, $value, @filters);
    }

    return $block;
}


# Empty lines around a value are layout.

sub trim_lines {
    my ($value) = @_;

    $value //= '';
    $value =~ s/\A(?:[ \t]*\n)+//;
    $value =~ s/(?<=\n)\s+\z//;
    return $value =~ /\A\s*\z/ ? '' : $value;
}


# Names of the test file are main:: in an eval, as under the genuine module.

sub filtered {
    my ($name, $value, @filters) = @_;

    for my $filter (@filters) {
        if ($filter eq 'chomp') {
            chomp $value;

        } elsif ($filter eq 'eval') {
            $value = eval "package Test::Base::Filter; no strict; $value";
            bail_out("$name: eval: $@") if $@;

        } else {
            bail_out("$name: no such filter: $filter");
        }
    }

    return $value;
}


# $TEST_NGINX_* in configurations and requests

sub expand {
    my ($text) = @_;

    return $text if !defined $text || ref $text;
    $text =~ s/\$\{?(TEST_NGINX_[A-Z0-9_]+)\}?/variable($1)/ge;
    return $text;
}


sub variable {
    my ($name) = @_;

    return $ENV{$name} if defined $ENV{$name};
    return $ENV{$name} = VaultNginx::free_port()
        if $name =~ /^TEST_NGINX_RAND_PORT_\d+$/;

    bail_out("the environment has no $name");
}


# Running

sub run_tests {
    $ENV{TEST_NGINX_SERVER_ROOT} = server_root();
    $ENV{TEST_NGINX_HTML_DIR} = html_dir();
    $ENV{TEST_NGINX_SERVER_PORT} = server_port();

    for my $block (blocks()) {
        $_->($block) for @BlockPreprocessors;
        run_block($block);
    }

    $_->() for @CleanupHandlers;
    stop_server();

    Test::More::is_deeply(\@complaints, [], 'nginx left nothing behind');
}


sub run_block {
    my ($block) = @_;

    if (!start_server($block)) {
        return;
    }

    for my $round (0 .. $repeat - 1) {
        run_requests($block, $round);
    }
}


sub start_server {
    my ($block) = @_;

    my %conf = block_conf($block);
    my $text = join "\0", map { "$_=" . ($conf{$_} // '') } sort keys %conf;

    if ($nginx && $text eq $current) {
        write_user_files($block->user_files);
        return 1;
    }

    stop_server();
    write_user_files($block->user_files);

    $nginx = VaultNginx->new(%conf, root => server_root(), env => env(),
                             port => server_port());

    if (!eval { $nginx->start; 1 }) {
        Test::More::fail($block->name . " - $@");
        undef $nginx;
        $current = '';
        return 0;
    }

    $port = $ENV{TEST_NGINX_SERVER_PORT} = $nginx->port;
    $current = $text;
    return 1;
}


sub block_conf {
    my ($block) = @_;

    my $server = expand($block->config // '');

    if ($root_location && $server !~ m{location\s+(?:=\s+)?/\s*\{}) {
        $server .= "\nlocation / { index index.html; }\n";
    }

    return (
        %server,
        main   => expand($block->main_config // '')
                  . join('', map { "env $_;\n" } @env),
        http   => expand($block->http_config // ''),
        server => $server,
        ($block->log_level || $log_level
            ? (level => $block->log_level || $log_level) : ()),
    );
}


sub env {
    my %values;

    for (@env) {
        my ($name, $value) = split /=/, $_, 2;
        $values{$name} = $value // $ENV{$name} // '';
    }

    return \%values;
}


sub stop_server {
    return if !$nginx;

    push @complaints, $nginx->stop;
    undef $nginx;
    $current = '';
    unlink server_root() . '/logs/error.log';
}


# ">>> name" lines with a file's text below, or [[name => text], …]

sub write_user_files {
    my ($files) = @_;

    return if !defined $files;

    if (!ref $files) {
        my (undef, @parts) = split /^>>>[ \t]+(\S+).*\n/m, $files;
        $files = [];
        push @$files, [splice @parts, 0, 2] while @parts;
    }

    for my $file (@$files) {
        VaultNginx::write_file(html_dir() . "/$file->[0]", $file->[1] // '');
    }
}


# Requests: a list of exchanges, each { packets, methods }.

sub exchanges {
    my ($block) = @_;

    if (defined(my $raw = $block->raw_request)) {
        my $packets = ref $raw ? $raw : [$raw];
        my ($method) = join('', map { ref $_ ? $_->{value} : $_ } @$packets)
                       =~ /^\s*(\S+)/;
        return { packets => $packets, methods => [$method] };
    }

    if (my $list = $block->pipelined_requests) {
        return pipeline($block, @$list);
    }

    my $request = $block->request;
    bail_out($block->name . ': no request') if !defined $request;

    my @requests = ref $request ? @$request : ($request);
    my $n = 0;

    return map { exchange_of($_, 'close', headers_of($block, $n++)) }
               @requests;
}


sub pipeline {
    my ($block, @requests) = @_;

    my @parts;

    for my $n (0 .. $#requests) {
        push @parts, exchange_of($requests[$n],
                                 $n == $#requests ? 'close' : 'keep-alive',
                                 headers_of($block, $n));
    }

    return {
        packets => [join '', map { @{$_->{packets}} } @parts],
        methods => [map { @{$_->{methods}} } @parts],
    };
}


sub headers_of {
    my ($block, $n) = @_;

    my $headers = $block->more_headers // '';
    $headers = $headers->[$n] // '' if ref $headers eq 'ARRAY';

    return grep { /\S/ && !/^\s*#/ } split /\r?\n/, expand("$headers");
}


# A request is a text "METHOD path [version]\nbody", or a list of packets,
# which are texts or { value => text, delay_before => seconds }.

sub exchange_of {
    my ($request, $connection, @headers) = @_;

    my @packets = map { ref $_ ? { %$_ } : { value => $_ } }
                      ref $request ? @$request : ($request);
    my $text = join '', map { $_->{value} } @packets;

    $text =~ s/\A(?:\s*#[^\n]*\n|\s+)+//;
    my ($line, $body) = split /\r?\n/, $text, 2;
    $body //= '';

    my ($method, $path, $version) = split ' ', expand($line);
    $path //= '/';
    $version //= 'HTTP/1.1';

    my @lines = ("$method $path $version");
    my $named = join "\n", '', @headers;
    my $framed = $named =~ /\n(?:Content-Length|Transfer-Encoding):/i;

    push @lines, 'Host: localhost' if $named !~ /\nHost:/i;
    push @lines, "Connection: $connection" if $named !~ /\nConnection:/i;
    push @lines, @headers;

    if (!$framed && $body ne '') {
        $body =~ s/^\s+|\s+$//g;
        push @lines, 'Content-Length: ' . length $body;
    }

    my $head = join("\r\n", @lines) . "\r\n\r\n";

    return { packets => packets_of($head, $body, @packets),
             methods => [$method] };
}


# The head goes with the first packet; the others keep their pauses.

sub packets_of {
    my ($head, $body, @packets) = @_;

    return [$head . $body] if @packets < 2;

    my (undef, $first) = split /\r?\n/, (shift @packets)->{value}, 2;

    return [$head . ($first // ''), @packets];
}


sub run_requests {
    my ($block, $round) = @_;

    my @exchanges = exchanges($block);
    my $many = @exchanges > 1 || @{$exchanges[0]{methods}} > 1;
    my $from = $nginx->log_size;
    my $n = 0;

    for my $exchange (@exchanges) {
        my @answers = VaultHttp::exchange(
            $nginx->port, $exchange->{packets},
            methods => $exchange->{methods},
            delay   => $block->raw_request_middle_delay,
            timeout => ($block->timeout // $timeout) * time_factor($block));

        for my $answer (@answers) {
            check_answer($block, $answer, $n, $round, $many);
            $n++;
        }
    }

    sleep $block->wait if $block->wait;

    check_logs($block, $from, $round);
}


# A client that leaves does so in time; all other patience is stretched on
# slow builds.

sub time_factor {
    my ($block) = @_;

    return defined $block->abort ? 1 : $VaultNginx::SLOW;
}


# Checks

sub check_answer {
    my ($block, $answer, $n, $round, $many) = @_;

    my $name = $block->name;
    my $error = $answer->{error};

    print STDERR $answer->{raw_headers} // '', $answer->{body} // '', "\n"
        if $ENV{TEST_NGINX_VERBOSE};

    if ($error && defined $block->ignore_response) {
        return if defined $block->abort || $error !~ /timeout/;
    }

    if ($error) {
        Test::More::fail("$name - $error");
    }

    return if defined $block->ignore_response;

    my $pick = sub {
        my ($value) = @_;

        return ref $value eq 'ARRAY' ? $value->[$n] : $value;
    };

    check_status($block, $answer, $pick);
    check_headers($block, $answer, $pick);
    check_body($block, $answer, $pick);

    for my $check (@ResponseBodyChecks) {
        $check->($block, $answer->{body}, $n, $round, undef);
    }
}


sub check_status {
    my ($block, $answer, $pick) = @_;

    my $status = $answer->{status} // '';
    my $name = $block->name . ' - status';

    if (defined(my $like = $block->error_code_like)) {
        my $pattern = $pick->($like);
        chomp $pattern;
        Test::More::like($status, qr/$pattern/s, $name);
        return;
    }

    my $expected = $pick->($block->error_code) // 200;
    $expected =~ s/\s+//g;
    Test::More::is($status, $expected, $name)
        || Test::More::diag(substr $answer->{body} // '', 0, 2000);
}


sub check_headers {
    my ($block, $answer, $pick) = @_;

    my $name = $block->name;

    for my $line (lines_of($pick->($block->response_headers))) {
        if ($line =~ /^!\s*(\S+)/) {
            Test::More::is(VaultHttp::header($answer, $1), undef,
                           "$name - no header $1");
            next;
        }

        my ($header, $value) = split /\s*:\s*/, $line, 2;
        Test::More::is(VaultHttp::header($answer, $header) // '', $value // '',
                       "$name - header $header");
    }

    for my $line (lines_of($pick->($block->response_headers_like))) {
        my ($header, $value) = split /\s*:\s*/, $line, 2;
        Test::More::like(VaultHttp::header($answer, $header) // '',
                         qr/^$value$/, "$name - header $header");
    }

    my $raw = $answer->{raw_headers} // '';

    if (defined(my $like = $pick->($block->raw_response_headers_like))) {
        chomp $like;
        Test::More::like($raw, qr/$like/s, "$name - raw headers");
    }

    if (defined(my $unlike = $pick->($block->raw_response_headers_unlike))) {
        chomp $unlike;
        Test::More::unlike($raw, qr/$unlike/s, "$name - raw headers");
    }
}


sub lines_of {
    my ($text) = @_;

    return grep { /\S/ } split /\n/, $text // '';
}


sub check_body {
    my ($block, $answer, $pick) = @_;

    my $name = $block->name . ' - body';
    my $body = $answer->{body};

    if (defined(my $expected = expand($pick->($block->response_body)))) {
        ref $expected ? Test::More::like($body, $expected, $name)
                      : Test::More::is($body, $expected, $name);
    }

    if (defined(my $like = $pick->($block->response_body_like))) {
        chomp $like if !ref $like;
        Test::More::like($body, qr/$like/s, $name);
    }

    if (defined(my $unlike = $pick->($block->response_body_unlike))) {
        chomp $unlike if !ref $unlike;
        Test::More::unlike($body, qr/$unlike/s, $name);
    }
}


# nginx writes its log before it answers, except for what it does after; a
# pattern gets a moment to appear.

sub check_logs {
    my ($block, $from, $round) = @_;

    my $name = $block->name;

    for my $pattern (patterns($block->error_log)) {
        my $found;

        for (1 .. 50 * $VaultNginx::SLOW) {
            last if $found = matches($nginx->log_text($from), $pattern);
            sleep 0.01;
        }

        Test::More::ok($found, "$name - error log has $pattern");
        $nginx->expect_log($pattern) if "$pattern" =~ /\[(?:alert|emerg)/;
    }

    for my $pattern (patterns($block->no_error_log)) {
        my $found = matches($nginx->log_text($from), $pattern);
        Test::More::is($found, undef, "$name - error log lacks $pattern");
    }
}


sub patterns {
    my ($value) = @_;

    return () if !defined $value;
    return @$value if ref $value eq 'ARRAY';
    return $value if ref $value;
    return lines_of($value);
}


sub matches {
    my ($text, $pattern) = @_;

    for my $line (split /\n/, $text) {
        return $line if ref $pattern ? $line =~ $pattern
                                     : index($line, $pattern) >= 0;
    }

    return undef;
}


# A block answers every section name; an absent one is undefined.

package Test::Nginx::Block;

our $AUTOLOAD;

sub set_value {
    my ($self, $section, $value) = @_;

    $self->{values}{$section} = $value;
}


sub AUTOLOAD {
    my ($self) = @_;

    my $section = $AUTOLOAD =~ s/.*:://r;
    return if $section eq 'DESTROY';
    return $self->{values}{$section};
}


1;
