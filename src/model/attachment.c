/*
 * attachment - a file in its place.
 */

#include "attachment.h"
#include "cipher_row.h"


static const vault_column_t  id_columns[] = {
    { VAULT_COL_TEXT, "id", 0 },
    VAULT_COLUMNS_END
};

static const vault_row_t  id_row = VAULT_ROW(id_columns, ngx_str_t);


void
vault_attachment_promise(vault_request_t *vr, const vault_user_t *user,
    vault_file_t *file, int64_t known, vault_cipher_t *cipher)
{
    int64_t          from = 0, to = INT64_MAX;
    ngx_array_t     *found, *ciphers;
    vault_change_t  *change;

    static const char  owned[] =
        "SELECT id"
        " FROM ciphers"
        " WHERE id = $1 AND user_id = $2";

    static const char  revise[] =
        "UPDATE ciphers"
        " SET revised_at = $1"
        " WHERE id = $2 AND user_id = $3"
        " AND revised_at >= $4 AND revised_at <= $5";

    static const char  promised[] =
        "SELECT " CIPHER_OWN_COLUMNS ","
        " " VAULT_FILE_LIST("(f.state = " VAULT_FILE_SQL_READY
                            " OR f.id = $1)") " AS attachments"
        " FROM ciphers"
        " WHERE id = $2 AND user_id = $3";

    if (known != VAULT_NULL) {
        from = known - VAULT_CIPHER_TOLERANCE;
        to = known + VAULT_CIPHER_TOLERANCE;
    }

    change = vault_change(vr, user);

    vault_change_list(change, &id_row, &found, owned,
                      vault_db_args(S(&file->cipher_id), S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);

    vault_change_run(change, NULL, revise,
                     vault_db_args(I(change->now), S(&file->cipher_id),
                                   S(&user->id), I(from), I(to)));
    vault_change_refuse(change, VAULT_CIPHER_OUTDATED);

    vault_file_promise(change, file, vr->conf->file_quota);

    vault_change_list(change, &vault_cipher_row, &ciphers, promised,
                      vault_db_args(S(&file->id), S(&file->cipher_id),
                                    S(&user->id)));
    vault_change_commit(change);

    *cipher = *(vault_cipher_t *) ciphers->elts;
}


vault_file_t *
vault_attachment_get(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *cipher_id, const ngx_str_t *id)
{
    vault_file_t  *file;

    file = vault_file_find(vr, user, id);

    if (file == NULL || file->cipher_id.len != cipher_id->len
        || ngx_memcmp(file->cipher_id.data, cipher_id->data, cipher_id->len)
           != 0)
    {
        vault_fail(vr, VAULT_MISSING);
    }

    return file;
}


vault_cipher_t *
vault_attachment_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *cipher_id, const ngx_str_t *id)
{
    ngx_array_t     *ciphers;
    vault_change_t  *change;

    static const char  doom[] =
        "UPDATE files"
        " SET state = " VAULT_FILE_SQL_DOOMED
        " WHERE id = $1 AND cipher_id = $2 AND user_id = $3"
        " AND state < " VAULT_FILE_SQL_DOOMED;

    static const char  revise[] =
        "UPDATE ciphers"
        " SET revised_at = $1,"
        " attachments = " VAULT_FILE_LIST("f.state = " VAULT_FILE_SQL_READY)
        " WHERE id = $2 AND user_id = $3"
        " RETURNING " CIPHER_COLUMNS;

    change = vault_change(vr, user);

    vault_change_run(change, NULL, doom,
                     vault_db_args(S(id), S(cipher_id), S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);

    vault_change_list(change, &vault_cipher_row, &ciphers, revise,
                      vault_db_args(I(change->now), S(cipher_id),
                                    S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);

    return ciphers->elts;
}
