/*
 * send - who may receive a Send, and by what it is named and proven.
 */

#include "send.h"
#include "../crypto/crypto.h"
#include "limits.h"
#include "password.h"
#include "signing.h"
#include "token.h"
#include "upload.h"


#define GUID_BYTES  16


/*
 * Passwords are hashed by the client under the Send's own key, so nobody can
 * guess without the link; but each guess costs this server a hash.
 */

static const vault_limit_t  send_limit = { "Send", 20, 600, 100, 3600 };


/* .NET keeps the first three groups of a GUID with their low byte first. */

static const u_char  guid_order[GUID_BYTES] = {
    3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15
};


static u_char  *guid_format(u_char *out, const u_char *bytes);
static ngx_uint_t  file_is_there(vault_request_t *vr, vault_send_t *send);


ngx_str_t
vault_send_access_id(vault_request_t *vr, const ngx_str_t *id)
{
    u_char      bytes[GUID_BYTES], *p;
    ngx_int_t   byte;
    ngx_str_t   guid, text;
    ngx_uint_t  i;

    p = id->data;

    for (i = 0; i < GUID_BYTES; i++) {
        if (*p == '-') {
            p++;
        }

        byte = ngx_hextoi(p, 2);
        bytes[guid_order[i]] = (u_char) byte;
        p += 2;
    }

    guid.data = bytes;
    guid.len = GUID_BYTES;

    if (vault_base64url(vr->pool, &guid, &text) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return text;
}


ngx_int_t
vault_send_id(vault_request_t *vr, const ngx_str_t *access_id, ngx_str_t *id)
{
    u_char      bytes[GUID_BYTES];
    ngx_int_t   rc;
    ngx_str_t   guid;
    ngx_uint_t  i;

    id->len = VAULT_UUID_LEN;
    id->data = vault_alloc(vr, VAULT_UUID_LEN);

    if (vault_uuid_check(access_id) == NGX_OK) {
        ngx_strlow(id->data, access_id->data, VAULT_UUID_LEN);
        return NGX_OK;
    }

    rc = vault_unbase64url(vr->pool, access_id, &guid);

    if (rc == NGX_ERROR) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    if (rc != NGX_OK || guid.len != GUID_BYTES) {
        return NGX_DECLINED;
    }

    for (i = 0; i < GUID_BYTES; i++) {
        bytes[i] = guid.data[guid_order[i]];
    }

    (void) guid_format(id->data, bytes);

    return NGX_OK;
}


static u_char *
guid_format(u_char *out, const u_char *bytes)
{
    ngx_uint_t  i;

    for (i = 0; i < GUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }

        out = vault_hex(out, &bytes[i], 1);
    }

    return out;
}


vault_send_t *
vault_send_find_open(vault_request_t *vr, const ngx_str_t *id)
{
    vault_send_t  *send;

    send = vault_send_find_any(vr, id);               /* awaits */

    if (send && vault_send_may_access(vr, send)) {    /* awaits */
        return send;
    }

    return NULL;
}


/* vault_send_count() asks for all this again when it counts. */

ngx_uint_t
vault_send_may_access(vault_request_t *vr, vault_send_t *send)
{
    int64_t  now;

    now = vault_now();

    if (send->disabled || send->deletes_at <= now
        || (send->expires_at != VAULT_NULL && send->expires_at <= now)
        || (send->max_accesses != VAULT_NULL
            && send->accesses >= send->max_accesses))
    {
        return 0;
    }

    return send->type == VAULT_SEND_TEXT || file_is_there(vr, send);
}


/* Nobody tells us when an upload to a bucket is done. */

static ngx_uint_t
file_is_there(vault_request_t *vr, vault_send_t *send)
{
    vault_user_t  owner;

    if (send->file_state == VAULT_FILE_PENDING) {
        ngx_memzero(&owner, sizeof(vault_user_t));
        owner.id = send->user_id;
        owner.email = send->email;

        if (vault_upload_settle(vr, &owner)) {        /* awaits */
            send = vault_send_find_any(vr, &send->id);
        }
    }

    return send && send->file_state == VAULT_FILE_READY;
}


vault_send_proof_e
vault_send_prove(vault_request_t *vr, const vault_send_t *send,
    const ngx_str_t *secret)
{
    vault_password_t  password;

    if (send->password_hash.data == NULL) {
        return VAULT_SEND_PROVEN;
    }

    if (secret->data == NULL) {
        return VAULT_SEND_SECRET_MISSING;
    }

    if (vault_limit_blocked(vr, &send_limit, &send->id)) {
        vault_fail(vr, NGX_HTTP_TOO_MANY_REQUESTS,
                   "Too many failed attempts. Try again later.");
    }

    password.hash = send->password_hash;
    password.salt = send->password_salt;
    password.rounds = send->password_rounds;

    if (!vault_password_match(vr, &password, secret)) {          /* awaits */
        vault_limit_failed(vr, &send_limit, &send->id);
        return VAULT_SEND_SECRET_WRONG;
    }

    vault_limit_passed(vr, &send_limit, &send->id);

    return VAULT_SEND_PROVEN;
}


void
vault_send_set_password(vault_request_t *vr, vault_send_t *send,
    const ngx_str_t *secret)
{
    vault_password_t  password;

    if (secret->len == 0) {
        ngx_str_null(&send->password_hash);
        ngx_str_null(&send->password_salt);
        send->password_rounds = VAULT_NULL;
        return;
    }

    password = vault_password_create(vr, secret);     /* awaits */

    send->password_hash = password.hash;
    send->password_salt = password.salt;
    send->password_rounds = password.rounds;
}


ngx_str_t
vault_send_token(vault_request_t *vr, const vault_send_t *send)
{
    vault_claims_t  claims;

    vault_claims_init(&claims);

    ngx_str_set(&claims.issuer, VAULT_ISSUER_SEND);
    claims.subject = send->id;
    claims.stamp = vault_send_stamp(vr, send);

    return vault_token_sign(vr, &claims, VAULT_SEND_LIFE);
}


/* It tells a stranger nothing about the password. */

ngx_str_t
vault_send_stamp(vault_request_t *vr, const vault_send_t *send)
{
    u_char     mac[VAULT_SHA256_LEN];
    ngx_str_t  text, stamp;

    text = vault_printf(vr, "send %V %V", &send->id, &send->password_hash);

    if (vault_keyring_mac(vault_signing_key(vr), &text, mac) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "HMAC failed");
    }

    stamp.len = 2 * VAULT_SHA256_LEN;
    stamp.data = vault_alloc(vr, stamp.len);
    vault_hex(stamp.data, mac, VAULT_SHA256_LEN);

    return stamp;
}
