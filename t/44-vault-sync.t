# Sync: all of a vault, by a constant number of queries, from the cache as long
# as nothing has changed and never longer.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;
use VaultTest;

my $server = vault_server();

sub alice { call($server, @_, as => 'alice') }

sub sync_of {
    my ($who, $query, @headers) = @_;

    my $answer = call($server, 'GET', '/api/sync' . ($query // ''),
                      as => $who, headers => \@headers, timeout => 60);
    is($answer->{status}, 200, "sync of $who") or diag($answer->{body});
    return $answer;
}

# what it holds

my $folder = alice('POST', '/api/folders', json => folder('f'))->{json}{id};
my $login = alice('POST', '/api/ciphers',
                  json => cipher(folderId => $folder))->{json};
alice('POST', '/api/ciphers', json => cipher(type => 5, name => 'key'));

json_like(sync_of('alice')->{json}, {
    object => 'sync',
    profile => { object => 'profile', id => user('alice')->{id},
                 email => 'alice@example.com', securityStamp => '<text>' },
    folders => [{ id => $folder, name => enc('f'), object => 'folder',
                  revisionDate => '<date>' }],
    ciphers => '<list:2>',
    collections => [], policies => [], sends => [],
    domains => { object => 'domains', equivalentDomains => [],
                 globalEquivalentDomains => '<list:91>' },
    userDecryption => { masterPasswordUnlock => '<any>' },
}, 'all that a client wants');

my ($synced) = grep { $_->{id} eq $login->{id} }
                    @{sync_of('alice')->{json}{ciphers}};
is_deeply($synced, $login, 'an item is as it was answered when created');

is(sync_of('alice', '?excludeDomains=true')->{json}{domains}, undef,
   'domains can be left out');
json_like(sync_of('bob')->{json}, { folders => [], ciphers => [] },
          'bob sees nothing of alice');
is(call($server, 'GET', '/api/sync')->{status}, 401, 'nobody syncs');

# old clients

sub types {
    my (@headers) = @_;

    return join ' ', sort map { $_->{type} }
                @{sync_of('alice', '', @headers)->{json}{ciphers}};
}

my $version = 'Bitwarden-Client-Version:';
is(types("$version 2024.11.1"), '1', 'an old client gets no SSH keys');
is(types("$version 2024.12.0"), '1 5', 'a newer one does');
is(types("$version 2026.9.0"), '1 5', 'so does the newest');
is(types("$version nonsense"), '1 5', 'and one of no known version');
is(types("$version 2024."), '1 5', 'or of half a version');

# the cache: one query while nothing changes

sub cost {
    my ($code) = @_;

    my $first = status($server)->{database};
    my $answer = $code->();
    my $then = status($server)->{database};

    return ($then->{statements} - $first->{statements},
            $then->{roundTrips} - $first->{roundTrips}, $answer);
}

sub sync_cost {
    my ($who) = @_;

    return cost(sub { sync_of($who) });
}

my (@cached) = sync_cost('alice');
is_deeply([@cached[0, 1]], [1, 1], 'an unchanged vault is one query');
ok($cached[2]{body} eq sync_of('alice')->{body}, 'and the same bytes');

# every kind of change is seen at once

sub changes {
    my ($name, $code) = @_;

    sync_of('alice');
    my $answer = $code->();
    is($answer->{status}, 200, $name) or diag($answer->{body});

    my @cost = sync_cost('alice');
    cmp_ok($cost[0], '>', 1, 'is not answered from the cache');
    return $cost[2]{json};
}

sub first_cipher {
    my ($json) = @_;

    return (grep { $_->{id} eq $login->{id} } @{$json->{ciphers}})[0];
}

my $path = "/api/ciphers/$login->{id}";
my @ids = (json => { ids => [$login->{id}] });
my $json;

$json = changes('an edit', sub { alice('PUT', $path,
                                       json => cipher(name => 'new')) });
is(first_cipher($json)->{name}, enc('new'), 'the new name');

$json = changes('a star', sub { alice('PUT', "$path/partial",
                                      json => { favorite => \1 }) });
ok(first_cipher($json)->{favorite}, 'the star');

$json = changes('trash', sub { alice('PUT', "$path/delete") });
ok(first_cipher($json)->{deletedDate}, 'the date');

$json = changes('restore', sub { alice('PUT', "$path/restore") });
ok(!first_cipher($json)->{deletedDate}, 'no date');

$json = changes('archive', sub { alice('PUT', '/api/ciphers/archive', @ids) });
ok(first_cipher($json)->{archivedDate}, 'the date');

$json = changes('unarchive', sub { alice('PUT', "$path/unarchive") });
ok(!first_cipher($json)->{archivedDate}, 'no date');

$json = changes('move', sub { alice('PUT', '/api/ciphers/move',
    json => { ids => [$login->{id}], folderId => $folder }) });
is(first_cipher($json)->{folderId}, $folder, 'the folder');

$json = changes('a renamed folder', sub { alice('PUT',
    "/api/folders/$folder", json => folder('g')) });
is($json->{folders}[0]{name}, enc('g'), 'the new name');

$json = changes('a deleted folder', sub { alice('DELETE',
    "/api/folders/$folder") });
is_deeply($json->{folders}, [], 'no folder');
is(first_cipher($json)->{folderId}, undef, 'the item is in none');

$json = changes('an import', sub { alice('POST', '/api/ciphers/import',
    json => { ciphers => ciphers(2), folders => [folder('i')] }) });
is(scalar @{$json->{ciphers}}, 4, 'two items more');
is(scalar @{$json->{folders}}, 1, 'and a folder');

$json = changes('domains', sub { alice('PUT', '/api/settings/domains',
    json => { equivalentDomains => [['a.example', 'b.example']],
              excludedGlobalEquivalentDomains => [0] }) });
is_deeply($json->{domains}{equivalentDomains}, [['a.example', 'b.example']],
          'the group');
is(scalar @{$json->{domains}{globalEquivalentDomains}}, 90,
   'a global one less');

$json = changes('a name', sub { alice('PUT', '/api/accounts/profile',
    json => { name => 'Alice II' }) });
is($json->{profile}{name}, 'Alice II', 'the new name');

$json = changes('delete', sub { alice('DELETE', '/api/ciphers', @ids) });
is(first_cipher($json), undef, 'no item');

# another worker's, another server's write

my $second = vault_server(name => 'second');
sync_of('alice');
is(call($second, 'POST', '/api/folders', as => 'alice',
        json => folder('second'))->{status}, 200, 'a write elsewhere');
is(scalar @{sync_of('alice')->{json}{folders}}, 2, 'is seen here');

# queries do not grow with the vault

# (10 MB are too much for JSON::PP: the items are counted as text)

sub count {
    return scalar(() = call_plainly('carol') =~ /"object":"cipherDetails"/g);
}

sub call_plainly {
    my ($who) = @_;

    return VaultHttp::request($server->port, 'GET', '/api/sync',
        ['Authorization: Bearer ' . user($who)->{token}], undef)->{body};
}

sub import_many {
    my ($n) = @_;

    my $item = json_text(cipher());
    call($server, 'POST', '/api/ciphers/import', as => 'carol', timeout => 60,
         json => '{"ciphers":[' . join(',', ($item) x $n) . ']}');
}

import_many(10);
my @small = cost(\&count);
import_many(9990);
my @large = cost(\&count);

is($small[2], 10, '10 items');
is($large[2], 10000, 'and 10,000 items');
is_deeply([@large[0, 1]], [@small[0, 1]],
          "are $large[0] queries in $large[1] round trips, as 10 are");
cmp_ok($large[0], '<=', 5, 'which is few');

# an entry that an answer in flight points into outlives its place in the cache

sub leave_half {
    my ($who) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $server->port,
                                       RcvBuf => 4096);
    print $socket "GET /api/sync HTTP/1.0\r\nAuthorization: Bearer ",
                  user($who)->{token}, "\r\n\r\n";
    sysread $socket, my $start, 100;
    return sub { local $/; return (split /\r\n\r\n/, $start . <$socket>)[1] };
}

call($server, 'POST', '/api/ciphers/purge', as => 'carol',
     json => { masterPasswordHash => user('carol')->{hash} });
import_many(4000);
my $whole = call_plainly('carol');
my ($hits) = cost(\&count);
is($hits, 1, '4000 items come from the cache');

my @rest = map { leave_half('carol') } 1 .. 3;
is(call($server, 'DELETE', '/api/folders/all', as => 'carol')->{status}, 200,
   'a change while they are sent');
isnt(length call_plainly('carol'), 0, 'replaces the entry');
ok($_->() eq $whole, 'what is under way is what it was') for @rest;

# a bounded cache: with no room everything is still answered

my $none = vault_server(name => 'none', vault => 'vault_sync_cache 0;');
is(call($none, 'GET', '/api/sync', as => 'alice')->{status}, 200,
   'without a cache') for 1 .. 2;

my $small = vault_server(name => 'small', vault => 'vault_sync_cache 64k;');
for my $round (1 .. 3) {
    for my $who ('alice', 'bob', 'dave') {
        my $answer = call($small, 'GET', '/api/sync', as => $who);
        is($answer->{json}{profile}{email}, "$who\@example.com",
           "a small cache, $who");
    }
}

stops_clean($_) for $server, $second, $none, $small;
done_testing();
