/*
 * The proof of an identity of AWS: a request to STS, signed but never sent by
 * us.  Whoever sends it learns from STS who has signed it; so Vault asks.
 *
 * Only what is in the signature is in the headers.  The server id is signed
 * too, so that the proof is of no use at another server.
 * Source: hashicorp/vault-lambda-extension internal/vault/client.go.
 */

#include "../aws/endpoint.h"
#include "../crypto/crypto.h"
#include "../json/json.h"
#include "auth.h"


#define STS_BODY  "Action=GetCallerIdentity&Version=2011-06-15"


static ngx_int_t
sts_url(ngx_pool_t *pool, const ngx_str_t *region, ngx_str_t *host,
    ngx_str_t *url)
{
    u_char  *p;

    p = ngx_pnalloc(pool, region->len + 64);
    if (p == NULL) {
        return NGX_ERROR;
    }

    url->data = p;
    p = ngx_cpymem(p, "https://", 8);
    host->data = p;
    p = ngx_sprintf(p, "sts.%V.%s", region, vault_aws_domain(region));
    host->len = p - host->data;
    *p++ = '/';
    url->len = p - url->data;

    return NGX_OK;
}


static ngx_int_t
sign(ngx_pool_t *pool, const ngx_str_t *host, const ngx_str_t *region,
    const ngx_keyval_t *own, ngx_uint_t nown, const vault_aws_keys_t *keys,
    int64_t now, vault_sigv4_signed_t *out)
{
    ngx_str_t      body = ngx_string(STS_BODY);
    vault_sigv4_t  request;

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.method, "POST");
    ngx_str_set(&request.path, "/");
    ngx_str_set(&request.service, "sts");

    request.host = *host;
    request.headers = own;
    request.nheaders = nown;
    request.region = *region;

    return vault_sigv4_payload(pool, &body, &request.payload) == NGX_OK
           ? vault_sigv4_sign(pool, &request, keys, now, out) : NGX_ERROR;
}


static void
write_headers(vault_writer_t *w, const ngx_keyval_t *pair, ngx_uint_t n)
{
    for ( /* void */ ; n; n--, pair++) {
        vault_json_open(w, (char *) pair->key.data, '[');
        vault_json_string(w, NULL, &pair->value);
        vault_json_close(w, ']');
    }
}


/* {"Authorization": ["…"], …} as base64 */
static ngx_int_t
pack_headers(ngx_pool_t *pool, const ngx_keyval_t *own, ngx_uint_t nown,
    const vault_sigv4_signed_t *made, ngx_str_t *out)
{
    ngx_int_t       rc;
    ngx_str_t       text;
    vault_writer_t  w;

    vault_writer_init(&w, pool);
    vault_json_open(&w, NULL, '{');
    write_headers(&w, own, nown);
    write_headers(&w, made->headers, made->nheaders);
    vault_json_close(&w, '}');

    if (vault_writer_text(&w, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = vault_base64(pool, &text, out);
    vault_wipe(text.data, text.len);

    return rc;
}


static ngx_int_t
pack(ngx_pool_t *pool, const ngx_str_t *role, const ngx_str_t *url,
    const ngx_str_t *headers, ngx_str_t *out)
{
    ngx_str_t       body = ngx_string(STS_BODY), url64, body64;
    vault_writer_t  w;

    if (vault_base64(pool, url, &url64) != NGX_OK
        || vault_base64(pool, &body, &body64) != NGX_OK)
    {
        return NGX_ERROR;
    }

    vault_writer_init(&w, pool);
    vault_json_open(&w, NULL, '{');

    if (role->len) {
        vault_json_string(&w, "role", role);
    }

    vault_json_cstring(&w, "iam_http_request_method", "POST");
    vault_json_string(&w, "iam_request_url", &url64);
    vault_json_string(&w, "iam_request_body", &body64);
    vault_json_string(&w, "iam_request_headers", headers);
    vault_json_close(&w, '}');

    return vault_writer_text(&w, out);
}


ngx_int_t
vault_agent_aws_body(ngx_pool_t *pool, const vault_agent_auth_t *auth,
    const ngx_str_t *region, const vault_aws_keys_t *keys, int64_t now,
    ngx_str_t *body)
{
    ngx_int_t             rc;
    ngx_str_t             host, url, headers;
    ngx_uint_t            n = 1;
    ngx_keyval_t          own[2];
    vault_sigv4_signed_t  made;

    ngx_str_set(&own[0].key, "Content-Type");
    ngx_str_set(&own[0].value, "application/x-www-form-urlencoded");

    if (auth->server_id.len) {
        ngx_str_set(&own[1].key, "X-Vault-AWS-IAM-Server-ID");
        own[1].value = auth->server_id;
        n = 2;
    }

    if (sts_url(pool, region, &host, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = sign(pool, &host, region, own, n, keys, now, &made);

    if (rc != NGX_OK) {
        return rc;
    }

    return pack_headers(pool, own, n, &made, &headers) == NGX_OK
           ? pack(pool, &auth->role, &url, &headers, body) : NGX_ERROR;
}
