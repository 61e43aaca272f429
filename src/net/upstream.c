/*
 * A host to ask, and asking it.
 */

#include "upstream_part.h"


vault_upstream_t *
vault_upstream_create(ngx_conf_t *cf, const ngx_str_t *host, in_port_t port,
    ngx_uint_t tls, const char *ca_file)
{
    vault_upstream_t  *up;

    up = ngx_pcalloc(cf->pool, sizeof(vault_upstream_t));
    if (up == NULL) {
        return NULL;
    }

    up->port = port;
    up->host.len = host->len;
    up->host.data = ngx_pnalloc(cf->pool, host->len + 1);

    if (up->host.data == NULL
        || vault_upstream_standin_conf(cf, up) != NGX_OK)
    {
        return NULL;
    }

    (void) ngx_cpystrn(up->host.data, host->data, host->len + 1);
    (void) vault_upstream_literal(cf->pool, up);
    vault_upstream_peers(up);

    up->srv.host = up->host;
    up->srv.peer.init = vault_upstream_peer_init;
    up->conf.upstream = &up->srv;
    up->conf.buffer_size = VAULT_UPSTREAM_HEAD;
    up->conf.ignore_client_abort = 1; /* the stand-in never leaves */
    up->conf.next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                             |NGX_HTTP_UPSTREAM_FT_TIMEOUT;

    if (tls && vault_upstream_tls(cf, up, ca_file) != NGX_OK) {
        return NULL;
    }

    return up;
}


ngx_int_t
vault_upstream_request(vault_request_t *vr, vault_upstream_t *up,
    const vault_upstream_call_t *call, vault_http_answer_t *answer)
{
    ngx_int_t                    rc;
    vault_upstream_addresses_t  *addresses;

    ngx_memzero(answer, sizeof(vault_http_answer_t));

    addresses = vault_calloc(vr, sizeof(vault_upstream_addresses_t));

    if (vault_upstream_look_up(vr, up, addresses, &answer->error)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = vault_upstream_attempt(vr, up, call, addresses, 0, answer);

    if (rc == NGX_AGAIN) {
        rc = vault_upstream_attempt(vr, up, call, addresses, 1, answer);
    }

    return rc == NGX_OK ? NGX_OK : NGX_ERROR;
}
