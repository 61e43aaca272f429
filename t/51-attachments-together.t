# Attachments of one user by many clients at once: the quota holds, an item's
# list is always that of its files, and no file outlives its item.

use strict;
use warnings;

use JSON::PP ();
use POSIX ();
use Test::More;

use VaultFile qw(form_of);
use VaultServer qw(sql);
use VaultTest;

my $CLIENTS = 6;
my $SECONDS = 3;

my $server = vault_server(vault => "vault_upload direct;\n"
                        . "vault_file_quota 300k;\nvault_jobs off;");
my %good = (key => enc('key'), fileName => enc('file'));

sub alice { return call($server, @_, as => 'alice') }

sub item {
    return alice('POST', '/api/ciphers', json => cipher())->{json}{id};
}

sub promise_of {
    my ($item, $size) = @_;

    return alice('POST', "/api/ciphers/$item/attachment/v2",
                 json => { %good, fileSize => $size });
}

sub send_to {
    my ($item, $id, $size) = @_;

    my ($boundary, $body) = form_of('x' x $size);
    return alice('POST', "/api/ciphers/$item/attachment/$id", body => $body,
                 headers => ["Content-Type: multipart/form-data; "
                             . "boundary=$boundary"]);
}

# What each of n children says

sub at_once {
    my ($n, $child) = @_;

    my (@pipes, @said);

    for my $seed (1 .. $n) {
        my $pid = open my $pipe, '-|';
        die "fork: $!\n" if !defined $pid;

        if ($pid == 0) {
            print $child->($seed);
            close STDOUT;
            POSIX::_exit(0);
        }

        push @pipes, $pipe;
    }

    for my $pipe (@pipes) {
        push @said, <$pipe>;
    }

    return @said;
}

user('alice');


# A quota for five

my $item = item();
my %count;
$count{$_}++ for at_once(12, sub { promise_of($item, 60 * 1024)->{status} });
is_deeply(\%count, { 200 => 5, 400 => 7 }, 'five of twelve fit');

my ($promise) = split /\n/, sql('SELECT id FROM files');
%count = ();
$count{$_}++ for at_once(8, sub {
    send_to($item, $promise, 60 * 1024)->{status} });
is($count{200}, 1, 'one of eight uploads is taken');
is(($count{400} // 0) + ($count{404} // 0), 7, 'seven are not');
is(scalar @{alice('GET', "/api/ciphers/$item")->{json}{attachments}}, 1,
   'there is one');
alice('DELETE', "/api/ciphers/$item");


# Everything at once

my @items = map { item() } 1 .. 3;

my @calls = (
    (sub {
        my $item = $items[rand @items];
        my $promise = promise_of($item, 7);
        return $promise if $promise->{status} != 200;
        return send_to($item, $promise->{json}{attachmentId}, 7);
    }) x 4,
    (sub {
        my $item = $items[rand @items];
        my $list = (alice('GET', "/api/ciphers/$item")->{json} // {})
                   ->{attachments} // [];
        return { status => 200 } if !@$list;
        return alice('DELETE', "/api/ciphers/$item/attachment/"
                             . $list->[rand @$list]{id});
    }) x 2,
    sub {
        my $item = $items[rand @items];
        my $list = (alice('GET', "/api/ciphers/$item")->{json} // {})
                   ->{attachments} // [];
        return alice('PUT', "/api/ciphers/$item", json => {
            %{cipher()}, attachments2 => { map { $_->{id} => {
                fileName => enc('edited ' . rand), key => enc('key') } }
                @$list } });
    },
    sub {
        my $n = rand @items;
        my $answer = rand > 0.5
            ? alice('DELETE', "/api/ciphers/$items[$n]")
            : alice('POST', '/api/ciphers/delete',
                    json => { ids => [$items[$n]] });
        $items[$n] = item();
        return $answer;
    },
);

my @said = at_once($CLIENTS, sub {
    my ($end, %statuses) = (time + $SECONDS * $VaultNginx::SLOW);

    srand $_[0];
    $statuses{$calls[rand @calls]->()->{status} // 0}++ while time < $end;
    return join ' ', map { "$_:$statuses{$_}" } sort keys %statuses;
});

like($_, qr/^(?:(?:200|400|404):\d+ ?)+$/, "a client heard $_") for @said;

is(sql('SELECT count(*) FROM files f WHERE f.state < 2 AND NOT EXISTS'
       . ' (SELECT 1 FROM ciphers c WHERE c.id = f.cipher_id)') + 0, 0,
   'no file has lost its item');
cmp_ok(sql('SELECT count(*) FROM files WHERE state = 2'), '>', 0,
       'some are doomed');

my %ready;
for my $row (split /\n/, sql('SELECT cipher_id, id, name FROM files'
                             . ' WHERE state = 1')) {
    my ($cipher, $id, $name) = split /\|/, $row, 3;
    $ready{$cipher}{$id} = $name;
}

my $ciphers = alice('GET', '/api/sync')->{json}{ciphers};
my %shown;
for my $cipher (@$ciphers) {
    $shown{$cipher->{id}}{$_->{id}} = $_->{fileName}
        for @{$cipher->{attachments} // []};
}
is_deeply(\%shown, \%ready, 'what is shown is what is there');
cmp_ok(scalar keys %ready, '>', 0, 'and there is something');

stops_clean($server, 'nothing is left');
is_deeply([$server->stop], [], 'and nginx is well');
done_testing();
