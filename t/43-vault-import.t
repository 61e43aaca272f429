# Import: a whole vault in one request, all or nothing.

use strict;
use warnings;

use Test::More;
use VaultTest;

my $server = vault_server();

sub import_as {
    my ($who, $json, $status, $name) = @_;

    my $answer = call($server, 'POST', '/api/ciphers/import', as => $who,
                      json => $json, timeout => 60);
    is($answer->{status}, $status, $name) or diag($answer->{body});
    return $answer->{json};
}

sub ciphers_of {
    return call($server, 'GET', '/api/ciphers', as => $_[0])->{json}{data};
}

sub folders_of {
    return call($server, 'GET', '/api/folders', as => $_[0])->{json}{data};
}

my %name = map { (enc($_) => $_) } 'item 1', 'item 2', 'item 3', 'work',
                                  'home';

# a small one

import_as('alice', {
    ciphers => ciphers(3),
    folders => [folder('work'), folder('home')],
    folderRelationships => [{ key => 0, value => 1 }, { key => 2, value => 0 },
                            { key => 9, value => 0 }, { key => 1, value => 7 }],
}, 200, 'three items and two folders');

my %folder = map { $_->{id} => $name{$_->{name}} } @{folders_of('alice')};
is_deeply([sort values %folder], ['home', 'work'], 'both folders are there');

my %filed = map { $name{$_->{name}} => $folder{$_->{folderId} // ''} }
                @{ciphers_of('alice')};
is_deeply(\%filed, { 'item 1' => 'home', 'item 2' => undef,
                     'item 3' => 'work' }, 'each item where it belongs');

# into a folder that is there, and one of somebody else

my ($work) = grep { $folder{$_} eq 'work' } keys %folder;
import_as('alice', {
    ciphers => [cipher(name => 'item 1', favorite => JSON::PP::true(),
                       archivedDate => '2026-02-03T04:05:06Z')],
    folders => [{ id => $work, name => enc('work') }],
    folderRelationships => [{ key => 0, value => 0 }],
}, 200, 'into a folder that is there');

is(scalar @{folders_of('alice')}, 2, 'it is used again');

my ($item) = grep { $_->{favorite} } @{ciphers_of('alice')};
is($item->{folderId}, $work, 'by the item');
is($item->{archivedDate}, '2026-02-03T04:05:06.000Z', 'archived as it was');

import_as('bob', {
    ciphers => [cipher(name => 'item 1', folderId => $work)],
    folders => [{ id => $work, name => enc('work') }],
    folderRelationships => [{ key => 0, value => 0 }],
}, 200, 'into a folder of somebody else');

my ($folder) = @{folders_of('bob')};
isnt($folder->{id}, $work, 'which becomes one of his own');
is(ciphers_of('bob')->[0]{folderId}, $folder->{id}, 'with the item in it');
is(scalar @{ciphers_of('alice')}, 4, 'alice has what she had');

# all or nothing

import_as('bob', { ciphers => [cipher(name => 'a'),
                               cipher(name => 'b', notes => 'clear')] },
          400, 'one bad item');
import_as('bob', { ciphers => [cipher(name => 'a'),
                               cipher(name => 'b',
                                      encryptedFor => user('alice')->{id})] },
          400, 'one item for somebody else');
import_as('bob', { ciphers => [cipher(name => 'a',
                                      organizationId => uuid('o'))] },
          404, 'one item of an organization');
import_as('bob', { folders => [folder('x'), { name => 'clear' }],
                   ciphers => [cipher(name => 'a')] }, 400, 'one bad folder');
is(scalar @{ciphers_of('bob')}, 1, 'no item was taken');
is(scalar @{folders_of('bob')}, 1, 'no folder either');

import_as('bob', {}, 400, 'nothing at all');
import_as('bob', '{"ciphers": [', 400, 'half a body');
import_as('bob', { ciphers => [], folders => [], folderRelationships => [] },
          200, 'empty lists');
is(call($server, 'POST', '/api/ciphers/import', json => {})->{status}, 401,
   'nobody imports');

# large ones: the number of statements does not grow

sub statements {
    my $first = status($server)->{database}{statements};
    $_[0]->();
    return status($server)->{database}{statements} - $first;
}

my $few = statements(sub { import_as('carol', { ciphers => ciphers(10) },
                                     200, '10 items') });
my $many = statements(sub { import_as('carol', { ciphers => ciphers(2000) },
                                      200, '2000 items') });
is($many, $few, "are $few statements, and so are 10");
is(scalar @{ciphers_of('carol')}, 2010, 'all are there');

import_as('carol', { ciphers => ciphers(1),
                     folders => [map { folder($_) } 1 .. 1000] }, 200,
          '1000 folders');
is(scalar @{folders_of('carol')}, 1000, 'are there');

# bounds

sub list { return '[' . join(',', ($_[1]) x $_[0]) . ']' }

import_as('carol', '{"ciphers":' . list(20001, '{}') . '}', 400,
          '20,001 items');
import_as('carol', '{"ciphers":[],"folders":' . list(5001, '{}') . '}', 400,
          '5,001 folders');

my $folder_json = json_text(folder('x'));

for my $n (4000, 5000) {
    import_as('carol', '{"ciphers":[],"folders":' . list($n, $folder_json)
                       . '}', 200, "$n folders more");
}

is(call($server, 'POST', '/api/folders', as => 'carol',
        json => folder('x'))->{json}{message}, 'You have too many folders.',
   'and there is an end to it');
import_as('carol', { ciphers => [], folders => [folder('x')] }, 400,
          'for an import as well');

stops_clean($server);
done_testing();
