# The agent as an extension of AWS Lambda, as the layer has it: started with the
# variables of HashiCorp's extension by a peer that plays Lambda and freezes all
# processes between invocations.

use strict;
use warnings;

use lib 't/lib';

use IO::Socket::UNIX ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultAgent;
use VaultHttp;
use VaultMail;
use VaultNginx;
use VaultPeer;

my $YES = JSON::PP::true;
my $NO = JSON::PP::false;
my $SLOW = $VaultNginx::SLOW;
my $ROOT = $VaultNginx::ROOT;
my $NAME = 'vault-agent';

delete @ENV{grep { /^(?:AWS|VAULT)_(?!TEST|FLAVOUR|SLOW)/ } keys %ENV};

our $vault = vault();
my $dir = folder();
my $layer = "$dir/layer";
my $runs = 0;


# One environment of Lambda: the extension and a function

package Run {
    sub new {
        my ($class, $env, @files) = @_;

        my $n = $runs++;
        my $listen = '127.0.0.1:' . VaultNginx::free_port();
        my %env = (
            VLE_VAULT_ADDR        => $vault->{url},
            VAULT_AUTH_PROVIDER   => 'aws',
            VAULT_AUTH_ROLE       => 'app-role',
            AWS_ACCESS_KEY_ID     => 'AKIDENV',
            AWS_SECRET_ACCESS_KEY => 'hidden-env',
            VLE_LISTEN            => $listen,
            TMPDIR                => "$dir/tmp-$n",
            %$env,
        );

        mkdir $env{TMPDIR};
        my $log = "$dir/log-$n";

        my $peer = VaultPeer->new('lambda.py', '--no-start', '--log', $log,
            '--extension', "$layer/extensions/$NAME",
            (map { ('--env', "$_=$env{$_}") }
                 grep { defined $env{$_} } sort keys %env),
            '--', "$ROOT/t/peers/function.py", @files);

        my $self = bless { peer => $peer, log => $log,
                           listen => $env{VLE_LISTEN} }, $class;
        my $began = Time::HiRes::time();

        $self->{started} = $self->control(start => $YES);
        $self->{seconds} = Time::HiRes::time() - $began;
        $self->{state} = $peer->state;
        return $self;
    }

    sub control {
        my ($self, %what) = @_;

        my $answer = VaultHttp::request($self->{peer}->port, 'POST',
            '/control', [], JSON::PP->new->encode(\%what),
            timeout => 40 * $SLOW);

        return VaultHttp::json($answer);
    }

    # What became of each step

    sub invoke {
        my ($self, @steps) = @_;

        my $answer = $self->control(invoke => \@steps);
        return { error => $answer->{error} } if $answer->{error};
        return $self->{last} = JSON::PP::decode_json($answer->{body});
    }

    # Its data, or what it was answered

    sub secret {
        my ($self, $path, %more) = @_;

        my $result = $self->invoke({ get => "/v1/$path", %more });
        return $result->{error} if ref $result ne 'ARRAY';

        $result = $result->[0];
        return $result->{error} // $result->{status}
            if ($result->{status} // 0) != 200;
        return JSON::PP::decode_json($result->{text})->{data}{data}{k};
    }

    sub text { return VaultNginx::read_file($_[0]{log}) }

    sub shutdown { return $_[0]->control(shutdown => 'spindown') }

    sub pid { return $_[0]{state}{processes}[0] }

    sub stop { return $_[0]{peer}->stop }
}


sub fresh {
    my (%state) = @_;

    $vault->set(clear => $YES, fail => [], sealed => $NO, standby => 0,
                up => $YES, denied => [], delay => 0, token_ttl => 3600,
                lease_ttl => 3600, namespace => '', server_id => '',
                secrets => { 'secret/a' => { k => 'value-a' },
                             'secret/b' => { k => 'value-b' } }, %state);
}


sub two_files {
    my ($name) = @_;

    return (VAULT_SECRET_PATH => 'secret/data/a',
            VAULT_SECRET_FILE => "$dir/$name-a.json",
            VAULT_SECRET_PATH_B => '/secret/data/b',
            VAULT_SECRET_FILE_B => "$dir/deep/$name-b.json");
}


sub ends_well {
    my ($run, $what) = @_;

    my $end = $run->shutdown;

    is($end->{codes}[0], 0, "$what: ends with 0");
    cmp_ok($end->{seconds}, '<', 2, '  in time');
    unlike($run->text, qr/hvs\.|hidden-|value-[ab]|\[(?:alert|crit|emerg)\]/,
           '  no secret and no complaint in its log');
    $run->stop;
}


# From start to end

sub test_life {
    fresh();

    my %files = two_files('life');
    my $run = Run->new({ %files, VLE_REVOKE_TOKEN => 'true' },
                       @files{qw(VAULT_SECRET_FILE VAULT_SECRET_FILE_B)});

    is_deeply($run->{state}{extensions}, { $NAME => ['INVOKE', 'SHUTDOWN'] },
              'registered by the name of its file');
    is(() = $run->text =~ /^function: .* is there$/mg, 2,
       'both files are there before the function');
    is_deeply([map { $_->{op} } $vault->asked], [qw(login read read)],
              'one login, one read each');

    my $result = $run->invoke({ read => $files{VAULT_SECRET_FILE} },
                              { get => '/v1/secret/data/b' });

    is($result->[0]{mode}, '0600', 'a file is for its user alone');
    is(JSON::PP::decode_json($result->[0]{text})->{data}{data}{k}, 'value-a',
       '  and what Vault answered');
    is($result->[1]{status}, 200, 'a read by the proxy');

    is($run->secret('secret/data/b'), 'value-b', 'another, after a freeze');
    is($vault->count('login'), 1, 'one login serves them all');
    cmp_ok($run->{state}{counts}{freezes}, '>=', 1, 'it was frozen');

    ends_well($run, 'life');
    is($vault->count('revoke'), 1, 'the token is given back');
}


sub test_freeze {
    fresh(token_ttl => 2, renewable => $NO);

    my $run = Run->new({ two_files('freeze'),
                         VAULT_TOKEN_EXPIRY_GRACE_PERIOD => '100ms' });

    is($run->secret('secret/data/a'), 'value-a', 'read');
    my $logins = $vault->count('login');

    sleep 3;
    is($vault->count('login'), $logins, 'nothing happens while it is frozen');
    is($run->secret('secret/data/a'), 'value-a',
       'a token that has ended in a freeze is not used');
    cmp_ok($vault->count('login'), '>', $logins, '  there is a new one');
    is((grep { $_->{status} == 403 } $vault->asked), 0,
       '  and Vault saw no old one');

    # Vault goes and comes while nobody looks: all its connections are gone
    $vault->set(up => $NO);
    sleep 0.2;
    $vault->set(up => $YES);
    is($run->secret('secret/data/b'), 'value-b', 'dead connections');

    $vault->set(secrets => { 'secret/a' => { k => 'value-new' } });
    is($run->secret('secret/data/a'), 'value-new', 'the proxy asks each time');

    $vault->set(delay => 3);
    sleep 2.1;
    my $began = time;
    $run->invoke({ sleep => 0 });
    cmp_ok(time - $began, '<', 2.5 * $SLOW,
           'a slow Vault holds nobody up who does not ask it');
    $vault->set(delay => 0);
    is($run->secret('secret/data/a'), 'value-new', '  and all is well then');

    ends_well($run, 'freeze');
}


sub container {
    my ($aws) = @_;

    return (AWS_ACCESS_KEY_ID => '', AWS_SECRET_ACCESS_KEY => '',
            AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container'));
}


# Keys that are others after a restore: those of before have expired

sub test_credentials {
    my $aws = VaultPeer->new('aws.py');

    fresh(token_ttl => 2, renewable => $NO);
    $aws->set(ttl => 2);

    my $run = Run->new({ container($aws) });

    is($run->secret('secret/data/a'), 'value-a', 'keys of the container');
    my $issued = $aws->state->{issued};

    sleep 3;
    $vault->set(expired => $issued);
    is($run->secret('secret/data/a'), 'value-a', 'others after a restore');
    cmp_ok($aws->state->{issued}, '>', $issued, '  were asked for');

    $vault->set(expired => 0);
    ends_well($run, 'credentials');

    # a snapshot: the token is good for an hour, but may be others' too
    fresh();
    $run = Run->new({ container($aws) });
    is($run->secret('secret/data/a'), 'value-a', 'a token of an hour');
    is($vault->count('login'), 1, '  by one login');

    sleep 2.1;
    $run->control(freezes => $NO);
    $run->invoke({ sleep => 0 });
    until_true { $vault->count('login') == 2 } '  and another of other keys';
    is($run->secret('secret/data/a'), 'value-a', '  which is used');
    ends_well($run, 'restore');
    $aws->stop;
}


# A refresh that ends while the token is given back does not end that

sub test_late_refresh {
    my $aws = VaultPeer->new('aws.py');

    fresh(fail => [{ op => 'revoke', kind => 'slow', s => 0.4 }]);
    $aws->set(ttl => 1);

    my $run = Run->new({ container($aws), VLE_REVOKE_TOKEN => 'true' });
    $run->control(freezes => $NO);
    sleep 1.1;

    $aws->set(delay => 0.7);
    $run->invoke({ sleep => 0 });
    ends_well($run, 'a late refresh');
    is_deeply([map { $_->{status} } grep { $_->{op} eq 'revoke' }
                   $vault->asked], [204], '  it has heard of its revocation');
    $aws->stop;
}


# What Lambda says may be no event

sub test_odd_events {
    fresh();

    my $run = Run->new({});
    $run->control(odd => 2);
    is($run->secret('secret/data/a'), 'value-a', 'before odd events');
    is($run->secret('secret/data/b'), 'value-b', '  and after them');
    is($run->{peer}->state->{odd}, 0, '  which came');
    is(() = $run->text =~ /Lambda says \(200\): what is no event/g, 2,
       '  and had a line each');
    ends_well($run, 'odd events');
}


# What it says when it does not start: the type, the words

sub fails {
    my ($env, $type, $words, $what) = @_;

    my $run = Run->new($env);
    my @told = @{$run->{state}{errors}};

    is($run->{started}{error}, 'Extension.Crash', "$what: no start")
        or diag($run->text);
    cmp_ok($run->{seconds}, '<', 10 * $SLOW, '  soon enough');
    like("@told", qr{extension/init/error: .*"errorType": ?"\Q$type\E"},
         '  Lambda hears the type');
    like("@told", $words, '  and why');
    is(() = $run->text =~ /cannot start: /g, 1, '  one line in the log')
        or diag($run->text);
    like($run->text, $words, '  which says the same');
    unlike($run->text, qr/hvs\.|hidden-env/, '  and no secret');
    $run->stop;
}


sub test_config_errors {
    my $missing = qr/missing\ VLE_VAULT_ADDR,\ VAULT_ADDR,\ VAULT_AUTH_PROVIDER
                     \ or\ VAULT_AUTH_ROLE\ environment\ variables/x;
    my $type = 'Extension.ConfigInvalid';

    fresh();
    fails({ VLE_VAULT_ADDR => undef }, $type, $missing, 'no address');
    fails({ VAULT_AUTH_PROVIDER => ' ' }, $type, $missing, 'no provider');
    fails({ VAULT_AUTH_ROLE => undef }, $type, $missing, 'no role');
    fails({ VLE_VAULT_ADDR => 'vault:8200' }, $type, qr/must be as https:/,
          'no scheme');
    fails({ VAULT_TOKEN_EXPIRY_GRACE_PERIOD => '10' }, $type,
          qr/GRACE_PERIOD=10 is no duration/, 'grace without a unit');
    fails({ VAULT_CLIENT_TIMEOUT => 'soon' }, $type, qr/soon is no duration/,
          'timeout');
    fails({ VAULT_MAX_RETRIES => 'x' }, $type, qr/is no number/, 'retries');
    fails({ VLE_VAULT_ADDR => 'https://localhost:1', VAULT_SKIP_VERIFY => 'x' },
          $type, qr/neither true nor false/, 'skip verify');
    fails({ VLE_VAULT_ADDR => 'https://localhost:1',
            VAULT_CACERT => "$dir/none.pem" }, $type,
          qr/none\.pem cannot be read/, 'no CA');
    fails({ VAULT_SECRET_PATH_X => 'secret/data/a' }, $type,
          qr/invalid secret \(must have both a path and a file specified\)/,
          'a path alone');
    fails({ VAULT_SECRET_FILE_X => 'x' }, $type,
          qr/invalid secret \(must have both a path and a file specified\)/,
          'a file alone');
    fails({ VAULT_SECRET_PATH_ => 'x' }, $type,
          qr/VAULT_SECRET_PATH_ is not valid configuration/, 'no name');
    fails({ two_files('same'), VAULT_SECRET_PATH_C => 'secret/data/a',
            VAULT_SECRET_FILE_C => "$dir//./same-a.json" }, $type,
          qr/two secrets, .* configured to write to the same location on disk/,
          'two secrets on one path');
    for my $port ('x', '', '0', '99999', '82:00') {
        fails({ VLE_VAULT_ADDR => "http://127.0.0.1:$port" }, $type,
              qr/a port or name that is none/, "the port '$port'");
    }
    fails({ VAULT_STS_ENDPOINT_REGION => 'x/y' }, $type,
          qr{REGION=x/y is no region}, 'region');
    fails({ VLE_VAULT_ADDR => 'https://localhost:1',
            VAULT_CACERT_BYTES => 'garbage' }, $type,
          qr/VAULT_CACERT_BYTES has no certificate/, 'no CA in its text');
    fails({ VLE_VAULT_ADDR => 'https://localhost:1',
            VAULT_CLIENT_CERT => $0 }, $type, qr/need each other/,
          'a certificate without a key');
    fails({ VAULT_SECRET_PATH => 'secret/data/a b' }, $type,
          qr/a blank,.* escaped/, 'a blank in a path');
    fails({ VLE_LISTEN => '127.0.0.1:' . $vault->port },
          'Extension.ListenFailed', qr/failed to listen on 127/,
          'a port in use');
}


# A socket that is left over is no hindrance, and none is left

sub test_socket {
    my $path = "$dir/left.sock";
    my %listen = (VLE_LISTEN => "unix:$path");
    my $other = IO::Socket::UNIX->new(Local => $path, Listen => 1);

    fresh();
    fails({ %listen }, 'Extension.ListenFailed', qr/in use/,
          'a socket in use');
    ok(-S $path, '  which stays');

    close $other;
    my $run = Run->new({ %listen });
    is($run->secret('secret/data/a'), 'value-a', 'one that is left over');
    ends_well($run, 'socket');
    ok(!-e $path, '  is gone at the end');

    fails({ %listen, VAULT_AUTH_ROLE => 'other-role', VAULT_MAX_RETRIES => 0 },
          'Extension.LoginFailed', qr/role/, 'a start that fails');
    ok(!-e $path, '  leaves none');

    save('left.file', '');
    fails({ VLE_LISTEN => "unix:$dir/left.file" }, 'Extension.ListenFailed',
          qr/in use/, 'a file that is no socket');
    ok(-e "$dir/left.file", '  stays');
}


sub test_vault_errors {
    my %quick = (VAULT_MAX_RETRIES => 0, two_files('errors'));

    fresh();
    fails({ %quick, VAULT_AUTH_ROLE => 'other-role' },
          'Extension.LoginFailed', qr/role/, 'a role that is none');
    fails({ %quick, AWS_SECRET_ACCESS_KEY => 'wrong' },
          'Extension.LoginFailed', qr/STS|signature/i, 'a wrong key');
    fails({ %quick, VAULT_SECRET_PATH => 'secret/data/none' },
          'Extension.SecretFailed', qr{secret/data/none}, 'no such secret');

    fresh(denied => ['secret/data/b']);
    fails({ %quick }, 'Extension.SecretFailed', qr{secret/data/b.*403; allow}s,
          'a secret that no policy allows');

    fresh(sealed => $YES);
    fails({ %quick }, 'Extension.LoginFailed', qr/sealed/, 'a sealed Vault');

    fresh(server_id => 'vault.example.com');
    fails({ %quick }, 'Extension.LoginFailed', qr/Server-ID|server_id/i,
          'no server id');

    fresh(up => $NO);
    fails({ %quick }, 'Extension.LoginFailed', qr/no token of/,
          'a Vault that is away');

    fresh(delay => 30);
    fails({ %quick }, 'Extension.Timeout', qr/still waiting for http/,
          'a Vault that does not answer');

    fresh();
    save('plain', '');
    fails({ %quick, VAULT_SECRET_FILE => "$dir/plain/x.json" },
          'Extension.SecretFailed', qr/plain/, 'a file in a file');
}


# Variables

sub test_modes {
    fresh();

    my %files = two_files('mode');
    my @files = @files{qw(VAULT_SECRET_FILE VAULT_SECRET_FILE_B)};

    for my $mode (qw(file FILE)) {
        unlink @files;
        my $run = Run->new({ %files, VAULT_RUN_MODE => $mode }, @files);

        ok(-e $files[0], "$mode: files");
        like($run->secret('secret/data/a'), qr/refused/, '  and no proxy');
        ends_well($run, $mode);
    }

    unlink @files;
    my $run = Run->new({ %files, VAULT_RUN_MODE => 'PROXY' }, @files);
    ok(!-e $files[0], 'PROXY: no files');
    is($run->secret('secret/data/a'), 'value-a', '  and a proxy');
    ends_well($run, 'PROXY');

    $run = Run->new({ VAULT_RUN_MODE => 'file' });
    is_deeply($run->{started}, {}, 'file without files: a login all the same');
    is($vault->count('login'), 4, '  each');
    ends_well($run, 'nothing to do');

    $run = Run->new({ %files, VAULT_RUN_MODE => 'other' }, @files);
    ok(-e $files[0], 'what is none is default');
    is($run->secret('secret/data/a'), 'value-a', '  which is both');
    ends_well($run, 'other');
}


sub test_cache {
    my %ask = (get => '/v1/secret/data/a');
    my $control = 'X-Vault-Cache-Control';

    fresh();
    my $run = Run->new({ VAULT_DEFAULT_CACHE_TTL => '1h',
                         VAULT_DEFAULT_CACHE_ENABLED => 'true' });
    my $said = $run->invoke({ %ask }, { %ask },
                            { %ask, headers => { $control => 'nocache' } });
    is(join(' ', map { $_->{cache} } @$said), 'MISS HIT BYPASS', 'on for all');
    ends_well($run, 'cache');

    $run = Run->new({ VAULT_DEFAULT_CACHE_TTL => '1.5h' });
    $said = $run->invoke({ %ask }, { %ask, headers => { $control => 'cache' } },
                         { %ask, headers => { $control => 'cache' } });
    is(join(' ', map { $_->{cache} } @$said), 'BYPASS MISS HIT',
       'on for those who ask');
    ends_well($run, 'cache on demand');

    $run = Run->new({ VAULT_DEFAULT_CACHE_TTL => 'soon',
                      VAULT_DEFAULT_CACHE_ENABLED => 'true' });
    $said = $run->invoke({ %ask }, { %ask });
    is_deeply([map { $_->{cache} } @$said], [undef, undef],
              'no duration: none');
    like($run->text, qr/CACHE_TTL=soon is no duration/, '  which it says');
    ends_well($run, 'no cache');
}


sub test_variables {
    fresh(server_id => 'vault.example.com', namespace => 'team/a');

    my $socket = "unix:$dir/agent.sock";
    my $run = Run->new({
        VAULT_ADDR          => 'http://127.0.0.1:1',
        VLE_VAULT_ADDR      => " $vault->{url}/some/path ",
        VAULT_IAM_SERVER_ID => 'vault.example.com',
        VAULT_NAMESPACE     => 'team/a',
        VAULT_STS_ENDPOINT_REGION => 'eu-central-1',
        VAULT_LOG_LEVEL     => 'warn',
        VLE_LISTEN          => $socket,
        VAULT_SECRET_PATH   => 'secret/data/a',
        VAULT_SECRET_FILE   => "ext-$$.json",
        VAULT_SECRET_DATA_JSON => 'true',
        VAULT_CLIENT_TIMEOUT => '5', VAULT_MAX_RETRIES => 1,
        VAULT_RATE_LIMIT    => '10',
    });

    is($run->secret('secret/data/a'), 'value-a',
       'address, server id, namespace, region, socket');
    my $text = VaultNginx::read_file("/tmp/vault/ext-$$.json");
    unlike($text, qr/request_id/, 'the data alone');
    unlink "/tmp/vault/ext-$$.json";
    unlike($run->text, qr/\[notice\]/, 'the level of the log');
    like($run->text, qr/VAULT_RATE_LIMIT has no effect/, 'what is not used');
    ends_well($run, 'variables');
}


sub test_other_role {
    my $sts = VaultPeer->new('aws.py');
    my $arn = 'arn:aws:iam::123456789012:role/';

    fresh();
    my $run = Run->new({ VAULT_ASSUMED_ROLE_ARN => $arn . 'other',
                         AWS_ENDPOINT_URL_STS => $sts->url });

    is($run->secret('secret/data/a'), 'value-a', 'VAULT_ASSUMED_ROLE_ARN');
    is($sts->state->{session}, 'vault_auth', '  under the name of old');
    ends_well($run, 'another role');

    fails({ VAULT_ASSUMED_ROLE_ARN => $arn . 'forbidden',
            AWS_ENDPOINT_URL_STS => $sts->url }, 'Extension.LoginFailed',
          qr/cannot be assumed; allow sts:/, 'a role that is not for us');
    $sts->stop;
}


sub test_tls {
    local $vault = vault(tls => 1);
    fresh();

    my $run = Run->new({ VAULT_CACERT => $vault->{ca} });
    is($run->secret('secret/data/a'), 'value-a', 'VAULT_CACERT');
    ends_well($run, 'CA');

    $run = Run->new({
        VAULT_CACERT_BYTES => VaultNginx::read_file($vault->{ca}) });
    is($run->secret('secret/data/a'), 'value-a', 'VAULT_CACERT_BYTES');
    ends_well($run, 'CA as text');

    $run = Run->new({ VAULT_SKIP_VERIFY => 'true' });
    is($run->secret('secret/data/a'), 'value-a', 'VAULT_SKIP_VERIFY');
    ends_well($run, 'no CA');

    my %strict = (VAULT_MAX_RETRIES => 0);
    fails({ %strict }, 'Extension.LoginFailed', qr/certificate/i,
          'an authority that nobody knows');

    mkdir "$dir/authorities";
    fails({ %strict, VAULT_CAPATH => "$dir/authorities" },
          'Extension.LoginFailed', qr/certificate/i, 'a folder of none');
    chomp(my $hash = `openssl x509 -noout -hash -in $vault->{ca}`);
    symlink $vault->{ca}, "$dir/authorities/$hash.0";
    $run = Run->new({ VAULT_CAPATH => "$dir/authorities" });
    is($run->secret('secret/data/a'), 'value-a', 'VAULT_CAPATH');
    ends_well($run, 'a folder of CAs');

    my %other = (VAULT_CACERT => $vault->{ca},
                 VLE_VAULT_ADDR => 'HTTPS://127.0.0.1:' . $vault->port);
    fails({ %strict, %other }, 'Extension.LoginFailed', qr/mismatch/,
          'a certificate of another name');
    $run = Run->new({ %other, VAULT_TLS_SERVER_NAME => 'localhost' });
    is($run->secret('secret/data/a'), 'value-a', 'VAULT_TLS_SERVER_NAME');
    ends_well($run, 'the name that it has');
    $vault->stop;
}


sub test_client_certificate {
    my ($cert, $key) = VaultMail::certificate('client', 'client');
    local $vault = vault(tls => 1, clients => $cert);
    my %strict = (VAULT_CACERT => $vault->{ca}, VAULT_MAX_RETRIES => 0);

    fresh();
    fails({ %strict }, 'Extension.LoginFailed', qr/no token of/,
          'no certificate of ours');
    is($vault->count('login'), 0, '  and no login');

    my $run = Run->new({ %strict, VAULT_CLIENT_CERT => $cert,
                         VAULT_CLIENT_KEY => $key });
    is($run->secret('secret/data/a'), 'value-a',
       'VAULT_CLIENT_CERT, VAULT_CLIENT_KEY');
    ends_well($run, 'a certificate of ours');
    $vault->stop;
}


# How often, and how long: what the Vault sees of it

sub test_patience {
    my $reads = sub {
        my ($env, @fail) = @_;

        my $run = Run->new($env);
        $vault->set(clear => $YES, fail => [@fail]);
        my $got = $run->secret('secret/data/a');
        my $reads = $vault->count('read');
        ends_well($run, join ' ', %$env);
        return "$got $reads";
    };
    my %broken = (op => 'read', kind => '502', times => 99);
    my %silent = (op => 'read', kind => 'silent', s => 20);

    fresh();
    is($reads->({ VAULT_MAX_RETRIES => 0 }, { %broken }), '502 1',
       '  no retry');
    is($reads->({ VAULT_MAX_RETRIES => 3 }, { %broken }), '502 4',
       '  three of them');
    is($reads->({ VAULT_CLIENT_TIMEOUT => '1' }, { %silent }), 'value-a 2',
       '  a timeout: asked once more');
    is($reads->({ VAULT_CLIENT_TIMEOUT => '0' }), 'value-a 1',
       '  no timeout');
}


# A client may say that it was the last with this token

sub test_token_options {
    my %ask = (get => '/v1/secret/data/a');
    my @revoke = ('X-Vault-Token-Options' => 'revoke');

    fresh();
    my $run = Run->new({});
    my $said = $run->invoke(
        { %ask, headers => { @revoke } }, { %ask }, { %ask },
        { %ask, headers => { @revoke, 'X-Vault-Token' => 'hvs.static-token' } },
        { %ask });
    is(join(' ', map { $_->{status} } @$said), '200 200 200 200 200',
       'with the last use of a token');
    is($vault->count('login'), 2, '  another login, and none for others');
    ends_well($run, 'token options');
}


# Signals, and Lambda's own troubles

sub test_signal {
    fresh();

    my $run = Run->new({ VLE_REVOKE_TOKEN => '1' });
    $run->control(freezes => $NO);
    $run->invoke({ sleep => 0 });

    kill 'TERM', $run->pid;
    until_true { $vault->count('revoke') == 1 } 'SIGTERM gives the token back';
    until_true { $run->text =~ /ends this environment/ } '  and ends it';
    $run->stop;
}


# Without Lambda

sub test_alone {
    my %env = (PATH => $ENV{PATH}, TMPDIR => "$dir/alone",
               VLE_VAULT_ADDR => $vault->{url}, VAULT_AUTH_PROVIDER => 'aws',
               VAULT_AUTH_ROLE => 'app-role', VAULT_RUN_MODE => 'file',
               AWS_ACCESS_KEY_ID => 'AKIDENV', AWS_REGION => 'eu-west-1',
               AWS_SECRET_ACCESS_KEY => 'hidden-env');
    my $alone = sub {
        local %ENV = (%env, @_);
        my $said = `$layer/extensions/$NAME 2>&1`;
        return ($? >> 8) . " $said";
    };

    mkdir $env{TMPDIR};
    fresh();
    like($alone->(), qr/^1 .*sets AWS_LAMBDA_RUNTIME_API/s, 'no Lambda');
    like($alone->(AWS_LAMBDA_RUNTIME_API => '127.0.0.1:1'),
         qr/^1 .*AWS_LAMBDA_RUNTIME_API does not answer/s,
         'a Lambda that does not answer');
    like($alone->(AWS_LAMBDA_RUNTIME_API => '127.0.0.1:1',
                  VAULT_AUTH_ROLE => ''), qr/^1 .*cannot start: missing VLE/s,
         '  nor hears what is wrong');
    like($alone->(AWS_LAMBDA_RUNTIME_API => '127.0.0.1:' . $vault->port),
         qr/^1 .*Lambda does not register "$NAME"/s, 'something else there');
}


# The directive by itself

sub test_directive {
    my $refused = sub {
        my ($what, $pattern, $main, $http, %env) = @_;

        my $nginx = VaultNginx->new(
            name => "extension-$what", main => $main, env => \%env,
            http => "vault_agent http://127.0.0.1:1;\n"
                    . "vault_agent_auth aws role=x;\n$http");
        eval { $nginx->start };
        like($@, $pattern, $what);
        $nginx->stop if !$@;
    };
    my %lambda = (AWS_LAMBDA_RUNTIME_API => '127.0.0.1:1');

    $refused->('elsewhere', qr/sets AWS_LAMBDA_RUNTIME_API/, '',
               'vault_agent_extension x;');
    $refused->('workers', qr/wants "master_process off"/, '',
               'vault_agent_extension x;', %lambda);
    $refused->('name', qr/wants the name of a file/, '',
               'vault_agent_extension "a b";', %lambda);
    $refused->('twice', qr/is duplicate/, '',
               'vault_agent_extension a; vault_agent_extension b;', %lambda);
}


sub layer_is_built {
    my $text = `$ROOT/aws/extension/build $layer 2>&1`;

    is($?, 0, 'the layer is built') or BAIL_OUT($text);
    like($text, qr/^\Q$layer\E: [\d.]+ MB/m, '  and says how large it is');
    note($text);

    my @ours = grep { !/\/(?:ld\.so|libc\.so[^\/]*)$/ }
        "$layer/$NAME/nginx", glob "$layer/$NAME/lib/*";
    my $size = 0;
    $size += -s for @ours;
    cmp_ok($size, '<=', 5e6, '  nginx and all but libc: 5 MB at most');

    my @needs = grep { !/^\s*(?:linux-vdso|\S*ld-linux)|\Q$layer\E/ }
        split /\n/, `$layer/$NAME/lib/ld.so --inhibit-cache \\
            --library-path $layer/$NAME/lib --list $layer/$NAME/nginx`;
    is_deeply(\@needs, [], 'nothing of this system is needed');
}


subtest 'layer' => \&layer_is_built;
subtest 'life' => \&test_life;
subtest 'freeze' => \&test_freeze;
subtest 'credentials' => \&test_credentials;
subtest 'late refresh' => \&test_late_refresh;
subtest 'odd events' => \&test_odd_events;
subtest 'configuration' => \&test_config_errors;
subtest 'socket' => \&test_socket;
subtest 'Vault' => \&test_vault_errors;
subtest 'modes' => \&test_modes;
subtest 'cache' => \&test_cache;
subtest 'variables' => \&test_variables;
subtest 'another role' => \&test_other_role;
subtest 'TLS' => \&test_tls;
subtest 'client certificate' => \&test_client_certificate;
subtest 'patience' => \&test_patience;
subtest 'token options' => \&test_token_options;
subtest 'signals' => \&test_signal;
subtest 'alone' => \&test_alone;
subtest 'directive' => \&test_directive;

done_testing();
