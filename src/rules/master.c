#include "master.h"
#include "password.h"
#include "../model/id.h"


#define KEY_ID_LEN  32


typedef struct {
    vault_range_t  iterations;
    vault_range_t  memory;
    vault_range_t  parallelism;
} kdf_limits_t;


static void master_merge(vault_request_t *vr, vault_master_t *master);
static ngx_uint_t kdf_equal(const vault_kdf_t *a, const vault_kdf_t *b);
static ngx_uint_t text_equal(const ngx_str_t *a, const ngx_str_t *b);
static ngx_uint_t in_range(int64_t n, const vault_range_t *range);


static const vault_field_t  kdf_fields[] = {
    { "kdfType",     VAULT_INT, offsetof(vault_kdf_t, type), VAULT_REQUIRED },
    { "iterations",  VAULT_INT, offsetof(vault_kdf_t, iterations),
      VAULT_REQUIRED },
    { "memory",      VAULT_INT, offsetof(vault_kdf_t, memory) },
    { "parallelism", VAULT_INT, offsetof(vault_kdf_t, parallelism) },
    VAULT_FIELDS_END
};

static const vault_shape_t  kdf_form = VAULT_SHAPE(kdf_fields, vault_kdf_t);


static const vault_field_t  proof_fields[] = {
    { "kdf",  VAULT_OBJECT, offsetof(vault_master_half_t, kdf),
      VAULT_REQUIRED, 0, &kdf_form },
    { "salt", VAULT_TEXT, offsetof(vault_master_half_t, salt),
      VAULT_REQUIRED, 256 },
    { "masterPasswordAuthenticationHash", VAULT_TEXT,
      offsetof(vault_master_half_t, hash), VAULT_REQUIRED, VAULT_HASH_MAX },
    VAULT_FIELDS_END
};

static const vault_field_t  unlock_fields[] = {
    { "kdf",  VAULT_OBJECT, offsetof(vault_master_half_t, kdf),
      VAULT_REQUIRED, 0, &kdf_form },
    { "salt", VAULT_TEXT, offsetof(vault_master_half_t, salt),
      VAULT_REQUIRED, 256 },
    { "masterKeyWrappedUserKey", VAULT_ENC,
      offsetof(vault_master_half_t, user_key), VAULT_REQUIRED },
    { "containedKeyId", VAULT_TEXT, offsetof(vault_master_half_t, key_id), 0,
      KEY_ID_LEN },
    VAULT_FIELDS_END
};

const vault_shape_t  vault_master_proof_form =
    VAULT_SHAPE(proof_fields, vault_master_half_t);
const vault_shape_t  vault_master_unlock_form =
    VAULT_SHAPE(unlock_fields, vault_master_half_t);


/* By type. */

static const kdf_limits_t  kdf_limits[] = {
    { { 600000, 2000000 }, { 0, 0 },     { 0, 0 } },
    { { 2, 10 },           { 16, 1024 }, { 1, 16 } }
};


void
vault_master_read(vault_request_t *vr, vault_master_t *master)
{
    if (master->proof || master->unlock) {
        master_merge(vr, master);
    }

    if (master->hash.len == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The new master password hash is missing.");
    }

    if (master->user_key.len < 2
        || ngx_strncmp(master->user_key.data, "2.", 2) != 0)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The encrypted user key is missing or of another type.");
    }

    vault_key_id_check(vr, &master->key_id);
}


static void
master_merge(vault_request_t *vr, vault_master_t *master)
{
    if (master->proof == NULL || master->unlock == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Authentication and unlock data must come together.");
    }

    if (!kdf_equal(master->proof->kdf, master->unlock->kdf)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Authentication and unlock data "
                   "must have the same KDF configuration.");
    }

    if (!text_equal(&master->proof->salt, &master->unlock->salt)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Invalid master password salt.");
    }

    master->kdf = *master->unlock->kdf;
    master->salt = master->unlock->salt;
    master->hash = master->proof->hash;
    master->user_key = master->unlock->user_key;
    master->key_id = master->unlock->key_id;
}


void
vault_master_require_kdf(vault_request_t *vr, vault_master_t *master)
{
    vault_kdf_t         *kdf;
    const kdf_limits_t  *limits;

    kdf = &master->kdf;

    if (kdf->type != 0 && kdf->type != 1) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Unknown KDF type.");
    }

    limits = &kdf_limits[kdf->type];

    if (!in_range(kdf->iterations, &limits->iterations)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "KDF iterations must be between %L and %L.",
                   limits->iterations.min, limits->iterations.max);
    }

    if (kdf->type == 0) {
        kdf->memory = VAULT_NULL;
        kdf->parallelism = VAULT_NULL;
        return;
    }

    if (!in_range(kdf->memory, &limits->memory)
        || !in_range(kdf->parallelism, &limits->parallelism))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Argon2 memory must be between %L and %L MiB, "
                   "parallelism between %L and %L.",
                   limits->memory.min, limits->memory.max,
                   limits->parallelism.min, limits->parallelism.max);
    }
}


/* The old form of a new password does not name the KDF at all. */

void
vault_master_require_same_kdf(vault_request_t *vr, vault_master_t *master,
    const vault_user_t *user)
{
    vault_kdf_t  kdf;

    kdf.type = user->kdf;
    kdf.iterations = user->kdf_iterations;
    kdf.memory = user->kdf_memory;
    kdf.parallelism = user->kdf_parallelism;

    if (master->kdf.type == VAULT_NULL) {
        master->kdf = kdf;
        return;
    }

    if (!kdf_equal(&master->kdf, &kdf)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid KDF settings.");
    }
}


void
vault_master_require_same_salt(vault_request_t *vr,
    const vault_master_t *master, const vault_user_t *user)
{
    if (master->salt.data
        && !text_equal(&master->salt, &user->master_salt))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Invalid master password salt.");
    }
}


void
vault_master_require_same_key(vault_request_t *vr,
    const vault_master_t *master, const vault_user_t *user)
{
    if (master->key_id.data && user->user_key_id.data
        && !text_equal(&master->key_id, &user->user_key_id))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The wrapped key is not the current user key.");
    }
}


void
vault_master_apply(vault_request_t *vr, const vault_master_t *master,
    vault_user_t *user)
{
    vault_password_set(vr, user, &master->hash);      /* awaits */

    user->kdf = master->kdf.type;
    user->kdf_iterations = master->kdf.iterations;
    user->kdf_memory = master->kdf.memory;
    user->kdf_parallelism = master->kdf.parallelism;
    user->user_key = master->user_key;

    if (master->salt.data) {
        user->master_salt = master->salt;
    }

    user->security_stamp = vault_id_create(vr);
}


void
vault_key_id_check(vault_request_t *vr, const ngx_str_t *key_id)
{
    size_t  i;
    u_char  c;

    if (key_id->data == NULL) {
        return;
    }

    for (i = 0; i < key_id->len; i++) {
        c = key_id->data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            break;
        }
    }

    if (i != KEY_ID_LEN || key_id->len != KEY_ID_LEN) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "A key id has 32 lower-case hexadecimal digits.");
    }
}


static ngx_uint_t
kdf_equal(const vault_kdf_t *a, const vault_kdf_t *b)
{
    return a->type == b->type
           && a->iterations == b->iterations
           && a->memory == b->memory
           && a->parallelism == b->parallelism;
}


static ngx_uint_t
text_equal(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


static ngx_uint_t
in_range(int64_t n, const vault_range_t *range)
{
    return n >= range->min && n <= range->max;
}
