/*
 * The metadata service of EC2, version 2: a token is asked for first, so that
 * a request which somebody else makes this server send gets nothing.
 */

#include "endpoint.h"
#include "source.h"


#define WHOM     "the instance's metadata"
#define TIMEOUT  1000                 /* ms */
#define ROLES    "/latest/meta-data/iam/security-credentials/"


/* Once for a run of questions; it is good for hours, but they come rarely. */
static ngx_int_t
get_token(vault_request_t *vr, const ngx_str_t *base, ngx_str_t *token)
{
    ngx_keyval_t         ttl;
    vault_http_call_t    call;
    vault_http_answer_t  answer;

    ngx_memzero(&call, sizeof(vault_http_call_t));
    ngx_str_set(&ttl.key, "x-aws-ec2-metadata-token-ttl-seconds");
    ngx_str_set(&ttl.value, "21600");

    call.method = "PUT";
    call.url = vault_printf(vr, "%V/latest/api/token", base);
    call.headers = &ttl;
    call.nheaders = 1;
    call.connect = TIMEOUT;
    call.total = TIMEOUT;
    call.max = 1024;

    if (vault_aws_fetch(vr, &call, WHOM, &answer) != NGX_OK) {
        return NGX_ERROR;
    }

    if (answer.status != NGX_HTTP_OK || answer.body.len == 0) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: " WHOM " gives no token: %ui",
                      answer.status);
        return NGX_ERROR;
    }

    *token = answer.body;

    return NGX_OK;
}


static ngx_int_t
get(vault_request_t *vr, const ngx_str_t *base, const ngx_str_t *token,
    const char *path, const ngx_str_t *name, vault_http_answer_t *answer)
{
    ngx_keyval_t        header;
    vault_http_call_t   call;

    ngx_memzero(&call, sizeof(vault_http_call_t));
    ngx_str_set(&header.key, "x-aws-ec2-metadata-token");
    header.value = *token;

    call.method = "GET";
    call.url = vault_printf(vr, "%V%s%V", base, path, name);
    call.headers = &header;
    call.nheaders = 1;
    call.connect = TIMEOUT;
    call.total = TIMEOUT;

    return vault_aws_fetch(vr, &call, WHOM, answer);
}


static ngx_int_t
find_base(vault_request_t *vr, ngx_str_t *base)
{
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (ngx_strcasecmp(env->imds_disabled.data, (u_char *) "true") == 0) {
        return NGX_DECLINED;
    }

    if (env->imds_url.len) {
        *base = env->imds_url;

        while (base->len && base->data[base->len - 1] == '/') {
            base->len--;
        }

    } else if (ngx_strcasecmp(env->imds_mode.data, (u_char *) "IPv6") == 0) {
        ngx_str_set(base, "http://[fd00:ec2::254]");

    } else {
        ngx_str_set(base, "http://169.254.169.254");
    }

    return NGX_OK;
}


/* The role's name becomes a part of the next URL. */
static ngx_int_t
read_role(vault_request_t *vr, const vault_http_answer_t *answer,
    ngx_str_t *role)
{
    size_t   i;
    u_char   c;

    *role = answer->body;

    for (i = 0; i < role->len; i++) {
        c = role->data[i];

        if (c == '\n') {
            role->len = i;            /* one role a line, and one is all */
            break;
        }

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
            && (c < '0' || c > '9') && ngx_strchr("+=,.@_-", c) == NULL)
        {
            role->len = 0;
        }
    }

    if (answer->status == NGX_HTTP_OK && role->len && role->len <= 128) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "credentials of AWS: the instance has no role: %ui",
                  answer->status);

    return NGX_ERROR;
}


ngx_int_t
vault_aws_from_instance(vault_request_t *vr, vault_aws_keys_t *keys)
{
    ngx_str_t            base, token, role, none = ngx_null_string;
    vault_http_answer_t  answer;

    if (find_base(vr, &base) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (get_token(vr, &base, &token) != NGX_OK
        || get(vr, &base, &token, ROLES, &none, &answer) != NGX_OK
        || read_role(vr, &answer, &role) != NGX_OK
        || get(vr, &base, &token, ROLES, &role, &answer) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return vault_aws_read_keys(vr, &answer, WHOM, keys);
}


ngx_int_t
vault_aws_instance_region(vault_request_t *vr, ngx_str_t *region)
{
    ngx_str_t            base, token, none = ngx_null_string;
    vault_http_answer_t  answer;

    if (find_base(vr, &base) != NGX_OK
        || get_token(vr, &base, &token) != NGX_OK
        || get(vr, &base, &token, "/latest/meta-data/placement/region", &none,
               &answer) != NGX_OK
        || answer.status != NGX_HTTP_OK
        || vault_aws_region_check(&answer.body) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    *region = answer.body;

    return NGX_OK;
}
