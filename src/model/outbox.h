/*
 * outbox - mails that wait to be sent.
 *
 * Why:    a mail is a row of the transaction that causes it: neither is
 *         without the other, and no mail server holds up a request.
 * Use:    rules/mailer.h, and what writes a mail with other rows.
 * Fails:  as db.h.
 * Waits:  all but vault_outbox_add() *await*.
 *
 * Who takes a mail moves its due_at on by a lease; what it does to the row
 * afterwards it does under that due_at, so that one who was too slow changes
 * nothing.  A row is deleted when it was sent, with the code that is in it.
 */

#ifndef VAULT_MODEL_OUTBOX_H
#define VAULT_MODEL_OUTBOX_H

#include "change.h"


typedef struct {
    ngx_str_t  id;
    ngx_str_t  recipient;
    ngx_str_t  template;
    ngx_str_t  variables;             /* JSON, names and texts */
    int64_t    tries;                 /* begun, this one included */
    int64_t    created_at;
    int64_t    due_at;
    int64_t    expires_at;            /* of no use any more */
} vault_outbox_t;


/* Joins the open transaction, if there is one.  One that is there already, by
   its id, stays as it is. */
void vault_outbox_insert(vault_request_t *vr, const vault_outbox_t *mail);

/* The same as a step of a change. */
void vault_outbox_add(vault_change_t *change, const vault_outbox_t *mail);

/* One that is due, leased for `life` ms; 0 if there is none. */
ngx_uint_t vault_outbox_take(vault_request_t *vr, vault_outbox_t *mail,
    int64_t life);

/* That one, if it is due. */
ngx_uint_t vault_outbox_take_one(vault_request_t *vr, vault_outbox_t *mail,
    const ngx_str_t *id, int64_t life);

/* Those two, if they are not sent yet. */
void vault_outbox_take_back(vault_request_t *vr, const ngx_str_t *id,
    const ngx_str_t *other);

/* While it is ours: it is not needed any more, or is due again later. */
void vault_outbox_delete(vault_request_t *vr, const vault_outbox_t *mail);
void vault_outbox_put_off(vault_request_t *vr, const vault_outbox_t *mail,
    int64_t due_at);


#endif
