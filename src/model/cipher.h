/*
 * cipher - an item of a vault.  What is encrypted stays one JSON fragment,
 * checked and normalised on write, copied out on read.
 */

#ifndef VAULT_MODEL_CIPHER_H
#define VAULT_MODEL_CIPHER_H

#include "../db/db.h"


typedef struct {
    ngx_str_t  id;                    /* UUID */
    ngx_str_t  user_id;               /* owner; null for an organization's */
    ngx_str_t  organization_id;
    ngx_str_t  folder_id;
    int64_t    type;                  /* 1 login, 2 note, 3 card, 4 identity,
                                         5 SSH key */
    int64_t    favorite;
    ngx_str_t  data;                  /* "{…}" of all encrypted members */
    int64_t    created_at;
    int64_t    revised_at;
    int64_t    deleted_at;            /* null unless in the trash */
    int64_t    archived_at;           /* null unless archived */
} vault_cipher_t;


#endif
