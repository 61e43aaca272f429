/*
 * Before an account is signed in: what a client must know to hash a password,
 * and registration in each of its forms.
 */

#include "../run/route.h"
#include "../model/account.h"
#include "../model/id.h"
#include "../rules/keys.h"
#include "../rules/limits.h"
#include "../rules/mailer.h"
#include "../rules/master.h"
#include "../rules/profile.h"
#include "../rules/proof.h"
#include "../rules/signing.h"
#include "../rules/signup.h"
#include "../rules/token.h"


/* Time to choose a password after the e-mail was given. */
#define REGISTER_LIFE  3600


static void  identity_prelogin(vault_request_t *vr);
static void  identity_register(vault_request_t *vr);
static void  identity_verify(vault_request_t *vr);
static void  identity_clicked(vault_request_t *vr);
static void  identity_finish(vault_request_t *vr);


const vault_route_t  vault_identity_routes[] = {
    { POST, "/identity/accounts/prelogin",
      identity_prelogin, VAULT_ANYONE },
    { POST, "/identity/accounts/prelogin/password",
      identity_prelogin, VAULT_ANYONE },
    { POST, "/identity/accounts/register",
      identity_register, VAULT_ANYONE },
    { POST, "/identity/accounts/register/send-verification-email",
      identity_verify,   VAULT_ANYONE },
    { POST, "/identity/accounts/register/verification-email-clicked",
      identity_clicked,  VAULT_ANYONE },
    { POST, "/identity/accounts/register/finish",
      identity_finish,   VAULT_ANYONE },
    VAULT_ROUTE_END
};


/*
 * Anybody may ask for these, and each costs a hash on the CPU's thread or a
 * signature on the event loop: so many are free at once from an address, and
 * as many an hour.
 */

static const vault_limit_t  register_limit =
    { "registration", 0, 0, 100, 3600 };

static const vault_limit_t  verify_limit =
    { "registration mail", 0, 0, 200, 3600 };


typedef struct {
    ngx_str_t              email;
    ngx_str_t              name;
    ngx_str_t              token;
    ngx_str_t              hint;
    ngx_uint_t             verified;  /* the e-mail: by a link in a mail */
    vault_proof_t          used;      /* that its token was */
    vault_master_t         master;
    vault_keys_t          *keys;
    vault_account_keys_t  *account_keys;
} register_form_t;

#define FORM(member)  offsetof(register_form_t, member)
#define EMAIL_FIELD   { "email", VAULT_EMAIL, FORM(email), VAULT_REQUIRED }
#define NAME_FIELD    { "name", VAULT_TEXT, FORM(name), 0, 200 }
#define TOKEN_FIELD   { "emailVerificationToken", VAULT_TEXT, FORM(token),    \
                        VAULT_REQUIRED, 4096 }
#define HINT_FIELD    { "masterPasswordHint", VAULT_TEXT, FORM(hint), 0,      \
                        VAULT_HINT_MAX }


static const vault_field_t  email_fields[] = {
    EMAIL_FIELD,
    VAULT_FIELDS_END
};

static const vault_field_t  verify_fields[] = {
    EMAIL_FIELD,
    NAME_FIELD,
    VAULT_FIELDS_END
};

static const vault_field_t  clicked_fields[] = {
    EMAIL_FIELD,
    TOKEN_FIELD,
    VAULT_FIELDS_END
};

static const vault_field_t  register_fields[] = {
    EMAIL_FIELD,
    NAME_FIELD,
    HINT_FIELD,
    VAULT_MASTER_FIELDS(FORM(master), "masterPasswordHash", "key",
                        "masterPasswordAuthentication",
                        "masterPasswordUnlock"),
    { "keys", VAULT_OBJECT, FORM(keys), 0, 0, &vault_keys_form },
    { "accountKeys", VAULT_OBJECT, FORM(account_keys), 0, 0,
      &vault_account_keys_form },
    VAULT_FIELDS_END
};

static const vault_field_t  finish_fields[] = {
    EMAIL_FIELD,
    TOKEN_FIELD,
    HINT_FIELD,
    VAULT_MASTER_FIELDS(FORM(master), "masterPasswordHash",
                        "userSymmetricKey", "masterPasswordAuthentication",
                        "masterPasswordUnlock"),
    { "userAsymmetricKeys", VAULT_OBJECT, FORM(keys), 0, 0,
      &vault_keys_form },
    { "accountKeys", VAULT_OBJECT, FORM(account_keys), 0, 0,
      &vault_account_keys_form },
    VAULT_FIELDS_END
};

static const vault_shape_t  email_form =
    VAULT_SHAPE(email_fields, register_form_t);
static const vault_shape_t  verify_form =
    VAULT_SHAPE(verify_fields, register_form_t);
static const vault_shape_t  clicked_form =
    VAULT_SHAPE(clicked_fields, register_form_t);
static const vault_shape_t  register_form =
    VAULT_SHAPE(register_fields, register_form_t);
static const vault_shape_t  finish_form =
    VAULT_SHAPE(finish_fields, register_form_t);


static const vault_field_t  prelogin_fields[] = {
    { "kdf",            VAULT_INT,  offsetof(vault_user_t, kdf) },
    { "kdfIterations",  VAULT_INT,  offsetof(vault_user_t, kdf_iterations) },
    { "kdfMemory",      VAULT_INT,  offsetof(vault_user_t, kdf_memory) },
    { "kdfParallelism", VAULT_INT,  offsetof(vault_user_t, kdf_parallelism) },
    { "salt",           VAULT_TEXT, offsetof(vault_user_t, master_salt) },
    VAULT_FIELDS_END
};

static const vault_shape_t  prelogin_view =
    VAULT_SHAPE(prelogin_fields, vault_user_t);


/*
 * Somebody who has no account here gets the settings that somebody who has
 * one could have, always the same: most people keep the default.
 */

static vault_user_t *
prelogin_nobody(vault_request_t *vr, const ngx_str_t *email)
{
    u_char         mac[32];
    vault_user_t  *user;

    user = vault_calloc(vr, sizeof(vault_user_t));

    if (vault_keyring_mac(vault_signing_key(vr), email, mac) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "HMAC failed");
    }

    user->master_salt = *email;

    if (mac[0] % 8 == 0) {
        user->kdf = 1;
        user->kdf_iterations = 6;
        user->kdf_memory = 32;
        user->kdf_parallelism = 4;

    } else {
        user->kdf = 0;
        user->kdf_iterations = 600000;
        user->kdf_memory = VAULT_NULL;
        user->kdf_parallelism = VAULT_NULL;
    }

    return user;
}


static void
identity_prelogin(vault_request_t *vr)
{
    vault_user_t     *user;
    vault_writer_t   *w;
    register_form_t   form;

    vault_json_read(vr, &email_form, &form);

    user = vault_user_find_email(vr, &form.email);               /* awaits */
    if (user == NULL) {
        user = prelogin_nobody(vr, &form.email);
    }

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_members(w, &prelogin_view, user);
    vault_json_object(w, "kdfSettings", &vault_kdf_view, user);
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* Those that succeed count too: nobody calls vault_limit_passed(). */

static void
register_require_may(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *email)
{
    if (vault_limit_blocked(vr, limit, email)) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many registrations. Try again later.");
    }
}


static void
register_require_token(vault_request_t *vr, register_form_t *form)
{
    vault_claims_t  *claims;

    claims = vault_token_check(vr, &form->token, VAULT_ISSUER_REGISTER);

    if (claims == NULL
        || claims->id.len == 0        /* of an older version */
        || (claims->email_verified != 1 && vault_signup_verifies(vr))
        || claims->subject.len != form->email.len
        || ngx_memcmp(claims->subject.data, form->email.data,
                      form->email.len)
           != 0)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, VAULT_ACCOUNT_LINK);
    }

    form->name = claims->name;
    form->verified = claims->email_verified == 1;

    vault_proof_used(vr, "register", claims, &form->used);
}


static ngx_uint_t
register_welcome(vault_request_t *vr, const vault_user_t *user,
    vault_outbox_t *row)
{
    vault_mailer_t  mail;

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "welcome";
    mail.to = user->email;
    mail.unproved = !user->email_verified;

    return vault_mailer_write(vr, &mail, row);
}


static void
register_account(vault_request_t *vr, register_form_t *form,
    const vault_proof_t *used)
{
    vault_user_t    user;
    vault_keys_t    keys;
    vault_outbox_t  mail;

    vault_master_read(vr, &form->master);
    vault_master_require_kdf(vr, &form->master);
    vault_keys_read(vr, form->keys, form->account_keys, &keys);
    register_require_may(vr, &register_limit, &form->email);

    ngx_memzero(&user, sizeof(vault_user_t));

    user.id = vault_id_create(vr);
    user.email = form->email;
    user.name = form->name;
    ngx_str_set(&user.culture, "en-US");
    user.email_verified = form->verified || !vault_mailer_enabled(vr);
    user.verify_devices = 1;
    user.password_hint = form->hint;
    user.master_salt = form->email;
    user.user_key_id = form->master.key_id;
    user.public_key = keys.public_key;
    user.private_key = keys.private_key;
    ngx_str_set(&user.equivalent_domains, "[]");
    ngx_str_set(&user.excluded_globals, "[]");

    vault_user_create_api_key(vr, &user);
    vault_master_apply(vr, &form->master, &user);     /* awaits */

    user.created_at = vault_now();
    user.password_changed_at = user.created_at;
    user.revised_at = user.created_at;

    if (!vault_account_create(vr, &user,              /* awaits */
                              register_welcome(vr, &user, &mail)
                              ? &mail : NULL, used))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Email '%V' is already taken.",
                   &user.email);
    }
}


static void
identity_register(vault_request_t *vr)
{
    register_form_t  form;

    static ngx_str_t  answer = ngx_string(
        "{\"object\":\"register\",\"captchaBypassToken\":\"\"}");

    vault_json_read(vr, &register_form, &form);
    vault_signup_require_open(vr, &form.email);

    if (vault_signup_verifies(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server wants to verify "
                   "your email address first. Update your client.");
    }

    form.verified = 0;
    register_account(vr, &form, NULL);                /* awaits */

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &answer);
}


static ngx_str_t
verify_token(vault_request_t *vr, register_form_t *form, ngx_uint_t mailed)
{
    vault_claims_t  claims;

    vault_claims_init(&claims);
    ngx_str_set(&claims.issuer, VAULT_ISSUER_REGISTER);
    claims.subject = form->email;
    claims.id = vault_id_create(vr);
    claims.name = form->name;
    claims.email_verified = mailed;

    return vault_token_sign(vr, &claims, REGISTER_LIFE);
}


/*
 * Who has an account is told so in the mail, and nobody else.  The page of the
 * link passes on what follows "#", which no log sees.
 */

static void
verify_mail(vault_request_t *vr, register_form_t *form)
{
    ngx_str_t        origin, token, email;
    ngx_uint_t       exists;
    ngx_keyval_t     var;
    vault_mailer_t   mail;

    exists = vault_user_find_email(vr, &form->email) != NULL;    /* awaits */

    origin = vault_origin(vr);
    email = vault_proof_escape(vr, &form->email);
    token = verify_token(vr, form, 1);

    ngx_str_set(&var.key, "url");
    var.value = vault_printf(vr, "%V/redirect-connector.html#finish-signup"
                             "?token=%V&email=%V&fromEmail=true",
                             &origin, &token, &email);

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = exists ? "register-exists" : "register-verify";
    mail.to = form->email;
    mail.vars = &var;
    mail.nvars = exists ? 0 : 1;
    mail.life = REGISTER_LIFE;

    (void) vault_mailer_queue(vr, &mail);             /* awaits */
}


/*
 * Where nothing must be proved the token goes straight back to the client,
 * which then asks for the password.  Whether the address has an account shows
 * only at the end.
 */

static void
identity_verify(vault_request_t *vr)
{
    ngx_str_t         token;
    vault_writer_t   *w;
    register_form_t   form;

    vault_json_read(vr, &verify_form, &form);
    vault_signup_require_open(vr, &form.email);
    register_require_may(vr, &verify_limit, &form.email);

    if (vault_signup_verifies(vr)) {
        verify_mail(vr, &form);                       /* awaits */
        vault_reply_empty(vr, NGX_HTTP_NO_CONTENT);
        return;
    }

    token = verify_token(vr, &form, 0);

    w = vault_writer(vr);
    vault_json_string(w, NULL, &token);
    vault_reply_writer(vr, w);
}


static void
identity_clicked(vault_request_t *vr)
{
    register_form_t  form;

    vault_json_read(vr, &clicked_form, &form);

    register_require_token(vr, &form);

    if (vault_user_find_email(vr, &form.email)) {     /* awaits */
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, VAULT_ACCOUNT_LINK);
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
identity_finish(vault_request_t *vr)
{
    register_form_t  form;

    static ngx_str_t  answer = ngx_string("{\"object\":\"registerFinish\"}");

    vault_json_read(vr, &finish_form, &form);
    vault_signup_require_open(vr, &form.email);

    register_require_token(vr, &form);
    register_account(vr, &form, &form.used);          /* awaits */

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &answer);
}
