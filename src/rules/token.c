#include "token.h"
#include "signing.h"
#include "../crypto/crypto.h"


#define REFRESH_BYTES  32

#define CLAIM(name, type, member)                                             \
    { name, type, offsetof(vault_claims_t, member), VAULT_OMIT_NULL, 0, NULL }


static ngx_str_t  scope_online = ngx_string("[\"api\"]");
static ngx_str_t  scope_offline = ngx_string("[\"api\",\"offline_access\"]");
static ngx_str_t  methods = ngx_string("[\"Application\"]");


/* One table signs and reads; lists are written only. */

static const vault_field_t  claims_out[] = {
    CLAIM("iss", VAULT_TEXT, issuer),
    CLAIM("sub", VAULT_TEXT, subject),
    CLAIM("jti", VAULT_TEXT, id),
    CLAIM("nbf", VAULT_INT, not_before),
    CLAIM("exp", VAULT_INT, expires),
    CLAIM("name", VAULT_TEXT, name),
    CLAIM("client_id", VAULT_TEXT, client_id),
    CLAIM("email", VAULT_TEXT, email),
    CLAIM("email_verified", VAULT_BOOL, email_verified),
    CLAIM("premium", VAULT_BOOL, premium),
    CLAIM("sstamp", VAULT_TEXT, stamp),
    CLAIM("device", VAULT_TEXT, device),
    CLAIM("devicetype", VAULT_INT, device_type),
    CLAIM("scope", VAULT_RAW, scope),
    CLAIM("amr", VAULT_RAW, methods),
    VAULT_FIELDS_END
};

static const vault_field_t  claims_in[] = {
    CLAIM("sub", VAULT_TEXT, subject),
    CLAIM("jti", VAULT_TEXT, id),
    CLAIM("exp", VAULT_INT, expires),
    CLAIM("name", VAULT_TEXT, name),
    CLAIM("email_verified", VAULT_BOOL, email_verified),
    CLAIM("sstamp", VAULT_TEXT, stamp),
    CLAIM("device", VAULT_TEXT, device),
    VAULT_FIELDS_END
};

static const vault_shape_t  claims_view =
    VAULT_SHAPE(claims_out, vault_claims_t);
static const vault_shape_t  claims_form =
    VAULT_SHAPE(claims_in, vault_claims_t);


ngx_str_t
vault_token_bearer(vault_request_t *vr)
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


void
vault_claims_init(vault_claims_t *claims)
{
    vault_json_init(&claims_view, claims);
}


ngx_str_t
vault_token_sign(vault_request_t *vr, vault_claims_t *claims, time_t life)
{
    ngx_str_t       text, token;
    vault_writer_t  w;

    claims->not_before = vault_now() / 1000;
    claims->expires = claims->not_before + life;

    vault_writer_init(&w, vr->pool);
    vault_json_object(&w, NULL, &claims_view, claims);

    if (vault_writer_text(&w, &text) != NGX_OK
        || vault_jwt_sign(vr->pool, vault_signing_key(vr), &text, &token)
           != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "cannot sign a token");
    }

    return token;
}


vault_claims_t *
vault_token_check(vault_request_t *vr, const ngx_str_t *token,
    const char *issuer)
{
    ngx_str_t            text;
    vault_claims_t      *claims;
    vault_json_error_t   err;

    if (token->len == 0
        || vault_jwt_check(vr->pool, vault_signing_key(vr), token, issuer,
                           vault_now() / 1000, &text)
           != NGX_OK)
    {
        return NULL;
    }

    claims = vault_alloc(vr, sizeof(vault_claims_t));

    if (vault_json_parse(vr->pool, &text, &claims_form, claims, &err)
        != NGX_OK)
    {
        return NULL;
    }

    return claims;
}


ngx_str_t
vault_token_access(vault_request_t *vr, const vault_session_t *session,
    const ngx_str_t *client_id, ngx_uint_t offline)
{
    vault_claims_t  claims;

    vault_claims_init(&claims);

    ngx_str_set(&claims.issuer, VAULT_ISSUER_LOGIN);
    claims.subject = session->user.id;
    claims.name = session->user.name;
    claims.client_id = *client_id;
    claims.email = session->user.email;
    claims.email_verified = session->user.email_verified;
    claims.premium = 1;
    claims.stamp = session->user.security_stamp;
    claims.device = session->device.identifier;
    claims.device_type = session->device.type;
    claims.scope = offline ? scope_offline : scope_online;
    claims.methods = methods;

    return vault_token_sign(vr, &claims, vr->conf->access_life);
}


ngx_str_t
vault_token_refresh(vault_request_t *vr, const vault_user_t *user,
    vault_device_t *device)
{
    u_char     random[REFRESH_BYTES];
    ngx_str_t  bytes, token;

    bytes.data = random;
    bytes.len = REFRESH_BYTES;

    if (vault_random(random, REFRESH_BYTES) != NGX_OK
        || vault_base64url(vr->pool, &bytes, &token) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "no random bytes");
    }

    vault_wipe(random, REFRESH_BYTES);

    device->refresh_hash = vault_token_hash(vr, &token);
    device->refresh_stamp = user->security_stamp;
    device->refresh_expires_at = vault_now()
                                 + (int64_t) vr->conf->refresh_life * 1000;

    return token;
}


ngx_str_t
vault_token_hash(vault_request_t *vr, const ngx_str_t *token)
{
    u_char     digest[VAULT_SHA256_LEN];
    ngx_str_t  hex;

    if (vault_sha256(token, digest) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "SHA-256 failed");
    }

    hex.len = 2 * VAULT_SHA256_LEN;
    hex.data = vault_alloc(vr, hex.len);
    vault_hex(hex.data, digest, VAULT_SHA256_LEN);

    return hex;
}
