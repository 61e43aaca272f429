/*
 * adapter - what mail.c asks of a way to send.  Known to mail/ only.
 *
 * Why:    a mail server and SES differ in everything but this one call.
 * Fails:  by what it returns; `why` says what is wrong, and what to do.
 * Waits:  send() awaits.
 */

#ifndef VAULT_MAIL_ADAPTER_H
#define VAULT_MAIL_ADAPTER_H

#include "mail.h"


typedef struct {
    ngx_str_t    from;                /* as protocols write them */
    ngx_str_t    to;
    ngx_str_t    text;                /* the whole message */
} vault_mail_letter_t;

typedef struct {
    ngx_str_t    text;                /* what was said */
    const char  *remedy;              /* a static text: what to do */
} vault_mail_why_t;

typedef struct {
    vault_mail_end_e (*send)(vault_request_t *vr, void *data,
        const vault_mail_letter_t *letter, vault_mail_why_t *why);
    void (*stop)(void *data);
} vault_mail_adapter_t;

struct vault_mail_s {
    const vault_mail_adapter_t  *adapter;
    void                        *data;
    vault_templates_t           *templates;
    ngx_str_t                    from_name;
    ngx_str_t                    from;
    ngx_str_t                    sender;   /* as protocols write it */

    vault_mail_stats_t           stats;    /* of a worker */
    const char                  *told;     /* the remedy logged last */
    int64_t                      told_at;
    unsigned                     away:1;   /* and it was that nothing goes */
};


/* Each fills in adapter and data.  NGX_ERROR after having logged why. */
ngx_int_t vault_mail_smtp_create(ngx_conf_t *cf,
    const vault_mail_settings_t *settings, vault_mail_t *mail);
ngx_int_t vault_mail_ses_create(ngx_conf_t *cf,
    const vault_mail_settings_t *settings, vault_aws_t *aws,
    vault_mail_t *mail);


#endif
