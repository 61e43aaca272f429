/*
 * change - writes to one user's vault, and the revision that announces them.
 */

#include "change.h"


typedef struct {
    const char            *sql;
    const vault_db_arg_t  *args;
    ngx_uint_t             n;

    const vault_row_t     *row;       /* with rows: a list, not a count */
    ngx_array_t          **rows;
    int64_t               *changed;   /* the caller's; may be NULL */
    int64_t                count;

    ngx_uint_t             status;    /* of the refusal; 0: none */
    const char            *text;
} step_t;


/*
 * It goes first: its row is the lock that puts the changes of one vault in
 * order, so that none sees a folder which another is about to delete.  With
 * the stamp, a write of a session that a key rotation has ended cannot slip
 * in behind it; nor may anything come between the parts of a stage.
 */

static const char  touch[] =
    "UPDATE users"
    " SET " VAULT_USER_REVISE("$1")
    " WHERE id = $2 AND security_stamp = $3 AND stage IS NULL";

static const char  touch_fold[] =
    "UPDATE users"
    " SET " VAULT_USER_REVISE("$1")
    " WHERE id = $2 AND stage = $3";


static step_t  *change_step(vault_change_t *change, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n);
static void  change_apply(vault_request_t *vr, void *data);


vault_change_t *
vault_change(vault_request_t *vr, const vault_user_t *user)
{
    vault_change_t  *change;

    change = vault_calloc(vr, sizeof(vault_change_t));

    change->vr = vr;
    change->user = user;
    change->now = vault_now();

    if (ngx_array_init(&change->steps, vr->pool, 4, sizeof(step_t))
        != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    }

    return change;
}


vault_change_t *
vault_change_fold(vault_request_t *vr, const vault_user_t *user, int64_t now)
{
    vault_change_t  *change;

    change = vault_change(vr, user);
    change->fold = 1;
    change->now = now;

    return change;
}


void
vault_change_run(vault_change_t *change, int64_t *changed, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    step_t  *step;

    step = change_step(change, sql, args, n);
    step->changed = changed;
}


void
vault_change_list(vault_change_t *change, const vault_row_t *row,
    ngx_array_t **rows, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n)
{
    step_t  *step;

    step = change_step(change, sql, args, n);
    step->row = row;
    step->rows = rows;
}


void
vault_change_refuse(vault_change_t *change, ngx_uint_t status,
    const char *text)
{
    step_t  *step;

    step = change->steps.elts;
    step += change->steps.nelts - 1;

    step->status = status;
    step->text = text;
}


void
vault_change_commit(vault_change_t *change)
{
    vault_db_transaction(change->vr, change_apply, change);
}


static step_t *
change_step(vault_change_t *change, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    step_t          *step;
    vault_db_arg_t  *copy;

    copy = vault_alloc(change->vr, n * sizeof(vault_db_arg_t));
    ngx_memcpy(copy, args, n * sizeof(vault_db_arg_t));

    step = ngx_array_push(&change->steps);
    if (step == NULL) {
        vault_fail(change->vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "out of memory");
    }

    ngx_memzero(step, sizeof(step_t));
    step->sql = sql;
    step->args = copy;
    step->n = n;

    return step;
}


/* The body of the transaction: may run more than once. */

static void
change_apply(vault_request_t *vr, void *data)
{
    vault_change_t  *change = data;

    step_t            *step;
    int64_t            touched;
    ngx_uint_t         i;
    vault_db_batch_t  *batch;

    batch = vault_db_batch(vr);
    vault_db_batch_add(batch, &touched, change->fold ? touch_fold : touch,
                       vault_db_args(I(change->now), S(&change->user->id),
                                     S(change->fold
                                       ? &change->user->stage
                                       : &change->user->security_stamp)));

    step = change->steps.elts;

    for (i = 0; i < change->steps.nelts; i++) {
        if (step[i].rows) {
            vault_db_batch_list(batch, step[i].row, step[i].rows,
                                step[i].sql, step[i].args, step[i].n);
        } else {
            vault_db_batch_add(batch, &step[i].count, step[i].sql,
                               step[i].args, step[i].n);
        }
    }

    vault_db_batch_run(batch);

    if (touched == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Your account was changed on another device. "
                   "Log in again.");
    }

    for (i = 0; i < change->steps.nelts; i++) {

        if (step[i].rows) {
            step[i].count = (*step[i].rows)->nelts;
        }

        if (step[i].changed) {
            *step[i].changed = step[i].count;
        }

        if (step[i].status && step[i].count == 0) {
            vault_fail(vr, step[i].status, "%s", step[i].text);
        }
    }
}
