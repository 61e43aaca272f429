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
    ngx_str_t  stage;                 /* what is to be folded before anything
                                         else (stage.h); or null */
    int64_t    two_step;              /* 1: there is a second step to log in;
                                         read only */
} vault_user_t;


/*
 * All columns, for a query that reads `users u` beside other tables, and the
 * entries of its row table at `base` in a larger struct.
 */
#define VAULT_USER_SQL                                                        \
    "u.id, u.email, u.name, u.culture, u.email_verified, u.verify_devices,"   \
    " u.avatar_color, u.password_hash, u.password_salt, u.password_rounds,"   \
    " u.password_hint, u.master_salt, u.kdf, u.kdf_iterations,"               \
    " u.kdf_memory, u.kdf_parallelism, u.user_key, u.user_key_id,"            \
    " u.public_key, u.private_key, u.security_stamp, u.api_key,"              \
    " u.equivalent_domains, u.excluded_globals, u.created_at,"                \
    " u.password_changed_at, u.revised_at, u.stage,"                          \
    " CASE WHEN EXISTS (SELECT 1 FROM two_factors t"                          \
    " WHERE t.user_id = u.id AND t.provider <> 8)"                            \
    " THEN 1 ELSE 0 END AS two_step"

#define VAULT_USER_COLUMNS(base)                                              \
    VAULT_USER_TEXT(base, id), VAULT_USER_TEXT(base, email),                  \
    VAULT_USER_TEXT(base, name), VAULT_USER_TEXT(base, culture),              \
    VAULT_USER_INT(base, email_verified),                                     \
    VAULT_USER_INT(base, verify_devices),                                     \
    VAULT_USER_TEXT(base, avatar_color),                                      \
    VAULT_USER_TEXT(base, password_hash),                                     \
    VAULT_USER_TEXT(base, password_salt),                                     \
    VAULT_USER_INT(base, password_rounds),                                    \
    VAULT_USER_TEXT(base, password_hint),                                     \
    VAULT_USER_TEXT(base, master_salt),                                       \
    VAULT_USER_INT(base, kdf), VAULT_USER_INT(base, kdf_iterations),          \
    VAULT_USER_INT(base, kdf_memory),                                         \
    VAULT_USER_INT(base, kdf_parallelism),                                    \
    VAULT_USER_TEXT(base, user_key), VAULT_USER_TEXT(base, user_key_id),      \
    VAULT_USER_TEXT(base, public_key), VAULT_USER_TEXT(base, private_key),    \
    VAULT_USER_TEXT(base, security_stamp), VAULT_USER_TEXT(base, api_key),    \
    VAULT_USER_TEXT(base, equivalent_domains),                                \
    VAULT_USER_TEXT(base, excluded_globals),                                  \
    VAULT_USER_INT(base, created_at),                                         \
    VAULT_USER_INT(base, password_changed_at),                                \
    VAULT_USER_INT(base, revised_at), VAULT_USER_TEXT(base, stage),           \
    VAULT_USER_INT(base, two_step)

#define VAULT_USER_TEXT(base, column)                                         \
    { VAULT_COL_TEXT, #column, (base) + offsetof(vault_user_t, column) }
#define VAULT_USER_INT(base, column)                                          \
    { VAULT_COL_INT, #column, (base) + offsetof(vault_user_t, column) }

/*
 * The assignment that every statement which changes what a user's clients see
 * must make on that user's row; `now` is its parameter: "$2".  It grows even
 * if the clock does not.  What changes other tables goes through change.h.
 */
#define VAULT_USER_REVISE(now)                                                \
    "revised_at = CASE WHEN revised_at >= " now                               \
    " THEN revised_at + 1 ELSE " now " END"

/* All *await*.  NULL if there is none. */
vault_user_t *vault_user_find(vault_request_t *vr, const ngx_str_t *id);
vault_user_t *vault_user_find_email(vault_request_t *vr,
    const ngx_str_t *email);

/* 404 if there is none. */
vault_user_t *vault_user_get(vault_request_t *vr, const ngx_str_t *id);

/* users.revised_at as it is then. */
void vault_user_batch_revision(vault_db_batch_t *batch,
    const vault_user_t *user, int64_t *revision);

/* A new account; 0 if the e-mail is taken. */
ngx_uint_t vault_user_insert(vault_request_t *vr, const vault_user_t *user);

/* A new random API key, in memory. */
void vault_user_create_api_key(vault_request_t *vr, vault_user_t *user);

/*
 * Writes of single members of *user, all but the last bumping revised_at.
 * vault_user_set_keys() and vault_user_set_key_id() set what was null, and
 * answer 0 if it was not.
 */
void vault_user_set_name(vault_request_t *vr, const vault_user_t *user);
void vault_user_set_domains(vault_request_t *vr, const vault_user_t *user);
void vault_user_set_avatar(vault_request_t *vr, const vault_user_t *user);
void vault_user_set_verify_devices(vault_request_t *vr,
    const vault_user_t *user);
void vault_user_set_stamp(vault_request_t *vr, const vault_user_t *user);
void vault_user_set_api_key(vault_request_t *vr, const vault_user_t *user);
ngx_uint_t vault_user_set_keys(vault_request_t *vr, const vault_user_t *user);
ngx_uint_t vault_user_set_key_id(vault_request_t *vr,
    const vault_user_t *user);

/*
 * Writes all that a master password decides (hash, KDF, wrapped keys, stamp)
 * if the stamp is still `old_stamp`; 0 if somebody else was faster.
 */
ngx_uint_t vault_user_set_credentials(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *old_stamp);

/*
 * Stores a hash of the same password with more rounds, unless the hash has
 * changed from `old_hash`.  Nothing that a client sees.
 */
void vault_user_rehash(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *old_hash);

/*
 * Rows of all kinds that a user owns, roughly; 0 where a transaction takes
 * any number of them.
 */
int64_t vault_user_rows(vault_request_t *vr, const vault_user_t *user);

/* Deletes the account with all that it owns, at once; its files by a job. */
void vault_user_delete(vault_request_t *vr, const vault_user_t *user);


#endif
