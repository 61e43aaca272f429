# The agent's logins: what it proves and how, and what is said when it fails.

use strict;
use warnings;

use lib 't/lib';

use JSON::PP ();
use Test::More;

use VaultAgent;
use VaultNginx;
use VaultPeer;

delete @ENV{grep { /^AWS_/ } keys %ENV};
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';

my $vault = vault();


sub logs_in {
    my ($what, %arg) = @_;

    my $peer = delete $arg{vault} // $vault;
    $peer->clear;

    my $nginx = agent($peer, %arg);

    log_has($nginx, qr/logged in, for \d+ s/, "$what: logged in");
    is($peer->count('login'), $arg{logins} // 1, '  once');
    ends_clean($nginx);
    return $nginx->log_text;
}


sub fails {
    my ($what, $pattern, %arg) = @_;

    my $peer = delete $arg{vault} // $vault;
    $peer->clear;
    my $nginx = agent($peer, %arg);

    log_has($nginx, $pattern, "$what: the remedy is named");
    unlike($nginx->log_text, qr/logged in, for/, '  and there is no token');
    ends_clean($nginx);
    $peer->clear;
}


sub test_aws {
    logs_in('keys of the environment');

    my ($asked) = grep { $_->{op} eq 'login' } $vault->asked;
    my %header = map { lc $_->[0] => $_->[1] } @{$asked->{headers}};
    is($asked->{method}, 'PUT', 'as Vault clients do');
    is($asked->{target}, '/v1/auth/aws/login', 'at the mount');
    is($header{'x-vault-request'}, 'true', 'with the guard');
    is($header{'x-vault-token'}, undef, 'and without a token');

    logs_in('temporary keys', env => {
        AWS_ACCESS_KEY_ID => 'AKID1', AWS_SECRET_ACCESS_KEY => 'secret-1',
        AWS_SESSION_TOKEN => 'token/1+==', AWS_REGION => 'us-west-2' });

    logs_in('no region: the first', env => { %AWS_KEYS, AWS_REGION => '' });

    $vault->set(region => 'ap-south-1', server_id => 'vault.example.com',
                mount => 'aws-lambda');
    logs_in('a region, a mount, a server id', auth => 'aws role=app-role '
            . 'mount=auth/aws-lambda/ sts_region=ap-south-1 '
            . 'server_id=vault.example.com');
    fails('no server id', qr/"aws-lambda"|Server-ID.*; server_id= of/,
          auth => 'aws role=app-role mount=aws-lambda sts_region=ap-south-1');
    fails('another server id', qr/Server-ID.*; server_id= of/,
          auth => 'aws role=app-role mount=aws-lambda '
                  . 'sts_region=ap-south-1 server_id=other');
    fails('another region', qr/SignatureDoesNotMatch.*sts_region= of/,
          auth => 'aws role=app-role mount=aws-lambda '
                  . 'server_id=vault.example.com');
    $vault->set(region => '', server_id => '', mount => 'aws');
}


sub test_aws_refused {
    fails('another role', qr/as "other".*400: entry for role.*create the role/,
          auth => 'aws role=other');
    fails('another mount', qr/no handler for route.*correct mount=/,
          auth => 'aws role=app-role mount=elsewhere');
    fails('keys that nobody knows', qr/InvalidClientTokenId.*not known to STS/,
          env => { %AWS_KEYS, AWS_ACCESS_KEY_ID => 'AKIDNOBODY' });
    fails('another secret key', qr/SignatureDoesNotMatch/,
          env => { %AWS_KEYS, AWS_SECRET_ACCESS_KEY => 'hidden-other' });

    $vault->set(expired => 1);
    fails('expired keys', qr/ExpiredToken.*have expired/, env => {
        AWS_ACCESS_KEY_ID => 'AKID1', AWS_SECRET_ACCESS_KEY => 'secret-1',
        AWS_SESSION_TOKEN => 'token/1+==' });
    $vault->set(expired => 0);

    fails('no keys at all', qr/there are no keys of AWS; give this machine/,
          env => { HOME => folder() . '/nobody',
                   AWS_EC2_METADATA_DISABLED => 'true' });
}


# Keys that have expired before we thought so: others are there already.

sub profile {
    my ($n) = @_;

    return save('profile', "[default]\naws_access_key_id=AKID$n\n"
                           . "aws_secret_access_key=secret-$n\n"
                           . "aws_session_token=token/$n+==\n");
}


sub test_aws_changed {
    my $aws = VaultPeer->new('aws.py');
    my %profile = (AWS_SHARED_CREDENTIALS_FILE => profile(1),
                   AWS_REGION => 'eu-west-1');
    my %container = (AWS_CONTAINER_CREDENTIALS_FULL_URI =>
                         $aws->url('/container'));

    $vault->clear;
    $vault->set(token_ttl => 2, renewable => JSON::PP::false());
    my $nginx = agent($vault, env => \%profile);
    log_has($nginx, qr/logged in, for/, 'keys of a profile');

    profile(2);
    $vault->set(expired => 1, clear => JSON::PP::true(), token_ttl => 3600);
    log_has($nginx, qr/logged in, for 3600/, '  others, once STS wants them');
    is_deeply([map { $_->{status} } grep { $_->{op} eq 'login' }
                   $vault->asked], [400, 200], '  at the second try');
    ends_clean($nginx, 'token/');

    $vault->set(expired => 0);
    logs_in('keys of a container that are known', env => \%container);
    $vault->set(expired => 2);
    logs_in('the first have expired', env => \%container, logins => 2);
    is($aws->state->{issued}, 3, '  asked for once more');

    $vault->set(expired => 1000);
    fails('all have expired', qr/ExpiredToken/, env => \%container,
          options => 'retries=0');
    $vault->set(expired => 0, renewable => JSON::PP::true());
}


# A clock that is wrong by an hour is seen in the answer, and allowed for.

sub test_clock {
    $vault->set(skew => 3600);
    like(logs_in('a clock that is wrong', logins => 2),
         qr/Signature expired.*; the clock is wrong/, '  and told');
    $vault->set(skew => 0);
}


sub test_assume_role {
    my $sts = VaultPeer->new('aws.py');

    logs_in('a role that is assumed', vault => $vault,
        auth => 'aws role=app-role '
                . 'assume_role=arn:aws:iam::123456789012:role/other',
        env => { %AWS_KEYS, AWS_ENDPOINT_URL_STS => $sts->url });

    is($sts->state->{session}, 'vault_auth', 'under the name of old');

    fails('a role that may not be assumed', qr/cannot be assumed; allow sts:/,
        auth => 'aws role=app-role '
                . 'assume_role=arn:aws:iam::123456789012:role/forbidden',
        env => { %AWS_KEYS, AWS_ENDPOINT_URL_STS => $sts->url });
}


sub test_texts {
    my $jwt = save('jwt', "jwt-1\n");
    logs_in('a service account', auth => "kubernetes role=app-role jwt=$jwt");
    fails('another role', qr/invalid role name/,
          auth => "kubernetes role=other jwt=$jwt");

    save('jwt', "other\n");
    fails('another token', qr/403: permission denied/,
          auth => "kubernetes role=app-role jwt=$jwt");

    save('jwt', " \n");
    fails('an empty file', qr/jwt" is empty/,
          auth => "kubernetes role=app-role jwt=$jwt");
    fails('no file', qr{nowhere" cannot be read.*see that it is there},
          auth => 'kubernetes role=app-role jwt=/nowhere');

    my $id = save('secret-id', "secret-id-1\n");
    logs_in('an AppRole', auth => "approle role_id=role-id-1 "
            . "secret_id=file:$id");
    logs_in('its secret in the environment', auth => 'approle '
            . 'role_id=env:ROLE_ID secret_id=env:SECRET_ID',
            env => { ROLE_ID => 'role-id-1', SECRET_ID => 'secret-id-1' });
    save('secret-id', 'other');
    fails('another secret id', qr/invalid role or secret ID/,
          auth => "approle role_id=role-id-1 secret_id=file:$id");
}


sub test_token_file {
    my $path = save('token', "hvs.static-token\n");

    logs_in('a token', auth => "token_file $path", logins => 0);
    is($vault->count('lookup'), 1, 'which was looked up');

    save('token', 'hvs.other');
    fails('a token that has ended', qr/answered with 403; put a token there/,
          auth => "token_file $path");
    save('token', "two words\n");
    fails('no token', qr/is no token; put one line/,
          auth => "token_file $path");
}


sub test_namespace {
    $vault->set(namespace => 'team/a');
    logs_in('a namespace', options => 'namespace=team/a');
    fails('another namespace', qr/namespace= of "vault_agent"/,
          options => 'namespace=team/b');
    $vault->set(namespace => '');
}


sub test_tls {
    my $secure = vault(tls => 1);
    my $url = $secure->{url};

    logs_in('over TLS', vault => $secure);
    $secure->{url} = 'https://127.0.0.1:' . $secure->port;
    fails('another name', qr/mismatch.*ca= right/, vault => $secure,
          options => 'retries=0');
    logs_in('the name that it has', vault => $secure,
            options => 'server_name=localhost');
    my $log = logs_in('whatever it is', vault => $secure,
                      options => 'verify=off');

    $secure->{url} = $url;
    my ($wrong) = VaultMail::certificate('wrong', 'localhost');
    fails('an authority that did not sign it', qr/certificate.*ca= right/,
          vault => $secure, options => "retries=0 ca=$wrong");
}


# nginx -t names each mistake.

my $refusals = 0;

sub refused {
    my ($what, $pattern, $http) = @_;

    my $nginx = VaultNginx->new(
        name => 'agent-70-conf-' . $refusals++, http => $http,
        server => 'location / { vault_agent on; }');
    eval { $nginx->start };
    like($@, $pattern, $what);
    $nginx->stop if !$@;
}


sub test_directives {
    my $agent = "vault_agent http://127.0.0.1:1;\n";
    my $auth = "vault_agent_auth aws role=x;\n";

    refused('no address', qr/"vault_agent https/, $auth);
    refused('no identity', qr/"vault_agent_auth" is missing/, $agent);
    refused('a path', qr/without path/, "vault_agent https://a/b;$auth");
    refused('no scheme', qr/as "https:/, "vault_agent vault:8200;$auth");
    refused('a port', qr/has a port/, "vault_agent https://a:x;$auth");
    refused('a parameter', qr/no use for "x=1"/,
            "vault_agent https://a x=1;$auth");
    refused('half an identity', qr/wants both cert= and key=/,
            "vault_agent https://a cert=/x;$auth");
    refused('a time', qr/has a time/, "vault_agent https://a timeout=x;$auth");
    refused('a CA', qr{certificates of "/nowhere" cannot be read},
            "vault_agent https://a ca=/nowhere;$auth");
    refused('a method', qr/wants "aws", "kubernetes"/,
            $agent . 'vault_agent_auth ldap x=y;');
    refused('no role', qr/wants role=/,
            $agent . 'vault_agent_auth aws mount=x;');
    refused('a role id', qr/wants role_id=/,
            $agent . 'vault_agent_auth approle secret_id=x;');
    refused('a parameter of another method', qr/no use for "jwt=x"/,
            $agent . 'vault_agent_auth aws role=x jwt=x;');
    refused('a region', qr/no region/,
            $agent . 'vault_agent_auth aws role=x sts_region=x/y;');
    refused('a mount', qr/has a mount=/,
            $agent . 'vault_agent_auth aws role=x mount=a?b;');
    refused('twice', qr/is duplicate/, $agent . $agent . $auth);
    refused('a secret that is not there', qr/"NOWHERE" is not set/,
            $agent . 'vault_agent_auth approle role_id=env:NOWHERE;');
}


test_aws();
test_aws_refused();
test_aws_changed();
test_clock();
test_assume_role();
test_texts();
test_token_file();
test_namespace();
test_tls();
test_directives();

done_testing();
