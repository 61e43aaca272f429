/*
 * master - what a master password decides: the hash that proves it, the KDF
 * and the salt behind it, and the user key that it unlocks.
 *
 * Why:    registration, a new password, new KDF settings and a key rotation
 *         all bring these, each in an old form (members of the body) and a
 *         new one (two objects, for proving and for unlocking).  They are
 *         brought to one form here and checked once.
 * Use:    VAULT_MASTER_FIELDS() in a form's table, then vault_master_read().
 * Fails:  400 with what is wrong.  A set that clients could not decrypt with
 *         any more is never stored.
 * Waits:  vault_master_apply() awaits the hashing.
 */

#ifndef VAULT_RULES_MASTER_H
#define VAULT_RULES_MASTER_H

#include "session.h"


typedef struct {
    int64_t  type;                    /* 0 PBKDF2-SHA256, 1 Argon2id */
    int64_t  iterations;
    int64_t  memory;                  /* MiB */
    int64_t  parallelism;
} vault_kdf_t;

typedef struct {
    vault_kdf_t  *kdf;
    ngx_str_t     salt;
    ngx_str_t     hash;               /* to prove with */
    ngx_str_t     user_key;           /* to unlock */
    ngx_str_t     key_id;
} vault_master_half_t;

typedef struct {
    vault_kdf_t           kdf;
    ngx_str_t             salt;       /* null: unchanged, or the e-mail */
    ngx_str_t             hash;
    ngx_str_t             user_key;
    ngx_str_t             key_id;     /* null: not told */

    vault_master_half_t  *proof;      /* the new form, until it was read */
    vault_master_half_t  *unlock;
} vault_master_t;

#define VAULT_HASH_MAX  300           /* bytes of a client's password hash */
#define VAULT_HINT_MAX  200

extern const vault_shape_t  vault_master_proof_form;
extern const vault_shape_t  vault_master_unlock_form;

/*
 * The members of a body, for a vault_master_t at offset `at`: `old_hash` and
 * `old_key` are what the old form calls the two, `new_proof` and `new_unlock`
 * the objects of the new form.
 */
#define VAULT_MASTER_FIELDS(at, old_hash, old_key, new_proof, new_unlock)     \
    { "kdf", VAULT_INT, (at) + offsetof(vault_master_t, kdf.type) },          \
    { "kdfIterations", VAULT_INT,                                             \
      (at) + offsetof(vault_master_t, kdf.iterations) },                      \
    { "kdfMemory", VAULT_INT, (at) + offsetof(vault_master_t, kdf.memory) },  \
    { "kdfParallelism", VAULT_INT,                                            \
      (at) + offsetof(vault_master_t, kdf.parallelism) },                     \
    { old_hash, VAULT_TEXT, (at) + offsetof(vault_master_t, hash), 0,         \
      VAULT_HASH_MAX },                                                       \
    { old_key, VAULT_ENC, (at) + offsetof(vault_master_t, user_key) },        \
    { new_proof, VAULT_OBJECT, (at) + offsetof(vault_master_t, proof), 0, 0,  \
      &vault_master_proof_form },                                             \
    { new_unlock, VAULT_OBJECT, (at) + offsetof(vault_master_t, unlock), 0,   \
      0, &vault_master_unlock_form }


/* Brings both forms to the first five members: 400 unless hash and key are
   there and both halves agree. */
void vault_master_read(vault_request_t *vr, vault_master_t *master);

/* KDF settings that may be stored, or 400; bitwarden/server KdfConstants. */
void vault_master_require_kdf(vault_request_t *vr, vault_master_t *master);

/* The same as the user's, or 400: where only the password changes. */
void vault_master_require_same_kdf(vault_request_t *vr,
    vault_master_t *master, const vault_user_t *user);
void vault_master_require_same_salt(vault_request_t *vr,
    const vault_master_t *master, const vault_user_t *user);
void vault_master_require_same_key(vault_request_t *vr,
    const vault_master_t *master, const vault_user_t *user);

/* Into *user, in memory, with a new security stamp.  Awaits. */
void vault_master_apply(vault_request_t *vr, const vault_master_t *master,
    vault_user_t *user);

/* 32 lower-case hex digits, or null; else 400. */
void vault_key_id_check(vault_request_t *vr, const ngx_str_t *key_id);


#endif
