/*
 * proof - codes and links by mail, which prove that the address is somebody's.
 *
 * Why:    each is good once, for one account, one purpose and one thing (a new
 *         address, a device), for a short time, and dies with the security
 *         stamp and when the account's address changes.
 * Use:    vault_proof_send_code(); or vault_proof_secret(), a mail with it,
 *         vault_proof_send().  When it comes back vault_proof_check() or
 *         vault_proof_require_link(), then use it up by vault_proof_delete()
 *         or, with what it is for, by vault_proof_delete_add().
 * Owns:   pool memory.  Only a MAC is stored, under the key of the server:
 *         who reads the database cannot try a million codes against it.
 * Fails:  429 after too many wrong codes of an account; else as said.
 * Waits:  all but vault_proof_secret() and vault_proof_escape() *await*.
 */

#ifndef VAULT_RULES_PROOF_H
#define VAULT_RULES_PROOF_H

#include "mailer.h"
#include "token.h"
#include "../model/proof.h"


typedef struct {
    const char  *purpose;
    time_t       life;                /* seconds */
    ngx_uint_t   attempts;            /* at a code of six digits; 0: it is a
                                         link, which cannot be guessed */
} vault_proof_kind_t;

extern const vault_proof_kind_t  vault_proof_verify_email;
extern const vault_proof_kind_t  vault_proof_delete_account;
extern const vault_proof_kind_t  vault_proof_change_email;
extern const vault_proof_kind_t  vault_proof_action;
extern const vault_proof_kind_t  vault_proof_new_device;


/* What is to be mailed, new: six digits, or 43 letters of a link. */
ngx_str_t vault_proof_secret(vault_request_t *vr,
    const vault_proof_kind_t *kind);

/*
 * Remembers it and queues its mail, in one transaction; 0, and nothing has
 * happened, if too many were asked for.  NULL as user: there is none; it
 * takes the same time, and nothing is sent.  mail->life is set here.
 */
ngx_uint_t vault_proof_send(vault_request_t *vr,
    const vault_proof_kind_t *kind, const vault_user_t *user,
    const ngx_str_t *subject, const ngx_str_t *secret, vault_mailer_t *mail);

/* The same with a new code: {{code}}, {{account}} in the template. */
ngx_uint_t vault_proof_send_code(vault_request_t *vr,
    const vault_proof_kind_t *kind, const vault_user_t *user,
    const ngx_str_t *subject, const char *template, const ngx_str_t *to);

/*
 * 1 and *proof if `secret` is what was mailed to this user for this purpose.
 * A user of whom only the id is set is one that does not exist.
 */
ngx_uint_t vault_proof_check(vault_request_t *vr,
    const vault_proof_kind_t *kind, const vault_user_t *user,
    const ngx_str_t *subject, const ngx_str_t *secret, vault_proof_t *proof);

/*
 * The user of a link; 400 if it is none that is good.  Who does not exist
 * costs as much.
 */
vault_user_t *vault_proof_require_link(vault_request_t *vr,
    const vault_proof_kind_t *kind, const ngx_str_t *user_id,
    const ngx_str_t *token, vault_proof_t *proof);

/*
 * The row that says that a signed token was used, which has an id: to be
 * inserted with what it was for.
 */
void vault_proof_used(vault_request_t *vr, const char *purpose,
    const vault_claims_t *claims, vault_proof_t *proof);

/* The part of a URL: "%40" for "@". */
ngx_str_t vault_proof_escape(vault_request_t *vr, const ngx_str_t *text);


#endif
