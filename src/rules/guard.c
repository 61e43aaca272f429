/*
 * guard - who may call a route.  The only place that answers 401: clients
 * sign out on it, so it must mean that the session is over.
 */

#include "../run/route.h"
#include "session.h"
#include "token.h"


static void guard_user(vault_request_t *vr);
static ngx_str_t guard_bearer(vault_request_t *vr);


const vault_guard_t  vault_guard_anyone = { "anyone", NULL };
const vault_guard_t  vault_guard_user = { "user", guard_user };


/* The signature is checked first: a forged token costs no query. */

static void
guard_user(vault_request_t *vr)
{
    ngx_str_t        token;
    vault_claims_t  *claims;

    token = guard_bearer(vr);

    claims = vault_token_check(vr, &token, VAULT_ISSUER_LOGIN);

    if (claims) {
        vr->session = vault_session_find(vr, &claims->subject,
                                         &claims->device, &claims->stamp);
    }

    if (vr->session == NULL) {
        vault_fail(vr, NGX_HTTP_UNAUTHORIZED,
                   "Your session has expired. Log in again.");
    }
}


static ngx_str_t
guard_bearer(vault_request_t *vr)
{
    ngx_str_t  value;

    value = vault_header(vr, "Authorization");

    if (value.len < sizeof("Bearer ")
        || ngx_strncasecmp(value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1)
           != 0)
    {
        ngx_str_null(&value);
        return value;
    }

    value.data += sizeof("Bearer ") - 1;
    value.len -= sizeof("Bearer ") - 1;

    return value;
}
