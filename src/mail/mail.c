/*
 * mail - one message to one address.
 */

#include "adapter.h"
#include "mime.h"


#define TELL_AGAIN  600000            /* ms, while nothing has changed */


vault_mail_t *
vault_mail_create(ngx_conf_t *cf, const vault_mail_settings_t *settings,
    vault_aws_t *aws)
{
    ngx_int_t      rc;
    ngx_str_t      err;
    vault_mail_t  *mail;

    mail = ngx_pcalloc(cf->pool, sizeof(vault_mail_t));
    if (mail == NULL) {
        return NULL;
    }

    mail->from_name = settings->from_name;
    mail->from = settings->from;

    if (vault_mime_address(cf->pool, &mail->from, &mail->sender) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_mail_from\" has no usable address: "
                           "\"%V\"", &mail->from);
        return NULL;
    }

    mail->templates = vault_template_load(cf->pool, &settings->templates,
                                          &err);
    if (mail->templates == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_mail_templates\": %V", &err);
        return NULL;
    }

    rc = settings->kind == VAULT_MAIL_SES
         ? vault_mail_ses_create(cf, settings, aws, mail)
         : vault_mail_smtp_create(cf, settings, mail);

    return rc == NGX_OK ? mail : NULL;
}


void
vault_mail_stop(vault_mail_t *mail)
{
    if (mail->adapter->stop) {
        mail->adapter->stop(mail->data);
    }
}


void
vault_mail_give_up(vault_mail_t *mail)
{
    mail->stats.refused++;
}


void
vault_mail_stats(vault_mail_t *mail, vault_mail_stats_t *stats)
{
    *stats = mail->stats;
}


/* The words, then the bytes.  An address that cannot be written is refused. */
static vault_mail_end_e
compose(vault_request_t *vr, const vault_mail_message_t *message,
    vault_mail_letter_t *letter, vault_mail_why_t *why)
{
    ngx_int_t                rc;
    vault_mail_t            *mail = vr->conf->mail;
    vault_mime_t             mime;
    vault_template_parts_t   parts;

    rc = vault_template_render(vr->pool, mail->templates, &message->template,
                               message->vars, message->nvars, &parts);

    if (rc == NGX_DECLINED) {
        ngx_str_set(&why->text, "there is no such template");
        why->remedy = "an older module is running";
        return VAULT_MAIL_LATER;
    }

    mime.id = message->id;
    mime.date = message->date;
    mime.from_name = mail->from_name;
    mime.from = mail->from;
    mime.to = message->to;

    letter->from = mail->sender;

    if (rc == NGX_OK) {
        mime.subject = parts.subject;
        mime.text = parts.text;
        mime.html = parts.html;

        rc = vault_mime_address(vr->pool, &message->to, &letter->to);
    }

    if (rc == NGX_OK) {
        rc = vault_mime_compose(vr->pool, &mime, &letter->text);
    }

    if (rc == NGX_DECLINED) {
        ngx_str_set(&why->text, "it cannot be written");
        why->remedy = "addresses beyond ASCII are not supported";
        return VAULT_MAIL_REFUSED;
    }

    return rc == NGX_OK ? VAULT_MAIL_SENT : VAULT_MAIL_LATER;
}


/*
 * What is wrong is said with its remedy once, and again after a while; each
 * mail that is lost is told.
 */
static void
tell(vault_request_t *vr, const vault_mail_message_t *message,
    vault_mail_end_e end, const vault_mail_why_t *why)
{
    int64_t        now = vault_now();
    ngx_uint_t     level, again;
    const char    *remedy;
    vault_mail_t  *mail = vr->conf->mail;

    again = mail->told == why->remedy && now - mail->told_at < TELL_AGAIN;
    remedy = again ? NULL : why->remedy;
    level = end == VAULT_MAIL_AWAY ? NGX_LOG_ERR : NGX_LOG_WARN;

    if (again && end != VAULT_MAIL_REFUSED) {
        level = NGX_LOG_INFO;
    }

    if (!again) {
        mail->told = why->remedy;
        mail->told_at = now;
    }

    mail->away |= end == VAULT_MAIL_AWAY;

    ngx_log_error(level, vr->log, 0, "vault: mail %V (%V) %s: %V%s%s",
                  &message->id, &message->template,
                  end == VAULT_MAIL_REFUSED ? "is given up"
                                            : "is tried again later",
                  &why->text, remedy ? "; " : "", remedy ? remedy : "");
}


vault_mail_end_e
vault_mail_send(vault_request_t *vr, const vault_mail_message_t *message)
{
    vault_mail_t         *mail = vr->conf->mail;
    vault_mail_end_e      end;
    vault_mail_why_t     *why;
    vault_mail_letter_t  *letter;

    why = vault_calloc(vr, sizeof(vault_mail_why_t));
    letter = vault_calloc(vr, sizeof(vault_mail_letter_t));

    end = compose(vr, message, letter, why);

    if (end == VAULT_MAIL_SENT) {
        end = mail->adapter->send(vr, mail->data, letter, why);
    }

    if (end != VAULT_MAIL_SENT) {
        mail->stats.later += end != VAULT_MAIL_REFUSED;
        mail->stats.refused += end == VAULT_MAIL_REFUSED;
        tell(vr, message, end, why);
        return end;
    }

    mail->stats.sent++;

    if (mail->away) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault: mails are sent again");
        mail->away = 0;
        mail->told_at = 0;
    }

    return VAULT_MAIL_SENT;
}
