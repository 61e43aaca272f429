/*
 * cipher - items of a vault: many by one statement.
 */

#include "cipher.h"
#include "cipher_row.h"
#include "file.h"
#include "stage.h"


static const vault_column_t  id_columns[] = {
    { VAULT_COL_TEXT, "id", 0 },
    VAULT_COLUMNS_END
};

static const vault_row_t  id_row = VAULT_ROW(id_columns, ngx_str_t);

typedef struct {
    int64_t  n;
} count_t;

static const vault_column_t  count_columns[] = {
    { VAULT_COL_INT, "n", offsetof(count_t, n) },
    VAULT_COLUMNS_END
};

static const vault_row_t  count_row = VAULT_ROW(count_columns, count_t);


/* $1: now, $2: the user, $3: ids. */
#define OF_LIST                                                               \
    " WHERE user_id = $2"                                                     \
    " AND id IN (SELECT value FROM {{list $3}})"

#define RETURNING  " RETURNING " CIPHER_COLUMNS

/* What lies in the trash keeps its date and its revision. */
static const char  trash_sql[] =
    "UPDATE ciphers"
    " SET revised_at = CASE WHEN deleted_at IS NULL THEN $1"
    "  ELSE revised_at END,"
    " deleted_at = COALESCE(deleted_at, $1)"
    OF_LIST;

static const char  restore_sql[] =
    "UPDATE ciphers"
    " SET deleted_at = NULL, revised_at = $1"
    OF_LIST "" RETURNING;

static const char  archive_sql[] =
    "UPDATE ciphers"
    " SET archived_at = $1, revised_at = $1"
    OF_LIST " AND archived_at IS NULL" RETURNING;

static const char  unarchive_sql[] =
    "UPDATE ciphers"
    " SET archived_at = NULL, revised_at = $1"
    OF_LIST " AND archived_at IS NOT NULL" RETURNING;


static const char *
bulk_sql(vault_stage_kind_e kind)
{
    switch (kind) {

    case VAULT_STAGE_RESTORE:
        return restore_sql;

    case VAULT_STAGE_ARCHIVE:
        return archive_sql;

    case VAULT_STAGE_UNARCHIVE:
        return unarchive_sql;

    default:
        return trash_sql;
    }
}


/* The parts of a stage. */
void
vault_cipher_stage_add(vault_change_t *change, vault_stage_kind_e kind,
    const ngx_str_t *data)
{
    static const char  move[] =
        "UPDATE ciphers"
        " SET folder_id = r.folder"
        " FROM {{rows $1 (id text, folder text)}} AS r"
        " WHERE ciphers.id = r.id AND ciphers.user_id = $2";

    if (kind == VAULT_STAGE_MOVE) {
        vault_change_run(change, NULL, move,
                         vault_db_args(S(data), S(&change->user->id)));
        return;
    }

    vault_change_run(change, NULL, bulk_sql(kind),
                     vault_db_args(I(change->now), S(&change->user->id),
                                   S(data)));
}


/* 1 if so many rows, and the user's, are too many for a transaction. */
static ngx_uint_t
too_many(vault_request_t *vr, int64_t rows)
{
    return !vault_db_fits(vr, rows + 1, 0);
}


int64_t
vault_cipher_trash(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    int64_t          n;
    ngx_str_t        list;
    vault_stage_t   *stage;
    vault_change_t  *change;

    if (too_many(vr, ids->nelts)) {
        stage = vault_stage(vr, user);
        vault_stage_add_ids(stage, VAULT_STAGE_TRASH, ids);
        vault_stage_finish(stage);

        return ids->nelts;
    }

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_change_run(change, &n, trash_sql,
                     vault_db_args(I(change->now), S(&user->id), S(&list)));
    vault_change_commit(change);

    return n;
}


/* With the files that go with them. */
static ngx_uint_t
too_many_files(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *list, int64_t n)
{
    count_t  count = { 0 };

    static const char  sql[] =
        "SELECT count(*) AS n"
        " FROM files"
        " WHERE user_id = $1"
        " AND cipher_id IN (SELECT value FROM {{list $2}})";

    if (!too_many(vr, n * (1 + VAULT_FILE_PER_CIPHER))) {
        return 0;
    }

    (void) vault_db_find(vr, &count_row, &count, sql,
                         vault_db_args(S(&user->id), S(list)));

    return too_many(vr, n + count.n);
}


int64_t
vault_cipher_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    int64_t          n;
    ngx_str_t        list;
    vault_stage_t   *stage;
    vault_change_t  *change;

    static const char  sql[] =
        "DELETE FROM ciphers"
        " WHERE user_id = $1"
        " AND id IN (SELECT value FROM {{list $2}})";

    list = vault_db_json_list(vr, ids);

    if (too_many_files(vr, user, &list, ids->nelts)) {
        stage = vault_stage(vr, user);
        vault_stage_add_ids(stage, VAULT_STAGE_DELETE, ids);
        vault_stage_finish(stage);

        return ids->nelts;
    }

    change = vault_change(vr, user);

    vault_file_doom_ciphers(change, &list);
    vault_change_run(change, &n, sql, vault_db_args(S(&user->id), S(&list)));
    vault_change_commit(change);

    return n;
}


static void
move_check(vault_change_t *change, const ngx_str_t *folder_id)
{
    ngx_array_t  **folders;

    static const char  check[] =
        "SELECT id"
        " FROM folders"
        " WHERE id = $1 AND user_id = $2";

    if (folder_id->data) {
        folders = vault_alloc(change->vr, sizeof(ngx_array_t *));

        vault_change_list(change, &id_row, folders, check,
                          vault_db_args(S(folder_id), S(&change->user->id)));
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, "Invalid folder.");
    }
}


static ngx_str_t
move_rows(vault_request_t *vr, const ngx_str_t *ids, ngx_uint_t n,
    const ngx_str_t *folder_id)
{
    ngx_uint_t      i;
    vault_writer_t  w;

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '[');

    for (i = 0; i < n; i++) {
        vault_json_open(&w, NULL, '{');
        vault_json_string(&w, "id", &ids[i]);
        vault_json_string(&w, "folder", folder_id);
        vault_json_close(&w, '}');
    }

    vault_json_close(&w, ']');

    return vault_written(vr, &w);
}


static int64_t
move_staged(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, const ngx_str_t *folder_id)
{
    ngx_str_t        rows, *id = ids->elts;
    ngx_uint_t       i;
    vault_stage_t   *stage;
    vault_change_t  *change;

    stage = vault_stage(vr, user);

    for (i = 0; i < ids->nelts; i += VAULT_STAGE_ROWS) {
        rows = move_rows(vr, &id[i], ngx_min(ids->nelts - i, VAULT_STAGE_ROWS),
                         folder_id);
        vault_stage_add(stage, VAULT_STAGE_MOVE, &rows);
    }

    change = vault_change(vr, user);
    move_check(change, folder_id);
    vault_stage_commit(stage, change);
    vault_change_commit(change);

    vault_stage_fold(vr, &user->id, &stage->id);

    return ids->nelts;
}


int64_t
vault_cipher_move(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, const ngx_str_t *folder_id)
{
    int64_t          n;
    ngx_str_t        list;
    vault_change_t  *change;

    static const char  sql[] =
        "UPDATE ciphers"
        " SET folder_id = $1"
        " WHERE user_id = $2"
        " AND id IN (SELECT value FROM {{list $3}})";

    if (too_many(vr, ids->nelts)) {
        return move_staged(vr, user, ids, folder_id);
    }

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);
    move_check(change, folder_id);

    vault_change_run(change, &n, sql,
                     vault_db_args(S(folder_id), S(&user->id), S(&list)));
    vault_change_commit(change);

    return n;
}


/* Those that were changed: they have the time of the stage. */
static ngx_array_t *
mark_staged(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, vault_stage_kind_e kind)
{
    ngx_str_t       list;
    vault_stage_t  *stage;

    static const char  sql[] =
        "SELECT " CIPHER_COLUMNS
        " FROM ciphers"
        " WHERE user_id = $1 AND revised_at = $2"
        " AND id IN (SELECT value FROM {{list $3}})";

    stage = vault_stage(vr, user);
    vault_stage_add_ids(stage, kind, ids);
    vault_stage_finish(stage);

    list = vault_db_json_list(vr, ids);

    return vault_db_list(vr, &vault_cipher_row, sql,
                         vault_db_args(S(&user->id), I(stage->now),
                                       S(&list)));
}


static ngx_array_t *
cipher_mark(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, vault_stage_kind_e kind)
{
    ngx_str_t        list;
    ngx_array_t     *rows;
    vault_change_t  *change;

    if (too_many(vr, ids->nelts)) {
        return mark_staged(vr, user, ids, kind);
    }

    list = vault_db_json_list(vr, ids);
    change = vault_change(vr, user);

    vault_change_list(change, &vault_cipher_row, &rows, bulk_sql(kind),
                      vault_db_args(I(change->now), S(&user->id), S(&list)));
    vault_change_commit(change);

    return rows;
}


ngx_array_t *
vault_cipher_restore(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    return cipher_mark(vr, user, ids, VAULT_STAGE_RESTORE);
}


ngx_array_t *
vault_cipher_archive(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    return cipher_mark(vr, user, ids, VAULT_STAGE_ARCHIVE);
}


ngx_array_t *
vault_cipher_unarchive(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids)
{
    return cipher_mark(vr, user, ids, VAULT_STAGE_UNARCHIVE);
}


void
vault_cipher_purge(vault_request_t *vr, const vault_user_t *user)
{
    ngx_str_t        none = ngx_string("");
    vault_stage_t   *stage;
    vault_change_t  *change;

    static const char  ciphers[] =
        "DELETE FROM ciphers"
        " WHERE user_id = $1";

    static const char  folders[] =
        "DELETE FROM folders"
        " WHERE user_id = $1";

    if (too_many(vr, vault_user_rows(vr, user))) {
        stage = vault_stage(vr, user);
        vault_stage_add(stage, VAULT_STAGE_PURGE, &none);
        vault_stage_finish(stage);
        return;
    }

    change = vault_change(vr, user);

    vault_file_doom_attachments(change);
    vault_change_run(change, NULL, ciphers, vault_db_args(S(&user->id)));
    vault_change_run(change, NULL, folders, vault_db_args(S(&user->id)));
    vault_change_commit(change);
}


ngx_array_t *
vault_cipher_ids(vault_request_t *vr, const vault_user_t *user)
{
    static const char  sql[] =
        "SELECT id"
        " FROM ciphers"
        " WHERE user_id = $1";

    return vault_db_list(vr, &id_row, sql, vault_db_args(S(&user->id)));
}


void
vault_cipher_require_room(vault_change_t *change)
{
    ngx_array_t  **rows;

    static const char  sql[] =
        "SELECT id FROM users"
        " WHERE id = $1"
        " AND (SELECT count(*) FROM ciphers WHERE user_id = $1) < $2";

    rows = vault_alloc(change->vr, sizeof(ngx_array_t *));

    vault_change_list(change, &id_row, rows, sql,
                      vault_db_args(S(&change->user->id),
                                    I(VAULT_CIPHER_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, VAULT_CIPHER_FULL);
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
                                   S(rows), I(change->fold
                                              ? INT64_MAX
                                              : VAULT_CIPHER_MAX)));

    if (!change->fold) {
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, VAULT_CIPHER_FULL);
    }
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
