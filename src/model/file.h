/*
 * file - the row of a stored object: an attachment of a cipher or the file of
 * a Send.  The bytes are in files/, under the row's id.
 *
 * Why:    the row comes first and goes last: there is never an object that no
 *         row names, so nothing has to be searched for in the store.
 *
 *   pending    promised; no client sees it; counted in the quota
 *   ready      the bytes are there and have the size that was promised
 *   doomed     to be deleted by a job, which tries until the store has obeyed;
 *              no client sees it; not counted
 *   deleted    the store has obeyed, but a link to PUT it may still be used: it
 *              is deleted again when none can be
 *
 * ciphers.attachments is the JSON array that clients read of the ready ones:
 * written anew by vault_file_refresh() in each change that touches them.
 * All functions without a change await.
 */

#ifndef VAULT_MODEL_FILE_H
#define VAULT_MODEL_FILE_H

#include "change.h"


#define VAULT_FILE_PER_CIPHER  100
#define VAULT_FILE_MAX_NAME    1000   /* bytes of a name, and of a key */
#define VAULT_FILE_PENDING_MAX 50     /* promised to one user at a time */

typedef enum {
    VAULT_FILE_PENDING = 0,
    VAULT_FILE_READY,
    VAULT_FILE_DOOMED,
    VAULT_FILE_DELETED
} vault_file_state_e;

#define VAULT_FILE_SQL_READY   "1"
#define VAULT_FILE_SQL_DOOMED  "2"

typedef struct {
    ngx_str_t  id;                    /* UUID; the object's name */
    ngx_str_t  user_id;
    ngx_str_t  cipher_id;             /* one of these two */
    ngx_str_t  send_id;
    ngx_str_t  name;                  /* EncString */
    ngx_str_t  key;                   /* EncString; null for old attachments
                                         and for Sends */
    int64_t    size;                  /* bytes */
    ngx_str_t  size_name;             /* "1.5 KB" */
    int64_t    state;
    int64_t    created_at;
} vault_file_t;

/*
 * SQL: the list that clients read, of the rows `f` of the cipher in the
 * statement around that meet `condition`; NULL if there are none.  Names and
 * keys are EncStrings, so nothing has to be escaped.  Android hides what has
 * no URL, though nobody asks for it there.
 */
#define VAULT_FILE_LIST(condition)                                            \
    "(SELECT '[' || {{join '{\"id\":\"' || a.id"                              \
    " || '\",\"url\":\"/api/ciphers/' || a.cipher_id"                         \
    " || '/attachment/' || a.id"                                              \
    " || '\",\"fileName\":\"' || a.name"                                     \
    " || '\",\"key\":' || COALESCE('\"' || a.key || '\"', 'null')"           \
    " || ',\"size\":\"' || CAST(a.size AS text)"                             \
    " || '\",\"sizeName\":\"' || a.size_name"                                \
    " || '\",\"object\":\"attachment\"}' }} || ']'"                          \
    " FROM (SELECT f.* FROM files AS f"                                       \
    "  WHERE f.cipher_id = ciphers.id AND " condition                         \
    "  ORDER BY f.created_at, f.id) AS a)"


/*
 * Adds a promise to a change: 400 unless the user's used bytes + size fit in
 * `quota` (0: no quota) and the counts above hold.  Sets id, owner, size_name,
 * state and time.  The caller makes sure, in the same change and before, that
 * the cipher or Send is the user's.
 */
void vault_file_promise(vault_change_t *change, vault_file_t *file,
    int64_t quota);

/* A row of the user, not doomed; NULL if there is none. */
vault_file_t *vault_file_find(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id);

/* For links that prove themselves by a signature: whoever owns it. */
vault_file_t *vault_file_find_any(vault_request_t *vr, const ngx_str_t *id);

/* Promises of a user, newest first, at most VAULT_FILE_PENDING_MAX. */
ngx_array_t *vault_file_pending(vault_request_t *vr,
    const vault_user_t *user);

/*
 * Pending to ready, in a transaction of its own: users.revised_at moves, the
 * cipher's list or the Send is seen from now on.  1 if it did, 0 if the row
 * was not pending any more (a second PUT).  Not bound to the security stamp:
 * the link was the permission.
 */
ngx_uint_t vault_file_settle(vault_request_t *vr, const vault_file_t *file);

/* Pending or ready to doomed.  The same conditions; for a wrong size. */
ngx_uint_t vault_file_doom(vault_request_t *vr, const vault_file_t *file);

/* Steps of a change.  ids: JSON list of cipher or Send ids of its user. */
void vault_file_doom_ciphers(vault_change_t *change, const ngx_str_t *ids);
void vault_file_doom_sends(vault_change_t *change, const ngx_str_t *ids);
void vault_file_doom_attachments(vault_change_t *change);   /* purge */
void vault_file_doom_promises(vault_change_t *change);   /* of attachments */
void vault_file_doom_all(vault_change_t *change);   /* account */
void vault_file_refresh(vault_change_t *change, const ngx_str_t *cipher_ids);
void vault_file_refresh_all(vault_change_t *change);   /* of those with any */

/*
 * New names and keys of attachments that are ready, to be followed by a
 * refresh.  rows: a JSON array of {"id","cipher","name","key","keep"}; name
 * null: it stays; keep 1: the key stays.  Passed over is what is not there,
 * and what would lose its key.
 */
void vault_file_rename(vault_change_t *change, const ngx_str_t *rows,
    int64_t *renamed);

/* Bytes used by a user: ready and pending. */
int64_t vault_file_used(vault_request_t *vr, const vault_user_t *user);

/* "1 Bytes", "1.5 KB", "256 MB".  Waits: never. */
ngx_str_t vault_file_size_name(vault_request_t *vr, int64_t size);


/*
 * For jobs, without a user: at most `most` rows of a state that were created
 * before `before`, oldest first, after *after unless that is NULL.
 */
ngx_array_t *vault_file_old(vault_request_t *vr, vault_file_state_e state,
    int64_t before, const vault_file_t *after, ngx_uint_t most);

/*
 * The store has deleted them: their rows go if they were created before
 * `before`, and become VAULT_FILE_DELETED if not.
 */
void vault_file_forget(vault_request_t *vr, const ngx_array_t *ids,
    int64_t before);


#endif
