/*
 * user - an account: who, how the password is checked, its keys.
 */

#ifndef VAULT_MODEL_USER_H
#define VAULT_MODEL_USER_H

#include "../db/db.h"


typedef struct {
    ngx_str_t  id;                    /* UUID */
    ngx_str_t  email;                 /* lower case, unique */
    ngx_str_t  name;
    ngx_str_t  culture;               /* "en-US" */
    int64_t    email_verified;
    int64_t    verify_devices;
    ngx_str_t  avatar_color;          /* "#rrggbb" or null */

    ngx_str_t  password_hash;         /* our PBKDF2 of the client's hash,
                                         base64 */
    ngx_str_t  password_salt;         /* base64 of 32 random bytes */
    int64_t    password_rounds;
    ngx_str_t  password_hint;

    ngx_str_t  master_salt;           /* what the client's KDF is salted with;
                                         the e-mail unless told otherwise */
    int64_t    kdf;                   /* 0 PBKDF2-SHA256, 1 Argon2id */
    int64_t    kdf_iterations;
    int64_t    kdf_memory;            /* MiB; null for PBKDF2 */
    int64_t    kdf_parallelism;       /* null for PBKDF2 */

    ngx_str_t  user_key;              /* EncString: user key under master key */
    ngx_str_t  user_key_id;           /* 32 hex digits, set once; or null */
    ngx_str_t  public_key;            /* base64 SPKI */
    ngx_str_t  private_key;           /* EncString */

    ngx_str_t  security_stamp;        /* UUID; a new one ends all sessions */
    ngx_str_t  api_key;               /* 30 letters and digits */

    ngx_str_t  equivalent_domains;    /* JSON [["a.example","b.example"],…] */
    ngx_str_t  excluded_globals;      /* JSON [2, 17, …] */

    int64_t    created_at;            /* ms since 1970, as all times */
    int64_t    password_changed_at;
    int64_t    revised_at;            /* grows with every change that the
                                         user's clients would see: a date and
                                         a counter at once */
} vault_user_t;


#endif
