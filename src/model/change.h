/*
 * change - writes to one user's vault, and the revision that announces them.
 *
 * Why:    a client learns that its copy is old from users.revised_at alone, so
 *         no write may be without it: both are one transaction.
 * Use:    vault_change(), any number of vault_change_run() and _list(), then
 *         vault_change_commit(), which awaits; all travel in one round trip.
 * Owns:   pool memory; arguments are copied.
 * Fails:  as db.h; and, with everything rolled back, when a statement finds no
 *         row after which vault_change_refuse() was called.
 * Waits:  in vault_change_commit() only.
 * See:    model/folder.c
 */

#ifndef VAULT_MODEL_CHANGE_H
#define VAULT_MODEL_CHANGE_H

#include "user.h"


typedef struct {
    vault_request_t     *vr;
    const vault_user_t  *user;        /* whose vault */
    int64_t              now;         /* for the times of the rows written */
    ngx_uint_t           fold;        /* of a stage; else none may be open */
    ngx_array_t          steps;
} vault_change_t;

vault_change_t *vault_change(vault_request_t *vr, const vault_user_t *user);

/* A part of a stage (stage.h): user->id and ->stage, the time of the stage. */
vault_change_t *vault_change_fold(vault_request_t *vr,
    const vault_user_t *user, int64_t now);

/* Adds a statement; *changed, unless NULL, gets its number of rows. */
void vault_change_run(vault_change_t *change, int64_t *changed,
    const char *sql, const vault_db_arg_t *args, ngx_uint_t n);

/* The same for "… RETURNING columns". */
void vault_change_list(vault_change_t *change, const vault_row_t *row,
    ngx_array_t **rows, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n);

/* The statement added last must find a row; else `status` and `text`. */
void vault_change_refuse(vault_change_t *change, ngx_uint_t status,
    const char *text);

/* What is missing and what is somebody else's look the same. */
#define VAULT_MISSING  NGX_HTTP_NOT_FOUND, "Resource not found."

/* Runs all that was added and moves the user's revision on.  Awaits. */
void vault_change_commit(vault_change_t *change);


#endif
