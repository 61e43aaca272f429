/*
 * totp - the codes of authenticator apps.
 */

#include "totp.h"
#include "crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>


#define SHA1_LEN  20


ngx_int_t
vault_totp_code(const ngx_str_t *key, int64_t step, ngx_uint_t digits,
    u_char *out)
{
    u_char      counter[8], mac[SHA1_LEN];
    size_t      len;
    uint32_t    n;
    ngx_uint_t  i, at;

    if (step < 0 || digits < 6 || digits > 8 || key->len == 0) {
        return NGX_DECLINED;
    }

    for (i = 0; i < 8; i++) {
        counter[i] = (u_char) ((uint64_t) step >> (56 - 8 * i));
    }

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA1", NULL, key->data, key->len,
                  counter, sizeof(counter), mac, sizeof(mac), &len)
            == NULL
        || len != SHA1_LEN)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    at = mac[SHA1_LEN - 1] & 0x0f;

    n = (uint32_t) (mac[at] & 0x7f) << 24 | (uint32_t) mac[at + 1] << 16
        | (uint32_t) mac[at + 2] << 8 | mac[at + 3];

    for (i = digits; i > 0; i--) {
        out[i - 1] = (u_char) ('0' + n % 10);
        n /= 10;
    }

    vault_wipe(mac, sizeof(mac));

    return NGX_OK;
}


/* 0 unless six digits are left. */
static ngx_uint_t
without_spaces(const ngx_str_t *code, u_char *out)
{
    size_t      i;
    u_char      c;
    ngx_uint_t  n = 0;

    for (i = 0; i < code->len; i++) {
        c = code->data[i];

        if (c == ' ') {
            continue;
        }

        if (c < '0' || c > '9' || n == VAULT_TOTP_DIGITS) {
            return 0;
        }

        out[n++] = c;
    }

    return n == VAULT_TOTP_DIGITS;
}


/* All three are compared, so that the time says nothing. */

ngx_int_t
vault_totp_check(const ngx_str_t *key, const ngx_str_t *code, time_t now,
    int64_t *step)
{
    u_char      typed[VAULT_TOTP_DIGITS], right[VAULT_TOTP_DIGITS];
    int64_t     n, found;
    ngx_str_t   a, b;

    if (!without_spaces(code, typed)) {
        return NGX_DECLINED;
    }

    a.data = typed;
    a.len = sizeof(typed);
    b.data = right;
    b.len = sizeof(right);

    found = -1;
    n = now / VAULT_TOTP_STEP;

    for (n = ngx_max(n - 1, 0); n <= now / VAULT_TOTP_STEP + 1; n++) {

        if (vault_totp_code(key, n, VAULT_TOTP_DIGITS, right) != NGX_OK) {
            return NGX_ERROR;
        }

        if (vault_equal(&a, &b)) {
            found = n;
        }
    }

    vault_wipe(right, sizeof(right));

    if (found < 0) {
        return NGX_DECLINED;
    }

    *step = found;

    return NGX_OK;
}
