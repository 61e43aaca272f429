/*
 * second_notice - a login that stopped before its second step is told by
 * mail: somebody knows the master password.
 *
 * The mail is written when the second step is asked for, to be sent after
 * three minutes, and taken back when it was shown.  Its id says user, device
 * and hour, so both find it without a table of their own.
 */

#include "second.h"
#include "mailer.h"
#include "signing.h"
#include "../crypto/crypto.h"


#define PATIENCE  (180 * (int64_t) 1000)
#define HOUR      (3600 * (int64_t) 1000)


static ngx_str_t
notice_id(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *device, int64_t hour)
{
    u_char     mac[VAULT_SHA256_LEN], hex[32];
    ngx_str_t  text;

    text = vault_printf(vr, "notice %V %L %V", &user->id, hour, device);

    if (vault_keyring_mac(vault_signing_key(vr), &text, mac) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "HMAC failed");
    }

    vault_hex(hex, mac, sizeof(hex) / 2);

    return vault_printf(vr, "%*s-%*s-%*s-%*s-%*s", (size_t) 8, hex,
                        (size_t) 4, hex + 8, (size_t) 4, hex + 12,
                        (size_t) 4, hex + 16, (size_t) 12, hex + 20);
}


void
vault_second_notice(vault_request_t *vr, const vault_user_t *user,
    const vault_second_answer_t *answer)
{
    int64_t         now = vault_now();
    ngx_keyval_t    vars[3];
    vault_mailer_t  mail;
    vault_outbox_t  row;

    vault_mailer_login(vr, answer->device_type, now, vars);

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "incomplete-login";
    mail.to = user->email;
    mail.vars = vars;
    mail.nvars = 3;

    if (vault_mailer_write(vr, &mail, &row)) {
        row.id = notice_id(vr, user, &answer->device, now / HOUR);
        row.due_at = now + PATIENCE;
        vault_outbox_insert(vr, &row);
    }
}


void
vault_second_notice_end(vault_request_t *vr, const vault_user_t *user,
    const vault_second_answer_t *answer)
{
    int64_t    hour = vault_now() / HOUR;
    ngx_str_t  ids[2];

    if (vault_mailer_enabled(vr)) {
        ids[0] = notice_id(vr, user, &answer->device, hour);
        ids[1] = notice_id(vr, user, &answer->device, hour - 1);
        vault_outbox_take_back(vr, &ids[0], &ids[1]);
    }
}
