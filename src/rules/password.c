#include "password.h"
#include "../crypto/crypto.h"
#include "../run/await.h"
#include "limits.h"


#define SALT_BYTES  32


typedef struct {
    ngx_str_t   secret;
    ngx_str_t   salt;
    ngx_uint_t  rounds;
    ngx_int_t   rc;
    u_char      hash[VAULT_SHA256_LEN];
} work_t;


static ngx_str_t password_hash(vault_request_t *vr, const ngx_str_t *secret,
    const ngx_str_t *salt, int64_t rounds);
static void password_work(void *data, ngx_log_t *log);


vault_password_t
vault_password_create(vault_request_t *vr, const ngx_str_t *secret)
{
    u_char            random[SALT_BYTES];
    ngx_str_t         bytes;
    vault_password_t  password;

    bytes.data = random;
    bytes.len = SALT_BYTES;

    if (vault_random(random, SALT_BYTES) != NGX_OK
        || vault_base64(vr->pool, &bytes, &password.salt) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "no random bytes");
    }

    password.rounds = vr->conf->kdf_rounds;
    password.hash = password_hash(vr, secret, &password.salt,
                                  password.rounds);

    return password;
}


ngx_uint_t
vault_password_match(vault_request_t *vr, const vault_password_t *password,
    const ngx_str_t *secret)
{
    ngx_str_t  hash;

    hash = password_hash(vr, secret, &password->salt, password->rounds);

    return vault_equal(&hash, &password->hash);
}


void
vault_password_set(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *secret)
{
    vault_password_t  password;

    password = vault_password_create(vr, secret);

    user->password_hash = password.hash;
    user->password_salt = password.salt;
    user->password_rounds = password.rounds;
}


ngx_uint_t
vault_password_check(vault_request_t *vr, const ngx_str_t *account,
    const vault_user_t *user, const ngx_str_t *secret)
{
    ngx_str_t   hash;
    ngx_uint_t  equal;

    static const ngx_str_t  no_salt = ngx_string("nobody");

    vault_password_require_may(vr, account);

    if (user) {
        hash = password_hash(vr, secret, &user->password_salt,
                             user->password_rounds);
        equal = vault_equal(&hash, &user->password_hash);

    } else {
        (void) password_hash(vr, secret, &no_salt, vr->conf->kdf_rounds);
        equal = 0;
    }

    if (equal) {
        vault_limits_passed(vr, account);

    } else {
        vault_limits_failed(vr, account);
    }

    return equal;
}


void
vault_password_require_may(vault_request_t *vr, const ngx_str_t *account)
{
    if (vault_limits_blocked(vr, account)) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many failed attempts. Try again later.");
    }
}


void
vault_password_raise(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *secret)
{
    ngx_str_t  old;

    if (user->password_rounds >= (int64_t) vr->conf->kdf_rounds) {
        return;
    }

    old = user->password_hash;

    vault_password_set(vr, user, secret);
    vault_user_rehash(vr, user, &old);
}


void
vault_password_require(vault_request_t *vr, const ngx_str_t *secret)
{
    vault_user_t  *me;

    me = vault_me(vr);

    if (!vault_password_check(vr, &me->email, me, secret)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid password.");
    }
}


/* Base64 of the PBKDF2 of `secret`; the salt is used as its text. */

static ngx_str_t
password_hash(vault_request_t *vr, const ngx_str_t *secret,
    const ngx_str_t *salt, int64_t rounds)
{
    work_t     *work;
    ngx_str_t   bytes, text;

    work = vault_calloc(vr, sizeof(work_t));

    if (secret->len) {
        work->secret = vault_secret(vr, secret);
    }

    work->salt = *salt;
    work->rounds = rounds;

    vault_thread_run(vr, VAULT_THREAD_CPU, password_work, work);

    bytes.data = work->hash;
    bytes.len = sizeof(work->hash);

    if (work->rc != NGX_OK
        || vault_base64(vr->pool, &bytes, &text) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "PBKDF2 failed");
    }

    vault_wipe(work->hash, sizeof(work->hash));

    return text;
}


static void
password_work(void *data, ngx_log_t *log)
{
    work_t  *work = data;

    work->rc = vault_pbkdf2(&work->secret, &work->salt, work->rounds,
                            work->hash, sizeof(work->hash));
}
