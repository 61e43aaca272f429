/*
 * outbox - mails that wait to be sent.
 */

#include "outbox.h"


/* What lies further ahead was written by a clock that was wrong. */
#define AHEAD  (3 * 24 * 3600 * (int64_t) 1000)

#define OUTBOX_COLUMNS                                                        \
    "id, recipient, template, variables, tries, created_at, due_at, expires_at"

static const vault_column_t  outbox_columns[] = {
    { VAULT_COL_TEXT, "id", offsetof(vault_outbox_t, id) },
    { VAULT_COL_TEXT, "recipient", offsetof(vault_outbox_t, recipient) },
    { VAULT_COL_TEXT, "template", offsetof(vault_outbox_t, template) },
    { VAULT_COL_TEXT, "variables", offsetof(vault_outbox_t, variables) },
    { VAULT_COL_INT, "tries", offsetof(vault_outbox_t, tries) },
    { VAULT_COL_INT, "created_at", offsetof(vault_outbox_t, created_at) },
    { VAULT_COL_INT, "due_at", offsetof(vault_outbox_t, due_at) },
    { VAULT_COL_INT, "expires_at", offsetof(vault_outbox_t, expires_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  outbox_row =
    VAULT_ROW(outbox_columns, vault_outbox_t);

static const char  insert[] =
    "INSERT INTO mails (" OUTBOX_COLUMNS ")"
    " VALUES ($1, $2, $3, $4, 0, $5, $6, $7)"
    " ON CONFLICT (id) DO NOTHING";


void
vault_outbox_insert(vault_request_t *vr, const vault_outbox_t *mail)
{
    (void) vault_db_run(vr, insert,
                        vault_db_args(S(&mail->id), S(&mail->recipient),
                                      S(&mail->template),
                                      S(&mail->variables),
                                      I(mail->created_at), I(mail->due_at),
                                      I(mail->expires_at)));
}


void
vault_outbox_add(vault_change_t *change, const vault_outbox_t *mail)
{
    vault_change_run(change, NULL, insert,
                     vault_db_args(S(&mail->id), S(&mail->recipient),
                                   S(&mail->template), S(&mail->variables),
                                   I(mail->created_at), I(mail->due_at),
                                   I(mail->expires_at)));
}


/* What is due is asked again under the lock: another may have been quicker. */

ngx_uint_t
vault_outbox_take(vault_request_t *vr, vault_outbox_t *mail, int64_t life)
{
    int64_t  now = vault_now();

    static const char  sql[] =
        "UPDATE mails"
        " SET due_at = $1, tries = tries + 1"
        " WHERE id = (SELECT id FROM mails"
        "  WHERE due_at <= $2 OR due_at > $3"
        "  ORDER BY due_at LIMIT 1)"
        " AND (due_at <= $2 OR due_at > $3)"
        " RETURNING " OUTBOX_COLUMNS;

    return vault_db_find(vr, &outbox_row, mail, sql,
                         vault_db_args(I(now + life), I(now),
                                       I(now + AHEAD)));
}


ngx_uint_t
vault_outbox_take_one(vault_request_t *vr, vault_outbox_t *mail,
    const ngx_str_t *id, int64_t life)
{
    int64_t  now = vault_now();

    static const char  sql[] =
        "UPDATE mails"
        " SET due_at = $1, tries = tries + 1"
        " WHERE id = $2 AND due_at <= $3"
        " RETURNING " OUTBOX_COLUMNS;

    return vault_db_find(vr, &outbox_row, mail, sql,
                         vault_db_args(I(now + life), S(id), I(now)));
}


void
vault_outbox_delete(vault_request_t *vr, const vault_outbox_t *mail)
{
    static const char  sql[] =
        "DELETE FROM mails WHERE id = $1";

    (void) vault_db_run(vr, sql, vault_db_args(S(&mail->id)));
}


void
vault_outbox_take_back(vault_request_t *vr, const ngx_str_t *id,
    const ngx_str_t *other)
{
    static const char  sql[] =
        "DELETE FROM mails WHERE id IN ($1, $2)";

    (void) vault_db_run(vr, sql, vault_db_args(S(id), S(other)));
}


void
vault_outbox_put_off(vault_request_t *vr, const vault_outbox_t *mail,
    int64_t due_at)
{
    static const char  sql[] =
        "UPDATE mails SET due_at = $1 WHERE id = $2 AND due_at = $3";

    (void) vault_db_run(vr, sql, vault_db_args(I(due_at), S(&mail->id),
                                               I(mail->due_at)));
}
