/*
 * How trouble with the database is told: the log hears the cause once for an
 * outage and again every ten seconds while it lasts, the client one sentence.
 */

#include "port.h"


#define REPORT_AGAIN  10              /* seconds */


void
vault_db_report(vault_request_t *vr, vault_db_status_e status,
    const ngx_str_t *error, const char *sql)
{
    time_t               now = ngx_time();
    ngx_uint_t           level = NGX_LOG_ERR;
    vault_db_t          *db = vr->conf->db;
    static ngx_str_t     silent = ngx_string("no reason given");

    if (error == NULL || error->len == 0) {
        error = &silent;
    }

    if (status == VAULT_DB_GONE || status == VAULT_DB_FULL) {

        if (db->down_since == 0) {
            db->down_since = now;
            db->logged_at = 0;
        }

        if (now - db->logged_at < REPORT_AGAIN) {
            level = NGX_LOG_INFO;

        } else {
            db->logged_at = now;
        }
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


void
vault_db_answers(vault_request_t *vr)
{
    vault_db_t  *db = vr->conf->db;

    if (db->down_since) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault: %s answers again after %T s",
                      db->adapter->name, ngx_time() - db->down_since);
        db->down_since = 0;
    }
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
