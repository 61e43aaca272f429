# A bucket as the store: what is asked of it and how it is signed, and what
# happens when it fails.

use strict;
use warnings;

use lib 't/lib';

use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(uuid);
use VaultHttp;
use VaultPeer;
use VaultServer qw(call folder_of);
use VaultS3;
use VaultTest 'debug';


# Requests as they are when all is well

sub test_requests {
    my $server = s3_server('&storage_class=INTELLIGENT_TIERING&sse=aws:kms'
                             . '&kms_key=alias/vault');
    my $name = uuid('one');
    my $bytes = bytes(3_000_000);

    is(put($server, $name, $bytes), 200, 'stored');
    is(objects()->{"pre/fix/$name"}, 3_000_000, '  under its prefix, whole');

    my ($put) = asked();
    is($put->{op}, 'PUT', '  by one PUT');
    ok($put->{tls}, '  over TLS');
    is($put->{by}, 'header', '  signed in its headers');
    is($put->{headers}{'x-amz-content-sha256'}, 'UNSIGNED-PAYLOAD',
       '  but for its body');
    is($put->{headers}{'content-length'}, 3_000_000, '  of known length');
    is($put->{headers}{'transfer-encoding'}, undef, '  not in chunks');
    is($put->{headers}{'x-amz-storage-class'}, 'INTELLIGENT_TIERING',
       '  in its class');
    is($put->{headers}{'x-amz-server-side-encryption'}, 'aws:kms',
       '  encrypted there');
    is($put->{headers}{'x-amz-server-side-encryption-aws-kms-key-id'},
       'alias/vault', '  with this key');

    is(head($server, $name), 3_000_000, 'its size is found');
    is(head($server, uuid('none')), "rc $MISSING", 'nothing where nothing is');

    is(put($server, $name, $bytes, '?skip=2999990'), 200, 'the end of a body');
    is(head($server, $name), 10, '  replaces what was there');

    is(put($server, uuid('empty'), 'xyz', '?skip=3'), 200, 'nothing at all');
    is(head($server, uuid('empty')), 0, '  is an object too');

    is_deeply([remove($server, $name, uuid('none'))], [$name, uuid('none')],
              'deleted, or not there: both are gone');
    is(head($server, $name), "rc $MISSING", '  certainly');

    my %connection = map { $_->{connection} => 1 } asked();
    cmp_ok(keys %connection, '<=', 2, 'connections are kept');

    is_deeply([s3_lines($server)], [], 'nothing to complain about');
    ends_clean($server);
    forget();
}


# A fault that goes away, and one that stays

sub survives {
    my ($server, $op, $kind, $do) = @_;

    my $from = $server->log_size;

    fails({ op => $op, kind => $kind });
    ok($do->(), "$op survives $kind");

    my @tries = grep { $_->{op} eq $op } asked();
    is(@tries, 2, '  by a second try');
    is_deeply([s3_lines($server, $from)], [], '  and not a word of it');
}


sub gives_up {
    my ($server, $op, $kind, $tries, $why, $do) = @_;

    my $from = $server->log_size;

    fails({ op => $op, kind => $kind, times => 99 });
    ok($do->(), "$op fails by $kind");

    # a kept connection that breaks is not a try
    my @tries = grep { $_->{op} eq $op } asked();
    cmp_ok(@tries, '>=', $tries, "  after $tries tries");
    cmp_ok(@tries, '<=', $kind eq 'reset' ? 2 * $tries : $tries, '  not more');

    my @lines = s3_lines($server, $from);
    is(@lines, 1, '  which is said once');
    like($lines[0], $why, '  with its reason');
}


sub test_faults {
    my $server = s3_server('');
    my $name = uuid('faults');
    my $bytes = bytes(200_000);

    my %do = (
        PUT     => sub { put($server, $name, $bytes) == 200 },
        HEAD    => sub { head($server, $name) eq 200_000 },
        DELETES => sub { remove($server, $name) == 1 },
    );

    for my $kind (qw(500 503 SlowDown reset close lost garbage short)) {
        survives($server, $_, $kind, $do{$_}) for qw(PUT HEAD DELETES);
        $do{PUT}->();
    }

    survives($server, 'PUT', 'reset-mid', $do{PUT});
    survives($server, 'DELETES', 'reset-mid', $do{DELETES});
    $do{PUT}->();

    my %fails = (
        PUT     => sub { put($server, $name, $bytes) == 503 },
        HEAD    => sub { head($server, $name) eq "rc $ERROR" },
        DELETES => sub { remove($server, $name) == 0 },
    );

    for my $op (qw(PUT HEAD DELETES)) {
        gives_up($server, $op, 'SlowDown', 3, $op eq 'HEAD' ? qr/503/
                 : qr/503 SlowDown "Please reduce/, $fails{$op});
        gives_up($server, $op, 'reset', 3, qr/failed 3 times: \w/,
                 $fails{$op});
        gives_up($server, $op, 'garbage', 3, qr/failed 3 times: \w/,
                 $fails{$op});
        gives_up($server, $op, 'redirect', 1, qr/307 .* another region/,
                 $fails{$op});
        gives_up($server, $op, '403', 1, $op eq 'HEAD' ? qr/s3:ListBucket/
                 : qr/403 AccessDenied "Access Denied", request "REQ\d+"/,
                 $fails{$op});
    }

    gives_up($server, $_, '404', 1, qr/404 NoSuchBucket/, $fails{$_})
        for qw(PUT DELETES);

    # Much is refused before it has all been sent.

    my $large = bytes(8_000_000);
    $do{PUT} = sub { put($server, $name, $large) == 200 };
    survives($server, 'PUT', $_, $do{PUT}) for qw(SlowDown reset reset-mid);

    $fails{PUT} = sub { put($server, $name, $large) == 503 };
    gives_up($server, 'PUT', '403', 1, qr/403 AccessDenied/, $fails{PUT});
    gives_up($server, 'PUT', '503', 3, qr/503 ServiceUnavailable/,
             $fails{PUT});

    fails();
    is(head($server, $name), 8_000_000, 'what was there is there');
    ends_clean($server);
    forget();
}


# A store that takes its time: the client's deadline counts.

sub test_slow {
    my $server = s3_server('', vault => 'vault_request_timeout 2s;');
    my $name = uuid('slow');

    fails({ op => 'PUT', kind => 'slow', seconds => 1 });
    is(put($server, $name, 'x'), 200, 'a slow answer is waited for');
    fails({ op => 'PUT', kind => 'slow', seconds => 3 });
    is(put($server, $name, bytes(1_500_000)), 200,
       'and for longer, the more there is to send');

    for my $kind (qw(silent stall)) {
        fails({ op => 'PUT', kind => $kind, times => 9 });
        my $start = time;
        is(put($server, $name, bytes(200_000)), 503, "$kind: 503");
        cmp_ok(time - $start, '<', 4, '  in time') if $VaultNginx::SLOW == 1;
    }

    # Clients that leave while the store is asked

    fails({ op => '*', kind => 'silent', times => 9 });

    my @socks = map { VaultHttp::open_socket($server->port) } 1 .. 5;
    for my $sock (@socks) {
        print $sock "GET /api/debug/files/$name HTTP/1.1\r\nHost: x\r\n\r\n";
        $sock->flush;
    }

    sleep 0.3;
    close $_ for @socks;
    sleep 0.3;
    fails();

    is(head($server, $name), 1_500_000, 'those who leave do no harm');
    ends_clean($server);
    forget();
}


sub test_unreachable {
    my $port = VaultNginx::free_port();
    my $server = s3_server('', url => "https://127.0.0.1:$port");

    is(put($server, uuid('x'), 'x'), 503, 'nobody there');
    is(head($server, uuid('x')), "rc $ERROR", 'which HEAD does not fail by');
    is(remove($server, uuid('x')), 0, 'nothing is gone');
    my @lines = s3_lines($server);
    is(@lines, 3, 'one line each');
    ends_clean($server);

    # A certificate of nobody we know

    $server = s3_server('', env => {
        AWS_ACCESS_KEY_ID => $KEY, AWS_SECRET_ACCESS_KEY => $SECRET,
        AWS_CA_BUNDLE => '/etc/ssl/certs/ca-certificates.crt' });
    is(put($server, uuid('x'), 'x'), 503, 'an unknown authority');
    is(scalar asked(), 0, 'is told nothing');
    like(join('', s3_lines($server)), qr/certificate/, 'and the log says so');
    ends_clean($server);
}


# Credentials end while they are used; and there are none at all.

sub test_credentials {
    my $aws = VaultPeer->new('aws.py');
    my $server = s3_server('', env => {
        AWS_CONTAINER_CREDENTIALS_FULL_URI => $aws->url('/container') });
    my $name = uuid('credentials');
    my $n = 1;
    my $expire = sub { peer()->set(expired => $_[0], clear => \1) };

    is(put($server, $name, 'x'), 200, 'temporary keys');
    is((asked())[0]{access_key}, 'AKID1', '  are those of the container');

    for my $do (sub { put($server, $name, 'xy') == 200 },
                sub { head($server, $name) eq 2 },
                sub { remove($server, $name) == 1 })
    {
        $expire->($n++);
        ok($do->(), 'keys that have expired are asked for anew');
        is_deeply([map { $_->{access_key} // 'refused' } asked()],
                  ['refused', "AKID$n"], '  at once');
    }

    is($aws->state->{container}, $n, 'each was asked for once');

    # Many find out at the same time.

    put($server, $name, 'xyz');
    $expire->($n++);

    my @socks = map { VaultHttp::open_socket($server->port) } 1 .. 10;
    for my $sock (@socks) {
        print $sock "GET /api/debug/files/$name HTTP/1.1\r\nHost: x\r\n"
                    . "Connection: close\r\n\r\n";
        $sock->flush;
    }

    my $good = 0;
    for my $sock (@socks) {
        local $/;
        $sock->blocking(1);
        $good++ if <$sock> =~ /"size":3\b/;
    }

    is($good, 10, 'ten requests with keys that have expired');
    is($aws->state->{container}, $n, '  ask for others once');

    $aws->set(fail => 500);
    peer()->set(expired => 99, clear => \1);
    is(put($server, $name, 'x'), 503, 'no others to be had');
    is(scalar asked(), 1, '  is no reason to try the same');
    like((s3_lines($server))[0], qr/400 ExpiredToken/, '  and is logged');
    peer()->set(expired => 0);
    ends_clean($server);

    $server = s3_server('', env => { AWS_EC2_METADATA_DISABLED => 'true' });
    is(put($server, $name, 'x'), 503, 'no keys at all');
    is(head($server, $name), "rc $ERROR", 'HEAD says so');
    is(remove($server, $name), 0, 'nothing is gone');
    is(call($server, 'GET', "/api/debug/files/$name/link?op=get&n=1")
       ->{status}, 503, 'no link');
    ends_clean($server);
    forget();
}


sub test_clock {
    my $server = s3_server('');
    my $name = uuid('clock');

    put($server, $name, 'x');

    for my $skew (3600, -7200) {
        peer()->set(skew => $skew, clear => \1);
        is(put($server, $name, 'xyz'), 200, "a clock that is $skew s off");
        is(scalar asked(), 2, '  is corrected by the first answer');
        is(head($server, $name), 3, '  and stays so');
        is(scalar asked(), 3, '  for all');
    }

    peer()->set(skew => 0, clear => \1);
    is(head($server, $name), 1 * 3, 'HEAD learns it from 403 alone');
    is(scalar asked(), 2, '  at once');

    fails({ op => 'PUT', kind => 'RequestTimeTooSkewed', times => 9 });
    is(put($server, $name, 'x'), 503, 'a clock that is right');
    is(scalar asked(), 1, '  is not corrected');
    ends_clean($server);
    forget();
}


sub test_delete {
    my $server = s3_server('');
    my @names = map { uuid("delete $_") } 1 .. 2500;

    put($server, $_, 'x') for @names[0, 999, 1000, 2499];
    peer()->set(clear => \1);

    my $start = time;
    is_deeply([remove($server, @names)], \@names, 'more than fit in one batch');
    note sprintf '%.0f ms', 1000 * (time - $start);

    is_deeply([map { scalar @{$_->{keys}} } asked()], [1000, 1000, 500],
              'three batches');
    is_deeply(objects(), {}, 'all are gone');
    like((asked())[0]{headers}{'content-md5'}, qr/^[\w+\/]{22}==$/,
         'each with a checksum');

    fails({ op => 'DELETES', kind => 'keys', skip => 1 });
    is_deeply([remove($server, @names)], [@names[0 .. 999, 2000 .. 2499]],
              'keys that fail are not gone');
    like((s3_lines($server))[0], qr/1000 of 1000 objects .* InternalError/,
         'which is logged');

    fails({ op => 'DELETES', kind => '403', skip => 1 });
    is_deeply([remove($server, @names)], [@names[0 .. 999]],
              'a batch that fails ends it');
    is(scalar asked(), 2, 'the rest comes another time');

    ends_clean($server);
    peer()->set(clear => \1);
}


# Other stores: plain HTTP on this machine, addresses

sub test_plain {
    my $plain = VaultPeer->new('s3.py');
    my $name = uuid('plain');

    my $server = s3_server('&region=garage', url => $plain->url);
    $plain->set(region => 'garage');

    is(put($server, $name, bytes(300_000)), 200, 'a store without TLS');
    is(head($server, $name), 300_000, '  has it');
    is($plain->state->{log}[0]{tls}, JSON::PP::false(), '  in the clear');
    like(link_of($server, 'get', $name)->{url},
         qr{^http://127\.0\.0\.1:\d+/vault/pre/fix/$name\?}, '  a link to it');
    ends_clean($server);
}


test_requests();
test_faults();
test_slow();
test_unreachable();
test_credentials();
test_clock();
test_delete();
test_plain();

done_testing();
