/*
 * The two content handlers: the vault, and the state of a worker.
 */

#include "module.h"
#include "../db/db.h"
#include "../rules/cache.h"
#include "../rules/front.h"
#include "../rules/jobs.h"
#include "../run/co.h"
#include "../run/driver.h"
#include "../run/thread.h"
#include "../web/static.h"


#define FILES  "/files/"


/* A link to a file is a permission, and lies in its query. */
static ngx_uint_t
has_secret_query(ngx_http_request_t *r)
{
    return r->args.len && r->uri.len > sizeof(FILES) - 1
           && ngx_strncmp(r->uri.data, FILES, sizeof(FILES) - 1) == 0;
}


ngx_int_t
vault_handler(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    vault_srv_conf_t  *scf;

    if (has_secret_query(r)) {
        vault_hide_query(r);
    }

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);

    if (vault_front_refuses(r, &scf->vault)) {
        return NGX_HTTP_FORBIDDEN;    /* nobody's client comes this way */
    }

    rc = vault_driver_handle(r, &scf->vault);

    return rc == NGX_DECLINED ? vault_static_handle(r, &scf->vault) : rc;
}


static void
status_threads(vault_writer_t *w, const char *name,
    vault_thread_pool_e pool)
{
    vault_thread_stats_t  stats;

    vault_thread_stats(pool, &stats);

    vault_json_open(w, name, '{');
    vault_json_integer(w, "threads", stats.threads);
    vault_json_integer(w, "running", stats.running);
    vault_json_integer(w, "queued", stats.queued);
    vault_json_close(w, '}');
}


static void
status_database(vault_writer_t *w, vault_srv_conf_t *scf)
{
    vault_db_stats_t     db;
    vault_cache_stats_t  cache;

    vault_db_stats(scf->vault.db, &db);

    vault_json_open(w, "database", '{');
    vault_json_integer(w, "open", db.open);
    vault_json_integer(w, "busy", db.busy);
    vault_json_integer(w, "waiting", db.waiting);
    vault_json_integer(w, "statements", db.statements);
    vault_json_integer(w, "roundTrips", db.round_trips);
    vault_json_close(w, '}');

    vault_cache_stats(scf->vault.cache, &cache);

    vault_json_open(w, "cache", '{');
    vault_json_integer(w, "entries", cache.entries);
    vault_json_integer(w, "bytes", cache.bytes);
    vault_json_integer(w, "hits", cache.hits);
    vault_json_integer(w, "misses", cache.misses);
    vault_json_close(w, '}');
}


static void
status_mail(vault_writer_t *w, vault_srv_conf_t *scf)
{
    vault_mail_stats_t  mail;

    vault_mail_stats(scf->vault.mail, &mail);

    vault_json_open(w, "mail", '{');
    vault_json_integer(w, "sent", mail.sent);
    vault_json_integer(w, "later", mail.later);
    vault_json_integer(w, "givenUp", mail.refused);
    vault_json_close(w, '}');
}


static ngx_int_t
status_send(ngx_http_request_t *r, vault_writer_t *w)
{
    ngx_int_t  rc;

    if (w->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = w->size;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    w->last->buf->last_buf = (r == r->main);
    w->last->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, w->chain);
}


/* The state of the worker that answers; for operators and tests. */
ngx_int_t
vault_status_handler(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    vault_writer_t     w;
    vault_srv_conf_t  *scf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);

    vault_writer_init(&w, r->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_integer(&w, "pid", ngx_pid);
    vault_json_integer(&w, "coroutines", vault_co_count());
    vault_json_integer(&w, "refused", vault_driver_refused());

    vault_json_open(&w, "threads", '{');
    status_threads(&w, "io", VAULT_THREAD_IO);
    status_threads(&w, "cpu", VAULT_THREAD_CPU);
    vault_json_close(&w, '}');

    if (scf->vault.db) {
        status_database(&w, scf);
        vault_jobs_status(&scf->vault, &w);
    }

    if (scf->vault.mail) {
        status_mail(&w, scf);
    }

    vault_json_close(&w, '}');

    return status_send(r, &w);
}
