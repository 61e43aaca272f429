/*
 * The answer's head, whose headers go to the client but for those of the
 * connection, and its body, which is never held back.
 */

#include "upstream_pass_part.h"


enum {
    PART_LINE = 0,
    PART_HEADERS
};


/* A head is expected: of a try, or after "100 Continue" and its like. */
static ngx_int_t
expect(vault_upstream_passing_t *own)
{
    ngx_http_request_t   *r = own->pass->r;
    ngx_http_upstream_t  *u = r->upstream;

    ngx_memzero(&own->parse, sizeof(vault_upstream_parse_t));
    own->parse.length = -1;
    own->parse.bodiless = r->method == NGX_HTTP_HEAD;
    r->state = 0;

    return ngx_list_init(&u->headers_in.headers, r->pool, 8,
                         sizeof(ngx_table_elt_t)) == NGX_OK
           && ngx_list_init(&u->headers_in.trailers, r->pool, 1,
                            sizeof(ngx_table_elt_t)) == NGX_OK
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
vault_upstream_passing_begin(vault_upstream_passing_t *own)
{
    ngx_buf_t  *b = &own->pass->r->upstream->buffer;

    b->pos = b->start;
    b->last = b->start;

    return expect(own);
}


/* Is said by nginx itself, or to nginx, or between us and the upstream. */
static ngx_uint_t
is_ours(const ngx_table_elt_t *h)
{
    ngx_uint_t               i;
    static const ngx_str_t   names[] = {
        ngx_string("date"),
        ngx_string("server"),
        ngx_string("connection"),
        ngx_string("keep-alive"),
        ngx_string("proxy-authenticate"),
        ngx_string("trailer"),
        ngx_string("transfer-encoding"),
        ngx_string("upgrade"),
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (h->key.len == names[i].len
            && ngx_memcmp(h->lowcase_key, names[i].data, h->key.len) == 0)
        {
            return 1;
        }
    }

    return h->key.len > 8
           && ngx_strncmp(h->lowcase_key, "x-accel-", 8) == 0;
}


static ngx_int_t
copy_header(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = r->header_hash;
    h->key.len = r->header_name_end - r->header_name_start;
    h->value.len = r->header_end - r->header_start;

    h->key.data = ngx_pnalloc(r->pool, 2 * h->key.len + h->value.len + 3);
    if (h->key.data == NULL) {
        return NGX_ERROR;
    }

    h->value.data = h->key.data + h->key.len + 1;
    h->lowcase_key = h->value.data + h->value.len + 1;

    (void) ngx_cpystrn(h->key.data, r->header_name_start, h->key.len + 1);
    (void) ngx_cpystrn(h->value.data, r->header_start, h->value.len + 1);
    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);

    return NGX_OK;
}


static ngx_int_t
take_header(vault_upstream_passing_t *own, ngx_http_request_t *r)
{
    ngx_keyval_t      pair;
    ngx_table_elt_t   h, *added;

    if (copy_header(r, &h) != NGX_OK) {
        return NGX_ERROR;
    }

    pair.key = h.key;
    pair.value = h.value;

    if (vault_upstream_parse_weigh(&own->parse, &pair) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (is_ours(&h)) {
        return NGX_OK;
    }

    added = ngx_list_push(&r->upstream->headers_in.headers);
    if (added == NULL) {
        return NGX_ERROR;
    }

    *added = h;

    return NGX_OK;
}


static ngx_int_t
read_line(vault_upstream_passing_t *own, ngx_http_request_t *r)
{
    ngx_int_t                rc;
    vault_upstream_parse_t  *p = &own->parse;

    rc = ngx_http_parse_status_line(r, &r->upstream->buffer, &p->line);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK || p->line.code < 100
        || p->line.code == NGX_HTTP_SWITCHING_PROTOCOLS)
    {
        return NGX_DECLINED;
    }

    p->part = PART_HEADERS;
    p->close = p->line.http_version < 1001;
    r->state = 0;

    return NGX_OK;
}


static ngx_int_t
read_headers(vault_upstream_passing_t *own, ngx_http_request_t *r)
{
    ngx_int_t  rc;

    for ( ;; ) {
        rc = ngx_http_parse_header_line(r, &r->upstream->buffer, 1);

        if (rc == NGX_OK) {
            rc = r->invalid_header ? NGX_OK : take_header(own, r);

            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        return rc == NGX_HTTP_PARSE_HEADER_DONE ? NGX_OK : NGX_DECLINED;
    }
}


static ngx_int_t
judge(vault_upstream_passing_t *own, ngx_http_request_t *r)
{
    ngx_http_upstream_t     *u = r->upstream;
    vault_upstream_parse_t  *p = &own->parse;

    if (p->chunked && p->length != -1) {
        return NGX_DECLINED;
    }

    p->bodiless |= p->line.code == NGX_HTTP_NO_CONTENT
                   || p->line.code == NGX_HTTP_NOT_MODIFIED;

    u->headers_in.status_n = p->line.code;
    u->state->status = p->line.code;
    u->headers_in.content_length_n = p->length;
    u->headers_in.chunked = p->chunked;
    u->headers_in.connection_close = p->close;

    /* the body is not read then */
    u->keepalive = !p->close && (p->bodiless || p->length == 0);

    if (!r->request_body_no_buffering
        && own->pass->judge(own->pass) == NGX_AGAIN)
    {
        own->again = 1;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
read_head(vault_upstream_passing_t *own, ngx_http_request_t *r)
{
    ngx_int_t  rc;

    for ( ;; ) {
        rc = own->parse.part == PART_LINE ? read_line(own, r) : NGX_OK;

        if (rc == NGX_OK) {
            rc = read_headers(own, r);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (own->parse.line.code >= 200) {
            return judge(own, r);
        }

        if (expect(own) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


ngx_int_t
vault_upstream_passing_head(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    vault_upstream_passing_t  *own = r->upstream->peer.data;

    rc = read_head(own, r);

    if (rc == NGX_DECLINED) {
        if (!own->again) {
            own->parse.error = "the answer is malformed";
        }

        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    return rc;
}


ngx_uint_t
vault_upstream_passing_whole(vault_upstream_passing_t *own)
{
    ngx_buf_t               *b = &own->pass->r->upstream->buffer;
    vault_upstream_parse_t  *p = &own->parse;

    return !p->close && own->pass->r->upstream->request_body_sent
           && b->last - b->pos == (p->bodiless ? 0 : p->length);
}


ngx_str_t
vault_upstream_pass_header(vault_upstream_pass_t *pass, const char *name)
{
    size_t            len;
    ngx_str_t         none = ngx_null_string;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &pass->r->upstream->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_memcmp(h[i].lowcase_key, name, len) == 0)
            {
                return h[i].value;
            }
        }
    }

    return none;
}


/* The body */

ngx_int_t
vault_upstream_passing_init(void *data)
{
    ngx_http_request_t        *r = data;
    ngx_http_upstream_t       *u = r->upstream;
    vault_upstream_passing_t  *own = u->peer.data;

    u->length = own->parse.bodiless ? 0 : own->parse.chunked
                ? 1 : own->parse.length;

    return NGX_OK;
}


static ngx_buf_t *
push(ngx_http_request_t *r)
{
    ngx_chain_t          *cl, **last;
    ngx_http_upstream_t  *u = r->upstream;

    cl = ngx_chain_get_free_buf(r->pool, &u->free_bufs);
    if (cl == NULL) {
        return NULL;
    }

    for (last = &u->out_bufs; *last; last = &(*last)->next) { /* void */ }

    cl->next = NULL;
    *last = cl;

    cl->buf->flush = 1;
    cl->buf->memory = 1;
    cl->buf->tag = u->output.tag;

    return cl->buf;
}


static ngx_int_t
take_plain(ngx_http_request_t *r, vault_upstream_parse_t *p, size_t n)
{
    ngx_buf_t            *out;
    ngx_http_upstream_t  *u = r->upstream;

    out = push(r);
    if (out == NULL) {
        return NGX_ERROR;
    }

    out->pos = u->buffer.last;
    u->buffer.last += n;
    out->last = u->buffer.last;

    if (u->length == -1) {
        return NGX_OK;                /* until it ends */
    }

    if ((off_t) n > u->length) {      /* more than was announced */
        p->close = 1;
        out->last = out->pos + u->length;
        n = u->length;
    }

    u->length -= n;
    u->keepalive = u->length == 0 && !p->close;

    return NGX_OK;
}


static ngx_int_t
take_chunks(ngx_http_request_t *r, vault_upstream_parse_t *p, size_t n)
{
    size_t                size;
    ngx_int_t             rc;
    ngx_buf_t            *out, *b;
    ngx_http_upstream_t  *u = r->upstream;

    b = &u->buffer;
    b->pos = b->last;
    b->last += n;

    for ( ;; ) {
        rc = vault_upstream_parse_chunk(p, r, b);

        if (rc != NGX_OK) {
            break;
        }

        out = push(r);
        if (out == NULL) {
            return NGX_ERROR;
        }

        size = ngx_min(b->last - b->pos, p->chunks.size);
        out->pos = b->pos;
        b->pos += size;
        out->last = b->pos;
        p->chunks.size -= size;
    }

    if (rc == NGX_DONE) {
        u->length = 0;
        u->keepalive = !p->close && b->pos == b->last;
        return NGX_OK;
    }

    return rc == NGX_AGAIN ? NGX_OK : NGX_ERROR;
}


ngx_int_t
vault_upstream_passing_body(void *data, ssize_t bytes)
{
    ngx_http_request_t        *r = data;
    vault_upstream_passing_t  *own = r->upstream->peer.data;

    if (r->upstream->length == 0) {
        r->upstream->keepalive = 0;   /* more would be no answer of ours */
        return NGX_OK;
    }

    return own->parse.chunked ? take_chunks(r, &own->parse, bytes)
                              : take_plain(r, &own->parse, bytes);
}
