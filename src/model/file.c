/*
 * file - the row of a stored object.
 */

#include "file.h"
#include "id.h"


#define FILE_COLUMNS                                                          \
    "id, user_id, cipher_id, send_id, name, key, size, size_name, state,"     \
    " created_at"

/* The states in SQL: pending, ready, doomed, deleted. */
#define PENDING  "0"
#define READY    VAULT_FILE_SQL_READY
#define DOOMED   VAULT_FILE_SQL_DOOMED
#define DELETED  "3"

#define KILO     1024


static const vault_column_t  file_columns[] = {
    { VAULT_COL_TEXT, "id", offsetof(vault_file_t, id) },
    { VAULT_COL_TEXT, "user_id", offsetof(vault_file_t, user_id) },
    { VAULT_COL_TEXT, "cipher_id", offsetof(vault_file_t, cipher_id) },
    { VAULT_COL_TEXT, "send_id", offsetof(vault_file_t, send_id) },
    { VAULT_COL_TEXT, "name", offsetof(vault_file_t, name) },
    { VAULT_COL_TEXT, "key", offsetof(vault_file_t, key) },
    { VAULT_COL_INT, "size", offsetof(vault_file_t, size) },
    { VAULT_COL_TEXT, "size_name", offsetof(vault_file_t, size_name) },
    { VAULT_COL_INT, "state", offsetof(vault_file_t, state) },
    { VAULT_COL_INT, "created_at", offsetof(vault_file_t, created_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  file_row = VAULT_ROW(file_columns, vault_file_t);

static const vault_column_t  id_columns[] = {
    { VAULT_COL_TEXT, "id", 0 },
    VAULT_COLUMNS_END
};

static const vault_row_t  id_row = VAULT_ROW(id_columns, ngx_str_t);

static const vault_column_t  used_columns[] = {
    { VAULT_COL_INT, "used", 0 },
    VAULT_COLUMNS_END
};

static const vault_row_t  used_row = VAULT_ROW(used_columns, int64_t);


static const char  refresh_sql[] =
    "UPDATE ciphers"
    " SET attachments = " VAULT_FILE_LIST("f.state = " READY)
    " WHERE user_id = $1"
    " AND id IN (SELECT value FROM {{list $2}})";


typedef struct {
    const vault_file_t  *file;
    ngx_str_t            ciphers;     /* ["id"]; null for a Send's */
    const char          *sql;
    ngx_uint_t           moved;
} move_t;


static void  file_fits(vault_change_t *change, const vault_file_t *file,
    int64_t quota);
static ngx_uint_t  file_move(vault_request_t *vr, const vault_file_t *file,
    const char *sql);
static void  file_move_apply(vault_request_t *vr, void *data);


void
vault_file_promise(vault_change_t *change, vault_file_t *file, int64_t quota)
{
    static const char  sql[] =
        "INSERT INTO files (" FILE_COLUMNS ")"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, " PENDING ", $9)";

    file->id = vault_id_create(change->vr);
    file->user_id = change->user->id;
    file->size_name = vault_file_size_name(change->vr, file->size);
    file->state = VAULT_FILE_PENDING;
    file->created_at = change->now;

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&file->id), S(&file->user_id),
                                   S(&file->cipher_id), S(&file->send_id),
                                   S(&file->name), S(&file->key),
                                   I(file->size), S(&file->size_name),
                                   I(file->created_at)));
    file_fits(change, file, quota);
}


/*
 * The row has been added and is counted with the others: what is one too many
 * takes the whole change back.
 */

static void
file_fits(vault_change_t *change, const vault_file_t *file, int64_t quota)
{
    ngx_array_t      **rows;
    const ngx_str_t   *owner = &change->user->id;

    static const char  fits[] =
        "SELECT id FROM users"
        " WHERE id = $1"
        " AND (SELECT COALESCE(sum(size), 0) FROM files"
        "  WHERE user_id = $1 AND state < " DOOMED ") <= CAST($2 AS bigint)";

    static const char  promised[] =
        "SELECT id FROM users"
        " WHERE id = $1"
        " AND (SELECT count(*) FROM files"
        "  WHERE user_id = $1 AND state = " PENDING ") <= $2";

    static const char  attached[] =
        "SELECT id FROM users"
        " WHERE id = $1"
        " AND (SELECT count(*) FROM files"
        "  WHERE cipher_id = $2 AND state < " DOOMED ") <= $3";

    rows = vault_alloc(change->vr, 3 * sizeof(ngx_array_t *));

    if (quota) {
        vault_change_list(change, &id_row, &rows[0], fits,
                          vault_db_args(S(owner), I(quota)));
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                            "Not enough storage available.");
    }

    vault_change_list(change, &id_row, &rows[1], promised,
                      vault_db_args(S(owner), I(VAULT_FILE_PENDING_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "Too many uploads at once. Try again later.");

    if (file->cipher_id.data) {
        vault_change_list(change, &id_row, &rows[2], attached,
                          vault_db_args(S(owner), S(&file->cipher_id),
                                        I(VAULT_FILE_PER_CIPHER)));
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                            "The item has too many attachments.");
    }
}


vault_file_t *
vault_file_find(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    vault_file_t  *file;

    static const char  sql[] =
        "SELECT " FILE_COLUMNS
        " FROM files"
        " WHERE id = $1 AND user_id = $2 AND state < " DOOMED;

    file = vault_alloc(vr, sizeof(vault_file_t));

    if (!vault_db_find(vr, &file_row, file, sql,
                       vault_db_args(S(id), S(&user->id))))
    {
        return NULL;
    }

    return file;
}


vault_file_t *
vault_file_find_any(vault_request_t *vr, const ngx_str_t *id)
{
    vault_file_t  *file;

    static const char  sql[] =
        "SELECT " FILE_COLUMNS
        " FROM files"
        " WHERE id = $1 AND state < " DOOMED;

    file = vault_alloc(vr, sizeof(vault_file_t));

    if (!vault_db_find(vr, &file_row, file, sql, vault_db_args(S(id)))) {
        return NULL;
    }

    return file;
}


ngx_array_t *
vault_file_pending(vault_request_t *vr, const vault_user_t *user)
{
    static const char  sql[] =
        "SELECT " FILE_COLUMNS
        " FROM files"
        " WHERE user_id = $1 AND state = " PENDING
        " ORDER BY created_at DESC"
        " LIMIT $2";

    return vault_db_list(vr, &file_row, sql,
                         vault_db_args(S(&user->id),
                                       I(VAULT_FILE_PENDING_MAX)));
}


ngx_uint_t
vault_file_settle(vault_request_t *vr, const vault_file_t *file)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " READY
        " WHERE id = $1 AND user_id = $2 AND state = " PENDING;

    return file_move(vr, file, sql);
}


ngx_uint_t
vault_file_doom(vault_request_t *vr, const vault_file_t *file)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " DOOMED
        " WHERE id = $1 AND user_id = $2 AND state < " DOOMED;

    return file_move(vr, file, sql);
}


static ngx_uint_t
file_move(vault_request_t *vr, const vault_file_t *file, const char *sql)
{
    move_t       move;
    ngx_array_t  ids;

    move.file = file;
    move.sql = sql;
    ngx_str_null(&move.ciphers);

    if (file->cipher_id.data) {
        ids = vault_id_list(&file->cipher_id);
        move.ciphers = vault_db_json_list(vr, &ids);
    }

    vault_db_transaction(vr, file_move_apply, &move);

    return move.moved;
}


/*
 * The user's row goes first, as in each change (change.c), and whatever comes
 * of it: whoever changes the item at the same time waits, so that its list is
 * never written from what was true before.
 */

static void
file_move_apply(vault_request_t *vr, void *data)
{
    move_t  *move = data;

    int64_t              moved;
    vault_db_batch_t    *batch;
    const vault_file_t  *file = move->file;

    static const char  touch[] =
        "UPDATE users"
        " SET " VAULT_USER_REVISE("$1")
        " WHERE id = $2";

    batch = vault_db_batch(vr);

    vault_db_batch_add(batch, NULL, touch,
                       vault_db_args(I(vault_now()), S(&file->user_id)));
    vault_db_batch_add(batch, &moved, move->sql,
                       vault_db_args(S(&file->id), S(&file->user_id)));

    if (move->ciphers.data) {
        vault_db_batch_add(batch, NULL, refresh_sql,
                           vault_db_args(S(&file->user_id),
                                         S(&move->ciphers)));
    }

    vault_db_batch_run(batch);

    move->moved = moved == 1;
}


void
vault_file_doom_ciphers(vault_change_t *change, const ngx_str_t *ids)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " DOOMED
        " WHERE user_id = $1 AND state < " DOOMED
        " AND cipher_id IN (SELECT value FROM {{list $2}})";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id), S(ids)));
}


void
vault_file_doom_sends(vault_change_t *change, const ngx_str_t *ids)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " DOOMED
        " WHERE user_id = $1 AND state < " DOOMED
        " AND send_id IN (SELECT value FROM {{list $2}})";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id), S(ids)));
}


void
vault_file_doom_attachments(vault_change_t *change)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " DOOMED
        " WHERE user_id = $1 AND state < " DOOMED
        " AND cipher_id IS NOT NULL";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id)));
}


/* What is under a key that goes cannot be read when it arrives. */

void
vault_file_doom_promises(vault_change_t *change)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " DOOMED
        " WHERE user_id = $1 AND state = " PENDING
        " AND cipher_id IS NOT NULL";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id)));
}


void
vault_file_doom_all(vault_change_t *change)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " DOOMED
        " WHERE user_id = $1 AND state < " DOOMED;

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id)));
}


void
vault_file_refresh(vault_change_t *change, const ngx_str_t *cipher_ids)
{
    vault_change_run(change, NULL, refresh_sql,
                     vault_db_args(S(&change->user->id), S(cipher_ids)));
}


void
vault_file_refresh_all(vault_change_t *change)
{
    static const char  sql[] =
        "UPDATE ciphers"
        " SET attachments = " VAULT_FILE_LIST("f.state = " READY)
        " WHERE user_id = $1 AND attachments IS NOT NULL";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id)));
}


void
vault_file_rename(vault_change_t *change, const ngx_str_t *rows,
    int64_t *renamed)
{
    static const char  sql[] =
        "UPDATE files"
        " SET name = COALESCE(r.name, files.name),"
        " key = CASE WHEN r.keep = 1 THEN files.key ELSE r.key END"
        " FROM {{rows $1 (id text, cipher text, name text, key text,"
        " keep bigint)}} AS r"
        " WHERE files.id = r.id AND files.cipher_id = r.cipher"
        " AND files.user_id = $2 AND files.state = " READY
        " AND (r.keep = 1 OR r.key IS NOT NULL OR files.key IS NULL)";

    vault_change_run(change, renamed, sql,
                     vault_db_args(S(rows), S(&change->user->id)));
}


int64_t
vault_file_used(vault_request_t *vr, const vault_user_t *user)
{
    int64_t  used;

    static const char  sql[] =
        "SELECT CAST(COALESCE(sum(size), 0) AS bigint) AS used"
        " FROM files"
        " WHERE user_id = $1 AND state < " DOOMED;

    used = 0;
    (void) vault_db_find(vr, &used_row, &used, sql,
                         vault_db_args(S(&user->id)));

    return used;
}


ngx_array_t *
vault_file_old(vault_request_t *vr, vault_file_state_e state, int64_t before,
    const vault_file_t *after, ngx_uint_t most)
{
    int64_t    time = -1;
    ngx_str_t  id = ngx_string("");

    static const char  sql[] =
        "SELECT " FILE_COLUMNS
        " FROM files"
        " WHERE state = $1 AND created_at < $2"
        " AND created_at >= $3 AND (created_at > $3 OR id > $4)"
        " ORDER BY created_at, id"
        " LIMIT $5";

    if (after) {
        time = after->created_at;
        id = after->id;
    }

    return vault_db_list(vr, &file_row, sql,
                         vault_db_args(I(state), I(before), I(time), S(&id),
                                       I(most)));
}


void
vault_file_forget(vault_request_t *vr, const ngx_array_t *ids, int64_t before)
{
    ngx_str_t          list;
    vault_db_batch_t  *batch;

    static const char  delete[] =
        "DELETE FROM files"
        " WHERE state >= " DOOMED " AND created_at < $1"
        " AND id IN (SELECT value FROM {{list $2}})";

    static const char  mark[] =
        "UPDATE files"
        " SET state = " DELETED
        " WHERE state = " DOOMED " AND created_at >= $1"
        " AND id IN (SELECT value FROM {{list $2}})";

    list = vault_db_json_list(vr, ids);
    batch = vault_db_batch(vr);

    vault_db_batch_add(batch, NULL, delete,
                       vault_db_args(I(before), S(&list)));
    vault_db_batch_add(batch, NULL, mark, vault_db_args(I(before), S(&list)));
    vault_db_batch_run(batch);
}


/* Two digits at most, none of them for nothing: as bitwarden/server. */

ngx_str_t
vault_file_size_name(vault_request_t *vr, int64_t size)
{
    int64_t     unit, hundredths;
    ngx_uint_t  i;

    static const char *const  names[] = { "KB", "MB", "GB" };

    if (size < KILO) {
        return vault_printf(vr, "%L Bytes", size);
    }

    unit = KILO;

    for (i = 0; i < 2 && size >= unit * KILO; i++) {
        unit *= KILO;
    }

    hundredths = (size * 100 + unit / 2) / unit;

    if (hundredths % 100 == 0) {
        return vault_printf(vr, "%L %s", hundredths / 100, names[i]);
    }

    if (hundredths % 10 == 0) {
        return vault_printf(vr, "%L.%L %s", hundredths / 100,
                            hundredths / 10 % 10, names[i]);
    }

    return vault_printf(vr, "%L.%02L %s", hundredths / 100, hundredths % 100,
                        names[i]);
}
