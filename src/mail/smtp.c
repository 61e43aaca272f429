/*
 * By a mail server: what it means when it says no.
 *
 * RFC 5321 4.2.1: 4xx is for now, 5xx for ever.  But 5xx before the recipient
 * is about us, not about the message: that ends when the operator has
 * mended it, and no mail shall be lost until then.
 */

#include "adapter.h"


static vault_mail_end_e smtp_send(vault_request_t *vr, void *data,
    const vault_mail_letter_t *letter, vault_mail_why_t *why);

static const vault_mail_adapter_t  adapter = {
    .send = smtp_send
};

static const char *const  remedies[] = {
    "is the host and port of \"vault_mail\" right, and does a firewall let "
        "it through?",
    "see starttls= and ca= of \"vault_mail\"",
    "is that a mail server?",
    "the mail server does not take this server's name: see name= of "
        "\"vault_mail\"",
    "see the user, password= and auth= of \"vault_mail\"",
    "may the user of \"vault_mail\" send as \"vault_mail_from\"?",
    NULL,
    NULL
};


static ngx_str_t
domain_of(const ngx_str_t *address)
{
    ngx_str_t  domain;

    domain.data = ngx_strlchr(address->data, address->data + address->len,
                              '@') + 1;
    domain.len = address->data + address->len - domain.data;

    return domain;
}


ngx_int_t
vault_mail_smtp_create(ngx_conf_t *cf, const vault_mail_settings_t *settings,
    vault_mail_t *mail)
{
    vault_smtp_server_t  *server;

    server = ngx_pcalloc(cf->pool, sizeof(vault_smtp_server_t));
    if (server == NULL) {
        return NGX_ERROR;
    }

    server->tls = settings->tls;
    server->auth = settings->auth;
    server->user = settings->user;
    server->password = settings->password;
    server->timeout = settings->timeout;
    server->name = settings->name.len ? settings->name
                                      : domain_of(&settings->from);
    server->up = vault_upstream_create(cf, &settings->host, settings->port,
                                       server->tls != VAULT_SMTP_PLAIN,
                                       settings->ca_file.len
                                       ? (char *) settings->ca_file.data
                                       : NULL);
    if (server->up == NULL) {
        return NGX_ERROR;
    }

    mail->adapter = &adapter;
    mail->data = server;

    return NGX_OK;
}


static vault_mail_end_e
smtp_send(vault_request_t *vr, void *data, const vault_mail_letter_t *letter,
    vault_mail_why_t *why)
{
    vault_smtp_answer_t  answer;

    if (vault_smtp_send(vr, data, &letter->from, &letter->to, &letter->text,
                        &answer)
        == NGX_OK)
    {
        return VAULT_MAIL_SENT;
    }

    why->text = answer.code ? vault_printf(vr, "the mail server says \"%V\"",
                                           &answer.text)
                            : vault_printf(vr, "mail server: %V",
                                           &answer.text);
    why->remedy = answer.stage == VAULT_SMTP_AT_GREETING && answer.code
                  ? NULL : remedies[answer.stage];

    if (answer.stage < VAULT_SMTP_AT_RECIPIENT || answer.code == 421) {
        return VAULT_MAIL_AWAY;
    }

    return answer.code >= 500 ? VAULT_MAIL_REFUSED : VAULT_MAIL_LATER;
}
