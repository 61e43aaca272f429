/*
 * send - who may receive a Send, and by what it is named and proven.
 *
 * Why:    receivers are strangers: the id in the link, a password at most and
 *         the number of accesses are all that stands before the text or file.
 * Use:    vault_send_find_open(), vault_send_prove() with what the receiver
 *         has, then vault_send_token(); routes behind VAULT_SEND find the Send
 *         of the token in vr->send.
 * Owns:   nothing; a token ends with its five minutes or with the password.
 * Fails:  429 after too many wrong passwords; else it is told by the answer.
 * Waits:  what says *awaits*.
 */

#ifndef VAULT_RULES_SEND_H
#define VAULT_RULES_SEND_H

#include "../model/send.h"
#include "../run/route.h"


#define VAULT_SEND_LIFE        300    /* seconds of a receiver's token */
#define VAULT_SEND_SECRET_MAX  1000   /* bytes; clients send base64 of 32 */

/* The guard of routes for receivers who have a token. */
extern const vault_guard_t  vault_guard_send;

#define VAULT_SEND  &vault_guard_send

typedef enum {
    VAULT_SEND_PROVEN = 0,            /* nothing else is needed */
    VAULT_SEND_SECRET_MISSING,
    VAULT_SEND_SECRET_WRONG
} vault_send_proof_e;


/*
 * The id in links: base64url of the bytes of a .NET GUID.  vault_send_id()
 * gives NGX_DECLINED for what is none; it takes the UUID itself as well.
 */
ngx_str_t vault_send_access_id(vault_request_t *vr, const ngx_str_t *id);
ngx_int_t vault_send_id(vault_request_t *vr, const ngx_str_t *access_id,
    ngx_str_t *id);

/*
 * NULL unless receivers may have it now: neither expired nor disabled nor
 * accessed as often as it may, and its file is there.  Awaits.
 */
vault_send_t *vault_send_find_open(vault_request_t *vr, const ngx_str_t *id);

/* The same of one that was found.  Awaits. */
ngx_uint_t vault_send_may_access(vault_request_t *vr, vault_send_t *send);

/* secret: of the receiver; data NULL for none.  Awaits. */
vault_send_proof_e vault_send_prove(vault_request_t *vr,
    const vault_send_t *send, const ngx_str_t *secret);

/* In memory; a secret of length 0 takes the password away.  Awaits. */
void vault_send_set_password(vault_request_t *vr, vault_send_t *send,
    const ngx_str_t *secret);

/* For a receiver who has proven to be one. */
ngx_str_t vault_send_token(vault_request_t *vr, const vault_send_t *send);

/* What binds a token to the Send's password. */
ngx_str_t vault_send_stamp(vault_request_t *vr, const vault_send_t *send);


#endif
