#!/usr/bin/perl
# Workers and the whole server die while files come in, by a link, by a form
# and on their way to a bucket: nothing half is seen, whatever was answered
# with success is there, and what was cut off may be sent again.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultData qw(cipher);
use VaultFile qw(promise put_file post_file attachments link_of path_of);
use VaultHttp;
use VaultNginx;
use VaultPeer;
use VaultServer qw(vault_server call user folder_of sql);

my $SIZE = 6 * 1024 * 1024;
my $ROUNDS = 8;
my $files = folder_of() . '/attachments';
my $peer = VaultPeer->new('s3.py');
my $bytes = VaultData::bytes('a large file', 64 * 1024) x ($SIZE / 64 / 1024);

delete @ENV{grep { /^AWS_/ } keys %ENV};


sub start_server {
    my ($name, $store, $upload) = @_;

    my $url = $store eq 'folder' ? "file:$files"
              : 's3://vault/files?region=us-east-1&path_style=on&endpoint='
                . $peer->url;

    my $server = vault_server(
        name => $name, workers => 2,
        env => { AWS_ACCESS_KEY_ID => 'AKIAIOSFODNN7EXAMPLE',
                 AWS_SECRET_ACCESS_KEY =>
                     'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
        vault => "vault_files $url;\nvault_upload $upload;\nvault_jobs 1s;\n"
                 . 'vault_file_quota off;',
    );

    $server->expect_log(qr/exited on signal 9/);
    return $server;
}


sub item {
    my ($server, $name) = @_;

    my $answer = call($server, 'POST', '/api/ciphers', as => 'alice',
                      json => cipher(name => $name));
    return $answer->{json}{id};
}


# The objects of the store: name => size

sub objects {
    my ($store) = @_;

    if ($store eq 'bucket') {
        my $found = $peer->state->{objects};
        return map { m{([^/]+)$} ? ($1 => $found->{$_}) : () } keys %$found;
    }

    return map { m{([^/]+)$} ? ($1 => -s) : () } glob "$files/??/*";
}


sub kill_workers {
    my ($server) = @_;

    my %old = map { $_ => 1 } $server->workers;
    kill 'KILL', keys %old;

    my $end = time + 10 * $VaultNginx::SLOW;

    while (time < $end) {
        my @now = grep { !$old{$_} } $server->workers;
        return if @now >= 2
                  && (call($server, 'GET', '/alive')->{status} // 0) == 200;
        sleep 0.02;
    }

    die "no new workers\n";
}


# The whole server, as if the machine had lost its power

sub kill_server {
    my ($server) = @_;

    $server->kill_now;
    $server->start;
}


# An upload in a process of its own, which exits with 1 for success.

sub start_upload {
    my ($server, $type, $file) = @_;

    user('alice');
    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;

    my $answer = $type == 1
        ? put_file($server, $file->{path}, $bytes)
        : post_file($server, 'alice', "/api/ciphers/$file->{cipher}/"
                                      . "attachment/$file->{id}", $bytes);

    POSIX::_exit(($answer->{status} // 0) =~ /^20[01]$/ ? 1 : 0);
}


sub get {
    my ($server, $store, $file) = @_;

    my $link = link_of($server, 'alice', $file->{cipher}, $file->{id});
    my ($port) = $link =~ m{^http://127\.0\.0\.1:(\d+)/};
    my $host = $port ? "Host: 127.0.0.1:$port" : 'Host: localhost';

    return VaultHttp::request($port // $server->port, 'GET', path_of($link),
                              [$host]);
}


# What the sync shows is whole, and what is whole was shown if it was answered.

sub check_files {
    my ($server, $store, $name, @files) = @_;

    my (%shown, @wrong);
    my %object = objects($store);

    for my $file (@files) {
        my ($found) = grep { $_->{id} eq $file->{id} }
                           @{attachments($server, 'alice', $file->{cipher})};

        push @wrong, 'answered, and not there' if $file->{done} && !$found;
        push @wrong, "an object of $object{$file->{id}} bytes"
            if ($object{$file->{id}} // $SIZE) != $SIZE;
        next if !$found;

        $shown{$file->{id}} = 1;
        push @wrong, "shown with $found->{size} bytes"
            if $found->{size} != $SIZE;

        my $answer = get($server, $store, $file);
        push @wrong, "shown, and $answer->{status} instead of its bytes"
            if $answer->{status} != 200 || $answer->{body} ne $bytes;
    }

    is_deeply(\@wrong, [], "$name: nothing half, nothing lost");
    return \%shown;
}


# Whatever was cut off is sent again, by the same link.

sub again {
    my ($server, $type, $name, $shown, @files) = @_;

    my @answers = map {
        my $file = $_;
        ($type == 1 ? put_file($server, $file->{path}, $bytes)
                    : post_file($server, 'alice', "/api/ciphers/"
                                . "$file->{cipher}/attachment/$file->{id}",
                                $bytes))->{status};
    } grep { !$shown->{$_->{id}} } @files;

    is_deeply([grep { !/^20[01]$/ } @answers], [],
              "$name: " . @answers . ' of ' . @files . ' are sent again');
}


sub uploads_that_die {
    my ($name, $store, $upload, $type, $fault) = @_;

    my $server = start_server($name, $store, $upload);
    my $cipher = item($server, $name);
    my @files;

    for my $n (1 .. $ROUNDS) {
        my $file = promise($server, 'alice', $cipher, $SIZE);
        push @files, $file;
        is($file->{type}, $type, "$name: the type of upload") if $n == 1;

        my $pid = start_upload($server, $type, $file);
        sleep 0.01 + 0.25 * $n / $ROUNDS;
        $fault->($server);
        waitpid $pid, 0;
        $file->{done} = $? >> 8;
    }

    my $shown = check_files($server, $store, $name, @files);
    again($server, $type, $name, $shown, @files);
    $shown = check_files($server, $store, "$name, again", @files);
    is(keys %$shown, @files, "$name: then all are there");

    is(call($server, 'DELETE', "/api/ciphers/$cipher", as => 'alice')
       ->{status}, 200, "$name: the item is deleted");

    # A worker may have died with a job's lease, which would end by itself.
    sql('UPDATE jobs SET leased_until = 0, due_at = 0');

    my $end = time + 15 * $VaultNginx::SLOW;
    sleep 0.2 while objects($store) && time < $end;
    is_deeply([objects($store)], [], "$name: and with it all objects");

    is_deeply([$server->stop], [], "$name: the server is well");

    my $logs = VaultNginx::read_file($server->root . '/logs/access.log')
               . $server->log_text;
    like($logs, qr{"PUT /files/[0-9a-f-]+" 201}, "$name: the link is logged")
        if $type == 1;
    unlike($logs, qr/sig=|X-Amz-Sig/i, "$name: without what makes it one");
}


# A worker dies while the bucket is slow to take what came.

sub dies_before_the_bucket {
    my $server = start_server('stalled', 'bucket', 'auto');
    my $cipher = item($server, 'stalled');

    for my $kind ('stall', 'silent') {
        my $file = promise($server, 'alice', $cipher, $SIZE);

        $peer->set(clear => JSON::PP::true,
                   fail => [{ op => 'PUT', kind => $kind }]);
        my $pid = start_upload($server, 1, $file);

        my $end = time + 10 * $VaultNginx::SLOW;
        sleep 0.02 while !$peer->state->{counts}{PUT} && time < $end;
        kill_workers($server);
        waitpid $pid, 0;

        is($? >> 8, 0, "$kind: the upload failed");
        my $shown = check_files($server, 'bucket', $kind, $file);
        is_deeply($shown, {}, "$kind: nothing is shown");
        again($server, 1, $kind, $shown, $file);
        is(keys %{check_files($server, 'bucket', "$kind, again", $file)}, 1,
           "$kind: then it is there");
    }

    is_deeply([$server->stop], [], 'the server is well');
}


uploads_that_die('workers-link', 'folder', 'auto', 1, \&kill_workers);
uploads_that_die('workers-form', 'folder', 'direct', 0, \&kill_workers);
uploads_that_die('server-link', 'folder', 'auto', 1, \&kill_server);
uploads_that_die('workers-bucket', 'bucket', 'auto', 1, \&kill_workers);
dies_before_the_bucket();

$peer->stop;
done_testing();
