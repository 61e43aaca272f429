/*
 * Writing values as Go does: members sorted, two spaces a level, and "<", ">",
 * "&" escaped, so that the text is byte for byte the one of Go's clients.
 */

#include "value.h"


typedef struct {
    ngx_pool_t  *pool;
    u_char      *data;
    size_t       len;
    size_t       room;
    ngx_uint_t   failed;
} text_t;


static void
add(text_t *t, const void *bytes, size_t len)
{
    u_char  *p;
    size_t   room;

    if (t->failed) {
        return;
    }

    if (len > t->room - t->len) {
        room = 2 * t->room + len + 256;
        p = ngx_pnalloc(t->pool, room);

        if (p == NULL) {
            t->failed = 1;
            return;
        }

        if (t->len) {
            ngx_memcpy(p, t->data, t->len);
        }

        t->data = p;
        t->room = room;
    }

    ngx_memcpy(t->data + t->len, bytes, len);
    t->len += len;
}


static void
add_line(text_t *t, ngx_uint_t depth)
{
    add(t, "\n", 1);

    while (depth--) {
        add(t, "  ", 2);
    }
}


/* U+2028 and U+2029 too, which end a line of JavaScript. */
static size_t
special(const u_char *p, const u_char *end, u_char *out, size_t *used)
{
    *used = 1;

    switch (*p) {

    case '"':
    case '\\':
        out[0] = '\\';
        out[1] = *p;
        return 2;

    case '\n':
        ngx_memcpy(out, "\\n", 2);
        return 2;

    case '\r':
        ngx_memcpy(out, "\\r", 2);
        return 2;

    case '\t':
        ngx_memcpy(out, "\\t", 2);
        return 2;

    case 0xe2:
        if (end - p > 2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
            *used = 3;
            return ngx_sprintf(out, "\\u202%c", p[2] == 0xa8 ? '8' : '9')
                   - out;
        }

        return 0;

    default:
        return *p < ' ' || *p == '<' || *p == '>' || *p == '&'
               ? (size_t) (ngx_sprintf(out, "\\u%04xd", (ngx_int_t) *p) - out)
               : 0;
    }
}


static void
add_quoted(text_t *t, const ngx_str_t *text)
{
    size_t         n, used;
    u_char         out[16];
    const u_char  *p = text->data, *end = text->data + text->len;

    add(t, "\"", 1);

    while (p < end) {
        n = special(p, end, out, &used);
        add(t, n ? out : p, n ? n : 1);
        p += n ? used : 1;
    }

    add(t, "\"", 1);
}


static void add_value(text_t *t, const ngx_str_t *value, ngx_uint_t depth);


static void
add_object(text_t *t, const ngx_str_t *value, ngx_uint_t depth)
{
    ngx_uint_t     i;
    ngx_array_t   *members;
    ngx_keyval_t  *pair;

    if (vault_value_members(t->pool, value, &members) != NGX_OK) {
        t->failed = 1;
        return;
    }

    pair = members->elts;
    add(t, "{", 1);

    for (i = 0; i < members->nelts; i++) {
        add(t, ",", i > 0);
        add_line(t, depth + 1);
        add_quoted(t, &pair[i].key);
        add(t, ": ", 2);
        add_value(t, &pair[i].value, depth + 1);
    }

    if (members->nelts) {
        add_line(t, depth);
    }

    add(t, "}", 1);
}


static void
add_list(text_t *t, const ngx_str_t *value, ngx_uint_t depth)
{
    ngx_str_t   item, rest = *value;
    ngx_uint_t  n = 0;

    rest.data++;
    rest.len -= 2;
    add(t, "[", 1);

    while (vault_value_item(&rest, &item) == NGX_OK) {
        add(t, ",", n++ > 0);
        add_line(t, depth + 1);
        add_value(t, &item, depth + 1);
    }

    if (n) {
        add_line(t, depth);
    }

    add(t, "]", 1);
}


static void
add_value(text_t *t, const ngx_str_t *value, ngx_uint_t depth)
{
    ngx_str_t  text;

    switch (*value->data) {

    case '{':
        add_object(t, value, depth);
        break;

    case '[':
        add_list(t, value, depth);
        break;

    case '"':
        if (vault_value_text(t->pool, value, &text) != NGX_OK) {
            t->failed = 1;
            break;
        }

        add_quoted(t, &text);
        break;

    default:
        add(t, value->data, value->len);
        break;
    }
}


static ngx_int_t
finish(text_t *t, ngx_str_t *out)
{
    out->data = t->data;
    out->len = t->len;

    return t->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
vault_value_indent(ngx_pool_t *pool, const ngx_str_t *value,
    ngx_uint_t depth, ngx_str_t *out)
{
    text_t     t = { pool, NULL, 0, 0, 0 };
    ngx_str_t  null = ngx_string("null");

    add_value(&t, value->data ? value : &null, depth);

    return finish(&t, out);
}


ngx_int_t
vault_value_quote(ngx_pool_t *pool, const ngx_str_t *text, ngx_str_t *out)
{
    text_t  t = { pool, NULL, 0, 0, 0 };

    add_quoted(&t, text);

    return finish(&t, out);
}
