/*
 * The request's body: from nginx's buffers or temporary file to one text, and
 * from there through a form's table.
 */

#include <ngx_config.h>
#include <malloc.h>

#include "body.h"
#include "run.h"
#include "../crypto/crypto.h"


/* A body of this size takes milliseconds to parse: not on the event loop. */
#define BODY_THREAD  (64 * 1024)

/* After one of this size glibc would keep tens of megabytes for itself. */
#define BODY_TRIM    (1024 * 1024)


typedef struct {
    ngx_file_t  *file;
    u_char      *data;
    size_t       size;
    ngx_int_t    rc;
} body_file_t;

typedef struct {
    ngx_pool_t           *pool;       /* the thread's own */
    ngx_str_t             text;
    const vault_shape_t  *shape;
    void                 *form;
    vault_json_error_t    err;
    ngx_int_t             rc;
} body_parse_t;


static void
body_read_file(void *data, ngx_log_t *log)
{
    ssize_t       n;
    size_t        done;
    body_file_t  *file = data;

    file->rc = NGX_OK;

    for (done = 0; done < file->size; done += n) {
        n = pread(file->file->fd, file->data + done, file->size - done, done);

        if (n <= 0) {
            ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                          "reading a request body from its file failed");
            file->rc = NGX_ERROR;
            return;
        }
    }
}


static ngx_str_t
body_from_file(vault_request_t *vr, ngx_http_request_body_t *rb)
{
    off_t         size;
    ngx_str_t     body;
    body_file_t  *file;

    size = rb->temp_file->file.offset;

    file = vault_alloc(vr, sizeof(body_file_t));
    file->file = &rb->temp_file->file;
    file->size = size;
    file->data = vault_alloc(vr, size);

    vault_thread_run(vr, VAULT_THREAD_IO, body_read_file, file);

    if (file->rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "The request could not be read.");
    }

    body.data = file->data;
    body.len = size;

    return body;
}


ngx_str_t
vault_body(vault_request_t *vr)
{
    size_t                    size;
    u_char                   *p;
    ngx_str_t                 body = ngx_null_string;
    ngx_buf_t                *b;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = vr->http->request_body;

    if (rb == NULL || rb->bufs == NULL) {
        return body;
    }

    for (size = 0, cl = rb->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    /* a chunked body did not announce its size: none is read for nothing */
    if ((off_t) size > vault_body_limit(vr)
        || (vr->route->options & VAULT_BODY_FILE))
    {
        vault_fail(vr, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                   "The request body is too large.");
    }

    if (rb->temp_file) {
        body = body_from_file(vr, rb);

    } else if (rb->bufs->next == NULL) {
        b = rb->bufs->buf;
        body.data = b->pos;
        body.len = b->last - b->pos;

    } else {
        body.data = vault_alloc(vr, size);
        body.len = size;

        for (p = body.data, cl = rb->bufs; cl; cl = cl->next) {
            if (ngx_buf_size(cl->buf)) {  /* the last chunk's has no memory */
                p = ngx_cpymem(p, cl->buf->pos, ngx_buf_size(cl->buf));
            }
        }
    }

    return body;
}


void
vault_body_wipe(ngx_http_request_t *r)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (r->request_body == NULL) {
        return;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b) && b->last - b->pos <= BODY_THREAD) {
            vault_wipe(b->pos, b->last - b->pos);
        }
    }
}


static void
body_parse(void *data, ngx_log_t *log)
{
    body_parse_t  *parse = data;

    parse->rc = vault_json_parse(parse->pool, &parse->text, parse->shape,
                                 parse->form, &parse->err);

    if (parse->text.len > BODY_TRIM) {
        (void) malloc_trim(0);
    }
}


static void
body_pool_destroy(void *data)
{
    ngx_destroy_pool(data);
}


static void
body_parse_in_thread(vault_request_t *vr, body_parse_t *parse)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(vr->pool, 0);
    parse->pool = ngx_create_pool(16384, vr->log);

    if (cln == NULL || parse->pool == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    cln->handler = body_pool_destroy;
    cln->data = parse->pool;

    vault_thread_run(vr, VAULT_THREAD_IO, body_parse, parse);
}


void
vault_json_read(vault_request_t *vr, const vault_shape_t *shape, void *form)
{
    ngx_str_t  text;

    text = vault_body(vr);
    vault_json_read_text(vr, &text, shape, form);
}


void
vault_json_read_text(vault_request_t *vr, const ngx_str_t *text,
    const vault_shape_t *shape, void *form)
{
    body_parse_t  *parse;

    parse = vault_calloc(vr, sizeof(body_parse_t));
    parse->text = *text;
    parse->shape = shape;
    parse->form = vault_alloc(vr, shape->size);
    parse->pool = vr->pool;

    if (parse->text.len > BODY_THREAD) {
        body_parse_in_thread(vr, parse);

    } else {
        body_parse(parse, vr->log);
    }

    if (parse->rc == NGX_DECLINED) {
        vault_fail_field(vr, &parse->err.field, &parse->err.text);
    }

    if (parse->rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    ngx_memcpy(form, parse->form, shape->size);
}
