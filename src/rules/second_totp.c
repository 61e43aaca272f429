/*
 * second_totp - provider 0, an authenticator app: data is its key in base32.
 */

#include "second.h"
#include "../crypto/crypto.h"
#include "../crypto/totp.h"


static ngx_uint_t
totp_check(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row, const ngx_str_t *code)
{
    int64_t    step;
    ngx_int_t  rc;
    ngx_str_t  key;

    step = 0;
    rc = vault_unbase32(vr->pool, &row->data, &key);

    if (rc == NGX_OK) {
        rc = vault_totp_check(&key, code, vault_now() / 1000, &step);
        vault_wipe(key.data, key.len);
    }

    if (rc == NGX_ERROR) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "TOTP failed");
    }

    return rc == NGX_OK && vault_two_factor_use(vr, row, step);
}


const vault_second_provider_t  vault_second_totp = {
    VAULT_SECOND_TOTP, NULL, totp_check, NULL
};
