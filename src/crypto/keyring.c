/*
 * keyring - the key that makes a token this server's own.
 */

#include "keyring.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>


#define KEY_BITS       2048           /* at least; and of those made here */
#define KEY_BITS_MAX   8192           /* a signature would take a second */
#define KEY_FILE_MAX   (64 * 1024)
#define MAC_LABEL      "vault keyring mac 1"


static void
keyring_free(void *data)
{
    vault_keyring_t  *keyring = data;

    EVP_PKEY_free(keyring->key);
    vault_wipe(keyring, sizeof(vault_keyring_t));
}


/* OpenSSL would ask on the terminal otherwise. */
static int
no_passphrase(char *buf, int size, int rw, void *data)
{
    return -1;
}


/*
 * The private exponent is as secret as the key itself and unlike its file
 * has one form only.
 */
static ngx_int_t
derive_mac_key(vault_keyring_t *keyring)
{
    int                     len;
    BIGNUM                 *d;
    u_char                 *bytes;
    ngx_int_t               rc;
    ngx_str_t               secret;
    static const ngx_str_t  label = ngx_string(MAC_LABEL);

    d = NULL;

    if (EVP_PKEY_get_bn_param(keyring->key, OSSL_PKEY_PARAM_RSA_D, &d) != 1) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;
    len = BN_num_bytes(d);
    bytes = OPENSSL_malloc((size_t) len);

    if (bytes) {
        secret.data = bytes;
        secret.len = (size_t) BN_bn2bin(d, bytes);
        rc = vault_hmac_sha256(&label, &secret, keyring->mac_key);
    }

    OPENSSL_clear_free(bytes, (size_t) len);
    BN_clear_free(d);

    return rc;
}


/* Finds a file whose two halves do not belong together before a client does. */
static ngx_int_t
try_key(vault_keyring_t *keyring)
{
    u_char            buf[KEY_BITS_MAX / 8];
    ngx_str_t         signature;
    static ngx_str_t  text = ngx_string("vault");

    signature.data = buf;
    signature.len = keyring->signature_len;

    if (vault_keyring_sign(keyring, &text, buf) != NGX_OK) {
        return NGX_ERROR;
    }

    return vault_keyring_verify(keyring, &text, &signature);
}


static const char *
check_key(EVP_PKEY *key)
{
    int  bits;

    if (key == NULL) {
        return "is not a PEM private key without a passphrase";
    }

    if (!EVP_PKEY_is_a(key, "RSA")) {
        return "is not an RSA key";
    }

    bits = EVP_PKEY_get_bits(key);

    if (bits < KEY_BITS) {
        return "is an RSA key of less than 2048 bits";
    }

    return bits > KEY_BITS_MAX ? "is an RSA key of more than 8192 bits" : NULL;
}


vault_keyring_t *
vault_keyring_from_pem(ngx_pool_t *pool, const ngx_str_t *pem,
    const char **err)
{
    BIO                 *bio;
    vault_keyring_t     *keyring;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(vault_keyring_t));
    if (cln == NULL || pem->len > KEY_FILE_MAX) {
        *err = cln ? "is too long for a key" : "needs more memory";
        return NULL;
    }

    keyring = cln->data;
    ngx_memzero(keyring, sizeof(vault_keyring_t));
    cln->handler = keyring_free;

    bio = BIO_new_mem_buf(pem->data, (int) pem->len);
    if (bio) {
        keyring->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        BIO_free(bio);
    }

    ERR_clear_error();

    *err = check_key(keyring->key);
    if (*err) {
        return NULL;
    }

    keyring->signature_len = (size_t) EVP_PKEY_get_size(keyring->key);

    if (derive_mac_key(keyring) != NGX_OK || try_key(keyring) != NGX_OK) {
        ERR_clear_error();
        *err = "is a key that does not work";
        return NULL;
    }

    return keyring;
}


/* The BIO is of the kind that is wiped. */
ngx_int_t
vault_keyring_make(u_char pem[VAULT_KEYRING_PEM], size_t *len)
{
    BIO       *bio;
    char      *text;
    size_t     n;
    EVP_PKEY  *key;

    n = 0;
    key = EVP_RSA_gen(KEY_BITS);
    bio = BIO_new(BIO_s_secmem());

    if (key && bio
        && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
    {
        n = (size_t) BIO_get_mem_data(bio, &text);

        if (n <= VAULT_KEYRING_PEM) {
            ngx_memcpy(pem, text, n);
            *len = n;
        }
    }

    BIO_free(bio);
    EVP_PKEY_free(key);
    ERR_clear_error();

    return n && n <= VAULT_KEYRING_PEM ? NGX_OK : NGX_ERROR;
}


ngx_int_t
vault_keyring_sign(vault_keyring_t *keyring, const ngx_str_t *text,
    u_char *signature)
{
    int          ok;
    size_t       len;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    len = keyring->signature_len;

    ok = ctx
         && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, keyring->key)
            == 1
         && EVP_DigestSign(ctx, signature, &len, text->data, text->len) == 1
         && len == keyring->signature_len;

    EVP_MD_CTX_free(ctx);

    if (!ok) {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
vault_keyring_verify(vault_keyring_t *keyring, const ngx_str_t *text,
    const ngx_str_t *signature)
{
    int          ok;
    EVP_MD_CTX  *ctx;

    if (signature->len != keyring->signature_len) {
        return NGX_DECLINED;
    }

    ctx = EVP_MD_CTX_new();

    ok = ctx
         && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, keyring->key)
            == 1
         && EVP_DigestVerify(ctx, signature->data, signature->len,
                             text->data, text->len)
            == 1;

    EVP_MD_CTX_free(ctx);

    if (!ok) {
        ERR_clear_error();
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
vault_keyring_mac(vault_keyring_t *keyring, const ngx_str_t *text,
    u_char out[VAULT_SHA256_LEN])
{
    ngx_str_t  key;

    key.data = keyring->mac_key;
    key.len = VAULT_SHA256_LEN;

    return vault_hmac_sha256(&key, text, out);
}
