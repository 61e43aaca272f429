/*
 * mail_code - codes that were mailed, to be typed back.
 */

#include "mail_code.h"


#define COLUMNS  "user_id, purpose, hash, tries, expires_at"

static const vault_column_t  code_columns[] = {
    { VAULT_COL_TEXT, "user_id", offsetof(vault_mail_code_t, user_id) },
    { VAULT_COL_TEXT, "purpose", offsetof(vault_mail_code_t, purpose) },
    { VAULT_COL_TEXT, "hash", offsetof(vault_mail_code_t, hash) },
    { VAULT_COL_INT, "tries", offsetof(vault_mail_code_t, tries) },
    { VAULT_COL_INT, "expires_at", offsetof(vault_mail_code_t, expires_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  code_row =
    VAULT_ROW(code_columns, vault_mail_code_t);


void
vault_mail_code_save(vault_request_t *vr, const vault_mail_code_t *code)
{
    static const char  sql[] =
        "INSERT INTO mail_codes (" COLUMNS ")"
        " VALUES ($1, $2, $3, 0, $4)"
        " ON CONFLICT (user_id, purpose) DO UPDATE"
        " SET hash = excluded.hash, tries = 0,"
        " expires_at = excluded.expires_at";

    (void) vault_db_run(vr, sql,
                        vault_db_args(S(&code->user_id), S(&code->purpose),
                                      S(&code->hash), I(code->expires_at)));
}


ngx_uint_t
vault_mail_code_try(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *purpose, int64_t tries, vault_mail_code_t *code)
{
    static const char  sql[] =
        "UPDATE mail_codes"
        " SET tries = tries + 1"
        " WHERE user_id = $1 AND purpose = $2"
        " AND tries < $3 AND expires_at > $4"
        " RETURNING " COLUMNS;

    return vault_db_find(vr, &code_row, code, sql,
                         vault_db_args(S(user_id), S(purpose), I(tries),
                                       I(vault_now())));
}


ngx_uint_t
vault_mail_code_use(vault_request_t *vr, const vault_mail_code_t *code)
{
    static const char  sql[] =
        "DELETE FROM mail_codes"
        " WHERE user_id = $1 AND purpose = $2 AND hash = $3";

    return vault_db_run(vr, sql,
                        vault_db_args(S(&code->user_id), S(&code->purpose),
                                      S(&code->hash)))
           == 1;
}
