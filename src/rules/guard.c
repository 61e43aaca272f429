/*
 * guard - who may call a route.  The only place that answers 401 to users:
 * clients sign out on it, so it must mean that the session is over.  Receivers
 * of Sends have a guard and a 401 of their own: send_guard.c.
 */

#include "../crypto/jwt.h"
#include "../run/body.h"
#include "../run/route.h"
#include "session.h"
#include "token.h"


#define GUARD_OVER  "Your session has expired. Log in again."

static void guard_user(vault_request_t *vr);
static ngx_uint_t guard_user_admit(vault_request_t *vr,
    const char **message);


const vault_guard_t  vault_guard_anyone = { "anyone", NULL, NULL };
const vault_guard_t  vault_guard_user = {
    "user", guard_user, guard_user_admit
};


/* The signature is checked first: a forged token costs no query. */

static void
guard_user(vault_request_t *vr)
{
    ngx_str_t        token;
    vault_claims_t  *claims;

    token = vault_token_bearer(vr);

    claims = vault_token_check(vr, &token, VAULT_ISSUER_LOGIN);

    if (claims) {
        vr->session = vault_session_find(vr, &claims->subject,
                                         &claims->device, &claims->stamp);
    }

    if (vr->session == NULL) {
        vault_fail(vr, NGX_HTTP_UNAUTHORIZED, GUARD_OVER);
    }
}


/*
 * Strangers send no bodies.  Checked once more after, which costs little; and
 * only then while the key is still in the database, which is not waited for
 * here: rules/signing.h.
 */
static ngx_uint_t
guard_user_admit(vault_request_t *vr, const char **message)
{
    ngx_int_t  rc;
    ngx_str_t  token, claims;

    if (vr->conf->keyring == NULL || !vault_body_announced(vr)) {
        return 0;
    }

    token = vault_token_bearer(vr);
    rc = token.len
         ? vault_jwt_check(vr->pool, vr->conf->keyring, &token,
                           VAULT_ISSUER_LOGIN, vault_now() / 1000, &claims)
         : NGX_DECLINED;

    if (rc == NGX_ERROR) {
        *message = "Out of memory.";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *message = GUARD_OVER;

    return rc == NGX_OK ? 0 : NGX_HTTP_UNAUTHORIZED;
}
