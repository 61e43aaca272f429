/*
 * second_token - proofs around the second step: signed, and kept by clients
 * alone.
 */

#include "second.h"
#include "token.h"
#include "../crypto/crypto.h"


const vault_second_proof_t  vault_second_remembered =
    { VAULT_ISSUER_REMEMBER, 30 * 86400 };
const vault_second_proof_t  vault_second_verified =
    { VAULT_ISSUER_VERIFIED, 30 * 60 };

/* clients forget theirs after two minutes */
const vault_second_proof_t  vault_second_mailing =
    { VAULT_ISSUER_MAILING, 123 };


ngx_str_t
vault_second_prove(vault_request_t *vr, const vault_user_t *user,
    const vault_second_proof_t *proof, const ngx_str_t *what)
{
    vault_claims_t  claims;

    vault_claims_init(&claims);

    claims.issuer.data = (u_char *) proof->issuer;
    claims.issuer.len = ngx_strlen(proof->issuer);
    claims.subject = user->id;
    claims.stamp = user->security_stamp;
    claims.device = *what;

    return vault_token_sign(vr, &claims, proof->life);
}


ngx_uint_t
vault_second_proved(vault_request_t *vr, const vault_user_t *user,
    const vault_second_proof_t *proof, const ngx_str_t *what,
    const ngx_str_t *token)
{
    vault_claims_t  *claims;

    claims = vault_token_check(vr, token, proof->issuer);

    return claims
           && vault_equal(&claims->subject, &user->id)
           && vault_equal(&claims->stamp, &user->security_stamp)
           && vault_equal(&claims->device, what);
}
