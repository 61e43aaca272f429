/*
 * From libpq's results to the port's.
 */

#include "../run/request.h"
#include "pg.h"


#define LONGEST_ERROR  ((size_t) 512)

typedef struct {
    const char         *code;         /* an SQLSTATE or its beginning */
    vault_db_status_e   status;
} state_t;

/* The first that fits. */
static const state_t  states[] = {
    { "40001", VAULT_DB_RETRY },      /* serialization_failure */
    { "40P01", VAULT_DB_RETRY },      /* deadlock_detected */
    { "OC00",  VAULT_DB_RETRY },      /* the same as DSQL's own codes */
    { "55P03", VAULT_DB_RETRY },      /* lock_not_available */
    { "23505", VAULT_DB_RETRY },      /* unique_violation: somebody was
                                         faster, which the replay sees */
    { "08P01", VAULT_DB_BAD },        /* wrong number of parameters */
    { "08",    VAULT_DB_GONE },       /* connection_exception */
    { "57P0",  VAULT_DB_GONE },       /* shutdown, starting up */
    { "25P03", VAULT_DB_GONE },       /* idle too long for the server */
    { "25P04", VAULT_DB_GONE },
    { "57014", VAULT_DB_FULL },       /* its statement_timeout; an operator */
    { "53300", VAULT_DB_GONE },       /* too_many_connections */
    { "53400", VAULT_DB_GONE },       /* configuration_limit_exceeded */
    { "26000", VAULT_DB_GONE },       /* prepared by another: a proxy */
    { "53",    VAULT_DB_FULL },       /* disk full, out of memory */
    { "25006", VAULT_DB_FULL },       /* read_only_sql_transaction */
    { NULL,    VAULT_DB_BAD }
};


static vault_db_status_e
status_of(const char *sqlstate)
{
    const state_t  *s;

    if (sqlstate == NULL) {
        return VAULT_DB_GONE;
    }

    for (s = states; s->code; s++) {
        if (ngx_strncmp(sqlstate, s->code, ngx_strlen(s->code)) == 0) {
            break;
        }
    }

    return s->status;
}


/*
 * The primary message and the SQLSTATE.  Details hold values of rows, and so
 * do the messages of class 22 (data exceptions), behind their colon.
 */
static void
write_error(vault_request_t *vr, PGresult *result, ngx_str_t *error)
{
    size_t       len;
    const char  *state, *text;

    state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (state == NULL || text == NULL) {
        ngx_str_set(error, "connection lost");
        return;
    }

    len = strcspn(text, (ngx_strncmp(state, "22", 2) == 0) ? ":\n" : "\n");
    len = ngx_min(len, LONGEST_ERROR);

    *error = vault_printf(vr, "%*s (SQLSTATE %s)", len, text, state);
}


static void
clear_result(void *data)
{
    PQclear(data);
}


/* Rows and names point into libpq's result, which the pool releases. */
static void
fill(vault_request_t *vr, PGresult *pg, vault_db_result_t *out)
{
    int               columns, rows, i, k;
    vault_db_cell_t  *cell;

    columns = PQnfields(pg);
    rows = PQntuples(pg);

    if (ngx_strncmp(PQcmdStatus(pg), "SELECT", 6) != 0) {
        out->changed = ngx_max(ngx_atoi((u_char *) PQcmdTuples(pg),
                                        ngx_strlen(PQcmdTuples(pg))), 0);
    }

    if (columns == 0) {
        return;
    }

    out->names = vault_alloc(vr, (size_t) columns * sizeof(ngx_str_t));
    out->cells = vault_alloc(vr, (size_t) columns * (size_t) ngx_max(rows, 1)
                                 * sizeof(vault_db_cell_t));
    out->columns = (ngx_uint_t) columns;
    out->rows = (ngx_uint_t) rows;

    for (k = 0; k < columns; k++) {
        out->names[k].data = (u_char *) PQfname(pg, k);
        out->names[k].len = ngx_strlen(out->names[k].data);
    }

    cell = out->cells;

    for (i = 0; i < rows; i++) {
        for (k = 0; k < columns; k++, cell++) {

            if (PQgetisnull(pg, i, k)) {
                ngx_str_null(&cell->text);
                continue;
            }

            cell->text.data = (u_char *) PQgetvalue(pg, i, k);
            cell->text.len = (size_t) PQgetlength(pg, i, k);
        }
    }
}


/* A statement's result now belongs to the request. */
static void
hand_over(vault_request_t *vr, vault_pg_step_t *step, vault_db_result_t *out)
{
    PGresult            *pg;
    ngx_pool_cleanup_t  *cleanup;

    cleanup = ngx_pool_cleanup_add(vr->pool, 0);
    if (cleanup == NULL) {
        vault_fail(vr, 500, "no memory");
    }

    pg = step->result;
    step->result = NULL;

    cleanup->handler = clear_result;
    cleanup->data = pg;

    fill(vr, pg, out);
}


static vault_db_status_e
step_status(const vault_pg_step_t *step)
{
    if (step->result == NULL) {
        return (step->kind == VAULT_PG_SYNC) ? VAULT_DB_OK : VAULT_DB_BAD;
    }

    switch (PQresultStatus(step->result)) {

    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:

        /* COMMIT of a transaction that has failed succeeds as a ROLLBACK. */

        if (step->kind == VAULT_PG_COMMIT
            && ngx_strcmp(PQcmdStatus(step->result), "COMMIT") != 0)
        {
            return VAULT_DB_BAD;
        }

        return VAULT_DB_OK;

    case PGRES_FATAL_ERROR:
        return status_of(PQresultErrorField(step->result, PG_DIAG_SQLSTATE));

    default:
        return VAULT_DB_BAD;
    }
}


/* The list as a whole: its first statement tells why. */
vault_db_status_e
vault_pg_refuse(vault_db_statement_t *list, ngx_uint_t n,
    vault_db_status_e status, const ngx_str_t *error)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        ngx_memzero(&list[i].result, sizeof(vault_db_result_t));
        list[i].result.status = VAULT_DB_RETRY;
    }

    if (list) {
        list[0].result.status = status;
        list[0].result.error = *error;
    }

    return status;
}


/*
 * A statement that was prepared before a change of the schema, or that a proxy
 * has forgotten: another connection prepares it anew.
 */
static ngx_uint_t
is_stale(vault_db_conn_t *conn, ngx_uint_t i)
{
    const char       *state;
    vault_pg_step_t  *steps = conn->steps;

    if (!conn->kind->prepares || steps[i].kind != VAULT_PG_STATEMENT
        || (i > 0 && steps[i - 1].kind == VAULT_PG_PREPARE))
    {
        return 0;
    }

    state = PQresultErrorField(steps[i].result, PG_DIAG_SQLSTATE);

    return state && (ngx_strcmp(state, "0A000") == 0
                     || ngx_strcmp(state, "26000") == 0);
}


/*
 * A failure of BEGIN belongs to the first statement, one of COMMIT or of the
 * closing sync to the last; where there is none, to the place of the first.
 */
static void
blame(vault_request_t *vr, vault_pg_step_t *step, vault_db_statement_t *list,
    ngx_uint_t n, vault_db_status_e status)
{
    ngx_uint_t          i;
    vault_db_result_t  *r;

    if (list == NULL) {
        return;
    }

    switch (step->kind) {

    case VAULT_PG_PREPARE:
    case VAULT_PG_STATEMENT:
        i = step->n;
        break;

    case VAULT_PG_BEGIN:
        i = 0;
        break;

    default:
        i = n ? n - 1 : 0;
    }

    r = &list[i].result;
    r->status = status;

    if (PQresultStatus(step->result) == PGRES_FATAL_ERROR) {
        write_error(vr, step->result, &r->error);

    } else {
        ngx_str_set(&r->error, "the transaction was rolled back before");
    }
}


/* Fills the results of a list that was answered. */
vault_db_status_e
vault_pg_collect(vault_db_conn_t *conn, vault_request_t *vr,
    vault_db_statement_t *list, ngx_uint_t n)
{
    ngx_uint_t          i;
    vault_pg_step_t    *step;
    vault_db_status_e   status;

    for (i = 0; i < n; i++) {
        ngx_memzero(&list[i].result, sizeof(vault_db_result_t));
        list[i].result.status = VAULT_DB_RETRY;
    }

    for (i = 0; i < conn->nsteps; i++) {
        step = &conn->steps[i];
        status = step_status(step);

        if (status != VAULT_DB_OK) {

            if (is_stale(conn, i)) {
                conn->worn = 1;
                status = VAULT_DB_RETRY;
            }

            blame(vr, step, list, n, status);
            vault_pg_clear(conn);
            return status;
        }

        if (step->kind == VAULT_PG_STATEMENT) {
            list[step->n].result.status = VAULT_DB_OK;
            hand_over(vr, step, &list[step->n].result);
        }
    }

    vault_pg_clear(conn);

    return VAULT_DB_OK;
}
