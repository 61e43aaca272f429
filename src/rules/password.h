/*
 * password - the server's side of a master password.
 *
 * Why:    clients send a hash of the password; it is as good as the password,
 *         so it is stored only as PBKDF2 of it, with a salt and a number of
 *         rounds of its own for each user.
 * Waits:  all await a CPU thread for some 0.2 s.
 * Fails:  as said; a wrong password never says more than that.
 */

#ifndef VAULT_RULES_PASSWORD_H
#define VAULT_RULES_PASSWORD_H

#include "session.h"


/* What is stored of a secret. */
typedef struct {
    ngx_str_t  hash;
    ngx_str_t  salt;
    int64_t    rounds;
} vault_password_t;

/* Of any secret: a new one, and whether `secret` is it. */
vault_password_t vault_password_create(vault_request_t *vr,
    const ngx_str_t *secret);
ngx_uint_t vault_password_match(vault_request_t *vr,
    const vault_password_t *password, const ngx_str_t *secret);

/* Sets password_hash, _salt and _rounds of *user, in memory. */
void vault_password_set(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *secret);

/*
 * 1 if `secret` is the password of `user`.  A user that does not exist (NULL)
 * takes the same time as one that does.  `account` is who it is said to be:
 * 429 when too many guesses at it have failed.
 */
ngx_uint_t vault_password_check(vault_request_t *vr, const ngx_str_t *account,
    const vault_user_t *user, const ngx_str_t *secret);

/*
 * Before a secret of another kind is compared: 429 after too many failures.
 * Then vault_limits_passed() or vault_limits_failed().
 */
void vault_password_require_may(vault_request_t *vr,
    const ngx_str_t *account);

/* After a successful check: hashes again if the configured rounds rose. */
void vault_password_raise(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *secret);

/*
 * The password of the signed-in user, or 400.  Wrong ones count as failed
 * logins, so a stolen session cannot guess.
 */
void vault_password_require(vault_request_t *vr, const ngx_str_t *secret);


#endif
