# Runs a lint script on the project and on planted mistakes.

package VaultLint;

use strict;
use warnings;

use Exporter qw(import);
use File::Temp ();
use Test::More;

use VaultNginx;

our @EXPORT = qw(clean_tree_ok planted_ok);


sub run_on {
    my ($script, $root) = @_;

    my $out = `'$VaultNginx::ROOT/t/tools/$script' '$root' 2>&1`;
    return ($?, $out);
}


sub clean_tree_ok {
    my ($script) = @_;

    my ($status, $out) = run_on($script, $VaultNginx::ROOT);
    is($out, '', "t/tools/$script has nothing to say of the project");
    is($status, 0, 'and ends with 0');
}


# A tree of these files (path => text) must draw a complaint like `pattern` and
# no other; none at all without a pattern.

sub planted_ok {
    my ($script, $name, $files, $pattern) = @_;

    my $dir = File::Temp->newdir;

    for my $path (keys %$files) {
        VaultNginx::write_file("$dir/$path", $files->{$path});
    }

    my ($status, $out) = run_on($script, $dir);

    if (!defined $pattern) {
        is($out, '', "$name: accepted");
        return;
    }

    my @other = grep { !/$pattern/ } split /\n/, $out;
    like($out, qr/^\S+:\d+: .*$pattern/m, "$name: caught");
    is_deeply(\@other, [], "$name: and nothing else");
    isnt($status, 0, "$name: status");
}


1;
