/*
 * Marks of transactions, for back ends that may lose a connection while it
 * commits: a row with an id of the transaction's own is written by the same
 * COMMIT.
 *
 * Who asks writes the row itself, as a fence: if that finds the mark, the
 * transaction was committed; if not, it never will be, however long its COMMIT
 * may still be under way, since both write the same key.
 */

#include "../crypto/crypto.h"
#include "port.h"


#define MARK_TRIES  5


typedef struct {
    int64_t  fenced;
} mark_row_t;

static const vault_column_t  mark_columns[] = {
    { VAULT_COL_INT, "fenced", offsetof(mark_row_t, fenced) },
    VAULT_COLUMNS_END
};

static const vault_row_t  mark_row = VAULT_ROW(mark_columns, mark_row_t);

static const char  mark_insert[] =
    "INSERT INTO marks (id, fenced) VALUES ($1, 0)";

static const char  mark_fence[] =
    "INSERT INTO marks (id, fenced) VALUES ($1, 1)"
    " ON CONFLICT (id) DO NOTHING";

static const char  mark_find[] =
    "SELECT fenced FROM marks WHERE id = $1";


static void
set(vault_db_statement_t *statement, const char *sql,
    const vault_db_arg_t *args)
{
    ngx_memzero(statement, sizeof(vault_db_statement_t));

    statement->sql = sql;
    statement->args = args;
    statement->n = 1;
}


/* By time, so that the old ones are a range of the primary key. */
void
vault_mark_make(vault_request_t *vr, ngx_str_t *id,
    vault_db_statement_t *statement)
{
    u_char           random[16];
    vault_db_arg_t  *arg;

    if (vault_random_text(random, sizeof(random)) != NGX_OK) {
        vault_db_fail(vr, VAULT_DB_BAD);
    }

    *id = vault_printf(vr, VAULT_DB_MARK_TIME "%*s", vault_now(),
                       sizeof(random), random);

    arg = vault_alloc(vr, sizeof(vault_db_arg_t));
    *arg = S(id);

    set(statement, mark_insert, arg);
}


/* VAULT_DB_OK: it was committed.  VAULT_DB_RETRY: it never will be. */
vault_db_status_e
vault_mark_ask(vault_request_t *vr, const ngx_str_t *id)
{
    mark_row_t            row;
    ngx_uint_t            found, tries;
    vault_db_arg_t        arg = S(id);
    vault_db_status_e     status = VAULT_DB_GONE;
    vault_db_statement_t  ask[2];

    for (tries = 0; tries < MARK_TRIES; tries++) {

        if (tries) {
            vault_exec_pause(vr, tries);
        }

        set(&ask[0], mark_fence, &arg);
        set(&ask[1], mark_find, &arg);

        status = vault_exec_status(vr, ask, 2);

        if (status == VAULT_DB_OK) {
            vault_bind_find(vr, &mark_row, &row, &found, &ask[1]);

            ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                          "vault: a COMMIT that nobody answered was %s",
                          row.fenced ? "not done" : "done");

            return row.fenced ? VAULT_DB_RETRY : VAULT_DB_OK;
        }

        if (status != VAULT_DB_GONE && status != VAULT_DB_RETRY) {
            break;
        }
    }

    vault_db_report(vr, status, vault_exec_error(ask, 2), mark_fence);
    vault_db_fail(vr, VAULT_DB_GONE);
}


int64_t
vault_db_forget_marks(vault_request_t *vr, int64_t before)
{
    ngx_str_t  id;

    static const char  sql[] =
        "DELETE FROM marks"
        " WHERE id IN (SELECT m.id FROM marks AS m WHERE m.id < $1"
        "  ORDER BY m.id LIMIT $2)";

    id = vault_printf(vr, VAULT_DB_MARK_TIME, before);

    return vault_db_run(vr, sql, vault_db_args(S(&id), I(VAULT_DB_MARKS)));
}
