/*
 * stage - what one user does with more rows than a transaction takes, all or
 * nothing nevertheless.
 *
 * Why:    Aurora DSQL changes 3,000 rows and 10 MiB at a time; a vault may be
 *         larger, and half a key rotation is a lost vault.
 * Use:    vault_stage(), vault_stage_add() for each part, then, in the change
 *         that decides, vault_stage_commit(), and vault_stage_fold() after it.
 *         Only if vault_db_fits() says that one transaction is not enough.
 * Owns:   the parts lie in the table stages; nobody sees them.  users.stage
 *         names the stage that was committed: one small write.  From then on
 *         everybody who reads that user folds first: applies part by part, each
 *         in a transaction that also removes it.  No other change of the vault
 *         is let in meanwhile (change.c).
 * Fails:  as db.h.  What is not committed is as if it had never been; a job
 *         removes it, and folds what nobody came back for.
 * Waits:  all but vault_stage() and vault_stage_commit() *await*.
 */

#ifndef VAULT_MODEL_STAGE_H
#define VAULT_MODEL_STAGE_H

#include "change.h"


#define VAULT_STAGE_ROWS   500        /* of a part */
#define VAULT_STAGE_BYTES  (900 * 1024)   /* a column takes 1 MiB */

/* What is done with the data of a part; the numbers are in the table. */
typedef enum {
    VAULT_STAGE_FOLDERS = 1,          /* rows: inserted */
    VAULT_STAGE_CIPHERS,
    VAULT_STAGE_NEW_FOLDERS,          /* rows: under a new key */
    VAULT_STAGE_NEW_CIPHERS,
    VAULT_STAGE_TRASH,                /* ids of ciphers */
    VAULT_STAGE_RESTORE,
    VAULT_STAGE_ARCHIVE,
    VAULT_STAGE_UNARCHIVE,
    VAULT_STAGE_MOVE,                 /* rows: id, folder */
    VAULT_STAGE_DELETE,               /* ids of ciphers */
    VAULT_STAGE_UNFOLD,               /* ids of folders, to be deleted */
    VAULT_STAGE_PURGE,                /* "": all ciphers and folders */
    VAULT_STAGE_ACCOUNT               /* "": the user */
} vault_stage_kind_e;

typedef struct {
    vault_request_t     *vr;
    const vault_user_t  *user;
    ngx_str_t            id;
    int64_t              now;         /* for the times of the rows written */
    int64_t              parts;
} vault_stage_t;

vault_stage_t *vault_stage(vault_request_t *vr, const vault_user_t *user);
void vault_stage_add(vault_stage_t *stage, vault_stage_kind_e kind,
    const ngx_str_t *data);

/* Ids, as lists of VAULT_STAGE_ROWS. */
void vault_stage_add_ids(vault_stage_t *stage, vault_stage_kind_e kind,
    const ngx_array_t *ids);

/* Adds to the change that decides: all parts are to count, or it fails. */
void vault_stage_commit(vault_stage_t *stage, vault_change_t *change);

/* A change of nothing else, and the fold. */
void vault_stage_finish(vault_stage_t *stage);

/* Does what was committed, from wherever it has come to. */
void vault_stage_fold(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *id);

/* For a job: stages that began before `before` are folded or removed. */
int64_t vault_stage_sweep(vault_request_t *vr, int64_t before);


/* Between stage.c and stage_work.c: one step of a part; 1: there is more. */
ngx_uint_t vault_stage_work(vault_change_t *change, vault_stage_kind_e kind,
    const ngx_str_t *data);

/* cipher_bulk.c: what trash, restore, archive and move do with a part. */
void vault_cipher_stage_add(vault_change_t *change, vault_stage_kind_e kind,
    const ngx_str_t *data);


#endif
