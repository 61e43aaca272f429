/*
 * proof - codes and links that were mailed, until they are used.
 *
 * Why:    who brings one back can read the mail of that address.
 * Use:    rules/proof.h alone.
 * Fails:  as db.h.
 * Waits:  all but vault_proof_delete_add() *await*.
 *
 * One row for an account, a purpose and a subject: a new one takes the place
 * of the old.  What was mailed is not in it, only a MAC.
 */

#ifndef VAULT_MODEL_PROOF_H
#define VAULT_MODEL_PROOF_H

#include "change.h"


typedef struct {
    ngx_str_t  id;
    ngx_str_t  user_id;
    ngx_str_t  purpose;
    ngx_str_t  subject;               /* what it is for: an address, a device;
                                         or empty */
    ngx_str_t  hash;
    ngx_str_t  stamp;                 /* of the user, when it was made */
    int64_t    created_at;
    int64_t    expires_at;
} vault_proof_t;


/* Both join the open transaction, if there is one. */
void vault_proof_save(vault_request_t *vr, const vault_proof_t *proof);

/* For what is not to be twice: 0 if it is there. */
ngx_uint_t vault_proof_insert(vault_request_t *vr,
    const vault_proof_t *proof);

/*
 * The one of key->user_id, purpose, subject and stamp that is good now: 0 if
 * there is none.  vault_proof_try() counts an attempt before it answers, and
 * answers to `most` of them.
 */
ngx_uint_t vault_proof_find(vault_request_t *vr, const vault_proof_t *key,
    vault_proof_t *proof);
ngx_uint_t vault_proof_try(vault_request_t *vr, const vault_proof_t *key,
    int64_t most, vault_proof_t *proof);

/* The newest, good or not, whatever its subject. */
ngx_uint_t vault_proof_find_last(vault_request_t *vr,
    const ngx_str_t *user_id, const ngx_str_t *purpose, vault_proof_t *proof);

/* Uses it up: 0 if somebody was faster. */
ngx_uint_t vault_proof_delete(vault_request_t *vr,
    const vault_proof_t *proof);

/* The same as a step of a change, for vault_change_refuse(). */
void vault_proof_delete_add(vault_change_t *change,
    const vault_proof_t *proof);

/* For a job: those that ended before; at most VAULT_PROOF_ROWS of them. */
int64_t vault_proof_purge(vault_request_t *vr, int64_t before);

#define VAULT_PROOF_ROWS  500


#endif
