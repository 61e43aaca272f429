/*
 * Web identity: a token of the platform's is exchanged for keys of a role at
 * STS.  The request is not signed: the token is its proof.
 */

#include "../crypto/crypto.h"
#include "endpoint.h"
#include "source.h"


#define WHOM     "STS"
#define CONNECT  3000                 /* ms */
#define TOTAL    10000


static ngx_str_t
find_url(vault_request_t *vr)
{
    ngx_str_t         region;
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (env->sts_url.len) {
        return env->sts_url;
    }

    if (env->any_url.len) {
        return env->any_url;
    }

    region = vault_aws_region_known(vr->conf->aws);

    return region.len ? vault_printf(vr, "https://sts.%V.%s/", &region,
                                     vault_aws_domain(&region))
                      : vault_printf(vr, "https://sts.amazonaws.com/");
}


static void
wipe_text(void *data)
{
    ngx_str_t  *text = data;

    vault_wipe(text->data, text->len);
}


static ngx_str_t
encoded(vault_request_t *vr, const ngx_str_t *text)
{
    ngx_str_t  out;

    if (vault_sigv4_encode(vr->pool, text, 0, &out) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return out;
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
        session = encoded(vr, &env->role_session);
    }

    role = encoded(vr, &env->role_arn);
    proof = encoded(vr, token);

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


/* The text of the first <name>; empty if there is none, or if it has any. */
static ngx_str_t
element(const ngx_str_t *xml, const char *name)
{
    size_t      len = ngx_strlen(name);
    u_char     *p, *end = xml->data + xml->len;
    ngx_str_t   text = ngx_null_string;

    for (p = xml->data; p + len + 2 <= end; p++) {

        if (p[0] != '<' || p[len + 1] != '>'
            || ngx_strncmp(p + 1, name, len) != 0)
        {
            continue;
        }

        p += len + 2;
        text.data = p;

        while (p < end && *p != '<' && *p != '&') {
            p++;
        }

        if (p < end && *p == '<') {
            text.len = p - text.data;
        }

        break;
    }

    return text;
}


static ngx_int_t
read_answer(vault_request_t *vr, const vault_http_answer_t *answer,
    vault_aws_keys_t *keys)
{
    size_t      i;
    ngx_str_t   code, expires;

    if (answer->status != NGX_HTTP_OK) {
        code = element(&answer->body, "Code");

        for (i = 0; i < code.len; i++) {
            if (code.data[i] <= ' ' || code.data[i] >= 0x7f || i == 64) {
                code.len = i;
            }
        }

        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: " WHOM " answers %ui %V",
                      answer->status, &code);
        return NGX_ERROR;
    }

    keys->access_key = element(&answer->body, "AccessKeyId");
    keys->secret_key = element(&answer->body, "SecretAccessKey");
    keys->session_token = element(&answer->body, "SessionToken");
    expires = element(&answer->body, "Expiration");

    if (keys->access_key.len && keys->secret_key.len
        && keys->session_token.len
        && vault_date_parse(&expires, &keys->expires_at) == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "credentials of AWS: " WHOM " does not answer with keys");

    return NGX_ERROR;
}


ngx_int_t
vault_aws_from_identity(vault_request_t *vr, vault_aws_keys_t *keys)
{
    ngx_err_t             err;
    ngx_str_t             token;
    ngx_keyval_t          type;
    vault_aws_env_t      *env = &vr->conf->aws->env;
    vault_http_call_t     call;
    vault_http_answer_t   answer;

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

    ngx_memzero(&call, sizeof(vault_http_call_t));
    ngx_str_set(&type.key, "Content-Type");
    ngx_str_set(&type.value, "application/x-www-form-urlencoded");

    call.method = "POST";
    call.url = find_url(vr);
    call.headers = &type;
    call.nheaders = 1;
    call.body = *make_body(vr, &token);
    call.connect = CONNECT;
    call.total = TOTAL;
    call.ca_file = vault_aws_ca_file(vr->conf->aws);

    if (vault_aws_fetch(vr, &call, WHOM, &answer) != NGX_OK) {
        return NGX_ERROR;
    }

    return read_answer(vr, &answer, keys);
}
