/*
 * The tokens of the SQL texts, as PostgreSQL spells them.
 */

#include "dialect.h"
#include "pg.h"


/* A function with one OUT parameter names its column after it: "value". */
static u_char *
write_list(u_char *p, u_char *last, const ngx_str_t *parameter)
{
    return ngx_slprintf(p, last, "json_array_elements_text(%V::json)",
                        parameter);
}


/*
 * PostgreSQL wants the columns behind an alias, and the statement's own alias
 * follows the token, so this one is inside.  The planner removes the bracket.
 */
static u_char *
write_rows(u_char *p, u_char *last, const ngx_str_t *parameter,
    const vault_dialect_column_t *columns, ngx_uint_t n)
{
    ngx_uint_t  i;

    p = ngx_slprintf(p, last, "(SELECT * FROM json_to_recordset(%V::json)"
                     " AS member(", parameter);

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last, "%s%V %V", i ? ", " : "", &columns[i].name,
                         &columns[i].type);
    }

    return ngx_slprintf(p, last, "))");
}


static u_char *
write_join(u_char *p, u_char *last, const ngx_str_t *text)
{
    return ngx_slprintf(p, last, "string_agg(%V, ',')", text);
}


const vault_dialect_t  vault_pg_dialect = {
    .for_update = "FOR UPDATE",
    .async = "",
    .list = write_list,
    .rows = write_rows,
    .join = write_join
};


const vault_dialect_t  vault_dsql_dialect = {
    .for_update = "FOR UPDATE",
    .async = "ASYNC",
    .list = write_list,
    .rows = write_rows,
    .join = write_join
};
