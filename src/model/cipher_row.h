/*
 * cipher_row - the columns of a cipher, for the files that hold its SQL.
 */

#ifndef VAULT_MODEL_CIPHER_ROW_H
#define VAULT_MODEL_CIPHER_ROW_H

#include "cipher.h"


#define CIPHER_COLUMNS  CIPHER_OWN_COLUMNS ", attachments"
#define CIPHER_OWN_COLUMNS                                                    \
    "id, user_id, organization_id, folder_id, type, favorite, data,"          \
    " created_at, revised_at, deleted_at, archived_at"

extern const vault_row_t  vault_cipher_row;   /* of vault_cipher_t */


#endif
