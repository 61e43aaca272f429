#include "signup.h"
#include "proof.h"


void
vault_signup_require_domain(vault_request_t *vr, const ngx_str_t *email)
{
    u_char      *at;
    ngx_str_t   *domain, own;
    ngx_uint_t   i;

    if (vr->conf->signup_domains == NULL) {
        return;
    }

    at = ngx_strlchr(email->data, email->data + email->len, '@');
    if (at) {
        own.data = at + 1;
        own.len = email->data + email->len - own.data;

        domain = vr->conf->signup_domains->elts;

        for (i = 0; i < vr->conf->signup_domains->nelts; i++) {
            if (domain[i].len == own.len
                && ngx_memcmp(domain[i].data, own.data, own.len) == 0)
            {
                return;
            }
        }
    }

    vault_fail(vr, NGX_HTTP_BAD_REQUEST, "E-mail addresses of this domain "
               "may not register on this server.");
}


void
vault_signup_require_open(vault_request_t *vr, const ngx_str_t *email)
{
    if (!vr->conf->signups) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Registration is closed on this server.");
    }

    vault_signup_require_domain(vr, email);
}


ngx_uint_t
vault_signup_verifies(vault_request_t *vr)
{
    return vault_mailer_enabled(vr) && vr->conf->signups_verify;
}


ngx_uint_t
vault_signup_send_link(vault_request_t *vr, const vault_user_t *user)
{
    ngx_str_t       token, origin;
    ngx_keyval_t    var;
    vault_mailer_t  mail;

    token = vault_proof_secret(vr, &vault_proof_verify_email);
    origin = vault_origin(vr);

    ngx_str_set(&var.key, "url");
    var.value = vault_printf(vr, "%V/#/verify-email?userId=%V&token=%V",
                             &origin, &user->id, &token);

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "verify-email";
    mail.to = user->email;
    mail.vars = &var;
    mail.nvars = 1;

    return vault_proof_send(vr, &vault_proof_verify_email, user, NULL,
                            &token, &mail);
}
