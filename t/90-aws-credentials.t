# Where keys for AWS come from, when they are renewed, and what happens when
# they cannot be; URLs that are signed with them.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultPeer;
use VaultServer qw(vault_server call folder_of);
use VaultTest 'debug';

my $CREDENTIALS = '/api/debug/aws/credentials';
my $files = folder_of();
my $servers = 0;

delete @ENV{grep { /^AWS_/ } keys %ENV};


sub server_with {
    my (%env) = @_;

    return vault_server(
        name => 'aws' . $servers++,
        env  => { HOME => "$files/nobody", %env },
    );
}


sub keys_of {
    my ($server) = @_;

    my $answer = call($server, 'GET', $CREDENTIALS);

    return $answer->{status} == 200 ? $answer->{json}{accessKeyId}
                                    : $answer->{status};
}


# Tries until the answer is this one, for a few seconds.

sub becomes {
    my ($server, $want, $what) = @_;

    my $end = time + 5 * $VaultNginx::SLOW;
    my $got;

    do {
        $got = keys_of($server);
        return is($got, $want, $what) if $got eq $want;
        sleep 0.1;
    } while (time < $end);

    return is($got, $want, $what);
}


sub write_file {
    my ($name, $text) = @_;

    VaultNginx::write_file("$files/$name", $text);
    return "$files/$name";
}


sub ends_clean {
    my ($server, @secrets) = @_;

    is_deeply([$server->stop], [], 'nginx ended without a complaint');

    my $log = $server->log_text;
    unlike($log, qr/\Q$_\E/, 'no secret in the log')
        for 'secret-', 'token/', @secrets;
}


# The signature of a URL, as whoever checks it computes it

sub signature {
    my ($method, $url, $secret) = @_;

    my ($host, $path, $query) = $url =~ m{^https://([^/]+)(/[^?]*)\?(.*)$};
    my %param = map { split /=/, $_, 2 } split /&/, $query;

    my $canonical = join "\n", $method, $path,
        join('&', map { "$_=$param{$_}" }
                  sort grep { $_ ne 'X-Amz-Signature' } keys %param),
        "host:$host", '', 'host', 'UNSIGNED-PAYLOAD';

    my (undef, @scope) = split m{%2F}, $param{'X-Amz-Credential'};
    my $key = "AWS4$secret";
    $key = hmac_sha256($_, $key) for @scope;

    my $text = join "\n", 'AWS4-HMAC-SHA256', $param{'X-Amz-Date'},
                          join('/', @scope), sha256_hex($canonical);

    return ($param{'X-Amz-Signature'}, hmac_sha256_hex($text, $key), \%param);
}


sub presigned_ok {
    my ($server, $secret, $token) = @_;

    my $answer = call($server, 'GET', '/api/debug/aws/presign?method=PUT'
                      . '&path=/a%20b/%C3%BC%2B.bin&sv=2021-08-06');
    my ($got, $want, $param) = signature('PUT', $answer->{body}, $secret);

    is($got, $want, 'a URL with the right signature');
    is($param->{'sv'}, '2021-08-06', 'and the parameter of its own');
    is($param->{'X-Amz-Security-Token'}, $token, 'and its session token');
}


sub test_environment {
    my $server = server_with(
        AWS_ACCESS_KEY_ID => 'AKIDENV', AWS_SECRET_ACCESS_KEY => 'hidden-env',
        AWS_REGION => 'eu-west-1');

    my $answer = call($server, 'GET', $CREDENTIALS);
    is_deeply($answer->{json}, { accessKeyId => 'AKIDENV', expiresAt => 0,
                                 temporary => JSON::PP::false() },
              'keys of the environment');
    presigned_ok($server, 'hidden-env', undef);
    ends_clean($server, 'hidden-env');

    $server = server_with(
        AWS_ACCESS_KEY_ID => 'AKIDENV', AWS_SECRET_ACCESS_KEY => 'hidden-env',
        AWS_SESSION_TOKEN => 'hidden/tok+==',
        AWS_DEFAULT_REGION => 'eu-west-1');
    presigned_ok($server, 'hidden-env', 'hidden%2Ftok%2B%3D%3D');
    ends_clean($server, 'hidden-env', 'hidden/tok');
}


sub test_profile {
    my $path = write_file('credentials', <<'_EOF_');
# comment
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key=hidden-default

[ work ]
  aws_access_key_id=AKIDWORK
aws_secret_access_key =  hidden-work
aws_session_token = hidden-token
[empty]
_EOF_

    my @cases = (
        ['default', 'AKIDDEFAULT', 'hidden-default', undef],
        ['work', 'AKIDWORK', 'hidden-work', 'hidden-token'],
    );

    for my $case (@cases) {
        my ($profile, $key, $secret, $token) = @$case;
        my $server = server_with(AWS_SHARED_CREDENTIALS_FILE => $path,
                                 AWS_PROFILE => $profile,
                                 AWS_REGION => 'eu-west-1');

        is(keys_of($server), $key, "keys of the profile $profile");
        presigned_ok($server, $secret, $token);
        ends_clean($server, 'hidden');
    }

    mkdir "$files/home";
    write_file('home/.aws/credentials', VaultNginx::read_file($path));
    my $server = server_with(HOME => "$files/home");
    is(keys_of($server), 'AKIDDEFAULT', 'keys of the home folder');
    ends_clean($server, 'hidden');

    for my $profile ('empty', 'missing') {
        $server = server_with(AWS_SHARED_CREDENTIALS_FILE => $path,
                              AWS_PROFILE => $profile);
        is(keys_of($server), 503, "no keys in the profile $profile");
        like($server->log_text, qr/has no keys for the profile "$profile"/,
             'and the log says so');
        ends_clean($server, 'hidden');
    }
}


sub test_instance {
    my $aws = VaultPeer->new('aws.py');
    my $server = server_with(AWS_EC2_METADATA_SERVICE_ENDPOINT => $aws->url);

    is(keys_of($server), 'AKID1', 'keys of the instance');
    is(keys_of($server), 'AKID1', 'which are kept');
    presigned_ok($server, 'secret-1', 'token%2F1%2B%3D%3D');
    is(call($server, 'GET', '/api/debug/aws/region')->{body}, 'eu-west-1',
       'its region');

    my $state = $aws->state;
    is($state->{issued}, 1, 'asked for once');
    is($state->{token}, 2, 'a token for the keys and one for the region');

    ends_clean($server);

    $aws->set(role => '');
    $server = server_with(AWS_EC2_METADATA_SERVICE_ENDPOINT => $aws->url);
    is(keys_of($server), 503, 'an instance without a role');
    like($server->log_text, qr/the instance has no role/, 'in the log');
    ends_clean($server);

    $server = server_with(AWS_EC2_METADATA_SERVICE_ENDPOINT => $aws->url,
                          AWS_EC2_METADATA_DISABLED => 'true');
    is(keys_of($server), 503, 'metadata that is not to be asked');
    like($server->log_text, qr/none are configured/, 'in the log');
    ends_clean($server);
}


sub test_container {
    my $aws = VaultPeer->new('aws.py');
    my $file = write_file('container-token', "Bearer one\n");

    $aws->set(authorization => 'Bearer one');

    my $server = server_with(
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container'),
        AWS_CONTAINER_AUTHORIZATION_TOKEN => 'Bearer wrong',
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => $file,
        AWS_REGION => 'eu-west-1');

    is(keys_of($server), 'AKID1', 'keys of the container');
    presigned_ok($server, 'secret-1', 'token%2F1%2B%3D%3D');
    ends_clean($server, 'Bearer');

    $server = server_with(
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container'),
        AWS_CONTAINER_AUTHORIZATION_TOKEN => "Bearer one\r\nX-Other: 1");
    is(keys_of($server), 503, 'a token of two lines is not sent');
    is($aws->state->{container}, 1, 'nobody was asked');
    ends_clean($server);

    for my $url ('http://192.0.2.1/x', 'http://127.0.0.1.example.com/x',
                 'http://localhost@192.0.2.1/x', 'ftp://127.0.0.1/x')
    {
        $server = server_with(AWS_CONTAINER_CREDENTIALS_FULL_URI => $url);
        is(keys_of($server), 503, "not from $url");
        like($server->log_text, qr/must be https, or a host that AWS knows/,
             'and the log says why');
        ends_clean($server);
    }
}


sub test_identity {
    my $aws = VaultPeer->new('aws.py');
    my $file = write_file('identity-token', "identity-1\n");

    $aws->set(ttl => 2);

    my $server = server_with(
        AWS_ROLE_ARN => 'arn:aws:iam::123456789012:role/vault',
        AWS_WEB_IDENTITY_TOKEN_FILE => $file,
        AWS_ENDPOINT_URL_STS => $aws->url('/'),
        AWS_REGION => 'eu-west-1');

    is(keys_of($server), 'AKID1', 'keys for a web identity');
    presigned_ok($server, 'secret-1', 'token%2F1%2B%3D%3D');

    write_file('identity-token', 'identity-2');
    $aws->set(identity => 'identity-2');
    sleep 2.1;
    becomes($server, 'AKID2', 'the token file is read again');

    $aws->set(identity => 'identity-3');
    sleep 2.1;
    is(keys_of($server), 'AKID2', 'old keys while STS refuses');
    like($server->log_text, qr/STS answers 400 InvalidIdentityToken/,
         'and the log has its reason');
    ends_clean($server, 'identity-');
}


# Keys of some seconds: new ones are asked for after half of that.

sub test_renewal {
    my $aws = VaultPeer->new('aws.py');
    my $life = 6 * $VaultNginx::SLOW;

    $aws->set(ttl => $life);

    my $server = server_with(
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container'));

    is(keys_of($server), 'AKID1', 'first keys');

    sleep $life / 2;
    $aws->set(delay => 1.5);
    my $start = time;
    is(keys_of($server), 'AKID1', 'old ones while new ones are asked for');
    cmp_ok(time - $start, '<', 1.4, 'nobody waits for that');
    keys_of($server) for 1 .. 5;
    $aws->set(delay => 0);
    becomes($server, 'AKID2', 'then the new ones');
    is($aws->state->{issued}, 2, 'one question at a time');

    $aws->set(fail => 500);
    sleep $life / 2;
    is(keys_of($server), 'AKID2', 'old keys while they cannot be renewed');
    sleep $life / 2 + 1;
    is(keys_of($server), 'AKID2', 'even after they have expired');
    like($server->log_text, qr/the container's endpoint answers 500/,
         'and the log says so');

    $aws->set(fail => 0);
    sleep 5;
    becomes($server, 'AKID3', 'until it works again');
    ends_clean($server);
}


# Requests that arrive while there are no keys: one question, and clients that
# leave meanwhile do no harm.

sub test_single_flight {
    my $aws = VaultPeer->new('aws.py');

    $aws->set(delay => 0.7);

    my $server = server_with(
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container'));

    my @leaving = map { VaultHttp::open_socket($server->port) } 1 .. 5;
    my @staying = map { VaultHttp::open_socket($server->port) } 1 .. 10;

    for my $sock (@leaving, @staying) {
        print $sock "GET $CREDENTIALS HTTP/1.1\r\nHost: x\r\n"
                    . "Connection: close\r\n\r\n";
        $sock->flush;
    }

    sleep 0.2;
    close $_ for @leaving;

    my $good = 0;
    for my $sock (@staying) {
        local $/;
        $sock->blocking(1);
        $good++ if <$sock> =~ /"AKID1"/;
    }

    is($good, 10, 'all who wait get the keys');
    is($aws->state->{container}, 1, 'asked for once');
    is(VaultServer::status($server)->{coroutines}, 0, 'nobody is left');

    ends_clean($server);
}


# A worker that ends does not wait for keys.

sub test_quit {
    my $aws = VaultPeer->new('aws.py');

    $aws->set(ttl => 2);
    my $server = server_with(
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container'));

    keys_of($server);
    sleep 1.2;
    $aws->set(delay => 0.9);
    keys_of($server);

    my $start = time;
    ends_clean($server);
    cmp_ok(time - $start, '<', 0.8, 'at once') if $VaultNginx::SLOW == 1;
}


sub test_no_endpoint {
    my $port = VaultNginx::free_port();
    my $server = server_with(
        AWS_CONTAINER_CREDENTIALS_FULL_URI => "http://127.0.0.1:$port/x");

    is(keys_of($server), 503, 'nobody there');
    my $start = time;
    is(keys_of($server), 503, 'and not asked again at once');
    cmp_ok(time - $start, '<', 0.25, 'which is quick')
        if $VaultNginx::SLOW == 1;
    my @lines = $server->log_text =~ /the container's endpoint: /g;
    is(@lines, 1, 'one line in the log');
    ends_clean($server);
}


sub test_clock {
    my $server = server_with();
    my @day = qw(Sun Mon Tue Wed Thu Fri Sat);
    my @month = qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);

    my $learn = sub {
        my @t = gmtime(time + $_[0]);
        my $date = sprintf '%s,%%20%02d%%20%s%%20%04d%%20%02d:%02d:%02d%%20GMT',
                   $day[$t[6]], $t[3], $month[$t[4]], $t[5] + 1900,
                   @t[2, 1, 0];
        my $json = call($server, 'POST', "/api/debug/aws/clock?date=$date")
                   ->{json};
        return $json->{again}, $json->{skew};
    };

    my ($again, $skew) = $learn->(5);
    ok(!$again && $skew == 0, 'a few seconds are no reason');

    ($again, $skew) = $learn->(3600);
    ok($again && abs($skew - 3600) < 5, "an hour is: $skew");

    ($again, $skew) = $learn->(3600);
    ok(!$again && abs($skew - 3600) < 5, 'but once');

    ($again, $skew) = $learn->(0);
    ok($again && abs($skew) < 5, 'and back');

    is(call($server, 'POST', '/api/debug/aws/clock?date=tomorrow')
       ->{json}{again}, JSON::PP::false(), 'not a date');
    ends_clean($server);
}


test_environment();
test_profile();
test_instance();
test_container();
test_identity();
test_renewal();
test_single_flight();
test_quit();
test_no_endpoint();
test_clock();

done_testing();
