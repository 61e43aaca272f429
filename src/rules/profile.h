/*
 * profile - how an account looks to its own clients: the objects that sync,
 * sign-in and the account endpoints share.
 *
 * Why:    clients compare these answers with each other (a security stamp
 *         that differs between two of them signs the user out), so there is
 *         one place that writes each.
 * Waits:  never.
 */

#ifndef VAULT_RULES_PROFILE_H
#define VAULT_RULES_PROFILE_H

#include "session.h"


/* {kdfType, iterations, memory, parallelism} of a vault_user_t. */
extern const vault_shape_t  vault_kdf_view;

/* The object "profile" of the signed-in user, as member `name` or, with NULL,
   as the whole answer. */
void vault_profile_write(vault_request_t *vr, vault_writer_t *w,
    const char *name);

/* sync's "userDecryption": how the user key of the signed-in user is got. */
void vault_user_decryption_write(vault_request_t *vr, vault_writer_t *w,
    const char *name);

/* The same for the answer to a sign-in: "UserDecryptionOptions". */
void vault_decryption_options_write(vault_writer_t *w, const char *name,
    const vault_user_t *user);

/* "accountKeys": the key pair; null while there is none. */
void vault_account_keys_write(vault_writer_t *w, const char *name,
    const vault_user_t *user);


#endif
