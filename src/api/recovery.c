/*
 * What somebody can do who does not get in: ask for the password hint, delete
 * the account.  Neither the answer nor the time that it takes tells whether
 * there is such an account.
 */

#include "../run/route.h"
#include "../rules/limits.h"
#include "../rules/mailer.h"
#include "../rules/proof.h"


static void  recovery_hint(vault_request_t *vr);
static void  recovery_delete(vault_request_t *vr);
static void  recovery_delete_token(vault_request_t *vr);


const vault_route_t  vault_recovery_routes[] = {
    { POST, "/api/accounts/password-hint",  recovery_hint,   VAULT_ANYONE },
    { POST, "/api/accounts/delete-recover", recovery_delete, VAULT_ANYONE },
    { POST, "/api/accounts/delete-recover-token", recovery_delete_token,
      VAULT_ANYONE },
    VAULT_ROUTE_END
};


/* Hints that are shown to anybody are asked for seldom. */
static const vault_limit_t  show_limit =
    { "password hint", 5, 3600, 30, 3600 };


typedef struct {
    ngx_str_t  email;
    ngx_str_t  user_id;
    ngx_str_t  token;
} recovery_form_t;

static const vault_field_t  email_fields[] = {
    { "email", VAULT_EMAIL, offsetof(recovery_form_t, email),
      VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_field_t  token_fields[] = {
    { "userId", VAULT_UUID, offsetof(recovery_form_t, user_id),
      VAULT_REQUIRED },
    { "token",  VAULT_TEXT, offsetof(recovery_form_t, token), VAULT_REQUIRED,
      256 },
    VAULT_FIELDS_END
};

static const vault_shape_t  email_form =
    VAULT_SHAPE(email_fields, recovery_form_t);
static const vault_shape_t  token_form =
    VAULT_SHAPE(token_fields, recovery_form_t);


static void
hint_show(vault_request_t *vr, const ngx_str_t *email)
{
    vault_user_t  *user;

    if (vault_limit_blocked(vr, &show_limit, email)) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many attempts. Try again later.");
    }

    user = vault_user_find_email(vr, email);          /* awaits */

    if (user == NULL || user->password_hint.len == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "There is no password hint.");
    }

    vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Your password hint is: %V",
               &user->password_hint);
}


static void
hint_mail(vault_request_t *vr, const ngx_str_t *email)
{
    ngx_keyval_t     var;
    vault_user_t    *user;
    vault_mailer_t   mail;

    user = vault_user_find_email(vr, email);          /* awaits */

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "password-hint-none";
    mail.to = *email;
    mail.nobody = user == NULL;

    if (user && user->password_hint.len) {
        ngx_str_set(&var.key, "hint");
        var.value = user->password_hint;

        mail.template = "password-hint";
        mail.vars = &var;
        mail.nvars = 1;
    }

    (void) vault_mailer_queue(vr, &mail);             /* awaits */
}


static void
recovery_hint(vault_request_t *vr)
{
    recovery_form_t  form;

    vault_json_read(vr, &email_form, &form);

    if (vr->conf->hint == VAULT_HINT_SHOW) {
        hint_show(vr, &form.email);                   /* awaits */
    }

    if (!vault_mailer_enabled(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server sends no mail, so "
                   "it cannot send password hints.");
    }

    hint_mail(vr, &form.email);                       /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
recovery_delete(vault_request_t *vr)
{
    ngx_str_t         origin, email, token;
    ngx_keyval_t      var;
    vault_user_t     *user;
    vault_mailer_t    mail;
    recovery_form_t   form;

    vault_json_read(vr, &email_form, &form);

    if (!vault_mailer_enabled(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server sends no mail. Log "
                   "in to delete the account, or ask its operator.");
    }

    user = vault_user_find_email(vr, &form.email);    /* awaits */

    origin = vault_origin(vr);
    email = vault_proof_escape(vr, &form.email);
    token = vault_proof_secret(vr, &vault_proof_delete_account);

    ngx_str_set(&var.key, "url");
    var.value = vault_printf(vr, "%V/#/verify-recover-delete?userId=%V"
                             "&token=%V&email=%V", &origin,
                             user ? &user->id : &email, &token, &email);

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "delete-account";
    mail.to = form.email;
    mail.vars = &var;
    mail.nvars = 1;

    (void) vault_proof_send(vr, &vault_proof_delete_account, user, NULL,
                            &token, &mail);           /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* With the account its proofs go: a second time there is nothing. */

static void
recovery_delete_token(vault_request_t *vr)
{
    vault_user_t     *user;
    vault_proof_t     proof;
    recovery_form_t   form;

    vault_json_read(vr, &token_form, &form);

    user = vault_proof_require_link(vr, &vault_proof_delete_account,
                                    &form.user_id, &form.token,  /* awaits */
                                    &proof);
    vault_user_delete(vr, user);                      /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}
