/*
 * A token is a presigned URL without its scheme, made here: no network.
 */

#include "dsql.h"
#include "../crypto/crypto.h"


#define TOKEN_LIFE  900               /* seconds, to connect; not the
                                         connection's */


ngx_int_t
vault_dsql_token(ngx_pool_t *pool, const vault_dsql_url_t *url,
    const char *role, const vault_aws_keys_t *keys, int64_t now,
    ngx_str_t *token)
{
    ngx_int_t      rc;
    ngx_str_t      target;
    ngx_keyval_t   action;
    vault_sigv4_t  request;

    ngx_str_set(&action.key, "Action");
    ngx_str_set(&action.value, "DbConnect");

    if (ngx_strcmp(role, VAULT_DSQL_ADMIN) == 0) {
        ngx_str_set(&action.value, "DbConnectAdmin");
    }

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.method, "GET");
    ngx_str_set(&request.path, "/");
    ngx_str_set(&request.service, "dsql");
    request.host = url->host;
    request.region = url->region;
    request.query = &action;
    request.nquery = 1;

    rc = vault_sigv4_presign(pool, &request, keys, now, TOKEN_LIFE, &target);
    if (rc != NGX_OK) {
        return rc;
    }

    token->len = url->host.len + target.len;
    token->data = ngx_pnalloc(pool, token->len + 1);

    if (token->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(token->data, "%V%V%Z", &url->host, &target);
    vault_wipe(target.data, target.len);

    return NGX_OK;
}
