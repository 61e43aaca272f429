# What an authenticator app does: codes of RFC 6238, from keys in base32.
#
#   totp($key);        # the code of now
#   totp($key, 1);     # of one step later

package VaultTotp;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha1);
use Exporter qw(import);

our @EXPORT = qw(totp totp_step);


sub totp_step { return int(time / 30) }


sub totp {
    my ($key, $later, $step) = @_;

    $step //= totp_step() + ($later // 0);

    my $mac = hmac_sha1(pack('NN', 0, $step), unbase32($key));
    my $at = ord(substr $mac, -1) & 15;
    my $n = unpack('N', substr $mac, $at, 4) & 0x7fffffff;

    return sprintf '%06d', $n % 1_000_000;
}


sub unbase32 {
    my ($text) = @_;

    my %value = map { (('A' .. 'Z', 2 .. 7)[$_] => $_) } 0 .. 31;
    my $bits = join '', map { sprintf '%05b', $value{$_} } split //, $text;

    return pack 'B*', substr $bits, 0, 8 * int(length($bits) / 8);
}


1;
