# The style script accepts the project, and catches each mistake it knows.

use strict;
use warnings;

use Test::More;

use VaultLint;

my $CLEAN = <<'_EOF_';
#include "thing.h"


typedef struct {
    int  value;
} thing_t;


static int thing_count(const char *text);


/* Counts what there is; "//" in a text is no comment. */
int
vault_thing_find(int n)
{
    int          i;
    const char  *url = "https://vault.example.com";

    for (i = 0; i < n; i++) {
        n += thing_count(url);
    }

    return n;
}


static int
thing_count(const char *text)
{
    return text[0];
}
_EOF_

my $HEADER = <<'_EOF_';
/*
 * thing - counts things.
 */

#ifndef VAULT_MODEL_THING_H
#define VAULT_MODEL_THING_H


int vault_thing_find(int n);


#endif
_EOF_

sub planted {
    my ($name, $pattern, $change, $path) = @_;

    my %files = ('src/model/thing.h' => $HEADER);
    local $_ = $CLEAN;
    $change->();
    $files{$path || 'src/model/thing.c'} = $_;
    planted_ok('style', $name, \%files, $pattern);
}

clean_tree_ok('style');

planted('good code', undef, sub { });
planted('a tab', 'tab$', sub { s/    return n;/\treturn n;/ });
planted('a trailing space', 'trailing space', sub { s/return n;/return n; / });
planted('a long line', '80 columns',
        sub { s/return n;/return n + @{[join ' + ', (1) x 20]};/ });
planted('a blank line at the end', 'blank line at the end', sub { s/\z/\n/ });
planted('a // comment', 'a // comment', sub { s/return n;/return n; \/\/ n/ });
planted('a note to self', 'note to self', sub { s/Counts/TO\x44O: count/ });
planted('one blank line', 'two blank lines before',
        sub { s/\n\n\n(static int\nthing)/\n\n$1/ });
planted('three blank lines', 'two blank lines before',
        sub { s/\n\n\n(static int\nthing)/\n\n\n\n$1/ });
planted('the type in the same line', 'return type on a line of its own',
        sub { s/int\n(vault_thing_find)/int $1/ });
planted('the brace in the same line', 'brace of a function',
        sub { s/\(int n\)\n\{/(int n) {/ });
planted('one space in a declaration', 'two spaces between',
        sub { s/int          i;/int i;/ });
planted('no space after for', 'no space after a keyword',
        sub { s/for \(/for(/ });
planted('a foreign name', 'vault_<noun>_<verb>',
        sub { s/vault_thing_find/find_thing/ });
planted('a prefixed static name', 'has no prefix',
        sub { s/thing_count/vault_thing_count/g });
planted('a system header first', 'before <ngx_config.h>',
        sub { s/\A/#include <stdio.h>\n/ });
planted('an undeclared function', 'in no header',
        sub { s/vault_thing_find/vault_thing_get/ });
planted('a long function', 'function over 60 lines',
        sub { s/(    return n;)/"    n++;\n" x 60 . $1/e });
planted('a long file', 'longer than 800 lines',
        sub { s{(\nstatic int\nthing)}{"\nstatic int\nf(int n)\n{\n}\n\n"
              x 140 . $1}e });
planted('a tangled function', 'complexity 1[67]',
        sub { s/(    return n;)/"    n += n ? 1 : 2;\n" x 14 . $1/e });

for my $call ('malloc(1)', 'free(url)', 'strcpy(a, b)', 'sprintf(a, b)',
              'strcat(a, b)', 'gets(a)', 'rand()', 'PQclear(a)',
              'json_decref(a)', 'EVP_PKEY_free(a)', 'sqlite3_step(a)',
              'swapcontext(a, b)', 'alloca(n)', 'PQexec(a, b)')
{
    my ($function) = $call =~ /^(\w+)/;

    planted($call, "$function\\(\\) is banned",
            sub { s/return n;/$call;\n    return n;/ });
}

planted_ok('style', 'free() where it belongs', {
    'src/json/thing.h' => $HEADER =~ s/MODEL/JSON/gr,
    'src/json/thing.c' => $CLEAN =~ s/return n;/free(n);\n    return n;/r,
});
planted_ok('style', 'ngx_free() is not free()', {
    'src/model/thing.h' => $HEADER,
    'src/model/thing.c' => $CLEAN =~ s/return n;/ngx_free(n);\n    return n;/r,
});

planted_ok('style', 'a header without its comment',
           { 'src/model/thing.h' => $HEADER =~ s/thing - counts/counts/r },
           'opens with the comment');
planted_ok('style', 'a header with another guard',
           { 'src/model/thing.h' => $HEADER =~ s/THING_H/THINGS_H/gr },
           'no include guard');
planted_ok('style', 'a tab in a script', { 't/lib/A.pm' => "1;\n\t1;\n" },
           'tab$');

done_testing();
