/*
 * two_factor_form - what the endpoints of two-step login share: the members
 * of their bodies, and the proof in them that it is the user.
 */

#ifndef VAULT_API_TWO_FACTOR_FORM_H
#define VAULT_API_TWO_FACTOR_FORM_H

#include "../rules/second.h"
#include "../rules/secret.h"


typedef struct {
    vault_secret_t  secret;
    ngx_str_t       proof;
    ngx_str_t       key;
    ngx_str_t       code;
    ngx_str_t       email;
    ngx_str_t       session;
    int64_t         type;
} vault_two_factor_form_t;

#define VAULT_TWO_FACTOR_PROOF                                                \
    VAULT_SECRET_FIELDS(offsetof(vault_two_factor_form_t, secret)),           \
    { "userVerificationToken", VAULT_TEXT,                                    \
      offsetof(vault_two_factor_form_t, proof), 0, 10000 }


/* Reads a body of nothing but the password or a code by mail, and checks it:
   400.  Awaits. */
void vault_two_factor_read_secret(vault_request_t *vr,
    vault_two_factor_form_t *form);

/* The token that was given for `what`, or the same: 400.  Awaits. */
void vault_two_factor_require(vault_request_t *vr,
    const vault_two_factor_form_t *form, const ngx_str_t *what);

/* The end of an answer that tells settings; `token` may be NULL. */
void vault_two_factor_reply(vault_request_t *vr, vault_writer_t *w,
    const char *object, const ngx_str_t *token);

/* {"enabled": false, …}: newer clients do not look at it. */
void vault_two_factor_reply_off(vault_request_t *vr, int64_t type);


#endif
