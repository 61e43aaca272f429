/*
 * The steps of the schema: what is missing is applied, or only looked for.
 *
 * A step is one idempotent statement; its row in the ledger is written after
 * it, in a write of its own (Aurora DSQL takes no DDL beside DML).  A crash in
 * between, or several workers and nodes at once, repeat a step, which does no
 * harm; a collision is answered by looking at the ledger again.
 */

#include "port.h"
#include "schema.h"


#define MIGRATE_TRIES     12


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


vault_db_status_e
vault_migrate_exec(vault_request_t *vr, vault_db_statement_t *statement,
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


/*
 * ALTER TABLE … ADD COLUMN has no IF NOT EXISTS on SQLite; a role may exist,
 * or have been granted, already.
 */
static ngx_uint_t
step_is_done(const vault_db_statement_t *statement)
{
    const ngx_str_t  *error = &statement->result.error;

    return error->len
           && (ngx_strlcasestrn(error->data, error->data + error->len,
                                (u_char *) "duplicate column name", 21 - 1)
               || ngx_strlcasestrn(error->data, error->data + error->len,
                                   (u_char *) "already ", 8 - 1));
}


static ngx_uint_t
is_missing(const ngx_str_t *error)
{
    return error->len
           && (ngx_strlcasestrn(error->data, error->data + error->len,
                                (u_char *) "does not exist", 14 - 1)
               || ngx_strlcasestrn(error->data, error->data + error->len,
                                   (u_char *) "no such table", 13 - 1));
}


/* The last step that was applied; makes the ledger where there is none. */
static int64_t
ledger_read(vault_request_t *vr, ngx_uint_t apply)
{
    ngx_uint_t            found, tries = 0;
    ledger_row_t          row;
    vault_db_status_e     status;
    vault_db_statement_t  statement;

    for ( ;; ) {
        status = vault_migrate_exec(vr, &statement, ledger_find, NULL, 0);

        if (status == VAULT_DB_OK) {
            vault_bind_find(vr, &ledger_row, &row, &found, &statement);
            return !found || row.step == VAULT_NULL ? 0 : row.step;
        }

        if (status == VAULT_DB_BAD && !apply
            && is_missing(&statement.result.error))
        {
            return 0;
        }

        if (status != VAULT_DB_BAD || !apply) {
            migrate_fail(vr, status, &statement);
        }

        status = vault_migrate_exec(vr, &statement, ledger_create, NULL, 0);

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
    const char        *sql = vault_schema[step - 1];
    vault_db_arg_t     args[2];
    vault_db_status_e  status;

    status = vault_migrate_exec(vr, statement, sql, NULL, 0);

    if (status == VAULT_DB_OK) {
        status = vault_migrate_index(vr, sql, statement);

    } else if (status == VAULT_DB_BAD && step_is_done(statement)) {
        status = VAULT_DB_OK;
    }

    if (status != VAULT_DB_OK) {
        return status;
    }

    args[0] = I(step);
    args[1] = I(vault_now());

    return vault_migrate_exec(vr, statement, ledger_insert, args, 2);
}


static void steps_refuse(vault_request_t *vr, int64_t at, int64_t known)
    __attribute__((noreturn));


static void
steps_refuse(vault_request_t *vr, int64_t at, int64_t known)
{
    ngx_str_t  text;

    text = vault_printf(vr, "the database's schema %L is %s than this "
                        "module's %L: %s", at, at > known ? "newer" : "older",
                        known, at > known ? "upgrade the module"
                                          : "run the deploy step's migration");

    vault_db_report(vr, VAULT_DB_GONE, &text, NULL);
    vault_db_fail(vr, VAULT_DB_GONE);
}


static int64_t
steps_apply(vault_request_t *vr, int64_t from, int64_t known)
{
    int64_t               at = from;
    ngx_uint_t            tries = 0;
    vault_db_status_e     status;
    vault_db_statement_t  statement;

    while (at < known) {
        status = step_apply(vr, at + 1, &statement);

        if (status == VAULT_DB_OK) {
            tries = 0;

        } else {
            migrate_pause(vr, status, &statement, &tries);
        }

        at = ledger_read(vr, 1);
    }

    return at;
}


/* Who serves may come in: all of it each time, as a role may have gone. */
static void
steps_grant(vault_request_t *vr)
{
    ngx_str_t              sql;
    ngx_uint_t             n, tries = 0;
    vault_db_t            *db = vr->conf->db;
    vault_db_status_e      status;
    vault_db_statement_t   statement;

    for (n = 0; db->adapter->grant; n++) {

        sql = db->adapter->grant(db->conf, vr->pool, n);
        if (sql.data == NULL) {
            return;
        }

        status = vault_migrate_exec(vr, &statement, (char *) sql.data, NULL,
                                    0);

        if (status == VAULT_DB_OK
            || (status == VAULT_DB_BAD && step_is_done(&statement)))
        {
            tries = 0;
            continue;
        }

        migrate_pause(vr, status, &statement, &tries);
        n--;                          /* once more */
    }
}


ngx_uint_t
vault_migrate_run(vault_request_t *vr)
{
    int64_t      known, at, from;
    vault_db_t  *db = vr->conf->db;

    for (known = 0; vault_schema[known]; known++) { /* void */ }

    from = ledger_read(vr, db->migrating);
    at = db->migrating ? steps_apply(vr, from, known) : from;

    if (at != known) {
        steps_refuse(vr, at, known);
    }

    if (db->migrating) {
        steps_grant(vr);
    }

    if (from < at) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault: %s: schema %L, was %L", db->adapter->name, at,
                      from);
    }

    return (ngx_uint_t) (at - from);
}
