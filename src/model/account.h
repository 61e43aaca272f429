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
#include "outbox.h"


/* The address is the user's. */
void vault_account_verify_add(vault_change_t *change);

/*
 * The address, and with it all that a master password decides, become those of
 * `user`; finds no row if another account has the address.
 */
void vault_account_email_add(vault_change_t *change,
    const vault_user_t *user);

/* A new account and a mail to it (NULL: none); 0 if the e-mail is taken. */
ngx_uint_t vault_account_create(vault_request_t *vr, const vault_user_t *user,
    const vault_outbox_t *mail);


#endif
