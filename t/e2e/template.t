#!/usr/bin/perl
# aws/template.yaml, and the one of the zip flavour, against what they must
# agree with: conf/lambda.conf, the headers of src/web/static.c, the paths of
# the API; and what they let whom do.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use VaultNginx ();
use VaultServer ();

my $ROOT = $VaultNginx::ROOT;

my %MADE_BY = (image => "cat '$ROOT/aws/template.yaml'",
               zip   => "'$ROOT/aws/zip-template'");

my ($flavour, $yaml, $json, $template, $resources, $parameters);


sub read_template {
    ($flavour) = @_;

    $yaml = `$MADE_BY{$flavour}`;
    $json = `$MADE_BY{$flavour} | '$ROOT/t/tools/template' json`;
    die "t/tools/template json failed\n" if $? != 0;

    $template = JSON::PP->new->utf8->decode($json);
    $resources = $template->{Resources};
    $parameters = $template->{Parameters};
}


sub of_type {
    my ($type) = @_;

    return grep { $resources->{$_}{Type} eq $type } sort keys %$resources;
}

sub properties { return $resources->{$_[0]}{Properties} }

sub list { return ref $_[0] eq 'ARRAY' ? @{$_[0]} : $_[0] }

sub text { return JSON::PP->new->canonical->encode([$_[0]]) }


# A value with its intrinsic functions left out: the words of a Sub

sub words {
    my ($value) = @_;

    return $value if !ref $value;
    my ($sub) = ref $value eq 'HASH' ? $value->{'Fn::Sub'} : undef;
    return ref $sub ? $sub->[0] : $sub if defined $sub;
    return text($value);
}


sub statements {
    my ($role) = @_;

    return map { list($_->{PolicyDocument}{Statement}) }
           @{properties($role)->{Policies} || []};
}


sub size {
    # More than this and it cannot be given to CloudFormation as it is.
    cmp_ok(length $yaml, '<=', 51_200, '50 KB at most');
    unlike($yaml, qr/^Transform/m, 'plain CloudFormation');
    unlike($yaml, qr/\b[0-9]{12}(?=:(?!layer))/, 'no account of anybody');
}


sub parameters {
    for my $name (sort keys %$parameters) {
        my $p = $parameters->{$name};

        like($p->{Description}, qr/^\S.{9,}\.?$/s, "$name says what it is");
        ok($p->{AllowedPattern} || $p->{AllowedValues}
           || defined $p->{MinValue} && defined $p->{MaxValue},
           '  and takes only what it can be');

        if ($p->{AllowedPattern}) {
            like($p->{AllowedPattern}, qr/^\^.*\$$/, '  as a whole');
            unlike("x\" y\n\$(z)", qr/$p->{AllowedPattern}/, '  and no more');
            like($p->{Default}, qr/$p->{AllowedPattern}/, '  as its default is')
                if defined $p->{Default};
        }

        my $uses = () = $json =~ /"Ref": "$name"|\$\{$name\}/g;
        cmp_ok($uses, '>=', 1, '  and is used');
    }

    my @code = $flavour eq 'zip' ? ('ZipBucket', 'ZipKey') : 'ImageUri';
    is_deeply([grep { !defined $parameters->{$_}{Default} }
               sort keys %$parameters], [sort @code, 'OriginSecret'],
              'only the code and the secret have no default');
    ok($parameters->{$_}{NoEcho}, "$_ is not shown")
        for 'OriginSecret', 'OriginSecretOther';

    my @shown = map { @{$_->{Parameters}} } @{$template->{Metadata}
        {'AWS::CloudFormation::Interface'}{ParameterGroups}};
    is_deeply([sort @shown], [sort keys %$parameters],
              'the console shows all of them');
}


# What a parameter takes is what the directive behind it takes.

sub values_of {
    my %takes = (
        DomainName => { yes => ['vault.example.com', ''],
                        no => ['vault', 'https://vault.example.com', 'a.b/c'] },
        ImageUri => {
            yes => ['123456789012.dkr.ecr.eu-west-1.amazonaws.com/vault'
                    . '@sha256:' . 'a' x 64],
            no => ['ghcr.io/x/y:1', 'vault'] },
        OriginSecret => { yes => ['a' x 48], no => ['a' x 31, 'a b' x 20] },
        TrashDays => { yes => ['30', 'off'], no => ['0', '-1', '30d'] },
        FileMax => { yes => ['256m', '1000'], no => ['0', 'off', '1g'] },
        FileQuota => { yes => ['1g', 'off'], no => ['none', '0'] },
        MailFromAddress => { yes => ['vault@example.com', ''],
                             no => ['vault', 'a@b', '<a@example.com>'] },
    );

    for my $name (grep { $parameters->{$_} } sort keys %takes) {
        my $pattern = $parameters->{$name}{AllowedPattern};

        like($_, qr/$pattern/, "$name may be \"$_\"")
            for @{$takes{$name}{yes}};
        unlike($_, qr/$pattern/, "$name may not be \"$_\"")
            for @{$takes{$name}{no}};
    }
}


# "sam deploy" looks a runtime up by its name, and dies if that is a function of
# CloudFormation.

sub code {
    for my $name ('Function', 'MigrateFunction') {
        my %of = map { $_ => properties($name)->{$_} }
                 qw(PackageType Runtime Handler);

        is_deeply(\%of, $flavour eq 'zip'
                        ? { PackageType => 'Zip', Handler => 'bootstrap',
                            Runtime => 'provided.al2023' }
                        : { PackageType => 'Image', Handler => undef,
                            Runtime => undef }, "$name is of its flavour");
    }
}


# Each variable of the functions is one that conf/lambda.conf reads, and the
# adapter's are as it says.

sub environment {
    my $conf = VaultNginx::read_file("$ROOT/conf/lambda.conf");
    my %read;

    $read{$1} = $2 while $conf =~ /\benv:(VAULT_\w+)(:-)?/g;
    my %adapter = $conf =~ /^#\s+(AWS_LWA_\w+)\s+(\S+)$/mg;

    cmp_ok(keys %read, '>', 10, 'conf/lambda.conf reads variables');
    cmp_ok(keys %adapter, '>=', 4, 'and says what the adapter needs');

    for my $name ('Function', 'MigrateFunction') {
        my $set = properties($name)->{Environment}{Variables};

        is_deeply([grep { /^VAULT_/ && !exists $read{$_} } sort keys %$set],
                  [], "$name sets nothing that nobody reads");
        is_deeply([grep { !$read{$_} && !exists $set->{$_} } sort keys %read],
                  [], '  and all that has no default');
        is_deeply({ map { $_ => $set->{$_} } grep { /^AWS_LWA_/ } keys %$set },
                  \%adapter, '  and tells the adapter what it must');
    }

    my $set = properties('Function')->{Environment}{Variables};
    is_deeply([grep { /^VAULT_/ } sort keys %$set], [sort keys %read],
              'the vault itself can be told everything');
    is(words($set->{VAULT_DATABASE}), 'dsql://${Cluster.Endpoint}',
       'it is no admin of its database');
    is(properties('FunctionUrl')->{InvokeMode}, 'RESPONSE_STREAM',
       'the URL streams');
    is($set->{AWS_LWA_INVOKE_MODE}, 'response_stream',
       'and so does the adapter');
}


# What the functions are told is what the module takes: the template's words,
# made what CloudFormation would make of them, before "nginx -t".

my %MADE = (
    'AWS::Region' => 'eu-west-1', FilesBucket => 'vault-files',
    'Cluster.Endpoint' => 'a' x 26 . '.dsql.eu-west-1.on.aws',
    'FunctionRole.Arn' => 'arn:aws:iam::123456789012:role/vault-F-1X2Y',
);

sub made {
    my ($value, $set) = @_;

    return $value if !ref $value;
    my ($function, $argument) = %$value;

    if ($function eq 'Ref') {
        return $set->{$argument} // $MADE{$argument}
               // $parameters->{$argument}{Default} // die "$argument?\n";
    }

    if ($function eq 'Fn::If') {
        my ($condition, @ways) = @$argument;
        return made($ways[holds($template->{Conditions}{$condition}, $set)
                          ? 0 : 1], $set);
    }

    die "$function?\n" if $function ne 'Fn::Sub';
    my ($text, $names) = ref $argument ? @$argument : ($argument, {});

    my $named = sub { made($names->{$_[0]} // { Ref => $_[0] }, $set) };

    return $text =~ s/\$\{([^}]+)\}/$named->($1)/ger;
}


sub holds {
    my ($condition, $set) = @_;
    my ($function, $argument) = %$condition;

    return holds($template->{Conditions}{$argument}, $set)
        if $function eq 'Condition';
    return !holds($argument->[0], $set) if $function eq 'Fn::Not';
    return !grep { !holds($_, $set) } @$argument if $function eq 'Fn::And';
    return made($argument->[0], $set) eq made($argument->[1], $set);
}


sub told {
    my $dir = VaultServer::folder_of();
    my $conf = VaultNginx::read_file("$ROOT/conf/lambda.conf");
    my ($module) = VaultNginx::modules();
    my $image = '123456789012.dkr.ecr.eu-west-1.amazonaws.com/vault:1';

    $conf =~ s{/tmp/}{$dir/}g;
    $conf =~ s{^load_module .*;}{load_module $module;}m;
    $conf =~ s{127\.0\.0\.1:8080}{'127.0.0.1:' . VaultNginx::free_port()}e;
    VaultNginx::write_file("$dir/nginx.conf", $conf);

    my %least = (OriginSecret => 'a' x 32, ImageUri => $image);
    my %most = (
        %least, OriginSecretOther => 'b' x 64, Signups => 'off',
        DomainName => 'vault.example.com', MailRegion => 'us-east-1',
        MailFromAddress => 'vault@example.com', MailFromName => 'Our Vault',
        PasswordHint => 'show', TrashDays => 'off', FileMax => '100m',
        FileQuota => 'off', SignupsVerify => 'off');

    my %sets = (least => \%least, most => \%most);

    for my $which (sort keys %sets) {
        for my $name ('Function', 'MigrateFunction') {
            my $variables = properties($name)->{Environment}{Variables};
            my %env = map { $_ => made($variables->{$_}, $sets{$which}) }
                      keys %$variables;

            local %ENV = (PATH => $ENV{PATH}, %env,
                          AWS_LAMBDA_FUNCTION_NAME => 'vault');

            my $said = `nginx -t -p '$dir' -c '$dir/nginx.conf' -e stderr 2>&1`;
            like($said, qr/test is successful/, "$name takes $which of it");
            unlike($said, qr/\[warn\]/, '  without a warning');
        }
    }
}


# Who may do what

sub permissions {
    my @roles = of_type('AWS::IAM::Role');
    cmp_ok(@roles, '>=', 4, 'there are roles');

    my @all = map { statements($_) } @roles;
    push @all, map { list(properties($_)->{PolicyDocument}{Statement}) }
               of_type('AWS::IAM::Policy');

    for my $s (@all) {
        my @action = list($s->{Action});
        my $name = join ' ', @action;

        is($s->{Effect}, 'Allow', "$name is allowed");
        is_deeply([grep { !/^[a-z0-9]+:\w+$/ } @action], [],
                  '  by its name');
        is_deeply([grep { words($_) =~ /^\*$/ } list($s->{Resource})], [],
                  '  on something');
    }

    for my $name (@roles) {
        my @trust = list(properties($name)->{AssumeRolePolicyDocument}
                         {Statement});
        is(@trust, 1, "$name is for one");
        like($trust[0]{Principal}{Service}, qr/^\w+\.amazonaws\.com$/,
             '  service');
        ok(!properties($name)->{ManagedPolicyArns}
           || $resources->{$name}{Condition} eq 'HasBackup',
           '  without policies of others');
    }

    my %may = map { my $role = $_;
                    $role => [map { list($_->{Action}) } statements($role)] }
              @roles;

    is_deeply([grep { grep { $_ eq 'dsql:DbConnectAdmin' } @{$may{$_}} }
               @roles], ['MigrateRole'], 'one role may be the admin');
    ok(!grep({ $_ eq 'dsql:DbConnect' } @{$may{MigrateRole}}),
       'and nothing else in the database');
    is_deeply([grep { /^dsql/ } @{$may{FunctionRole}}], ['dsql:DbConnect'],
              'the vault is no admin');
    is_deeply([sort grep { /^s3/ } @{$may{FunctionRole}}],
              [qw(s3:DeleteObject s3:GetObject s3:ListBucket s3:PutObject)],
              'it has its objects');
    is_deeply([grep { /^s3/ } @{$may{MigrateRole}}], [],
              'who migrates has none');

    my $mail = properties('MailPolicy')->{PolicyDocument}{Statement}[0];
    is($mail->{Condition}{StringEquals}{'ses:FromAddress'}{Ref},
       'MailFromAddress', 'mail comes from one address');
    is_deeply([sort @{$mail->{Action}}],
              ['ses:SendEmail', 'ses:SendRawEmail'], 'by both names of it');
}


# A function URL of today needs two permissions, and a door of its own.

sub front {
    my %given = map { properties($_)->{Action} => properties($_) }
                of_type('AWS::Lambda::Permission');

    is_deeply([sort keys %given],
              ['lambda:InvokeFunction', 'lambda:InvokeFunctionUrl'],
              'both permissions');
    is($given{'lambda:InvokeFunctionUrl'}{FunctionUrlAuthType}, 'NONE',
       'for a URL without IAM');
    ok($given{'lambda:InvokeFunction'}{InvokedViaFunctionUrl},
       'and by the URL alone');
    is($_->{FunctionName}{Ref}, 'Function', '  of the vault')
        for values %given;

    my $config = properties('Distribution')->{DistributionConfig};
    my %origin = map { $_->{Id} => $_ } @{$config->{Origins}};
    my $own = $origin{function};

    is($own->{CustomOriginConfig}{OriginReadTimeout}, 60,
       'CloudFront waits for a minute');
    is(properties('Function')->{Timeout}, 60, 'as long as the function may');
    is($own->{OriginCustomHeaders}[0]{HeaderName}, 'X-Vault-Origin-Secret',
       'it brings the secret');
    like(VaultNginx::read_file("$ROOT/README.md"), qr/`X-Vault-Origin-Secret`/,
         'in the header that the module reads');
    ok(!$origin{files}{OriginAccessControlId},
       'the files\' bucket takes the links\' own signature');
    ok($origin{web}{OriginAccessControlId}, 'the web vault\'s is closed');

    my %path = map { $_->{PathPattern} => $_ } @{$config->{CacheBehaviors}};
    my $driver = VaultNginx::read_file("$ROOT/src/run/driver.c");
    my ($roots) = $driver =~ /roots\[\] = \{(.*?)ngx_null_string/s;
    my @roots = $roots =~ m{ngx_string\("(/\w+)"\)}g;

    cmp_ok(@roots, '>', 4, 'the API\'s paths were read');
    is($path{"$_/*"}{TargetOriginId}, 'function', "$_/ is the vault's")
        for @roots;

    # Nothing may miss its way, and events none may have.
    my @miss;

    for my $route (VaultServer::routes()) {
        my $way = $route->[1];
        next if $way =~ m{^/\.vault/};
        push @miss, $way
            if !grep { my $p = quotemeta =~ s/\\\*/.*/gr; $way =~ /^$p$/ }
               keys %path;
    }

    is_deeply(\@miss, [], 'every route is somewhere');
    is($config->{DefaultCacheBehavior}{TargetOriginId}, 'web',
       'and events are nowhere');

    for my $name (grep { $path{$_}{TargetOriginId} ne 'web' } sort keys %path) {
        is($path{$name}{CachePolicyId}, '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
           "$name is not cached");
        ok(!$path{$name}{Compress}, '  nor compressed');
        is($path{$name}{ViewerProtocolPolicy}, 'https-only', '  nor in clear');
    }
}


# The same headers as nginx sends with the web vault's files

sub headers {
    my $static = VaultNginx::read_file("$ROOT/src/web/static.c");
    my ($connect) = $static =~ /#define CONNECT\s+"([^"]+)"/;
    my %sent;

    while ($static =~ /\{ "([A-Z][\w-]+)",\s*ngx_string\(((?:[^()]|\(\))*)\)/g)
    {
        my ($name, $value) = ($1, $2);
        $value =~ s/\bCONNECT\b/"$connect"/;
        push @{$sent{$name}}, join '', $value =~ /"([^"]*)"/g;
    }

    my $pages = properties('PageHeaders')->{ResponseHeadersPolicyConfig};
    my $frames = properties('FrameHeaders')->{ResponseHeadersPolicyConfig};
    my $security = $pages->{SecurityHeadersConfig};

    is(words($security->{ContentSecurityPolicy}{ContentSecurityPolicy}),
       "$sent{'Content-Security-Policy'}[0]"
       . ' https://${FilesBucket.RegionalDomainName}', 'the content policy');
    is($security->{FrameOptions}{FrameOption}, $sent{'X-Frame-Options'}[0],
       'who may frame it');
    is($security->{ReferrerPolicy}{ReferrerPolicy},
       $sent{'Referrer-Policy'}[0], 'what other sites learn');
    is($sent{'X-Content-Type-Options'}[0], 'nosniff', 'types are types');

    for my $policy ($pages, $frames) {
        is($policy->{CustomHeadersConfig}{Items}[0]{Value},
           $sent{'Permissions-Policy'}[0], 'what pages may use');
        ok($policy->{SecurityHeadersConfig}{ContentTypeOptions}{Override},
           '  as it is called');
    }

    ok(!$frames->{SecurityHeadersConfig}{$_}, "$_ is not for what is framed")
        for 'FrameOptions', 'ContentSecurityPolicy';

    my $deploy = VaultNginx::read_file("$ROOT/aws/deploy.sh");
    like($deploy, qr/\Q$_\E/, "$_, as deploy.sh says")
        for @{$sent{'Cache-Control'}};
}


# What holds data stays, and is closed.

sub data {
    for my $name (of_type('AWS::S3::Bucket')) {
        my $p = properties($name);

        ok($p->{BucketEncryption}, "$name is encrypted");
        is_deeply([grep { !$_ } values %{$p->{PublicAccessBlockConfiguration}}],
                  [], '  and closed');

        my ($policy) = grep { properties($_)->{Bucket}{Ref} eq $name }
                       of_type('AWS::S3::BucketPolicy');
        my ($tls) = grep { $_->{Sid} eq 'TlsOnly' }
                    @{properties($policy)->{PolicyDocument}{Statement}};
        is($tls->{Effect}, 'Deny', '  to whom speaks in clear');
        is(@{$tls->{Resource}}, 2, '  about anything in it');

        is($p->{VersioningConfiguration}{Status}, 'Enabled',
           '  what is in it can be brought back');
        my ($old, $unfinished) = @{$p->{LifecycleConfiguration}{Rules}};
        ok($old->{NoncurrentVersionExpiration}, '  but not for ever');
        ok($unfinished->{AbortIncompleteMultipartUpload},
           '  nor what never ended');
    }

    is($resources->{$_}{DeletionPolicy}, 'Retain', "$_ outlives the stack")
        for 'Cluster', 'FilesBucket';
    is(properties('Cluster')->{DeletionProtectionEnabled}{Ref},
       'DeletionProtection', 'the database is protected');
    is($parameters->{DeletionProtection}{Default}, 'true', 'from the start');
}


sub operation {
    is(properties('Schedule')->{Target}{Input}, '{"job":"maintenance"}',
       'the clock sends what the vault takes');
    ok(properties('Schedule')->{Target}{DeadLetterConfig},
       'and what fails is kept');
    ok(properties('LogGroup')->{RetentionInDays}, 'logs have an end');

    my %watched = map { properties($_)->{MetricName} => 1 }
                  of_type('AWS::CloudWatch::Alarm');
    ok($watched{$_}, "there is an alarm for $_")
        for qw(Errors Throttles Url5xxCount Duration LogAlerts
               ApproximateNumberOfMessagesVisible InvocationAttemptCount);

    my %out = %{$template->{Outputs}};
    my $deploy = VaultNginx::read_file("$ROOT/aws/deploy.sh");
    my @asked = $deploy =~ /(?<!-)\boutput (\w+)/g;
    cmp_ok(@asked, '>', 5, 'deploy.sh asks for outputs');
    is_deeply([grep { $_ ne 'NAME' && !$out{$_} } @asked], [],
              'which are all there');
}


for my $of (sort keys %MADE_BY) {
    read_template($of);
    note $of;

    subtest 'size' => \&size;
    subtest 'parameters' => \&parameters;
    subtest 'code' => \&code;
    subtest 'values' => \&values_of;
    subtest 'environment' => \&environment;
    subtest 'told' => \&told;
    subtest 'permissions' => \&permissions;
    subtest 'front' => \&front;
    subtest 'headers' => \&headers;
    subtest 'data' => \&data;
    subtest 'operation' => \&operation;
}

done_testing();
