/*
 * Brings the schema up to what this module needs: once a worker, before its
 * first statement, by a task of its own while the requests wait.
 *
 * A step is one idempotent statement; its row in the ledger is written after
 * it, in a write of its own (Aurora DSQL takes no DDL beside DML).  A crash in
 * between, or several workers and nodes at once, repeat a step, which does no
 * harm; a collision is answered by looking at the ledger again.
 */

#include "port.h"
#include "schema.h"


#define MIGRATE_TRIES     12
#define MIGRATE_AGAIN     1000        /* ms after a failure */
#define MIGRATE_DEADLINE  (10 * 60 * 1000)


typedef struct {
    vault_request_t  *vr;
    ngx_uint_t        woken;
    ngx_uint_t        ready;
    ngx_queue_t       queue;
} gate_waiter_t;

typedef struct {
    int64_t  step;
} ledger_row_t;

static const vault_column_t  ledger_columns[] = {
    { VAULT_COL_INT, "step", offsetof(ledger_row_t, step) },
    VAULT_COLUMNS_END
};

static const vault_row_t  ledger_row = VAULT_ROW(ledger_columns, ledger_row_t);

static const char  ledger_create[] =
    "CREATE TABLE IF NOT EXISTS vault_schema ("
    " step bigint PRIMARY KEY,"
    " applied_at bigint NOT NULL)";

static const char  ledger_find[] =
    "SELECT max(step) AS step FROM vault_schema";

static const char  ledger_insert[] =
    "INSERT INTO vault_schema (step, applied_at)"
    " VALUES ($1, $2)"
    " ON CONFLICT (step) DO NOTHING";


static vault_db_status_e
migrate_exec(vault_request_t *vr, vault_db_statement_t *statement,
    const char *sql, const vault_db_arg_t *args, ngx_uint_t n)
{
    ngx_memzero(statement, sizeof(vault_db_statement_t));

    statement->sql = sql;
    statement->args = args;
    statement->n = n;

    return vault_exec_status(vr, statement, 1);
}


static void migrate_fail(vault_request_t *vr, vault_db_status_e status,
    const vault_db_statement_t *statement) __attribute__((noreturn));


static void
migrate_fail(vault_request_t *vr, vault_db_status_e status,
    const vault_db_statement_t *statement)
{
    vault_db_report(vr, status, &statement->result.error, statement->sql);
    vault_db_fail(vr, VAULT_DB_GONE);
}


/*
 * What two who migrate at once do to each other looks like any other error
 * (PostgreSQL: 23505, 42P07 or "tuple concurrently updated"), so every error
 * is given some tries.
 */
static void
migrate_pause(vault_request_t *vr, vault_db_status_e status,
    const vault_db_statement_t *statement, ngx_uint_t *tries)
{
    if ((status != VAULT_DB_BAD && status != VAULT_DB_RETRY)
        || ++*tries >= MIGRATE_TRIES)
    {
        migrate_fail(vr, status, statement);
    }

    vault_sleep(vr, 10 + ngx_random() % 150);
}


/* ALTER TABLE … ADD COLUMN has no IF NOT EXISTS on SQLite. */
static ngx_uint_t
step_is_done(const vault_db_statement_t *statement)
{
    const ngx_str_t  *error = &statement->result.error;

    return error->len
           && (ngx_strlcasestrn(error->data, error->data + error->len,
                                (u_char *) "duplicate column name", 21 - 1)
               || ngx_strlcasestrn(error->data, error->data + error->len,
                                   (u_char *) "already exists", 14 - 1));
}


/* The last step that was applied; makes the ledger where there is none. */
static int64_t
ledger_read(vault_request_t *vr)
{
    ngx_uint_t            found, tries = 0;
    ledger_row_t          row;
    vault_db_status_e     status;
    vault_db_statement_t  statement;

    for ( ;; ) {
        status = migrate_exec(vr, &statement, ledger_find, NULL, 0);

        if (status == VAULT_DB_OK) {
            vault_bind_find(vr, &ledger_row, &row, &found, &statement);
            return !found || row.step == VAULT_NULL ? 0 : row.step;
        }

        if (status != VAULT_DB_BAD) {
            migrate_fail(vr, status, &statement);
        }

        status = migrate_exec(vr, &statement, ledger_create, NULL, 0);

        if (status != VAULT_DB_OK) {
            migrate_pause(vr, status, &statement, &tries);

        } else if (++tries >= MIGRATE_TRIES) {
            migrate_fail(vr, VAULT_DB_BAD, &statement);
        }
    }
}


static vault_db_status_e
step_apply(vault_request_t *vr, int64_t step, vault_db_statement_t *statement)
{
    vault_db_arg_t     args[2];
    vault_db_status_e  status;

    status = migrate_exec(vr, statement, vault_schema[step - 1], NULL, 0);

    if (status != VAULT_DB_OK
        && !(status == VAULT_DB_BAD && step_is_done(statement)))
    {
        return status;
    }

    args[0] = I(step);
    args[1] = I(vault_now());

    return migrate_exec(vr, statement, ledger_insert, args, 2);
}


static void
migrate_run(vault_request_t *vr)
{
    int64_t               known, at, from = -1;
    ngx_uint_t            tries = 0;
    vault_db_t           *db = vr->conf->db;
    vault_db_status_e     status;
    vault_db_statement_t  statement;

    for (known = 0; vault_schema[known]; known++) { /* void */ }

    for ( ;; ) {
        at = ledger_read(vr);

        if (from == -1) {
            from = at;
        }

        if (at >= known) {
            break;
        }

        status = step_apply(vr, at + 1, &statement);

        if (status == VAULT_DB_OK) {
            tries = 0;

        } else {
            migrate_pause(vr, status, &statement, &tries);
        }
    }

    if (at > known) {
        ngx_log_error(NGX_LOG_CRIT, vr->log, 0,
                      "vault: the database's schema %L is newer than this "
                      "module's %L: upgrade the module", at, known);
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    if (from < at) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault: %s: schema %L, was %L", db->adapter->name, at,
                      from);
    }
}


/* However the task ended: lets those at the gate know. */
static void
migrate_ended(void *data)
{
    ngx_queue_t    *q;
    vault_db_t     *db = data;
    gate_waiter_t  *waiter;

    db->migrator = NULL;

    if (db->state != VAULT_DB_READY) {
        db->state = VAULT_DB_NEW;
        db->failed = 1;
        db->failed_at = ngx_current_msec;
    }

    while (!ngx_queue_empty(&db->gate)) {

        q = ngx_queue_head(&db->gate);
        ngx_queue_remove(q);

        waiter = ngx_queue_data(q, gate_waiter_t, queue);
        waiter->woken = 1;
        waiter->ready = db->state == VAULT_DB_READY;

        vault_wake(waiter->vr);
    }
}


static void
migrate_task(vault_request_t *vr, void *data)
{
    ngx_uint_t        i;
    vault_db_t       *db = data;
    vault_db_hook_t  *hook;

    db->migrator = vr;
    (void) vault_defer(vr, migrate_ended, db);

    migrate_run(vr);

    hook = db->on_ready ? db->on_ready->elts : NULL;

    for (i = 0; hook && i < db->on_ready->nelts; i++) {
        hook[i].run(vr, hook[i].data);
    }

    db->state = VAULT_DB_READY;
    db->failed = 0;
}


static void
gate_cancelled(void *data)
{
    gate_waiter_t  *waiter = data;

    if (!waiter->woken) {
        ngx_queue_remove(&waiter->queue);
    }
}


void
vault_migrate_doubt(vault_db_t *db)
{
    if (db->state == VAULT_DB_READY) {
        db->state = VAULT_DB_NEW;
    }
}


static void
migrate_start(vault_request_t *vr, vault_db_t *db)
{
    if (db->failed && ngx_current_msec - db->failed_at < MIGRATE_AGAIN) {
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    if (vault_task_start(vr->conf, "migration", MIGRATE_DEADLINE,
                         migrate_task, db)
        != NGX_OK)
    {
        vault_db_fail(vr, VAULT_DB_GONE);
    }

    db->state = VAULT_DB_MIGRATING;
}


void
vault_migrate_await(vault_request_t *vr)
{
    vault_db_t     *db = vr->conf->db;
    gate_waiter_t   waiter;

    if (db->state == VAULT_DB_READY || vr == db->migrator) {
        return;
    }

    if (db->state == VAULT_DB_NEW) {
        migrate_start(vr, db);
    }

    ngx_memzero(&waiter, sizeof(gate_waiter_t));
    waiter.vr = vr;
    ngx_queue_insert_tail(&db->gate, &waiter.queue);

    if (vault_wait(vr, db->timeout, gate_cancelled, &waiter) != NGX_OK
        || !waiter.ready)
    {
        vault_db_fail(vr, VAULT_DB_GONE);
    }
}


void
vault_db_prepare(vault_request_t *vr, void *data)
{
    vault_migrate_await(vr);
}
