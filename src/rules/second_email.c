/*
 * second_email - provider 1, a code by mail: data is the address.
 */

#include "second.h"
#include "proof.h"


static const vault_proof_kind_t  login_code = { "two-factor login", 600, 5 };
static const vault_proof_kind_t  setup_code = { "two-factor setup", 600, 5 };


static void
send_code(vault_request_t *vr, const vault_user_t *user,
    const vault_proof_kind_t *kind, const ngx_str_t *to)
{
    if (!vault_mailer_enabled(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server sends no mail.");
    }

    if (!vault_proof_send_code(vr, kind, user, to,
                               kind == &setup_code ? "two-factor-setup"
                                                   : "two-factor-code",
                               to))
    {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many codes were sent. Try again later.");
    }
}


/* Once, and for the address that it was sent to. */

static ngx_uint_t
take_code(vault_request_t *vr, const vault_user_t *user,
    const vault_proof_kind_t *kind, const ngx_str_t *to,
    const ngx_str_t *code)
{
    vault_proof_t  proof;

    return vault_proof_check(vr, kind, user, to, code, &proof)
           && vault_proof_delete(vr, &proof);
}


/* bitwarden/server CoreHelpers.RedactEmailAddress */

static ngx_str_t
masked(vault_request_t *vr, const ngx_str_t *email)
{
    size_t      local, shown;
    u_char     *at;
    ngx_str_t   text;

    at = ngx_strlchr(email->data, email->data + email->len, '@');
    local = at ? (size_t) (at - email->data) : email->len;
    shown = local > 4 ? 2 : local > 2 ? 1 : 0;

    text.len = email->len;
    text.data = vault_alloc(vr, text.len + 1);
    ngx_memcpy(text.data, email->data, text.len);
    ngx_memset(text.data + shown, '*', local - shown);

    return text;
}


static void
email_challenge(vault_request_t *vr, vault_writer_t *w, const char *name,
    const vault_two_factor_t *row)
{
    ngx_str_t  email;

    email = masked(vr, &row->data);

    vault_json_open(w, name, '{');
    vault_json_string(w, "Email", &email);
    vault_json_close(w, '}');
}


static ngx_uint_t
email_check(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row, const ngx_str_t *code)
{
    return take_code(vr, user, &login_code, &row->data, code);
}


/* Nobody asked for it, so nobody hears that there is none. */

static void
email_start(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row)
{
    if (vault_mailer_enabled(vr)) {
        send_code(vr, user, &login_code, &row->data);
    }
}


void
vault_second_mail_login(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row)
{
    send_code(vr, user, &login_code, &row->data);
}


void
vault_second_mail_setup(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *to)
{
    send_code(vr, user, &setup_code, to);
}


ngx_uint_t
vault_second_mail_setup_check(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *to, const ngx_str_t *code)
{
    return take_code(vr, user, &setup_code, to, code);
}


const vault_second_provider_t  vault_second_email = {
    VAULT_SECOND_EMAIL, email_challenge, email_check, email_start
};
