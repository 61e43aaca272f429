/*
 * Public keys of users: RSA of a sane size as base64 of its DER, and no more.
 */

#include "check.h"

#include "../../src/crypto/crypto.h"
#include "../../src/crypto/spki.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>


static ngx_pool_t  *pool;


/* The DER of a key's public half, with `more` bytes behind it. */
static ngx_str_t
der_of(EVP_PKEY *key, size_t more)
{
    int         len;
    u_char     *p;
    ngx_str_t   der;

    len = i2d_PUBKEY(key, NULL);

    der.len = (size_t) len + more;
    der.data = ngx_pcalloc(pool, der.len);
    p = der.data;
    i2d_PUBKEY(key, &p);

    return der;
}


static ngx_int_t
check_der(const ngx_str_t *der)
{
    ngx_str_t  text;

    if (vault_base64(pool, der, &text) != NGX_OK) {
        abort();
    }

    return vault_spki_check(pool, &text);
}


static ngx_int_t
check_key(EVP_PKEY *key, size_t more)
{
    ngx_int_t  rc;
    ngx_str_t  der;

    der = der_of(key, more);
    rc = check_der(&der);
    EVP_PKEY_free(key);

    return rc;
}


static void
test_kinds(void)
{
    CHECK_INT(check_key(EVP_RSA_gen(2048), 0), NGX_OK);
    CHECK_INT(check_key(EVP_RSA_gen(2048), 1), NGX_DECLINED);
    CHECK_INT(check_key(EVP_RSA_gen(1024), 0), NGX_DECLINED);
    CHECK_INT(check_key(EVP_EC_gen("P-256"), 0), NGX_DECLINED);
    CHECK_INT(check_key(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), 0),
              NGX_DECLINED);
}


static void
test_broken(void)
{
    u_char     *p;
    EVP_PKEY   *key;
    ngx_str_t   der, text, none = ngx_null_string,
                words = ngx_string("not base64 at all"),
                junk = ngx_string("AAAA");
    size_t      len, passed;

    key = EVP_RSA_gen(2048);
    der = der_of(key, 0);

    for (passed = 0, len = 0, text = der; len < der.len; len++) {
        text.len = len;
        passed += check_der(&text) != NGX_DECLINED;
    }

    CHECK_INT(passed, 0);

    /* the private half is nothing that a server should be sent */

    text.len = (size_t) i2d_PrivateKey(key, NULL);
    text.data = ngx_palloc(pool, text.len);
    p = text.data;
    i2d_PrivateKey(key, &p);
    CHECK_INT(check_der(&text), NGX_DECLINED);
    EVP_PKEY_free(key);

    CHECK_INT(vault_spki_check(pool, &none), NGX_DECLINED);
    CHECK_INT(vault_spki_check(pool, &words), NGX_DECLINED);
    CHECK_INT(vault_spki_check(pool, &junk), NGX_DECLINED);

    shim_fail_alloc(1);
    CHECK_INT(vault_spki_check(pool, &junk), NGX_ERROR);
    shim_fail_alloc(0);
}


int
main(void)
{
    pool = ngx_create_pool(4096, shim_log());

    test_kinds();
    test_broken();

    CHECK_INT(ERR_peek_error(), 0);          /* nginx would log it */

    ngx_destroy_pool(pool);

    return check_done();
}
