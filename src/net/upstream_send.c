/*
 * The request, as a chain of buffers: its head in memory, then the caller's
 * body, whose buffers are described anew, since nginx moves their positions
 * and the caller may want to send them again.
 */

#include "line.h"
#include "upstream_part.h"


static ngx_uint_t
is_sound(const vault_upstream_call_t *call)
{
    ngx_uint_t  i;

    for (i = 0; i < call->nheaders; i++) {
        if (!vault_line_is_name(&call->headers[i].key)
            || !vault_line_is_value(&call->headers[i].value))
        {
            return 0;
        }
    }

    return call->target.len && call->target.data[0] == '/'
           && vault_line_is_target(&call->target)
           && call->host.len && vault_line_is_target(&call->host);
}


static ngx_buf_t *
compose_head(vault_upstream_op_t *op)
{
    size_t                        len;
    ngx_buf_t                    *b;
    ngx_uint_t                    i;
    const ngx_keyval_t           *pair;
    const vault_upstream_call_t  *call = op->call;

    len = ngx_strlen(call->method) + call->target.len + call->host.len
          + sizeof("  HTTP/1.1\r\nHost: \r\nContent-Length: \r\n"
                   "Connection: keep-alive\r\n\r\n") + NGX_OFF_T_LEN;

    for (i = 0; i < call->nheaders; i++) {
        pair = &call->headers[i];
        len += pair->key.len + pair->value.len + sizeof(": \r\n");
    }

    b = ngx_create_temp_buf(op->pool, len);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_sprintf(b->last, "%s %V HTTP/1.1\r\nHost: %V\r\n",
                          call->method, &call->target, &call->host);

    for (i = 0; i < call->nheaders; i++) {
        pair = &call->headers[i];
        b->last = ngx_sprintf(b->last, "%V: %V\r\n", &pair->key,
                              &pair->value);
    }

    if (call->size || ngx_strcmp(call->method, "PUT") == 0
        || ngx_strcmp(call->method, "POST") == 0)
    {
        b->last = ngx_sprintf(b->last, "Content-Length: %O\r\n", call->size);
    }

    b->last = ngx_sprintf(b->last, "Connection: keep-alive\r\n\r\n");

    return b;
}


static ngx_buf_t *
copy_buf(ngx_pool_t *pool, const ngx_buf_t *from)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(pool);
    if (b == NULL) {
        return NULL;
    }

    if (ngx_buf_in_memory(from)) {
        b->start = from->pos;
        b->pos = from->pos;
        b->last = from->last;
        b->end = from->last;
        b->memory = 1;

    } else {
        b->file = from->file;
        b->file_pos = from->file_pos;
        b->file_last = from->file_last;
        b->in_file = 1;
    }

    return b;
}


static ngx_chain_t **
append(vault_upstream_op_t *op, ngx_chain_t **last, ngx_buf_t *b)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(op->pool);
    if (cl == NULL || b == NULL) {
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;
    *last = cl;

    return &cl->next;
}


ngx_int_t
vault_upstream_compose(vault_upstream_op_t *op, ngx_chain_t **out)
{
    off_t         size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, **last;

    *out = NULL;

    if (!is_sound(op->call)) {
        return NGX_ERROR;
    }

    b = compose_head(op);
    op->head = b;
    last = append(op, out, b);
    size = 0;

    for (cl = op->call->body; cl && last; cl = cl->next) {
        if (ngx_buf_size(cl->buf) > 0) {      /* a last one may be empty */
            size += ngx_buf_size(cl->buf);
            b = copy_buf(op->pool, cl->buf);
            last = append(op, last, b);
        }
    }

    if (last == NULL || size != op->call->size) {
        return NGX_ERROR;
    }

    b->flush = 1;                     /* or TLS waits for more */

    return NGX_OK;
}
