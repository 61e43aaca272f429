/*
 * A host to ask, and asking it.
 */

#include "upstream_part.h"


/* With a zero at its end, and without the brackets of an IPv6 address. */
static ngx_int_t
copy_host(ngx_pool_t *pool, vault_upstream_t *up, const ngx_str_t *host)
{
    ngx_str_t  name = *host;

    if (name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']')
    {
        name.data++;
        name.len -= 2;
    }

    up->host.len = name.len;
    up->host.data = ngx_pnalloc(pool, name.len + 1);

    if (name.len == 0 || up->host.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(up->host.data, name.data, name.len + 1);

    return NGX_OK;
}


static vault_upstream_t *
create(ngx_conf_t *cf, const ngx_str_t *host, in_port_t port)
{
    vault_upstream_t  *up;

    up = ngx_pcalloc(cf->pool, sizeof(vault_upstream_t));
    if (up == NULL) {
        return NULL;
    }

    up->port = port;

    if (copy_host(cf->pool, up, host) != NGX_OK
        || vault_upstream_standin_conf(cf, up) != NGX_OK)
    {
        return NULL;
    }

    (void) vault_upstream_literal(cf->pool, up);
    vault_upstream_peers(up);

    up->srv.host = up->host;
    up->srv.peer.init = vault_upstream_peer_init;
    up->conf.upstream = &up->srv;
    up->conf.buffer_size = VAULT_UPSTREAM_HEAD;
    up->conf.ignore_client_abort = 1; /* the stand-in never leaves */
    up->conf.next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                             |NGX_HTTP_UPSTREAM_FT_TIMEOUT;

    return up;
}


vault_upstream_t *
vault_upstream_create(ngx_conf_t *cf, const ngx_str_t *host, in_port_t port,
    ngx_uint_t tls, const char *ca_file)
{
    vault_upstream_tls_t  trust;

    if (!tls) {
        return create(cf, host, port);
    }

    ngx_memzero(&trust, sizeof(vault_upstream_tls_t));
    trust.ca_file = ca_file;

    return vault_upstream_create_tls(cf, host, port, &trust);
}


vault_upstream_t *
vault_upstream_create_tls(ngx_conf_t *cf, const ngx_str_t *host,
    in_port_t port, const vault_upstream_tls_t *tls)
{
    vault_upstream_t  *up;

    up = create(cf, host, port);

    return up && vault_upstream_tls(cf, up, tls) == NGX_OK ? up : NULL;
}


vault_upstream_t *
vault_upstream_sibling(vault_upstream_t *up, const ngx_str_t *host,
    in_port_t port)
{
    ngx_uint_t          n = 0;
    vault_upstream_t   *made, **last;

    for (last = &up->sibling; *last; last = &(*last)->sibling) {
        if ((*last)->port == port && (*last)->host.len == host->len
            && ngx_strncasecmp((*last)->host.data, host->data, host->len)
               == 0)
        {
            return *last;
        }

        n++;
    }

    /* for good: as long as the worker lives */
    made = n < VAULT_UPSTREAM_SIBLINGS
           ? ngx_palloc(ngx_cycle->pool, sizeof(vault_upstream_t)) : NULL;
    if (made == NULL) {
        return NULL;
    }

    *made = *up;
    made->port = port;
    made->literal = 0;
    made->known = 0;
    made->session = NULL;
    made->sibling = NULL;
    ngx_memzero(&made->addresses, sizeof(vault_upstream_addresses_t));

    if (copy_host(ngx_cycle->pool, made, host) != NGX_OK) {
        return NULL;
    }

    (void) vault_upstream_literal(ngx_cycle->pool, made);
    vault_upstream_peers(made);
    vault_upstream_tls_name(made);
    made->conf.upstream = &made->srv;

    *last = made;

    return made;
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
