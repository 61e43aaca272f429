/*
 * Web identity: a token of the platform's is exchanged for keys of a role at
 * STS.  The request is not signed: the token is its proof.
 */

#include "../crypto/crypto.h"
#include "source.h"
#include "sts.h"


static void
wipe_text(void *data)
{
    ngx_str_t  *text = data;

    vault_wipe(text->data, text->len);
}


/* The token makes it too long for vault_printf(). */
static ngx_str_t *
make_body(vault_request_t *vr, const ngx_str_t *token)
{
    ngx_str_t           *body, role, session, proof;
    vault_aws_env_t     *env = &vr->conf->aws->env;
    ngx_pool_cleanup_t  *cln;

    ngx_str_set(&session, "vault");

    if (env->role_session.len) {
        session = vault_sts_encoded(vr, &env->role_session);
    }

    role = vault_sts_encoded(vr, &env->role_arn);
    proof = vault_sts_encoded(vr, token);

    body = vault_alloc(vr, sizeof(ngx_str_t));
    body->data = vault_alloc(vr, role.len + session.len + proof.len + 128);
    body->len = ngx_sprintf(body->data,
                            "Action=AssumeRoleWithWebIdentity"
                            "&Version=2011-06-15&RoleArn=%V"
                            "&RoleSessionName=%V&WebIdentityToken=%V",
                            &role, &session, &proof)
                - body->data;

    vault_wipe(proof.data, proof.len);

    cln = ngx_pool_cleanup_add(vr->pool, 0);
    if (cln == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    cln->handler = wipe_text;
    cln->data = body;

    return body;
}


ngx_int_t
vault_aws_from_identity(vault_request_t *vr, vault_aws_keys_t *keys)
{
    ngx_err_t         err;
    ngx_str_t         token, region;
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (env->role_arn.len == 0 || env->token_file.len == 0) {
        return NGX_DECLINED;
    }

    /* the platform replaces it: read each time */
    if (vault_aws_read_file(vr, &env->token_file, &token, &err) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, vr->log, err,
                      "credentials of AWS: \"%V\" cannot be read",
                      &env->token_file);
        return NGX_ERROR;
    }

    region = vault_aws_region_known(vr->conf->aws);

    return vault_sts_ask(vr, &region, make_body(vr, &token), NULL, keys);
}
