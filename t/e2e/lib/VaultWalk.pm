# Every command of the real bw that touches a personal vault.
#
#   walk('2026.9', 'alice', 'new');       items and folders, as that user,
#                                         registered with the new or the old
#                                         form of the request
#   walk_account('2026.9', 'alice', 'new');
#                                         imports, and the keys and passwords
#                                         of the account
#   across('2026.9', '2025.10', 'bob');   what one writes the other reads
#   walk_on($server);                     not on one of e2e_server()'s own
#   finish();                             the server's own verdict

package VaultWalk;

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

use VaultE2e qw(e2e_server account try_account email password encoded);
use VaultItems qw(login_item note_item card_item identity_item ssh_item
                  differences);
use VaultNginx ();
use VaultServer ();

our @EXPORT = qw(walk walk_account walk_on across finish);

my $UUID = qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
my $server;            # started by the first user, not by `perl -c`


sub walk_on { ($server) = @_ }


sub client {
    my ($version) = @_;

    return VaultE2e->new(server => $server, version => $version);
}


# The item that came back has all that was written.

sub same_item {
    my ($got, $want, $name) = @_;

    my @differences = differences($got, $want, 'item');
    ok(!@differences, $name) || diag(join "\n", @differences);
}


sub by_name {
    my ($list, $name) = @_;

    my ($found) = grep { $_->{name} eq $name } @$list;
    return $found;
}


sub names { return [sort map { $_->{name} } @{$_[0]}] }


sub sign_in {
    my ($bw, $name) = @_;

    my $url = $server->{url};

    is($bw->json('status')->{status}, 'unauthenticated', 'nobody is there');
    $bw->ok('config', 'server', $url);
    is($bw->ok('config', 'server'), $url, 'it keeps the address');

    # The client's words for "Username or password is incorrect. Try again."
    is($bw->fails('login', email($name), 'wrong'),
       'Invalid master password. Confirm your email is correct and your '
       . 'account was created on localhost:' . $server->port . '.',
       'a wrong password in so many words');

    $bw->login(email($name), password($name));
    is($bw->ok('sync'), 'Syncing complete.', 'it syncs');
    like($bw->ok('sync', '--last'), qr/^\d{4}-\d\d-\d\dT/, 'and knows when');

    is($bw->ok('lock'), 'Your vault is locked.', 'it locks');
    delete $bw->{session};
    like($bw->fails('unlock', 'wrong'),
         qr/Invalid master password|decryption operation failed/,
         'a wrong password unlocks nothing');
    $bw->unlock(password($name));

    my $status = $bw->json('status');
    is($status->{status}, 'unlocked', 'it unlocks');
    is($status->{userEmail}, email($name), 'it knows the address');
    is($status->{serverUrl}, $url, 'it knows the server');
}


sub folders {
    my ($bw) = @_;

    my $made = $bw->json('create', 'folder', encoded({ name => 'Work' }));
    like($made->{id}, $UUID, 'the folder has an id');
    is($made->{name}, 'Work', 'the folder has its name');

    my $id = $made->{id};
    is_deeply(names($bw->json('list', 'folders')), ['No Folder', 'Work'],
              'the folder is listed');

    is($bw->json('edit', 'folder', $id, encoded({ name => 'Home' }))->{name},
       'Home', 'the folder is renamed');
    is($bw->json('get', 'folder', $id)->{name}, 'Home', 'the name stays');

    my $other = $bw->json('create', 'folder', encoded({ name => 'Gone' }));
    $bw->ok('delete', 'folder', $other->{id});
    $bw->ok('sync', '--force');
    is_deeply(names($bw->json('list', 'folders')), ['Home', 'No Folder'],
              'the deleted folder is gone');

    return $id;
}


sub items {
    my ($bw, $folder) = @_;

    my @want = (login_item('Login', folderId => $folder), note_item('Note'),
                card_item('Card'), identity_item('Identity'), ssh_item('Key'));
    my %id;

    for my $want (@want) {
        my $made = $bw->json('create', 'item', encoded($want));

        like($made->{id}, $UUID, "the item $want->{name} has an id");
        same_item($made, $want, "the item $want->{name} comes back");
        $id{$want->{name}} = $made->{id};
    }

    $bw->ok('sync', '--force');
    my $list = $bw->json('list', 'items');
    is(@$list, 5, 'all items are listed');
    same_item(by_name($list, $_->{name}), $_, "$_->{name} survives a sync")
        for @want;

    return \%id;
}


sub reading {
    my ($bw, $folder, $id) = @_;

    is($bw->ok('get', 'password', $id->{Login}), 'first password', 'password');
    is($bw->ok('get', 'username', $id->{Login}), 'alice', 'user name');
    is($bw->ok('get', 'uri', $id->{Login}), 'https://example.com/login',
       'address');
    like($bw->ok('get', 'totp', $id->{Login}), qr/^\d{6}$/, 'one-time code');
    is($bw->ok('get', 'notes', $id->{Note}), "Notes of Note\nline two",
       'notes');

    my @found = (
        [['--search', 'card'], ['Card']],
        [['--folderid', $folder], ['Login']],
        [['--url', 'https://example.com/login'], ['Login']],
        [['--folderid', 'null', '--search', 'ident'], ['Identity']],
    );

    for (@found) {
        my ($args, $names) = @$_;
        is_deeply(names($bw->json('list', 'items', @$args)), $names,
                  "list items @$args");
    }

    is($bw->fails('get', 'item', 'nothing like that'), 'Not found.',
       'what is not there is not found');
    is_deeply($bw->json('list', $_), [], "no $_ yet")
        for 'organizations', 'collections';
    is_deeply($bw->json('send', 'list'), [], 'no Sends yet');
    is($bw->json('get', 'template', 'item')->{type}, 1, 'a template');
    like($bw->ok('generate', '--length', 40, '-ulns'), qr/^.{40}$/,
         'a password is generated');
    is(split(/-/, $bw->ok('generate', '--passphrase', '--words', 5)), 5,
       'a passphrase is generated');
}


# Another profile of the same account sees it after a sync.

sub editing {
    my ($bw, $other, $folder, $id) = @_;

    my $item = $bw->json('get', 'item', $id->{Login});
    $item->{login}{password} = 'second password';
    $item->{name} = 'Login renamed';
    $item->{folderId} = undef;
    $item->{fields} = [@{$item->{fields}}[0, 1]];

    my $edited = $bw->json('edit', 'item', $id->{Login}, encoded($item));
    is($edited->{name}, 'Login renamed', 'the item is renamed');

    $other->ok('sync');
    my $seen = $other->json('get', 'item', $id->{Login});
    my $history = delete $seen->{passwordHistory};

    is($seen->{name}, 'Login renamed', 'the other profile sees the name');
    is($seen->{login}{password}, 'second password', 'and the password');
    is($seen->{folderId}, undef, 'and that it left its folder');
    is(@{$seen->{fields}}, 2, 'and the fields that are left');
    same_item($seen->{login}{fido2Credentials},
              $item->{login}{fido2Credentials}, 'the passkey is untouched');
    is($history->[0]{password}, 'first password',
       'the old password is in the history');
    ok($seen->{revisionDate} gt $seen->{creationDate}, 'the revision grew');

    $item = $bw->json('get', 'item', $id->{Login});
    $item->{folderId} = $folder;
    is($bw->json('edit', 'item', $id->{Login}, encoded($item))->{folderId},
       $folder, 'it moves into a folder');
}


sub conflict {
    my ($bw, $other, $id) = @_;

    $bw->ok('sync');
    $other->ok('sync');

    my $mine = $bw->json('get', 'item', $id->{Note});
    my $theirs = $other->json('get', 'item', $id->{Note});

    $mine->{notes} = 'mine';
    $bw->json('edit', 'item', $id->{Note}, encoded($mine));

    $theirs->{notes} = 'theirs';
    like($other->fails('edit', 'item', $id->{Note}, encoded($theirs)),
         qr/out of date/, 'an edit of what has changed since is refused');

    $other->ok('sync');
    $theirs = $other->json('get', 'item', $id->{Note});
    is($theirs->{notes}, 'mine', 'nothing was overwritten');

    $theirs->{notes} = 'both';
    $other->json('edit', 'item', $id->{Note}, encoded($theirs));
    $bw->ok('sync');
    is($bw->json('get', 'item', $id->{Note})->{notes}, 'both',
       'after a sync the edit is taken');
}


sub trash {
    my ($bw, $other, $id) = @_;

    $bw->ok('delete', 'item', $id->{Card});
    is(by_name($bw->json('list', 'items'), 'Card'), undef, 'it is not listed');
    is_deeply(names($bw->json('list', 'items', '--trash')), ['Card'],
              'it is in the trash');

    $other->ok('sync');
    is_deeply(names($other->json('list', 'items', '--trash')), ['Card'],
              'the other profile sees the trash');

    $bw->ok('restore', 'item', $id->{Card});
    same_item(by_name($bw->json('list', 'items'), 'Card'),
              { %{card_item('Card')}, deletedDate => undef }, 'it is back');

    my $gone = $bw->json('create', 'item', encoded(note_item('Gone')));
    $bw->ok('delete', 'item', $gone->{id}, '--permanent');
    $bw->ok('sync', '--force');
    is(by_name($bw->json('list', 'items', '--trash'), 'Gone'), undef,
       'what is deleted for good is not in the trash');
    is($bw->fails('get', 'item', $gone->{id}), 'Not found.', 'nor anywhere');
}


sub archive {
    my ($bw, $other, $id) = @_;

    $bw->ok('archive', 'item', $id->{Identity});
    is(by_name($bw->json('list', 'items'), 'Identity'), undef,
       'an archived item is not listed');

    $other->ok('sync');
    is_deeply(names($other->json('list', 'items', '--archived')),
              ['Identity'], 'the other profile sees it in the archive');

    $bw->ok('restore', 'item', $id->{Identity});
    $bw->ok('sync', '--force');
    same_item(by_name($bw->json('list', 'items'), 'Identity'),
              identity_item('Identity'), 'it comes back from the archive');
}


# An export of what was imported says the same as the import.

sub import_file {
    my ($bw) = @_;

    my %folder = map {
        ("folder $_" => sprintf '%08d-0000-4000-8000-' . '0' x 12, $_)
    } 1 .. 3;
    my @items = map {
        my $login = login_item("Import $_", reprompt => 0);
        delete $login->{login}{fido2Credentials};
        delete @$login{grep { !defined $login->{$_} } keys %$login};
        +{ %$login, id => sprintf('%08d-0000-4000-9000-' . '0' x 12, $_),
          folderId => $_ % 4 ? $folder{'folder ' . $_ % 4} : undef,
          passwordHistory => [{ lastUsedDate => '2026-01-02T03:04:05.000Z',
                                password => "old $_" }] };
    } 1 .. 40;

    my $file = "$bw->{profile}/import.json";
    VaultNginx::write_file($file, $VaultE2e::JSON->encode({
        encrypted => JSON::PP::false(),
        folders => [map { { id => $folder{$_}, name => $_ } }
                        sort keys %folder],
        items => \@items,
    }));

    is($bw->ok('import', 'bitwardenjson', $file),
       "Imported $file", 'the file is imported');

    return @items;
}


sub import_export {
    my ($bw) = @_;

    $bw->json('create', 'folder', encoded({ name => 'Home' }));
    $bw->json('create', 'item', encoded(note_item('Kept')));

    my @items = import_file($bw);
    my $file = "$bw->{profile}/export.json";

    $bw->ok('export', '--format', 'json', '--output', $file);
    my $export = $VaultE2e::JSON->decode(VaultNginx::read_file($file));
    my %folder = map { $_->{id} => $_->{name} } @{$export->{folders}};

    is(@{$export->{items}}, 41, 'all items are exported');
    is_deeply([sort values %folder], ['Home', map { "folder $_" } 1 .. 3],
              'all folders are exported');

    my @wrong;

    for my $want (@items) {
        my $got = by_name($export->{items}, $want->{name});
        my $n = $want->{folderId} ? $want->{folderId} =~ /^0*(\d)-/ && $1 : 0;
        my $in = $got->{folderId} ? $folder{$got->{folderId}} : '';

        push @wrong, "$want->{name} is in the folder $in"
            if $in ne ($n ? "folder $n" : '');

        delete @$want{qw(id folderId)};
        push @wrong, differences($got, $want, $want->{name});
    }

    ok(!@wrong, 'the export says what the import said')
        || diag(join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]);

    my $sealed = "$bw->{profile}/sealed.json";
    $bw->ok('export', '--format', 'encrypted_json', '--password', 'seal',
            '--output', $sealed);
    like(VaultNginx::read_file($sealed), qr/"encrypted": true/,
         'the export can be encrypted');
}


sub api_key {
    my ($bw, $version, $name) = @_;

    my $key = account($server, $name, password($name), 'api-key');
    my $robot = client($version);

    $robot->{env} = { BW_CLIENTID => $key->{clientId},
                      BW_CLIENTSECRET => 'wrong' };
    is($robot->fails('login', '--apikey'),
       'client_id or client_secret is incorrect. Try again.',
       'a wrong API key in so many words');

    $robot->{env}{BW_CLIENTSECRET} = $key->{clientSecret};
    $robot->ok('login', '--apikey');
    is($robot->json('status')->{status}, 'locked', 'an API key signs in');

    $robot->unlock(password($name));
    is($robot->ok('sync', '--force'), 'Syncing complete.', 'it syncs again');
    is_deeply(names($robot->json('list', 'items')),
              names($bw->json('list', 'items')), 'and the password unlocks');
    is($robot->ok('logout'), 'You have logged out.', 'it logs out');
}


# The client of a year ago may lose the sync of its login on a busy machine, and
# says nothing; a sync that was asked for is not lost.

sub log_in_again {
    my ($bw, $name, $password) = @_;

    $bw->run('logout');
    delete $bw->{session};
    $bw->login(email($name), $password);
    $bw->ok('sync', '--force');
}


# A changed password ends all sessions; the new one opens the same vault.

sub new_password {
    my ($bw, $name, $form) = @_;

    my $names = names($bw->json('list', 'items'));
    my $changed = password($name) . ' battery';

    account($server, $name, password($name), 'password', $changed, $form);

    isnt($bw->run('sync', '--force')->{code}, 0,
         'the old session cannot sync');
    $bw->run('logout');
    delete $bw->{session};

    like($bw->fails('login', email($name), password($name)),
         qr/^Invalid master password\./, 'the old password is refused');
    log_in_again($bw, $name, $changed);
    is_deeply(names($bw->json('list', 'items')), $names,
              'the new password opens the vault');

    account($server, $name, $changed, 'kdf', 'argon2');
    log_in_again($bw, $name, $changed);
    is_deeply(names($bw->json('list', 'items')), $names,
              'Argon2id opens the vault');
    is($bw->ok('sync'), 'Syncing complete.', 'and syncs');

    return $changed;
}


# New keys: every item is stored anew, and says the same as before.

sub new_keys {
    my ($bw, $name, $password) = @_;

    my %before = map { $_->{id} => $_ } @{$bw->json('list', 'items')};
    my $folders = names($bw->json('list', 'folders'));

    account($server, $name, $password, 'rotate');
    log_in_again($bw, $name, $password);

    my @items = @{$bw->json('list', 'items')};
    is(@items, keys %before, 'all items open with the new key');
    is_deeply([map { stable($_) } @items],
              [map { stable($before{$_->{id}}) } @items], 'unchanged');
    is_deeply(names($bw->json('list', 'folders')), $folders, 'and folders');

    my $made = $bw->json('create', 'item', encoded(note_item('New')));
    like($made->{id}, $UUID, 'and new ones can be made');
}


sub stable {
    my ($item) = @_;

    my %copy = %$item;
    delete @copy{qw(revisionDate key)};
    return \%copy;
}


sub register {
    my ($name, $form, $kdf) = @_;

    $server //= e2e_server();
    account($server, $name, password($name), 'register', $form, $kdf);
}


sub walk {
    my ($version, $name, $form, $kdf) = @_;

    register($name, $form, $kdf);

    my $taken = try_account($server, $name, password($name), 'register',
                            $form);
    is($taken->{json}{status}, 400, 'an address registers once');

    my $bw = client($version);
    my $other = client($version);

    sign_in($bw, $name);
    $other->login(email($name), password($name));

    my $folder = folders($bw);
    my $id = items($bw, $folder);

    # The client answers these by itself: one database is enough.
    reading($bw, $folder, $id) if $VaultServer::FLAVOUR eq 'sqlite';

    editing($bw, $other, $folder, $id);
    conflict($bw, $other, $id);
    trash($bw, $other, $id);
    archive($bw, $other, $id);

    is($other->ok('logout'), 'You have logged out.', 'it logs out');
    is($other->json('status')->{status}, 'unauthenticated', 'it is gone');
}


sub walk_account {
    my ($version, $name, $form, $kdf) = @_;

    register($name, $form, $kdf);

    my $bw = client($version)->login(email($name), password($name));

    import_export($bw);
    api_key($bw, $version, $name);

    my $password = new_password($bw, $name, $form);
    new_keys($bw, $name, $password);
}


# What one version writes, the other one reads.

sub across {
    my ($newer, $older, $name) = @_;

    $server //= e2e_server();
    account($server, $name, password($name), 'register', 'legacy', 'argon2');

    my @bw = map { client($_)->login(email($name), password($name)) }
                 $newer, $older;
    my @want = (login_item('From the newer'), ssh_item('From the older'));

    for my $i (0, 1) {
        my $id = $bw[$i]->json('create', 'item', encoded($want[$i]))->{id};

        $bw[1 - $i]->ok('sync');
        my $item = $bw[1 - $i]->json('get', 'item', $id);
        same_item($item, $want[$i], "$want[$i]{name} is read by the other");

        $item->{notes} = 'edited';
        $bw[1 - $i]->json('edit', 'item', $id, encoded($item));
        $bw[$i]->ok('sync');
        same_item($bw[$i]->json('get', 'item', $id),
                  { %{$want[$i]}, notes => 'edited' },
                  "$want[$i]{name} is edited by the other");
    }
}


sub finish {
    is_deeply([$server->stop], [], 'the server is well');
    done_testing();
}


1;
