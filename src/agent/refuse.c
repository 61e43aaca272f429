/*
 * What is said without a Vault, in the shape of its answers.
 */

#include "proxy.h"


ngx_int_t
vault_agent_send(ngx_http_request_t *r, ngx_uint_t status,
    const ngx_str_t *type, const ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body->len;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    b = ngx_calloc_buf(r->pool);

    if (b == NULL
        || vault_agent_add_header(r, "Cache-Control", "no-store") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->start = b->pos = body->data;
    b->end = b->last = body->data + body->len;
    b->memory = body->len != 0;
    b->last_buf = r == r->main;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* What JSON does not take as it is becomes a question mark. */
static u_char *
write_text(u_char *p, const char *text)
{
    for ( /* void */ ; *text; text++) {
        *p++ = (u_char) *text < ' ' || *text == '"' || *text == '\\'
               || (u_char) *text > '~' ? '?' : *text;
    }

    return p;
}


ngx_int_t
vault_agent_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   body, type = ngx_string("application/json");

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    body.data = ngx_pnalloc(r->pool, ngx_strlen(text)
                                     + sizeof("{\"errors\":[\"\"]}\n"));
    if (body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(body.data, "{\"errors\":[\"", 12);
    p = write_text(p, text);
    p = ngx_cpymem(p, "\"]}\n", 4);
    body.len = p - body.data;

    return vault_agent_send(r, status, &type, &body);
}


ngx_int_t
vault_agent_add_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_str_t  text;

    text.data = (u_char *) value;
    text.len = ngx_strlen(value);

    return vault_add_header(r, name, &text);
}


ngx_table_elt_t *
vault_agent_header(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}
