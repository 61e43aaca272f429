/*
 * hash - SHA-256 and what is built on it.
 *
 * OpenSSL's error queue is emptied after a refusal: nginx would log what is
 * left there as an error of the next TLS connection.
 */

#include "crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>


/* OpenSSL takes NULL for "no key given", which an empty text is not. */
static const u_char *
bytes(const ngx_str_t *text)
{
    return text->data ? text->data : (const u_char *) "";
}


ngx_int_t
vault_pbkdf2(const ngx_str_t *password, const ngx_str_t *salt,
    ngx_uint_t rounds, u_char *out, size_t len)
{
    if (rounds == 0 || rounds > INT_MAX || len == 0 || len > INT_MAX
        || password->len > INT_MAX || salt->len > INT_MAX)
    {
        return NGX_DECLINED;
    }

    if (PKCS5_PBKDF2_HMAC((const char *) bytes(password),
                          (int) password->len, bytes(salt), (int) salt->len,
                          (int) rounds, EVP_sha256(), (int) len, out)
        != 1)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
vault_hmac_sha256(const ngx_str_t *key, const ngx_str_t *text,
    u_char out[VAULT_SHA256_LEN])
{
    u_char  mac[VAULT_SHA256_LEN];
    size_t  len;

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, bytes(key), key->len,
                  bytes(text), text->len, mac, sizeof(mac), &len)
            == NULL
        || len != VAULT_SHA256_LEN)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    ngx_memcpy(out, mac, VAULT_SHA256_LEN);
    vault_wipe(mac, sizeof(mac));

    return NGX_OK;
}


ngx_int_t
vault_sha256(const ngx_str_t *text, u_char out[VAULT_SHA256_LEN])
{
    if (EVP_Digest(bytes(text), text->len, out, NULL, EVP_sha256(), NULL)
        != 1)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}
