/*
 * /api/two-factor: which second steps an account has; an authenticator app;
 * the recovery code; turning them off.  Those by mail: two_factor_email.c.
 *
 * Clients of 2026 get a token with the settings, for the master password, and
 * send it with the change; older ones send the password twice, and read the
 * members of "authenticator" beside it.
 */

#include "../run/route.h"
#include "../crypto/crypto.h"
#include "../crypto/totp.h"
#include "../rules/password.h"
#include "two_factor_form.h"


static void  two_factor_list(vault_request_t *vr);
static void  two_factor_get_app(vault_request_t *vr);
static void  two_factor_set_app(vault_request_t *vr);
static void  two_factor_delete_app(vault_request_t *vr);
static void  two_factor_get_recover(vault_request_t *vr);
static void  two_factor_recover(vault_request_t *vr);
static void  two_factor_disable(vault_request_t *vr);


const vault_route_t  vault_two_factor_routes[] = {
    { GET,    "/api/two-factor", two_factor_list, VAULT_USER },
    { POST,   "/api/two-factor/get-authenticator",
      two_factor_get_app,     VAULT_USER },
    { PUT,    "/api/two-factor/authenticator",
      two_factor_set_app,     VAULT_USER },
    { POST,   "/api/two-factor/authenticator",
      two_factor_set_app,     VAULT_USER },
    { DELETE, "/api/two-factor/authenticator",
      two_factor_delete_app,  VAULT_USER },
    { POST,   "/api/two-factor/get-recover",
      two_factor_get_recover, VAULT_USER },
    { POST,   "/api/two-factor/recover",
      two_factor_recover,     VAULT_ANYONE },
    { PUT,    "/api/two-factor/disable",
      two_factor_disable,     VAULT_USER },
    { POST,   "/api/two-factor/disable",
      two_factor_disable,     VAULT_USER },
    VAULT_ROUTE_END
};


#define FORM(member)  offsetof(vault_two_factor_form_t, member)

static const vault_field_t  app_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    { "key",   VAULT_TEXT, FORM(key),  VAULT_REQUIRED, 50 },
    { "token", VAULT_TEXT, FORM(code), VAULT_REQUIRED, 50 },
    VAULT_FIELDS_END
};

static const vault_field_t  app_delete_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    { "key", VAULT_TEXT, FORM(key), VAULT_REQUIRED, 50 },
    VAULT_FIELDS_END
};

static const vault_field_t  recover_fields[] = {
    { "email", VAULT_EMAIL, FORM(email), VAULT_REQUIRED },
    { "masterPasswordHash", VAULT_TEXT, FORM(secret.hash), VAULT_REQUIRED,
      VAULT_HASH_MAX },
    { "recoveryCode", VAULT_TEXT, FORM(code), VAULT_REQUIRED, 64 },
    VAULT_FIELDS_END
};

static const vault_field_t  disable_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    { "type", VAULT_INT, FORM(type), VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_shape_t  app_form =
    VAULT_SHAPE(app_fields, vault_two_factor_form_t);
static const vault_shape_t  app_delete_form =
    VAULT_SHAPE(app_delete_fields, vault_two_factor_form_t);
static const vault_shape_t  recover_form =
    VAULT_SHAPE(recover_fields, vault_two_factor_form_t);
static const vault_shape_t  disable_form =
    VAULT_SHAPE(disable_fields, vault_two_factor_form_t);

static const vault_field_t  provider_fields[] = {
    { "enabled", VAULT_CONST, 0, 0, 0, "true" },
    { "type",    VAULT_INT,   offsetof(vault_two_factor_t, provider) },
    { "object",  VAULT_CONST, 0, 0, 0, "\"twoFactorProvider\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  provider_view =
    VAULT_SHAPE(provider_fields, vault_two_factor_t);


static void
two_factor_list(vault_request_t *vr)
{
    vault_reply_list(vr, &provider_view,
                     vault_two_factor_list(vr, vault_me(vr)));
}


void
vault_two_factor_reply_off(vault_request_t *vr, int64_t type)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_boolean(w, "enabled", 0);
    vault_json_integer(w, "type", type);
    vault_json_cstring(w, "object", "twoFactorProvider");
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* An app */

static void
app_write(vault_writer_t *w, const ngx_str_t *key, ngx_uint_t enabled)
{
    vault_json_boolean(w, "enabled", enabled);
    vault_json_string(w, "key", key);
}


static void
app_reply(vault_request_t *vr, const ngx_str_t *key, ngx_uint_t enabled,
    const char *object, const ngx_str_t *token)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    app_write(w, key, enabled);
    vault_json_open(w, "authenticator", '{');
    app_write(w, key, enabled);
    vault_json_close(w, '}');

    vault_two_factor_reply(vr, w, object, token);
}


/* Clients make a picture of the key; it is in use once a code has come. */

static void
two_factor_get_app(vault_request_t *vr)
{
    ngx_str_t                 key, token;
    ngx_uint_t                enabled;
    vault_two_factor_t        row;
    vault_two_factor_form_t   form;

    vault_two_factor_read_secret(vr, &form);          /* awaits */

    enabled = vault_two_factor_find(vr, vault_me(vr), VAULT_SECOND_TOTP,
                                    &row);
    key = enabled ? row.data : vault_second_key(vr);
    token = vault_second_prove(vr, vault_me(vr), &vault_second_verified,
                               &key);

    app_reply(vr, &key, enabled, "twoFactorAuthenticator", &token);
}


/* The very text that we gave, or what an old client made of it. */

static int64_t
require_app_code(vault_request_t *vr, const vault_two_factor_form_t *form)
{
    int64_t    step;
    ngx_str_t  key;

    if (vault_unbase32(vr->pool, &form->key, &key) != NGX_OK
        || key.len != VAULT_TOTP_KEY)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid key.");
    }

    if (vault_totp_check(&key, &form->code, vault_now() / 1000, &step)
        != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid token.");
    }

    return step;
}


static void
two_factor_set_app(vault_request_t *vr)
{
    ngx_str_t                 recovery;
    vault_two_factor_t        row;
    vault_two_factor_form_t   form;

    vault_json_read(vr, &app_form, &form);
    vault_two_factor_require(vr, &form, &form.key);   /* awaits */

    row.provider = VAULT_SECOND_TOTP;
    row.last_step = require_app_code(vr, &form);
    row.data.data = vault_alloc(vr, form.key.len);
    row.data.len = form.key.len;

    for (size_t i = 0; i < form.key.len; i++) {
        row.data.data[i] = ngx_toupper(form.key.data[i]);
    }

    recovery = vault_second_recovery_code(vr);
    vault_two_factor_set(vr, vault_me(vr), &row, &recovery);     /* awaits */

    app_reply(vr, &row.data, 1, "twoFactorAuthenticatorUpdate", NULL);
}


static void
two_factor_delete_app(vault_request_t *vr)
{
    vault_two_factor_form_t  form;

    vault_json_read(vr, &app_delete_form, &form);
    vault_two_factor_require(vr, &form, &form.key);   /* awaits */
    vault_two_factor_delete(vr, vault_me(vr), VAULT_SECOND_TOTP);

    vault_two_factor_reply_off(vr, VAULT_SECOND_TOTP);
}


/* All */

static void
two_factor_get_recover(vault_request_t *vr)
{
    vault_writer_t           *w;
    vault_two_factor_t        row;
    vault_two_factor_form_t   form;

    vault_two_factor_read_secret(vr, &form);          /* awaits */

    if (!vault_two_factor_find(vr, vault_me(vr), VAULT_SECOND_RECOVERY,
                               &row))
    {
        ngx_str_null(&row.data);
    }

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_string(w, "code", &row.data);
    vault_json_cstring(w, "object", "twoFactorRecover");
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* Clients before 2025.4 recover first and log in afterwards. */

static void
two_factor_recover(vault_request_t *vr)
{
    vault_user_t             *user;
    vault_two_factor_form_t   form;

    vault_json_read(vr, &recover_form, &form);
    user = vault_user_find_email(vr, &form.email);    /* awaits */

    if (!vault_password_check(vr, &form.email, user, &form.secret.hash)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Username or password is incorrect. Try again.");
    }

    if (!vault_second_recover(vr, user, &form.code)) {           /* awaits */
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Recovery code is incorrect. Try again.");
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
two_factor_disable(vault_request_t *vr)
{
    vault_two_factor_form_t  form;

    vault_json_read(vr, &disable_form, &form);
    vault_secret_require(vr, &form.secret);           /* awaits */

    if (vault_second_provider(form.type) == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "There is no such two-step login.");
    }

    vault_two_factor_delete(vr, vault_me(vr), form.type);

    vault_two_factor_reply_off(vr, form.type);
}
