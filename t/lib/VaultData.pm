# Data that clients would send: well-formed, deterministic, never secret.
#
#   enc('name')              an EncString of type 2, always the same for a text
#   uuid('seed'), uuid()     a UUID of the seed; a random one
#   b64('text')
#   cipher(type => 1, name => 'x', …)   a cipher's body; folder('x') a folder's
#   ciphers(1000)            that many different logins
#   public_key('alice')      base64 of the SPKI of an RSA key's shape

package VaultData;

use strict;
use warnings;

use Digest::SHA qw(sha256 sha512);
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Time::HiRes ();

our @EXPORT_OK = qw(enc uuid b64 date cipher ciphers folder public_key form
                    json_text);


sub b64 {
    my ($bytes) = @_;

    return encode_base64($bytes, '');
}


# Bytes that look random and depend on the seed only.

sub bytes {
    my ($seed, $length) = @_;

    utf8::encode($seed) if utf8::is_utf8($seed);
    my $out = '';

    for (my $n = 0; length $out < $length; $n++) {
        $out .= sha512("$n:$seed");
    }

    return substr $out, 0, $length;
}


# Type 2 is AES-CBC with an HMAC: iv | whole blocks | 32 bytes.

sub enc {
    my ($text) = @_;

    my $blocks = 16 * (1 + int(length($text) / 16));

    return join '|', '2.' . b64(bytes("iv $text", 16)),
                     b64(bytes("ct $text", $blocks)),
                     b64(bytes("mac $text", 32));
}


sub uuid {
    my ($seed) = @_;

    my $hex = unpack 'H32', bytes(
        defined $seed ? "uuid $seed" : join(' ', rand, $$, Time::HiRes::time()),
        16);

    substr $hex, 12, 1, '4';
    substr $hex, 16, 1, substr '89ab', hex(substr $hex, 16, 1) & 3, 1;

    return join '-', unpack 'A8 A4 A4 A4 A12', $hex;
}


# RFC 3339, now or so many seconds later

sub date {
    my ($offset) = @_;

    return POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime(time + $offset));
}


# SubjectPublicKeyInfo of RSA-2048 (RFC 5280 §4.1.2.7): only its modulus, odd
# and of full length, is made up.

sub public_key {
    my ($seed) = @_;

    my $modulus = bytes("modulus $seed", 256);
    substr $modulus, 0, 1, "\xc1";
    substr $modulus, 255, 1, "\x01";

    return b64(pack('H*', '30820122300d06092a864886f70d01010105000382010f00'
                          . '3082010a0282010100')
               . $modulus . pack('H*', '0203010001'));
}


sub folder {
    my ($name) = @_;

    return { name => enc($name) };
}


my %parts = (
    1 => ['login', {
        uris     => [{ uri => 'uri', uriChecksum => undef, match => undef }],
        username => 'username',
        password => 'password',
        totp     => undef,
    }],
    2 => ['secureNote', { type => 0 }],
    3 => ['card', { cardholderName => 'holder', brand => 'brand',
                    number => 'number', expMonth => 'month',
                    expYear => 'year', code => 'code' }],
    4 => ['identity', { title => 'title', firstName => 'first',
                        lastName => 'last', email => 'email' }],
    5 => ['sshKey', { privateKey => 'private', publicKey => 'public',
                      keyFingerprint => 'fingerprint' }],
);


# The body of POST /api/ciphers as clients send it; options replace members.

sub cipher {
    my (%option) = @_;

    my $type = $option{type} // 1;
    my $name = delete $option{name} // 'item';
    my ($member, $values) = @{$parts{$type}};

    return {
        type           => $type,
        name           => enc($name),
        notes          => undef,
        favorite       => JSON::PP::false(),
        folderId       => undef,
        organizationId => undef,
        reprompt       => 0,
        fields         => undef,
        passwordHistory => undef,
        key            => undef,
        lastKnownRevisionDate => undef,
        $member        => encrypted($values, $name),
        %option,
    };
}


sub encrypted {
    my ($value, $name) = @_;

    return [map { encrypted($_, $name) } @$value] if ref $value eq 'ARRAY';

    if (ref $value eq 'HASH') {
        return { map { $_ => encrypted($value->{$_}, $name) } keys %$value };
    }

    return defined $value && $value =~ /\D/ ? enc("$value of $name") : $value;
}


sub ciphers {
    my ($n) = @_;

    return [map { cipher(name => "item $_") } 1 .. $n];
}


# application/x-www-form-urlencoded

sub form {
    my (@pairs) = @_;

    my @parts;

    while (my ($name, $value) = splice @pairs, 0, 2) {
        $value =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
        push @parts, "$name=$value";
    }

    return join '&', @parts;
}


sub json_text {
    my ($value) = @_;

    return JSON::PP->new->utf8->canonical->allow_nonref->encode($value);
}


1;
