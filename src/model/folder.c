/*
 * folder - a user's own grouping of ciphers; its name is encrypted.
 */

#include "folder.h"
#include "id.h"
#include "stage.h"


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
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, VAULT_FOLDER_MANY);
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


typedef struct {
    int64_t  n;
} count_t;

static const vault_column_t  count_columns[] = {
    { VAULT_COL_INT, "n", offsetof(count_t, n) },
    VAULT_COLUMNS_END
};

static const vault_row_t  count_row = VAULT_ROW(count_columns, count_t);


/*
 * 1 if they have been deleted: with more items than one transaction takes out
 * of their folders.
 */
static ngx_uint_t
delete_staged(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    count_t         count = { 0 };
    ngx_str_t       list;
    vault_stage_t  *stage;

    static const char  sql[] =
        "SELECT count(*) AS n"
        " FROM ciphers"
        " WHERE user_id = $1"
        " AND folder_id IN (SELECT value FROM {{list $2}})";

    if (vault_db_fits(vr, INT64_MAX, 0)) {
        return 0;
    }

    list = vault_db_json_list(vr, ids);
    (void) vault_db_find(vr, &count_row, &count, sql,
                         vault_db_args(S(&user->id), S(&list)));

    if (vault_db_fits(vr, count.n + (int64_t) ids->nelts + 1, list.len)) {
        return 0;
    }

    stage = vault_stage(vr, user);
    vault_stage_add_ids(stage, VAULT_STAGE_UNFOLD, ids);
    vault_stage_finish(stage);

    return 1;
}


void
vault_folder_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    ngx_array_t      ids;
    vault_change_t  *change;

    static const char  empty[] =
        "UPDATE ciphers"
        " SET folder_id = NULL"
        " WHERE folder_id = $1 AND user_id = $2";

    static const char  sql[] =
        "DELETE FROM folders"
        " WHERE id = $1 AND user_id = $2";

    ids = vault_id_list(id);

    if (delete_staged(vr, user, &ids)) {
        return;
    }

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

    if (delete_staged(vr, user, ids)) {
        return;
    }

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_change_run(change, NULL, empty,
                     vault_db_args(S(&user->id), S(&list)));
    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&user->id), S(&list)));
    vault_change_commit(change);
}


static ngx_array_t *
ids_of(vault_request_t *vr, const vault_user_t *user)
{
    ngx_str_t       *id;
    ngx_uint_t       i;
    ngx_array_t     *folders, *ids;
    vault_folder_t  *folder;

    folders = vault_folder_list(vr, user);
    folder = folders->elts;

    ids = ngx_array_create(vr->pool, folders->nelts + 1, sizeof(ngx_str_t));
    if (ids == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    for (i = 0; i < folders->nelts; i++) {
        id = ngx_array_push(ids);     /* there is room */
        *id = folder[i].id;
    }

    return ids;
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

    if (!vault_db_fits(vr, INT64_MAX, 0)) {
        vault_folder_delete_list(vr, user, ids_of(vr, user));
        return;
    }

    change = vault_change(vr, user);

    vault_change_run(change, NULL, empty, vault_db_args(S(&user->id)));
    vault_change_run(change, NULL, sql, vault_db_args(S(&user->id)));
    vault_change_commit(change);
}


void
vault_folder_require_room(vault_change_t *change)
{
    ngx_array_t  **rows;

    static const char  sql[] =
        "SELECT 1 AS n FROM users"
        " WHERE id = $1"
        " AND (SELECT count(*) FROM folders WHERE user_id = $1) < $2";

    rows = vault_alloc(change->vr, sizeof(ngx_array_t *));

    vault_change_list(change, &count_row, rows, sql,
                      vault_db_args(S(&change->user->id),
                                    I(VAULT_FOLDER_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, VAULT_FOLDER_MANY);
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
                                   S(rows), I(change->fold
                                              ? INT64_MAX
                                              : VAULT_FOLDER_MAX)));

    if (!change->fold) {
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, VAULT_FOLDER_MANY);
    }
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
