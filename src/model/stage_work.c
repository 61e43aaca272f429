/*
 * stage - what is done with a part, in a transaction that removes it after
 * its last step.  Nothing here may refuse: what was committed must be done.
 */

#include "cipher.h"
#include "file.h"
#include "folder.h"
#include "stage.h"


#define STEP_ROWS  2000               /* of a statement that has a limit */

/*
 * A statement that changes at most STEP_ROWS, one of several that are done
 * until none of them finds anything.  $1: the user, then the data and the
 * limit, where they are used.
 */
typedef struct {
    const char  *sql;
    unsigned     data:1;
    unsigned     most:1;
} work_t;

#define DELETE_SOME(table)                                                    \
    "DELETE FROM " table                                                      \
    " WHERE id IN (SELECT t.id FROM " table " AS t WHERE t.user_id = $1"      \
    "  LIMIT $2)"

#define DOOM_SOME(which, most)                                                \
    "UPDATE files"                                                            \
    " SET state = " VAULT_FILE_SQL_DOOMED                                     \
    " WHERE id IN (SELECT f.id FROM files AS f"                               \
    "  WHERE f.user_id = $1 AND f.state < " VAULT_FILE_SQL_DOOMED which       \
    "  LIMIT " most ")"

static const work_t  delete_work[] = {
    { DOOM_SOME(" AND f.cipher_id IN (SELECT value FROM {{list $2}})", "$3"),
      1, 1 },
    { "DELETE FROM ciphers"
      " WHERE user_id = $1 AND id IN (SELECT value FROM {{list $2}})", 1, 0 },
    { NULL, 0, 0 }
};

static const work_t  unfold_work[] = {
    { "UPDATE ciphers"
      " SET folder_id = NULL"
      " WHERE id IN (SELECT c.id FROM ciphers AS c"
      "  WHERE c.user_id = $1"
      "  AND c.folder_id IN (SELECT value FROM {{list $2}})"
      "  LIMIT $3)", 1, 1 },
    { "DELETE FROM folders"
      " WHERE user_id = $1 AND id IN (SELECT value FROM {{list $2}})", 1, 0 },
    { NULL, 0, 0 }
};

static const work_t  purge_work[] = {
    { DOOM_SOME(" AND f.cipher_id IS NOT NULL", "$2"), 0, 1 },
    { DELETE_SOME("ciphers"), 0, 1 },
    { DELETE_SOME("folders"), 0, 1 },
    { NULL, 0, 0 }
};

static const work_t  account_work[] = {
    { DOOM_SOME("", "$2"), 0, 1 },
    { DELETE_SOME("ciphers"), 0, 1 },
    { DELETE_SOME("folders"), 0, 1 },
    { DELETE_SOME("sends"), 0, 1 },
    { DELETE_SOME("devices"), 0, 1 },
    { DELETE_SOME("proofs"), 0, 1 },
    { "DELETE FROM two_factors WHERE user_id = $1", 0, 0 },
    { NULL, 0, 0 }
};


/* 1 if one of them has found something. */
static ngx_uint_t
work_some(vault_change_t *change, const work_t *work, const ngx_str_t *data)
{
    ngx_uint_t      n;
    vault_db_arg_t  args[3];

    for ( /* void */ ; work->sql; work++) {
        n = 0;
        args[n++] = S(&change->user->id);

        if (work->data) {
            args[n++] = S(data);
        }

        if (work->most) {
            args[n++] = I(STEP_ROWS);
        }

        if (vault_db_run(change->vr, work->sql, args, n) > 0) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
work_account(vault_change_t *change, const ngx_str_t *data)
{
    if (work_some(change, account_work, data)) {
        return 1;
    }

    (void) vault_db_run(change->vr, "DELETE FROM users WHERE id = $1",
                        vault_db_args(S(&change->user->id)));

    return 0;
}


ngx_uint_t
vault_stage_work(vault_change_t *change, vault_stage_kind_e kind,
    const ngx_str_t *data)
{
    switch (kind) {

    case VAULT_STAGE_FOLDERS:
        vault_folder_insert_rows(change, data);
        break;

    case VAULT_STAGE_CIPHERS:
        vault_cipher_insert_rows(change, data);
        break;

    case VAULT_STAGE_NEW_FOLDERS:
        vault_folder_update_rows(change, data, NULL);
        break;

    case VAULT_STAGE_NEW_CIPHERS:
        vault_cipher_update_rows(change, data, NULL);
        break;

    case VAULT_STAGE_DELETE:
        return work_some(change, delete_work, data);

    case VAULT_STAGE_UNFOLD:
        return work_some(change, unfold_work, data);

    case VAULT_STAGE_PURGE:
        return work_some(change, purge_work, data);

    case VAULT_STAGE_ACCOUNT:
        return work_account(change, data);

    default:
        vault_cipher_stage_add(change, kind, data);
    }

    vault_change_commit(change);

    return 0;
}
