/*
 * mail - one message to one address, by SMTP or by SES.
 *
 * Why:    whoever sends a mail names a template, its variables and an address;
 *         what it looks like and how it travels is decided here.
 * Use:    not from an endpoint: rules/mailer.h writes a row in the transaction
 *         of the change that causes the mail, and calls vault_mail_send()
 *         after the answer, again and again until it says SENT or REFUSED.
 * Owns:   what is sent lives in the request's pool.
 * Fails:  says so; never ends the request.  What is wrong is logged with its
 *         remedy, once while it stays the same.
 * Waits:  vault_mail_send() awaits, up to VAULT_MAIL_LONGEST.
 *
 * Adapters, known to mail.c alone: smtp.c and ses.c.
 */

#ifndef VAULT_MAIL_MAIL_H
#define VAULT_MAIL_MAIL_H

#include "../run/request.h"
#include "../net/smtp.h"
#include "template.h"


#define VAULT_MAIL_LONGEST  (VAULT_SMTP_TOTAL + 30000)    /* ms */

/* What the directives say. */
typedef enum {
    VAULT_MAIL_OFF = 0,
    VAULT_MAIL_SMTP,
    VAULT_MAIL_SES
} vault_mail_kind_e;

typedef struct {
    vault_mail_kind_e   kind;

    ngx_str_t           host;         /* SMTP; or of SES, instead of AWS's */
    in_port_t           port;
    ngx_uint_t          tls;          /* vault_smtp_tls_e; SES: 0 or 1 */
    vault_smtp_auth_e   auth;
    ngx_str_t           user;
    ngx_str_t           password;
    ngx_str_t           name;         /* for EHLO; empty: the sender's domain */
    ngx_str_t           ca_file;      /* empty: the system's */
    ngx_msec_t          timeout;

    ngx_str_t           region;       /* SES */

    ngx_str_t           from_name;
    ngx_str_t           from;
    ngx_str_t           templates;    /* a folder; or empty */
} vault_mail_settings_t;

/* While the configuration is read; NULL after having logged what is wrong. */
vault_mail_t *vault_mail_create(ngx_conf_t *cf,
    const vault_mail_settings_t *settings, vault_aws_t *aws);

/* In a worker that ends. */
void vault_mail_stop(vault_mail_t *mail);


typedef struct {
    ngx_str_t            id;          /* a UUID: the Message-ID, so that a
                                         receiver knows one that comes twice */
    int64_t              date;        /* ms */
    ngx_str_t            template;
    ngx_str_t            to;
    const ngx_keyval_t  *vars;
    ngx_uint_t           nvars;
} vault_mail_message_t;

typedef enum {
    VAULT_MAIL_SENT = 0,              /* somebody else has it now */
    VAULT_MAIL_LATER,                 /* this one; others may go through */
    VAULT_MAIL_AWAY,                  /* later, and all others too */
    VAULT_MAIL_REFUSED                /* will never be taken */
} vault_mail_end_e;

/* By vr->conf->mail, which is not NULL.  Awaits. */
vault_mail_end_e vault_mail_send(vault_request_t *vr,
    const vault_mail_message_t *message);


/* Counts one that nobody will try to send any more. */
void vault_mail_give_up(vault_mail_t *mail);


/* For the status page, of this worker. */
typedef struct {
    ngx_uint_t  sent;
    ngx_uint_t  later;                /* attempts that are made again */
    ngx_uint_t  refused;              /* given up */
} vault_mail_stats_t;

void vault_mail_stats(vault_mail_t *mail, vault_mail_stats_t *stats);


#endif
