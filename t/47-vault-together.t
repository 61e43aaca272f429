# Several clients of one account at once: every call is answered as if it had
# been alone, and no item is left in a folder that is gone.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use VaultTest;

my $CLIENTS = 6;
my $SECONDS = 2;

my $server = vault_server(workers => 2);
user('alice');

call($server, 'POST', '/api/ciphers/import', as => 'alice',
     json => { ciphers => ciphers(40) });

my @ids = map { $_->{id} }
          @{call($server, 'GET', '/api/ciphers', as => 'alice')->{json}{data}};
is(scalar @ids, 40, '40 items');

sub some { return [grep { rand() < 0.5 } sort { rand() <=> 0.5 } @ids] }

# (not call(), which takes its time to read each answer)

sub alice {
    my ($method, $path, $json) = @_;

    my @headers = ('Authorization: Bearer ' . user('alice')->{token});
    push @headers, 'Content-Type: application/json' if $json;

    return VaultHttp::request($server->port, $method, $path, \@headers,
                              $json && json_text($json));
}

# One after the other; each is allowed to find what it needs gone (404, 400).

my @calls = (
    sub { alice('PUT', '/api/ciphers/delete', { ids => some() }) },
    sub { alice('PUT', '/api/ciphers/restore', { ids => some() }) },
    sub { alice('PUT', '/api/ciphers/archive', { ids => some() }) },
    sub { alice('PUT', '/api/ciphers/unarchive', { ids => some() }) },
    sub { alice('PUT', "/api/ciphers/$ids[rand @ids]",
                cipher(name => rand)) },
    sub {
        my $made = alice('POST', '/api/folders', folder(rand));
        my ($folder) = $made->{body} =~ /"id":"([^"]+)"/;

        alice('PUT', '/api/ciphers/move',
              { ids => some(), folderId => $folder });
        return alice('POST', '/api/ciphers', cipher(folderId => $folder));
    },
    sub { alice('DELETE', '/api/folders/all') },
    sub { alice('GET', '/api/sync') },
);

sub client {
    my ($seed) = @_;

    my ($n, $end) = (0, time + $SECONDS * $VaultNginx::SLOW);
    my %statuses;
    srand $seed;

    while (time < $end) {
        my $answer = $calls[rand @calls]->();
        $statuses{$answer->{status} // 0}++;
        $n++;
    }

    return join ' ', map { "$_:$statuses{$_}" } sort keys %statuses;
}

my @pipes;

for my $seed (1 .. $CLIENTS) {
    my $pid = open my $pipe, '-|';
    die "fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        print client($seed);
        close STDOUT;
        POSIX::_exit(0);
    }

    push @pipes, $pipe;
}

for my $pipe (@pipes) {
    my $statuses = <$pipe>;
    like($statuses, qr/^(?:(?:200|400|404):\d+ ?)+$/,
         "a client heard $statuses");
}

my $sync = VaultHttp::json(alice('GET', '/api/sync'));
my %folder = map { $_->{id} => 1 } @{$sync->{folders}};
my @lost = grep { $_->{folderId} && !$folder{$_->{folderId}} }
                @{$sync->{ciphers}};

is(scalar @lost, 0, 'no item is in a folder that is gone');
cmp_ok(scalar @{$sync->{ciphers}}, '>=', 40, 'no item is gone');

stops_clean($server);
done_testing();
