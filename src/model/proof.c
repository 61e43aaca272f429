/*
 * proof - codes and links that were mailed, until they are used.
 */

#include "proof.h"


#define PROOF_COLUMNS                                                         \
    "id, user_id, purpose, subject, hash, stamp, created_at, expires_at"

#define PROOF_TEXT(column)                                                    \
    { VAULT_COL_TEXT, #column, offsetof(vault_proof_t, column) }

static const vault_column_t  proof_columns[] = {
    PROOF_TEXT(id),
    PROOF_TEXT(user_id),
    PROOF_TEXT(purpose),
    PROOF_TEXT(subject),
    PROOF_TEXT(hash),
    PROOF_TEXT(stamp),
    { VAULT_COL_INT, "created_at", offsetof(vault_proof_t, created_at) },
    { VAULT_COL_INT, "expires_at", offsetof(vault_proof_t, expires_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  proof_row = VAULT_ROW(proof_columns, vault_proof_t);

static const char  used[] =
    "DELETE FROM proofs WHERE id = $1 AND user_id = $2 AND hash = $3";


#define PROOF_INSERT                                                          \
    "INSERT INTO proofs (" PROOF_COLUMNS ", attempts)"                        \
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)"                             \
    " ON CONFLICT (user_id, purpose, subject) "


static int64_t
insert(vault_request_t *vr, const char *sql, const vault_proof_t *proof)
{
    return vault_db_run(vr, sql,
                        vault_db_args(S(&proof->id), S(&proof->user_id),
                                      S(&proof->purpose), S(&proof->subject),
                                      S(&proof->hash), S(&proof->stamp),
                                      I(proof->created_at),
                                      I(proof->expires_at)));
}


void
vault_proof_save(vault_request_t *vr, const vault_proof_t *proof)
{
    static const char  sql[] =
        PROOF_INSERT "DO UPDATE"
        " SET id = excluded.id, hash = excluded.hash,"
        " stamp = excluded.stamp, created_at = excluded.created_at,"
        " expires_at = excluded.expires_at, attempts = 0";

    (void) insert(vr, sql, proof);
}


ngx_uint_t
vault_proof_insert(vault_request_t *vr, const vault_proof_t *proof)
{
    static const char  sql[] = PROOF_INSERT "DO NOTHING";

    return insert(vr, sql, proof) == 1;
}


ngx_uint_t
vault_proof_find(vault_request_t *vr, const vault_proof_t *key,
    vault_proof_t *proof)
{
    static const char  sql[] =
        "SELECT " PROOF_COLUMNS " FROM proofs"
        " WHERE user_id = $1 AND purpose = $2 AND subject = $3"
        " AND stamp = $4 AND expires_at > $5";

    return vault_db_find(vr, &proof_row, proof, sql,
                         vault_db_args(S(&key->user_id), S(&key->purpose),
                                       S(&key->subject), S(&key->stamp),
                                       I(vault_now())));
}


ngx_uint_t
vault_proof_try(vault_request_t *vr, const vault_proof_t *key, int64_t most,
    vault_proof_t *proof)
{
    static const char  sql[] =
        "UPDATE proofs"
        " SET attempts = attempts + 1"
        " WHERE user_id = $1 AND purpose = $2 AND subject = $3"
        " AND stamp = $4 AND expires_at > $5 AND attempts < $6"
        " RETURNING " PROOF_COLUMNS;

    return vault_db_find(vr, &proof_row, proof, sql,
                         vault_db_args(S(&key->user_id), S(&key->purpose),
                                       S(&key->subject), S(&key->stamp),
                                       I(vault_now()), I(most)));
}


ngx_uint_t
vault_proof_find_last(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *purpose, vault_proof_t *proof)
{
    static const char  sql[] =
        "SELECT " PROOF_COLUMNS " FROM proofs"
        " WHERE user_id = $1 AND purpose = $2"
        " ORDER BY created_at DESC LIMIT 1";

    return vault_db_find(vr, &proof_row, proof, sql,
                         vault_db_args(S(user_id), S(purpose)));
}


ngx_uint_t
vault_proof_delete(vault_request_t *vr, const vault_proof_t *proof)
{
    return vault_db_run(vr, used,
                        vault_db_args(S(&proof->id), S(&proof->user_id),
                                      S(&proof->hash))) == 1;
}


void
vault_proof_delete_add(vault_change_t *change, const vault_proof_t *proof)
{
    vault_change_run(change, NULL, used,
                     vault_db_args(S(&proof->id), S(&proof->user_id),
                                   S(&proof->hash)));
}


int64_t
vault_proof_purge(vault_request_t *vr, int64_t before)
{
    static const char  sql[] =
        "DELETE FROM proofs WHERE id IN"
        " (SELECT p.id FROM proofs p WHERE p.expires_at < $1"
        "  ORDER BY p.expires_at LIMIT $2)"
        " AND expires_at < $1";

    return vault_db_run(vr, sql,
                        vault_db_args(I(before), I(VAULT_PROOF_ROWS)));
}
