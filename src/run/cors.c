#include "cors.h"
#include "run.h"


static ngx_uint_t
cors_allowed(vault_request_t *vr, ngx_str_t *origin)
{
    ngx_uint_t        i;
    static ngx_str_t  others[] = {
        ngx_string("file://"),
        ngx_string("bw-desktop-file://bundle"),
        ngx_null_string
    };

    for (i = 0; others[i].len; i++) {
        if (origin->len == others[i].len
            && ngx_memcmp(origin->data, others[i].data, origin->len) == 0)
        {
            return 1;
        }
    }

    return vr->conf->origin.len
           && origin->len == vr->conf->origin.len
           && ngx_memcmp(origin->data, vr->conf->origin.data, origin->len)
              == 0;
}


ngx_int_t
vault_cors_headers(vault_request_t *vr)
{
    ngx_str_t         origin;
    static ngx_str_t  yes = ngx_string("true");
    static ngx_str_t  vary = ngx_string("Origin");

    origin = vault_header(vr, "Origin");

    if (origin.len == 0 || !cors_allowed(vr, &origin)) {
        return NGX_OK;
    }

    if (vault_add_header(vr->http, "Access-Control-Allow-Origin", &origin)
        != NGX_OK
        || vault_add_header(vr->http, "Access-Control-Allow-Credentials", &yes)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return vault_add_header(vr->http, "Vary", &vary);
}


ngx_uint_t
vault_cors_preflight(vault_request_t *vr)
{
    ngx_str_t         origin, headers;
    static ngx_str_t  methods = ngx_string("GET, POST, PUT, DELETE");
    static ngx_str_t  day = ngx_string("86400");

    origin = vault_header(vr, "Origin");

    if (origin.len == 0 || !cors_allowed(vr, &origin)) {
        return 0;
    }

    headers = vault_header(vr, "Access-Control-Request-Headers");

    if (vault_add_header(vr->http, "Access-Control-Allow-Methods", &methods)
        != NGX_OK
        || vault_add_header(vr->http, "Access-Control-Max-Age", &day) != NGX_OK)
    {
        return 0;
    }

    if (headers.len
        && vault_add_header(vr->http, "Access-Control-Allow-Headers", &headers)
           != NGX_OK)
    {
        return 0;
    }

    vr->reply.status = NGX_HTTP_NO_CONTENT;

    return 1;
}
