/*
 * /api/two-factor: the second step by mail, from setting it up to the code
 * that somebody asks for who logs in.
 */

#include "../run/route.h"
#include "../rules/password.h"
#include "two_factor_form.h"


#define NESTED_SINCE  202607


static void  two_factor_get_email(vault_request_t *vr);
static void  two_factor_send_setup(vault_request_t *vr);
static void  two_factor_send_login(vault_request_t *vr);
static void  two_factor_set_email(vault_request_t *vr);
static void  two_factor_delete_email(vault_request_t *vr);


const vault_route_t  vault_two_factor_email_routes[] = {
    { POST,   "/api/two-factor/get-email",
      two_factor_get_email,    VAULT_USER },
    { POST,   "/api/two-factor/send-email",
      two_factor_send_setup,   VAULT_USER },
    { POST,   "/api/two-factor/send-email-login",
      two_factor_send_login,   VAULT_ANYONE },
    { PUT,    "/api/two-factor/email",
      two_factor_set_email,    VAULT_USER },
    { POST,   "/api/two-factor/email",
      two_factor_set_email,    VAULT_USER },
    { DELETE, "/api/two-factor/email",
      two_factor_delete_email, VAULT_USER },
    VAULT_ROUTE_END
};


#define FORM(member)  offsetof(vault_two_factor_form_t, member)

static const vault_field_t  setup_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    { "email", VAULT_EMAIL, FORM(email), VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_field_t  set_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    { "email", VAULT_EMAIL, FORM(email), VAULT_REQUIRED },
    { "token", VAULT_TEXT, FORM(code), VAULT_REQUIRED, 50 },
    VAULT_FIELDS_END
};

static const vault_field_t  delete_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    VAULT_FIELDS_END
};

static const vault_field_t  login_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    { "email", VAULT_EMAIL, FORM(email), VAULT_REQUIRED },
    { "ssoEmail2FaSessionToken", VAULT_TEXT, FORM(session), 0, 10000 },
    VAULT_FIELDS_END
};

static const vault_shape_t  setup_form =
    VAULT_SHAPE(setup_fields, vault_two_factor_form_t);
static const vault_shape_t  set_form =
    VAULT_SHAPE(set_fields, vault_two_factor_form_t);
static const vault_shape_t  delete_form =
    VAULT_SHAPE(delete_fields, vault_two_factor_form_t);
static const vault_shape_t  login_form =
    VAULT_SHAPE(login_fields, vault_two_factor_form_t);

/* What the token of get-email is good for. */
static const ngx_str_t  purpose = ngx_string("email");


static void
email_write(vault_writer_t *w, const ngx_str_t *email, ngx_uint_t enabled)
{
    vault_json_boolean(w, "enabled", enabled);
    vault_json_string(w, "email", email);
}


/* Clients since 2026.7 read an object where older ones read the address. */

static void
email_reply(vault_request_t *vr, const ngx_str_t *email, ngx_uint_t enabled,
    const char *object, const ngx_str_t *token)
{
    ngx_uint_t       version;
    vault_writer_t  *w;

    version = vault_client_version(vr);

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');

    if (version && version < NESTED_SINCE) {
        email_write(w, email, enabled);

    } else {
        vault_json_open(w, "email", '{');
        email_write(w, email, enabled);
        vault_json_close(w, '}');
    }

    vault_two_factor_reply(vr, w, object, token);
}


static void
two_factor_get_email(vault_request_t *vr)
{
    ngx_str_t                 token;
    ngx_uint_t                enabled;
    vault_two_factor_t        row;
    vault_two_factor_form_t   form;

    vault_two_factor_read_secret(vr, &form);          /* awaits */

    enabled = vault_two_factor_find(vr, vault_me(vr), VAULT_SECOND_EMAIL,
                                    &row);
    if (!enabled) {
        ngx_str_null(&row.data);
    }

    token = vault_second_prove(vr, vault_me(vr), &vault_second_verified,
                               &purpose);

    email_reply(vr, &row.data, enabled, "twoFactorEmail", &token);
}


static void
two_factor_send_setup(vault_request_t *vr)
{
    vault_two_factor_form_t  form;

    vault_json_read(vr, &setup_form, &form);
    vault_two_factor_require(vr, &form, &purpose);    /* awaits */
    vault_second_mail_setup(vr, vault_me(vr), &form.email);

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
two_factor_set_email(vault_request_t *vr)
{
    ngx_str_t                 recovery;
    vault_two_factor_t        row;
    vault_two_factor_form_t   form;

    vault_json_read(vr, &set_form, &form);
    vault_two_factor_require(vr, &form, &purpose);    /* awaits */

    if (!vault_second_mail_setup_check(vr, vault_me(vr), &form.email,
                                       &form.code))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid token.");
    }

    row.provider = VAULT_SECOND_EMAIL;
    row.data = form.email;
    row.last_step = VAULT_NULL;

    recovery = vault_second_recovery_code(vr);
    vault_two_factor_set(vr, vault_me(vr), &row, &recovery);     /* awaits */

    email_reply(vr, &row.data, 1, "twoFactorEmailUpdate", NULL);
}


static void
two_factor_delete_email(vault_request_t *vr)
{
    vault_two_factor_form_t  form;

    vault_json_read(vr, &delete_form, &form);
    vault_two_factor_require(vr, &form, &purpose);    /* awaits */
    vault_two_factor_delete(vr, vault_me(vr), VAULT_SECOND_EMAIL);

    vault_two_factor_reply_off(vr, VAULT_SECOND_EMAIL);
}


/*
 * Somebody who logs in has no session yet: he has the password, or the token
 * that came with the question for the second step.  A guess at the password
 * costs as much here as there.
 */

static void
two_factor_send_login(vault_request_t *vr)
{
    ngx_uint_t                known;
    vault_user_t             *user;
    vault_two_factor_t        row;
    vault_two_factor_form_t   form;

    static const ngx_str_t     nothing = ngx_string("");
    static const vault_user_t  nobody;

    vault_json_read(vr, &login_form, &form);
    user = vault_user_find_email(vr, &form.email);    /* awaits */

    if (form.session.len) {
        known = vault_second_proved(vr, user ? user : &nobody,
                                    &vault_second_mailing, &nothing,
                                    &form.session)
                && user;

    } else {
        known = vault_password_check(vr, &form.email, user,
                                     &form.secret.hash);
    }

    if (!known
        || !vault_two_factor_find(vr, user, VAULT_SECOND_EMAIL, &row))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Cannot send two-factor email.");
    }

    vault_second_mail_login(vr, user, &row);          /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}
