/*
 * folder - a user's own grouping of ciphers; its name is encrypted.
 */

#ifndef VAULT_MODEL_FOLDER_H
#define VAULT_MODEL_FOLDER_H

#include "../db/db.h"


typedef struct {
    ngx_str_t  id;                    /* UUID */
    ngx_str_t  user_id;
    ngx_str_t  name;                  /* EncString */
    int64_t    created_at;
    int64_t    revised_at;
} vault_folder_t;


#endif
