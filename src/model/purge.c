/*
 * purge - deletes what has had its time, a batch at a time.
 */

#include "purge.h"
#include "file.h"


/* Rows that one transaction may touch: below strict mode's 3,000. */
#define PURGE_CHANGES  2500

/* The same for each table, whose texts differ. */
typedef struct {
    const char  *find;                /* $1: time, $2: most */
    const char  *touch;               /* $1: now, $2: time, $3: ids */
    const char  *doom;                /* $1: time, $2: ids */
    const char  *delete;              /* $1: time, $2: ids */
} purge_texts_t;

typedef struct {
    const purge_texts_t  *texts;
    int64_t               time;
    ngx_str_t             ids;
    int64_t               deleted;
} purge_batch_t;

typedef struct {
    ngx_str_t  id;
    int64_t    files;                 /* that go with it */
} purge_row_t;

static const vault_column_t  purge_columns[] = {
    { VAULT_COL_TEXT, "id", offsetof(purge_row_t, id) },
    { VAULT_COL_INT, "files", offsetof(purge_row_t, files) },
    VAULT_COLUMNS_END
};

static const vault_row_t  purge_row = VAULT_ROW(purge_columns, purge_row_t);

#define PURGE_DOOM                                                            \
    "UPDATE files"                                                            \
    " SET state = " VAULT_FILE_SQL_DOOMED                                     \
    " WHERE state < " VAULT_FILE_SQL_DOOMED " AND "

/* of its time, of the list */
#define PURGE_DUE(table, time, at, ids)                                       \
    " FROM " table                                                            \
    " WHERE " time " <= " at " AND user_id IS NOT NULL"                       \
    " AND id IN (SELECT value FROM {{list " ids "}})"

#define PURGE_FIND(table, time, link)                                         \
    "SELECT t.id, (SELECT count(*) FROM files AS f"                           \
    "  WHERE f." link " = t.id) AS files"                                     \
    " FROM " table " AS t"                                                    \
    " WHERE t." time " <= $1 AND t.user_id IS NOT NULL"                       \
    " ORDER BY t." time                                                       \
    " LIMIT $2"

#define PURGE_TEXTS(table, time, link)                                        \
    PURGE_FIND(table, time, link),                                            \
    "UPDATE users"                                                            \
    " SET " VAULT_USER_REVISE("$1")                                           \
    " WHERE id IN (SELECT user_id" PURGE_DUE(table, time, "$2", "$3") ")",    \
    PURGE_DOOM link                                                           \
    " IN (SELECT id" PURGE_DUE(table, time, "$1", "$2") ")",                  \
    "DELETE" PURGE_DUE(table, time, "$1", "$2")

static const purge_texts_t  purge_sends = {
    PURGE_TEXTS("sends", "deletes_at", "send_id")
};

static const purge_texts_t  purge_trash = {
    PURGE_TEXTS("ciphers", "deleted_at", "cipher_id")
};


/*
 * As many as fit in a transaction, their files and their owners included; an
 * item has at most VAULT_FILE_PER_CIPHER files that are not doomed.
 */
static ngx_str_t
purge_choose(vault_request_t *vr, const ngx_array_t *rows, ngx_uint_t *chosen)
{
    int64_t       changes = 0;
    ngx_str_t    *id;
    ngx_uint_t    i;
    purge_row_t  *row = rows->elts;
    ngx_array_t   ids;

    if (ngx_array_init(&ids, vr->pool, rows->nelts, sizeof(ngx_str_t))
        != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "No memory.");
    }

    for (i = 0; i < rows->nelts; i++) {
        changes += 2 + row[i].files;

        if (i && changes > PURGE_CHANGES) {
            break;
        }

        id = ngx_array_push(&ids);    /* there is room */
        *id = row[i].id;
    }

    *chosen = i;

    return vault_db_json_list(vr, &ids);
}


/* The owners' rows first: the order of every change of a vault (change.c). */
static void
purge_apply(vault_request_t *vr, void *data)
{
    purge_batch_t     *purge = data;
    vault_db_batch_t  *batch;

    batch = vault_db_batch(vr);

    vault_db_batch_add(batch, NULL, purge->texts->touch,
                       vault_db_args(I(vault_now()), I(purge->time),
                                     S(&purge->ids)));
    vault_db_batch_add(batch, NULL, purge->texts->doom,
                       vault_db_args(I(purge->time), S(&purge->ids)));
    vault_db_batch_add(batch, &purge->deleted, purge->texts->delete,
                       vault_db_args(I(purge->time), S(&purge->ids)));
    vault_db_batch_run(batch);
}


static vault_purge_t
purge_rows(vault_request_t *vr, const purge_texts_t *texts, int64_t time)
{
    ngx_uint_t      chosen;
    ngx_array_t    *rows;
    vault_purge_t   done = { 0, 0 };
    purge_batch_t   purge;

    rows = vault_db_list(vr, &purge_row, texts->find,
                         vault_db_args(I(time), I(VAULT_PURGE_ROWS)));

    if (rows->nelts == 0) {
        return done;
    }

    purge.texts = texts;
    purge.time = time;
    purge.ids = purge_choose(vr, rows, &chosen);

    vault_db_transaction(vr, purge_apply, &purge);

    done.deleted = purge.deleted;
    done.more = chosen < rows->nelts || rows->nelts == VAULT_PURGE_ROWS;

    return done;
}


vault_purge_t
vault_purge_sends(vault_request_t *vr, int64_t now)
{
    return purge_rows(vr, &purge_sends, now);
}


vault_purge_t
vault_purge_trash(vault_request_t *vr, int64_t before)
{
    return purge_rows(vr, &purge_trash, before);
}


/*
 * A single statement, and no client sees what it changes.  These run once a
 * day and walk through their table: an index would cost each sign-in more.
 */
static vault_purge_t
purge_statement(vault_request_t *vr, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n)
{
    vault_purge_t  done;

    done.deleted = vault_db_run(vr, sql, args, n);
    done.more = done.deleted == VAULT_PURGE_ROWS;

    return done;
}


/*
 * The last device of an account stays: without any, the next would be taken
 * for its first, which no code is asked for.
 */

vault_purge_t
vault_purge_devices(vault_request_t *vr, int64_t before)
{
    static const char  sql[] =
        "DELETE FROM devices"
        " WHERE seen_at < $1"
        " AND id IN (SELECT d.id FROM devices AS d"
        "  WHERE d.seen_at < $1 AND d.encrypted_user_key IS NULL"
        "  AND (d.refresh_hash IS NULL OR d.refresh_expires_at < $2)"
        "  AND EXISTS (SELECT 1 FROM devices AS o"
        "   WHERE o.user_id = d.user_id AND (o.seen_at > d.seen_at"
        "    OR (o.seen_at = d.seen_at AND o.id > d.id)))"
        "  ORDER BY d.seen_at"
        "  LIMIT $3)";

    return purge_statement(vr, sql,
                           vault_db_args(I(before), I(vault_now()),
                                         I(VAULT_PURGE_ROWS)));
}


vault_purge_t
vault_purge_orphans(vault_request_t *vr)
{
    static const char  sql[] =
        "UPDATE files"
        " SET state = " VAULT_FILE_SQL_DOOMED
        " WHERE state = " VAULT_FILE_SQL_READY
        " AND id IN (SELECT f.id FROM files AS f"
        "  WHERE f.state = " VAULT_FILE_SQL_READY
        "  AND NOT EXISTS (SELECT 1 FROM ciphers AS c"
        "   WHERE c.id = f.cipher_id)"
        "  AND NOT EXISTS (SELECT 1 FROM sends AS s"
        "   WHERE s.id = f.send_id)"
        "  LIMIT $1)";

    return purge_statement(vr, sql, vault_db_args(I(VAULT_PURGE_ROWS)));
}


/* A Send and its file come into being in one transaction. */
vault_purge_t
vault_purge_empty_sends(vault_request_t *vr)
{
    static const char  sql[] =
        "DELETE FROM sends"
        " WHERE id IN (SELECT s.id FROM sends AS s"
        "  WHERE s.type = 1"
        "  AND NOT EXISTS (SELECT 1 FROM files AS f"
        "   WHERE f.send_id = s.id AND f.state < " VAULT_FILE_SQL_DOOMED ")"
        "  LIMIT $1)";

    return purge_statement(vr, sql, vault_db_args(I(VAULT_PURGE_ROWS)));
}
