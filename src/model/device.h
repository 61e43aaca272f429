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
    int64_t    trusted;               /* 1: all three are there; read only */
    int64_t    created_at;
    int64_t    seen_at;
} vault_device_t;

/* bitwarden/server src/Core/Enums/DeviceType.cs */
#define VAULT_DEVICE_IOS      1
#define VAULT_DEVICE_UNKNOWN  14      /* "unknown browser" */


/* All *await*. */

/* Newest first. */
ngx_array_t *vault_device_list(vault_request_t *vr, const ngx_str_t *user_id);

/* 404 if the user has none of this id, or of this identifier. */
vault_device_t *vault_device_get(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *id);
vault_device_t *vault_device_get_identifier(vault_request_t *vr,
    const ngx_str_t *user_id, const ngx_str_t *identifier);

/* 1 if the account of `email` has signed in on that device before. */
ngx_uint_t vault_device_is_known(vault_request_t *vr, const ngx_str_t *email,
    const ngx_str_t *identifier);

/* How many the account has, and whether that is one of them. */
int64_t vault_device_count(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *identifier, ngx_uint_t *known);

/* "Firefox extension": for people.  Does not await. */
ngx_str_t vault_device_kind(int64_t type);

/*
 * A sign-in: the device appears, or its row takes the new name, type and, if
 * there is one, refresh token.  One statement, so that two sign-ins at once
 * leave one row.
 */
void vault_device_save(vault_request_t *vr, const vault_device_t *device);

/* The session goes on: seen now, and the refresh token lives longer. */
void vault_device_extend(vault_request_t *vr, const vault_device_t *device);

/* The rest answers 0 if there is no such device of that user. */
ngx_uint_t vault_device_set_push_token(vault_request_t *vr,
    const ngx_str_t *user_id, const ngx_str_t *identifier,
    const ngx_str_t *token);
ngx_uint_t vault_device_set_keys(vault_request_t *vr,
    const ngx_str_t *user_id, const ngx_str_t *identifier,
    const vault_device_t *keys);
ngx_uint_t vault_device_delete(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *id);

/* Of whatever account: for a client that has already signed out. */
ngx_uint_t vault_device_clear_push_token(vault_request_t *vr,
    const ngx_str_t *identifier);

/*
 * Key rotation, in a transaction: the trusted devices' copies of the user key
 * become those of `keys`, JSON text
 * [{"id":…,"user_key":…,"public_key":…},…]; all others lose their trust.
 * The number of devices that took new keys.
 */
int64_t vault_device_rotate(vault_request_t *vr, const ngx_str_t *user_id,
    const ngx_str_t *keys);


#endif
