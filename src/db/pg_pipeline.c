/*
 * A list of statements in one round trip, by libpq's pipeline mode.
 *
 * The connection is in pipeline mode only while a list runs: outside of it
 * libpq understands what a server says unasked, such as its good-bye.
 *
 * Parameters are sent in binary with their types, so that texts need neither
 * a copy nor a closing NUL and the server never guesses a type.
 */

#include "pg.h"


#define TEXT_OID    25
#define BIGINT_OID  20
#define SQL_SIZE    32768

/* Of this worker: a statement's SQL until libpq has copied it. */
static u_char  sql_text[SQL_SIZE];

typedef struct {
    Oid          types[VAULT_DB_MAX_ARGS];
    const char  *values[VAULT_DB_MAX_ARGS];
    int          lengths[VAULT_DB_MAX_ARGS];
    int          formats[VAULT_DB_MAX_ARGS];
    uint64_t     integers[VAULT_DB_MAX_ARGS];
    size_t       size;
} params_t;


static uint64_t
big_endian(int64_t n)
{
    u_char      bytes[8];
    uint64_t    out;
    ngx_uint_t  i;

    for (i = 0; i < 8; i++) {
        bytes[i] = (u_char) ((uint64_t) n >> (56 - 8 * i));
    }

    ngx_memcpy(&out, bytes, 8);

    return out;
}


static ngx_int_t
encode(params_t *p, const vault_db_statement_t *st)
{
    ngx_uint_t             i;
    const vault_db_arg_t  *arg;

    if (st->n > VAULT_DB_MAX_ARGS) {
        return NGX_ERROR;
    }

    p->size = 0;

    for (i = 0; i < st->n; i++) {
        arg = &st->args[i];
        p->formats[i] = 1;
        p->values[i] = NULL;
        p->lengths[i] = 0;

        if (arg->is_text) {
            p->types[i] = TEXT_OID;

            if (arg->text.len > INT32_MAX / 2) {
                return NGX_ERROR;
            }

            if (arg->text.data) {
                p->values[i] = (const char *) arg->text.data;
                p->lengths[i] = (int) arg->text.len;
                p->size += arg->text.len;
            }

            continue;
        }

        p->types[i] = BIGINT_OID;

        if (arg->integer != VAULT_NULL) {
            p->integers[i] = big_endian(arg->integer);
            p->values[i] = (const char *) &p->integers[i];
            p->lengths[i] = 8;
        }
    }

    return NGX_OK;
}


static void
push(vault_db_conn_t *conn, vault_pg_step_e kind, ngx_uint_t n,
    ngx_uint_t slot)
{
    vault_pg_step_t  *step;

    step = &conn->steps[conn->nsteps++];
    step->kind = kind;
    step->n = n;
    step->slot = slot;
    step->result = NULL;
}


static ngx_int_t
send_control(vault_db_conn_t *conn, vault_pg_step_e kind, const char *sql)
{
    push(conn, kind, 0, 0);

    return PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0)
           ? NGX_OK : NGX_ERROR;
}


/* The slot of a statement; or a free one; or VAULT_PG_PREPARED. */
static ngx_uint_t
find_slot(vault_db_conn_t *conn, const char *sql)
{
    ngx_uint_t  i, hole;

    hole = VAULT_PG_PREPARED;

    for (i = 0; i < VAULT_PG_PREPARED; i++) {

        if (conn->prepared[i] == sql) {
            return i;
        }

        if (conn->prepared[i] == NULL && hole == VAULT_PG_PREPARED) {
            hole = i;
        }
    }

    return hole;
}


/* Where all slots are taken, a statement is parsed each time. */
static ngx_int_t
send_statement(vault_db_conn_t *conn, const vault_db_statement_t *st,
    ngx_uint_t n)
{
    char        name[sizeof("v") + NGX_INT_T_LEN];
    params_t    p;
    ngx_uint_t  slot;

    if (encode(&p, st) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (p.size > VAULT_PG_BULKY) {
        conn->worn = 1;
    }

    slot = conn->kind->prepares ? find_slot(conn, st->sql)
                                : VAULT_PG_PREPARED;
    ngx_sprintf((u_char *) name, "v%ui%Z", slot);

    if (slot == VAULT_PG_PREPARED || conn->prepared[slot] == NULL) {

        if (vault_dialect_expand(conn->kind->dialect, st->sql, sql_text,
                                 SQL_SIZE)
            == 0)
        {
            return NGX_DECLINED;
        }

        if (slot == VAULT_PG_PREPARED) {
            push(conn, VAULT_PG_STATEMENT, n, 0);

            return PQsendQueryParams(conn->pg, (char *) sql_text, (int) st->n,
                                     p.types, p.values, p.lengths, p.formats,
                                     0)
                   ? NGX_OK : NGX_ERROR;
        }

        push(conn, VAULT_PG_PREPARE, n, slot);

        if (!PQsendPrepare(conn->pg, name, (char *) sql_text, (int) st->n,
                           p.types))
        {
            return NGX_ERROR;
        }

        conn->prepared[slot] = st->sql;
    }

    push(conn, VAULT_PG_STATEMENT, n, 0);

    return PQsendQueryPrepared(conn->pg, name, (int) st->n, p.values,
                               p.lengths, p.formats, 0)
           ? NGX_OK : NGX_ERROR;
}


/* Room for the steps of n statements; kept for the next list. */
static ngx_int_t
reserve(vault_db_conn_t *conn, ngx_uint_t n)
{
    ngx_uint_t        need;
    vault_pg_step_t  *steps;

    if (n > VAULT_PG_STATEMENTS) {
        return NGX_DECLINED;
    }

    need = 2 * n + 4;

    if (need <= conn->nalloc) {
        return NGX_OK;
    }

    steps = ngx_alloc(need * sizeof(vault_pg_step_t), ngx_cycle->log);
    if (steps == NULL) {
        return NGX_ERROR;
    }

    if (conn->steps) {
        ngx_free(conn->steps);
    }

    conn->steps = steps;
    conn->nalloc = need;

    return NGX_OK;
}


static ngx_int_t
send_list(vault_db_conn_t *conn, const vault_db_statement_t *list,
    ngx_uint_t n, ngx_uint_t flags)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    if ((flags & VAULT_DB_BEGIN)
        && send_control(conn, VAULT_PG_BEGIN, "BEGIN") != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        rc = send_statement(conn, &list[i], i);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if ((flags & VAULT_DB_COMMIT)
        && send_control(conn, VAULT_PG_COMMIT, "COMMIT") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if ((flags & VAULT_DB_ROLLBACK)
        && send_control(conn, VAULT_PG_ROLLBACK, "ROLLBACK") != NGX_OK)
    {
        return NGX_ERROR;
    }

    push(conn, VAULT_PG_SYNC, 0, 0);

    return PQpipelineSync(conn->pg) ? NGX_OK : NGX_ERROR;
}


/*
 * Sends the list; conn->settled is called when it is answered.  NGX_DECLINED
 * for a statement that cannot be sent; the connection is lost then, too: half
 * of a list may be on its way.
 */
ngx_int_t
vault_pg_send(vault_db_conn_t *conn, const vault_db_statement_t *list,
    ngx_uint_t n, ngx_uint_t flags)
{
    int        pending;
    ngx_int_t  rc;

    vault_pg_clear(conn);

    conn->synced = 0;
    conn->current = 0;

    rc = reserve(conn, n);
    if (rc != NGX_OK) {
        vault_pg_lose(conn, "list of statements is too long");
        return rc;
    }

    if (PQenterPipelineMode(conn->pg) == 0) {
        vault_pg_lose(conn, NULL);
        return NGX_ERROR;
    }

    conn->state = VAULT_PG_BUSY;

    rc = send_list(conn, list, n, flags);

    if (rc == NGX_DECLINED) {
        vault_pg_lose(conn, "statement cannot be sent");
        return rc;
    }

    pending = PQflush(conn->pg);

    if (rc != NGX_OK || pending < 0
        || vault_pg_watch(conn, 1, pending > 0) != NGX_OK)
    {
        vault_pg_lose(conn, NULL);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* All is answered: what was not prepared is forgotten. */
static void
finish(vault_db_conn_t *conn)
{
    ngx_uint_t        i;
    vault_pg_step_t  *step;

    for (i = 0; i < conn->nsteps; i++) {
        step = &conn->steps[i];

        if (step->kind == VAULT_PG_PREPARE
            && PQresultStatus(step->result) != PGRES_COMMAND_OK)
        {
            conn->prepared[step->slot] = NULL;
        }
    }

    conn->synced = 1;
    conn->state = VAULT_PG_IDLE;

    if (PQexitPipelineMode(conn->pg) == 0) {
        vault_pg_lose(conn, NULL);
    }
}


/*
 * Each command answers with a result and NULL, the sync with its own result
 * alone, before which it may report that it could not commit.
 */
static void
take(vault_db_conn_t *conn, PGresult *result)
{
    vault_pg_step_t  *step;

    step = &conn->steps[conn->current];

    if (result == NULL) {

        if (PQstatus(conn->pg) == CONNECTION_BAD) {
            vault_pg_lose(conn, NULL);

        } else if (step->kind != VAULT_PG_SYNC) {
            conn->current++;

        } else if (step->result == NULL) {
            vault_pg_lose(conn, "answers do not match the statements");
        }

        return;
    }

    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        PQclear(result);

        if (step->kind == VAULT_PG_SYNC) {
            finish(conn);

        } else {
            vault_pg_lose(conn, "answers do not match the statements");
        }

        return;
    }

    if (step->result) {
        PQclear(step->result);
    }

    step->result = result;
}


/* Outside of a list: the server's good-bye, or news that nobody needs. */
static void
read_unasked(vault_db_conn_t *conn)
{
    PGnotify  *notify;

    (void) PQisBusy(conn->pg);

    while ((notify = PQnotifies(conn->pg)) != NULL) {
        PQfreemem(notify);
    }
}


/* The socket of an open connection can be read, or written. */
void
vault_pg_proceed(vault_db_conn_t *conn)
{
    int         pending;
    ngx_int_t   rc;
    ngx_uint_t  busy;

    busy = (conn->state == VAULT_PG_BUSY);

    pending = PQflush(conn->pg);
    rc = vault_pg_consume(conn);

    if (!busy) {
        read_unasked(conn);
    }

    /* Even where the connection has ended: the answer may precede the end. */

    while (conn->state == VAULT_PG_BUSY && !PQisBusy(conn->pg)) {
        take(conn, PQgetResult(conn->pg));
    }

    if (conn->state != VAULT_PG_LOST
        && (pending < 0 || rc != NGX_OK
            || PQstatus(conn->pg) == CONNECTION_BAD
            || vault_pg_watch(conn, 1, pending > 0) != NGX_OK))
    {
        vault_pg_lose(conn, NULL);
    }

    if (busy && conn->state != VAULT_PG_BUSY) {
        vault_pg_settle(conn);
    }
}


void
vault_pg_clear(vault_db_conn_t *conn)
{
    ngx_uint_t  i;

    for (i = 0; i < conn->nsteps; i++) {
        PQclear(conn->steps[i].result);
    }

    conn->nsteps = 0;
}
