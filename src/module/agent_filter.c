/*
 * What nginx itself refuses at a location of the agent (a body that is too
 * large, a client that "deny" keeps out) is said as Vault would.
 */

#include "agent_proxy.h"


typedef struct {
    ngx_buf_t    body;
    ngx_uint_t   sent;
} replaced_t;

static ngx_http_output_header_filter_pt  next_header_filter;
static ngx_http_output_body_filter_pt    next_body_filter;


static ngx_uint_t
is_ours(ngx_http_request_t *r)
{
    vault_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_vault_module);

    return lcf->agent_proxy.agent && r == r->main;
}


/* nginx's own page: no Vault has answered, nor have we, which is JSON. */
static ngx_uint_t
is_page(ngx_http_request_t *r)
{
    return r->headers_out.status >= NGX_HTTP_BAD_REQUEST
           && r->headers_out.content_type.len == 9
           && ngx_strncmp(r->headers_out.content_type.data, "text/html", 9)
              == 0
           && (r->upstream == NULL
               || r->upstream->headers_in.status_n == 0);
}


static ngx_int_t
header_filter(ngx_http_request_t *r)
{
    u_char      *p;
    replaced_t  *replaced;

    if (!is_ours(r) || !is_page(r)) {
        return next_header_filter(r);
    }

    replaced = ngx_pcalloc(r->pool, sizeof(replaced_t));
    p = ngx_pnalloc(r->pool, 64);

    if (replaced == NULL || p == NULL) {
        return NGX_ERROR;
    }

    replaced->body.start = p;
    replaced->body.pos = p;
    replaced->body.last = ngx_sprintf(p, "{\"errors\":[\"%s\"]}\n",
        r->headers_out.status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
        ? "the request body is too large" : "refused by the agent");
    replaced->body.end = replaced->body.last;
    replaced->body.memory = 1;
    replaced->body.last_buf = 1;
    replaced->body.last_in_chain = 1;

    ngx_http_set_ctx(r, replaced, ngx_http_vault_module);

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = replaced->body.last - p;

    return next_header_filter(r);
}


static ngx_int_t
body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t   out;
    replaced_t   *replaced;

    replaced = is_ours(r)
               ? ngx_http_get_module_ctx(r, ngx_http_vault_module) : NULL;

    if (replaced == NULL || in == NULL) {
        return next_body_filter(r, in);
    }

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
    }

    if (replaced->sent) {
        return NGX_OK;
    }

    replaced->sent = 1;
    out.buf = &replaced->body;
    out.next = NULL;

    return next_body_filter(r, &out);
}


void
vault_agent_filter_install(void)
{
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;

    next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = body_filter;
}
