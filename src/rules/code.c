/*
 * code - six digits by mail, typed back by who reads the mailbox.
 */

#include "code.h"
#include "mailer.h"
#include "../crypto/crypto.h"
#include "../crypto/jwt.h"
#include "../model/mail_code.h"


#define DIGITS  6
#define LIFE    600                   /* seconds */
#define TRIES   5

typedef struct {
    vault_mail_code_t  row;
    vault_mailer_t     mail;
    ngx_uint_t         sent;
} send_t;


/* Without bias: the largest multiple of a million that 32 bits hold. */
static ngx_str_t
random_code(vault_request_t *vr)
{
    u_char    bytes[4];
    uint32_t  n;

    do {
        if (vault_random(bytes, sizeof(bytes)) != NGX_OK) {
            vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "no random bytes");
        }

        ngx_memcpy(&n, bytes, sizeof(n));
    } while (n >= 4294000000u);

    return vault_printf(vr, "%06uD", n % 1000000);
}


/* A million codes are soon tried: the key of the MAC is not in the database. */
static ngx_str_t
code_hash(vault_request_t *vr, const vault_user_t *user,
    const vault_code_t *code, const ngx_str_t *to, const ngx_str_t *text)
{
    u_char     mac[VAULT_SHA256_LEN];
    ngx_str_t  bound, hex;

    bound = vault_printf(vr, "code\n%s\n%V\n%V\n%V\n%V", code->purpose,
                         &user->id, &user->security_stamp, to, text);

    if (vault_keyring_mac(vr->conf->keyring, &bound, mac) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "HMAC failed");
    }

    hex.len = 2 * VAULT_SHA256_LEN;
    hex.data = vault_alloc(vr, hex.len);
    vault_hex(hex.data, mac, VAULT_SHA256_LEN);

    return hex;
}


static void
purpose_of(const vault_code_t *code, ngx_str_t *purpose)
{
    purpose->data = (u_char *) code->purpose;
    purpose->len = ngx_strlen(code->purpose);
}


/* Neither is without the other; what is held back changes no code. */
static void
send_body(vault_request_t *vr, void *data)
{
    send_t  *send = data;

    send->sent = vault_mailer_queue(vr, &send->mail);

    if (send->sent) {
        vault_mail_code_save(vr, &send->row);
    }
}


void
vault_code_send(vault_request_t *vr, const vault_user_t *user,
    const vault_code_t *code, const ngx_str_t *to)
{
    send_t        send;
    ngx_str_t     text;
    ngx_keyval_t  var;

    if (!vault_mailer_enabled(vr)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This server sends no mail.");
    }

    text = random_code(vr);

    ngx_str_set(&var.key, "code");
    var.value = text;

    ngx_memzero(&send, sizeof(send_t));
    send.mail.template = code->template;
    send.mail.to = *to;
    send.mail.vars = &var;
    send.mail.nvars = 1;
    send.mail.life = LIFE;

    send.row.user_id = user->id;
    purpose_of(code, &send.row.purpose);
    send.row.hash = code_hash(vr, user, code, to, &text);
    send.row.expires_at = vault_now() + LIFE * 1000;

    vault_db_transaction(vr, send_body, &send);

    if (!send.sent) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many codes were sent. Try again later.");
    }
}


ngx_uint_t
vault_code_check(vault_request_t *vr, const vault_user_t *user,
    const vault_code_t *code, const ngx_str_t *to, const ngx_str_t *text)
{
    ngx_str_t          purpose, hash;
    vault_mail_code_t  row;

    purpose_of(code, &purpose);

    if (!vault_mail_code_try(vr, &user->id, &purpose, TRIES, &row)) {
        return 0;
    }

    hash = code_hash(vr, user, code, to, text);

    return vault_equal(&hash, &row.hash) && vault_mail_code_use(vr, &row);
}
