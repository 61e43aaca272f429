/*
 * secret - comparing and forgetting.
 */

#include "crypto.h"

#include <malloc.h>
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


void
vault_wipe_pool(ngx_pool_t *pool)
{
    u_char            *from;
    ngx_pool_t        *p;
    ngx_pool_large_t  *large;

    for (large = pool->large; large; large = large->next) {
        if (large->alloc) {
            vault_wipe(large->alloc, malloc_usable_size(large->alloc));
            ngx_free(large->alloc);
        }
    }

    pool->large = NULL;               /* the list lies in what is wiped now */

    for (p = pool; p; p = p->d.next) {
        from = (u_char *) p + (p == pool ? sizeof(ngx_pool_t)
                                         : sizeof(ngx_pool_data_t));
        if (p->d.last > from) {
            vault_wipe(from, p->d.last - from);
        }
    }

    ngx_destroy_pool(pool);
}
