/*
 * purge - deletes what has had its time, for jobs: a batch at a time, of any
 * user.
 *
 * Why:    rows of many users go in one transaction, and with them the promise
 *         to delete their files; each user's revision moves on.
 * Use:    again and again while the answer is VAULT_PURGE_MOST.
 * Fails:  as db.h; then nothing of the batch has happened.
 * Waits:  all *await*.
 *
 * What is due is asked twice, the second time under the locks of the owners'
 * rows: a Send that was prolonged or an item that was restored in between
 * stays.  So a batch may be run by two at once, or again.
 */

#ifndef VAULT_MODEL_PURGE_H
#define VAULT_MODEL_PURGE_H

#include "../db/db.h"


#define VAULT_PURGE_ROWS  200         /* at most in a batch */


/* What a batch did. */
typedef struct {
    int64_t     deleted;              /* rows */
    ngx_uint_t  more;                 /* 1: there is probably more to do */
} vault_purge_t;


/* Sends whose day of deletion has come. */
vault_purge_t vault_purge_sends(vault_request_t *vr, int64_t now);

/* Items of persons that have lain in the trash since `before`. */
vault_purge_t vault_purge_trash(vault_request_t *vr, int64_t before);

/*
 * Devices that cannot sign in again without a password or an API key, hold no
 * key and were not seen since `before`: each sign-in by API key from a fresh
 * container leaves one.
 */
vault_purge_t vault_purge_devices(vault_request_t *vr, int64_t before);

/*
 * Ready files whose item or Send is gone, as an older module leaves them,
 * which knows of no files: doomed.
 */
vault_purge_t vault_purge_orphans(vault_request_t *vr);

/* Sends whose file never came, or came with a wrong size: nobody sees them. */
vault_purge_t vault_purge_empty_sends(vault_request_t *vr);


#endif
