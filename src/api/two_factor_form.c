#include "two_factor_form.h"


static const vault_field_t  secret_fields[] = {
    VAULT_TWO_FACTOR_PROOF,
    VAULT_FIELDS_END
};

static const vault_shape_t  secret_form =
    VAULT_SHAPE(secret_fields, vault_two_factor_form_t);


void
vault_two_factor_read_secret(vault_request_t *vr,
    vault_two_factor_form_t *form)
{
    vault_json_read(vr, &secret_form, form);
    vault_secret_require(vr, &form->secret);          /* awaits */
}


void
vault_two_factor_reply(vault_request_t *vr, vault_writer_t *w,
    const char *object, const ngx_str_t *token)
{
    if (token) {
        vault_json_string(w, "userVerificationToken", token);
    }

    vault_json_cstring(w, "object", object);
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


void
vault_two_factor_require(vault_request_t *vr,
    const vault_two_factor_form_t *form, const ngx_str_t *what)
{
    if (form->proof.len == 0) {
        vault_secret_require(vr, &form->secret);      /* awaits */
        return;
    }

    if (!vault_second_proved(vr, vault_me(vr), &vault_second_verified, what,
                             &form->proof))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "User verification failed.");
    }
}
