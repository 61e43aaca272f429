/*
 * smtp - hands one message to a mail server (RFC 5321).
 *
 * Why:    most operators have a mail server, and it decides what is delivered:
 *         who asks must know at which step it said what.
 * Use:    a vault_smtp_server_t made while the configuration is read, then
 *         vault_smtp_send().
 * Owns:   a connection a message: mails are few, and a kept one would have
 *         been closed.  Secrets are wiped once they were sent.
 * Fails:  NGX_ERROR with answer->stage, ->code (0: no answer of the server)
 *         and ->text, for the log.
 * Waits:  vault_smtp_send() awaits, at most VAULT_SMTP_TOTAL ms.
 */

#ifndef VAULT_NET_SMTP_H
#define VAULT_NET_SMTP_H

#include "upstream.h"


#define VAULT_SMTP_TOTAL  (4 * 60000)

typedef enum {
    VAULT_SMTP_PLAIN = 0,             /* no TLS at all */
    VAULT_SMTP_STARTTLS,              /* required */
    VAULT_SMTP_TLS                    /* from the first byte */
} vault_smtp_tls_e;

typedef enum {
    VAULT_SMTP_AUTH_ANY = 0,          /* PLAIN, or LOGIN if only that */
    VAULT_SMTP_AUTH_PLAIN,
    VAULT_SMTP_AUTH_LOGIN,
    VAULT_SMTP_AUTH_XOAUTH2
} vault_smtp_auth_e;

typedef struct {
    vault_upstream_t   *up;           /* with TLS unless PLAIN */
    vault_smtp_tls_e    tls;
    vault_smtp_auth_e   auth;
    ngx_str_t           user;         /* empty: no AUTH */
    ngx_str_t           password;     /* XOAUTH2: an access token */
    ngx_str_t           name;         /* ours, for EHLO */
    ngx_msec_t          timeout;      /* for each answer; thrice for the last */
} vault_smtp_server_t;

typedef enum {
    VAULT_SMTP_AT_CONNECT = 0,
    VAULT_SMTP_AT_TLS,
    VAULT_SMTP_AT_GREETING,
    VAULT_SMTP_AT_HELLO,
    VAULT_SMTP_AT_AUTH,
    VAULT_SMTP_AT_SENDER,
    VAULT_SMTP_AT_RECIPIENT,
    VAULT_SMTP_AT_MESSAGE
} vault_smtp_stage_e;

typedef struct {
    vault_smtp_stage_e  stage;        /* how far it came */
    ngx_uint_t          code;
    ngx_str_t           text;
} vault_smtp_answer_t;


/* Addresses as protocols write them, without brackets; CRLF in `message`. */
ngx_int_t vault_smtp_send(vault_request_t *vr,
    const vault_smtp_server_t *server, const ngx_str_t *from,
    const ngx_str_t *to, const ngx_str_t *message,
    vault_smtp_answer_t *answer);


#endif
