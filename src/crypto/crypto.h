/*
 * crypto - hashes, password hashing, randomness, encodings: pure functions.
 *
 * Why:    one room for everything that touches OpenSSL, by EVP only.
 * Owns:   nothing; outputs go to the caller's memory or the pool given.
 * Fails:  NGX_ERROR when OpenSSL refuses, NGX_DECLINED for bad input; outputs
 *         untouched then.
 * Waits:  never.  vault_pbkdf2() takes 0.2 s: call it in a thread.
 */

#ifndef VAULT_CRYPTO_CRYPTO_H
#define VAULT_CRYPTO_CRYPTO_H

#include <ngx_config.h>
#include <ngx_core.h>


#define VAULT_SHA256_LEN  32
#define VAULT_UUID_LEN    36

/* PBKDF2-HMAC-SHA256 (RFC 8018): `len` bytes to `out`. */
ngx_int_t vault_pbkdf2(const ngx_str_t *password, const ngx_str_t *salt,
    ngx_uint_t rounds, u_char *out, size_t len);

/* HMAC-SHA256 (RFC 2104) and SHA-256 (FIPS 180-4): 32 bytes to `out`. */
ngx_int_t vault_hmac_sha256(const ngx_str_t *key, const ngx_str_t *text,
    u_char out[VAULT_SHA256_LEN]);
ngx_int_t vault_sha256(const ngx_str_t *text, u_char out[VAULT_SHA256_LEN]);

/* 1 if equal; the time depends on the lengths only. */
ngx_uint_t vault_equal(const ngx_str_t *a, const ngx_str_t *b);

/* Overwrites memory so that the compiler cannot leave it out. */
void vault_wipe(void *memory, size_t len);

/* Destroys a pool without cleanups, and wipes all that was ever in it. */
void vault_wipe_pool(ngx_pool_t *pool);

/* `len` bytes from OpenSSL's generator; safe after fork. */
ngx_int_t vault_random(u_char *out, size_t len);

/* A random UUID (RFC 9562 version 4), 36 characters in lower case, no NUL. */
ngx_int_t vault_uuid_create(u_char out[VAULT_UUID_LEN]);

/*
 * `n` random letters and digits (62 of them, without modulo bias).
 */
ngx_int_t vault_random_text(u_char *out, size_t n);

/*
 * base64 (RFC 4648 §4, padded), base64url (§5, unpadded) and lower-case hex,
 * in pool memory.  Decoding is strict: NGX_DECLINED for any other character,
 * wrong padding or set trailing bits.
 */
ngx_int_t vault_base64(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out);
ngx_int_t vault_unbase64(ngx_pool_t *pool, const ngx_str_t *in,
    ngx_str_t *out);
ngx_int_t vault_base64url(ngx_pool_t *pool, const ngx_str_t *in,
    ngx_str_t *out);
ngx_int_t vault_unbase64url(ngx_pool_t *pool, const ngx_str_t *in,
    ngx_str_t *out);
u_char *vault_hex(u_char *out, const u_char *in, size_t len);


#endif
