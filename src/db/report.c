/*
 * How trouble with the database is told: the log hears the cause once for an
 * outage and again every ten seconds while it lasts, the client one sentence.
 */

#include "port.h"


#define REPORT_AGAIN  10              /* seconds */


/* Loud if it is news, or was not said for a while. */
static ngx_uint_t
report_level(vault_db_t *db, const ngx_str_t *error)
{
    time_t    now = ngx_time();
    uint32_t  hash;

    hash = ngx_crc32_short(error->data, error->len);

    if (db->down_since == 0) {
        db->down_since = now;
    }

    if (hash == db->logged_hash && now - db->logged_at < REPORT_AGAIN) {
        return NGX_LOG_INFO;
    }

    db->logged_hash = hash;
    db->logged_at = now;

    return NGX_LOG_ERR;
}


void
vault_db_report(vault_request_t *vr, vault_db_status_e status,
    const ngx_str_t *error, const char *sql)
{
    ngx_uint_t           level = NGX_LOG_ERR;
    vault_db_t          *db = vr->conf->db;
    static ngx_str_t     silent = ngx_string("no reason given");

    if (error == NULL || error->len == 0) {
        error = &silent;
    }

    if (status == VAULT_DB_GONE || status == VAULT_DB_FULL) {
        level = report_level(db, error);
        db->down = status;
    }

    if (sql) {
        ngx_log_error(level, vr->log, 0, "vault: %s: %V, in \"%*s\"",
                      db->adapter->name, error,
                      ngx_min(ngx_strlen(sql), 200), sql);
        return;
    }

    ngx_log_error(level, vr->log, 0, "vault: %s: %V", db->adapter->name,
                  error);
}


/* A full disk still answers to those who read. */
void
vault_db_answers(vault_request_t *vr, const vault_lane_t *lane)
{
    vault_db_t  *db = vr->conf->db;

    if (db->down_since == 0
        || (db->down == VAULT_DB_FULL && lane == &db->reader))
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                  "vault: %s answers again after %T s",
                  db->adapter->name, ngx_time() - db->down_since);

    db->down_since = 0;
}


void
vault_db_fail(vault_request_t *vr, vault_db_status_e status)
{
    if (status == VAULT_DB_BAD) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "The server made an error.");
    }

    vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
               "The database is not available. Please try again.");
}
