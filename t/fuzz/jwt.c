/*
 * jwt: a token passes only if signing its claims again gives its signature;
 * input that begins with "S" is taken as claims and signed first, so that
 * the claims' parser is reached.
 */

#include "shim.h"
#include "../unit/rfc7515.h"

#include "../../src/crypto/keyring.h"


#define NOW  (RFC7515_EXP - 1)


static vault_keyring_t *
keyring_get(void)
{
    ngx_str_t                pem = ngx_string(RFC7515_KEY);
    const char              *err;
    static ngx_pool_t       *pool;
    static vault_keyring_t  *keyring;

    if (keyring == NULL) {
        pool = ngx_create_pool(4096, shim_log());
        keyring = vault_keyring_from_pem(pool, &pem, &err);
    }

    if (keyring == NULL) {
        abort();
    }

    return keyring;
}


static void
check_accepted(ngx_pool_t *pool, vault_keyring_t *keyring,
    const ngx_str_t *token)
{
    u_char     *p;
    ngx_str_t   input, signature, text;

    for (p = token->data + token->len; p[-1] != '.'; p--) { /* void */ }

    input.data = token->data;
    input.len = (size_t) (p - 1 - token->data);
    signature.len = keyring->signature_len;
    signature.data = ngx_pnalloc(pool, signature.len);

    if (vault_keyring_sign(keyring, &input, signature.data) != NGX_OK
        || vault_base64url(pool, &signature, &text) != NGX_OK
        || text.len != (size_t) (token->data + token->len - p)
        || memcmp(text.data, p, text.len) != 0)
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t         rc;
    ngx_str_t         token, in, claims;
    ngx_pool_t       *pool;
    vault_keyring_t  *keyring;

    keyring = keyring_get();
    pool = ngx_create_pool(4096, shim_log());

    token.data = (u_char *) data;
    token.len = size;

    if (size && data[0] == 'S') {
        in.data = (u_char *) data + 1;
        in.len = size - 1;

        if (vault_jwt_sign(pool, keyring, &in, &token) != NGX_OK) {
            abort();
        }
    }

    rc = vault_jwt_check(pool, keyring, &token, "joe", NOW, &claims);

    if (rc == NGX_OK) {
        check_accepted(pool, keyring, &token);

    } else if (rc != NGX_DECLINED) {
        abort();
    }

    ngx_destroy_pool(pool);

    return 0;
}
