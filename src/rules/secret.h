/*
 * secret - what proves, in the middle of a session, that it is the user: the
 * master password, or a code by mail.
 *
 * Why:    clients of somebody who has logged in without the password have none
 *         to ask for; they ask for a code (request-otp) and send that instead.
 * Use:    VAULT_SECRET_FIELDS() in a form's table, then
 *         vault_secret_require().
 * Fails:  400; 429 after too many failures.
 * Waits:  vault_secret_require() *awaits*.
 * See:    bitwarden/server SecretVerificationRequestModel.cs
 */

#ifndef VAULT_RULES_SECRET_H
#define VAULT_RULES_SECRET_H

#include "master.h"


typedef struct {
    ngx_str_t  hash;                  /* of the master password */
    ngx_str_t  code;
    ngx_str_t  code_too;              /* as older clients name it */
} vault_secret_t;

/* The members of a body, for a vault_secret_t at offset `at`. */
#define VAULT_SECRET_FIELDS(at)                                               \
    { "masterPasswordHash", VAULT_TEXT, (at) + offsetof(vault_secret_t, hash),\
      0, VAULT_HASH_MAX },                                                    \
    { "otp", VAULT_TEXT, (at) + offsetof(vault_secret_t, code), 0, 64 },      \
    { "OTP", VAULT_TEXT, (at) + offsetof(vault_secret_t, code_too), 0, 64 }


/* Of the signed-in user; a code is used up. */
void vault_secret_require(vault_request_t *vr, const vault_secret_t *secret);

/* The same for a code alone. */
void vault_secret_require_code(vault_request_t *vr,
    const vault_secret_t *secret);


#endif
