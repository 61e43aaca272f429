/*
 * The guard of routes for receivers of Sends: their token names one Send, and
 * ends with its password.  A 401 makes their page ask for a new one.
 */

#include "send.h"
#include "../crypto/crypto.h"
#include "token.h"


static void send_guard_check(vault_request_t *vr);


const vault_guard_t  vault_guard_send = { "send", send_guard_check, NULL };


/*
 * Whether it may still be accessed is for the endpoint to say, with 404; here
 * it only has to be the one that the token was given for.
 */

static void
send_guard_check(vault_request_t *vr)
{
    ngx_str_t        token, stamp;
    vault_claims_t  *claims;

    token = vault_token_bearer(vr);
    claims = vault_token_check(vr, &token, VAULT_ISSUER_SEND);

    if (claims == NULL) {
        vault_fail(vr, NGX_HTTP_UNAUTHORIZED,
                   "The access to this Send has expired. Open it again.");
    }

    vr->send = vault_send_find_any(vr, &claims->subject);        /* awaits */

    if (vr->send == NULL) {
        vault_fail(vr, VAULT_MISSING);
    }

    /* Without a password anybody gets a token: clients keep their old one. */

    if (vr->send->password_hash.len == 0) {
        return;
    }

    stamp = vault_send_stamp(vr, vr->send);

    if (!vault_equal(&stamp, &claims->stamp)) {
        vault_fail(vr, NGX_HTTP_UNAUTHORIZED,
                   "The password of this Send has changed. Open it again.");
    }
}
