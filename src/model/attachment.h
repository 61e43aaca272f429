/*
 * attachment - a file in its place: a user's item, which changes with it.
 *
 * The row and its states are file.h.  The item's revision moves when a file
 * is promised and when it is deleted, not when it becomes ready: the client
 * that uploads it has the item from the promise's answer, and will edit it.
 * All await; an item or file of somebody else is a 404.
 */

#ifndef VAULT_MODEL_ATTACHMENT_H
#define VAULT_MODEL_ATTACHMENT_H

#include "cipher.h"
#include "file.h"


/*
 * file: cipher_id, name, key and size; the rest is filled.  *cipher is the
 * item as if the file were ready.  400 as vault_file_promise(), and for an
 * item that changed after `known` (ms; VAULT_NULL: whatever it is now).
 */
void vault_attachment_promise(vault_request_t *vr, const vault_user_t *user,
    vault_file_t *file, int64_t known, vault_cipher_t *cipher);

/* Promised or ready. */
vault_file_t *vault_attachment_get(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *cipher_id,
    const ngx_str_t *id);

/* The same to doomed; the item as it is then. */
vault_cipher_t *vault_attachment_delete(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *cipher_id,
    const ngx_str_t *id);


#endif
