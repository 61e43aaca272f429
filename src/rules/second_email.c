/*
 * second_email - provider 1, a code by mail: data is the address.
 */

#include "second.h"
#include "code.h"
#include "mailer.h"


static const vault_code_t  login_code =
    { "two-factor login", "two-factor-code" };
static const vault_code_t  setup_code =
    { "two-factor setup", "two-factor-code" };


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
    return vault_code_check(vr, user, &login_code, &row->data, code);
}


/* Nobody asked for it, so nobody hears that there is none. */

static void
email_start(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row)
{
    if (vault_mailer_enabled(vr)) {
        vault_code_send(vr, user, &login_code, &row->data);
    }
}


void
vault_second_mail_login(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row)
{
    vault_code_send(vr, user, &login_code, &row->data);
}


void
vault_second_mail_setup(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *to)
{
    vault_code_send(vr, user, &setup_code, to);
}


ngx_uint_t
vault_second_mail_setup_check(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *to, const ngx_str_t *code)
{
    return vault_code_check(vr, user, &setup_code, to, code);
}


const vault_second_provider_t  vault_second_email = {
    VAULT_SECOND_EMAIL, email_challenge, email_check, email_start
};
