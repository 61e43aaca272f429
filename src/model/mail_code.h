/*
 * mail_code - codes that were mailed, to be typed back.
 *
 * Why:    one code of each purpose is open for a user: a new one replaces it.
 * Use:    rules/code.c alone.
 * Fails:  as db.h.
 * Waits:  all *await*.
 */

#ifndef VAULT_MODEL_MAIL_CODE_H
#define VAULT_MODEL_MAIL_CODE_H

#include "user.h"


typedef struct {
    ngx_str_t  user_id;
    ngx_str_t  purpose;
    ngx_str_t  hash;                  /* of the code and what it is bound to */
    int64_t    tries;                 /* begun */
    int64_t    expires_at;
} vault_mail_code_t;


/* Joins the open transaction, if there is one. */
void vault_mail_code_save(vault_request_t *vr, const vault_mail_code_t *code);

/* Counts a try; 0 if there is no code, or no try left. */
ngx_uint_t vault_mail_code_try(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *purpose, int64_t tries, vault_mail_code_t *code);

/* 1 for the first who uses it. */
ngx_uint_t vault_mail_code_use(vault_request_t *vr,
    const vault_mail_code_t *code);


#endif
