# A small HTTP/1.1 client, exact about what it sends and what comes back.
#
#   my $answer = VaultHttp::request($port, 'POST', '/x', \@headers, $body);
#   $answer->{status}, {headers} (lower-case name => [values]), {body},
#   {raw_headers}, {version}; {error} says what was wrong with it, if anything
#   VaultHttp::header($answer, 'content-type')
#   VaultHttp::json($answer)
#
# Environment: VAULT_TEST_ASKED  a file that collects what was asked for

package VaultHttp;

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use Errno ();
use List::Util qw(max);
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time sleep);


sub request {
    my ($port, $method, $path, $headers, $body, %option) = @_;

    my $text = message($method, $path, $headers, $body);
    my ($answer) = exchange($port, [$text],
                            methods => [$method], timeout => 20, %option);
    return $answer;
}


sub message {
    my ($method, $path, $headers, $body) = @_;

    my @lines = ("$method $path HTTP/1.1", @{$headers || []});

    push @lines, 'Host: localhost'    if !grep { /^Host:/i } @lines;
    push @lines, 'Connection: close'  if !grep { /^Connection:/i } @lines;

    if (defined $body && length $body) {
        push @lines, 'Content-Length: ' . length $body
            if !grep { /^(?:Content-Length|Transfer-Encoding):/i } @lines;
    }

    return join("\r\n", @lines) . "\r\n\r\n" . ($body // '');
}


# Sends the packets (texts, or { value, delay_before }) and reads an answer for
# each of the methods.  A connection of the caller's is left open.

sub exchange {
    my ($port, $packets, %option) = @_;

    my $end = time + ($option{timeout} || 3);
    my $sock = $option{socket} || open_socket($port)
        or return { error => "cannot connect: $!" };

    my $buffer = '';
    my $early = send_packets($sock, $packets, \$buffer, $end, $option{delay});
    my @answers;

    for my $method (@{$option{methods} || ['GET']}) {
        my $answer = read_answer($sock, \$buffer, $method, $end);
        push @answers, $answer;
        last if $answer->{error};
    }

    if (@answers && $answers[-1]{error} && $early) {
        $answers[-1]{error} .= " ($early)";
    }

    close $sock if !$option{socket};
    $answers[-1]{extra} = $buffer if @answers;
    record($packets, @answers) if $ENV{VAULT_TEST_ASKED};

    return @answers;
}


# "GET /path 200" lines, from which t/02-routes.t sees what was tested

sub record {
    my ($packets, @answers) = @_;

    my $text = join '', map { ref $_ ? $_->{value} : $_ } @$packets;
    my $lines = '';

    while ($text =~ m{^([A-Z]+) ([^\s?]+)\S* HTTP/}mg && @answers) {
        $lines .= "$1 $2 " . ((shift @answers)->{status} // 0) . "\n";
    }

    open my $out, '>>', $ENV{VAULT_TEST_ASKED} or return;
    syswrite $out, $lines;
}


sub open_socket {
    my ($port) = @_;

    # a signal may come while it connects
    for (1 .. 5) {
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                         PeerPort => $port, Proto => 'tcp');
        if ($sock) {
            $sock->blocking(0);
            return $sock;
        }

        last if !$!{EINTR};
    }

    return undef;
}


# A server may answer and close before it has read everything (413): what
# came by then is kept.

sub send_packets {
    my ($sock, $packets, $buffer, $end, $delay) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $first = 1;

    for my $packet (@$packets) {
        my ($text, $pause) = ref $packet
            ? ($packet->{value}, $packet->{delay_before})
            : ($packet, $first ? 0 : $delay);

        sleep $pause if $pause;
        $first = 0;

        my $error = send_text($sock, $text, $buffer, $end);
        return $error if $error;
    }

    return '';
}


sub send_text {
    my ($sock, $text, $buffer, $end) = @_;

    my $select = IO::Select->new($sock);
    my $at = 0;

    while ($at < length $text) {
        return 'timeout while sending' if time >= $end;

        my $n = syswrite $sock, $text, 65536, $at;
        if (defined $n) {
            $at += $n;
            next;
        }

        return "sending: $!" if !$!{EAGAIN} && !$!{EINTR};

        sysread $sock, $$buffer, 65536, length $$buffer
            if $select->can_read(0);
        $select->can_write(0.05);
    }

    return '';
}


# One more piece into the buffer: 1, or 0 with the reason.

sub fill {
    my ($sock, $buffer, $end) = @_;

    my $select = IO::Select->new($sock);

    # a signal ends a wait early
    until ($select->can_read(max(0, $end - time))) {
        return (0, 'timeout') if time >= $end;
    }

    my $n = sysread $sock, $$buffer, 65536, length $$buffer;
    return (1) if $n || !defined $n && ($!{EAGAIN} || $!{EINTR});
    return (0, defined $n ? 'closed' : "reading: $!");
}


sub read_answer {
    my ($sock, $buffer, $method, $end) = @_;

    my $answer = read_head($sock, $buffer, $end);
    return $answer if $answer->{error};

    if ($answer->{status} =~ /^1/ && $answer->{status} != 101) {
        return read_answer($sock, $buffer, $method, $end);
    }

    my $status = $answer->{status};
    $answer->{body} = '';
    return $answer if $method eq 'HEAD' || $status == 204 || $status == 304
                      || $status == 101;

    if ((header($answer, 'transfer-encoding') // '') =~ /chunked/i) {
        read_chunks($sock, $buffer, $answer, $end);

    } else {
        my $length = header($answer, 'content-length');
        read_body($sock, $buffer, $answer, $length, $end);
    }

    return $answer;
}


sub read_head {
    my ($sock, $buffer, $end) = @_;

    while ($$buffer !~ /\r?\n\r?\n/) {
        my ($ok, $why) = fill($sock, $buffer, $end);
        return { error => "$why before a complete header" } if !$ok;
    }

    $$buffer =~ s/\A(.*?\r?\n)\r?\n//s;
    my $head = $1;
    my ($line, @lines) = split /\r?\n/, $head;

    $line =~ m{^HTTP/(\d\.\d) (\d{3})}
        or return { error => "not a status line: $line" };

    my $answer = { version => $1, status => $2, raw_headers => $head };

    for (@lines) {
        my ($name, $value) = split /:\s*/, $_, 2;
        push @{$answer->{headers}{lc $name}}, $value;
    }

    return $answer;
}


sub read_body {
    my ($sock, $buffer, $answer, $length, $end) = @_;

    while (!defined $length || length $$buffer < $length) {
        my ($ok, $why) = fill($sock, $buffer, $end);
        next if $ok;

        if ($why ne 'closed' || defined $length) {
            $answer->{error} = "$why inside the body";
            $length = length $$buffer;
        }

        last;
    }

    $length = length $$buffer if !defined $length;
    $answer->{body} = substr $$buffer, 0, $length, '';
}


sub read_chunks {
    my ($sock, $buffer, $answer, $end) = @_;

    for (;;) {
        if ($$buffer =~ /\A([0-9a-f]+)[^\n]*\n/i) {
            my ($head, $size) = ($+[0], hex $1);

            if (length $$buffer >= $head + $size + 2) {
                $answer->{body} .= substr $$buffer, $head, $size;
                substr $$buffer, 0, $head + $size + 2, '';
                return if $size == 0;
                next;
            }
        }

        my ($ok, $why) = fill($sock, $buffer, $end);
        if (!$ok) {
            $answer->{error} = "$why inside a chunk";
            return;
        }
    }
}


# Several headers of one name are joined, as HTTP says they may be.

sub header {
    my ($answer, $name) = @_;

    my $values = $answer->{headers}{lc $name} or return undef;
    return join ', ', @$values;
}


sub json {
    my ($answer) = @_;

    return eval { JSON::PP->new->utf8->allow_nonref->decode($answer->{body}) };
}


# Closes with a reset instead of a goodbye.

sub reset {
    my ($sock) = @_;

    setsockopt $sock, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $sock;
}


1;
