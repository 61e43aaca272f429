/*
 * The answer: filled by the endpoint, sent by the driver.
 */

#include "cors.h"
#include "run.h"


static ngx_str_t  reply_json = ngx_string("application/json; charset=utf-8");


vault_writer_t *
vault_writer(vault_request_t *vr)
{
    vault_writer_t  *w;

    w = vault_alloc(vr, sizeof(vault_writer_t));
    vault_writer_init(w, vr->pool);

    return w;
}


ngx_str_t
vault_written(vault_request_t *vr, vault_writer_t *w)
{
    ngx_str_t  text;

    if (vault_writer_text(w, &text) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return text;
}


void
vault_reply_writer(vault_request_t *vr, vault_writer_t *w)
{
    if (w->failed) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "The answer could not be written.");
    }

    vr->reply.status = NGX_HTTP_OK;
    vr->reply.content_type = reply_json;
    vr->reply.body = w->chain;
    vr->reply.size = w->size;
}


void
vault_reply(vault_request_t *vr, const vault_shape_t *view, const void *row)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_object(w, NULL, view, row);
    vault_reply_writer(vr, w);
}


void
vault_reply_list(vault_request_t *vr, const vault_shape_t *view,
    const ngx_array_t *rows)
{
    vault_writer_t  *w;

    w = vault_writer(vr);

    vault_json_open(w, NULL, '{');
    vault_json_rows(w, "data", view, rows);
    vault_json_cstring(w, "object", "list");
    vault_json_null(w, "continuationToken");
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


void
vault_reply_empty(vault_request_t *vr, ngx_uint_t status)
{
    ngx_memzero(&vr->reply, sizeof(vault_reply_t));
    vr->reply.status = status;
}


void
vault_reply_text(vault_request_t *vr, ngx_uint_t status,
    const char *content_type, ngx_str_t *text)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_raw(w, NULL, text);
    vault_reply_writer(vr, w);

    vr->reply.status = status;
    vr->reply.content_type.data = (u_char *) content_type;
    vr->reply.content_type.len = ngx_strlen(content_type);
}


void
vault_reply_file(vault_request_t *vr, ngx_fd_t fd, off_t size)
{
    ngx_buf_t                *b;
    ngx_file_t               *file;
    ngx_chain_t              *cl;
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;
    static ngx_str_t          attachment = ngx_string("attachment");

    cln = ngx_pool_cleanup_add(vr->pool, sizeof(ngx_pool_cleanup_file_t));
    if (cln == NULL) {
        (void) ngx_close_file(fd);
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    cln->handler = ngx_pool_cleanup_file;
    clnf = cln->data;
    clnf->fd = fd;
    clnf->name = (u_char *) "a stored file";
    clnf->log = vr->http->connection->log;

    file = vault_calloc(vr, sizeof(ngx_file_t));
    file->fd = fd;
    file->log = clnf->log;
    ngx_str_set(&file->name, "a stored file");

    b = vault_calloc(vr, sizeof(ngx_buf_t));
    b->in_file = size > 0;
    b->file = file;
    b->file_last = size;

    cl = vault_alloc(vr, sizeof(ngx_chain_t));
    cl->buf = b;
    cl->next = NULL;

    vault_reply_empty(vr, NGX_HTTP_OK);
    ngx_str_set(&vr->reply.content_type, "application/octet-stream");
    vr->reply.body = cl;
    vr->reply.size = size;
    vr->reply.ranges = 1;

    vault_reply_header(vr, "Content-Disposition", &attachment);
}


ngx_int_t
vault_add_header(ngx_http_request_t *r, const char *name,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));
    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


void
vault_reply_header(vault_request_t *vr, const char *name,
    const ngx_str_t *value)
{
    if (vault_add_header(vr->http, name, value) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }
}


static ngx_int_t
reply_headers(vault_request_t *vr)
{
    ngx_http_request_t  *r = vr->http;
    static ngx_str_t     no_store = ngx_string("no-store");
    static ngx_str_t     nosniff = ngx_string("nosniff");

    r->headers_out.status = vr->reply.status;
    r->headers_out.content_length_n = vr->reply.size;
    r->allow_ranges = vr->reply.ranges;

    if (vr->reply.body) {
        r->headers_out.content_type = vr->reply.content_type;
        r->headers_out.content_type_len = vr->reply.content_type.len;
        r->headers_out.content_type_lowcase = NULL;
    }

    if (vault_add_header(r, "Cache-Control", &no_store) != NGX_OK
        || vault_add_header(r, "X-Content-Type-Options", &nosniff) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return vault_cors_headers(vr);
}


ngx_int_t
vault_reply_send(vault_request_t *vr)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *last, end;
    ngx_http_request_t  *r = vr->http;

    if (reply_headers(vr) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (vr->reply.body == NULL) {

        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->last_buf = (r == r->main);
        b->last_in_chain = 1;
        b->sync = 1;
        end.buf = b;
        end.next = NULL;

        return ngx_http_output_filter(r, &end);
    }

    for (last = vr->reply.body; last->next; last = last->next) { /* void */ }

    last->buf->last_buf = (r == r->main);
    last->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, vr->reply.body);
}
