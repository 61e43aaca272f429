/*
 * cipher - an item of a vault: one at a time.
 */

#include "cipher.h"
#include "cipher_row.h"
#include "file.h"
#include "id.h"


typedef struct {
    const vault_user_t  *user;
    vault_cipher_t      *cipher;
    const ngx_str_t     *files;
    int64_t              known;
} update_t;


static void  cipher_update(vault_request_t *vr, void *data);
static void  cipher_check(vault_request_t *vr, const vault_cipher_t *row,
    const update_t *update);
static void  cipher_store(vault_request_t *vr, const vault_cipher_t *cipher);


static const vault_column_t  cipher_columns[] = {
    { VAULT_COL_TEXT, "id", offsetof(vault_cipher_t, id) },
    { VAULT_COL_TEXT, "user_id", offsetof(vault_cipher_t, user_id) },
    { VAULT_COL_TEXT, "organization_id",
      offsetof(vault_cipher_t, organization_id) },
    { VAULT_COL_TEXT, "folder_id", offsetof(vault_cipher_t, folder_id) },
    { VAULT_COL_INT, "type", offsetof(vault_cipher_t, type) },
    { VAULT_COL_INT, "favorite", offsetof(vault_cipher_t, favorite) },
    { VAULT_COL_TEXT, "data", offsetof(vault_cipher_t, data) },
    { VAULT_COL_INT, "created_at", offsetof(vault_cipher_t, created_at) },
    { VAULT_COL_INT, "revised_at", offsetof(vault_cipher_t, revised_at) },
    { VAULT_COL_INT, "deleted_at", offsetof(vault_cipher_t, deleted_at) },
    { VAULT_COL_INT, "archived_at", offsetof(vault_cipher_t, archived_at) },
    { VAULT_COL_TEXT, "attachments", offsetof(vault_cipher_t, attachments) },
    VAULT_COLUMNS_END
};

const vault_row_t  vault_cipher_row =
    VAULT_ROW(cipher_columns, vault_cipher_t);


ngx_array_t *
vault_cipher_list(vault_request_t *vr, const vault_user_t *user)
{
    static const char  sql[] =
        "SELECT " CIPHER_COLUMNS
        " FROM ciphers"
        " WHERE user_id = $1";

    return vault_db_list(vr, &vault_cipher_row, sql,
                         vault_db_args(S(&user->id)));
}


void
vault_cipher_batch(vault_db_batch_t *batch, const vault_user_t *user,
    vault_cipher_type_e most, ngx_array_t **ciphers)
{
    static const char  sql[] =
        "SELECT " CIPHER_COLUMNS
        " FROM ciphers"
        " WHERE user_id = $1 AND type <= $2";

    vault_db_batch_list(batch, &vault_cipher_row, ciphers, sql,
                        vault_db_args(S(&user->id), I(most)));
}


vault_cipher_t *
vault_cipher_get(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    vault_cipher_t  *cipher;

    static const char  sql[] =
        "SELECT " CIPHER_COLUMNS
        " FROM ciphers"
        " WHERE id = $1 AND user_id = $2";

    cipher = vault_alloc(vr, sizeof(vault_cipher_t));

    if (!vault_db_find(vr, &vault_cipher_row, cipher, sql,
                       vault_db_args(S(id), S(&user->id))))
    {
        vault_fail(vr, VAULT_MISSING);
    }

    return cipher;
}


void
vault_cipher_insert(vault_request_t *vr, const vault_user_t *user,
    vault_cipher_t *cipher)
{
    vault_change_t  *change;

    static const char  sql[] =
        "INSERT INTO ciphers (id, user_id, folder_id, type, favorite, data,"
        " created_at, revised_at, archived_at)"
        " SELECT $1, $2, $3, $4, $5, $6, $7, $7, $8"
        " WHERE ($3 IS NULL"
        "  OR EXISTS (SELECT 1 FROM folders WHERE id = $3 AND user_id = $2))"
        " AND (SELECT count(*) FROM ciphers WHERE user_id = $2) < $9";

    change = vault_change(vr, user);

    cipher->id = vault_id_create(vr);
    cipher->user_id = user->id;
    cipher->created_at = change->now;
    cipher->revised_at = change->now;
    cipher->deleted_at = VAULT_NULL;
    ngx_str_null(&cipher->attachments);

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&cipher->id), S(&user->id),
                                   S(&cipher->folder_id), I(cipher->type),
                                   I(cipher->favorite), S(&cipher->data),
                                   I(change->now), I(cipher->archived_at),
                                   I(VAULT_CIPHER_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "Invalid folder, or the vault is full.");
    vault_change_commit(change);
}


void
vault_cipher_update(vault_request_t *vr, const vault_user_t *user,
    vault_cipher_t *cipher, const ngx_str_t *files, int64_t known)
{
    update_t  update;

    update.user = user;
    update.cipher = cipher;
    update.files = files;
    update.known = known;

    vault_db_transaction(vr, cipher_update, &update);
}


static void
cipher_update(vault_request_t *vr, void *data)
{
    update_t  *update = data;

    ngx_str_t        ids;
    ngx_array_t     *rows;
    vault_change_t  *change;
    vault_cipher_t  *row, *cipher = update->cipher;

    static const char  sql[] =
        "SELECT " CIPHER_COLUMNS
        " FROM ciphers"
        " WHERE id = $1 AND user_id = $2";

    /* with the change begun, nobody else writes to this vault */

    change = vault_change(vr, update->user);

    if (update->files->data) {
        ids = vault_printf(vr, "[\"%V\"]", &cipher->id);

        vault_file_rename(change, update->files, NULL);
        vault_file_refresh(change, &ids);
    }

    vault_change_list(change, &vault_cipher_row, &rows, sql,
                      vault_db_args(S(&cipher->id), S(&update->user->id)));
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);

    row = rows->elts;
    cipher_check(vr, row, update);

    cipher->user_id = row->user_id;
    cipher->created_at = row->created_at;
    cipher->revised_at = change->now;
    cipher->deleted_at = row->deleted_at;
    cipher->attachments = row->attachments;

    cipher_store(vr, cipher);
}


static void
cipher_check(vault_request_t *vr, const vault_cipher_t *row,
    const update_t *update)
{
    if (row->type != update->cipher->type) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The type of an item cannot be changed.");
    }

    if (update->known != VAULT_NULL
        && (row->revised_at - update->known > VAULT_CIPHER_TOLERANCE
            || update->known - row->revised_at > VAULT_CIPHER_TOLERANCE))
    {
        vault_fail(vr, VAULT_CIPHER_OUTDATED);
    }
}


static void
cipher_store(vault_request_t *vr, const vault_cipher_t *cipher)
{
    int64_t  stored;

    static const char  sql[] =
        "UPDATE ciphers"
        " SET folder_id = $1, favorite = $2, data = $3, revised_at = $4,"
        " archived_at = $5"
        " WHERE id = $6 AND user_id = $7"
        " AND ($1 IS NULL"
        "  OR EXISTS (SELECT 1 FROM folders WHERE id = $1 AND user_id = $7))";

    stored = vault_db_run(vr, sql,
                          vault_db_args(S(&cipher->folder_id),
                                        I(cipher->favorite),
                                        S(&cipher->data),
                                        I(cipher->revised_at),
                                        I(cipher->archived_at),
                                        S(&cipher->id),
                                        S(&cipher->user_id)));

    if (stored == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid folder.");
    }
}


/* The revision of the item stays: its content is the same. */

void
vault_cipher_file(vault_request_t *vr, const vault_user_t *user,
    vault_cipher_t *cipher)
{
    ngx_array_t     *rows;
    vault_change_t  *change;

    static const char  sql[] =
        "UPDATE ciphers"
        " SET folder_id = $1, favorite = $2"
        " WHERE id = $3 AND user_id = $4"
        " AND ($1 IS NULL"
        "  OR EXISTS (SELECT 1 FROM folders WHERE id = $1 AND user_id = $4))"
        " RETURNING " CIPHER_COLUMNS;

    change = vault_change(vr, user);

    vault_change_list(change, &vault_cipher_row, &rows, sql,
                      vault_db_args(S(&cipher->folder_id),
                                    I(cipher->favorite), S(&cipher->id),
                                    S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);

    *cipher = *(vault_cipher_t *) rows->elts;
}
