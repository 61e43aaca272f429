/*
 * Codes by mail: for what must be proved in the middle of a session, and again
 * for a new device.
 */

#include "../run/route.h"
#include "../rules/arrival.h"
#include "../rules/mailer.h"
#include "../rules/password.h"
#include "../rules/proof.h"
#include "../rules/secret.h"


static void  codes_request(vault_request_t *vr);
static void  codes_verify(vault_request_t *vr);
static void  codes_new_device(vault_request_t *vr);


const vault_route_t  vault_codes_routes[] = {
    { POST, "/api/accounts/request-otp", codes_request, VAULT_USER },
    { POST, "/api/accounts/verify-otp",  codes_verify,  VAULT_USER },
    { POST, "/api/accounts/resend-new-device-otp", codes_new_device,
      VAULT_ANYONE },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t       email;
    vault_secret_t  secret;
} codes_form_t;

static const vault_field_t  verify_fields[] = {
    VAULT_SECRET_FIELDS(offsetof(codes_form_t, secret)),
    VAULT_FIELDS_END
};

static const vault_field_t  device_fields[] = {
    { "email", VAULT_EMAIL, offsetof(codes_form_t, email), VAULT_REQUIRED },
    { "masterPasswordHash", VAULT_TEXT, offsetof(codes_form_t, secret.hash),
      VAULT_REQUIRED, VAULT_HASH_MAX },
    VAULT_FIELDS_END
};

static const vault_shape_t  verify_form =
    VAULT_SHAPE(verify_fields, codes_form_t);
static const vault_shape_t  device_form =
    VAULT_SHAPE(device_fields, codes_form_t);


static void
codes_request(vault_request_t *vr)
{
    if (!vault_mailer_enabled(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server sends no mail.");
    }

    if (!vault_proof_send_code(vr, &vault_proof_action, vault_me(vr), NULL,
                               "protected-action",
                               &vault_me(vr)->email))            /* awaits */
    {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many messages were asked for. Try again later.");
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
codes_verify(vault_request_t *vr)
{
    codes_form_t  form;

    vault_json_read(vr, &verify_form, &form);
    vault_secret_require_code(vr, &form.secret);      /* awaits; 400 */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* Who has not logged in rightly is told nothing, not even that. */

static void
codes_new_device(vault_request_t *vr)
{
    ngx_str_t      device;
    codes_form_t   form;
    vault_user_t  *user;

    vault_json_read(vr, &device_form, &form);

    user = vault_user_find_email(vr, &form.email);    /* awaits */

    if (vault_password_check(vr, &form.email, user, &form.secret.hash)
        && vault_mailer_enabled(vr))                  /* awaits */
    {
        device = vault_header(vr, "Device-Identifier");
        vault_arrival_send_code_again(vr, user, &device);        /* awaits */
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}
