/*
 * folder - a user's own grouping of ciphers; its name is encrypted.
 */

#include "folder.h"
#include "id.h"


#define FOLDER_COLUMNS  "id, user_id, name, created_at, revised_at"

static const vault_column_t  folder_columns[] = {
    { VAULT_COL_TEXT, "id", offsetof(vault_folder_t, id) },
    { VAULT_COL_TEXT, "user_id", offsetof(vault_folder_t, user_id) },
    { VAULT_COL_TEXT, "name", offsetof(vault_folder_t, name) },
    { VAULT_COL_INT, "created_at", offsetof(vault_folder_t, created_at) },
    { VAULT_COL_INT, "revised_at", offsetof(vault_folder_t, revised_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  folder_row =
    VAULT_ROW(folder_columns, vault_folder_t);

static const char  select_all[] =
    "SELECT " FOLDER_COLUMNS
    " FROM folders"
    " WHERE user_id = $1";


ngx_array_t *
vault_folder_list(vault_request_t *vr, const vault_user_t *user)
{
    return vault_db_list(vr, &folder_row, select_all,
                         vault_db_args(S(&user->id)));
}


void
vault_folder_batch(vault_db_batch_t *batch, const vault_user_t *user,
    ngx_array_t **folders)
{
    vault_db_batch_list(batch, &folder_row, folders, select_all,
                        vault_db_args(S(&user->id)));
}


vault_folder_t *
vault_folder_get(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    vault_folder_t  *folder;

    static const char  sql[] =
        "SELECT " FOLDER_COLUMNS
        " FROM folders"
        " WHERE id = $1 AND user_id = $2";

    folder = vault_alloc(vr, sizeof(vault_folder_t));

    if (!vault_db_find(vr, &folder_row, folder, sql,
                       vault_db_args(S(id), S(&user->id))))
    {
        vault_fail(vr, VAULT_MISSING);
    }

    return folder;
}


void
vault_folder_insert(vault_request_t *vr, const vault_user_t *user,
    vault_folder_t *folder)
{
    vault_change_t  *change;

    static const char  sql[] =
        "INSERT INTO folders (" FOLDER_COLUMNS ")"
        " SELECT $1, $2, $3, $4, $4"
        " WHERE (SELECT count(*) FROM folders WHERE user_id = $2) < $5";

    change = vault_change(vr, user);

    folder->id = vault_id_create(vr);
    folder->user_id = user->id;
    folder->created_at = change->now;
    folder->revised_at = change->now;

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&folder->id), S(&user->id),
                                   S(&folder->name), I(change->now),
                                   I(VAULT_FOLDER_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "You have too many folders.");
    vault_change_commit(change);
}


void
vault_folder_update(vault_request_t *vr, const vault_user_t *user,
    vault_folder_t *folder)
{
    vault_change_t  *change;

    static const char  sql[] =
        "UPDATE folders"
        " SET name = $1, revised_at = $2"
        " WHERE id = $3 AND user_id = $4";

    change = vault_change(vr, user);
    folder->revised_at = change->now;

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&folder->name), I(change->now),
                                   S(&folder->id), S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);
}


void
vault_folder_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    vault_change_t  *change;

    static const char  empty[] =
        "UPDATE ciphers"
        " SET folder_id = NULL"
        " WHERE folder_id = $1 AND user_id = $2";

    static const char  sql[] =
        "DELETE FROM folders"
        " WHERE id = $1 AND user_id = $2";

    change = vault_change(vr, user);

    vault_change_run(change, NULL, empty,
                     vault_db_args(S(id), S(&user->id)));
    vault_change_run(change, NULL, sql, vault_db_args(S(id), S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);
}


void
vault_folder_delete_list(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    ngx_str_t        list;
    vault_change_t  *change;

    static const char  empty[] =
        "UPDATE ciphers"
        " SET folder_id = NULL"
        " WHERE user_id = $1"
        " AND folder_id IN (SELECT value FROM {{list $2}})";

    static const char  sql[] =
        "DELETE FROM folders"
        " WHERE user_id = $1"
        " AND id IN (SELECT value FROM {{list $2}})";

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_change_run(change, NULL, empty,
                     vault_db_args(S(&user->id), S(&list)));
    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&user->id), S(&list)));
    vault_change_commit(change);
}


void
vault_folder_delete_all(vault_request_t *vr, const vault_user_t *user)
{
    vault_change_t  *change;

    static const char  empty[] =
        "UPDATE ciphers"
        " SET folder_id = NULL"
        " WHERE user_id = $1 AND folder_id IS NOT NULL";

    static const char  sql[] =
        "DELETE FROM folders"
        " WHERE user_id = $1";

    change = vault_change(vr, user);

    vault_change_run(change, NULL, empty, vault_db_args(S(&user->id)));
    vault_change_run(change, NULL, sql, vault_db_args(S(&user->id)));
    vault_change_commit(change);
}


void
vault_folder_insert_rows(vault_change_t *change, const ngx_str_t *rows)
{
    static const char  sql[] =
        "INSERT INTO folders (" FOLDER_COLUMNS ")"
        " SELECT r.id, $1, r.name, $2, $2"
        " FROM {{rows $3 (id text, name text)}} AS r"
        " WHERE (SELECT count(*) FROM folders WHERE user_id = $1) < $4";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id), I(change->now),
                                   S(rows), I(VAULT_FOLDER_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "You have too many folders.");
}


void
vault_folder_update_rows(vault_change_t *change, const ngx_str_t *rows,
    int64_t *updated)
{
    static const char  sql[] =
        "UPDATE folders"
        " SET name = r.name, revised_at = $1"
        " FROM {{rows $2 (id text, name text)}} AS r"
        " WHERE folders.id = r.id AND folders.user_id = $3";

    vault_change_run(change, updated, sql,
                     vault_db_args(I(change->now), S(rows),
                                   S(&change->user->id)));
}
