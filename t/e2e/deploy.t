#!/usr/bin/perl
# aws/deploy.sh against a cloud that knows what the real client takes
# (t/peers/cloud.py): what it does in which order, that it may be run again,
# and what becomes of a step that fails.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use File::Path ();
use JSON::PP ();
use POSIX ();
use Test::More;

use VaultNginx ();
use VaultPeer ();
use VaultServer qw(folder_of);

my $ROOT = $VaultNginx::ROOT;
my $dir = folder_of();
my $cloud;

# All that the scripts may find; nobody's real cloud
my @TOOLS = qw(awk bash cat dirname env find grep gzip head ln ls mkdir mktemp
               openssl perl printf rm sed sha256sum sleep sort tail tar tr
               uname wc);
my $archive = "docker-archive:$dir/image.tar";
my $HEX = '0123456789abcdef0123';


sub folder_with {
    my ($name, @stand_ins) = @_;
    my $bin = "$dir/$name";

    File::Path::make_path($bin);

    for my $tool (@TOOLS) {
        my ($real) = grep { -x } map { "$_/$tool" } split /:/, $ENV{PATH};
        symlink $real, "$bin/$tool" if $real;
    }

    symlink "$ROOT/t/peers/cloud_tool", "$bin/$_" for 'aws', 'curl', @stand_ins;
    return $bin;
}


# Runs a script of aws/: its output, its messages, whether it went well

sub script {
    my ($name, $bin, @arguments) = @_;

    local %ENV = (PATH => $bin, HOME => $dir, TMPDIR => "$dir/tmp",
                  DEPLOY_PAUSE => 0, VAULT_CLOUD => $cloud->url);
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/out" or POSIX::_exit(126);
        open STDERR, '>', "$dir/err" or POSIX::_exit(126);
        exec "$ROOT/aws/$name", @arguments or POSIX::_exit(127);
    }

    waitpid $pid, 0;
    my %run = (ok => $? == 0,
               out => VaultNginx::read_file("$dir/out"),
               err => VaultNginx::read_file("$dir/err"));

    my @left = glob "$dir/tmp/*";
    is_deeply(\@left, [], "$name leaves nothing on the disk") if @left;
    return \%run;
}


our $bin = folder_with('skopeo.bin', 'skopeo');

sub deploy { return script('deploy.sh', $bin, @_) }

sub new_cloud {
    $cloud //= VaultPeer->new('cloud');
    $cloud->set(reset => JSON::PP::true());
}

sub forget { $cloud->set(forget => JSON::PP::true()) }

# The commands since then that begin so
sub asked { return grep { /^\Q$_[0]\E/ } @{$cloud->state->{log}} }

sub went_well {
    my ($name, $run) = @_;

    ok($run->{ok}, $name) or diag $run->{err};
    return $run;
}

sub refused {
    my ($name, $run, $like) = @_;

    ok(!$run->{ok}, $name);
    like($run->{err}, $like, '  and says why');
    is($run->{out}, '', '  and no address');
}


sub prepare {
    VaultNginx::write_file("$dir/image.tar", 'an image');
    VaultNginx::write_file("$dir/vault.zip", 'a zip');
    mkdir "$dir/tmp";

    my %file = (
        'index.html' => '<html>', 'webauthn-connector.html' => '<html>',
        "app/main.$HEX.js" => 'let x;', "app/argon.$HEX.wasm" => 'wasm',
        "styles.$HEX.css" => 'a {}', 'favicon.ico' => 'icon',
        'locales/de.json' => '{}', 'manifest.webmanifest' => '{}',
        "fonts/a.$HEX.woff2" => 'font', 'notes' => 'x',
    );

    for my $name (keys %file) {
        File::Path::make_path("$dir/web-vault/$name" =~ s{/[^/]*$}{}r);
        VaultNginx::write_file("$dir/web-vault/$name", $file{$name});
    }

    system('tar', '-czf', "$dir/web.tar.gz", '-C', $dir, 'web-vault') == 0
        or die "tar failed\n";
}


sub words {
    new_cloud();

    refused('no code', deploy(), qr/needs --build, --image or --zip/);
    refused('two codes', deploy('--build', '--zip', "$dir/vault.zip"),
            qr/one of --build, --image and --zip/);
    refused('an option that is none', deploy('--bild'), qr/no --bild/);
    refused('an option without its value', deploy('--image'),
            qr/needs a value/);
    refused('a name without a digest', deploy('--image', 'a.example/b:1'),
            qr/needs a digest/);
    refused('a zip that is not there', deploy('--zip', '/no'), qr{is no /no});
    refused('a parameter that is none', deploy('--set', 'Sigups=off'),
            qr/no parameter "Sigups"/);
    refused('a parameter that is not for hands',
            deploy('--set', 'OriginSecret=x'), qr/--rotate-secret/);
    refused('an architecture that is none', deploy('--arch', 'mips'),
            qr/arm64 or x86_64/);
    refused('one of no code', deploy('--arch', 'arm64'), qr/is of the code/);
    refused('a name that no bucket may have', deploy('--stack', 'My_Vault'),
            qr/small letters/);
    refused('a web vault that is none',
            deploy('--image', $archive, '--web-vault', "$dir/tmp"),
            qr/no index\.html/);

    my $help = deploy('--help');
    ok($help->{ok} && $help->{out} =~ /^usage:/, 'help');
}


sub first {
    new_cloud();

    my $run = went_well('a vault is made',
                        deploy('--image', $archive, '--web-vault',
                               "$dir/web.tar.gz", '--set', 'Signups=off'));
    is($run->{out}, "https://d123.cloudfront.net\n", 'its address is said');

    my @order = ('aws sts get-caller-identity', 'aws ecr create-repository',
                 'skopeo login', 'skopeo copy', 'aws cloudformation deploy',
                 'aws lambda invoke', 'aws s3 sync', 'aws s3 cp',
                 'aws cloudfront create-invalidation', 'curl');
    my @log = @{$cloud->state->{log}};
    my @first = map { my $o = $_;
                      (grep { $log[$_] =~ /^\Q$o\E/ } 0 .. $#log)[0] } @order;

    is_deeply([grep { !defined $first[$_] } 0 .. $#first], [],
              'nothing was left out');
    is_deeply([sort { $a <=> $b } @first], \@first, 'one after the other');

    my $state = $cloud->state;
    my $repo = $state->{repositories}{vault};
    is($repo->{mutability}, 'IMMUTABLE', 'tags stay what they are');
    is($repo->{scan}, 'scanOnPush=true', 'images are scanned');
    ok($repo->{lifecycle}{rules}[0], 'old ones go');
    is($repo->{policy}{Statement}[0]{Principal}{Service},
       'lambda.amazonaws.com', 'Lambda may have them');

    my $set = $state->{stack}{parameters};
    like($set->{ImageUri}, qr/\.eu-west-1\..*\/vault\@sha256:[0-9a-f]{64}$/,
         'the code is named by its digest');
    is($set->{Architecture}, 'arm64', 'for arm64');
    is($set->{Signups}, 'off', 'what was set is set');
    like($set->{OriginSecret}, qr/^[0-9a-f]{48}$/, 'the secret is random');
    is(scalar(grep { /\Q$set->{OriginSecret}\E/ } @log, $run->{err}), 0,
       'and was in no argument and no message');
    is(scalar(grep { /a-password/ } @log), 0, 'nor was the password of ECR');
    is($state->{migrated}, 1, 'there are tables');

    my $web = $state->{buckets}{'vault-web'};
    my %type = ('index.html' => 'text/html; charset=utf-8',
                "app/argon.$HEX.wasm" => 'application/wasm',
                "app/main.$HEX.js" => 'text/javascript; charset=utf-8',
                'manifest.webmanifest' => 'application/manifest+json',
                "fonts/a.$HEX.woff2" => 'font/woff2',
                'notes' => 'application/octet-stream');
    is(keys %$web, 10, 'the web vault is there');
    is($web->{$_}{type}, $type{$_}, "$_ has its type") for sort keys %type;

    for my $name (sort keys %$web) {
        is($web->{$name}{cache}, $name =~ /$HEX/
           ? 'public, max-age=604800, immutable' : 'no-cache',
           "$name is kept as long as it may be");
    }

    is($state->{invalidated}, 1, 'CloudFront was told');
}


sub again {
    forget();
    VaultNginx::write_file("$dir/web-vault/index.html", '<HTML>');
    unlink "$dir/web-vault/notes";

    my $before = $cloud->state->{stack}{parameters};
    went_well('a second time',
              deploy('--image', $archive, '--web-vault', "$dir/web-vault"));

    my $state = $cloud->state;
    is(scalar asked('aws ecr create-repository'), 0, 'what is there stays');
    is(scalar asked('skopeo'), 0, 'the image too');
    is_deeply($state->{stack}{parameters}, $before, 'and all parameters');

    my $web = $state->{buckets}{'vault-web'};
    is($web->{'index.html'}{times}, 2, 'a page is sent anew, same size or not');
    is($web->{"app/main.$HEX.js"}{times}, 1, 'named by content: once');
    is($web->{'index.html'}{cache}, 'no-cache', 'headers are as they were');
    ok(!$web->{notes}, 'what is gone is gone');

    forget();
    went_well('nothing to change', deploy());
    is_deeply($cloud->state->{stack}{parameters}, $before, 'nothing changes');

    forget();
    my $run = went_well('one parameter',
                        deploy('--set', 'Signups=on',
                               '--set', 'TrashDays=off'));
    is_deeply($cloud->state->{stack}{history}[-1],
              { Signups => 'on', TrashDays => 'off' }, 'those alone');

    VaultNginx::write_file("$dir/image.tar", 'a newer image');
    forget();
    went_well('a newer image', deploy('--image', $archive));
    isnt($cloud->state->{stack}{parameters}{ImageUri}, $before->{ImageUri},
         'is another one');
    is($cloud->state->{stack}{parameters}{OriginSecret},
       $before->{OriginSecret}, 'the secret stays');

    refused('a value that is none', deploy('--set', 'TrashDays=soon'),
            qr/TrashDays failed.*there is a reason.*has refused/s);
    refused('a name without a certificate',
            deploy('--set', 'DomainName=vault.example.com'),
            qr/DomainName needs CertificateArn/);
}


# Whatever fails says so, and the next run ends well.

sub failures {
    for my $step ('aws ecr create-repository', 'aws ecr get-login',
                  'skopeo copy', 'aws cloudformation deploy',
                  'aws lambda invoke', 'aws s3 sync', 'aws s3 cp',
                  'aws cloudfront', 'curl')
    {
        new_cloud();
        $cloud->set(fail => $step);

        my @all = ('--image', $archive, '--web-vault', "$dir/web-vault");
        my $run = deploy(@all);
        ok(!$run->{ok}, "$step fails");
        like($run->{err}, qr/because it shall/, '  and is heard');
        is($run->{out}, '', '  no address is said');

        went_well('  the next one goes well', deploy(@all));
        is(keys %{$cloud->state->{buckets}{'vault-web'}}, 9, '  all is there');
    }
}


sub slow_database {
    new_cloud();
    $cloud->set(migrations_fail => 2);
    my $run = went_well('a cluster that wakes up',
                        deploy('--image', $archive));
    like($run->{err}, qr/not yet: .*not available/, 'is waited for');
    like($run->{err}, qr/27 steps were missing/, 'and migrated');

    $cloud->set(migrations_fail => 100);
    refused('one that never does', deploy('--image', $archive),
            qr/migration failed; its log is aws logs tail/);
}


sub dry {
    new_cloud();
    my $run = went_well('a dry run of the first', deploy(
        '--dry-run', '--image', $archive, '--web-vault', "$dir/web-vault"));
    like($run->{err}, qr/would run: aws_ ecr create-repository/,
         'says what it would do');
    is($run->{out}, '', 'has no address');

    $run = went_well('of a build', deploy('--dry-run', '--build'));
    like($run->{err}, qr{would run: \S*docker/build lambda (?:amd64|arm64)\n},
         'says what it would build');

    my $state = $cloud->state;
    is_deeply([$state->{repositories}, $state->{buckets},
               $state->{stack}{status}], [{}, {}, undef], 'and does nothing');

    went_well('a real one', deploy('--image', $archive));
    my $before = $cloud->state;
    forget();
    went_well('a dry run of the next', deploy(
        '--dry-run', '--zip', "$dir/vault.zip", '--web-vault',
        "$dir/web-vault", '--rotate-secret', '--set', 'Signups=off'));
    $state = $cloud->state;
    delete @$_{qw(log)} for $before, $state;
    is_deeply($state, $before, 'does nothing either');
}


# At no moment does CloudFront send what the function does not take.

sub rotation {
    my ($name, $from, $to) = @_;
    my $history = $cloud->state->{stack}{history};
    my $at = @$history;

    went_well($name, deploy('--rotate-secret'));

    my @states = ({});
    push @states, { %{$states[-1]}, %$_ }
        for @{$cloud->state->{stack}{history}};

    my $sent = sub {
        return $_[0]{($_[0]{OriginSecretSent} // 'first') eq 'first'
                     ? 'OriginSecret' : 'OriginSecretOther'};
    };

    for my $n ($at + 1 .. $#states) {
        my %taken = map { $_ => 1 } grep { defined }
                    @{$states[$n]}{qw(OriginSecret OriginSecretOther)};
        ok($taken{$sent->($states[$n])}, "  what is sent is taken");
        ok($taken{$sent->($states[$n - 1])}, '  while it spreads, too');
    }

    my $end = $states[-1];
    isnt($sent->($end), $sent->($states[$at]), '  it has changed');
    ok(!grep({ $_ eq $sent->($states[$at]) }
             @{$end}{qw(OriginSecret OriginSecretOther)}),
       '  the old one is of no use');
}


sub others {
    new_cloud();
    went_well('the zip flavour', deploy('--zip', "$dir/vault.zip",
                                        '--arch', 'x86_64'));
    my $set = $cloud->state->{stack}{parameters};
    is($set->{ImageUri}, undef, 'has no image');
    is($set->{ZipBucket}, 'vault-code-123456789012-eu-west-1', 'but a bucket');
    like($set->{ZipKey}, qr/^[0-9a-f]{32}-x86_64\.zip$/, 'and its content');
    ok($cloud->state->{buckets}{$set->{ZipBucket}}{$set->{ZipKey}},
       'which is there');

    my $key = $set->{ZipKey};
    went_well('a setting of it', deploy('--set', 'TrashDays=7'));
    $set = $cloud->state->{stack}{parameters};
    is($set->{ZipKey}, $key, 'which remains a zip');
    is($set->{TrashDays}, '7', 'with the setting');

    went_well('from a zip to an image', deploy('--image', $archive));
    is($cloud->state->{stack}{parameters}{ZipKey}, undef, 'leaves the zip');

    my $digest = 'registry.example.com/vault@sha256:' . 'a' x 64;

    for my $tool ('crane', 'docker') {
        new_cloud();
        local $bin = folder_with("$tool.bin", $tool);
        went_well("with $tool", deploy('--image', $digest));
        is(scalar asked('skopeo'), 0, '  alone');
    }

    new_cloud();
    {
        local $bin = folder_with('docker.bin', 'docker');
        went_well('an archive with docker', deploy('--image', $archive));
    }

    local $bin = folder_with('none.bin');
    refused('with nothing', deploy('--image', $archive),
            qr/needs one of these.*skopeo/);
}


sub states {
    new_cloud();
    $cloud->set(status => 'ROLLBACK_COMPLETE');
    refused('a first attempt that failed', deploy('--image', $archive),
            qr/delete-stack --region eu-west-1 --stack-name vault/);
    $cloud->set(status => 'UPDATE_IN_PROGRESS');
    refused('somebody else is at it', deploy('--image', $archive),
            qr/Come again later/);
    is(scalar(grep { !/describe-stacks|get-caller|configure/ }
              @{$cloud->state->{log}}), 0, 'nothing is done then');

    new_cloud();
    $cloud->set(status => 'REVIEW_IN_PROGRESS');
    went_well('after a plan that was never carried out',
              deploy('--image', $archive));
    is($cloud->state->{stack}{status}, 'CREATE_COMPLETE', '  the first');
}


# Data go only if that is said.

sub removal {
    new_cloud();
    refused('nothing to remove', script('remove.sh', $bin),
            qr/no stack vault in eu-west-1/);
    my @all = ('--image', $archive, '--web-vault', "$dir/web-vault");
    deploy(@all);

    my $run = went_well('the stack goes', script('remove.sh', $bin));
    like($run->{err}, qr/left: the database cluster, the bucket vault-files/,
         'what is left is named');

    my $state = $cloud->state;
    ok(!$state->{stack}{status}, 'there is no stack');
    is_deeply([sort keys %{$state->{buckets}}], ['vault-files'],
              'the files are there');
    is_deeply($state->{clusters}, ['cluster'], 'and the database');
    ok($state->{repositories}{vault}, 'and the images');

    $cloud->set(fail => 'aws dsql delete-cluster');
    ok(!script('remove.sh', $bin, '--and-all-data')->{ok},
       'an attempt that breaks off');
    went_well('goes on', script('remove.sh', $bin, '--and-all-data'));

    $state = $cloud->state;
    is_deeply([$state->{clusters}, $state->{buckets}, $state->{repositories}],
              [[], {}, {}], 'and nothing is left');
    refused('once more', script('remove.sh', $bin), qr/no stack/);
}


prepare();

subtest 'words' => \&words;
subtest 'the first time' => \&first;
subtest 'again' => \&again;
subtest 'rotation' => sub {
    rotation('a new secret');
    rotation('another one');
};
subtest 'a dry run' => \&dry;
subtest 'a slow database' => \&slow_database;
subtest 'other ways' => \&others;
subtest 'other states' => \&states;
subtest 'removal' => \&removal;
subtest 'failures' => \&failures;

done_testing();
