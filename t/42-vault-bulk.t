# Ciphers, many at a time: each form does what it says to what is the user's,
# and nothing to what is not.

use strict;
use warnings;

use Test::More;
use VaultTest;

my $server = vault_server();
my (@ids, @strange);

sub alice { call($server, @_, as => 'alice') }
sub bob   { call($server, @_, as => 'bob') }

sub create {
    my ($who, $n) = @_;

    return map {
        call($server, 'POST', '/api/ciphers', as => $who,
             json => cipher(name => "$who $_"))->{json}{id}
    } 1 .. $n;
}

sub item { return alice('GET', "/api/ciphers/$_[0]")->{json} }

sub revision { return alice('GET', '/api/accounts/revision-date')->{body} }

sub done {
    my ($name, $answer, $status) = @_;

    is($answer->{status}, $status // 200, $name) or diag($answer->{body});
    return $answer;
}

@ids = create('alice', 4);
@strange = create('bob', 2);

my $missing = uuid('nobody');
my @all = (@ids[0, 1], $missing, $strange[0]);

# into the trash

my $before = revision();
done('into the trash',
     alice('PUT', '/api/ciphers/delete', json => { ids => \@all }));
cmp_ok(revision(), '>', $before, 'which is a new revision');
ok(item($_)->{deletedDate}, 'an item has a date') for @ids[0, 1];
ok(!item($_)->{deletedDate}, 'another has none') for @ids[2, 3];
ok(!bob('GET', "/api/ciphers/$strange[0]")->{json}{deletedDate},
   'nor one of somebody else');

# and back

my $list = done('restored', alice('PUT', '/api/ciphers/restore',
                                  json => { ids => \@all }))->{json};
is($list->{object}, 'list', 'a list of');
is_deeply([sort map { $_->{id} } @{$list->{data}}], [sort @ids[0, 1]],
          'those that are alice\'s');
is($list->{data}[0]{deletedDate}, undef, 'without a date');

# the archive

$list = done('archived', alice('PUT', '/api/ciphers/archive',
                               json => { ids => \@all }))->{json};
is(scalar @{$list->{data}}, 2, 'both of alice');
ok($list->{data}[0]{archivedDate}, 'have a date');
ok(!bob('GET', "/api/ciphers/$strange[0]")->{json}{archivedDate},
   'one of bob has none');

my $again = done('archived already', alice('PUT', '/api/ciphers/archive',
                                           json => { ids => \@all }), 400);
is($again->{json}{message},
   'No ciphers were archived. Ensure the provided IDs are correct and you '
   . 'have permission to archive them.', 'in the official words');

done('bob takes them not out', bob('PUT', '/api/ciphers/unarchive',
                                   json => { ids => \@ids }), 400);

$list = done('out of the archive', alice('PUT', '/api/ciphers/unarchive',
                                         json => { ids => \@all }))->{json};
is(scalar @{$list->{data}}, 2, 'both');
is($list->{data}[1]{archivedDate}, undef, 'without a date');

# into a folder

my $folder = alice('POST', '/api/folders', json => folder('a'))->{json}{id};
my $other = bob('POST', '/api/folders', json => folder('b'))->{json}{id};

done('moved', alice('PUT', '/api/ciphers/move',
                    json => { ids => \@all, folderId => $folder }));
is(item($ids[0])->{folderId}, $folder, 'into the folder');
is(item($ids[2])->{folderId}, undef, 'others not');
is(bob('GET', "/api/ciphers/$strange[0]")->{json}{folderId}, undef,
   'those of bob not');

my $answer = done('into a folder of bob', alice('PUT', '/api/ciphers/move',
    json => { ids => \@all, folderId => $other }), 400);
is($answer->{json}{message}, 'Invalid folder.', 'is refused');
is(item($ids[0])->{folderId}, $folder, 'and changes nothing');

done('out of the folder', alice('POST', '/api/ciphers/move',
                                json => { ids => \@all, folderId => undef }));
is(item($ids[0])->{folderId}, undef, 'they are');

# for good

done('bob deletes', bob('DELETE', '/api/ciphers', json => { ids => \@ids }));
is(item($ids[0])->{id}, $ids[0], 'nothing of alice');

done('deleted', alice('DELETE', '/api/ciphers', json => { ids => \@all }));
done('gone', alice('GET', "/api/ciphers/$_"), 404) for @ids[0, 1];
done('bob\'s is there', bob('GET', "/api/ciphers/$strange[0]"));

done('by the old call', alice('POST', '/api/ciphers/delete',
                              json => { ids => [$ids[2]] }));
done('gone', alice('GET', "/api/ciphers/$ids[2]"), 404);

# what is refused

for my $call (['PUT', 'delete'], ['DELETE', ''], ['POST', 'delete'],
              ['PUT', 'move'], ['POST', 'move'], ['PUT', 'restore'],
              ['PUT', 'archive'], ['PUT', 'unarchive'])
{
    my ($method, $verb) = @$call;
    my $path = '/api/ciphers' . ($verb && "/$verb");

    done("$method $verb by nobody", call($server, $method, $path,
         json => { ids => [$ids[3]] }), 401);
    done("$method $verb without ids", alice($method, $path, json => {}), 400);
    done("$method $verb of no UUID", alice($method, $path,
         json => { ids => ['x'] }), 400);
    done("$method $verb of half a body", alice($method, $path,
         json => '{"ids": ['), 400);
    done("$method $verb of an organization", alice($method, $path,
         json => { ids => [$ids[3]], organizationId => uuid('o') }), 404);
}

is(item($ids[3])->{deletedDate}, undef, 'nothing has happened');

# one statement, whatever the number

sub statements {
    my $first = status($server)->{database};
    $_[0]->();
    my $then = status($server)->{database};

    return ($then->{statements} - $first->{statements},
            $then->{roundTrips} - $first->{roundTrips});
}

my @one = statements(sub {
    alice('PUT', '/api/ciphers/delete', json => { ids => [$ids[3]] })
});
my $most = $VaultServer::FLAVOUR eq 'dsql' ? 2000 : 5000;
my @many = statements(sub {
    alice('PUT', '/api/ciphers/delete',
          json => { ids => [$ids[3], map { uuid($_) } 1 .. $most] })
});
is_deeply(\@many, \@one, "$most ids are @one statements and round trips");

done('20001 ids are too many', alice('DELETE', '/api/ciphers',
     json => { ids => [($missing) x 20001] }), 400);

# purge

done('purge without a password', alice('POST', '/api/ciphers/purge',
                                       json => {}), 400);
done('with a wrong one', alice('POST', '/api/ciphers/purge',
     json => { masterPasswordHash => b64('wrong') }), 400);
done('by nobody', call($server, 'POST', '/api/ciphers/purge',
     json => { masterPasswordHash => user('alice')->{hash} }), 401);
done('of an organization',
     alice('POST', '/api/ciphers/purge?organizationId=' . uuid('o'),
           json => { masterPasswordHash => user('alice')->{hash} }), 404);
is(item($ids[3])->{id}, $ids[3], 'the item is still there');

done('with the right one', alice('POST', '/api/ciphers/purge',
     json => { masterPasswordHash => user('alice')->{hash} }));
is(scalar @{alice('GET', '/api/ciphers')->{json}{data}}, 0, 'no items');
is(scalar @{alice('GET', '/api/folders')->{json}{data}}, 0, 'no folders');
is(scalar @{bob('GET', '/api/ciphers')->{json}{data}}, 2, 'bob has his');

stops_clean($server);
done_testing();
