/*
 * Strict mode: what the narrowest back end (Aurora DSQL) would refuse is
 * refused everywhere, so that a test on SQLite finds it.  Counted always, the
 * counting is cheap; enforced when vault_db_set_strict() says so.
 */

#include "port.h"


void
vault_strict_add(vault_strict_t *strict,
    const vault_db_statement_t *statement)
{
    ngx_uint_t        i;
    vault_sql_kind_t  kind;

    kind = vault_sql_kind(statement->sql);

    if (!kind.write) {
        return;
    }

    if (kind.ddl) {
        strict->ddl++;

    } else {
        strict->dml++;
        strict->rows += statement->result.changed;
    }

    for (i = 0; i < statement->n; i++) {
        strict->bytes += statement->args[i].is_text
                         ? statement->args[i].text.len : sizeof(int64_t);
    }
}


void
vault_strict_check(vault_request_t *vr, const vault_strict_t *strict,
    const char *sql)
{
    const char  *broken;

    if (strict->rows > VAULT_DB_STRICT_ROWS) {
        broken = "more than 3000 rows changed in one transaction";

    } else if (strict->bytes > VAULT_DB_STRICT_BYTES) {
        broken = "more than 10 MiB of parameters in one transaction";

    } else if (strict->ddl > 1) {
        broken = "more than one DDL statement in one transaction";

    } else if (strict->ddl && strict->dml) {
        broken = "DDL and DML in one transaction";

    } else {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "strict: %s: %L rows, %uz bytes, %ui DDL, %ui DML, at "
                  "\"%*s\"",
                  broken, strict->rows, strict->bytes, strict->ddl,
                  strict->dml, ngx_min(ngx_strlen(sql), 200), sql);

    vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
               "The server made an error.");
}


ngx_uint_t
vault_db_fits(vault_request_t *vr, int64_t rows, size_t bytes)
{
    int64_t      most_rows;
    size_t       most_bytes;
    vault_db_t  *db = vr->conf->db;

    most_rows = db->strict ? VAULT_DB_FEW_ROWS : db->adapter->most_rows;
    most_bytes = db->strict ? VAULT_DB_FEW_BYTES : db->adapter->most_bytes;

    return (most_rows == 0 || rows <= most_rows)
           && (most_bytes == 0 || bytes <= most_bytes);
}
