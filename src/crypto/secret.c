/*
 * secret - comparing and forgetting.
 */

#include "crypto.h"

#include <openssl/crypto.h>


ngx_uint_t
vault_equal(const ngx_str_t *a, const ngx_str_t *b)
{
    if (a->len != b->len) {
        return 0;
    }

    return a->len == 0 || CRYPTO_memcmp(a->data, b->data, a->len) == 0;
}


void
vault_wipe(void *memory, size_t len)
{
    if (len) {
        OPENSSL_cleanse(memory, len);
    }
}
