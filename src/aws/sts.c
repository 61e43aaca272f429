/*
 * Questions to STS and its answers in XML.
 */

#include "sts.h"
#include "../crypto/crypto.h"
#include "clock.h"
#include "endpoint.h"
#include "source.h"


#define WHOM     "STS"
#define CONNECT  3000                 /* ms */
#define TOTAL    10000


static ngx_str_t
find_url(vault_request_t *vr, const ngx_str_t *region)
{
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (env->sts_url.len) {
        return env->sts_url;
    }

    if (env->any_url.len) {
        return env->any_url;
    }

    return region->len ? vault_printf(vr, "https://sts.%V.%s/", region,
                                      vault_aws_domain(region))
                       : vault_printf(vr, "https://sts.amazonaws.com/");
}


/* What is between the scheme and the path. */
static ngx_str_t
host_of(const ngx_str_t *url)
{
    u_char     *p, *end = url->data + url->len;
    ngx_str_t   host = *url;

    p = ngx_strlchr(url->data, end, ':');

    if (p && end - p > 3 && p[1] == '/' && p[2] == '/') {
        host.data = p + 3;
        host.len = end - host.data;
    }

    p = ngx_strlchr(host.data, end, '/');

    if (p) {
        host.len = p - host.data;
    }

    return host;
}


ngx_str_t
vault_sts_encoded(vault_request_t *vr, const ngx_str_t *text)
{
    ngx_str_t  out;

    if (vault_sigv4_encode(vr->pool, text, 0, &out) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return out;
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


/* The headers of a signed request, after the first. */
static ngx_int_t
sign(vault_request_t *vr, const ngx_str_t *url, const ngx_str_t *region,
    const ngx_str_t *body, const vault_aws_keys_t *own, ngx_keyval_t *headers,
    ngx_uint_t *n)
{
    ngx_uint_t            i;
    vault_sigv4_t         request;
    vault_sigv4_signed_t  made;

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.method, "POST");
    ngx_str_set(&request.path, "/");
    ngx_str_set(&request.service, "sts");

    request.host = host_of(url);
    request.headers = headers;
    request.nheaders = 1;
    request.region = *region;

    if (vault_sigv4_payload(vr->pool, body, &request.payload) != NGX_OK
        || vault_sigv4_sign(vr->pool, &request, own, vault_aws_now(), &made)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: nothing can be signed with them");
        return NGX_ERROR;
    }

    for (i = 0; i < made.nheaders; i++) {
        headers[(*n)++] = made.headers[i];
    }

    return NGX_OK;
}


ngx_int_t
vault_sts_ask(vault_request_t *vr, const ngx_str_t *region,
    const ngx_str_t *body, const vault_aws_keys_t *own,
    vault_aws_keys_t *keys)
{
    ngx_keyval_t         headers[5];
    vault_http_call_t    call;
    vault_http_answer_t  answer;

    ngx_memzero(&call, sizeof(vault_http_call_t));
    ngx_str_set(&headers[0].key, "Content-Type");
    ngx_str_set(&headers[0].value, "application/x-www-form-urlencoded");

    call.method = "POST";
    call.url = find_url(vr, region);
    call.headers = headers;
    call.nheaders = 1;
    call.body = *body;
    call.connect = CONNECT;
    call.total = TOTAL;
    call.ca_file = vault_aws_ca_file(vr->conf->aws);

    if (own && sign(vr, &call.url, region, body, own, headers,
                    &call.nheaders)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    return vault_aws_fetch(vr, &call, WHOM, &answer) == NGX_OK
           ? read_answer(vr, &answer, keys) : NGX_ERROR;
}


ngx_int_t
vault_aws_assume_role(vault_request_t *vr, const ngx_str_t *role,
    const ngx_str_t *session, const ngx_str_t *region,
    const vault_aws_keys_t *own, vault_aws_keys_t *keys)
{
    ngx_str_t  arn, name, body;

    arn = vault_sts_encoded(vr, role);
    name = vault_sts_encoded(vr, session);
    body = vault_printf(vr, "Action=AssumeRole&Version=2011-06-15"
                            "&RoleArn=%V&RoleSessionName=%V", &arn, &name);

    return vault_sts_ask(vr, region, &body, own, keys);
}
