#include "../crypto/crypto.h"
#include "file.h"
#include "id.h"
#include "stage.h"


#define API_KEY_LEN  30
#define DELETE_MORE  50               /* rows that nobody counts: second steps,
                                         the user */


static const vault_column_t  user_columns[] = {
    VAULT_USER_COLUMNS(0),
    VAULT_COLUMNS_END
};

static const vault_row_t  user_row = VAULT_ROW(user_columns, vault_user_t);


/* A user whose vault is in two pieces is nobody's to see: it is folded. */
static vault_user_t *
find_whole(vault_request_t *vr, const char *sql, const ngx_str_t *key)
{
    vault_user_t  *user;

    user = vault_alloc(vr, sizeof(vault_user_t));

    for ( ;; ) {
        if (!vault_db_find(vr, &user_row, user, sql, vault_db_args(S(key)))) {
            return NULL;
        }

        if (user->stage.data == NULL || vr->tx) {
            return user;
        }

        vault_stage_fold(vr, &user->id, &user->stage);
    }
}


vault_user_t *
vault_user_find(vault_request_t *vr, const ngx_str_t *id)
{
    return find_whole(vr, "SELECT " VAULT_USER_SQL
                          " FROM users u"
                          " WHERE u.id = $1", id);
}


vault_user_t *
vault_user_find_email(vault_request_t *vr, const ngx_str_t *email)
{
    return find_whole(vr, "SELECT " VAULT_USER_SQL
                          " FROM users u"
                          " WHERE u.email = $1", email);
}


vault_user_t *
vault_user_get(vault_request_t *vr, const ngx_str_t *id)
{
    vault_user_t  *user;

    user = vault_user_find(vr, id);

    if (user == NULL) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    return user;
}


static const vault_column_t  revision_columns[] = {
    { VAULT_COL_INT, "revised_at", 0 },
    VAULT_COLUMNS_END
};

static const vault_row_t  revision_row = VAULT_ROW(revision_columns, int64_t);


void
vault_user_batch_revision(vault_db_batch_t *batch, const vault_user_t *user,
    int64_t *revision)
{
    static const char  sql[] =
        "SELECT revised_at FROM users WHERE id = $1";

    *revision = VAULT_NULL;

    vault_db_batch_find(batch, &revision_row, revision, NULL, sql,
                        vault_db_args(S(&user->id)));
}


ngx_uint_t
vault_user_insert(vault_request_t *vr, const vault_user_t *user)
{
    return vault_db_run(vr,
               "INSERT INTO users (id, email, name, culture, email_verified,"
               " verify_devices, avatar_color, password_hash, password_salt,"
               " password_rounds, password_hint, master_salt, kdf,"
               " kdf_iterations, kdf_memory, kdf_parallelism, user_key,"
               " user_key_id, public_key, private_key, security_stamp,"
               " api_key, equivalent_domains, excluded_globals, created_at,"
               " password_changed_at, revised_at)"
               " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
               " $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,"
               " $25, $26, $27)"
               " ON CONFLICT (email) DO NOTHING",
               vault_db_args(S(&user->id), S(&user->email), S(&user->name),
                             S(&user->culture), I(user->email_verified),
                             I(user->verify_devices), S(&user->avatar_color),
                             S(&user->password_hash), S(&user->password_salt),
                             I(user->password_rounds), S(&user->password_hint),
                             S(&user->master_salt), I(user->kdf),
                             I(user->kdf_iterations), I(user->kdf_memory),
                             I(user->kdf_parallelism), S(&user->user_key),
                             S(&user->user_key_id), S(&user->public_key),
                             S(&user->private_key), S(&user->security_stamp),
                             S(&user->api_key), S(&user->equivalent_domains),
                             S(&user->excluded_globals), I(user->created_at),
                             I(user->password_changed_at),
                             I(user->revised_at))) == 1;
}


void
vault_user_create_api_key(vault_request_t *vr, vault_user_t *user)
{
    user->api_key.data = vault_alloc(vr, API_KEY_LEN);
    user->api_key.len = API_KEY_LEN;

    if (vault_random_text(user->api_key.data, API_KEY_LEN) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "no random bytes");
    }
}


void
vault_user_set_name(vault_request_t *vr, const vault_user_t *user)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET name = $1, culture = $2, " VAULT_USER_REVISE("$3")
               " WHERE id = $4",
               vault_db_args(S(&user->name), S(&user->culture),
                             I(vault_now()), S(&user->id)));
}


void
vault_user_set_domains(vault_request_t *vr, const vault_user_t *user)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET equivalent_domains = $1, excluded_globals = $2, "
               VAULT_USER_REVISE("$3")
               " WHERE id = $4",
               vault_db_args(S(&user->equivalent_domains),
                             S(&user->excluded_globals), I(vault_now()),
                             S(&user->id)));
}


void
vault_user_set_avatar(vault_request_t *vr, const vault_user_t *user)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET avatar_color = $1, " VAULT_USER_REVISE("$2")
               " WHERE id = $3",
               vault_db_args(S(&user->avatar_color), I(vault_now()),
                             S(&user->id)));
}


void
vault_user_set_verify_devices(vault_request_t *vr, const vault_user_t *user)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET verify_devices = $1, " VAULT_USER_REVISE("$2")
               " WHERE id = $3",
               vault_db_args(I(user->verify_devices), I(vault_now()),
                             S(&user->id)));
}


void
vault_user_set_stamp(vault_request_t *vr, const vault_user_t *user)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET security_stamp = $1, " VAULT_USER_REVISE("$2")
               " WHERE id = $3",
               vault_db_args(S(&user->security_stamp), I(vault_now()),
                             S(&user->id)));
}


void
vault_user_set_api_key(vault_request_t *vr, const vault_user_t *user)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET api_key = $1, " VAULT_USER_REVISE("$2")
               " WHERE id = $3",
               vault_db_args(S(&user->api_key), I(vault_now()),
                             S(&user->id)));
}


ngx_uint_t
vault_user_set_keys(vault_request_t *vr, const vault_user_t *user)
{
    return vault_db_run(vr,
               "UPDATE users"
               " SET public_key = $1, private_key = $2, "
               VAULT_USER_REVISE("$3")
               " WHERE id = $4"
               " AND public_key IS NULL AND private_key IS NULL",
               vault_db_args(S(&user->public_key), S(&user->private_key),
                             I(vault_now()), S(&user->id))) == 1;
}


ngx_uint_t
vault_user_set_key_id(vault_request_t *vr, const vault_user_t *user)
{
    return vault_db_run(vr,
               "UPDATE users"
               " SET user_key_id = $1, " VAULT_USER_REVISE("$2")
               " WHERE id = $3 AND user_key_id IS NULL"
               " AND security_stamp = $4",
               vault_db_args(S(&user->user_key_id), I(vault_now()),
                             S(&user->id), S(&user->security_stamp))) == 1;
}


ngx_uint_t
vault_user_set_credentials(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *old_stamp)
{
    return vault_db_run(vr,
               "UPDATE users"
               " SET password_hash = $1, password_salt = $2,"
               " password_rounds = $3, password_hint = $4, master_salt = $5,"
               " kdf = $6, kdf_iterations = $7, kdf_memory = $8,"
               " kdf_parallelism = $9, user_key = $10, user_key_id = $11,"
               " private_key = $12, security_stamp = $13,"
               " password_changed_at = $14, " VAULT_USER_REVISE("$15")
               " WHERE id = $16 AND security_stamp = $17",
               vault_db_args(S(&user->password_hash), S(&user->password_salt),
                             I(user->password_rounds), S(&user->password_hint),
                             S(&user->master_salt), I(user->kdf),
                             I(user->kdf_iterations), I(user->kdf_memory),
                             I(user->kdf_parallelism), S(&user->user_key),
                             S(&user->user_key_id), S(&user->private_key),
                             S(&user->security_stamp),
                             I(user->password_changed_at), I(vault_now()),
                             S(&user->id), S(old_stamp))) == 1;
}


void
vault_user_rehash(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *old_hash)
{
    (void) vault_db_run(vr,
               "UPDATE users"
               " SET password_hash = $1, password_salt = $2,"
               " password_rounds = $3"
               " WHERE id = $4 AND password_hash = $5",
               vault_db_args(S(&user->password_hash), S(&user->password_salt),
                             I(user->password_rounds), S(&user->id),
                             S(old_hash)));
}


typedef struct {
    int64_t  rows;
} owned_t;

static const vault_column_t  owned_columns[] = {
    { VAULT_COL_INT, "rows", offsetof(owned_t, rows) },
    VAULT_COLUMNS_END
};

static const vault_row_t  owned_row = VAULT_ROW(owned_columns, owned_t);


int64_t
vault_user_rows(vault_request_t *vr, const vault_user_t *user)
{
    owned_t  owned = { 0 };

    static const char  sql[] =
        "SELECT (SELECT count(*) FROM ciphers WHERE user_id = $1)"
        " + (SELECT count(*) FROM folders WHERE user_id = $1)"
        " + (SELECT count(*) FROM sends WHERE user_id = $1)"
        " + (SELECT count(*) FROM files WHERE user_id = $1)"
        " + (SELECT count(*) FROM devices WHERE user_id = $1)"
        " + (SELECT count(*) FROM proofs WHERE user_id = $1) AS rows";

    if (vault_db_fits(vr, INT64_MAX, 0)) {
        return 0;                     /* nobody counts here */
    }

    (void) vault_db_find(vr, &owned_row, &owned, sql,
                         vault_db_args(S(&user->id)));

    return owned.rows;
}


/* The sessions end with the write that decides. */
static void
delete_staged(vault_request_t *vr, const vault_user_t *user)
{
    ngx_str_t        none = ngx_string(""), stamp;
    vault_stage_t   *stage;
    vault_change_t  *change;

    static const char  sql[] =
        "UPDATE users SET security_stamp = $1 WHERE id = $2";

    stage = vault_stage(vr, user);
    vault_stage_add(stage, VAULT_STAGE_ACCOUNT, &none);

    stamp = vault_id_create(vr);
    change = vault_change(vr, user);
    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&stamp), S(&user->id)));
    vault_stage_commit(stage, change);
    vault_change_commit(change);

    vault_stage_fold(vr, &user->id, &stage->id);
}


void
vault_user_delete(vault_request_t *vr, const vault_user_t *user)
{
    ngx_uint_t       i;
    vault_change_t  *change;

    static const char *const  sql[] = {
        "DELETE FROM devices WHERE user_id = $1",
        "DELETE FROM folders WHERE user_id = $1",
        "DELETE FROM ciphers WHERE user_id = $1",
        "DELETE FROM sends WHERE user_id = $1",
        "DELETE FROM proofs WHERE user_id = $1",
        "DELETE FROM two_factors WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1"
    };

    if (!vault_db_fits(vr, vault_user_rows(vr, user) + DELETE_MORE, 0)) {
        delete_staged(vr, user);
        return;
    }

    change = vault_change(vr, user);
    vault_file_doom_all(change);

    for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        vault_change_run(change, NULL, sql[i], vault_db_args(S(&user->id)));
    }

    vault_change_commit(change);
}
