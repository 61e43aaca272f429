/*
 * code - six digits by mail, typed back by who reads the mailbox.
 *
 * Why:    one way to send and to check all of them: used once, bound to
 *         user, purpose, address and security stamp, five guesses, ten
 *         minutes.
 * Use:    a static vault_code_t for each purpose; vault_code_send(), later
 *         vault_code_check().
 * Owns:   nothing; the database knows a MAC of the code.
 * Fails:  as db.h; vault_code_send() with 400 if no mail is sent here, 429
 *         after too many.
 * Waits:  both await.
 */

#ifndef VAULT_RULES_CODE_H
#define VAULT_RULES_CODE_H

#include "../model/user.h"


typedef struct {
    const char  *purpose;
    const char  *template;            /* with {{code}} */
} vault_code_t;

void vault_code_send(vault_request_t *vr, const vault_user_t *user,
    const vault_code_t *code, const ngx_str_t *to);

/* 1 if `text` is the code that was last sent to `to`; only once. */
ngx_uint_t vault_code_check(vault_request_t *vr, const vault_user_t *user,
    const vault_code_t *code, const ngx_str_t *to, const ngx_str_t *text);


#endif
