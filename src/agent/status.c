#include "status.h"

#include "../json/json.h"


static void
write_agent(vault_writer_t *w, vault_agent_t *agent, int64_t now)
{
    vault_agent_stats_t  stats;

    vault_agent_stats(agent, &stats);

    vault_json_open(w, NULL, '{');
    vault_json_string(w, "address", &agent->settings.name);
    vault_json_integer(w, "logins", stats.logins);
    vault_json_integer(w, "renewals", stats.renewals);
    vault_json_integer(w, "failures", stats.failures);

    if (stats.since) {
        vault_json_integer(w, "tokenAge", (now - stats.since) / 1000);

    } else {
        vault_json_null(w, "tokenAge");
    }

    if (stats.expires_at) {
        vault_json_integer(w, "tokenLeft", (stats.expires_at - now) / 1000);

    } else {
        vault_json_null(w, "tokenLeft");
    }

    vault_json_close(w, '}');
}


static void
write_store(vault_writer_t *w, vault_agent_store_t *store)
{
    vault_agent_store_stats_t  stats;

    vault_agent_store_stats(store, &stats);

    vault_json_open(w, NULL, '{');
    vault_json_integer(w, "size", stats.size);
    vault_json_integer(w, "entries", stats.entries);
    vault_json_integer(w, "bytes", stats.bytes);
    vault_json_integer(w, "hits", stats.hits);
    vault_json_integer(w, "misses", stats.misses);
    vault_json_integer(w, "refreshes", stats.refreshes);
    vault_json_integer(w, "stale", stats.stale);
    vault_json_integer(w, "evicted", stats.evicted);
    vault_json_close(w, '}');
}


static void
write_all(vault_writer_t *w, const ngx_array_t *agents,
    const ngx_array_t *stores)
{
    ngx_uint_t             i;
    vault_agent_t        **agent = agents->elts;
    vault_agent_store_t  **store = stores->elts;

    vault_json_open(w, "agents", '[');

    for (i = 0; i < agents->nelts; i++) {
        write_agent(w, agent[i], vault_now());
    }

    vault_json_close(w, ']');
    vault_json_open(w, "caches", '[');

    for (i = 0; i < stores->nelts; i++) {
        write_store(w, store[i]);
    }

    vault_json_close(w, ']');
}


static ngx_int_t
purge(ngx_http_request_t *r, vault_writer_t *w, const ngx_array_t *stores)
{
    u_char                *dst, *src;
    ngx_str_t              path = ngx_null_string;
    ngx_uint_t             i, n = 0;
    vault_agent_store_t  **store = stores->elts;

    if (ngx_http_arg(r, (u_char *) "path", 4, &path) == NGX_OK && path.len) {
        dst = ngx_pnalloc(r->pool, path.len);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        src = path.data;
        path.data = dst;
        ngx_unescape_uri(&dst, &src, path.len, 0);
        path.len = dst - path.data;
    }

    for (i = 0; i < stores->nelts; i++) {
        n += vault_agent_store_purge(store[i], &path);
    }

    vault_json_integer(w, "purged", n);

    return NGX_OK;
}


static ngx_int_t
send_page(ngx_http_request_t *r, vault_writer_t *w)
{
    ngx_str_t  text, type = ngx_string("application/json");

    if (vault_writer_text(w, &text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return vault_agent_send(r, NGX_HTTP_OK, &type, &text);
}


ngx_int_t
vault_agent_status(ngx_http_request_t *r, const ngx_array_t *agents,
    const ngx_array_t *stores)
{
    ngx_int_t       rc;
    vault_writer_t  w;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_DELETE))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    vault_writer_init(&w, r->pool);
    vault_json_open(&w, NULL, '{');

    if (r->method == NGX_HTTP_DELETE) {
        if (purge(r, &w, stores) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else {
        write_all(&w, agents, stores);
    }

    vault_json_close(&w, '}');

    return send_page(r, &w);
}
