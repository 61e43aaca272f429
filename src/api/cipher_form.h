/*
 * cipher_form - an item as clients send it: one at a time, in an import, in a
 * key rotation.
 *
 * Why:    whatever way an item comes, it is checked and normalised by the same
 *         tables, so that no stored item can break a client's sync.
 * Use:    vault_cipher_form or vault_cipher_list_form in a shape, then
 *         vault_cipher_form_check(), then vault_cipher_form_row() or _rows().
 * Fails:  400 for what a table cannot say; 404 for another owner.
 * Waits:  vault_cipher_form_rows() awaits a thread where there are many.
 */

#ifndef VAULT_API_CIPHER_FORM_H
#define VAULT_API_CIPHER_FORM_H

#include "../model/cipher.h"
#include "../model/file.h"
#include "../model/stage.h"


typedef struct {
    ngx_str_t  id;                    /* in a key rotation only */
    int64_t    type;
    ngx_str_t  organization_id;
    ngx_str_t  folder_id;
    int64_t    favorite;
    int64_t    archived_at;
    int64_t    known;                 /* revision that the client edited */

    ngx_str_t  encrypted_for;         /* user id: older clients */
    ngx_str_t  encrypted_by;          /* id of the user key */

    ngx_str_t  name;                  /* EncString, as all below */
    ngx_str_t  notes;
    ngx_str_t  key;
    int64_t    reprompt;
    ngx_str_t  login;                 /* fragments; one of the five is there */
    ngx_str_t  card;
    ngx_str_t  identity;
    ngx_str_t  note;
    ngx_str_t  ssh_key;
    ngx_str_t  fields;
    ngx_str_t  history;

    ngx_array_t  files;               /* of vault_file_t: names and keys */
    ngx_array_t  file_names;          /* the same of older clients: names */
} vault_cipher_form_t;

extern const vault_shape_t  vault_cipher_form;

/*
 * 400 unless the item was encrypted by and for the signed-in user, and has
 * the part that its type needs; parts of other types are taken out.
 */
void vault_cipher_form_check(vault_request_t *vr, vault_cipher_form_t *form);

/* What can be edited, into *cipher. */
void vault_cipher_form_row(vault_request_t *vr,
    const vault_cipher_form_t *form, vault_cipher_t *cipher);

/*
 * The rows of n checked forms with their ids, as a JSON array for
 * vault_cipher_insert_rows() and vault_cipher_update_rows().
 */
ngx_str_t vault_cipher_form_rows(vault_request_t *vr,
    const vault_cipher_form_t *forms, ngx_uint_t n);

/* The same as parts of a stage, none too large for a column.  Awaits. */
void vault_cipher_form_stage(vault_stage_t *stage, vault_stage_kind_e kind,
    const vault_cipher_form_t *forms, ngx_uint_t n);

/*
 * The names and keys of attachments of n forms with their ids, as a JSON array
 * for vault_file_rename(); data NULL if there are none.
 */
ngx_str_t vault_cipher_form_files(vault_request_t *vr,
    const vault_cipher_form_t *forms, ngx_uint_t n);


#endif
