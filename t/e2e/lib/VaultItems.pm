# Items as a user has them: one of each type, with everything that the bw
# command can write.  All secrets are invented.

package VaultItems;

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();

our @EXPORT_OK = qw(login_item note_item card_item identity_item ssh_item
                    differences);

my ($no, $yes) = (JSON::PP::false, JSON::PP::true);


sub item {
    my ($type, $name, %more) = @_;

    return {
        organizationId => undef, folderId => undef,
        type => $type, name => $name, notes => "Notes of $name\nline two",
        favorite => $no, reprompt => 0, fields => [], login => undef,
        secureNote => undef, card => undef, identity => undef,
        sshKey => undef, %more,
    };
}


sub login_item {
    my ($name, %more) = @_;

    return item(
        1, $name, favorite => $yes, reprompt => 1,
        fields => [
            { name => 'text', value => "caf\x{e9} \x{1f511}", type => 0,
              linkedId => undef },
            { name => 'hidden', value => 'a secret', type => 1,
              linkedId => undef },
            { name => 'flag', value => 'true', type => 2, linkedId => undef },
            { name => 'linked', value => undef, type => 3, linkedId => 100 },
        ],
        login => {
            username => 'alice', password => 'first password',
            totp => 'JBSWY3DPEHPK3PXP',
            uris => [
                { uri => 'https://example.com/login', match => undef },
                { uri => '^https://.*\\.example\\.org/', match => 4 },
            ],
            fido2Credentials => [passkey()],
        },
        %more,
    );
}


sub passkey {
    return {
        credentialId => '7a3c1c1e-6a1f-4d0e-9d6a-0f6a6d0e1b2c',
        keyType => 'public-key', keyAlgorithm => 'ECDSA',
        keyCurve => 'P-256',
        keyValue => 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg',
        rpId => 'example.com', rpName => 'Example',
        userHandle => 'YWxpY2U', userName => 'alice',
        userDisplayName => 'Alice', counter => '0', discoverable => 'true',
        creationDate => '2026-01-02T03:04:05.678Z',
    };
}


sub note_item {
    my ($name) = @_;

    return item(2, $name, secureNote => { type => 0 });
}


sub card_item {
    my ($name) = @_;

    return item(3, $name, card => {
        cardholderName => 'Alice Example', brand => 'Visa',
        number => '4242424242424242', expMonth => '4', expYear => '2031',
        code => '123',
    });
}


sub identity_item {
    my ($name) = @_;

    return item(4, $name, identity => {
        title => 'Ms', firstName => 'Alice', middleName => 'B',
        lastName => 'Example', address1 => '1 Example Street',
        address2 => 'Floor 2', address3 => 'Door 3', city => 'Example City',
        state => 'EX', postalCode => '12345', country => 'US',
        company => 'Example', email => 'alice@example.com',
        phone => '5555550100', ssn => '000-00-0000', username => 'alice',
        passportNumber => 'X0000000', licenseNumber => 'L0000000',
    });
}


sub ssh_item {
    my ($name) = @_;

    # The server cannot tell it from a real one.
    return item(5, $name, sshKey => {
        privateKey => "an OpenSSH key\n" . 'b3BlbnNzaC1rZXktdjEA' x 20 . "\n",
        publicKey => 'ssh-ed25519 ' . 'AAAAC3NzaC1lZDI1' x 4
                     . ' alice@example.com',
        keyFingerprint => 'SHA256:' . 'zASyVV2vjJAj' x 4,
    });
}


# Ways in which what came back lacks what was written; members that only the
# server or the client knows are left out of `want`.

sub differences {
    my ($got, $want, $path) = @_;

    if (ref $want eq 'HASH') {
        return "$path is not an object" if ref $got ne 'HASH';

        return map { differences($got->{$_}, $want->{$_}, "$path.$_") }
                   sort grep { defined $want->{$_} || defined $got->{$_} }
                   keys %$want;
    }

    if (ref $want eq 'ARRAY') {
        my $n = ref $got eq 'ARRAY' ? @$got : 0;

        return "$path has $n entries, not " . @$want if $n != @$want;
        return map { differences($got->[$_], $want->[$_], "$path\[$_]") }
                   0 .. $#$want;
    }

    return () if !defined $got && !defined $want;
    return () if defined $got && defined $want && "$got" eq "$want";
    return sprintf '%s is %s, not %s', $path, $got // 'null', $want // 'null';
}


1;
