#include "form.h"


/* -1 for anything that is no hexadecimal digit */
static ngx_int_t
form_digit(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


ngx_int_t
vault_form_unescape(ngx_pool_t *pool, const ngx_str_t *raw, ngx_str_t *out)
{
    u_char      *dst;
    ngx_int_t    high, low;
    ngx_uint_t   i;

    dst = ngx_pnalloc(pool, raw->len ? raw->len : 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    out->data = dst;

    for (i = 0; i < raw->len; i++) {

        if (raw->data[i] == '%' && raw->len - i > 2) {
            high = form_digit(raw->data[i + 1]);
            low = form_digit(raw->data[i + 2]);

            if (high >= 0 && low >= 0) {
                *dst++ = (u_char) (high << 4 | low);
                i += 2;
                continue;
            }
        }

        *dst++ = raw->data[i] == '+' ? ' ' : raw->data[i];
    }

    out->len = dst - out->data;

    return NGX_OK;
}


static const vault_field_t *
form_field(const vault_shape_t *shape, u_char *name, size_t len)
{
    const vault_field_t  *field;

    for (field = shape->fields; field->name; field++) {
        if (ngx_strlen(field->name) == len
            && ngx_strncasecmp((u_char *) field->name, name, len) == 0)
        {
            return field;
        }
    }

    return NULL;
}


/* A field that the body never named reads as an empty text. */
static ngx_int_t
form_require(ngx_pool_t *pool, const vault_shape_t *shape, uint64_t seen,
    void *out, vault_json_error_t *err)
{
    ngx_int_t    rc;
    ngx_str_t    none = ngx_string("");
    ngx_uint_t   i;

    for (i = 0; shape->fields[i].name && i < 64; i++) {

        if ((seen & (uint64_t) 1 << i)
            || !(shape->fields[i].flags & VAULT_REQUIRED))
        {
            continue;
        }

        rc = vault_json_text(pool, &none, &shape->fields[i],
                             (u_char *) out + shape->fields[i].offset, err);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


ngx_int_t
vault_form_parse(ngx_pool_t *pool, const ngx_str_t *body,
    const vault_shape_t *shape, void *out, vault_json_error_t *err)
{
    u_char               *p, *end, *next, *eq;
    uint64_t              seen;
    ngx_int_t             rc;
    ngx_str_t             raw, text;
    const vault_field_t  *field;

    vault_json_init(shape, out);
    seen = 0;

    for (p = body->data, end = p + body->len; p < end; p = next + 1) {

        next = ngx_strlchr(p, end, '&');
        if (next == NULL) {
            next = end;
        }

        eq = ngx_strlchr(p, next, '=');
        field = eq ? form_field(shape, p, eq - p) : NULL;

        if (field == NULL) {
            continue;
        }

        raw.data = eq + 1;
        raw.len = next - raw.data;

        if (vault_form_unescape(pool, &raw, &text) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = vault_json_text(pool, &text, field,
                             (u_char *) out + field->offset, err);
        if (rc != NGX_OK) {
            return rc;
        }

        seen |= (uint64_t) 1 << ((field - shape->fields) & 63);
    }

    return form_require(pool, shape, seen, out, err);
}
