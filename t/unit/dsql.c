/*
 * dsql:// URLs, the tokens that AWS's SDK makes for the same keys, and what
 * lets a role in.
 */

#include "check.h"

#include "../../src/db/dsql.h"


#define HOST  "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws"
#define TIME  1795316400000           /* 2026-11-22T03:00:00Z */

static const vault_aws_keys_t  keys = {
    ngx_string("AKIDEXAMPLE"),
    ngx_string("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ngx_null_string, 0
};


static ngx_int_t
parse(ngx_pool_t *pool, const char *text, vault_dsql_url_t *url,
    const char **err)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return vault_dsql_url(pool, &s, url, err);
}


static void
test_defaults(ngx_pool_t *pool)
{
    const char        *err;
    vault_dsql_url_t   url;

    CHECK(parse(pool, "dsql://" HOST, &url, &err) == NGX_OK);
    CHECK_STR(&url.host, HOST);
    CHECK_STR(&url.port, "5432");
    CHECK_STR(&url.database, "postgres");
    CHECK_STR(&url.role, "vault");
    CHECK_STR(&url.region, "us-east-1");
    CHECK_INT(url.hostaddr.len + url.ca_file.len + url.grant.len, 0);
}


static void
test_all(ngx_pool_t *pool)
{
    const char        *err;
    vault_dsql_url_t   url;

    CHECK(parse(pool, "dsql://db.test:6432/mine?role=app&hostaddr=127.0.0.1"
                      "&region=eu-west-1&sslrootcert=/dev/null"
                      "&grant=arn:aws:iam::111122223333:role/path/vault",
                &url, &err) == NGX_OK);
    CHECK_STR(&url.host, "db.test");
    CHECK_STR(&url.port, "6432");
    CHECK_STR(&url.database, "mine");
    CHECK_STR(&url.role, "app");
    CHECK_STR(&url.hostaddr, "127.0.0.1");
    CHECK_STR(&url.region, "eu-west-1");
    CHECK_STR(&url.ca_file, "/dev/null");
    CHECK_STR(&url.grant, "arn:aws:iam::111122223333:role/path/vault");
}


static void
test_mistakes(ngx_pool_t *pool)
{
    ngx_uint_t         i;
    const char        *err;
    vault_dsql_url_t   url;

    static const struct {
        const char  *text;
        const char  *reason;
    } cases[] = {
        { "dsql://", "names no host" },
        { "dsql:///postgres", "names no host" },
        { "dsql://user@" HOST, "names no host" },
        { "dsql://short.dsql.us-east-1.on.aws", "not a cluster's endpoint" },
        { "dsql://ABCDEFGHIJKLMNOPQRSTUVWXYZ.dsql.us-east-1.on.aws",
          "not a cluster's endpoint" },
        { "dsql://" HOST ":0", "port" },
        { "dsql://" HOST ":x", "port" },
        { "dsql://" HOST "?port=70000", "port" },
        { "dsql://" HOST "/my%20database", "database's name" },
        { "dsql://" HOST "?role=a'b", "role's name" },
        { "dsql://" HOST "?role=admin", "\"admin\"" },
        { "dsql://" HOST "?role=", "without a value" },
        { "dsql://" HOST "?role", "without a value" },
        { "dsql://" HOST "?sslmode=disable", "an option other than" },
        { "dsql://" HOST "?", "an option other than" },
        { "dsql://" HOST "?region=a b", "not a region" },
        { "dsql://" HOST "?hostaddr=here!", "not an address" },
        { "dsql://" HOST "?sslrootcert=/no/such", "not a file" },
        { "dsql://" HOST "?grant=me", "not the ARN" },
        { "dsql://" HOST "?grant=arn:aws:iam::1:role/x'", "not the ARN" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err = NULL;
        CHECK_CASE(parse(pool, cases[i].text, &url, &err) == NGX_ERROR
                   && err && strstr(err, cases[i].reason), cases[i].text);
    }
}


/* Source: @aws-sdk/dsql-signer 3.1142.0 and a signer of its own. */
static void
check_token(ngx_pool_t *pool, const char *role, const char *session,
    const char *signature)
{
    ngx_str_t          token;
    const char        *err, *at;
    vault_aws_keys_t   all = keys;
    vault_dsql_url_t   url;

    all.session_token.data = (u_char *) session;
    all.session_token.len = strlen(session);

    (void) parse(pool, "dsql://" HOST, &url, &err);
    CHECK(vault_dsql_token(pool, &url, role, &all, TIME, &token) == NGX_OK);

    CHECK_INT(strlen((char *) token.data), token.len);
    CHECK(strncmp((char *) token.data, HOST "/?", sizeof(HOST) + 1) == 0);
    CHECK(strstr((char *) token.data, "X-Amz-Expires=900&") != NULL);

    at = strstr((char *) token.data, "X-Amz-Signature=");
    CHECK(at && strcmp(at + 16, signature) == 0);
}


static void
test_tokens(ngx_pool_t *pool)
{
    check_token(pool, "admin", "", "3b746a3e98aade6c675036269ceb312b"
                                   "d13dae47254b133c16ef718435656e6c");
    check_token(pool, "vault", "", "ad2808705fc3202075d9fd97cacfcc9e"
                                   "0b3fed5b29ec2215de44b00647cace96");
    check_token(pool, "admin", "tok/en+==",
                "d74c86c5c600982800812ee79a1f88245a922a4ec60333e1"
                "a92bfa3e90551fef");
    check_token(pool, "vault", "tok/en+==",
                "100c0ad4b5d4ed619cd51e52bcfe3dc12cece3ef52023ec8"
                "31ab7116e987fe74");
}


static void
test_grants(ngx_pool_t *pool)
{
    ngx_str_t          sql, last = ngx_null_string;
    const char        *err;
    ngx_uint_t         n, users = 0;
    vault_dsql_url_t   url;

    (void) parse(pool, "dsql://" HOST "?role=app&grant=arn:aws:iam::1:role/a",
                 &url, &err);

    sql = vault_dsql_grant(pool, &url, 0);
    CHECK_STR(&sql, "CREATE ROLE app WITH LOGIN");

    for (n = 1; n < 100; n++) {
        sql = vault_dsql_grant(pool, &url, n);
        if (sql.data == NULL) {
            break;
        }

        users += (strcmp((char *) sql.data, "GRANT SELECT, INSERT, UPDATE, "
                         "DELETE ON users TO app") == 0);
        last = sql;
    }

    CHECK_INT(users, 1);
    CHECK(n > 10);
    CHECK_STR(&last, "AWS IAM GRANT app TO 'arn:aws:iam::1:role/a'");
    CHECK(vault_dsql_grant(pool, &url, n + 1).data == NULL);
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_defaults(pool);
    test_all(pool);
    test_mistakes(pool);
    test_tokens(pool);
    test_grants(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
