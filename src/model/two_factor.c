/*
 * two_factor - the second steps that a user has set up.
 */

#include "two_factor.h"


#define COLUMNS  "user_id, provider, data, last_step, created_at"

static const vault_column_t  two_factor_columns[] = {
    { VAULT_COL_TEXT, "user_id", offsetof(vault_two_factor_t, user_id) },
    { VAULT_COL_INT, "provider", offsetof(vault_two_factor_t, provider) },
    { VAULT_COL_TEXT, "data", offsetof(vault_two_factor_t, data) },
    { VAULT_COL_INT, "last_step", offsetof(vault_two_factor_t, last_step) },
    { VAULT_COL_INT, "created_at",
      offsetof(vault_two_factor_t, created_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  two_factor_row =
    VAULT_ROW(two_factor_columns, vault_two_factor_t);


ngx_array_t *
vault_two_factor_list(vault_request_t *vr, const vault_user_t *user)
{
    static const char  sql[] =
        "SELECT " COLUMNS
        " FROM two_factors"
        " WHERE user_id = $1 AND provider <> $2"
        " ORDER BY provider";

    return vault_db_list(vr, &two_factor_row, sql,
                         vault_db_args(S(&user->id),
                                       I(VAULT_SECOND_RECOVERY)));
}


ngx_uint_t
vault_two_factor_find(vault_request_t *vr, const vault_user_t *user,
    int64_t provider, vault_two_factor_t *row)
{
    static const char  sql[] =
        "SELECT " COLUMNS
        " FROM two_factors"
        " WHERE user_id = $1 AND provider = $2";

    return vault_db_find(vr, &two_factor_row, row, sql,
                         vault_db_args(S(&user->id), I(provider)));
}


void
vault_two_factor_set(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row, const ngx_str_t *recovery)
{
    vault_change_t  *change;

    static const char  set[] =
        "INSERT INTO two_factors (" COLUMNS ")"
        " VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (user_id, provider) DO UPDATE"
        " SET data = excluded.data, last_step = excluded.last_step,"
        " created_at = excluded.created_at";

    static const char  keep[] =
        "INSERT INTO two_factors (" COLUMNS ")"
        " VALUES ($1, $2, $3, NULL, $4)"
        " ON CONFLICT (user_id, provider) DO NOTHING";

    change = vault_change(vr, user);

    vault_change_run(change, NULL, set,
                     vault_db_args(S(&user->id), I(row->provider),
                                   S(&row->data), I(row->last_step),
                                   I(change->now)));
    vault_change_run(change, NULL, keep,
                     vault_db_args(S(&user->id), I(VAULT_SECOND_RECOVERY),
                                   S(recovery), I(change->now)));
    vault_change_commit(change);
}


void
vault_two_factor_delete(vault_request_t *vr, const vault_user_t *user,
    int64_t provider)
{
    vault_change_t  *change;

    static const char  sql[] =
        "DELETE FROM two_factors"
        " WHERE user_id = $1 AND provider = $2";

    change = vault_change(vr, user);

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&user->id), I(provider)));
    vault_change_commit(change);
}


/* The key is part of the condition: another one has other steps. */

ngx_uint_t
vault_two_factor_use(vault_request_t *vr, const vault_two_factor_t *row,
    int64_t step)
{
    static const char  sql[] =
        "UPDATE two_factors"
        " SET last_step = $1"
        " WHERE user_id = $2 AND provider = $3 AND data = $4"
        " AND (last_step IS NULL OR last_step < $1)";

    return vault_db_run(vr, sql,
                        vault_db_args(I(step), S(&row->user_id),
                                      I(row->provider), S(&row->data)))
           == 1;
}


void
vault_two_factor_recover(vault_change_t *change, const ngx_str_t *code)
{
    static const char  sql[] =
        "DELETE FROM two_factors"
        " WHERE user_id = $1"
        " AND EXISTS (SELECT 1 FROM two_factors r"
        " WHERE r.user_id = $1 AND r.provider = $2 AND r.data = $3)";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&change->user->id),
                                   I(VAULT_SECOND_RECOVERY), S(code)));
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "Recovery code is incorrect. Try again.");
}
