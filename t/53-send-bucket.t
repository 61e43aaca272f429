# Sends whose files go to a bucket by themselves: nobody tells us when one is
# there, so whoever asks first finds it out.

use strict;
use warnings;

use Test::More 'no_plan';

use VaultFile qw(send_of);
use VaultS3;
use VaultTest 'debug';

my $server = s3_server('', vault => "vault_login_limit off;\n"
                       . "vault_upload presigned;\nvault_jobs off;\n"
                       . 'vault_database_strict on;');


sub sends {
    my ($how) = @_;

    my $json = call($server, 'GET', "/api/$how", as => 'alice')->{json};
    return map { $_->{id} } @{$json->{sends} // $json->{data}};
}


sub access { return call($server, 'POST', "/api/sends/access/$_[0]{send}",
                         json => {}) }
sub grant {
    my ($send) = @_;

    return call($server, 'POST', '/identity/connect/token', form => [
        client_id => 'send', grant_type => 'send_access',
        scope => 'api.send.access', send_id => $send->{send} ]);
}


# A promise, and its bytes as if the client had put them to the bucket

sub promised { return send_of($server, 'alice', 1000) }

sub uploaded {
    my ($size) = @_;

    my $send = promised();
    is(put($server, $send->{id}, bytes($size // 1000)), 200, 'an upload');
    return $send;
}


user('alice');

my $send = promised();
is($send->{type}, 1, 'a link to put it to');
like($send->{path}, qr{^/bucket/.*\Q$send->{id}\E}, 'of the bucket');

my $again = call($server, 'GET', "/api/sends/$send->{send}/file/$send->{id}",
                 as => 'alice');
json_like($again->{json}, { fileUploadType => 1,
                            url => "<re:/bucket/.*$send->{id}>" },
          'and another one');

is_deeply([sends('sends')], [], 'a promise is not listed');
is_deeply([sends('sync')], [], 'nor in a sync');
is(access($send)->{status}, 404, 'nor to be had');
is(grant($send)->{status}, 400, 'in any way');
is(call($server, 'GET', "/api/sends/$send->{send}", as => 'alice')
   ->{status}, 404, 'nor read');

for my $case (
    ['a list', sub { my ($send) = @_;
                        return grep { $_ eq $send->{send} } sends('sends') }],
    ['a receiver', sub { access($_[0])->{status} == 200 }],
    ["a receiver's token", sub { grant($_[0])->{status} == 200 }],
    ['its owner', sub { call($server, 'GET', "/api/sends/$_[0]{send}",
                             as => 'alice')->{status} == 200 }],
) {
    my ($name, $ask) = @$case;
    my $send = uploaded();

    ok($ask->($send), "$name finds it");
    ok((grep { $_ eq $send->{send} } sends('sync')), 'and the next sync');
    is(call($server, 'GET', "/api/sends/$send->{send}/file/$send->{id}",
            as => 'alice')->{status}, 404, 'there is no second upload');
}

my $synced = uploaded();
ok((grep { $_ eq $synced->{send} } sends('sync')), 'a sync finds it');

my $answer = call($server, 'POST', "/api/sends/$synced->{send}/access/file/"
                  . $synced->{id}, json => {});
json_like($answer->{json}, { id => $synced->{id},
                             url => '<re:^https://localhost:.*Signature=>' },
          'its link is one of the bucket');

my $wrong = uploaded(999);
is(access($wrong)->{status}, 404, 'a file of another size is not taken');
is(VaultServer::sql("SELECT state FROM files WHERE id = '$wrong->{id}'") + 0,
   2, 'but given up');

my $away = uploaded();
fails({ op => 'HEAD', kind => '403', times => 99 });
is(access($away)->{status}, 404, 'a bucket that is away shows nothing');
is(call($server, 'GET', '/api/sync', as => 'alice')->{status}, 200,
   'and fails no sync');
forget();

ends_clean($server);
