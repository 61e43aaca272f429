/*
 * A new user key: everything that the old one encrypts comes in one request,
 * encrypted anew, and is stored all or nothing; what is too much for a
 * transaction is staged before the one that decides, and folded after it.
 */

#include "../run/route.h"
#include "../model/cipher.h"
#include "../model/folder.h"
#include "../model/send.h"
#include "../rules/keys.h"
#include "../rules/master.h"
#include "../rules/password.h"
#include "cipher_form.h"


#define ROTATION_ALL                                                          \
    "All existing items and folders must be included in the rotation."
#define ROTATION_MORE  100            /* rows that nobody counts: promises */


static void  rotation_rotate(vault_request_t *vr);


const vault_route_t  vault_rotation_routes[] = {
    { POST, "/api/accounts/key-management/rotate-user-account-keys",
      rotation_rotate, VAULT_USER, VAULT_BODY_BULK },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_array_t      ciphers;         /* of vault_cipher_form_t */
    ngx_array_t      folders;         /* of vault_folder_t */
    ngx_array_t      sends;           /* of vault_send_t */
} data_form_t;

typedef struct {
    ngx_str_t        email;
    ngx_str_t        hint;
    vault_master_t   master;
} master_form_t;

typedef struct {
    master_form_t   *master;
    ngx_array_t      devices;         /* of vault_device_t */
    ngx_array_t      emergency;
    ngx_array_t      recovery;
    ngx_array_t      passkeys;
} unlock_form_t;

typedef struct {
    ngx_str_t              secret;
    ngx_str_t              key_id;
    unlock_form_t         *unlock;
    vault_account_keys_t  *keys;
    data_form_t           *data;
} rotation_form_t;

typedef struct {
    vault_user_t     user;            /* as it is to become */
    ngx_str_t        old_stamp;
    ngx_str_t        ciphers;         /* rows, JSON */
    ngx_str_t        folders;
    ngx_str_t        devices;
    ngx_str_t        files;
    ngx_str_t        sends;
    int64_t          n_ciphers;
    int64_t          n_folders;
    int64_t          n_sends;
    int64_t          n_devices;
    int64_t          n_files;
    int64_t          known;           /* the revision that was looked at */
    vault_stage_t   *stage;           /* of ciphers and folders; or NULL */
} rotation_t;

typedef struct {
    int64_t          ciphers;
    int64_t          folders;
    int64_t          files;
    int64_t          sends;
} total_t;

typedef struct {
    int64_t          revised_at;
} revision_t;


/* Kinds of things that cannot exist here yet: only whether there are any. */

typedef struct {
    u_char           unused;
} other_t;

static const vault_field_t  other_fields[] = {
    VAULT_FIELDS_END
};

static const vault_shape_t  other_form = VAULT_SHAPE(other_fields, other_t);


static const vault_field_t  folder_fields[] = {
    { "id",   VAULT_UUID, offsetof(vault_folder_t, id), VAULT_REQUIRED },
    { "name", VAULT_ENC,  offsetof(vault_folder_t, name), VAULT_REQUIRED,
      1000 },
    VAULT_FIELDS_END
};

static const vault_field_t  device_fields[] = {
    { "deviceId",           VAULT_UUID, offsetof(vault_device_t, id),
      VAULT_REQUIRED },
    { "encryptedUserKey",   VAULT_ENC,
      offsetof(vault_device_t, encrypted_user_key), VAULT_REQUIRED, 2000 },
    { "encryptedPublicKey", VAULT_ENC,
      offsetof(vault_device_t, encrypted_public_key), VAULT_REQUIRED, 2000 },
    VAULT_FIELDS_END
};

static const vault_field_t  device_row_fields[] = {
    { "id",         VAULT_TEXT, offsetof(vault_device_t, id) },
    { "user_key",   VAULT_TEXT, offsetof(vault_device_t, encrypted_user_key) },
    { "public_key", VAULT_TEXT,
      offsetof(vault_device_t, encrypted_public_key) },
    VAULT_FIELDS_END
};

/* The rest of a Send is under its own key, which alone is wrapped anew. */

static const vault_field_t  send_fields[] = {
    { "id",  VAULT_UUID, offsetof(vault_send_t, id), VAULT_REQUIRED },
    { "key", VAULT_ENC,  offsetof(vault_send_t, key), VAULT_REQUIRED, 1000 },
    VAULT_FIELDS_END
};

static const vault_shape_t  send_form =
    VAULT_SHAPE(send_fields, vault_send_t);
static const vault_shape_t  folder_form =
    VAULT_SHAPE(folder_fields, vault_folder_t);
static const vault_shape_t  device_form =
    VAULT_SHAPE(device_fields, vault_device_t);
static const vault_shape_t  device_rows =
    VAULT_SHAPE(device_row_fields, vault_device_t);


static const vault_field_t  data_fields[] = {
    { "ciphers", VAULT_LIST, offsetof(data_form_t, ciphers), VAULT_REQUIRED,
      VAULT_CIPHER_MAX, &vault_cipher_form },
    { "folders", VAULT_LIST, offsetof(data_form_t, folders), VAULT_REQUIRED,
      VAULT_FOLDER_MAX, &folder_form },
    { "sends",   VAULT_LIST, offsetof(data_form_t, sends), 0,
      VAULT_SEND_MAX, &send_form },
    VAULT_FIELDS_END
};

#define MASTER(member)  offsetof(master_form_t, member)

static const vault_field_t  master_fields[] = {
    { "email",              VAULT_EMAIL, MASTER(email), VAULT_REQUIRED },
    { "masterPasswordHint", VAULT_TEXT,  MASTER(hint), 0, VAULT_HINT_MAX },
    { "kdfType",            VAULT_INT,   MASTER(master.kdf.type) },
    { "kdfIterations",      VAULT_INT,   MASTER(master.kdf.iterations) },
    { "kdfMemory",          VAULT_INT,   MASTER(master.kdf.memory) },
    { "kdfParallelism",     VAULT_INT,   MASTER(master.kdf.parallelism) },
    { "masterPasswordSalt", VAULT_TEXT,  MASTER(master.salt), 0, 256 },
    { "masterKeyAuthenticationHash", VAULT_TEXT, MASTER(master.hash),
      VAULT_REQUIRED, VAULT_HASH_MAX },
    { "masterKeyEncryptedUserKey", VAULT_ENC, MASTER(master.user_key),
      VAULT_REQUIRED },
    { "containedKeyId",     VAULT_TEXT,  MASTER(master.key_id), 0, 32 },
    VAULT_FIELDS_END
};

static const vault_shape_t  data_form = VAULT_SHAPE(data_fields, data_form_t);
static const vault_shape_t  master_form =
    VAULT_SHAPE(master_fields, master_form_t);


static const vault_field_t  unlock_fields[] = {
    { "masterPasswordUnlockData", VAULT_OBJECT,
      offsetof(unlock_form_t, master), VAULT_REQUIRED, 0, &master_form },
    { "deviceKeyUnlockData", VAULT_LIST,
      offsetof(unlock_form_t, devices), 0, 0, &device_form },
    { "emergencyAccessUnlockData", VAULT_LIST,
      offsetof(unlock_form_t, emergency), 0, 0, &other_form },
    { "organizationAccountRecoveryUnlockData", VAULT_LIST,
      offsetof(unlock_form_t, recovery), 0, 0, &other_form },
    { "passkeyUnlockData", VAULT_LIST,
      offsetof(unlock_form_t, passkeys), 0, 0, &other_form },
    VAULT_FIELDS_END
};

static const vault_shape_t  unlock_form =
    VAULT_SHAPE(unlock_fields, unlock_form_t);


static const vault_field_t  rotation_fields[] = {
    { "oldMasterKeyAuthenticationHash", VAULT_TEXT,
      offsetof(rotation_form_t, secret), VAULT_REQUIRED, VAULT_HASH_MAX },
    { "newUserKeyId", VAULT_TEXT,
      offsetof(rotation_form_t, key_id), 0, 32 },
    { "accountUnlockData", VAULT_OBJECT,
      offsetof(rotation_form_t, unlock), VAULT_REQUIRED, 0, &unlock_form },
    { "accountKeys", VAULT_OBJECT,
      offsetof(rotation_form_t, keys), VAULT_REQUIRED, 0,
      &vault_account_keys_form },
    { "accountData", VAULT_OBJECT,
      offsetof(rotation_form_t, data), VAULT_REQUIRED, 0, &data_form },
    VAULT_FIELDS_END
};

static const vault_shape_t  rotation_form =
    VAULT_SHAPE(rotation_fields, rotation_form_t);


static const vault_column_t  total_columns[] = {
    { VAULT_COL_INT, "ciphers", offsetof(total_t, ciphers) },
    { VAULT_COL_INT, "folders", offsetof(total_t, folders) },
    { VAULT_COL_INT, "files", offsetof(total_t, files) },
    { VAULT_COL_INT, "sends", offsetof(total_t, sends) },
    VAULT_COLUMNS_END
};

static const vault_row_t  total_row = VAULT_ROW(total_columns, total_t);

static const vault_column_t  revision_columns[] = {
    { VAULT_COL_INT, "revised_at", offsetof(revision_t, revised_at) },
    VAULT_COLUMNS_END
};

static const vault_row_t  revision_row =
    VAULT_ROW(revision_columns, revision_t);

static const char  total_sql[] =
    "SELECT"
    " (SELECT count(*) FROM ciphers WHERE user_id = $1) AS ciphers,"
    " (SELECT count(*) FROM folders WHERE user_id = $1) AS folders,"
    " (SELECT count(*) FROM sends WHERE user_id = $1) AS sends,"
    " (SELECT count(*) FROM files"
    "  WHERE user_id = $1 AND cipher_id IS NOT NULL"
    "  AND state = " VAULT_FILE_SQL_READY ") AS files";


static void  rotation_master(vault_request_t *vr, rotation_form_t *form,
    rotation_t *rotation);
static void  rotation_data(vault_request_t *vr, rotation_form_t *form,
    rotation_t *rotation);
static ngx_uint_t  rotation_fits(vault_request_t *vr,
    const rotation_t *rotation, int64_t rows, size_t bytes);
static void  rotation_stage(vault_request_t *vr, const data_form_t *data,
    rotation_t *rotation);
static ngx_array_t  rotation_ids(vault_request_t *vr, const void *elts,
    ngx_uint_t n, size_t size, size_t offset);
static void  rotation_require_same(vault_request_t *vr, ngx_array_t *sent,
    ngx_array_t *have);
static int  id_compare(const void *one, const void *two);
static void  rotation_require_unchanged(vault_request_t *vr,
    const rotation_t *rotation);
static void  rotation_store(vault_request_t *vr, void *data);
static void  rotation_store_items(vault_request_t *vr,
    const rotation_t *rotation);
static ngx_str_t  rotation_rows(vault_request_t *vr,
    const vault_shape_t *shape, const ngx_array_t *rows);


static void
rotation_rotate(vault_request_t *vr)
{
    rotation_t       rotation;
    rotation_form_t  form;

    vault_json_read(vr, &rotation_form, &form);       /* awaits */
    vault_password_require(vr, &form.secret);         /* awaits */

    rotation.user = *vault_me(vr);
    rotation.old_stamp = rotation.user.security_stamp;
    rotation.known = rotation.user.revised_at;
    rotation.stage = NULL;

    rotation_master(vr, &form, &rotation);            /* awaits */
    rotation_data(vr, &form, &rotation);              /* awaits */

    vault_db_transaction(vr, rotation_store, &rotation);         /* awaits */

    if (rotation.stage) {
        vault_stage_fold(vr, &rotation.user.id, &rotation.stage->id);
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* The password may change too, its KDF and salt may not, nor the key pair. */

static void
rotation_master(vault_request_t *vr, rotation_form_t *form,
    rotation_t *rotation)
{
    vault_user_t    *user;
    vault_keys_t     keys;
    vault_master_t  *master;

    user = &rotation->user;
    master = &form->unlock->master->master;

    if (master->salt.len == 0) {
        master->salt = form->unlock->master->email;
    }

    vault_master_read(vr, master);
    vault_master_require_same_kdf(vr, master, user);
    vault_master_require_same_salt(vr, master, user);
    vault_key_id_check(vr, &form->key_id);

    vault_keys_read(vr, NULL, form->keys, &keys);

    if (user->public_key.len != keys.public_key.len
        || ngx_memcmp(user->public_key.data, keys.public_key.data,
                      keys.public_key.len)
           != 0)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The key pair cannot change in a key rotation.");
    }

    user->private_key = keys.private_key;
    user->user_key_id = form->key_id;
    user->password_hint = form->unlock->master->hint;
    user->password_changed_at = vault_now();

    vault_master_apply(vr, master, user);             /* awaits */
}


static void
rotation_data(vault_request_t *vr, rotation_form_t *form,
    rotation_t *rotation)
{
    data_form_t          *data;
    ngx_uint_t            i;
    unlock_form_t        *unlock;
    vault_cipher_form_t  *cipher;

    data = form->data;
    unlock = form->unlock;

    if (unlock->emergency.nelts || unlock->recovery.nelts
        || unlock->passkeys.nelts)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "There is something in the "
                   "request that this server does not keep.");
    }

    /* items are to be encrypted by the key that comes */

    vault_me(vr)->user_key_id = form->key_id;

    cipher = data->ciphers.elts;

    rotation->n_files = 0;

    for (i = 0; i < data->ciphers.nelts; i++) {
        vault_cipher_form_check(vr, &cipher[i]);
        cipher[i].file_names.nelts = 0;       /* would leave the old keys */
        rotation->n_files += cipher[i].files.nelts;
    }

    rotation->n_ciphers = data->ciphers.nelts;
    rotation->n_folders = data->folders.nelts;
    rotation->n_sends = data->sends.nelts;
    rotation->n_devices = unlock->devices.nelts;

    rotation->ciphers = vault_cipher_form_rows(vr, cipher,       /* awaits */
                                               data->ciphers.nelts);
    rotation->files = vault_cipher_form_files(vr, cipher,
                                              data->ciphers.nelts);
    rotation->folders = rotation_rows(vr, &folder_form, &data->folders);
    rotation->sends = rotation_rows(vr, &send_form, &data->sends);
    rotation->devices = rotation_rows(vr, &device_rows, &unlock->devices);

    if (!rotation_fits(vr, rotation, rotation->n_ciphers
                                     + rotation->n_folders,
                       rotation->ciphers.len + rotation->folders.len))
    {
        rotation_stage(vr, data, rotation);           /* awaits */
    }
}


/* With so many items and folders, of so many bytes. */

static ngx_uint_t
rotation_fits(vault_request_t *vr, const rotation_t *rotation, int64_t rows,
    size_t bytes)
{
    rows += rotation->n_sends + rotation->n_devices + 2 * rotation->n_files
            + ROTATION_MORE;
    bytes += rotation->sends.len + rotation->devices.len
             + rotation->files.len;

    return vault_db_fits(vr, rows, bytes);
}


/*
 * Whether everything was sent, and once, is looked at before: the transaction
 * that decides makes sure that the vault is still at the same revision.
 */

static void
rotation_stage(vault_request_t *vr, const data_form_t *data,
    rotation_t *rotation)
{
    ngx_str_t              rows;
    ngx_uint_t             i;
    ngx_array_t            ids, some, known;
    const ngx_array_t     *have;
    vault_stage_t         *stage;

    if (!rotation_fits(vr, rotation, 0, 0)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "There are too many attachments "
                   "and Sends for one key rotation.");
    }

    ids = rotation_ids(vr, data->ciphers.elts, data->ciphers.nelts,
                       sizeof(vault_cipher_form_t),
                       offsetof(vault_cipher_form_t, id));
    rotation_require_same(vr, &ids, vault_cipher_ids(vr, vault_me(vr)));

    have = vault_folder_list(vr, vault_me(vr));
    known = rotation_ids(vr, have->elts, have->nelts, sizeof(vault_folder_t),
                         offsetof(vault_folder_t, id));
    ids = rotation_ids(vr, data->folders.elts, data->folders.nelts,
                       sizeof(vault_folder_t), offsetof(vault_folder_t, id));
    rotation_require_same(vr, &ids, &known);

    stage = vault_stage(vr, vault_me(vr));

    for (i = 0; i < data->folders.nelts; i += VAULT_STAGE_ROWS) {
        some = data->folders;
        some.elts = (vault_folder_t *) data->folders.elts + i;
        some.nelts = ngx_min(data->folders.nelts - i, VAULT_STAGE_ROWS);

        rows = rotation_rows(vr, &folder_form, &some);
        vault_stage_add(stage, VAULT_STAGE_NEW_FOLDERS, &rows);
    }

    vault_cipher_form_stage(stage, VAULT_STAGE_NEW_CIPHERS,
                            data->ciphers.elts, data->ciphers.nelts);
    rotation->stage = stage;
}


static ngx_array_t
rotation_ids(vault_request_t *vr, const void *elts, ngx_uint_t n, size_t size,
    size_t offset)
{
    ngx_str_t    *id;
    ngx_uint_t    i;
    ngx_array_t   ids;

    if (ngx_array_init(&ids, vr->pool, n + 1, sizeof(ngx_str_t)) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    for (i = 0; i < n; i++) {
        id = ngx_array_push(&ids);    /* there is room */
        *id = *(const ngx_str_t *) ((const u_char *) elts + i * size + offset);
    }

    return ids;
}


static void
rotation_require_same(vault_request_t *vr, ngx_array_t *sent,
    ngx_array_t *have)
{
    ngx_str_t   *a = sent->elts, *b = have->elts;
    ngx_uint_t   i;

    qsort(a, sent->nelts, sizeof(ngx_str_t), id_compare);
    qsort(b, have->nelts, sizeof(ngx_str_t), id_compare);

    for (i = 0; i < sent->nelts && i < have->nelts; i++) {
        if (id_compare(&a[i], &b[i]) != 0) {
            break;
        }
    }

    if (i < sent->nelts || i < have->nelts) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, ROTATION_ALL);
    }
}


static int
id_compare(const void *one, const void *two)
{
    const ngx_str_t  *a = one, *b = two;

    return ngx_memn2cmp(a->data, b->data, a->len, b->len);
}


/*
 * The old stamp is the lock: of two rotations at once one finds another, and
 * so does a write of a session that began before.
 */

static void
rotation_store(vault_request_t *vr, void *data)
{
    rotation_t  *rotation = data;

    if (rotation->stage) {
        rotation_require_unchanged(vr, rotation);
    }

    if (!vault_user_set_credentials(vr, &rotation->user,
                                    &rotation->old_stamp))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Your account was changed on another device. "
                   "Log in again.");
    }

    rotation_store_items(vr, rotation);

    if (vault_device_rotate(vr, &rotation->user.id, &rotation->devices)
        != rotation->n_devices)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "All trusted devices must be your own.");
    }
}


static void
rotation_require_unchanged(vault_request_t *vr, const rotation_t *rotation)
{
    revision_t  row = { VAULT_NULL };

    static const char  sql[] =
        "SELECT revised_at"
        " FROM users"
        " WHERE id = $1"
        " {{for update}}";

    (void) vault_db_find(vr, &revision_row, &row, sql,
                         vault_db_args(S(&rotation->user.id)));

    if (row.revised_at != rotation->known) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Your account was changed on another device. "
                   "Log in again.");
    }
}


/*
 * What was updated and what there is must both be what was sent: no item is
 * forgotten, none is twice, no attachment keeps a key that nobody can unwrap.
 */

static void
rotation_store_items(vault_request_t *vr, const rotation_t *rotation)
{
    int64_t          ciphers, folders, files, sends;
    total_t          total;
    vault_change_t  *change;

    files = 0;

    ciphers = rotation->n_ciphers;    /* staged: they have been looked at */
    folders = rotation->n_folders;

    change = vault_change(vr, &rotation->user);

    if (rotation->stage) {
        vault_stage_commit(rotation->stage, change);

    } else {
        vault_cipher_update_rows(change, &rotation->ciphers, &ciphers);
        vault_folder_update_rows(change, &rotation->folders, &folders);
    }

    vault_send_update_rows(change, &rotation->sends, &sends);
    vault_file_doom_promises(change);

    if (rotation->files.data) {
        vault_file_rename(change, &rotation->files, &files);
        vault_file_refresh_all(change);
    }

    vault_change_commit(change);

    (void) vault_db_find(vr, &total_row, &total, total_sql,
                         vault_db_args(S(&rotation->user.id)));

    if (ciphers != rotation->n_ciphers || total.ciphers != ciphers
        || folders != rotation->n_folders || total.folders != folders
        || total.files != files)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, ROTATION_ALL);
    }

    if (sends != rotation->n_sends || total.sends != sends) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "All existing sends must be included in the rotation.");
    }
}


static ngx_str_t
rotation_rows(vault_request_t *vr, const vault_shape_t *shape,
    const ngx_array_t *rows)
{
    vault_writer_t  w;

    vault_writer_init(&w, vr->pool);
    vault_json_rows(&w, NULL, shape, rows);

    return vault_written(vr, &w);
}
