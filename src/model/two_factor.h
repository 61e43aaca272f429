/*
 * two_factor - the second steps that a user has set up, and the code that
 * turns all of them off.
 *
 * Why:    a row is a step in use; one that is turned off has no row.
 * Use:    rules/second.h; the API's own endpoints.
 * Fails:  as db.h and change.h.
 * Waits:  all *await*.
 *
 * Secrets lie here as they are, beside users.api_key: who reads the database
 * finds hashes of passwords and encrypted vaults all the same, and to lose
 * the server's signing key must not lock anybody out.
 */

#ifndef VAULT_MODEL_TWO_FACTOR_H
#define VAULT_MODEL_TWO_FACTOR_H

#include "change.h"


/* bitwarden/server src/Core/Auth/Enums/TwoFactorProviderType.cs */
#define VAULT_SECOND_TOTP      0
#define VAULT_SECOND_EMAIL     1
#define VAULT_SECOND_REMEMBER  5
#define VAULT_SECOND_RECOVERY  8

typedef struct {
    ngx_str_t  user_id;
    int64_t    provider;
    ngx_str_t  data;                  /* says the provider: the key of an app
                                         in base32; an e-mail address; the
                                         recovery code */
    int64_t    last_step;             /* newest code that was used; or null */
    int64_t    created_at;
} vault_two_factor_t;


/* All but the recovery code, by provider. */
ngx_array_t *vault_two_factor_list(vault_request_t *vr,
    const vault_user_t *user);

ngx_uint_t vault_two_factor_find(vault_request_t *vr,
    const vault_user_t *user, int64_t provider, vault_two_factor_t *row);

/*
 * Turns a step on, or gives it new data; with the first one comes `recovery`
 * as the recovery code.
 */
void vault_two_factor_set(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row, const ngx_str_t *recovery);

/* Turns one off, if it is on. */
void vault_two_factor_delete(vault_request_t *vr, const vault_user_t *user,
    int64_t provider);

/* 1 if no code of this step or a later one was used before, by anybody. */
ngx_uint_t vault_two_factor_use(vault_request_t *vr,
    const vault_two_factor_t *row, int64_t step);

/*
 * Turns all of them off, and uses the recovery code up: a step of a change
 * that is refused if the code has been used meanwhile.
 */
void vault_two_factor_recover(vault_change_t *change, const ngx_str_t *code);


#endif
