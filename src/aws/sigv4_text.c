/*
 * How bytes are spelled in what is signed.
 */

#include "sigv4_part.h"

#include "../crypto/crypto.h"


#define HEX_LEN  (2 * VAULT_SHA256_LEN)


ngx_uint_t
vault_sigv4_is_plain(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || c == '-' || c == '.' || c == '_' || c == '~';
}


ngx_int_t
vault_sigv4_encode(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_uint_t keep_slashes, ngx_str_t *out)
{
    size_t                i;
    u_char               *p, *start, c;
    static const u_char   hex[] = "0123456789ABCDEF";

    start = ngx_pnalloc(pool, 3 * text->len + 1);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = start;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (vault_sigv4_is_plain(c) || (keep_slashes && c == '/')) {
            *p++ = c;
            continue;
        }

        *p++ = '%';
        *p++ = hex[c >> 4];
        *p++ = hex[c & 0xf];
    }

    out->data = start;
    out->len = p - start;

    return NGX_OK;
}


ngx_int_t
vault_sigv4_hex(ngx_pool_t *pool, const u_char *digest, ngx_str_t *out)
{
    u_char  *p;

    p = ngx_pnalloc(pool, HEX_LEN + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) vault_hex(p, digest, VAULT_SHA256_LEN);

    out->data = p;
    out->len = HEX_LEN;

    return NGX_OK;
}


ngx_int_t
vault_sigv4_payload(ngx_pool_t *pool, const ngx_str_t *body,
    ngx_str_t *payload)
{
    u_char  digest[VAULT_SHA256_LEN];

    if (vault_sha256(body, digest) != NGX_OK) {
        return NGX_ERROR;
    }

    return vault_sigv4_hex(pool, digest, payload);
}
