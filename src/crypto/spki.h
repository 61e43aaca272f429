/*
 * spki - is this a public key?  RFC 5280 §4.1, the "SPKI" of clients.
 *
 * Why:    a user's public key is stored as the client sends it, and others
 *         encrypt with it for years; a broken one is refused on arrival.
 * Owns:   nothing.
 * Waits:  never.
 */

#ifndef VAULT_CRYPTO_SPKI_H
#define VAULT_CRYPTO_SPKI_H

#include <ngx_config.h>
#include <ngx_core.h>


/* NGX_OK for base64 of the DER of an RSA key of 2048 to 8192 bits;
   NGX_DECLINED for all else; NGX_ERROR: no memory. */
ngx_int_t vault_spki_check(ngx_pool_t *pool, const ngx_str_t *base64);


#endif
