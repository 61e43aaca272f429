/*
 * cipher - items of a vault: many by one statement.
 */

#include "cipher.h"
#include "cipher_row.h"
#include "file.h"


static const vault_column_t  folder_columns[] = {
    { VAULT_COL_TEXT, "id", 0 },
    VAULT_COLUMNS_END
};

static const vault_row_t  folder_row = VAULT_ROW(folder_columns, ngx_str_t);


int64_t
vault_cipher_trash(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    int64_t          n;
    ngx_str_t        list;
    vault_change_t  *change;

    /* what lies in the trash keeps its date and its revision */

    static const char  sql[] =
        "UPDATE ciphers"
        " SET revised_at = CASE WHEN deleted_at IS NULL THEN $1"
        "  ELSE revised_at END,"
        " deleted_at = COALESCE(deleted_at, $1)"
        " WHERE user_id = $2"
        " AND id IN (SELECT value FROM {{list $3}})";

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_change_run(change, &n, sql,
                     vault_db_args(I(change->now), S(&user->id), S(&list)));
    vault_change_commit(change);

    return n;
}


int64_t
vault_cipher_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    int64_t          n;
    ngx_str_t        list;
    vault_change_t  *change;

    static const char  sql[] =
        "DELETE FROM ciphers"
        " WHERE user_id = $1"
        " AND id IN (SELECT value FROM {{list $2}})";

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_file_doom_ciphers(change, &list);
    vault_change_run(change, &n, sql, vault_db_args(S(&user->id), S(&list)));
    vault_change_commit(change);

    return n;
}


int64_t
vault_cipher_move(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, const ngx_str_t *folder_id)
{
    int64_t          n;
    ngx_str_t        list;
    ngx_array_t     *folders;
    vault_change_t  *change;

    static const char  check[] =
        "SELECT id"
        " FROM folders"
        " WHERE id = $1 AND user_id = $2";

    static const char  sql[] =
        "UPDATE ciphers"
        " SET folder_id = $1"
        " WHERE user_id = $2"
        " AND id IN (SELECT value FROM {{list $3}})";

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    if (folder_id->data) {
        vault_change_list(change, &folder_row, &folders, check,
                          vault_db_args(S(folder_id), S(&user->id)));
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, "Invalid folder.");
    }

    vault_change_run(change, &n, sql,
                     vault_db_args(S(folder_id), S(&user->id), S(&list)));
    vault_change_commit(change);

    return n;
}


static ngx_array_t *
cipher_mark(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, const char *sql)
{
    ngx_str_t        list;
    ngx_array_t     *rows;
    vault_change_t  *change;

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_change_list(change, &vault_cipher_row, &rows, sql,
                      vault_db_args(I(change->now), S(&user->id), S(&list)));
    vault_change_commit(change);

    return rows;
}


ngx_array_t *
vault_cipher_restore(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    static const char  sql[] =
        "UPDATE ciphers"
        " SET deleted_at = NULL, revised_at = $1"
        " WHERE user_id = $2"
        " AND id IN (SELECT value FROM {{list $3}})"
        " RETURNING " CIPHER_COLUMNS;

    return cipher_mark(vr, user, ids, sql);
}


ngx_array_t *
vault_cipher_archive(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    static const char  sql[] =
        "UPDATE ciphers"
        " SET archived_at = $1, revised_at = $1"
        " WHERE user_id = $2 AND archived_at IS NULL"
        " AND id IN (SELECT value FROM {{list $3}})"
        " RETURNING " CIPHER_COLUMNS;

    return cipher_mark(vr, user, ids, sql);
}


ngx_array_t *
vault_cipher_unarchive(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    static const char  sql[] =
        "UPDATE ciphers"
        " SET archived_at = NULL, revised_at = $1"
        " WHERE user_id = $2 AND archived_at IS NOT NULL"
        " AND id IN (SELECT value FROM {{list $3}})"
        " RETURNING " CIPHER_COLUMNS;

    return cipher_mark(vr, user, ids, sql);
}


void
vault_cipher_purge(vault_request_t *vr, const vault_user_t *user)
{
    vault_change_t  *change;

    static const char  ciphers[] =
        "DELETE FROM ciphers"
        " WHERE user_id = $1";

    static const char  folders[] =
        "DELETE FROM folders"
        " WHERE user_id = $1";

    change = vault_change(vr, user);

    vault_file_doom_attachments(change);
    vault_change_run(change, NULL, ciphers, vault_db_args(S(&user->id)));
    vault_change_run(change, NULL, folders, vault_db_args(S(&user->id)));
    vault_change_commit(change);
}


void
vault_cipher_insert_rows(vault_change_t *change, const ngx_str_t *rows)
{
    static const char  sql[] =
        "INSERT INTO ciphers (id, user_id, folder_id, type, favorite, data,"
        " created_at, revised_at, archived_at)"
        " SELECT r.id, $1,"
        " (SELECT f.id FROM folders AS f"
        "  WHERE f.id = r.folder AND f.user_id = $1),"
        " r.type, r.favorite, r.data, $2, $2, r.archived"
        " FROM {{rows $3 (id text, folder text, type bigint, favorite bigint,"
        " archived bigint, data text)}} AS r"
        " WHERE (SELECT count(*) FROM ciphers WHERE user_id = $1) < $4";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id), I(change->now),
                                   S(rows), I(VAULT_CIPHER_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, "The vault is full.");
}


void
vault_cipher_update_rows(vault_change_t *change, const ngx_str_t *rows,
    int64_t *updated)
{
    static const char  sql[] =
        "UPDATE ciphers"
        " SET data = r.data, revised_at = $1"
        " FROM {{rows $2 (id text, data text)}} AS r"
        " WHERE ciphers.id = r.id AND ciphers.user_id = $3";

    vault_change_run(change, updated, sql,
                     vault_db_args(I(change->now), S(rows),
                                   S(&change->user->id)));
}
