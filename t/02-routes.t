# Every route has been asked, and has answered well, in some test before this
# one: t/testrules.yml makes it the last.

use strict;
use warnings;

use Test::More;

use VaultNginx;
use VaultTest;

my $file = $ENV{VAULT_TEST_ASKED};

plan skip_all => 'only after all others: t/tools/suite sqlite t/*.t'
    if !$file || !-s $file;

# Routes that refuse everybody so far, with their status
my %REFUSES = (
    'POST /api/accounts/keys' => 400,   # an account has its keys from the start
    'PUT /api/devices/identifier/{id}/web-push-auth'  => 400,
    'POST /api/devices/identifier/{id}/web-push-auth' => 400,
);

my $UUID = '[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}';

my (%well, %with);
for my $line (split /\n/, VaultNginx::read_file($file)) {
    my ($method, $path, $status) = split ' ', $line;
    $with{"$method $path"}{$status} = 1;
    $well{"$method $path"} = 1 if $status =~ /^2/;
}


# A route whose path has an {id} does not count for its literal neighbours.

my @routes = routes();
my %literal = map { ("$_->[0] $_->[1]" => 1) } @routes;

sub asked {
    my ($method, $path) = @_;

    my $name = "$method $path";
    my $regex = join '/', map {
        $_ eq '{uuid}' ? $UUID : $_ eq '{id}' ? '[^/]+' : quotemeta
    } split m{/}, $path;

    my @asked = grep { /^$method $regex$/ && (!$literal{$_} || $_ eq $name) }
                keys %with;

    return grep { $REFUSES{$name} ? $with{$_}{$REFUSES{$name}} : $well{$_} }
               @asked;
}

cmp_ok(scalar @routes, '>', 50, 'there are routes');

for my $route (@routes) {
    my ($method, $path) = @$route;

    ok(asked($method, $path), "$method $path is tested");
}

done_testing();
