/*
 * stage - parts are stored, made to count by one write, and folded.
 */

#include "id.h"
#include "stage.h"


#define SWEEP_STAGES  20              /* of one batch */
#define SWEEP_PARTS   50              /* of a stage, in one transaction */


typedef struct {
    int64_t    seq;
    int64_t    kind;
    ngx_str_t  data;
    int64_t    created_at;
} part_t;

static const vault_column_t  part_columns[] = {
    { VAULT_COL_INT, "seq", offsetof(part_t, seq) },
    { VAULT_COL_INT, "kind", offsetof(part_t, kind) },
    { VAULT_COL_TEXT, "data", offsetof(part_t, data) },
    { VAULT_COL_INT, "created_at", offsetof(part_t, created_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  part_row = VAULT_ROW(part_columns, part_t);

typedef struct {
    ngx_str_t  stage;
    ngx_str_t  user_id;
    int64_t    committed;
} old_t;

static const vault_column_t  old_columns[] = {
    { VAULT_COL_TEXT, "stage", offsetof(old_t, stage) },
    { VAULT_COL_TEXT, "user_id", offsetof(old_t, user_id) },
    { VAULT_COL_INT, "committed", offsetof(old_t, committed) },
    VAULT_COLUMNS_END
};

static const vault_row_t  old_row = VAULT_ROW(old_columns, old_t);

typedef struct {
    vault_user_t  user;               /* id and stage only */
    ngx_uint_t    end;
} fold_t;


vault_stage_t *
vault_stage(vault_request_t *vr, const vault_user_t *user)
{
    vault_stage_t  *stage;

    stage = vault_calloc(vr, sizeof(vault_stage_t));

    stage->vr = vr;
    stage->user = user;
    stage->id = vault_id_create(vr);
    stage->now = vault_now();

    return stage;
}


void
vault_stage_add(vault_stage_t *stage, vault_stage_kind_e kind,
    const ngx_str_t *data)
{
    static const char  sql[] =
        "INSERT INTO stages (stage, seq, user_id, kind, data, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)";

    (void) vault_db_run(stage->vr, sql,
                        vault_db_args(S(&stage->id), I(++stage->parts),
                                      S(&stage->user->id), I(kind), S(data),
                                      I(stage->now)));
}


void
vault_stage_add_ids(vault_stage_t *stage, vault_stage_kind_e kind,
    const ngx_array_t *ids)
{
    ngx_str_t    list;
    ngx_uint_t   i;
    ngx_array_t  some;

    for (i = 0; i < ids->nelts; i += VAULT_STAGE_ROWS) {
        some = *ids;
        some.elts = (ngx_str_t *) ids->elts + i;
        some.nelts = ngx_min(ids->nelts - i, VAULT_STAGE_ROWS);

        list = vault_db_json_list(stage->vr, &some);
        vault_stage_add(stage, kind, &list);
    }
}


void
vault_stage_commit(vault_stage_t *stage, vault_change_t *change)
{
    static const char  sql[] =
        "UPDATE users"
        " SET stage = $1"
        " WHERE id = $2"
        " AND (SELECT count(*) FROM stages AS s WHERE s.stage = $1) = $3";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&stage->id), S(&change->user->id),
                                   I(stage->parts)));
    vault_change_refuse(change, NGX_HTTP_SERVICE_UNAVAILABLE,
                        "The server was interrupted. Please try again.");
}


void
vault_stage_finish(vault_stage_t *stage)
{
    vault_change_t  *change;

    change = vault_change(stage->vr, stage->user);

    vault_stage_commit(stage, change);
    vault_change_commit(change);

    vault_stage_fold(stage->vr, &stage->user->id, &stage->id);
}


/* Nothing is left: the vault is whole again, and clients see it. */
static void
fold_end(vault_request_t *vr, fold_t *fold)
{
    static const char  sql[] =
        "UPDATE users"
        " SET stage = NULL"
        " WHERE id = $1 AND stage = $2";

    (void) vault_db_run(vr, sql,
                        vault_db_args(S(&fold->user.id),
                                      S(&fold->user.stage)));
    fold->end = 1;
}


/*
 * The user's row first, as in each change: of two who fold at once the second
 * finds the next part, or nothing to do.
 */
static void
fold_step(vault_request_t *vr, void *data)
{
    fold_t  *fold = data;

    part_t             part;
    int64_t            touched;
    ngx_uint_t         found;
    vault_change_t    *change;
    vault_db_batch_t  *batch;

    static const char  touch[] =
        "UPDATE users"
        " SET " VAULT_USER_REVISE("$1")
        " WHERE id = $2 AND stage = $3";

    static const char  next[] =
        "SELECT seq, kind, data, created_at"
        " FROM stages"
        " WHERE stage = $1 AND user_id = $2"
        " ORDER BY seq"
        " LIMIT 1";

    static const char  forget[] =
        "DELETE FROM stages"
        " WHERE stage = $1 AND seq = $2";

    fold->end = 0;

    batch = vault_db_batch(vr);
    vault_db_batch_add(batch, &touched, touch,
                       vault_db_args(I(vault_now()), S(&fold->user.id),
                                     S(&fold->user.stage)));
    vault_db_batch_find(batch, &part_row, &part, &found, next,
                        vault_db_args(S(&fold->user.stage),
                                      S(&fold->user.id)));
    vault_db_batch_run(batch);

    if (touched == 0) {
        fold->end = 1;                /* somebody else was faster */
        return;
    }

    if (!found) {
        fold_end(vr, fold);
        return;
    }

    change = vault_change_fold(vr, &fold->user, part.created_at);

    if (!vault_stage_work(change, (vault_stage_kind_e) part.kind, &part.data))
    {
        (void) vault_db_run(vr, forget,
                            vault_db_args(S(&fold->user.stage),
                                          I(part.seq)));
    }
}


void
vault_stage_fold(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *id)
{
    fold_t  fold;

    ngx_memzero(&fold, sizeof(fold_t));
    fold.user.id = *user_id;
    fold.user.stage = *id;

    while (!fold.end) {
        vault_db_transaction(vr, fold_step, &fold);
    }
}


static void
sweep_one(vault_request_t *vr, const old_t *old)
{
    static const char  sql[] =
        "DELETE FROM stages"
        " WHERE stage = $1 AND seq IN (SELECT s.seq FROM stages AS s"
        "  WHERE s.stage = $1 ORDER BY s.seq LIMIT $2)";

    if (old->committed) {
        vault_stage_fold(vr, &old->user_id, &old->stage);
        return;
    }

    while (vault_db_run(vr, sql,
                        vault_db_args(S(&old->stage), I(SWEEP_PARTS)))
           == SWEEP_PARTS)
    {
        /* void */
    }
}


int64_t
vault_stage_sweep(vault_request_t *vr, int64_t before)
{
    old_t        *old;
    ngx_uint_t    i;
    ngx_array_t  *rows;

    static const char  sql[] =
        "SELECT s.stage, s.user_id,"
        " CASE WHEN EXISTS (SELECT 1 FROM users AS u"
        "  WHERE u.id = s.user_id AND u.stage = s.stage)"
        " THEN 1 ELSE 0 END AS committed"
        " FROM (SELECT DISTINCT p.stage, p.user_id FROM stages AS p"
        "  WHERE p.created_at < $1"
        "  LIMIT $2) AS s";

    rows = vault_db_list(vr, &old_row, sql,
                         vault_db_args(I(before), I(SWEEP_STAGES)));
    old = rows->elts;

    for (i = 0; i < rows->nelts; i++) {
        sweep_one(vr, &old[i]);
    }

    return rows->nelts;
}
