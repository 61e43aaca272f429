# Files as clients send and get them, without a client.
#
#   my $file = promise($server, 'alice', $cipher, 1000);
#   $file->{id}, {type}, {url}, {path}, {cipher}
#   put_file($server, $file->{path}, $bytes)        the PUT of type 1
#   post_file($server, 'alice', $path, $bytes)      the form of type 0
#   attachments($server, 'alice', $cipher)          as a sync shows them
#   link_of($server, 'alice', $cipher, $id)         where it is to be had

package VaultFile;

use strict;
use warnings;

use Exporter qw(import);

use VaultData qw(enc b64);
use VaultHttp;
use VaultServer qw(call user);

our @EXPORT_OK = qw(promise put_file post_file attachments link_of path_of
                    form_of send_of);


# A link without the origin that it is under

sub path_of {
    my ($url) = @_;

    return ($url // '') =~ m{^https?://[^/]+(/.*)} ? $1 : '';
}


sub promise {
    my ($server, $as, $cipher, $size, $name) = @_;

    my $answer = call(
        $server, 'POST', "/api/ciphers/$cipher/attachment/v2", as => $as,
        json => { key => enc('key'), fileName => enc($name // 'file'),
                  fileSize => $size, adminRequest => JSON::PP::false() });

    die "no attachment: $answer->{status} $answer->{body}\n"
        if ($answer->{status} // 0) != 200;

    my $json = $answer->{json};
    return { id => $json->{attachmentId}, type => $json->{fileUploadType},
             url => $json->{url}, path => path_of($json->{url}),
             cipher => $cipher };
}


# The same for the file of a Send: {send} is its id.

sub send_of {
    my ($server, $as, $size, %more) = @_;

    my $answer = call(
        $server, 'POST', '/api/sends/file/v2', as => $as,
        json => { type => 1, key => enc('key'), name => enc('name'),
                  fileLength => $size, file => { fileName => enc('file') },
                  deletionDate => VaultData::date(86400), %more });

    die "no Send: $answer->{status} $answer->{body}\n"
        if ($answer->{status} // 0) != 200;

    my $json = $answer->{json};
    return { id => $json->{sendResponse}{file}{id},
             send => $json->{sendResponse}{id},
             type => $json->{fileUploadType}, url => $json->{url},
             path => path_of($json->{url}) };
}


# What clients send with a PUT of type 1

sub put_headers {
    my ($length) = @_;

    return ['x-ms-date: Sun, 22 Nov 2026 03:00:00 GMT',
            'x-ms-version: 2021-08-06', 'x-ms-blob-type: BlockBlob',
            "Content-Length: $length"];
}


sub put_file {
    my ($server, $path, $bytes, %option) = @_;

    my $port = ref $server ? $server->{plain} // $server->port : $server;
    return VaultHttp::request($port, 'PUT', $path,
                              put_headers(length $bytes), $bytes, %option);
}


sub form_of {
    my ($bytes, $name) = @_;

    $name //= '2.x|y|z';

    return ('x--boundary',
            "--x--boundary\r\nContent-Disposition: form-data; name=\"data\"; "
            . "filename=\"$name\"\r\nContent-Type: "
            . "application/octet-stream\r\n\r\n$bytes\r\n"
            . "--x--boundary--\r\n");
}


sub post_file {
    my ($server, $as, $path, $bytes) = @_;

    my ($boundary, $body) = form_of($bytes);
    my $port = ref $server ? $server->{plain} // $server->port : $server;

    return call($port, 'POST', $path, as => $as, body => $body,
                headers => ["Content-Type: multipart/form-data; "
                            . "boundary=$boundary"]);
}


sub attachments {
    my ($server, $as, $cipher) = @_;

    my $port = ref $server ? $server->{plain} // $server->port : $server;
    my $sync = call($port, 'GET', '/api/sync?excludeDomains=true', as => $as);

    die "no sync: $sync->{status} $sync->{body}\n"
        if ($sync->{status} // 0) != 200;

    my ($found) = grep { $_->{id} eq $cipher } @{$sync->{json}{ciphers}};
    return $found->{attachments} // [];
}


sub link_of {
    my ($server, $as, $cipher, $id) = @_;

    my $port = ref $server ? $server->{plain} // $server->port : $server;
    my $answer = call($port, 'GET', "/api/ciphers/$cipher/attachment/$id",
                      as => $as);

    return $answer->{json}{url} // "$answer->{status} $answer->{body}";
}


1;
