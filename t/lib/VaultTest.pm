# What tests of the vault add to Test::Nginx::Socket's language.
#
#   use Test::Nginx::Socket 'no_plan';
#   use VaultTest;
#   run_tests();
#   __DATA__
#
#   === a folder keeps its name
#   --- as: alice
#   --- request
#   POST /api/folders
#   {"name": "{{enc:holidays}}"}
#   --- json
#   {"object": "folder", "id": "<uuid>", "name": "{{enc:holidays}}"}
#   --- save: holidays=id
#
# A block without config gets a vault on this file's own database (VaultServer).
#
# Sections  as      signs the request as that user, registered on first use;
#                   "alice/phone" is alice on a second device
#           vault   more directives, at the level of http
#           json    the answer must have these members; others are ignored;
#                   lists must be as long.  Texts that are matchers: <any>
#                   (there, not null), <uuid>, <date>, <int>, <bool>, <text>,
#                   <enc>, <absent>, <list>, <list:3>, <re:^a+$>
#           fails   the answer is the API's error object, with this message
#                   (empty: any)
#           save    name=path, one a line: path into the JSON answer, such as
#                   data.0.id; "." is the whole body
#
# {{…}}     in any text section: a saved name, enc:text, uuid:seed, b64:text,
#           now, date:seconds, form:name (escaped for a form), alice.id
#           (.email .hash .token .refresh .device .stamp .key .public_key
#           .private_key)
#
# "use VaultTest 'debug'" takes the debug build, with its endpoints that wait,
# unless VAULT_FLAVOUR asks for a special one.
#
# Bodies get the Content-Type that they look like, unless one is given.
# Without Test::Nginx::Socket the exported functions serve plain Perl tests.

package VaultTest;

use strict;
use warnings;

use JSON::PP ();
use Test::More ();

use VaultData qw(enc uuid b64 date cipher ciphers folder public_key form
                 json_text);
use VaultHttp ();
use VaultNginx ();
use VaultServer qw(vault_server vault_conf database folder_of user login call
                   status forget_users psql routes);

our @EXPORT = qw(
    enc uuid b64 date cipher ciphers folder public_key form json_text
    vault_server vault_conf database folder_of user login call status
    forget_users psql routes
    json_differences json_like api_error_like stops_clean save saved
    substituted
);

my %saved;
my @text_sections = qw(request raw_request pipelined_requests more_headers
                       json fails response_body response_body_like
                       response_body_unlike response_headers
                       response_headers_like error_log no_error_log as);


sub import {
    my ($class, $flavour) = @_;

    my $caller = caller;

    if (defined $flavour && $VaultNginx::FLAVOUR eq 'release') {
        $VaultNginx::FLAVOUR = $flavour;
    }

    no strict 'refs';
    *{"${caller}::$_"} = \&$_ for @EXPORT;

    return if !$INC{'Test/Nginx/Socket.pm'};

    Test::Nginx::Socket::no_shuffle();
    Test::Nginx::Socket::no_root_location();
    Test::Nginx::Socket::add_block_preprocessor(\&prepare);
    Test::Nginx::Socket::add_response_body_check(\&check);
    Test::Nginx::Socket::add_cleanup_handler(\&finish);
}


# Before a block

sub prepare {
    my ($block) = @_;

    if (!defined $block->config) {
        my ($http, $server) = vault_conf($block->vault);
        $block->set_value('http_config', $http . ($block->http_config // ''));
        $block->set_value('config', $server);
    }

    for my $section (@text_sections) {
        my $value = $block->$section;
        $block->set_value($section, substituted($value)) if defined $value;
    }

    my @headers = (content_type($block), authorization($block));
    add_headers($block, @headers) if @headers;
}


sub add_headers {
    my ($block, @more) = @_;

    my $headers = $block->more_headers // '';
    my $add = sub {
        my ($text) = @_;

        $text .= "\n" if $text ne '' && $text !~ /\n\z/;
        return $text . join "\n", @more;
    };

    $block->set_value('more_headers', ref $headers
                      ? [map { $add->($_) } @$headers] : $add->($headers));
}


sub authorization {
    my ($block) = @_;

    my $name = $block->as;
    return () if !defined $name;

    $name =~ s/\s+//g;
    return 'Authorization: Bearer ' . user($name)->{token};
}


sub content_type {
    my ($block) = @_;

    my $request = $block->request // ($block->pipelined_requests || [])->[0];
    my $headers = $block->more_headers // '';

    return () if !defined $request;
    return () if join("\n", ref $headers ? @$headers : $headers)
                 =~ /^Content-Type:/mi;

    $request = $request->[0] if ref $request;
    $request = $request->[0] if ref $request eq 'ARRAY';
    $request = $request->{value} if ref $request;

    my (undef, $body) = split /\n/, $request, 2;

    return () if !defined $body || $body !~ /\S/;
    return 'Content-Type: application/json' if $body =~ /^\s*[\[{]/;
    return 'Content-Type: application/x-www-form-urlencoded'
        if $body =~ /^\w+=/;
    return ();
}


# {{…}}, also in lists

sub substituted {
    my ($value) = @_;

    return [map { substituted($_) } @$value] if ref $value eq 'ARRAY';

    if (ref $value eq 'HASH') {
        return { map { $_ => substituted($value->{$_}) } keys %$value };
    }

    return $value if !defined $value || ref $value;

    $value =~ s/\{\{([^{}]+)\}\}/named($1)/ge;
    return $value;
}


sub named {
    my ($name) = @_;

    return $saved{$name} if exists $saved{$name};

    my ($verb, $rest) = split /:/, $name, 2;
    my %verbs = (enc => \&enc, uuid => \&uuid, b64 => \&b64, date => \&date);

    return $verbs{$verb}->($rest) if defined $rest && $verbs{$verb};
    return escaped(named($rest)) if defined $rest && $verb eq 'form';
    return uuid() if $name eq 'uuid';
    return date(0) if $name eq 'now';

    if ($name =~ m{^([\w/]+)\.(\w+)$} && exists user($1)->{$2}) {
        return user($1)->{$2};
    }

    die "nothing was saved as {{$name}}\n";
}


sub escaped { return form(x => $_[0]) =~ s/^x=//r }
sub save { my ($name, $value) = @_; $saved{$name} = $value }
sub saved { return $saved{$_[0]} }


# After each answer

sub check {
    my ($block, $body, $n) = @_;

    my $pick = sub {
        my ($value) = @_;
        return ref $value eq 'ARRAY' ? $value->[$n] : $value;
    };

    my $expected = $pick->($block->json);
    my $name = $block->name;

    if (defined $expected) {
        my $want = ref $expected ? $expected : decode($expected);

        if (!defined $want) {
            Test::More::fail("$name - the section json is not JSON: $@");
        } else {
            json_like($body, $want, "$name - json");
        }
    }

    if (defined(my $message = $pick->($block->fails))) {
        api_error_like($body, $message, "$name - error");
    }

    if (defined(my $lines = $pick->($block->save))) {
        save_lines($name, $body, $lines);
    }
}


sub save_lines {
    my ($name, $body, $lines) = @_;

    my $json = decode($body);

    for my $line (grep { /\S/ } split /\n/, $lines) {
        my ($key, $path) = $line =~ /^\s*([\w.-]+)=(\S+)\s*$/
            or die "$name - save is name=path, not: $line\n";

        my $value = $path eq '.' ? $body : at($json, $path);

        Test::More::ok(defined $value, "$name - saves $key")
            || Test::More::diag("no $path in $body");

        $saved{$key} = ref $value ? json_text($value) : $value;
    }
}


sub at {
    my ($value, $path) = @_;

    for my $step (split /\./, $path) {
        if (ref $value eq 'ARRAY' && $step =~ /^\d+$/) {
            $value = $value->[$step];

        } elsif (ref $value eq 'HASH') {
            $value = $value->{$step};

        } else {
            return undef;
        }
    }

    return $value;
}


sub decode {
    my ($text) = @_;

    utf8::encode($text) if utf8::is_utf8($text);
    return eval { JSON::PP->new->utf8->allow_nonref->decode($text) };
}


# The shape is bitwarden/server's ErrorResponseModel.

sub api_error_like {
    my ($body, $message, $name) = @_;

    chomp $message;
    my $text = $message eq '' ? '<text>' : $message;

    json_like($body, {
        object => 'error', message => $text,
        validationErrors => '<any>',
        errorModel => { object => 'error', message => $text },
    }, $name);
}


sub json_like {
    my ($body, $want, $name) = @_;

    my $got = ref $body ? $body : decode($body);
    my @differences = defined $got ? json_differences($got, $want, '')
                                   : 'not JSON';

    Test::More::ok(!@differences, $name)
        || Test::More::diag(join("\n", @differences), "\n",
                            'got ', ref $body ? json_text($body)
                                              : substr $body // '', 0, 3000);
}


# Ways in which `got` lacks what is wanted, each with its path

sub json_differences {
    my ($got, $want, $path) = @_;

    if (ref $want eq 'HASH') {
        return "$path: not an object" if ref $got ne 'HASH';

        return map { member_differences($got, $want, $path, $_) }
                   sort keys %$want;
    }

    if (ref $want eq 'ARRAY') {
        return "$path: not a list" if ref $got ne 'ARRAY';
        return "$path: " . @$got . ' items, not ' . @$want
            if @$got != @$want;

        return map { json_differences($got->[$_], $want->[$_], "$path.$_") }
                   0 .. $#$want;
    }

    if (defined $want && !ref $want && $want =~ /^<(\w+)(?::(.*))?>$/s) {
        my $is = match($got, $1, $2);
        return () if $is;
        return "$path: " . json_text($got) . " is not $want";
    }

    return () if json_text($got) eq json_text($want);
    return "$path: " . json_text($got) . ' is not ' . json_text($want);
}


sub member_differences {
    my ($got, $want, $path, $key) = @_;

    my $absent = !ref $want->{$key} && ($want->{$key} // '') eq '<absent>';

    if (!exists $got->{$key}) {
        return $absent ? () : "$path.$key: absent";
    }

    return "$path.$key: is there" if $absent;
    return json_differences($got->{$key}, $want->{$key}, "$path.$key");
}


my $B64 = qr{(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?};

my %texts = (
    uuid => qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    date => qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/,
    enc  => qr/^[0-7]\.$B64(?:\|$B64){0,2}$/,
    text => qr/./s,
);

sub match {
    my ($got, $kind, $arg) = @_;

    return defined $got if $kind eq 'any';
    return defined $got && !ref $got && json_text($got) =~ /^"/
           && $got =~ $texts{$kind} if $texts{$kind};
    return json_text($got) =~ /^-?\d+$/ if $kind eq 'int';
    return JSON::PP::is_bool($got) if $kind eq 'bool';
    return defined $got && $got =~ /$arg/ if $kind eq 're';
    return ref $got eq 'ARRAY' && (!defined $arg || @$got == $arg)
        if $kind eq 'list';

    die "no such matcher: <$kind>\n";
}


# At the end: what the servers still hold.  A connection goes back to its pool
# a moment after its answer.

sub stops_clean {
    my ($server, $name) = @_;

    my $state;

    for (1 .. 100 * $VaultNginx::SLOW) {
        $state = status($server);
        last if !$state->{coroutines} && !$state->{database}{busy}
                && !$state->{database}{waiting};
        select undef, undef, undef, 0.02;
    }

    json_like($state, { coroutines => 0,
                        database => { busy => 0, waiting => 0 } }, $name);
}


sub finish {
    my $port = Test::Nginx::Socket::server_port();
    my $answer = eval { call($port, 'GET', '/vault-status') };

    if ($answer && ($answer->{status} // 0) == 200) {
        stops_clean($port, 'no request is left behind');
    }

    Test::More::is_deeply([VaultServer::finish()], [],
                          'the server that users were registered on is well');
}


1;
