/*
 * send - a text or a file that whoever has its link may read for a while.
 */

#include "send.h"
#include "file.h"
#include "id.h"


#define SEND_COLUMNS                                                          \
    "id, user_id, type, name, notes, data, key, password_hash,"               \
    " password_salt, password_rounds, max_accesses, accesses, disabled,"      \
    " hide_email, created_at, revised_at, expires_at, deletes_at"

/* A text, or a file that is there. */
#define SEND_READY                                                            \
    "(sends.type = 0"                                                         \
    " OR EXISTS (SELECT 1 FROM files AS f"                                    \
    "  WHERE f.send_id = sends.id"                                            \
    "  AND f.state = " VAULT_FILE_SQL_READY "))"

/* Whether receivers may have it. */
#define SEND_OPEN(now)                                                        \
    "disabled = 0 AND deletes_at > " now                                      \
    " AND (expires_at IS NULL OR expires_at > " now ")"                       \
    " AND (max_accesses IS NULL OR accesses < max_accesses)"

#define SEND_TEXT(column)                                                     \
    { VAULT_COL_TEXT, #column, offsetof(vault_send_t, column) }
#define SEND_INT(column)                                                      \
    { VAULT_COL_INT, #column, offsetof(vault_send_t, column) }

#define SEND_MEMBERS                                                          \
    SEND_TEXT(id), SEND_TEXT(user_id), SEND_INT(type), SEND_TEXT(name),       \
    SEND_TEXT(notes), SEND_TEXT(data), SEND_TEXT(key),                        \
    SEND_TEXT(password_hash), SEND_TEXT(password_salt),                       \
    SEND_INT(password_rounds), SEND_INT(max_accesses), SEND_INT(accesses),    \
    SEND_INT(disabled), SEND_INT(hide_email), SEND_INT(created_at),           \
    SEND_INT(revised_at), SEND_INT(expires_at), SEND_INT(deletes_at)


static const vault_column_t  send_columns[] = {
    SEND_MEMBERS,
    VAULT_COLUMNS_END
};

static const vault_column_t  received_columns[] = {
    SEND_MEMBERS,
    SEND_TEXT(email), SEND_TEXT(file_id), SEND_INT(file_state),
    VAULT_COLUMNS_END
};

static const vault_row_t  send_row = VAULT_ROW(send_columns, vault_send_t);
static const vault_row_t  received_row =
    VAULT_ROW(received_columns, vault_send_t);

static const char  select_all[] =
    "SELECT " SEND_COLUMNS
    " FROM sends"
    " WHERE user_id = $1 AND " SEND_READY;


typedef struct {
    const vault_send_t  *send;
    int64_t              now;
    int64_t              counted;
} count_t;


static vault_send_t  *send_find(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id, const char *sql);
static vault_send_t  *send_changed(vault_request_t *vr,
    const vault_user_t *user, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n);
static void  count_apply(vault_request_t *vr, void *data);


ngx_array_t *
vault_send_list(vault_request_t *vr, const vault_user_t *user)
{
    return vault_db_list(vr, &send_row, select_all,
                         vault_db_args(S(&user->id)));
}


void
vault_send_batch(vault_db_batch_t *batch, const vault_user_t *user,
    ngx_array_t **sends)
{
    vault_db_batch_list(batch, &send_row, sends, select_all,
                        vault_db_args(S(&user->id)));
}


vault_send_t *
vault_send_get(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    return send_find(vr, user, id,
                     "SELECT " SEND_COLUMNS
                     " FROM sends"
                     " WHERE id = $1 AND user_id = $2 AND " SEND_READY);
}


vault_send_t *
vault_send_get_promised(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    return send_find(vr, user, id,
                     "SELECT " SEND_COLUMNS
                     " FROM sends"
                     " WHERE id = $1 AND user_id = $2");
}


static vault_send_t *
send_find(vault_request_t *vr, const vault_user_t *user, const ngx_str_t *id,
    const char *sql)
{
    vault_send_t  *send;

    send = vault_calloc(vr, sizeof(vault_send_t));

    if (!vault_db_find(vr, &send_row, send, sql,
                       vault_db_args(S(id), S(&user->id))))
    {
        vault_fail(vr, VAULT_MISSING);
    }

    return send;
}


void
vault_send_insert(vault_change_t *change, vault_send_t *send)
{
    static const char  sql[] =
        "INSERT INTO sends (" SEND_COLUMNS ")"
        " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13,"
        " $14, $14, $15, $16"
        " WHERE (SELECT count(*) FROM sends WHERE user_id = $2) < $17";

    send->user_id = change->user->id;
    send->accesses = 0;
    send->created_at = change->now;
    send->revised_at = change->now;

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&send->id), S(&send->user_id),
                                   I(send->type), S(&send->name),
                                   S(&send->notes), S(&send->data),
                                   S(&send->key), S(&send->password_hash),
                                   S(&send->password_salt),
                                   I(send->password_rounds),
                                   I(send->max_accesses), I(send->disabled),
                                   I(send->hide_email), I(change->now),
                                   I(send->expires_at), I(send->deletes_at),
                                   I(VAULT_SEND_MAX)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "You have too many Sends.");
}


/*
 * What a file is cannot change, and a password that stays is not read before:
 * between the two somebody else might set another.
 */

void
vault_send_update(vault_request_t *vr, const vault_user_t *user,
    vault_send_t *send, ngx_uint_t keep)
{
    static const char  sql[] =
        "UPDATE sends"
        " SET name = $1, notes = $2, key = $3,"
        " data = CASE WHEN type = 0 THEN $4 ELSE data END,"
        " password_hash = CASE WHEN $5 = 1 THEN password_hash ELSE $6 END,"
        " password_salt = CASE WHEN $5 = 1 THEN password_salt ELSE $7 END,"
        " password_rounds = CASE WHEN $5 = 1 THEN password_rounds"
        "  ELSE $8 END,"
        " max_accesses = $9, disabled = $10, hide_email = $11,"
        " expires_at = $12, deletes_at = $13, revised_at = $14"
        " WHERE id = $15 AND user_id = $16 AND type = $17 AND " SEND_READY
        " RETURNING " SEND_COLUMNS;

    *send = *send_changed(vr, user, sql,
                          vault_db_args(S(&send->name), S(&send->notes),
                                        S(&send->key), S(&send->data),
                                        I(keep), S(&send->password_hash),
                                        S(&send->password_salt),
                                        I(send->password_rounds),
                                        I(send->max_accesses),
                                        I(send->disabled),
                                        I(send->hide_email),
                                        I(send->expires_at),
                                        I(send->deletes_at),
                                        I(vault_now()), S(&send->id),
                                        S(&user->id), I(send->type)));
}


vault_send_t *
vault_send_delete_password(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    static const char  sql[] =
        "UPDATE sends"
        " SET password_hash = NULL, password_salt = NULL,"
        " password_rounds = NULL, revised_at = $1"
        " WHERE id = $2 AND user_id = $3 AND " SEND_READY
        " RETURNING " SEND_COLUMNS;

    return send_changed(vr, user, sql,
                        vault_db_args(I(vault_now()), S(id), S(&user->id)));
}


/* A change by one statement, and the row that it returns. */

static vault_send_t *
send_changed(vault_request_t *vr, const vault_user_t *user, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    ngx_array_t     *rows;
    vault_change_t  *change;

    change = vault_change(vr, user);

    vault_change_list(change, &send_row, &rows, sql, args, n);
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);

    return rows->elts;
}


void
vault_send_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id)
{
    ngx_str_t        list;
    ngx_array_t      ids;
    vault_change_t  *change;

    static const char  sql[] =
        "DELETE FROM sends"
        " WHERE id = $1 AND user_id = $2";

    ids = vault_id_list(id);
    list = vault_db_json_list(vr, &ids);
    change = vault_change(vr, user);

    vault_file_doom_sends(change, &list);
    vault_change_run(change, NULL, sql, vault_db_args(S(id), S(&user->id)));
    vault_change_refuse(change, VAULT_MISSING);
    vault_change_commit(change);
}


void
vault_send_update_rows(vault_change_t *change, const ngx_str_t *rows,
    int64_t *updated)
{
    static const char  sql[] =
        "UPDATE sends"
        " SET key = r.key, revised_at = $1"
        " FROM {{rows $2 (id text, key text)}} AS r"
        " WHERE sends.id = r.id AND sends.user_id = $3";

    static const char  doom[] =
        "UPDATE files"
        " SET state = " VAULT_FILE_SQL_DOOMED
        " WHERE user_id = $1 AND state < " VAULT_FILE_SQL_READY
        " AND send_id IS NOT NULL";

    static const char  forget[] =
        "DELETE FROM sends"
        " WHERE user_id = $1 AND NOT " SEND_READY;

    vault_change_run(change, NULL, doom,
                     vault_db_args(S(&change->user->id)));
    vault_change_run(change, NULL, forget,
                     vault_db_args(S(&change->user->id)));
    vault_change_run(change, updated, sql,
                     vault_db_args(I(change->now), S(rows),
                                   S(&change->user->id)));
}


vault_send_t *
vault_send_find_any(vault_request_t *vr, const ngx_str_t *id)
{
    vault_send_t  *send;

    static const char  sql[] =
        "SELECT s.id, s.user_id, s.type, s.name, s.notes, s.data, s.key,"
        " s.password_hash, s.password_salt, s.password_rounds,"
        " s.max_accesses, s.accesses, s.disabled, s.hide_email,"
        " s.created_at, s.revised_at, s.expires_at, s.deletes_at,"
        " u.email, f.id AS file_id, f.state AS file_state"
        " FROM sends AS s"
        " JOIN users AS u ON u.id = s.user_id"
        " LEFT JOIN files AS f ON f.send_id = s.id"
        "  AND f.state < " VAULT_FILE_SQL_DOOMED
        " WHERE s.id = $1";

    send = vault_calloc(vr, sizeof(vault_send_t));

    if (!vault_db_find(vr, &received_row, send, sql, vault_db_args(S(id)))) {
        return NULL;
    }

    return send;
}


ngx_uint_t
vault_send_count(vault_request_t *vr, const vault_send_t *send)
{
    count_t  count;

    count.send = send;
    count.now = vault_now();

    vault_db_transaction(vr, count_apply, &count);

    return count.counted == 1;
}


/* The owner's row goes first, as in each change (change.c). */

static void
count_apply(vault_request_t *vr, void *data)
{
    count_t  *count = data;

    vault_db_batch_t    *batch;
    const vault_send_t  *send = count->send;

    static const char  touch[] =
        "UPDATE users"
        " SET " VAULT_USER_REVISE("$1")
        " WHERE id = $2"
        " AND EXISTS (SELECT 1 FROM sends"
        "  WHERE id = $3 AND " SEND_OPEN("$1") ")";

    static const char  sql[] =
        "UPDATE sends"
        " SET accesses = accesses + 1"
        " WHERE id = $1 AND user_id = $2 AND " SEND_OPEN("$3");

    batch = vault_db_batch(vr);

    vault_db_batch_add(batch, NULL, touch,
                       vault_db_args(I(count->now), S(&send->user_id),
                                     S(&send->id)));
    vault_db_batch_add(batch, &count->counted, sql,
                       vault_db_args(S(&send->id), S(&send->user_id),
                                     I(count->now)));
    vault_db_batch_run(batch);
}
