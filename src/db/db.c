/*
 * The port as models and the root file see it.  What a statement goes through
 * is in exec.c; src/db/README.md tells its whole life.
 */

#include "port.h"


typedef struct {
    const char                *scheme;
    const vault_db_adapter_t  *adapter;
} db_scheme_t;

static const db_scheme_t  db_schemes[] = {
    { "sqlite:",       &vault_db_sqlite },
    { "postgresql://", &vault_db_pg },
    { "postgres://",   &vault_db_pg },
    { "dsql://",       &vault_db_dsql },
    { NULL, NULL }
};


static void
statement_set(vault_db_statement_t *statement, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    ngx_memzero(statement, sizeof(vault_db_statement_t));

    statement->sql = sql;
    statement->args = args;
    statement->n = n;
}


ngx_uint_t
vault_db_find(vault_request_t *vr, const vault_row_t *row, void *out,
    const char *sql, const vault_db_arg_t *args, ngx_uint_t n)
{
    ngx_uint_t            found;
    vault_db_statement_t  statement;

    statement_set(&statement, sql, args, n);
    vault_exec(vr, &statement, 1);
    vault_bind_find(vr, row, out, &found, &statement);

    return found;
}


ngx_array_t *
vault_db_list(vault_request_t *vr, const vault_row_t *row, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    vault_db_statement_t  statement;

    statement_set(&statement, sql, args, n);
    vault_exec(vr, &statement, 1);

    return vault_bind_list(vr, row, &statement);
}


int64_t
vault_db_run(vault_request_t *vr, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n)
{
    vault_db_statement_t  statement;

    statement_set(&statement, sql, args, n);
    vault_exec(vr, &statement, 1);

    return statement.result.changed;
}


ngx_str_t
vault_db_json_list(vault_request_t *vr, const ngx_array_t *texts)
{
    ngx_str_t       out;
    ngx_uint_t      i;
    vault_writer_t  w;

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '[');

    for (i = 0; i < texts->nelts; i++) {
        vault_json_string(&w, NULL, &((ngx_str_t *) texts->elts)[i]);
    }

    vault_json_close(&w, ']');

    if (vault_writer_text(&w, &out) != NGX_OK) {
        vault_db_fail(vr, VAULT_DB_BAD);
    }

    return out;
}


static const vault_db_adapter_t *
adapter_of(const ngx_str_t *url)
{
    size_t              len;
    const db_scheme_t  *scheme;

    for (scheme = db_schemes; scheme->scheme; scheme++) {
        len = ngx_strlen(scheme->scheme);

        if (url->len > len
            && ngx_strncmp(url->data, scheme->scheme, len) == 0)
        {
            return scheme->adapter;
        }
    }

    return NULL;
}


vault_db_t *
vault_db_create(ngx_pool_t *pool, const ngx_str_t *url, const char **err)
{
    vault_db_t                *db;
    const vault_db_adapter_t  *adapter;

    adapter = adapter_of(url);

    if (adapter == NULL) {
        *err = "must be sqlite:/path/of/file, postgresql://… or dsql://…";
        return NULL;
    }

    db = ngx_pcalloc(pool, sizeof(vault_db_t));
    if (db == NULL) {
        *err = "no memory";
        return NULL;
    }

    db->adapter = adapter;
    db->timeout = 10 * 1000;
    db->connections = adapter->connections ? adapter->connections
                                           : VAULT_DB_CONNECTIONS;

    db->conf = adapter->configure(pool, url, err);
    if (db->conf == NULL) {
        return NULL;
    }

    return db;
}


ngx_int_t
vault_db_on_ready(vault_db_t *db, ngx_pool_t *pool, vault_db_body_pt ready,
    void *data)
{
    vault_db_hook_t  *hook;

    if (db->on_ready == NULL) {
        db->on_ready = ngx_array_create(pool, 1, sizeof(vault_db_hook_t));
        if (db->on_ready == NULL) {
            return NGX_ERROR;
        }
    }

    hook = ngx_array_push(db->on_ready);
    if (hook == NULL) {
        return NGX_ERROR;
    }

    hook->run = ready;
    hook->data = data;

    return NGX_OK;
}


void
vault_db_set_pool(vault_db_t *db, ngx_uint_t connections)
{
    db->connections = ngx_max(connections, 1);
}


void
vault_db_set_timeout(vault_db_t *db, ngx_msec_t timeout)
{
    db->timeout = ngx_max(timeout, 1);
}


void
vault_db_set_strict(vault_db_t *db, ngx_flag_t strict)
{
    db->strict = strict;
}


ngx_str_t
vault_db_folder(vault_db_t *db)
{
    ngx_str_t  none = ngx_null_string;

    return db->adapter->folder ? db->adapter->folder(db->conf) : none;
}


ngx_int_t
vault_db_check(vault_db_t *db, ngx_cycle_t *cycle)
{
    return db->adapter->check ? db->adapter->check(db->conf, cycle) : NGX_OK;
}


ngx_int_t
vault_db_start(vault_db_t *db, ngx_cycle_t *cycle)
{
    const vault_db_adapter_t  *adapter = db->adapter;

    if (adapter->open_reader) {
        vault_lane_init(&db->writer, adapter->open, 1);
        vault_lane_init(&db->reader, adapter->open_reader, db->connections);

    } else {
        vault_lane_init(&db->writer, adapter->open, db->connections);
        vault_lane_init(&db->reader, NULL, 0);
    }

    vault_lane_init(&db->admin, adapter->open_admin,
                    adapter->open_admin ? 1 : 0);

    db->state = VAULT_DB_NEW;
    vault_waiters_init(&db->gate);

    return NGX_OK;
}


void
vault_db_stop(vault_db_t *db)
{
    vault_slots_finish(db);
}


void
vault_db_stats(vault_db_t *db, vault_db_stats_t *stats)
{
    stats->open = db->writer.open + db->reader.open;
    stats->busy = stats->open - db->writer.nidle - db->reader.nidle;
    stats->waiting = db->writer.nwaiting + db->reader.nwaiting;
    stats->statements = db->statements;
    stats->round_trips = db->round_trips;
}
