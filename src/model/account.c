/*
 * account - what a proof changes in an account, as steps of a change.
 */

#include "account.h"


typedef struct {
    const vault_user_t    *user;
    const vault_outbox_t  *mail;
    const vault_proof_t   *used;
    ngx_uint_t             created;
} create_t;


void
vault_account_verify_add(vault_change_t *change)
{
    static const char  sql[] =
        "UPDATE users SET email_verified = 1 WHERE id = $1";

    vault_change_run(change, NULL, sql, vault_db_args(S(&change->user->id)));
}


/*
 * Two accounts that take one address in the same instant: the second of them
 * collides at the unique key, is played again, and finds it taken.
 */

void
vault_account_email_add(vault_change_t *change, const vault_user_t *user)
{
    static const char  sql[] =
        "UPDATE users"
        " SET email = $1, email_verified = $2, master_salt = $3,"
        " password_hash = $4, password_salt = $5, password_rounds = $6,"
        " kdf = $7, kdf_iterations = $8, kdf_memory = $9,"
        " kdf_parallelism = $10, user_key = $11, security_stamp = $12"
        " WHERE id = $13 AND NOT EXISTS"
        " (SELECT 1 FROM users o WHERE o.email = $1 AND o.id <> $13)";

    vault_change_run(change, NULL, sql,
                     vault_db_args(S(&user->email), I(user->email_verified),
                                   S(&user->master_salt),
                                   S(&user->password_hash),
                                   S(&user->password_salt),
                                   I(user->password_rounds), I(user->kdf),
                                   I(user->kdf_iterations),
                                   I(user->kdf_memory),
                                   I(user->kdf_parallelism),
                                   S(&user->user_key),
                                   S(&user->security_stamp), S(&user->id)));
}


static void
create_apply(vault_request_t *vr, void *data)
{
    create_t  *create = data;

    create->created = vault_user_insert(vr, create->user);

    if (!create->created) {
        return;
    }

    if (create->used && !vault_proof_insert(vr, create->used)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, VAULT_ACCOUNT_LINK);
    }

    if (create->mail) {
        vault_outbox_insert(vr, create->mail);
    }
}


ngx_uint_t
vault_account_create(vault_request_t *vr, const vault_user_t *user,
    const vault_outbox_t *mail, const vault_proof_t *used)
{
    create_t  create = { user, mail, used, 0 };

    if (mail == NULL && used == NULL) {
        return vault_user_insert(vr, user);
    }

    vault_db_transaction(vr, create_apply, &create);

    return create.created;
}
