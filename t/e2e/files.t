#!/usr/bin/perl
# Attachments and Sends of the real client, on each store and each way of
# uploading that there is: what comes back is what was sent.
#
# SQLite: the newest client, everything on local files, the rest in short.
# PostgreSQL: the client of a year ago, on local files.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use Digest::SHA qw(sha256_hex);
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData ();
use VaultE2e qw(e2e_server account email password encoded);
use VaultItems qw(note_item);
use VaultNginx ();
use VaultPeer;
use VaultServer qw(folder_of);

my $umlauts = encode("caf\x{e9} \x{1f511}.pdf");
my $UUID = '[0-9a-f-]{36}';
my $MB = 1024 * 1024;
my $dir = folder_of();
my $files = "$dir/attachments";
my $port = VaultNginx::free_port();
my $peer = VaultPeer->new('s3.py');
my $server;

delete @ENV{grep { /^AWS_/ } keys %ENV};


# One address for all servers, so that the client stays signed in.

sub start_server {
    my ($name, $store, $upload) = @_;

    my $root = $VaultNginx::ROOT;
    my $s3 = $peer->url;

    is_deeply([$server->stop], [], 'the server before is well') if $server;

    $server = e2e_server(
        name => $name, port => $port,
        env => { AWS_ACCESS_KEY_ID => 'AKIAIOSFODNN7EXAMPLE',
                 AWS_SECRET_ACCESS_KEY =>
                     'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
        vault => "vault_upload $upload;\nvault_jobs 1s;\nvault_files "
                 . ($store eq 'local' ? "file:$files" : "s3://vault/files?"
                    . "region=us-east-1&endpoint=$s3&path_style=on") . ";\n",
        server => $upload eq 'presigned'
                  ? "include $root/conf/bucket.conf;\n" : '',
    );
}


sub objects {
    return $_[0] eq 'local' ? glob "$files/??/*"
                            : keys %{$peer->state->{objects}};
}


# What clients asked for with this method, as paths

sub asked {
    my ($method) = @_;

    my $log = VaultNginx::read_file($server->root . '/logs/access.log');
    return join "\n", $log =~ /"$method (\S+)/g;
}


sub make_file {
    my ($name, $size) = @_;

    VaultNginx::write_file("$dir/out/$name", VaultData::bytes($name, $size));
    return "$dir/out/$name";
}


sub same_file {
    my ($got, $want, $name) = @_;

    ok(-f $got, "$name: saved");
    is(-s $got, -s $want, "$name: size");
    is(sha256_hex(VaultNginx::read_file($got)),
       sha256_hex(VaultNginx::read_file($want)), "$name: content");
    unlink $got;
}


# Attachments

sub attach {
    my ($bw, $item, $name, $size) = @_;

    my $json = $bw->json('create', 'attachment', '--file',
                         make_file($name, $size), '--itemid', $item);
    my ($found) = grep { encode($_->{fileName}) eq $name }
                       @{$json->{attachments} || []};

    ok($found, 'the item has the attachment');
    cmp_ok($found->{size} // 0, '>', $size, 'of the size of its ciphertext');

    return $found->{id};
}


sub encode {
    my ($text) = @_;

    utf8::encode($text);
    return $text;
}


sub fetch {
    my ($bw, $item, $id, $name) = @_;

    my $to = "$dir/in-$id";
    is($bw->ok('get', 'attachment', $id, '--itemid', $item, '--output', $to),
       "Saved $to", 'it is saved');
    same_file($to, "$dir/out/$name", "attachment $name");
}


sub attachments {
    my ($bw, $item, $store, @files) = @_;

    my @before = objects($store);
    my %id;

    while (my ($name, $size) = splice @files, 0, 2) {
        $id{$name} = attach($bw, $item, $name, $size);
        fetch($bw, $item, $id{$name}, $name);
    }

    is(scalar(() = objects($store)), @before + keys %id,
       'the store has an object of each');

    return \%id;
}


sub detach {
    my ($bw, $item, $store, $id) = @_;

    my @before = objects($store);

    $bw->ok('delete', 'attachment', $id, '--itemid', $item);
    is_deeply([grep { $_->{id} eq $id }
                    @{$bw->json('get', 'item', $item)->{attachments} || []}],
              [], 'the item has lost the attachment');

    my $end = time + 20;
    my @now;

    do {
        sleep 0.2;
        @now = objects($store);
    } while (@now >= @before && time < $end);

    is(@now, @before - 1, 'and the store its object');
}


# Sends

sub text_send {
    my ($bw, $stranger) = @_;

    my $send = $bw->json('send', '-n', 'Text', '--fullObject', 'first text');
    is($stranger->ok('receive', $send->{accessUrl}), 'first text',
       'a stranger receives the text');

    $send->{text}{text} = 'second text';
    $send->{name} = 'Renamed';
    my $edited = $bw->json('send', 'edit', encoded($send));
    is($edited->{name}, 'Renamed', 'it is edited');
    is($stranger->ok('receive', $send->{accessUrl}), 'second text',
       'and received as edited');

    $bw->ok('send', 'delete', $send->{id});
    like($stranger->fails('receive', $send->{accessUrl}), qr/not found/i,
         'what is deleted is not received');
}


sub counted_send {
    my ($bw, $stranger) = @_;

    my $send = $bw->json('send', '-n', 'Counted', '-a', 1, '--password', 'pw',
                         '--fullObject', 'once');
    my @receive = ('receive', $send->{accessUrl}, '--password');

    like($stranger->fails(@receive, 'wrong'), qr/password/i,
         'a wrong password');
    is($stranger->ok(@receive, 'pw'), 'once', 'the right one, once');
    like($stranger->fails(@receive, 'pw'), qr/not found/i, 'not twice');
}


sub file_send {
    my ($bw, $stranger, $store, $name, $size, $password) = @_;

    my $file = make_file($name, $size);
    my $send = $bw->json('send', '-f', '-n', 'File', '--fullObject',
                         $password ? ('--password', $password) : (), $file);
    my @receive = ('receive', $send->{accessUrl}, '--output',
                   "$dir/received");

    is($send->{file}{fileName}, $name, 'the Send has the name of the file');
    $stranger->ok(@receive, $password ? ('--password', $password) : ());
    same_file("$dir/received", $file, "the Send's file");

    return ($send, @receive);
}


sub everything {
    my ($version) = @_;

    my $bw = VaultE2e->new(server => $server, version => $version);
    my $stranger = VaultE2e->new(server => $server, version => $version);

    account($server, 'alice', password('alice'), 'register');
    $bw->login(email('alice'), password('alice'));
    my $item = $bw->json('create', 'item', encoded(note_item('Files')))->{id};

    return ($bw, $stranger, $item);
}


sub walk {
    my ($version) = @_;

    start_server('auto', 'local', 'auto');
    my ($bw, $stranger, $item) = everything($version);
    my $sqlite = $VaultServer::FLAVOUR eq 'sqlite';

    my $id = attachments($bw, $item, 'local', 'one byte.txt', 1,
                         $sqlite ? ('empty', 0, $umlauts, 5 * $MB + 1) : ());

    like(asked('PUT'), qr{^/files/\Q$id->{'one byte.txt'}\E}m,
         'it came by PUT');
    like(asked('GET'), qr{^/files/\Q$id->{'one byte.txt'}\E}m,
         'and left by a link');

    text_send($bw, $stranger);
    counted_send($bw, $stranger) if $sqlite;

    my ($send, @receive) = file_send($bw, $stranger, 'local', 'sent.bin',
                                     300_000, 'pw');
    my $open = $bw->json('send', 'remove-password', $send->{id});
    ok(!$open->{passwordSet}, 'its password is removed');
    is($open->{accessCount}, 1, 'it has been received once');
    $stranger->ok(@receive);
    same_file("$dir/received", "$dir/out/sent.bin", 'without a password');

    new_key($bw, $item, $id->{'one byte.txt'}, 'one byte.txt') if !$sqlite;
    detach($bw, $item, 'local', $id->{'one byte.txt'});
    return ($bw, $stranger, $item);
}


# A new key of the account opens what was there before.

sub new_key {
    my ($bw, $item, $id, $name) = @_;

    my $send = $bw->json('send', '-n', 'Kept', '--fullObject', 'kept text');

    account($server, 'alice', password('alice'), 'rotate');
    $bw->run('logout');
    delete $bw->{session};
    $bw->login(email('alice'), password('alice'));
    $bw->ok('sync', '--force');

    fetch($bw, $item, $id, $name);
    is($bw->ok('send', 'get', '--text', $send->{id}), 'kept text',
       'the Send opens with the new key');
}


# One attachment and one file of a Send, in the other ways

sub shortly {
    my ($bw, $stranger, $item, $store, $upload, $method, $path) = @_;

    start_server("$store-$upload", $store, $upload);
    attachments($bw, $item, $store, "$store $upload", 70_000);
    file_send($bw, $stranger, $store, "$upload.bin", 20_000);

    my @paths = split /\n/, asked($method);
    is(grep({ /$path/ } @paths), 2, "both by $method")
        || diag(join "\n", @paths);
}


if ($VaultServer::FLAVOUR eq 'pg') {
    walk('2025.10');

} else {
    my @all = walk('2026.9');

    my $form = "/(?:ciphers|sends)/$UUID/(?:attachment|file)/$UUID\$";

    shortly(@all, 'local', 'direct', 'POST', $form);
    shortly(@all, 's3', 'direct', 'POST', $form);
    shortly(@all, 's3', 'auto', 'PUT', '^/files/');
    shortly(@all, 's3', 'presigned', 'PUT', '^/bucket/');
}

is_deeply([$server->stop], [], 'the server is well');
$peer->stop;
done_testing();
