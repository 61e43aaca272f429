/*
 * Several statements in one round trip, and where their results go.
 */

#include "port.h"


typedef struct {
    const vault_row_t   *row;
    void                *out;         /* of find */
    ngx_uint_t          *found;
    ngx_array_t        **rows;        /* of list */
    int64_t             *changed;     /* of add; may be NULL */
} batch_target_t;

struct vault_db_batch_s {
    vault_request_t  *vr;
    ngx_array_t       statements;     /* of vault_db_statement_t */
    ngx_array_t       targets;        /* of batch_target_t */
};


vault_db_batch_t *
vault_db_batch(vault_request_t *vr)
{
    vault_db_batch_t  *batch;

    batch = vault_calloc(vr, sizeof(vault_db_batch_t));
    batch->vr = vr;

    if (ngx_array_init(&batch->statements, vr->pool, 8,
                       sizeof(vault_db_statement_t))
        != NGX_OK
        || ngx_array_init(&batch->targets, vr->pool, 8,
                          sizeof(batch_target_t))
           != NGX_OK)
    {
        vault_db_fail(vr, VAULT_DB_BAD);
    }

    return batch;
}


/* The arguments are copied: the caller's list lives in its own block. */
static batch_target_t *
batch_push(vault_db_batch_t *batch, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    batch_target_t        *target;
    vault_db_arg_t        *copy;
    vault_db_statement_t  *statement;

    statement = ngx_array_push(&batch->statements);
    target = ngx_array_push(&batch->targets);

    if (statement == NULL || target == NULL) {
        vault_db_fail(batch->vr, VAULT_DB_BAD);
    }

    copy = NULL;

    if (n) {
        copy = vault_alloc(batch->vr, n * sizeof(vault_db_arg_t));
        ngx_memcpy(copy, args, n * sizeof(vault_db_arg_t));
    }

    ngx_memzero(statement, sizeof(vault_db_statement_t));
    statement->sql = sql;
    statement->args = copy;
    statement->n = n;

    ngx_memzero(target, sizeof(batch_target_t));

    return target;
}


void
vault_db_batch_find(vault_db_batch_t *batch, const vault_row_t *row,
    void *out, ngx_uint_t *found, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    batch_target_t  *target;

    target = batch_push(batch, sql, args, n);
    target->row = row;
    target->out = out;
    target->found = found;
}


void
vault_db_batch_list(vault_db_batch_t *batch, const vault_row_t *row,
    ngx_array_t **rows, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n)
{
    batch_target_t  *target;

    target = batch_push(batch, sql, args, n);
    target->row = row;
    target->rows = rows;
}


void
vault_db_batch_add(vault_db_batch_t *batch, int64_t *changed,
    const char *sql, const vault_db_arg_t *args, ngx_uint_t n)
{
    batch_target_t  *target;

    target = batch_push(batch, sql, args, n);
    target->changed = changed;
}


void
vault_db_batch_run(vault_db_batch_t *batch)
{
    ngx_uint_t             i, found;
    vault_request_t       *vr = batch->vr;
    batch_target_t        *target = batch->targets.elts;
    vault_db_statement_t  *statement = batch->statements.elts;

    vault_exec(vr, statement, batch->statements.nelts);

    for (i = 0; i < batch->statements.nelts; i++) {

        if (target[i].rows) {
            *target[i].rows = vault_bind_list(vr, target[i].row,
                                              &statement[i]);

        } else if (target[i].row) {
            vault_bind_find(vr, target[i].row, target[i].out, &found,
                            &statement[i]);
            if (target[i].found) {
                *target[i].found = found;
            }

        } else if (target[i].changed) {
            *target[i].changed = statement[i].result.changed;
        }
    }

    batch->statements.nelts = 0;
    batch->targets.nelts = 0;
}
