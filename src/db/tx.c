/*
 * Transactions: BEGIN travels with the first statement, the body is replayed
 * when the database asks for it, COMMIT is a round trip of its own.
 *
 * A connection that is lost while it commits leaves open what has happened.
 * Where the adapter wants to know, a mark goes with each COMMIT that has
 * something to keep; mark.c asks for it.
 */

#include "port.h"


void
vault_tx_exec(vault_request_t *vr, vault_db_statement_t *list, ngx_uint_t n)
{
    ngx_uint_t          i, flags;
    vault_tx_t         *tx = vr->tx;
    vault_db_status_e   status;

    flags = tx->begun ? 0 : VAULT_DB_BEGIN;
    tx->begun = 1;

    status = vault_exec_try(vr, tx->slot, list, n, flags);

    tx->slot->dirty = 1;              /* until it has been committed */

    if (status == VAULT_DB_OK) {

        for (i = 0; i < n; i++) {
            vault_strict_add(&tx->strict, &list[i]);
        }

        if (vr->conf->db->strict) {
            vault_strict_check(vr, &tx->strict, list[n - 1].sql);
        }

        return;
    }

    if (status != VAULT_DB_RETRY) {
        vault_db_report(vr, status, vault_exec_error(list, n),
                        vault_exec_sql(list, n));
    }

    if (status == VAULT_DB_RETRY || status == VAULT_DB_GONE) {
        longjmp(tx->replay, status);
    }

    vault_db_fail(vr, status);
}


/* The mark, unless nothing was changed; it travels with COMMIT. */
static ngx_uint_t
tx_mark(vault_request_t *vr, vault_tx_t *tx, vault_db_statement_t *mark)
{
    ngx_memzero(mark, sizeof(vault_db_statement_t));

    if (!vr->conf->db->adapter->marks || tx->strict.dml == 0) {
        return 0;
    }

    vault_mark_make(vr, &tx->mark, mark);

    return 1;
}


static vault_db_status_e
tx_commit(vault_request_t *vr, vault_tx_t *tx)
{
    ngx_uint_t            marked;
    vault_db_status_e     status;
    vault_db_statement_t  mark;

    if (!tx->begun) {
        return VAULT_DB_OK;
    }

    marked = tx_mark(vr, tx, &mark);

    status = vault_exec_try(vr, tx->slot, &mark, marked, VAULT_DB_COMMIT);

    if (status == VAULT_DB_OK || status == VAULT_DB_RETRY) {
        return status;
    }

    vault_db_report(vr, status, &mark.result.error, "COMMIT");

    if (marked && (status == VAULT_DB_GONE || status == VAULT_DB_FULL)) {
        tx->unsure = 1;
        return VAULT_DB_GONE;
    }

    if (status == VAULT_DB_GONE && tx->strict.dml + tx->strict.ddl == 0) {
        return status;                /* there was nothing to lose */
    }

    /* whether it was committed is not known: the client has to look */

    vault_db_fail(vr, status);
}


/* VAULT_DB_OK, or why the body is to be played again. */
static vault_db_status_e
tx_play(vault_request_t *vr, vault_tx_t *tx, vault_db_body_pt body,
    void *data)
{
    int  thrown;

    thrown = setjmp(tx->replay);

    if (thrown) {
        return (vault_db_status_e) thrown;
    }

    body(vr, data);

    return tx_commit(vr, tx);
}


static vault_db_status_e
tx_attempt(vault_request_t *vr, vault_db_body_pt body, void *data)
{
    vault_tx_t         *tx;
    vault_db_status_e   status;

    vault_migrate_await(vr);

    tx = vault_calloc(vr, sizeof(vault_tx_t));
    tx->slot = vault_slot_acquire(vr, 1);
    vr->tx = tx;

    status = tx_play(vr, tx, body, data);

    vr->tx = NULL;
    vault_slot_release(tx->slot);

    return tx->unsure ? vault_mark_ask(vr, &tx->mark) : status;
}


/*
 * A connection that is lost before COMMIT has changed nothing: the body is
 * played once more, on a new one, so that a restart of the database between
 * two requests is not seen by anybody.
 */
void
vault_db_transaction(vault_request_t *vr, vault_db_body_pt body, void *data)
{
    ngx_uint_t         attempt, lost = 0;
    vault_db_status_e  status;

    if (vr->tx) {
        body(vr, data);
        return;
    }

    for (attempt = 0; attempt <= VAULT_DB_REPLAYS; attempt++) {

        if (attempt) {
            vault_exec_pause(vr, attempt - 1);
        }

        status = tx_attempt(vr, body, data);

        if (status == VAULT_DB_OK) {
            return;
        }

        if (status == VAULT_DB_GONE && lost++) {
            vault_db_fail(vr, status);
        }
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "vault: %s: a transaction collided %d times",
                  vr->conf->db->adapter->name, VAULT_DB_REPLAYS + 1);

    vault_db_fail(vr, VAULT_DB_RETRY);
}
