/*
 * The address of an account: proving it, and changing it.
 */

#include "../run/route.h"
#include "../model/account.h"
#include "../rules/mailer.h"
#include "../rules/master.h"
#include "../rules/password.h"
#include "../rules/proof.h"
#include "../rules/signup.h"


static void  email_verify(vault_request_t *vr);
static void  email_verify_token(vault_request_t *vr);
static void  email_token(vault_request_t *vr);
static void  email_change(vault_request_t *vr);


const vault_route_t  vault_email_routes[] = {
    { POST, "/api/accounts/verify-email",       email_verify, VAULT_USER },
    { POST, "/api/accounts/verify-email-token", email_verify_token,
      VAULT_ANYONE },
    { POST, "/api/accounts/email-token",        email_token,  VAULT_USER },
    { POST, "/api/accounts/email",              email_change, VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t       user_id;
    ngx_str_t       token;
    ngx_str_t       email;
    ngx_str_t       secret;
    vault_master_t  master;
} email_form_t;

#define FORM(member)  offsetof(email_form_t, member)
#define CHANGE_FIELDS                                                         \
    { "masterPasswordHash", VAULT_TEXT, FORM(secret), VAULT_REQUIRED,         \
      VAULT_HASH_MAX },                                                       \
    { "newEmail", VAULT_EMAIL, FORM(email), VAULT_REQUIRED }

static const vault_field_t  verify_fields[] = {
    { "userId", VAULT_UUID, FORM(user_id), VAULT_REQUIRED },
    { "token",  VAULT_TEXT, FORM(token), VAULT_REQUIRED, 256 },
    VAULT_FIELDS_END
};

static const vault_field_t  token_fields[] = {
    CHANGE_FIELDS,
    VAULT_FIELDS_END
};

static const vault_field_t  change_fields[] = {
    CHANGE_FIELDS,
    { "token", VAULT_TEXT, FORM(token), 0, 256 },
    VAULT_MASTER_FIELDS(FORM(master), "newMasterPasswordHash", "key",
                        "authenticationData", "unlockData"),
    VAULT_FIELDS_END
};

static const vault_shape_t  verify_form =
    VAULT_SHAPE(verify_fields, email_form_t);
static const vault_shape_t  token_form =
    VAULT_SHAPE(token_fields, email_form_t);
static const vault_shape_t  change_form =
    VAULT_SHAPE(change_fields, email_form_t);


static void
email_verify(vault_request_t *vr)
{
    if (vault_me(vr)->email_verified) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Email already verified.");
    }

    if (!vault_mailer_enabled(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server sends no mail.");
    }

    if (!vault_signup_send_link(vr, vault_me(vr))) {  /* awaits */
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many messages were asked for. Try again later.");
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
email_verify_token(vault_request_t *vr)
{
    email_form_t     form;
    vault_user_t    *user;
    vault_proof_t    proof;
    vault_change_t  *change;

    vault_json_read(vr, &verify_form, &form);

    user = vault_proof_require_link(vr, &vault_proof_verify_email,
                                    &form.user_id, &form.token,  /* awaits */
                                    &proof);

    change = vault_change(vr, user);
    vault_proof_delete_add(change, &proof);
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, "Invalid token.");
    vault_account_verify_add(change);
    vault_change_commit(change);                      /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
change_read(vault_request_t *vr, const vault_shape_t *shape,
    email_form_t *form)
{
    vault_json_read(vr, shape, form);
    vault_signup_require_domain(vr, &form->email);
    vault_password_require(vr, &form->secret);
}


/*
 * Who has an account under the new address is told so by mail; the one who
 * asks is not.  Without mail nothing is proved.
 */

static void
email_token(vault_request_t *vr)
{
    ngx_uint_t    exists;
    email_form_t  form;

    change_read(vr, &token_form, &form);              /* awaits */

    if (vault_mailer_enabled(vr)) {
        exists = vault_user_find_email(vr, &form.email) != NULL; /* awaits */

        if (!vault_proof_send_code(vr, &vault_proof_change_email,
                                   vault_me(vr), &form.email,    /* awaits */
                                   exists ? "change-email-exists"
                                          : "change-email",
                                   &form.email))
        {
            vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                       "Too many messages were asked for. Try again later.");
        }
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/*
 * Clients whose keys hang on the address bring new ones; all sessions end
 * then.  Others keep the salt that they had.
 */

static void
change_apply(vault_request_t *vr, email_form_t *form, vault_user_t *user)
{
    ngx_str_t       salt;
    vault_master_t  *master = &form->master;

    user->email = form->email;

    if (master->hash.len == 0 && master->user_key.len == 0
        && master->proof == NULL && master->unlock == NULL)
    {
        return;
    }

    vault_master_read(vr, master);
    vault_master_require_same_kdf(vr, master, user);
    vault_master_require_same_key(vr, master, user);

    salt = master->salt.data ? master->salt : form->email;

    if (salt.len != form->email.len
        || ngx_memcmp(salt.data, form->email.data, salt.len) != 0)
    {
        vault_master_require_same_salt(vr, master, user);
    }

    vault_master_apply(vr, master, user);             /* awaits */
    user->master_salt = salt;
}


static void
change_tell(vault_change_t *change, const vault_user_t *user)
{
    ngx_keyval_t    vars[2];
    vault_mailer_t  mail;

    ngx_str_set(&vars[0].key, "new_email");
    vars[0].value = user->email;
    ngx_str_set(&vars[1].key, "time");
    vars[1].value = vault_mailer_time(change->vr, change->now);

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "email-changed";
    mail.to = change->user->email;
    mail.vars = vars;
    mail.nvars = 2;

    (void) vault_mailer_add(change, &mail);
}


static void
email_change(vault_request_t *vr)
{
    email_form_t     form;
    vault_user_t     user;
    vault_proof_t    proof;
    vault_change_t  *change;

    change_read(vr, &change_form, &form);             /* awaits */

    if (vault_mailer_enabled(vr)
        && !vault_proof_check(vr, &vault_proof_change_email, vault_me(vr),
                              &form.email, &form.token, &proof)) /* awaits */
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid token.");
    }

    user = *vault_me(vr);
    change_apply(vr, &form, &user);                   /* awaits */

    change = vault_change(vr, vault_me(vr));

    if (vault_mailer_enabled(vr)) {
        user.email_verified = 1;
        vault_proof_delete_add(change, &proof);
        vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, "Invalid token.");
    }

    vault_account_email_add(change, &user);
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST,
                        "This email address is in use already.");
    change_tell(change, &user);
    vault_change_commit(change);                      /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}
