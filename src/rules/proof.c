/*
 * proof - codes and links by mail, which prove that the address is somebody's.
 */

#include "proof.h"
#include "limits.h"
#include "signing.h"
#include "../crypto/crypto.h"
#include "../model/id.h"


#define CODE_LEN     6
#define CODES        1000000
#define TOKEN_BYTES  32


typedef struct {
    const vault_proof_t   *proof;
    const vault_outbox_t  *mail;
} send_t;


const vault_proof_kind_t  vault_proof_verify_email =
    { "verify-email", 24 * 3600, 0 };

const vault_proof_kind_t  vault_proof_delete_account =
    { "delete-account", 3600, 0 };

const vault_proof_kind_t  vault_proof_change_email =
    { "change-email", 900, 5 };

const vault_proof_kind_t  vault_proof_action =
    { "protected-action", 900, 5 };

const vault_proof_kind_t  vault_proof_new_device =
    { "new-device", 900, 5 };


/*
 * Wrong codes of an account, over all its codes: at most 240 a day, of a
 * million.
 */

static const vault_limit_t  guesses = { "code", 10, 3600, 50, 3600 };


static ngx_str_t
code_create(vault_request_t *vr)
{
    uint32_t  n;

    static const uint32_t  fair = UINT32_MAX - UINT32_MAX % CODES;

    do {
        if (vault_random((u_char *) &n, sizeof(n)) != NGX_OK) {
            vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                       "no random bytes");
        }
    } while (n >= fair);

    return vault_printf(vr, "%06uD", n % CODES);
}


ngx_str_t
vault_proof_secret(vault_request_t *vr, const vault_proof_kind_t *kind)
{
    u_char     random[TOKEN_BYTES];
    ngx_str_t  bytes, token;

    if (kind->attempts) {
        return code_create(vr);
    }

    bytes.data = random;
    bytes.len = TOKEN_BYTES;

    if (vault_random(random, TOKEN_BYTES) != NGX_OK
        || vault_base64url(vr->pool, &bytes, &token) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "no random bytes");
    }

    vault_wipe(random, TOKEN_BYTES);

    return token;
}


/* All that it is bound to.  Lengths, so that no two of them are one text. */

static ngx_str_t
proof_hash(vault_request_t *vr, const vault_proof_t *proof,
    const ngx_str_t *email, const ngx_str_t *secret)
{
    u_char     mac[VAULT_SHA256_LEN];
    ngx_str_t  text, hash;

    text = vault_printf(vr, "proof %V %V %uz %V %uz %V %V",
                        &proof->purpose, &proof->user_id, email->len, email,
                        proof->subject.len, &proof->subject, secret);

    if (vault_keyring_mac(vault_signing_key(vr), &text, mac) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "HMAC failed");
    }

    vault_wipe(text.data, text.len);

    hash.len = 2 * VAULT_SHA256_LEN;
    hash.data = vault_alloc(vr, hash.len);
    vault_hex(hash.data, mac, VAULT_SHA256_LEN);

    return hash;
}


static void
proof_key(vault_proof_t *proof, const vault_proof_kind_t *kind,
    const vault_user_t *user, const ngx_str_t *subject)
{
    static const ngx_str_t  none = ngx_string("");

    proof->user_id = user->id;
    proof->purpose.data = (u_char *) kind->purpose;
    proof->purpose.len = ngx_strlen(kind->purpose);
    proof->subject = subject && subject->len ? *subject : none;
    proof->stamp = user->security_stamp.data ? user->security_stamp : none;
}


static void
send_apply(vault_request_t *vr, void *data)
{
    send_t  *send = data;

    vault_proof_save(vr, send->proof);
    vault_outbox_insert(vr, send->mail);
}


/* Those for nobody share a row. */

ngx_uint_t
vault_proof_send(vault_request_t *vr, const vault_proof_kind_t *kind,
    const vault_user_t *user, const ngx_str_t *subject,
    const ngx_str_t *secret, vault_mailer_t *mail)
{
    send_t          send;
    vault_proof_t   proof;
    vault_outbox_t  row;

    static const vault_user_t  none = { .id = ngx_string("nobody") };

    mail->life = kind->life;
    mail->nobody = user == NULL;

    if (!vault_mailer_write(vr, mail, &row)) {
        return 0;
    }

    proof_key(&proof, kind, user ? user : &none, user ? subject : NULL);

    proof.id = vault_id_create(vr);
    proof.hash = proof_hash(vr, &proof, user ? &user->email : &none.id,
                            secret);
    proof.created_at = vault_now();
    proof.expires_at = proof.created_at + (int64_t) kind->life * 1000;

    send.proof = &proof;
    send.mail = &row;
    vault_db_transaction(vr, send_apply, &send);

    return 1;
}


ngx_uint_t
vault_proof_send_code(vault_request_t *vr, const vault_proof_kind_t *kind,
    const vault_user_t *user, const ngx_str_t *subject, const char *template,
    const ngx_str_t *to)
{
    ngx_str_t       code;
    ngx_keyval_t    vars[2];
    vault_mailer_t  mail;

    code = vault_proof_secret(vr, kind);

    ngx_str_set(&vars[0].key, "code");
    vars[0].value = code;
    ngx_str_set(&vars[1].key, "account");
    vars[1].value = user->email;

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = template;
    mail.to = *to;
    mail.vars = vars;
    mail.nvars = 2;

    return vault_proof_send(vr, kind, user, subject, &code, &mail);
}


static ngx_uint_t
code_check(vault_request_t *vr, const vault_proof_kind_t *kind,
    const vault_proof_t *key, const ngx_str_t *hash, vault_proof_t *proof)
{
    if (vault_limit_blocked(vr, &guesses, &key->user_id)) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many failed attempts. Try again later.");
    }

    if (vault_proof_try(vr, key, kind->attempts, proof)
        && vault_equal(&proof->hash, hash))
    {
        vault_limit_passed(vr, &guesses, &key->user_id);
        return 1;
    }

    vault_limit_failed(vr, &guesses, &key->user_id);

    return 0;
}


ngx_uint_t
vault_proof_check(vault_request_t *vr, const vault_proof_kind_t *kind,
    const vault_user_t *user, const ngx_str_t *subject,
    const ngx_str_t *secret, vault_proof_t *proof)
{
    ngx_str_t      hash;
    vault_proof_t  key;

    proof_key(&key, kind, user, subject);
    hash = proof_hash(vr, &key, &user->email, secret);

    if (kind->attempts) {
        return code_check(vr, kind, &key, &hash, proof);
    }

    return vault_proof_find(vr, &key, proof)
           && vault_equal(&proof->hash, &hash);
}


vault_user_t *
vault_proof_require_link(vault_request_t *vr, const vault_proof_kind_t *kind,
    const ngx_str_t *user_id, const ngx_str_t *token, vault_proof_t *proof)
{
    vault_user_t  *user, nobody;

    user = vault_user_find(vr, user_id);

    if (user == NULL) {
        ngx_memzero(&nobody, sizeof(vault_user_t));
        nobody.id = *user_id;
    }

    if (!vault_proof_check(vr, kind, user ? user : &nobody, NULL, token,
                           proof)
        || user == NULL)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid token.");
    }

    return user;
}


void
vault_proof_used(vault_request_t *vr, const char *purpose,
    const vault_claims_t *claims, vault_proof_t *proof)
{
    static const ngx_str_t  none = ngx_string("");

    proof->id = vault_id_create(vr);
    proof->user_id = claims->subject;
    proof->purpose.data = (u_char *) purpose;
    proof->purpose.len = ngx_strlen(purpose);
    proof->subject = claims->id;
    proof->hash = none;
    proof->stamp = none;
    proof->created_at = vault_now();
    proof->expires_at = claims->expires * 1000;
}


ngx_str_t
vault_proof_escape(vault_request_t *vr, const ngx_str_t *text)
{
    ngx_str_t  out;

    out.len = text->len + 2 * ngx_escape_uri(NULL, text->data, text->len,
                                             NGX_ESCAPE_URI_COMPONENT);
    out.data = vault_alloc(vr, out.len);
    (void) ngx_escape_uri(out.data, text->data, text->len,
                          NGX_ESCAPE_URI_COMPONENT);

    return out;
}
