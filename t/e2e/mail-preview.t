#!/usr/bin/perl
# All mails as a browser shows them, on a phone and beside a list of mails:
# each has its pictures, and none is wider than the screen.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use VaultNginx ();

my $folder = VaultNginx::work_dir('mail-preview.pictures');
my %width = (phone => 400, desktop => 900);

is(system("$VaultNginx::ROOT/t/tools/mail-preview", $folder), 0,
   'they are made');


sub bytes_of {
    my ($file) = @_;

    open my $in, '<:raw', $file or return '';
    local $/;
    return <$in>;
}


my @pages = glob "$folder/*.html";
cmp_ok(@pages, '>=', 17, 'of all messages');

for my $page (@pages) {
    my ($name) = $page =~ m{([^/]+)\.html$};

    for my $kind (sort keys %width) {
        my $picture = bytes_of("$folder/$name-$kind.png");

        is(substr($picture, 1, 3), 'PNG', "$name: a picture for $kind");
        is(unpack('N', substr $picture, 16, 4), $width{$kind}, '  as wide');
        cmp_ok(length $picture, '>', 8000, '  with something on it');
    }

    ok(-s "$folder/$name.$_", "  and its $_") for qw(txt eml);
}

# A page says itself how wide it is.
my $chromium = 'chromium-headless-shell --headless --no-sandbox --disable-gpu'
               . ' --window-size=400,720 --virtual-time-budget=500 --dump-dom';

for my $page (@pages) {
    my $probe = bytes_of($page) =~ s{</body>}{<script>
        document.title = "wide " + document.documentElement.scrollWidth;
        </script></body>}r;
    my $file = "$page.probe.htm";

    open my $out, '>:raw', $file or die "$file: $!\n";
    print $out $probe;
    close $out;

    my ($wide) = `$chromium file://$file 2>/dev/null` =~ /<title>wide (\d+)/;
    cmp_ok($wide // 9999, '<=', 400, "$page fits a phone" =~ s{\S*/}{}r);
}

done_testing();
