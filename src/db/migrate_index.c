/*
 * Indexes that a job of the database builds after their statement: a step is
 * done when its index is valid.
 */

#include "port.h"


#define INDEX_PAUSE  50               /* ms between two looks; doubles */
#define INDEX_PAUSE_MAX  2000

#define INDEX_MADE  "CREATE INDEX "
#define INDEX_NAME  " IF NOT EXISTS "


typedef struct {
    ngx_str_t  text;
} state_row_t;

static const vault_column_t  state_columns[] = {
    { VAULT_COL_TEXT, "state", offsetof(state_row_t, text) },
    VAULT_COLUMNS_END
};

static const vault_row_t  state_row = VAULT_ROW(state_columns, state_row_t);

static const vault_column_t  job_columns[] = {
    { VAULT_COL_TEXT, "job_id", offsetof(state_row_t, text) },
    VAULT_COLUMNS_END
};

static const vault_row_t  job_row = VAULT_ROW(job_columns, state_row_t);


/* What the database says of a job or an index; len 0: nothing. */
static vault_db_status_e
ask(vault_request_t *vr, const char *sql, const ngx_str_t *name,
    vault_db_statement_t *statement, ngx_str_t *state)
{
    ngx_uint_t         found;
    state_row_t        row;
    vault_db_arg_t     arg;
    vault_db_status_e  status;

    ngx_str_null(state);
    arg = S(name);

    status = vault_migrate_exec(vr, statement, sql, &arg, 1);

    if (status == VAULT_DB_OK) {
        vault_bind_find(vr, &state_row, &row, &found, statement);

        if (found) {
            *state = row.text;
        }
    }

    return status;
}


static ngx_uint_t
is(const ngx_str_t *state, const char *word)
{
    return state->len == ngx_strlen(word)
           && ngx_strncasecmp(state->data, (u_char *) word, state->len) == 0;
}


/* It will never be valid: the next attempt makes it anew. */
static vault_db_status_e
give_up(vault_request_t *vr, const ngx_str_t *index,
    vault_db_statement_t *statement)
{
    ngx_str_t  sql;

    sql = vault_printf(vr, "DROP INDEX IF EXISTS %V%Z", index);

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "vault: the index %V could not be built", index);

    (void) vault_migrate_exec(vr, statement, (char *) sql.data, NULL, 0);
    ngx_str_set(&statement->result.error, "an index could not be built");

    return VAULT_DB_BAD;
}


static vault_db_status_e
wait_valid(vault_request_t *vr, const vault_db_job_t *job,
    const ngx_str_t *index, const ngx_str_t *id,
    vault_db_statement_t *statement)
{
    ngx_str_t          state;
    ngx_msec_t         pause = INDEX_PAUSE;
    vault_db_status_e  status;

    for ( ;; ) {
        status = ask(vr, job->index, index, statement, &state);

        if (status != VAULT_DB_OK || is(&state, "valid")) {
            return status;
        }

        if (id->len) {
            status = ask(vr, job->find, id, statement, &state);

            if (status != VAULT_DB_OK) {
                return status;
            }

            if (is(&state, "failed") || is(&state, "cancelled")) {
                return give_up(vr, index, statement);
            }
        }

        vault_sleep(vr, pause);
        pause = ngx_min(2 * pause, INDEX_PAUSE_MAX);
    }
}


vault_db_status_e
vault_migrate_index(vault_request_t *vr, const char *sql,
    vault_db_statement_t *statement)
{
    ngx_str_t              index;
    const char            *name;
    ngx_uint_t             found = 0;
    state_row_t            row;
    const vault_db_job_t  *job = vr->conf->db->adapter->job;

    if (job == NULL
        || ngx_strncmp(sql, INDEX_MADE, sizeof(INDEX_MADE) - 1) != 0)
    {
        return VAULT_DB_OK;
    }

    name = strstr(sql, INDEX_NAME) + sizeof(INDEX_NAME) - 1;
    index.data = (u_char *) name;
    index.len = strcspn(name, " ");

    ngx_str_null(&row.text);

    if (statement->result.columns) {  /* none if it was there already */
        vault_bind_find(vr, &job_row, &row, &found, statement);
    }

    return wait_valid(vr, job, &index, &row.text, statement);
}
