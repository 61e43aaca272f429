#include "secret.h"
#include "password.h"
#include "proof.h"


void
vault_secret_require(vault_request_t *vr, const vault_secret_t *secret)
{
    if (secret->hash.len) {
        vault_password_require(vr, &secret->hash);

    } else if (secret->code.len || secret->code_too.len) {
        vault_secret_require_code(vr, secret);

    } else {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "MasterPasswordHash, OTP, or AccessCode must be "
                   "supplied.");
    }
}


void
vault_secret_require_code(vault_request_t *vr, const vault_secret_t *secret)
{
    vault_proof_t     proof;
    const ngx_str_t  *code;

    code = secret->code.len ? &secret->code : &secret->code_too;

    if (!vault_proof_check(vr, &vault_proof_action, vault_me(vr), NULL, code,
                           &proof)
        || !vault_proof_delete(vr, &proof))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid token");
    }
}
