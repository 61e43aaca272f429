/*
 * Endpoints for the tests of db/, in debug builds only: what no real endpoint
 * can be made to show on demand.
 */

#include "../db/db.h"
#include "../run/await.h"
#include "api.h"

#if (VAULT_DEBUG)

static void debug_bulk(vault_request_t *vr);
static void debug_rows(vault_request_t *vr);
static void debug_clear(vault_request_t *vr);
static void debug_values(vault_request_t *vr);
static void debug_list(vault_request_t *vr);
static void debug_count(vault_request_t *vr);
static void debug_atomic(vault_request_t *vr);
static void debug_roll(vault_request_t *vr);
static void debug_wrong(vault_request_t *vr);
static void debug_migrate(vault_request_t *vr);
static void debug_age(vault_request_t *vr);


const vault_route_t  vault_debug_db_routes[] = {
    { POST,   "/api/debug/rows/{id}",   debug_bulk,   VAULT_ANYONE },
    { GET,    "/api/debug/rows",        debug_rows,   VAULT_ANYONE },
    { DELETE, "/api/debug/rows",        debug_clear,  VAULT_ANYONE },
    { GET,    "/api/debug/values",      debug_values, VAULT_ANYONE },
    { GET,    "/api/debug/list",        debug_list,   VAULT_ANYONE },
    { POST,   "/api/debug/count",       debug_count,  VAULT_ANYONE },
    { POST,   "/api/debug/atomic/{id}", debug_atomic, VAULT_ANYONE },
    { POST,   "/api/debug/roll/{id}",   debug_roll,   VAULT_ANYONE },
    { GET,    "/api/debug/wrong/{id}",  debug_wrong,  VAULT_ANYONE },
    { POST,   "/api/debug/migrate",     debug_migrate, VAULT_ANYONE },
    { POST,   "/api/debug/age/{id}",    debug_age,    VAULT_ANYONE },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t  id;
    ngx_str_t  name;
    int64_t    n;
} debug_row_t;

static const vault_column_t  debug_columns[] = {
    { VAULT_COL_TEXT, "id",   offsetof(debug_row_t, id)   },
    { VAULT_COL_TEXT, "name", offsetof(debug_row_t, name) },
    { VAULT_COL_INT,  "n",    offsetof(debug_row_t, n)    },
    VAULT_COLUMNS_END
};

static const vault_row_t  debug_row = VAULT_ROW(debug_columns, debug_row_t);

static const vault_field_t  debug_fields[] = {
    { "id",   VAULT_TEXT, offsetof(debug_row_t, id),   0, 0, NULL },
    { "name", VAULT_TEXT, offsetof(debug_row_t, name), 0, 0, NULL },
    { "n",    VAULT_INT,  offsetof(debug_row_t, n),    0, 0, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  debug_view = VAULT_SHAPE(debug_fields,
                                                     debug_row_t);

static const char  debug_insert[] =
    "INSERT INTO folders (id, user_id, name, created_at, revised_at)"
    " SELECT r.id, 'debug', r.name, r.n, r.n"
    " FROM {{rows $1 (id text, name text, n bigint)}} AS r"
    " WHERE true"
    " ON CONFLICT (id) DO UPDATE"
    " SET name = excluded.name, revised_at = excluded.revised_at";

static const char  debug_all[] =
    "SELECT id, name, revised_at AS n FROM folders"
    " WHERE user_id = 'debug' ORDER BY id";


static void
debug_number(vault_request_t *vr, int64_t n)
{
    ngx_str_t  text = vault_printf(vr, "{\"n\":%L}", n);

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &text);
}


static ngx_int_t
debug_arg(vault_request_t *vr)
{
    ngx_int_t   n;
    ngx_str_t  *arg = vault_path_arg(vr, 0);

    n = ngx_atoi(arg->data, arg->len);
    if (n < 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Not a number.");
    }

    return n;
}


/* As many rows as the path says, a kilobyte each, in one statement. */
static void
debug_bulk(vault_request_t *vr)
{
    ngx_int_t       i, n = debug_arg(vr);
    ngx_str_t       json, id, name;
    vault_writer_t  w;

    name.len = 1024;
    name.data = vault_alloc(vr, name.len);
    ngx_memset(name.data, 'x', name.len);
    ngx_memcpy(name.data, "\"q\\\n\xc3\xa4", 6);

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '[');

    for (i = 0; i < n; i++) {
        id = vault_printf(vr, "debug-%06i", i);

        vault_json_open(&w, NULL, '{');
        vault_json_string(&w, "id", &id);
        vault_json_string(&w, "name", &name);
        vault_json_integer(&w, "n", i);
        vault_json_close(&w, '}');
    }

    vault_json_close(&w, ']');

    json = vault_written(vr, &w);

    debug_number(vr, vault_db_run(vr, debug_insert,
                                  vault_db_args(S(&json))));
}


static void
debug_rows(vault_request_t *vr)
{
    vault_reply_list(vr, &debug_view,
                     vault_db_list(vr, &debug_row, debug_all,
                                   VAULT_DB_NO_ARGS));
}


static void
debug_clear(vault_request_t *vr)
{
    debug_number(vr, vault_db_run(vr, "DELETE FROM folders"
                                      " WHERE user_id = 'debug'",
                                  VAULT_DB_NO_ARGS));
}


/* Parameters out of order, used twice, null, empty, large and negative. */
static void
debug_values(vault_request_t *vr)
{
    ngx_str_t    empty = ngx_string(""), null = ngx_null_string;
    ngx_str_t    text = ngx_string("'); -- \xf0\x9f\x98\x80");
    debug_row_t  row[3];

    (void) vault_db_find(vr, &debug_row, &row[0],
                         "SELECT CAST($2 AS text) AS id,"
                         " CAST($1 AS bigint) AS n,"
                         " CAST($2 AS text) || CAST($3 AS text) AS name",
                         vault_db_args(I(INT64_MAX), S(&text), S(&empty)));
    (void) vault_db_find(vr, &debug_row, &row[1],
                         "SELECT CAST($1 AS text) AS id,"
                         " CAST($2 AS bigint) AS n,"
                         " CAST($3 AS text) AS name, 7 AS other",
                         vault_db_args(S(&null), I(VAULT_NULL), S(&empty)));
    (void) vault_db_find(vr, &debug_row, &row[2],
                         "WITH v AS (SELECT CAST($1 AS bigint) AS n)"
                         " SELECT '7' AS id, n, 'x' AS name FROM v",
                         vault_db_args(I(-5)));

    vault_reply_list(vr, &debug_view,
                     &(ngx_array_t) { row, 3, sizeof(debug_row_t), 3,
                                      vr->pool });
}


static void
debug_list(vault_request_t *vr)
{
    ngx_str_t     ids[3], json;
    ngx_array_t   list = { ids, 3, sizeof(ngx_str_t), 3, vr->pool };

    ngx_str_set(&ids[0], "debug-000001");
    ngx_str_set(&ids[1], "no \"such\" id");
    ngx_str_set(&ids[2], "debug-000000");

    json = vault_db_json_list(vr, &list);

    vault_reply_list(vr, &debug_view,
                     vault_db_list(vr, &debug_row,
                                   "SELECT id, name, revised_at AS n"
                                   " FROM folders WHERE id IN"
                                   " (SELECT value FROM {{list $1}})"
                                   " ORDER BY id",
                                   vault_db_args(S(&json))));
}


/* Reads, then writes one more than it read: two at once must collide. */
static void
debug_add(vault_request_t *vr, void *data)
{
    debug_row_t  *row = data;

    if (!vault_db_find(vr, &debug_row, row,
                       "SELECT id, name, revised_at AS n FROM folders"
                       " WHERE id = 'debug-count' {{for update}}",
                       VAULT_DB_NO_ARGS))
    {
        row->n = 0;
    }

    row->n++;

    (void) vault_db_run(vr,
                        "INSERT INTO folders"
                        " (id, user_id, name, created_at, revised_at)"
                        " VALUES ('debug-count', 'debug', '', 0, $1)"
                        " ON CONFLICT (id) DO UPDATE SET revised_at = $1",
                        vault_db_args(I(row->n)));
}


static void
debug_count(vault_request_t *vr)
{
    debug_row_t  row;

    vault_db_transaction(vr, debug_add, &row);
    debug_number(vr, row.n);
}


/* Two writes at once; with 1 in the path the second one is refused. */
static void
debug_atomic(vault_request_t *vr)
{
    int64_t            changed = -1;
    vault_db_batch_t  *batch;

    batch = vault_db_batch(vr);

    vault_db_batch_add(batch, &changed,
                       "INSERT INTO folders"
                       " (id, user_id, name, created_at, revised_at)"
                       " VALUES ('debug-atomic', 'debug', '', 0, 0)"
                       " ON CONFLICT (id) DO NOTHING",
                       VAULT_DB_NO_ARGS);

    if (debug_arg(vr)) {
        vault_db_batch_add(batch, NULL,
                           "INSERT INTO folders"
                           " (id, user_id, name, created_at, revised_at)"
                           " VALUES ('debug-broken', NULL, '', 0, 0)",
                           VAULT_DB_NO_ARGS);
    }

    vault_db_batch_run(batch);
    debug_number(vr, changed);
}


static void
debug_roll_body(vault_request_t *vr, void *data)
{
    ngx_msec_t  *ms = data;

    (void) vault_db_run(vr,
                        "INSERT INTO folders"
                        " (id, user_id, name, created_at, revised_at)"
                        " VALUES ('debug-rolled', 'debug', '', 0, 0)",
                        VAULT_DB_NO_ARGS);

    if (*ms) {
        vault_sleep(vr, *ms);
    }

    vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Rolled back.");
}


/* Writes, waits as long as the path says, and fails: nothing is kept. */
static void
debug_roll(vault_request_t *vr)
{
    ngx_msec_t  ms = debug_arg(vr);

    vault_db_transaction(vr, debug_roll_body, &ms);
}


static void
debug_migrate(vault_request_t *vr)
{
    debug_number(vr, (int64_t) vault_db_migrate(vr));
}


/* The connections that rest, as they would be so many seconds later. */
static void
debug_age(vault_request_t *vr)
{
    vault_db_age(vr->conf->db, (time_t) debug_arg(vr));
}


static void
debug_two_tables(vault_request_t *vr, void *data)
{
    (void) vault_db_run(vr, "CREATE TABLE IF NOT EXISTS debug_a (n bigint)",
                        VAULT_DB_NO_ARGS);
    (void) vault_db_run(vr, "CREATE TABLE IF NOT EXISTS debug_b (n bigint)",
                        VAULT_DB_NO_ARGS);
}


static void
debug_mixed(vault_request_t *vr, void *data)
{
    (void) vault_db_run(vr, "CREATE TABLE IF NOT EXISTS debug_a (n bigint)",
                        VAULT_DB_NO_ARGS);
    (void) vault_db_run(vr, "DELETE FROM folders WHERE user_id = 'nobody'",
                        VAULT_DB_NO_ARGS);
}


/* Mistakes that must not pass a test. */
static void
debug_wrong(vault_request_t *vr)
{
    debug_row_t                 row;
    static const char *const    sql[] = {
        "SELECT 'a' AS id, 'b' AS name",
        "SELECT $1 AS id, 'b' AS name, 1 AS n",
        "SELECT 'a' AS id, 'b' AS name, 1 AS n FROM {{lost $1}}",
        "SELECT 'a' AS id, 'b' AS name, 'c' AS n",
        "SELECT nothing FROM nowhere",
        "SELECT \"folders\" AS id, 'b' AS name, 1 AS n",
    };

    switch (debug_arg(vr)) {

    case 6:
        vault_db_transaction(vr, debug_two_tables, NULL);
        break;

    case 7:
        vault_db_transaction(vr, debug_mixed, NULL);
        break;

    default:
        (void) vault_db_find(vr, &debug_row, &row, sql[debug_arg(vr) % 6],
                             VAULT_DB_NO_ARGS);
        break;
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}

#endif
