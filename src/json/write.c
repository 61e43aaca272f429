/*
 * write - JSON text into a chain of buffers.
 *
 * Buffers grow from 1 KiB, which holds most answers, to 64 KiB, so that a
 * large sync is few buffers and a small answer little memory.
 */

#include "type.h"


#define WRITER_BUF_MIN  1024
#define WRITER_BUF_MAX  65536


void
vault_writer_init(vault_writer_t *w, ngx_pool_t *pool)
{
    ngx_memzero(w, sizeof(vault_writer_t));

    w->pool = pool;
}


void
vault_writer_rewind(vault_writer_t *w)
{
    w->size = 0;
    w->comma = 0;

    if (w->last) {
        w->chain = w->last;
        w->last->buf->last = w->last->buf->pos;
    }
}


static size_t
room(vault_writer_t *w)
{
    return w->last ? (size_t) (w->last->buf->end - w->last->buf->last) : 0;
}


static ngx_int_t
grow(vault_writer_t *w)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    size = WRITER_BUF_MIN;

    if (w->last) {
        b = w->last->buf;
        size = ngx_min(4 * (size_t) (b->end - b->start), WRITER_BUF_MAX);
    }

    cl = ngx_alloc_chain_link(w->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->next = NULL;
    cl->buf = ngx_create_temp_buf(w->pool, size);

    if (cl->buf == NULL) {
        return NGX_ERROR;
    }

    if (w->last) {
        w->last->next = cl;

    } else {
        w->chain = cl;
    }

    w->last = cl;

    return NGX_OK;
}


static void
put(vault_writer_t *w, const void *data, size_t len)
{
    size_t         n;
    ngx_buf_t     *b;
    const u_char  *p;

    if (w->failed) {
        return;
    }

    if (w->max && (off_t) len > w->max - w->size) {
        w->failed = 1;
        return;
    }

    w->size += len;

    for (p = data; len; p += n, len -= n) {

        if (room(w) == 0 && grow(w) != NGX_OK) {
            w->failed = 1;
            return;
        }

        b = w->last->buf;
        n = ngx_min(len, (size_t) (b->end - b->last));
        b->last = ngx_cpymem(b->last, p, n);
    }
}


static void
put_char(vault_writer_t *w, u_char c)
{
    put(w, &c, 1);
}


/* What precedes a value: a comma if it is not the first, and its name. */
static void
begin(vault_writer_t *w, const char *name)
{
    if (w->comma) {
        put(w, ",\"", name ? 2 : 1);

    } else if (name) {
        put_char(w, '"');
    }

    if (name) {
        put(w, name, ngx_strlen(name));
        put(w, "\":", 2);
    }

    w->comma = 1;
}


void
vault_json_open(vault_writer_t *w, const char *name, u_char bracket)
{
    begin(w, name);
    put_char(w, bracket);

    w->comma = 0;
}


void
vault_json_close(vault_writer_t *w, u_char bracket)
{
    put_char(w, bracket);

    w->comma = 1;
}


/* RFC 8259 §7: only these have to be escaped. */
static ngx_uint_t
is_plain(u_char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}


static void
put_escaped(vault_writer_t *w, u_char c)
{
    u_char  escape[sizeof("\\u0000")];

    switch (c) {

    case '"':
        put(w, "\\\"", 2);
        return;

    case '\\':
        put(w, "\\\\", 2);
        return;

    case '\n':
        put(w, "\\n", 2);
        return;

    case '\r':
        put(w, "\\r", 2);
        return;

    case '\t':
        put(w, "\\t", 2);
        return;

    default:
        put(w, escape, ngx_sprintf(escape, "\\u%04xd", c) - escape);
    }
}


void
vault_json_string(vault_writer_t *w, const char *name, const ngx_str_t *text)
{
    const u_char  *p, *run, *end;

    if (text->data == NULL) {
        vault_json_null(w, name);
        return;
    }

    begin(w, name);
    put_char(w, '"');

    p = text->data;
    end = p + text->len;

    while (p < end) {

        for (run = p; p < end && is_plain(*p); p++) { /* void */ }

        put(w, run, p - run);

        if (p < end) {
            put_escaped(w, *p++);
        }
    }

    put_char(w, '"');
}


void
vault_json_cstring(vault_writer_t *w, const char *name, const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = text ? ngx_strlen(text) : 0;

    vault_json_string(w, name, &s);
}


void
vault_json_integer(vault_writer_t *w, const char *name, int64_t n)
{
    u_char  digits[NGX_INT64_LEN];

    if (n == VAULT_NULL) {
        vault_json_null(w, name);
        return;
    }

    begin(w, name);
    put(w, digits, ngx_sprintf(digits, "%L", n) - digits);
}


void
vault_json_boolean(vault_writer_t *w, const char *name, int64_t n)
{
    if (n == VAULT_NULL) {
        vault_json_null(w, name);
        return;
    }

    begin(w, name);

    if (n) {
        put(w, "true", 4);

    } else {
        put(w, "false", 5);
    }
}


void
vault_json_null(vault_writer_t *w, const char *name)
{
    begin(w, name);
    put(w, "null", 4);
}


void
vault_json_raw(vault_writer_t *w, const char *name, const ngx_str_t *json)
{
    /* an empty text is no JSON; it would break all that surrounds it */

    if (json->len == 0) {
        vault_json_null(w, name);
        return;
    }

    begin(w, name);
    put(w, json->data, json->len);
}


void
vault_writer_splice(vault_writer_t *w, const ngx_str_t *json)
{
    if (json->data == NULL) {
        return;
    }

    if (json->len < 2 || json->data[0] != '{'
        || json->data[json->len - 1] != '}')
    {
        w->failed = 1;
        return;
    }

    if (json->len > 2) {
        begin(w, NULL);
        put(w, json->data + 1, json->len - 2);
    }
}


ngx_int_t
vault_writer_text(vault_writer_t *w, ngx_str_t *out)
{
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (w->failed) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(w->pool, w->size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    out->len = w->size;

    for (cl = w->chain; cl; cl = cl->next) {
        b = cl->buf;
        p = ngx_cpymem(p, b->pos, b->last - b->pos);
    }

    return NGX_OK;
}
