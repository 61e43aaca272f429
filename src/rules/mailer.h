/*
 * mailer - mails that requests cause, and sending them afterwards.
 *
 * Why:    a request costs one row more, however slow the mail server is; and
 *         a mail that was caused goes out even if this worker dies now.
 * Use:    vault_mailer_add() with a change, or vault_mailer_queue() without
 *         one; in a transaction vault_mailer_write() before it and
 *         vault_outbox_insert() in it.  The rest happens after the answer.
 * Owns:   nothing.
 * Fails:  as db.h; 500 for a template that there is not.  Both say 0 if no
 *         mail is sent at all, or if too many were: a caller that could tell
 *         somebody by that whether an account exists ignores it.
 * Waits:  vault_mailer_queue() and vault_mailer_run() await.
 *
 * Sent at least once.  A mail that may have gone out and did not come back as
 * sent goes out again under the same Message-ID.  Refused ones are given up,
 * others when they have expired.
 */

#ifndef VAULT_RULES_MAILER_H
#define VAULT_RULES_MAILER_H

#include "../mail/mail.h"
#include "../model/change.h"
#include "../model/outbox.h"


typedef struct {
    const char          *template;
    ngx_str_t            to;
    const ngx_keyval_t  *vars;        /* those of the template; server, origin
                                         and email are added */
    ngx_uint_t           nvars;
    time_t               life;        /* seconds that it makes sense; 0: two
                                         days */
    ngx_uint_t           unproved;    /* 1: somebody may have registered the
                                         address of another, who is not to be
                                         flooded */
    ngx_uint_t           nobody;      /* 1: costs as much, but is not sent:
                                         there is no such account, and nobody
                                         shall see that by the time it takes */
} vault_mailer_t;

/* Does this vault send mail? */
ngx_uint_t vault_mailer_enabled(vault_request_t *vr);

ngx_uint_t vault_mailer_add(vault_change_t *change,
    const vault_mailer_t *mail);
ngx_uint_t vault_mailer_queue(vault_request_t *vr,
    const vault_mailer_t *mail);
ngx_uint_t vault_mailer_write(vault_request_t *vr,
    const vault_mailer_t *mail, vault_outbox_t *row);

/*
 * Sends what is due, until nothing is or the mail server is away, but not for
 * long: then *more is 1.  How many were sent or given up.
 */
ngx_uint_t vault_mailer_run(vault_request_t *vr, ngx_uint_t *more);

/* "2026-11-22 08:51 UTC", for {{time}}. */
ngx_str_t vault_mailer_time(vault_request_t *vr, int64_t ms);

/* Who logs in: {{device}}, {{address}}, {{time}}. */
void vault_mailer_login(vault_request_t *vr, int64_t device_type, int64_t ms,
    ngx_keyval_t vars[3]);


#endif
