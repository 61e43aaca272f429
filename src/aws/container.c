/*
 * The credentials endpoint of a container, of ECS, EKS and Lambda.
 */

#include "endpoint.h"
#include "source.h"


#define WHOM     "the container's endpoint"
#define TIMEOUT  1000                 /* ms */


static ngx_int_t
find_url(vault_request_t *vr, ngx_str_t *url)
{
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (env->relative_uri.len) {
        *url = vault_printf(vr, "http://169.254.170.2%V",
                            &env->relative_uri);

    } else if (env->full_uri.len) {
        *url = env->full_uri;

    } else {
        return NGX_DECLINED;
    }

    if ((env->relative_uri.len && env->relative_uri.data[0] != '/')
        || vault_aws_container_check(url) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: " WHOM " must be https, or a host "
                      "that AWS knows, not \"%V\"", url);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The file wins, and is read each time: EKS replaces it. */
static ngx_int_t
find_token(vault_request_t *vr, ngx_str_t *token)
{
    ngx_err_t         err;
    vault_aws_env_t  *env = &vr->conf->aws->env;

    *token = env->auth_token;

    if (env->auth_token_file.len == 0) {
        return NGX_OK;
    }

    if (vault_aws_read_file(vr, &env->auth_token_file, token, &err)
        == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, err,
                  "credentials of AWS: \"%V\" cannot be read",
                  &env->auth_token_file);

    return NGX_ERROR;
}


ngx_int_t
vault_aws_from_container(vault_request_t *vr, vault_aws_keys_t *keys)
{
    ngx_int_t            rc;
    ngx_keyval_t         header;
    vault_http_call_t    call;
    vault_http_answer_t  answer;

    ngx_memzero(&call, sizeof(vault_http_call_t));

    rc = find_url(vr, &call.url);

    if (rc == NGX_OK) {
        rc = find_token(vr, &header.value);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_set(&header.key, "Authorization");

    call.method = "GET";
    call.headers = &header;
    call.nheaders = header.value.len ? 1 : 0;
    call.connect = TIMEOUT;
    call.total = TIMEOUT;
    call.ca_file = vault_aws_ca_file(vr->conf->aws);

    if (vault_aws_fetch(vr, &call, WHOM, &answer) != NGX_OK) {
        return NGX_ERROR;
    }

    return vault_aws_read_keys(vr, &answer, WHOM, keys);
}
