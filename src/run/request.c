/*
 * What a request offers besides failing and replying: memory, its input that
 * is not the body, and what is to be done when it ends.
 */

#include "run.h"
#include "../crypto/crypto.h"
#include "../json/form.h"


void *
vault_alloc(vault_request_t *vr, size_t size)
{
    void  *p;

    p = ngx_palloc(vr->pool, size ? size : 1);
    if (p == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return p;
}


void *
vault_calloc(vault_request_t *vr, size_t size)
{
    void  *p;

    p = vault_alloc(vr, size);
    ngx_memzero(p, size);

    return p;
}


ngx_str_t
vault_printf(vault_request_t *vr, const char *fmt, ...)
{
    u_char     buf[2048], *last;
    va_list    args;
    ngx_str_t  text;

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    if (last == buf + sizeof(buf)) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "A text is too long.");
    }

    text.len = last - buf;
    text.data = vault_alloc(vr, text.len);
    ngx_memcpy(text.data, buf, text.len);

    return text;
}


static void
secret_wipe(void *data)
{
    ngx_str_t  *text = data;

    vault_wipe(text->data, text->len);
}


ngx_str_t
vault_secret(vault_request_t *vr, const ngx_str_t *text)
{
    ngx_str_t           *copy;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(vr->pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    copy = cln->data;
    copy->len = text->len;
    copy->data = vault_alloc(vr, text->len);

    if (text->len) {
        ngx_memcpy(copy->data, text->data, text->len);
    }

    cln->handler = secret_wipe;

    return *copy;
}


vault_defer_t *
vault_defer(vault_request_t *vr, vault_defer_pt handler, void *data)
{
    vault_run_t    *run = vault_run(vr);
    vault_defer_t  *defer;

    defer = vault_alloc(vr, sizeof(vault_defer_t));

    defer->handler = handler;
    defer->data = data;
    defer->next = run->defers;
    run->defers = defer;

    return defer;
}


void
vault_undefer(vault_defer_t *defer)
{
    defer->handler = NULL;
}


ngx_str_t *
vault_path_arg(vault_request_t *vr, ngx_uint_t n)
{
    return &vr->path_args[n];
}


ngx_str_t
vault_query_arg(vault_request_t *vr, const char *name)
{
    ngx_str_t  raw, text, none = ngx_null_string;

    if (ngx_http_arg(vr->http, (u_char *) name, ngx_strlen(name), &raw)
        != NGX_OK)
    {
        return none;
    }

    if (vault_form_unescape(vr->pool, &raw, &text) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return text;
}


ngx_str_t
vault_header(vault_request_t *vr, const char *name)
{
    size_t            len;
    ngx_str_t         none = ngx_null_string;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &vr->http->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return h[i].value;
            }
        }
    }

    return none;
}


ngx_str_t *
vault_client_address(vault_request_t *vr)
{
    return &vr->http->connection->addr_text;
}


/* "2026.9.0" */

ngx_uint_t
vault_client_version(vault_request_t *vr)
{
    u_char     *dot;
    ngx_int_t   year, month;
    ngx_str_t   version;

    version = vault_header(vr, "Bitwarden-Client-Version");

    if (version.len < 6 || version.data[4] != '.') {
        return 0;
    }

    dot = ngx_strlchr(version.data + 5, version.data + version.len, '.');
    if (dot == NULL) {
        dot = version.data + version.len;
    }

    year = ngx_atoi(version.data, 4);
    month = ngx_atoi(version.data + 5, dot - version.data - 5);

    if (year == NGX_ERROR || month == NGX_ERROR) {
        return 0;
    }

    return (ngx_uint_t) (year * 100 + month);
}


/* The name that a front which has proved itself gives us; or len 0. */
static ngx_str_t
front_host(vault_request_t *vr)
{
    u_char      c;
    ngx_str_t   host, none = ngx_null_string;
    ngx_uint_t  i;

    host = vr->conf->secrets[0].len ? vault_header(vr, "X-Vault-Host") : none;

    for (i = 0; i < host.len; i++) {
        c = ngx_tolower(host.data[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '-' && c != '.' && c != ':')
        {
            return none;
        }
    }

    return host;
}


ngx_str_t
vault_origin(vault_request_t *vr)
{
    ngx_str_t         host;
    ngx_table_elt_t  *header;

    if (vr->conf->origin.len) {
        return vr->conf->origin;
    }

    host = front_host(vr);

    if (host.len == 0) {
        header = vr->http->headers_in.host;
        host = header ? header->value : vr->http->headers_in.server;
    }

    return vault_printf(vr, "https://%*s", ngx_min(host.len, 512), host.data);
}


int64_t
vault_now(void)
{
    ngx_time_t  *tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


void
vault_form_read(vault_request_t *vr, const vault_shape_t *shape, void *form)
{
    ngx_int_t           rc;
    ngx_str_t           body;
    vault_json_error_t  err;

    body = vault_body(vr);
    rc = vault_form_parse(vr->pool, &body, shape, form, &err);

    if (rc == NGX_DECLINED) {
        vault_fail_field(vr, &err.field, &err.text);
    }

    if (rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }
}
