# Includes point down only, and the script that says so catches what does not.

use strict;
use warnings;

use Test::More;

use VaultLint;

my %TREE = map { $_ => "\n" } qw(
    src/json/json.h src/json/type.h src/crypto/jwt.h src/run/request.h
    src/run/run.h src/db/db.h src/db/adapter.h src/db/pg.h src/model/user.h
    src/rules/guard.h src/api/api.h
);

sub planted {
    my ($file, $include, $pattern) = @_;

    $include = $include =~ /^</ ? $include : "\"$include\"";
    planted_ok('includes', "$file: $include",
               { %TREE, $file => "#include $include\n" }, $pattern);
}

clean_tree_ok('includes');

# down, and beside
planted('src/api/folders.c', '../rules/guard.h');
planted('src/api/folders.c', '../json/json.h');
planted('src/model/user.c', '../db/db.h');
planted('src/db/pool.c', 'adapter.h');
planted('src/db/pg_result.c', 'pg.h');
planted('src/db/pg_result.c', '<libpq-fe.h>');
planted('ngx_http_vault_module.c', 'src/api/api.h');
planted('ngx_http_vault_module.c', '<ngx_http.h>');

# up
planted('src/rules/guard.c', '../api/api.h', 'rules may not include api');
planted('src/model/user.c', '../rules/guard.h', 'model may not include rules');
planted('src/db/db.c', '../model/user.h', 'db may not include model');
planted('src/run/driver.c', '../db/db.h', 'run may not include db');
planted('src/crypto/jwt.c', '../run/request.h', 'crypto may not include run');
planted('src/json/read.c', '../crypto/jwt.h', 'json may not include crypto');
planted('src/json/read.c', '../../src/run/request.h',
        'json may not include run');

# into the inside of a folder
planted('src/model/user.c', '../db/adapter.h', 'only db.h is for others');
planted('src/db/sqlite.c', 'pg.h', 'an adapter of its own');
planted('src/api/folders.c', '../run/run.h', 'for run/ alone');

# past a folder to its library
planted('src/db/db.c', '<libpq-fe.h>', 'not for this file');
planted('src/api/folders.c', '<jansson.h>', 'not for this file');
planted('src/rules/password.c', '<openssl/evp.h>', 'not for this file');
planted('src/model/user.c', '<sqlite3.h>', 'not for this file');
planted('src/crypto/jwt.c', '<ngx_http.h>', 'not for this file');

# nowhere
planted('src/api/folders.c', '../rules/gaurd.h', 'there is no src/rules');
planted('src/util/list.c', '../json/json.h', 'no place among the layers');

done_testing();
