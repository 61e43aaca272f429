/*
 * limits - how often somebody may guess: over all workers, for an account and
 * for an address.
 *
 * Why:    a password hash that the server checks can be guessed as fast as
 *         the server answers; and each guess costs it 0.2 s of a core.
 * Use:    if (vault_limits_blocked(vr, email)) refuse; then check the
 *         password; then vault_limits_passed() or vault_limits_failed().
 * Owns:   a table of fixed size in shared memory, which survives a reload.
 *         Its keys are HMACs, so no e-mail lies there.  When it is full, the
 *         entry that rested longest makes room; nobody is refused for that.
 * Fails:  500 without memory, before anything was counted.
 * Waits:  never; holds a lock over all workers for less than a microsecond.
 *
 * An attempt is counted when it begins and given back when it passes, so that
 * guesses sent all at once cannot outrun the count.  It is given back too if
 * the request ends with a 5xx; if the client leaves, it stays.  A refused
 * attempt counts nothing, so a block ends by itself: `max` attempts are free
 * at once, and each comes back after window / max seconds.
 */

#ifndef VAULT_RULES_LIMITS_H
#define VAULT_RULES_LIMITS_H

#include "../run/request.h"


/* What is limited, and how; a max of 0 sets no limit. */
typedef struct {
    const char  *name;                /* "login": tells the entries of several
                                         limits apart, and is logged */
    ngx_uint_t   account_max;
    time_t       account_window;      /* seconds */
    ngx_uint_t   address_max;         /* IPv4 address, or /64 of IPv6 */
    time_t       address_window;
} vault_limit_t;


/*
 * The limits of failed logins, for conf->limits; only from the root file,
 * while the configuration is read.  Vaults of one nginx share the zone.  NULL
 * after having logged why.
 */
vault_limits_t *vault_limits_create(ngx_conf_t *cf, size_t zone_size,
    ngx_uint_t account_max, time_t account_window, ngx_uint_t address_max,
    time_t address_window);


/*
 * 1 if too many logins failed: refuse then, without looking at the password.
 * 0: the attempt counts until vault_limits_passed() is called.  `account` is
 * the e-mail, whether such a user exists or not; its case does not matter.
 * All three do nothing where conf->limits is NULL.
 */
ngx_uint_t vault_limits_blocked(vault_request_t *vr,
    const ngx_str_t *account);
void vault_limits_failed(vault_request_t *vr, const ngx_str_t *account);
void vault_limits_passed(vault_request_t *vr, const ngx_str_t *account);


/*
 * The same for anything else that can be guessed, in the same zone: `limit`
 * is static, `key` what is guessed at (a Send's id, an account's code).
 */
ngx_uint_t vault_limit_blocked(vault_request_t *vr,
    const vault_limit_t *limit, const ngx_str_t *key);
void vault_limit_failed(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *key);
void vault_limit_passed(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *key);


#endif
