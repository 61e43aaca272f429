/*
 * totp - the codes of authenticator apps: RFC 6238 with SHA-1 and steps of 30
 * seconds, which is all that every app knows; and base32 (RFC 4648 §6), in
 * which apps take their key.
 *
 * Owns:   nothing; outputs go to the caller's memory or the pool given.
 * Fails:  NGX_ERROR when OpenSSL refuses or there is no memory, NGX_DECLINED
 *         for bad input; outputs untouched then.
 * Waits:  never.
 */

#ifndef VAULT_CRYPTO_TOTP_H
#define VAULT_CRYPTO_TOTP_H

#include <ngx_config.h>
#include <ngx_core.h>


#define VAULT_TOTP_KEY     20         /* bytes, as RFC 4226 §4 recommends */
#define VAULT_TOTP_DIGITS  6
#define VAULT_TOTP_STEP    30         /* seconds */

/* The code of a step, or of any counter (RFC 4226): 6 to 8 digits, no NUL. */
ngx_int_t vault_totp_code(const ngx_str_t *key, int64_t step,
    ngx_uint_t digits, u_char *out);

/*
 * NGX_OK and its step if `code` belongs to the one of `now`, in seconds, the
 * one before or the one after: clocks differ, people type.  Spaces in a code
 * do not matter.
 */
ngx_int_t vault_totp_check(const ngx_str_t *key, const ngx_str_t *code,
    time_t now, int64_t *step);

/*
 * Capital letters without padding.  Back, letters of either case and padding
 * at the end are taken; NGX_DECLINED for all else, impossible lengths and set
 * trailing bits.
 */
ngx_int_t vault_base32(ngx_pool_t *pool, const ngx_str_t *in, ngx_str_t *out);
ngx_int_t vault_unbase32(ngx_pool_t *pool, const ngx_str_t *in,
    ngx_str_t *out);


#endif
