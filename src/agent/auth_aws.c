/*
 * By an identity of AWS: the keys that the platform gives, or those of a role
 * which they may assume, sign what Vault shows to STS.
 */

#include "../aws/clock.h"
#include "../aws/credentials.h"
#include "../aws/endpoint.h"
#include "../aws/sts.h"
#include "auth.h"


#define SESSION  "vault_auth"         /* as the extension names it */


/* As told, or as known, or the instance's, or AWS's first. */
static ngx_str_t
find_region(vault_request_t *vr, const vault_agent_auth_t *auth)
{
    ngx_str_t  region;

    if (auth->sts_region.len) {
        return auth->sts_region;
    }

    if (vault_aws_find_region(vr, &region) != NGX_OK) {
        ngx_str_set(&region, "us-east-1");
    }

    return region;
}


/* Those of the role to be assumed, or our own. */
static vault_aws_keys_t *
keys_of_role(vault_request_t *vr, vault_agent_t *agent,
    const ngx_str_t *region, vault_aws_keys_t *own, ngx_str_t *why)
{
    ngx_str_t            session = ngx_string(SESSION);
    vault_aws_keys_t    *assumed;
    vault_agent_auth_t  *auth = &agent->settings.auth;

    if (auth->assume_role.len == 0) {
        return own;
    }

    assumed = vault_calloc(vr, sizeof(vault_aws_keys_t));

    if (vault_aws_assume_role(vr, &auth->assume_role, &session, region, own,
                              assumed)
        != NGX_OK)
    {
        (void) vault_agent_failed(vr, agent, why,
                                  "no login: the role \"%V\" cannot be "
                                  "assumed; allow sts:AssumeRole to this "
                                  "identity, and this identity in the "
                                  "role's trust policy", &auth->assume_role);
        return NULL;
    }

    return assumed;
}


/* STS has found the signature too old or too new, and Vault's clock differs. */
static ngx_uint_t
clock_was_wrong(const vault_http_answer_t *answer)
{
    ngx_str_t  date;

    if (answer->status != NGX_HTTP_BAD_REQUEST
        && answer->status != NGX_HTTP_FORBIDDEN)
    {
        return 0;
    }

    date = vault_http_header(answer, "Date");

    return date.len && vault_aws_clock_correct(&date) == NGX_OK;
}


static ngx_int_t
prove(vault_request_t *vr, vault_agent_t *agent, const ngx_str_t *region,
    const vault_aws_keys_t *keys, vault_agent_grant_t *grant, ngx_str_t *why,
    vault_http_answer_t *answer)
{
    ngx_str_t  body;

    if (vault_agent_aws_body(vr->pool, &agent->settings.auth, region, keys,
                             vault_aws_now(), &body)
        != NGX_OK)
    {
        return vault_agent_failed(vr, agent, why,
                                  "no login: nothing can be signed with "
                                  "these keys of AWS");
    }

    return vault_agent_login_call(vr, agent, &body, grant, why, answer);
}


/* STS calls the keys expired or unknown, in Vault's words. */
static ngx_uint_t
keys_were_refused(const vault_http_answer_t *answer)
{
    const ngx_str_t  *body = &answer->body;

    return (answer->status == NGX_HTTP_BAD_REQUEST
            || answer->status == NGX_HTTP_FORBIDDEN)
           && (ngx_strnstr(body->data, "ExpiredToken", body->len)
               || ngx_strnstr(body->data, "InvalidClientTokenId", body->len));
}


/* NGX_DECLINED: other keys may do better. */
static ngx_int_t
prove_by(vault_request_t *vr, vault_agent_t *agent, const ngx_str_t *region,
    vault_aws_keys_t *own, vault_agent_grant_t *grant, ngx_str_t *why)
{
    ngx_int_t             rc;
    vault_aws_keys_t     *keys;
    vault_http_answer_t   answer;

    grant->key = own->access_key;

    keys = keys_of_role(vr, agent, region, own, why);

    if (keys == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(&answer, sizeof(vault_http_answer_t));

    rc = prove(vr, agent, region, keys, grant, why, &answer);

    if (rc != NGX_OK && clock_was_wrong(&answer)) {
        rc = prove(vr, agent, region, keys, grant, why, &answer);
    }

    return rc != NGX_OK && keys_were_refused(&answer) ? NGX_DECLINED : rc;
}


ngx_int_t
vault_agent_login_aws(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why)
{
    ngx_int_t          rc;
    ngx_str_t          region;
    vault_aws_keys_t  *keys;

    region = find_region(vr, &agent->settings.auth);
    keys = vault_aws_find_credentials(vr);

    if (keys == NULL) {
        return vault_agent_failed(vr, agent, why,
                                  "no login: there are no keys of AWS; give "
                                  "this machine, container or function a "
                                  "role");
    }

    rc = prove_by(vr, agent, &region, keys, grant, why);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    keys = vault_aws_refresh(vr, keys);

    return keys && prove_by(vr, agent, &region, keys, grant, why) == NGX_OK
           ? NGX_OK : NGX_ERROR;
}
