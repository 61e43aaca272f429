/*
 * What takes the master password: to check it, to change it and what hangs on
 * it, to show the API key, to end all sessions, to delete the account.
 */

#include "../run/route.h"
#include "../model/id.h"
#include "../rules/master.h"
#include "../rules/password.h"
#include "../rules/secret.h"


static void  credentials_verify(vault_request_t *vr);
static void  credentials_password(vault_request_t *vr);
static void  credentials_kdf(vault_request_t *vr);
static void  credentials_stamp(vault_request_t *vr);
static void  credentials_api_key(vault_request_t *vr);
static void  credentials_rotate_api_key(vault_request_t *vr);
static void  credentials_verify_devices(vault_request_t *vr);
static void  credentials_delete(vault_request_t *vr);


const vault_route_t  vault_credentials_routes[] = {
    { POST,   "/api/accounts/verify-password",
      credentials_verify,         VAULT_USER },
    { POST,   "/api/accounts/password",
      credentials_password,       VAULT_USER },
    { POST,   "/api/accounts/kdf",
      credentials_kdf,            VAULT_USER },
    { POST,   "/api/accounts/security-stamp",
      credentials_stamp,          VAULT_USER },
    { POST,   "/api/accounts/api-key",
      credentials_api_key,        VAULT_USER },
    { POST,   "/api/accounts/rotate-api-key",
      credentials_rotate_api_key, VAULT_USER },
    { PUT,    "/api/accounts/verify-devices",
      credentials_verify_devices, VAULT_USER },
    { POST,   "/api/accounts/verify-devices",
      credentials_verify_devices, VAULT_USER },
    { DELETE, "/api/accounts",
      credentials_delete,         VAULT_USER },
    { POST,   "/api/accounts/delete",
      credentials_delete,         VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    vault_secret_t  secret;
    ngx_str_t       hint;
    int64_t         verify_devices;
    vault_master_t  master;
} credentials_form_t;

#define FORM(member)  offsetof(credentials_form_t, member)
#define PASSWORD_FIELD                                                        \
    { "masterPasswordHash", VAULT_TEXT, FORM(secret.hash), VAULT_REQUIRED,    \
      VAULT_HASH_MAX }

static const vault_field_t  password_fields[] = {
    PASSWORD_FIELD,
    VAULT_FIELDS_END
};

static const vault_field_t  secret_fields[] = {
    VAULT_SECRET_FIELDS(FORM(secret)),
    VAULT_FIELDS_END
};

static const vault_field_t  devices_fields[] = {
    VAULT_SECRET_FIELDS(FORM(secret)),
    { "verifyDevices", VAULT_BOOL, FORM(verify_devices), VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_field_t  master_fields[] = {
    PASSWORD_FIELD,
    { "masterPasswordHint", VAULT_TEXT, FORM(hint), 0, VAULT_HINT_MAX },
    VAULT_MASTER_FIELDS(FORM(master), "newMasterPasswordHash", "key",
                        "authenticationData", "unlockData"),
    VAULT_FIELDS_END
};

static const vault_shape_t  password_form =
    VAULT_SHAPE(password_fields, credentials_form_t);
static const vault_shape_t  secret_form =
    VAULT_SHAPE(secret_fields, credentials_form_t);
static const vault_shape_t  devices_form =
    VAULT_SHAPE(devices_fields, credentials_form_t);
static const vault_shape_t  master_form =
    VAULT_SHAPE(master_fields, credentials_form_t);


static const vault_field_t  api_key_fields[] = {
    { "apiKey",       VAULT_TEXT,  offsetof(vault_user_t, api_key) },
    { "revisionDate", VAULT_DATE,  offsetof(vault_user_t, revised_at) },
    { "object",       VAULT_CONST, 0, 0, 0, "\"apiKey\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  api_key_view =
    VAULT_SHAPE(api_key_fields, vault_user_t);


/* Reads the form and checks the password in it: 400.  Awaits. */

static void
require_password(vault_request_t *vr, const vault_shape_t *shape,
    credentials_form_t *form)
{
    vault_json_read(vr, shape, form);
    vault_password_require(vr, &form->secret.hash);
}


/* The same, or a code that was mailed. */

static void
require_secret(vault_request_t *vr, const vault_shape_t *shape,
    credentials_form_t *form)
{
    vault_json_read(vr, shape, form);
    vault_secret_require(vr, &form->secret);
}


/* No policy of an organization asks anything of the password yet. */

static void
credentials_verify(vault_request_t *vr)
{
    credentials_form_t  form;

    static ngx_str_t  policy = ngx_string(
        "{\"minComplexity\":null,\"minLength\":null,\"requireLower\":null,"
        "\"requireUpper\":null,\"requireNumbers\":null,"
        "\"requireSpecial\":null,\"enforceOnLogin\":null,"
        "\"object\":\"masterPasswordPolicy\"}");

    require_password(vr, &password_form, &form);      /* awaits */

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &policy);
}


/* Stores what `master` changes, unless another request was faster. */

static void
replace_master(vault_request_t *vr, const vault_master_t *master,
    vault_user_t *user)
{
    ngx_str_t  stamp;

    stamp = user->security_stamp;

    vault_master_apply(vr, master, user);             /* awaits */

    if (!vault_user_set_credentials(vr, user, &stamp)) {         /* awaits */
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Your account was changed on another device. "
                   "Log in again.");
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
credentials_password(vault_request_t *vr)
{
    vault_user_t        *me;
    credentials_form_t   form;

    require_password(vr, &master_form, &form);        /* awaits */

    me = vault_me(vr);

    vault_master_read(vr, &form.master);
    vault_master_require_same_kdf(vr, &form.master, me);
    vault_master_require_same_salt(vr, &form.master, me);
    vault_master_require_same_key(vr, &form.master, me);

    me->password_hint = form.hint;
    me->password_changed_at = vault_now();

    replace_master(vr, &form.master, me);             /* awaits */
}


static void
credentials_kdf(vault_request_t *vr)
{
    credentials_form_t  form;

    require_password(vr, &master_form, &form);        /* awaits */

    vault_master_read(vr, &form.master);
    vault_master_require_kdf(vr, &form.master);
    vault_master_require_same_salt(vr, &form.master, vault_me(vr));
    vault_master_require_same_key(vr, &form.master, vault_me(vr));

    replace_master(vr, &form.master, vault_me(vr));   /* awaits */
}


/* All sessions end, this one too. */

static void
credentials_stamp(vault_request_t *vr)
{
    credentials_form_t  form;

    require_secret(vr, &secret_form, &form);          /* awaits */

    vault_me(vr)->security_stamp = vault_id_create(vr);
    vault_user_set_stamp(vr, vault_me(vr));           /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
credentials_api_key(vault_request_t *vr)
{
    credentials_form_t  form;

    require_secret(vr, &secret_form, &form);          /* awaits */

    vault_reply(vr, &api_key_view, vault_me(vr));
}


static void
credentials_rotate_api_key(vault_request_t *vr)
{
    vault_user_t        *me;
    credentials_form_t   form;

    require_secret(vr, &secret_form, &form);          /* awaits */

    me = vault_me(vr);
    vault_user_create_api_key(vr, me);
    vault_user_set_api_key(vr, me);                   /* awaits */

    vault_reply(vr, &api_key_view, me);
}


static void
credentials_verify_devices(vault_request_t *vr)
{
    credentials_form_t  form;

    require_secret(vr, &devices_form, &form);         /* awaits */

    vault_me(vr)->verify_devices = form.verify_devices;
    vault_user_set_verify_devices(vr, vault_me(vr));  /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
credentials_delete(vault_request_t *vr)
{
    credentials_form_t  form;

    require_secret(vr, &secret_form, &form);          /* awaits */

    vault_user_delete(vr, vault_me(vr));              /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}
