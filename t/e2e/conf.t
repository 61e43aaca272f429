#!/usr/bin/perl
# The example configurations pass nginx -t, and the README's table of
# directives is the module's.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use VaultNginx ();
use VaultServer qw(folder_of);

my $ROOT = $VaultNginx::ROOT;
my $dir = folder_of();


# The example, moved from the paths of a real machine below this test's folder.

sub moved {
    my ($text) = @_;
    my ($module) = VaultNginx::modules();

    $text =~ s{^load_module .*;}{load_module $module;}m;
    $text =~ s{^user .*;}{}m if $> != 0;
    $text =~ s{/etc/ssl/vault/fullchain\.pem}{$dir/tls/server.pem}g;
    $text =~ s{/etc/ssl/vault/privkey\.pem}{$dir/tls/server.key}g;
    $text =~ s{/var/log/nginx|/var/lib/vault|/run/}{$dir/}g;

    $text =~ s/^ +listen \[::\].*;\n//mg if !-s '/proc/net/if_inet6';

    # They need a privilege to bind, or are taken by somebody.
    my ($https, $http) = map { VaultNginx::free_port() } 1, 2;
    $text =~ s/(listen (?:\[::\]:)?)443\b/$1$https/g;
    $text =~ s/(listen (?:\[::\]:)?)80\b/$1$http/g;

    # The default lies in /var/lib/vault, which a test machine lacks.
    $text =~ s{^( +)server_name .*;\n}{$&$1vault_database sqlite:$dir/v.db;\n}m
        if $text !~ /^ *vault_database/m;

    $text .= "\nerror_log $dir/error.log;\n" if $text !~ /^error_log/m;
    $text .= "pid $dir/nginx.pid;\n" if $text !~ /^pid/m;
    $text =~ s/^http \{\n/http {\n    client_body_temp_path $dir\/body;\n/m
        if $text !~ /^ *client_body_temp_path/m;

    return $text;
}


sub nginx_test {
    my ($text) = @_;

    VaultNginx::write_file("$dir/nginx.conf", moved($text));
    return `nginx -t -p '$dir' -c '$dir/nginx.conf' -e stderr 2>&1`;
}


sub read_conf {
    my ($name) = @_;

    my $text = VaultNginx::read_file("$ROOT/conf/$name");
    ok($text =~ /\bvault on;/, "conf/$name has a vault");
    return $text;
}


sub examples {
    my $tls = "$dir/tls";

    is(system("$ROOT/conf/tls '$tls' > /dev/null"), 0, 'a certificate');
    chmod 0777, $dir;

    like(nginx_test(read_conf($_)), qr/test is successful/,
         "nginx takes conf/$_") for 'minimal.conf', 'single.conf';

    # The location for uploads, and the resolver that it asks for.
    my $text = read_conf('single.conf');
    my $bucket = VaultNginx::read_file("$ROOT/conf/bucket.conf");
    my $files = 'vault_files s3://bucket?region=eu-west-1;';

    VaultNginx::write_file("$dir/bucket.conf", $bucket);
    $text =~ s{^( +)location / \{}{$1$files\ninclude $dir/bucket.conf;\n$&}m;
    like(nginx_test($text), qr/"vault_bucket" without "resolver"/,
         'conf/bucket.conf wants a resolver');

    my ($resolver) = $bucket =~ /^#\s+(resolver .*;)$/m;
    $text =~ s{\Q$files\E}{$files $resolver};
    my $said = nginx_test($text);
    like($said, qr/test is successful/, 'nginx takes conf/bucket.conf');
    unlike($said, qr/\[warn\]/, 'without a warning');

    # Also what its comments offer: each "#directive …;" in turn.
    $text = read_conf('single.conf');
    my @offers = $text =~ /^ +#((?:vault|real|set)\S* .*;)$/mg;
    cmp_ok(@offers, '>', 4, 'conf/single.conf has offers in comments');

    mkdir "$dir/web";
    VaultNginx::write_file("$dir/database",
                           "postgresql://vault\@[::1]/vault\n");

    for my $offer (@offers) {
        my ($name) = $offer =~ /^(\S+)/;
        my $changed = $text;

        $changed =~ s/^ +\Q$name\E .*;\n//mg;
        $changed =~ s/^ +#\Q$offer\E$/        $offer/m;
        $changed =~ s{file:/etc/vault/database}{file:$dir/database};
        $changed =~ s{/usr/share/vault/web}{$dir/web};
        $changed =~ s{file:/etc/vault/mail}{file:$dir/database};
        $changed =~ s{^ +vault_mail .*\n}{$&vault_mail_from v\@example.com;\n}m;
        $changed =~ s{^( +)vault_origin}{$1vault_files file:$dir/files;\n$&}m
            if $changed !~ /^ +vault_files/m;
        like(nginx_test($changed), qr/test is successful/, $offer);
    }
}


# The image's configuration: all that differs comes from variables, which its
# comment lists; few of them are needed.

sub lambda {
    my $text = read_conf('lambda.conf');
    my ($comment) = $text =~ /\A((?:#.*\n)+)/;
    my %listed = map { ($_ => 1) } $comment =~ /^#   (VAULT_\w+) /mg;
    my %used = map { ($_ => 1) } $text =~ /env:(\w+)/g;
    my @needed = sort $text =~ /env:(\w+);/g, $text =~ /env:(\w+)$/mg;

    is_deeply(\%listed, \%used, 'conf/lambda.conf lists its variables');
    is_deeply(\@needed, [qw(VAULT_DATABASE VAULT_FILES VAULT_ORIGIN_SECRET)],
              'and needs these');

    my %env = (VAULT_DATABASE => 'postgresql://vault@[::1]/vault',
               VAULT_FILES => 's3://bucket/files?region=eu-west-1',
               VAULT_ORIGIN_SECRET => 'x' x 16);

    my $port = VaultNginx::free_port();
    $text =~ s/(listen 127\.0\.0\.1:)8080;/$1$port;/;
    $text =~ s{/tmp/}{$dir/tmp/}g;
    mkdir "$dir/tmp";
    chmod 0777, "$dir/tmp";

    for my $missing ('', @needed) {
        local %ENV = (%ENV, %env);
        delete $ENV{$missing} if $missing;
        my $said = nginx_test($text);

        if ($missing) {
            like($said, qr/variable "$missing" is not set/, "no $missing");
        } else {
            like($said, qr/test is successful/, 'nginx takes conf/lambda.conf');
            unlike($said, qr/\[warn\](?!.*"user" directive)/, 'gladly');
        }
    }
}


# name => context, from the command table of the module

sub commands {
    my $text = VaultNginx::read_file("$ROOT/ngx_http_vault_module.c");
    my $agent = VaultNginx::read_file("$ROOT/src/module/agent_commands.h");
    my %place = (MAIN => 'http', SRV => 'server', LOC => 'location');
    my %command;

    my ($table) = $text =~ /ngx_command_t\s+\w+\[\] = \{(.*?)^\};/ms;
    $agent =~ s/ *\\$//mg;
    my ($srv) = $agent =~ /#define VAULT_SRV\s+(.*)/;
    my ($rows) = $agent =~ /#define VAULT_AGENT_COMMANDS\s(.*)^#endif/ms;
    $table =~ s/\bVAULT_AGENT_COMMANDS\b/$rows/;
    my $any = "$srv|NGX_HTTP_LOC_CONF";

    $table =~ s/vault_srv(?:_secret)?\("(\w+)"/{ ngx_string("$1"), $srv,/g;
    $table =~ s/vault_any\("(\w+)"/{ ngx_string("$1"), $any,/g;
    $table =~ s/\bVAULT_SRV\b/$srv/g;

    while ($table =~ /\{ ngx_string\("(\w+)"\),\s*([\w|]+)/g) {
        my ($name, $flags) = ($1, $2);
        $command{$name} = join ', ', map { $place{$_} }
                                     $flags =~ /NGX_HTTP_(MAIN|SRV|LOC)_CONF/g;
    }

    return \%command;
}


sub documented {
    my $text = VaultNginx::read_file("$ROOT/README.md");
    my ($table) = $text =~ /^## Directives\n(.*?)^(?:##|\*)/ms;
    my %row;

    for my $line (grep { /^\| `/ } split /\n/, $table) {
        my @cell = split /\s*(?<!\\)\|\s*/, $line;
        my ($name) = $cell[1] =~ /^`(\w+)/;
        $row{$name} = { default => $cell[2], context => $cell[3],
                        meaning => $cell[4] };
    }

    return \%row;
}


# "`5s`" against the number that the module merges in; without a unit, a time
# is in days

sub value_of {
    my ($text, $kind) = @_;

    my %unit = (s => 1, m => 60, h => 3600, d => 86400);
    my %size = (k => 1 << 10, m => 1 << 20, g => 1 << 30);
    return $1 * $size{$2} if $kind =~ /size|off/ && $text =~ /^`(\d+)([kmg])`$/;
    return $1 * $unit{$2} if $text =~ /^`(\d+)([smhd])`$/;
    return $1 * $unit{d} if $kind eq 'sec' && $text =~ /^`(\d+)`$/;
    return $1 if $text =~ /^`(\d+)`$/;
    return { on => 1, off => 0 }->{$1} if $text =~ /^`(on|off)`$/;
    return $1 if $text =~ /^`(\D.*)`$/;
    return undef;
}


sub module_defaults {
    my $text = join '', map { VaultNginx::read_file($_) }
                   "$ROOT/ngx_http_vault_module.c", glob "$ROOT/src/module/*.c";
    my (%member, %default);

    $member{$2} = $1
        while $text =~ /vault_srv\("(\w+)",[^()]*?([\w.]+),\s*[^,]*\),/g;

    while ($text =~ /ngx_conf_merge_(\w+)_value\(conf->([\w.]+),\s*
                     prev->[\w.]+,\s*([^;]+)\);/xg)
    {
        my ($kind, $name, $value) = ($1, $member{$2}, $3);

        next if !defined $name || $value !~ /^"(.+)"$|^([\d\s*]+)$/;
        $value = defined $1 ? $1 : eval $2;
        $value /= 1000 if $kind eq 'msec';
        $default{$name} = [$kind, $value];
    }

    return \%default;
}


sub directives {
    my ($commands, $documented) = (commands(), documented());

    cmp_ok(keys %$commands, '>', 15, 'the command table was read');
    is_deeply([sort keys %$documented], [sort keys %$commands],
              'the README names every directive and no other');

    for my $name (sort keys %$documented) {
        my $row = $documented->{$name};

        is($row->{context}, $commands->{$name}, "context of $name");
        like($row->{meaning}, qr/^[A-Z`].{10,}/, "meaning of $name");
    }

    my $defaults = module_defaults();
    cmp_ok(keys %$defaults, '>', 5, 'defaults were read');

    for my $name (sort keys %$defaults) {
        my ($kind, $value) = @{$defaults->{$name}};

        is(value_of($documented->{$name}{default}, $kind), $value,
           "default of $name");
    }
}


subtest 'example configurations' => \&examples;
subtest 'the image of Lambda' => \&lambda;
subtest 'table of directives' => \&directives;

done_testing();
