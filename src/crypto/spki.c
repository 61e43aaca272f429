#include <ngx_config.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto.h"
#include "spki.h"


#define SPKI_MIN_BITS  2048
#define SPKI_MAX_BITS  8192


ngx_int_t
vault_spki_check(ngx_pool_t *pool, const ngx_str_t *base64)
{
    int             bits;
    EVP_PKEY       *key;
    ngx_int_t       rc;
    ngx_str_t       der;
    const u_char   *p;

    rc = vault_unbase64(pool, base64, &der);
    if (rc != NGX_OK) {
        return rc;
    }

    p = der.data;
    key = d2i_PUBKEY(NULL, &p, der.len);

    if (key == NULL) {
        ERR_clear_error();
        return NGX_DECLINED;
    }

    bits = EVP_PKEY_get_bits(key);

    rc = (p == der.data + der.len
          && EVP_PKEY_is_a(key, "RSA")
          && bits >= SPKI_MIN_BITS && bits <= SPKI_MAX_BITS)
         ? NGX_OK : NGX_DECLINED;

    EVP_PKEY_free(key);

    return rc;
}
