/*
 * signup - who may have an account here.
 *
 * Fails:  400 with the reason.
 * Waits:  vault_signup_send_link() *awaits*.
 */

#ifndef VAULT_RULES_SIGNUP_H
#define VAULT_RULES_SIGNUP_H

#include "session.h"


/* Is the domain of the address one that the operator wants? */
void vault_signup_require_domain(vault_request_t *vr, const ngx_str_t *email);

/* And may strangers register at all? */
void vault_signup_require_open(vault_request_t *vr, const ngx_str_t *email);

/* Must an address be proved, before anything? */
ngx_uint_t vault_signup_verifies(vault_request_t *vr);

/* Mails a link that proves the user's address; 0 if too many were asked for. */
ngx_uint_t vault_signup_send_link(vault_request_t *vr,
    const vault_user_t *user);


#endif
