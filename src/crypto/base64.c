/*
 * base64 - bytes as text and back; every value has exactly one text.
 *
 * nginx's own decoder takes set trailing bits and missing padding, so that
 * several texts would pass for one token or key; this one does not.
 */

#include "crypto.h"


typedef struct {
    const char  *set;
    ngx_uint_t   padded;
} alphabet_t;

static const alphabet_t  standard = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 1
};

static const alphabet_t  url = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 0
};


static ngx_int_t
encode(ngx_pool_t *pool, const alphabet_t *alphabet, const ngx_str_t *in,
    ngx_str_t *out)
{
    size_t         left;
    u_char        *p, *data;
    uint32_t       bits;
    const u_char  *s;

    data = ngx_pnalloc(pool, (in->len + 2) / 3 * 4 + 1);
    if (data == NULL) {
        return NGX_ERROR;
    }

    p = data;
    s = in->data;

    for (left = in->len; left >= 3; left -= 3, s += 3) {
        bits = (uint32_t) s[0] << 16 | (uint32_t) s[1] << 8 | s[2];

        *p++ = (u_char) alphabet->set[bits >> 18];
        *p++ = (u_char) alphabet->set[bits >> 12 & 63];
        *p++ = (u_char) alphabet->set[bits >> 6 & 63];
        *p++ = (u_char) alphabet->set[bits & 63];
    }

    if (left) {
        bits = (uint32_t) s[0] << 16;

        if (left == 2) {
            bits |= (uint32_t) s[1] << 8;
        }

        *p++ = (u_char) alphabet->set[bits >> 18];
        *p++ = (u_char) alphabet->set[bits >> 12 & 63];

        if (left == 2) {
            *p++ = (u_char) alphabet->set[bits >> 6 & 63];

        } else if (alphabet->padded) {
            *p++ = '=';
        }

        if (alphabet->padded) {
            *p++ = '=';
        }
    }

    out->data = data;
    out->len = (size_t) (p - data);

    return NGX_OK;
}


/* The six bits of a character; 64 and more if it is none of the alphabet. */
static uint32_t
value(const alphabet_t *alphabet, u_char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t) (c - 'A');
    }

    if (c >= 'a' && c <= 'z') {
        return (uint32_t) (c - 'a' + 26);
    }

    if (c >= '0' && c <= '9') {
        return (uint32_t) (c - '0' + 52);
    }

    if (c == (u_char) alphabet->set[62]) {
        return 62;
    }

    return c == (u_char) alphabet->set[63] ? 63 : 64;
}


/*
 * The characters that carry bits: all but the padding, which must fill the
 * last group exactly.  NGX_DECLINED if no text of this length exists.
 */
static ngx_int_t
payload(const alphabet_t *alphabet, const ngx_str_t *in, size_t *len)
{
    size_t  n;

    n = in->len;

    if (alphabet->padded) {

        if (n % 4 != 0) {
            return NGX_DECLINED;
        }

        if (n && in->data[n - 1] == '=') {
            n--;

            if (in->data[n - 1] == '=') {
                n--;
            }
        }
    }

    if (n % 4 == 1) {
        return NGX_DECLINED;
    }

    *len = n;

    return NGX_OK;
}


static ngx_int_t
decode(ngx_pool_t *pool, const alphabet_t *alphabet, const ngx_str_t *in,
    ngx_str_t *out)
{
    size_t      i, n;
    u_char     *p, *data;
    uint32_t    v, bits;
    ngx_uint_t  have;

    if (payload(alphabet, in, &n) != NGX_OK) {
        return NGX_DECLINED;
    }

    data = ngx_pnalloc(pool, n / 4 * 3 + 3);
    if (data == NULL) {
        return NGX_ERROR;
    }

    bits = 0;
    have = 0;

    for (p = data, i = 0; i < n; i++) {
        v = value(alphabet, in->data[i]);

        if (v > 63) {
            return NGX_DECLINED;
        }

        bits = bits << 6 | v;
        have += 6;

        if (have >= 8) {
            have -= 8;
            *p++ = (u_char) (bits >> have);
            bits &= (1u << have) - 1;
        }
    }

    if (bits) {
        return NGX_DECLINED;
    }

    out->data = data;
    out->len = (size_t) (p - data);

    return NGX_OK;
}


ngx_int_t
vault_base64(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out)
{
    return encode(pool, &standard, in, out);
}


ngx_int_t
vault_unbase64(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out)
{
    return decode(pool, &standard, in, out);
}


ngx_int_t
vault_base64url(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out)
{
    return encode(pool, &url, in, out);
}


ngx_int_t
vault_unbase64url(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out)
{
    return decode(pool, &url, in, out);
}


u_char *
vault_hex(u_char *out, const u_char *in, size_t len)
{
    static const u_char  digits[] = "0123456789abcdef";

    while (len--) {
        *out++ = digits[*in >> 4];
        *out++ = digits[*in++ & 15];
    }

    return out;
}
