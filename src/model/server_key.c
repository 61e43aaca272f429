/*
 * server_key - keys that all nodes of one database share.
 */

#include "server_key.h"


typedef struct {
    ngx_str_t  value;
} key_row_t;

static const vault_column_t  key_columns[] = {
    { VAULT_COL_TEXT, "value", offsetof(key_row_t, value) },
    VAULT_COLUMNS_END
};

static const vault_row_t  key_row = VAULT_ROW(key_columns, key_row_t);


static ngx_str_t
key_name(const char *name)
{
    ngx_str_t  text;

    text.data = (u_char *) name;
    text.len = ngx_strlen(name);

    return text;
}


ngx_uint_t
vault_server_key_find(vault_request_t *vr, const char *name, ngx_str_t *value)
{
    ngx_str_t  text = key_name(name);
    key_row_t  row;

    static const char  sql[] =
        "SELECT value FROM server_keys WHERE name = $1";

    if (!vault_db_find(vr, &key_row, &row, sql, vault_db_args(S(&text)))) {
        return 0;
    }

    *value = row.value;

    return 1;
}


void
vault_server_key_insert(vault_request_t *vr, const char *name,
    const ngx_str_t *value)
{
    ngx_str_t  text = key_name(name);

    static const char  sql[] =
        "INSERT INTO server_keys (name, value, created_at)"
        " VALUES ($1, $2, $3)"
        " ON CONFLICT (name) DO NOTHING";

    (void) vault_db_run(vr, sql, vault_db_args(S(&text), S(value),
                                               I(vault_now())));
}
