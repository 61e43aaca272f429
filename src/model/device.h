/*
 * device - an installation of a client that has signed in, and its refresh
 * token.
 */

#ifndef VAULT_MODEL_DEVICE_H
#define VAULT_MODEL_DEVICE_H

#include "../db/db.h"


typedef struct {
    ngx_str_t  id;                    /* UUID made here */
    ngx_str_t  user_id;
    ngx_str_t  identifier;            /* the client's own name of itself */
    int64_t    type;                  /* bitwarden/server DeviceType.cs */
    ngx_str_t  name;
    ngx_str_t  refresh_hash;          /* hex SHA-256 of the refresh token */
    ngx_str_t  refresh_stamp;         /* security stamp it was given under */
    int64_t    refresh_expires_at;
    ngx_str_t  push_token;
    ngx_str_t  encrypted_user_key;    /* trusted-device keys, EncStrings */
    ngx_str_t  encrypted_public_key;
    ngx_str_t  encrypted_private_key;
    int64_t    created_at;
    int64_t    seen_at;
} vault_device_t;


#endif
