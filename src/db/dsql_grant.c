/*
 * What the servers may do: read and write rows, and nothing with the tables.
 *
 * The tables are admin's, in the schema "public", whose use needs no grant
 * (and can be granted to nobody); each table is granted by its name.
 */

#include "dsql.h"
#include "schema.h"


#define TABLE_MADE  "CREATE TABLE IF NOT EXISTS "


/* The n-th table of the schema. */
static ngx_str_t
find_table(ngx_uint_t n)
{
    ngx_str_t           name = ngx_null_string;
    const char         *sql;
    const char *const  *step;

    for (step = vault_schema; *step; step++) {

        if (ngx_strncmp(*step, TABLE_MADE, sizeof(TABLE_MADE) - 1) != 0
            || n-- > 0)
        {
            continue;
        }

        sql = *step + sizeof(TABLE_MADE) - 1;
        name.data = (u_char *) sql;
        name.len = strcspn(sql, " ");
        break;
    }

    return name;
}


static ngx_str_t
text(ngx_pool_t *pool, const char *format, const ngx_str_t *one,
    const ngx_str_t *two)
{
    u_char     *end;
    size_t      size;
    ngx_str_t   out = ngx_null_string;

    size = ngx_strlen(format) + one->len + two->len + 1;
    out.data = ngx_pnalloc(pool, size);

    if (out.data) {
        end = ngx_slprintf(out.data, out.data + size - 1, format, one, two);
        *end = '\0';
        out.len = (size_t) (end - out.data);
    }

    return out;
}


ngx_str_t
vault_dsql_grant(ngx_pool_t *pool, const vault_dsql_url_t *url, ngx_uint_t n)
{
    ngx_str_t  table, none = ngx_null_string;

    if (n == 0) {
        return text(pool, "CREATE ROLE %V WITH LOGIN", &url->role, &none);
    }

    if (n == 1) {
        return text(pool, "GRANT SELECT ON vault_schema TO %V", &url->role,
                    &none);
    }

    table = find_table(n - 2);

    if (table.data) {
        return text(pool, "GRANT SELECT, INSERT, UPDATE, DELETE ON %V TO %V",
                    &table, &url->role);
    }

    /* last: a role that may come in finds everything open */

    if (url->grant.len && find_table(n - 3).data) {
        return text(pool, "AWS IAM GRANT %V TO '%V'", &url->role,
                    &url->grant);
    }

    return none;
}
