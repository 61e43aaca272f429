/*
 * account - what a proof changes in an account, as steps of a change.
 *
 * Why:    a proof is used up and what it was for happens in one transaction.
 * Fails:  as change.h.
 * Waits:  vault_account_create() *awaits*.
 */

#ifndef VAULT_MODEL_ACCOUNT_H
#define VAULT_MODEL_ACCOUNT_H

#include "change.h"
#include "proof.h"
#include "outbox.h"


/* The address is the user's. */
void vault_account_verify_add(vault_change_t *change);

/*
 * The address, and with it all that a master password decides, become those of
 * `user`; finds no row if another account has the address.
 */
void vault_account_email_add(vault_change_t *change,
    const vault_user_t *user);

#define VAULT_ACCOUNT_LINK                                                    \
    "Expired link. Please restart registration or try logging in. You may "  \
    "already have an account"

/*
 * A new account, a mail to it, and what its registration used up (both may be
 * NULL); 0 if the e-mail is taken, 400 VAULT_ACCOUNT_LINK if that was used up
 * before.
 */
ngx_uint_t vault_account_create(vault_request_t *vr, const vault_user_t *user,
    const vault_outbox_t *mail, const vault_proof_t *used);


#endif
