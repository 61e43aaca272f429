/*
 * base64: whatever is accepted is the one text of its bytes, and every bytes
 * come back from their text.
 */

#include "shim.h"

#include "../../src/crypto/crypto.h"


typedef ngx_int_t (*code_pt)(ngx_pool_t *pool, const ngx_str_t *in,
    ngx_str_t *out);


static void
require(ngx_uint_t ok)
{
    if (!ok) {
        abort();
    }
}


static ngx_uint_t
same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}


static void
try_code(ngx_pool_t *pool, const ngx_str_t *in, code_pt encode,
    code_pt decode)
{
    ngx_int_t  rc;
    ngx_str_t  text, bytes;

    rc = decode(pool, in, &bytes);

    if (rc == NGX_OK) {
        require(encode(pool, &bytes, &text) == NGX_OK);
        require(same(&text, in));

    } else {
        require(rc == NGX_DECLINED);
    }

    require(encode(pool, in, &text) == NGX_OK);
    require(decode(pool, &text, &bytes) == NGX_OK);
    require(same(&bytes, in));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t    in;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    in.len = size;
    in.data = (u_char *) data;

    try_code(pool, &in, vault_base64, vault_unbase64);
    try_code(pool, &in, vault_base64url, vault_unbase64url);

    ngx_destroy_pool(pool);

    return 0;
}
