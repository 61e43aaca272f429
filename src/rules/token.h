/*
 * token - the tokens that clients hold.
 *
 * Access tokens are JWTs whose claims clients read; they end with the
 * security stamp and the device that they name (session.h).  A refresh token
 * is 32 random bytes, known here only by its hash in the device's row, so
 * each device has one.  A registration token is a JWT that is bound to an
 * e-mail address.
 */

#ifndef VAULT_RULES_TOKEN_H
#define VAULT_RULES_TOKEN_H

#include "session.h"


#define VAULT_ISSUER_LOGIN     "vault|login"
#define VAULT_ISSUER_REGISTER  "vault|register"
#define VAULT_ISSUER_SEND      "vault|send"
#define VAULT_ISSUER_REMEMBER  "vault|remember"
#define VAULT_ISSUER_VERIFIED  "vault|verified"
#define VAULT_ISSUER_MAILING   "vault|mailing"

/* bitwarden/clients libs/common/src/auth/services/token.service.ts */
typedef struct {
    ngx_str_t  issuer;
    ngx_str_t  subject;               /* user id; e-mail of a registration;
                                         id of a Send */
    ngx_str_t  id;                    /* of what is good once */
    ngx_str_t  name;
    int64_t    not_before;            /* seconds */
    int64_t    expires;
    ngx_str_t  client_id;             /* the rest: access tokens only */
    ngx_str_t  email;
    int64_t    email_verified;
    int64_t    premium;
    ngx_str_t  stamp;
    ngx_str_t  device;                /* identifier */
    int64_t    device_type;
    ngx_str_t  scope;                 /* JSON text of a list; not read back */
    ngx_str_t  methods;               /* "amr", likewise */
} vault_claims_t;


/* The token in the header Authorization; empty if there is none. */
ngx_str_t vault_token_bearer(vault_request_t *vr);

/* All null; then set what the token is to say. */
void vault_claims_init(vault_claims_t *claims);

/* Signs; claims->not_before and ->expires are set from `life` seconds. */
ngx_str_t vault_token_sign(vault_request_t *vr, vault_claims_t *claims,
    time_t life);

/* The claims of a valid token of that issuer, or NULL. */
vault_claims_t *vault_token_check(vault_request_t *vr, const ngx_str_t *token,
    const char *issuer);

/* An access token of conf->access_life seconds. */
ngx_str_t vault_token_access(vault_request_t *vr,
    const vault_session_t *session, const ngx_str_t *client_id,
    ngx_uint_t offline);

/*
 * A new refresh token for device under the stamp of user: the token, and its
 * traces in *device, which the caller saves.
 */
ngx_str_t vault_token_refresh(vault_request_t *vr, const vault_user_t *user,
    vault_device_t *device);

/* What is stored of a refresh token: lower-case hex of its SHA-256. */
ngx_str_t vault_token_hash(vault_request_t *vr, const ngx_str_t *token);


#endif
