/*
 * The answer: head and body lie in one buffer that never moves, so that what
 * nginx's parsers find can be pointed at.  Chunks are put together in place.
 */

#include "upstream_part.h"


#define MAX_HEADERS  64

enum {
    PART_LINE = 0,
    PART_HEADERS,
    PART_BODY
};


size_t
vault_upstream_max(const vault_upstream_call_t *call)
{
    return call->max ? call->max : VAULT_UPSTREAM_BODY;
}


static ngx_int_t
refuse(vault_upstream_parse_t *p, const char *why)
{
    p->error = why;

    return NGX_ERROR;
}


static ngx_int_t
malformed(vault_upstream_parse_t *p)
{
    return refuse(p, "the answer is malformed");
}


static ngx_int_t
too_large(vault_upstream_parse_t *p)
{
    p->too_large = p->part == PART_BODY;

    return refuse(p, "the answer is too large");
}


static ngx_uint_t
is_named(const ngx_keyval_t *header, const char *name)
{
    return header->key.len == ngx_strlen(name)
           && ngx_strncasecmp(header->key.data, (u_char *) name,
                              header->key.len) == 0;
}


/* What says where the body ends; two opinions about that are none. */
ngx_int_t
vault_upstream_parse_weigh(vault_upstream_parse_t *p,
    const ngx_keyval_t *header)
{
    const ngx_str_t  *value = &header->value;

    if (is_named(header, "Content-Length")) {

        if (p->length != -1) {
            return malformed(p);
        }

        p->length = ngx_atoof(value->data, value->len);

        return p->length < 0 ? malformed(p) : NGX_OK;
    }

    if (is_named(header, "Transfer-Encoding")) {

        if (p->chunked || value->len != 7
            || ngx_strncasecmp(value->data, (u_char *) "chunked", 7) != 0)
        {
            return malformed(p);
        }

        p->chunked = 1;

    } else if (is_named(header, "Connection")
               && ngx_strlcasestrn(value->data, value->data + value->len,
                                   (u_char *) "close", 5 - 1))
    {
        p->close = 1;
    }

    return NGX_OK;
}


static ngx_int_t
add_header(vault_upstream_parse_t *p, ngx_http_request_t *r)
{
    ngx_keyval_t  *header;

    if (p->headers->nelts == MAX_HEADERS) {
        return too_large(p);
    }

    header = ngx_array_push(p->headers);
    if (header == NULL) {
        return refuse(p, "no memory");
    }

    header->key.data = r->header_name_start;
    header->key.len = r->header_name_end - r->header_name_start;
    header->value.data = r->header_start;
    header->value.len = r->header_end - r->header_start;

    return vault_upstream_parse_weigh(p, header);
}


static ngx_int_t
parse_line(vault_upstream_parse_t *p, ngx_http_request_t *r, ngx_buf_t *b)
{
    ngx_int_t  rc;

    rc = ngx_http_parse_status_line(r, b, &p->line);

    if (rc == NGX_ERROR || (rc == NGX_OK && p->line.code < 100)) {
        return malformed(p);
    }

    if (rc == NGX_OK) {
        p->part = PART_HEADERS;
        p->length = -1;
        p->close = p->line.http_version < 1001;
        r->state = 0;
    }

    return rc;
}


/* "100 Continue" and its like: the answer is still to come. */
static ngx_int_t
interim(vault_upstream_parse_t *p)
{
    if (p->line.code == NGX_HTTP_SWITCHING_PROTOCOLS || p->length != -1
        || p->chunked)
    {
        return malformed(p);
    }

    ngx_memzero(&p->line, sizeof(ngx_http_status_t));
    p->headers->nelts = 0;
    p->part = PART_LINE;

    return NGX_OK;
}


static ngx_int_t
end_headers(vault_upstream_op_t *op, ngx_buf_t *b)
{
    vault_upstream_parse_t  *p = &op->parse;

    if (p->line.code < 200) {
        return interim(p);
    }

    if (p->chunked && p->length != -1) {
        return malformed(p);
    }

    p->part = PART_BODY;
    p->body = b->pos;

    if (p->bodiless || p->line.code == NGX_HTTP_NO_CONTENT
        || p->line.code == NGX_HTTP_NOT_MODIFIED)
    {
        p->chunked = 0;
        p->length = 0;

    } else if (p->length > (off_t) vault_upstream_max(op->call)) {
        return too_large(p);

    } else if (!p->chunked && p->length == -1) {
        p->until_close = 1;
        p->close = 1;

        /* nginx takes its end for an error */
        op->standin.log.log_level = NGX_LOG_CRIT;
    }

    return NGX_OK;
}


static ngx_int_t
parse_headers(vault_upstream_op_t *op, ngx_http_request_t *r, ngx_buf_t *b)
{
    ngx_int_t                rc;
    vault_upstream_parse_t  *p = &op->parse;

    for ( ;; ) {
        rc = ngx_http_parse_header_line(r, b, 1);

        if (b->pos - p->head > VAULT_UPSTREAM_HEAD) {
            return too_large(p);
        }

        switch (rc) {

        case NGX_OK:

            if (!r->invalid_header && add_header(p, r) != NGX_OK) {
                return NGX_ERROR;
            }

            break;

        case NGX_HTTP_PARSE_HEADER_DONE:
            return end_headers(op, b);

        case NGX_AGAIN:
            return NGX_AGAIN;

        default:
            return malformed(p);
        }
    }
}


ngx_int_t
vault_upstream_parse_chunk(vault_upstream_parse_t *p, ngx_http_request_t *r,
    ngx_buf_t *b)
{
#if (nginx_version >= 1027002)
    return ngx_http_parse_chunked(r, b, &p->chunks, 0);
#else
    return ngx_http_parse_chunked(r, b, &p->chunks);
#endif
}


static ngx_int_t
parse_chunks(vault_upstream_op_t *op, ngx_http_request_t *r, ngx_buf_t *b)
{
    size_t                   n;
    ngx_int_t                rc;
    vault_upstream_parse_t  *p = &op->parse;

    for ( ;; ) {
        rc = vault_upstream_parse_chunk(p, r, b);

        if (rc != NGX_OK) {
            break;
        }

        n = ngx_min(b->last - b->pos, p->chunks.size);

        if (n > vault_upstream_max(op->call) - p->size) {
            return too_large(p);
        }

        ngx_memmove(p->body + p->size, b->pos, n);
        p->size += n;
        p->chunks.size -= n;
        b->pos += n;
    }

    if (rc == NGX_DONE) {
        p->whole = 1;
        return NGX_OK;
    }

    if (rc != NGX_AGAIN) {
        return malformed(p);
    }

    /* what framed the chunks gives its place to more of them */
    b->pos = p->body + p->size;
    b->last = b->pos;

    return NGX_AGAIN;
}


static ngx_int_t
parse_body(vault_upstream_op_t *op, ngx_http_request_t *r, ngx_buf_t *b)
{
    vault_upstream_parse_t  *p = &op->parse;

    if (p->chunked) {
        return parse_chunks(op, r, b);
    }

    p->size = b->last - p->body;
    b->pos = b->last;

    if (p->length == -1) {
        return p->size > vault_upstream_max(op->call) ? too_large(p)
                                                      : NGX_AGAIN;
    }

    if ((off_t) p->size < p->length) {
        return NGX_AGAIN;
    }

    p->size = p->length;
    b->pos = p->body + p->size;       /* more would be no answer of ours */
    p->whole = 1;

    return NGX_OK;
}


ngx_int_t
vault_upstream_parse(vault_upstream_op_t *op, ngx_http_request_t *r,
    ngx_buf_t *b)
{
    ngx_int_t                rc;
    vault_upstream_parse_t  *p = &op->parse;

    p->top = ngx_max(p->top, b->last);

    do {
        switch (p->part) {

        case PART_LINE:
            rc = parse_line(p, r, b);
            break;

        case PART_HEADERS:
            rc = parse_headers(op, r, b);
            break;

        default:
            rc = parse_body(op, r, b);
            break;
        }

    } while (rc == NGX_OK && !p->whole);

    return rc;
}
