/*
 * folder - a user's own grouping of ciphers; its name is encrypted.
 *
 * Every function takes the owner, and every statement has it in its WHERE: a
 * folder of somebody else does not exist.  All await.
 */

#ifndef VAULT_MODEL_FOLDER_H
#define VAULT_MODEL_FOLDER_H

#include "change.h"


#define VAULT_FOLDER_MAX  10000       /* of one user */
#define VAULT_FOLDER_MANY  "You have too many folders."

typedef struct {
    ngx_str_t  id;                    /* UUID */
    ngx_str_t  user_id;
    ngx_str_t  name;                  /* EncString */
    int64_t    created_at;
    int64_t    revised_at;
} vault_folder_t;

/* All folders of a user, in no particular order. */
ngx_array_t *vault_folder_list(vault_request_t *vr, const vault_user_t *user);
void vault_folder_batch(vault_db_batch_t *batch, const vault_user_t *user,
    ngx_array_t **folders);

/* 404 if the user has none of this id. */
vault_folder_t *vault_folder_get(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *id);

/* folder: its name; gets the rest.  400 beyond the maximum. */
void vault_folder_insert(vault_request_t *vr, const vault_user_t *user,
    vault_folder_t *folder);

/* folder: its id and new name; gets revised_at.  404. */
void vault_folder_update(vault_request_t *vr, const vault_user_t *user,
    vault_folder_t *folder);

/* What lay in it lies in none.  404. */
void vault_folder_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id);

/* The same for many: those of `ids` (of UUIDs) that are the user's. */
void vault_folder_delete_list(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids);
void vault_folder_delete_all(vault_request_t *vr, const vault_user_t *user);

/*
 * Many at once, as a part of a larger change.  rows is a JSON array of
 * {"id","name"}: new ones, or, for update, those that are the user's.
 */
void vault_folder_require_room(vault_change_t *change);
void vault_folder_insert_rows(vault_change_t *change, const ngx_str_t *rows);
void vault_folder_update_rows(vault_change_t *change, const ngx_str_t *rows,
    int64_t *updated);


#endif
