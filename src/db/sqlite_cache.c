/*
 * Prepared statements of a connection, by the pointer of their text.  Bounded:
 * the one that was not used for longest makes room.
 */

#include "dialect.h"
#include "sqlite.h"


#define CACHE_SQL  16384              /* bytes of an expanded statement */


static u_char *
spell_list(u_char *p, u_char *last, const ngx_str_t *parameter)
{
    return ngx_slprintf(p, last, "json_each(%V)", parameter);
}


/*
 * The LIMIT keeps the planner from merging the rows into the statement around
 * them, where it may parse the whole list once for each row of a table.
 */

static u_char *
spell_rows(u_char *p, u_char *last, const ngx_str_t *parameter,
    const vault_dialect_column_t *columns, ngx_uint_t n)
{
    ngx_uint_t  i;

    p = ngx_slprintf(p, last, "(SELECT ");

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last, "%svalue ->> '%V' AS %V",
                         i ? ", " : "", &columns[i].name, &columns[i].name);
    }

    return ngx_slprintf(p, last, " FROM json_each(%V) LIMIT -1)", parameter);
}


static u_char *
spell_join(u_char *p, u_char *last, const ngx_str_t *text)
{
    return ngx_slprintf(p, last, "group_concat(%V, ',')", text);
}


static const vault_dialect_t  dialect = {
    .for_update = "",
    .async = "",
    .list = spell_list,
    .rows = spell_rows,
    .join = spell_join
};


size_t
vault_sqlite_dialect(const char *sql, u_char *out, size_t size)
{
    return vault_dialect_expand(&dialect, sql, out, size);
}


/*
 * SQLite numbers $1 … $n by first appearance and knows them by name, so the
 * order in the list of arguments is read from the names.
 */
static ngx_int_t
map_parameters(vault_sqlite_stmt_t *statement)
{
    int          i, n;
    ngx_int_t    number;
    const char  *name;

    n = sqlite3_bind_parameter_count(statement->stmt);

    if (n > VAULT_DB_MAX_ARGS) {
        return NGX_ERROR;
    }

    for (i = 1; i <= n; i++) {
        name = sqlite3_bind_parameter_name(statement->stmt, i);

        if (name == NULL || name[0] != '$') {
            return NGX_ERROR;
        }

        number = ngx_atoi((u_char *) name + 1, ngx_strlen(name + 1));

        if (number < 1 || number > n) {
            return NGX_ERROR;
        }

        statement->args[i - 1] = (uint8_t) (number - 1);
    }

    statement->n = n;

    return NGX_OK;
}


static ngx_uint_t
cache_victim(vault_db_conn_t *conn)
{
    ngx_uint_t  i, oldest = 0;

    for (i = 0; i < VAULT_SQLITE_CACHE; i++) {

        if (conn->keys[i] == NULL) {
            return i;
        }

        if (conn->statements[i].used < conn->statements[oldest].used) {
            oldest = i;
        }
    }

    return oldest;
}


vault_sqlite_stmt_t *
vault_sqlite_prepare(vault_db_conn_t *conn, ngx_pool_t *pool, const char *sql,
    int *rc)
{
    size_t                len;
    u_char               *text;
    ngx_uint_t            i;
    vault_sqlite_stmt_t  *statement;

    for (i = 0; i < VAULT_SQLITE_CACHE; i++) {
        if (conn->keys[i] == sql) {
            conn->statements[i].used = ++conn->uses;
            return &conn->statements[i];
        }
    }

    text = ngx_palloc(pool, CACHE_SQL);
    if (text == NULL) {
        *rc = SQLITE_NOMEM;
        return NULL;
    }

    len = vault_sqlite_dialect(sql, text, CACHE_SQL);
    if (len == 0) {
        *rc = SQLITE_MISUSE;
        return NULL;
    }

    i = cache_victim(conn);
    statement = &conn->statements[i];

    (void) sqlite3_finalize(statement->stmt);
    conn->keys[i] = NULL;
    statement->stmt = NULL;

    *rc = sqlite3_prepare_v3(conn->handle, (char *) text, (int) len + 1,
                             SQLITE_PREPARE_PERSISTENT, &statement->stmt,
                             NULL);

    (void) ngx_pfree(pool, text);

    if (*rc != SQLITE_OK || statement->stmt == NULL) {
        return NULL;
    }

    if (map_parameters(statement) != NGX_OK) {
        *rc = SQLITE_RANGE;
        (void) sqlite3_finalize(statement->stmt);
        statement->stmt = NULL;
        return NULL;
    }

    conn->keys[i] = sql;
    statement->used = ++conn->uses;

    return statement;
}


void
vault_sqlite_forget(vault_db_conn_t *conn)
{
    ngx_uint_t  i;

    for (i = 0; i < VAULT_SQLITE_CACHE; i++) {
        (void) sqlite3_finalize(conn->statements[i].stmt);
        conn->statements[i].stmt = NULL;
        conn->keys[i] = NULL;
    }
}
