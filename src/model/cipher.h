/*
 * cipher - an item of a vault.  What is encrypted stays one JSON fragment,
 * checked and normalised on write, copied out on read.
 *
 * Every function takes the owner, and every statement has it in its WHERE: an
 * item of somebody else does not exist, and a folder that is not the owner's
 * is refused by the statement that would store it.  All await.
 */

#ifndef VAULT_MODEL_CIPHER_H
#define VAULT_MODEL_CIPHER_H

#include "change.h"


#define VAULT_CIPHER_MAX       100000 /* of one user */
#define VAULT_CIPHER_FULL      "The vault is full."
#define VAULT_CIPHER_MAX_DATA  500000 /* bytes of the fragment */

/*
 * Clients send dates with more or fewer digits than they got; the official
 * server allows the same second.
 */
#define VAULT_CIPHER_TOLERANCE  1000
#define VAULT_CIPHER_OUTDATED                                                 \
    NGX_HTTP_BAD_REQUEST,                                                     \
    "The item cannot be saved because it is out of date. To edit this item, " \
    "first sync your vault, or log out and back in."

typedef enum {
    VAULT_CIPHER_LOGIN = 1,
    VAULT_CIPHER_NOTE,
    VAULT_CIPHER_CARD,
    VAULT_CIPHER_IDENTITY,
    VAULT_CIPHER_SSH_KEY
} vault_cipher_type_e;

typedef struct {
    ngx_str_t  id;                    /* UUID */
    ngx_str_t  user_id;               /* owner; null for an organization's */
    ngx_str_t  organization_id;
    ngx_str_t  folder_id;
    int64_t    type;                  /* vault_cipher_type_e */
    int64_t    favorite;
    ngx_str_t  data;                  /* "{…}" of all encrypted members */
    int64_t    created_at;
    int64_t    revised_at;
    int64_t    deleted_at;            /* null unless in the trash */
    int64_t    archived_at;           /* null unless archived */
    ngx_str_t  attachments;           /* "[…]" of those that are ready: file.h;
                                         null for none */
} vault_cipher_t;

/* All items of a user up to a type (older clients know fewer). */
ngx_array_t *vault_cipher_list(vault_request_t *vr, const vault_user_t *user);
void vault_cipher_batch(vault_db_batch_t *batch, const vault_user_t *user,
    vault_cipher_type_e most, ngx_array_t **ciphers);

/* Their ids, as texts. */
ngx_array_t *vault_cipher_ids(vault_request_t *vr, const vault_user_t *user);

/* 404 if the user has none of this id. */
vault_cipher_t *vault_cipher_get(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *id);

/* cipher: all but ids and times.  400 for a strange folder or a full vault. */
void vault_cipher_insert(vault_request_t *vr, const vault_user_t *user,
    vault_cipher_t *cipher);

/*
 * cipher: id and all that the owner can edit; the rest is filled from the row.
 * `files` as for vault_file_rename(), or null.  404; 400 for another type, a
 * strange folder, or a row that changed after `known` (ms; VAULT_NULL: whatever
 * it is now).
 */
void vault_cipher_update(vault_request_t *vr, const vault_user_t *user,
    vault_cipher_t *cipher, const ngx_str_t *files, int64_t known);

/* Folder and favorite only, of cipher->id; fills the rest.  404. */
void vault_cipher_file(vault_request_t *vr, const vault_user_t *user,
    vault_cipher_t *cipher);

/*
 * Bulk forms: one statement for those of `ids` (of UUIDs) that are the user's;
 * others are ignored.  They give the number of rows, or the rows.
 * move: folder_id null takes them out of their folders; 400 if it is strange.
 */
int64_t vault_cipher_trash(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids);
int64_t vault_cipher_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids);
int64_t vault_cipher_move(vault_request_t *vr, const vault_user_t *user,
    const ngx_array_t *ids, const ngx_str_t *folder_id);
ngx_array_t *vault_cipher_restore(vault_request_t *vr,
    const vault_user_t *user, const ngx_array_t *ids);
ngx_array_t *vault_cipher_archive(vault_request_t *vr,
    const vault_user_t *user, const ngx_array_t *ids);
ngx_array_t *vault_cipher_unarchive(vault_request_t *vr,
    const vault_user_t *user, const ngx_array_t *ids);

/* Everything, folders too. */
void vault_cipher_purge(vault_request_t *vr, const vault_user_t *user);

/*
 * Many at once, as a part of a larger change.  rows is a JSON array of
 * {"id","folder","type","favorite","archived","data"}: new ones, whose folder
 * is left out if it is strange, or 400 if the vault is full; or, for update,
 * those that are the user's, of which only id and data are read.  A stage asks
 * for the room beforehand, as its parts may not be refused.
 */
void vault_cipher_require_room(vault_change_t *change);
void vault_cipher_insert_rows(vault_change_t *change, const ngx_str_t *rows);
void vault_cipher_update_rows(vault_change_t *change, const ngx_str_t *rows,
    int64_t *updated);


#endif
