/*
 * jwt - signed tokens (RFC 7515, 7519), RS256 only.
 *
 * Why:    clients read the claims of their access token, so it is a JWT; every
 *         other short-lived proof (registration, downloads, Sends) is one too,
 *         told apart by its issuer.
 * Owns:   a keyring holds one RSA key for the life of the process.
 * Fails:  NGX_DECLINED for a token that is malformed, forged, expired, not
 *         yet valid, or of another issuer: which one is nobody's business.
 * Waits:  never.  A signature takes about 0.5 ms, a check 30 µs, that of a
 *         token that this worker has seen before a tenth of it.  On the main
 *         thread only.
 */

#ifndef VAULT_CRYPTO_JWT_H
#define VAULT_CRYPTO_JWT_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct vault_keyring_s  vault_keyring_t;

/*
 * The key from a PEM text (PKCS#1 or PKCS#8, RSA of at least 2048 bits).
 * NULL with *err set.  Lives until the pool goes.
 */
vault_keyring_t *vault_keyring_from_pem(ngx_pool_t *pool,
    const ngx_str_t *pem, const char **err);

/*
 * The key from the file `path`; made there first, RSA-2048, mode 0600, if it
 * does not exist: written beside and linked into place, so that two starting
 * servers agree on one.  Refuses a file that others may read.
 */
vault_keyring_t *vault_keyring_from_file(ngx_pool_t *pool,
    const ngx_str_t *path, const char **err);

/*
 * Makes a new key, RSA-2048, as PEM; takes a tenth of a second and more.  Wipe
 * it after use.  May run on a thread.
 */
#define VAULT_KEYRING_PEM  2048

ngx_int_t vault_keyring_make(u_char pem[VAULT_KEYRING_PEM], size_t *len);

/*
 * Signs `claims`, the JSON text of an object, which must hold "iss" and "exp".
 */
ngx_int_t vault_jwt_sign(ngx_pool_t *pool, vault_keyring_t *keyring,
    const ngx_str_t *claims, ngx_str_t *token);

/*
 * Checks the signature, "iss" = issuer, "nbf" (60 s leeway) and "exp" (none)
 * at `now` in seconds.  claims: the JSON text of the payload, in pool memory;
 * read it with vault_json_parse().
 */
ngx_int_t vault_jwt_check(ngx_pool_t *pool, vault_keyring_t *keyring,
    const ngx_str_t *token, const char *issuer, time_t now,
    ngx_str_t *claims);

/*
 * A stable secret of this server for answers that must look random but not
 * change (prelogin of unknown users): HMAC-SHA256 of `text` under a key
 * derived from the private key.
 */
ngx_int_t vault_keyring_mac(vault_keyring_t *keyring, const ngx_str_t *text,
    u_char out[32]);


#endif
