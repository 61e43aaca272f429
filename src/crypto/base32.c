/*
 * base32 - RFC 4648 §6, as authenticator apps take their keys.
 */

#include "totp.h"


ngx_int_t
vault_base32(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out)
{
    size_t               i;
    u_char              *p;
    uint32_t             bits = 0;
    ngx_uint_t           n = 0;
    static const u_char  letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    p = ngx_pnalloc(pool, (in->len * 8 + 4) / 5 + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    for (i = 0; i < in->len; i++) {
        bits = bits << 8 | in->data[i];
        n += 8;

        while (n >= 5) {
            n -= 5;
            *p++ = letters[bits >> n & 0x1f];
        }
    }

    if (n) {
        *p++ = letters[bits << (5 - n) & 0x1f];
    }

    out->len = p - out->data;

    return NGX_OK;
}


/* 32 for what is no letter of the alphabet */
static uint32_t
value_of(u_char c)
{
    if (c >= '2' && c <= '7') {
        return (uint32_t) c - '2' + 26;
    }

    c |= 0x20;

    return c >= 'a' && c <= 'z' ? (uint32_t) c - 'a' : 32;
}


ngx_int_t
vault_unbase32(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out)
{
    size_t       i, len;
    u_char      *p, *start;
    uint32_t     v, bits = 0;
    ngx_uint_t   n = 0;

    for (len = in->len; len && in->data[len - 1] == '='; len--) { /* void */ }

    if (in->len - len > 6) {
        return NGX_DECLINED;
    }

    start = p = ngx_pnalloc(pool, len * 5 / 8 + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < len; i++) {
        v = value_of(in->data[i]);

        if (v == 32) {
            return NGX_DECLINED;
        }

        bits = bits << 5 | v;
        n += 5;

        if (n >= 8) {
            n -= 8;
            *p++ = (u_char) (bits >> n);
        }
    }

    /* a letter too many, or bits that belong to no byte */

    if (n >= 5 || (bits & ((1u << n) - 1))) {
        return NGX_DECLINED;
    }

    out->data = start;
    out->len = p - start;

    return NGX_OK;
}
