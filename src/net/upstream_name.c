/*
 * The host's addresses: looked up in a thread, kept for a while.  If the
 * resolver fails, the addresses that were good before are tried.
 */

#include <ngx_config.h>
#include <netdb.h>

#include "upstream_part.h"
#include "upstream_pass.h"


#define NAME_LIFE  30                 /* seconds */

typedef struct {
    const char                  *host;
    in_port_t                    port;
    vault_upstream_addresses_t   addresses;
    int                          error;
} look_up_t;


static void
add_address(vault_upstream_addresses_t *addresses,
    const struct sockaddr *sockaddr, socklen_t socklen, in_port_t port)
{
    vault_upstream_address_t  *address;

    if (addresses->n == VAULT_UPSTREAM_ADDRESSES
        || socklen > (socklen_t) sizeof(ngx_sockaddr_t)
        || (sockaddr->sa_family != AF_INET
            && sockaddr->sa_family != AF_INET6))
    {
        return;
    }

    address = &addresses->list[addresses->n++];

    ngx_memcpy(&address->sockaddr, sockaddr, socklen);
    address->socklen = socklen;
    ngx_inet_set_port(&address->sockaddr.sockaddr, port);

    address->name.len = ngx_sock_ntop(&address->sockaddr.sockaddr, socklen,
                                      address->text, NGX_SOCKADDR_STRLEN, 1);
}


/* On a thread. */
static void
look_up(void *data, ngx_log_t *log)
{
    look_up_t        *job = data;
    struct addrinfo   hints, *res, *ai;

    ngx_memzero(&hints, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;

    job->error = getaddrinfo(job->host, NULL, &hints, &res);

    if (job->error) {
        return;
    }

    for (ai = res; ai; ai = ai->ai_next) {
        add_address(&job->addresses, ai->ai_addr, ai->ai_addrlen, job->port);
    }

    freeaddrinfo(res);
}


ngx_int_t
vault_upstream_literal(ngx_pool_t *pool, vault_upstream_t *up)
{
    ngx_addr_t  addr;

    if (ngx_parse_addr(pool, &addr, up->host.data, up->host.len) != NGX_OK) {
        return NGX_DECLINED;
    }

    add_address(&up->addresses, addr.sockaddr, addr.socklen, up->port);
    up->literal = 1;

    return NGX_OK;
}


ngx_uint_t
vault_upstream_is_warm(vault_upstream_t *up)
{
    return up->literal || (up->known && ngx_time() - up->found <= NAME_LIFE);
}


ngx_int_t
vault_upstream_warm(vault_request_t *vr, vault_upstream_t *up,
    ngx_str_t *error)
{
    vault_upstream_addresses_t  addresses;

    return vault_upstream_look_up(vr, up, &addresses, error);
}


ngx_int_t
vault_upstream_look_up(vault_request_t *vr, vault_upstream_t *up,
    vault_upstream_addresses_t *addresses, ngx_str_t *error)
{
    look_up_t  *job;

    if (!vault_upstream_is_warm(up)) {
        job = vault_calloc(vr, sizeof(look_up_t));
        job->host = (const char *) up->host.data;
        job->port = up->port;

        vault_thread_run(vr, VAULT_THREAD_IO, look_up, job);

        if (job->addresses.n) {
            up->addresses = job->addresses;
            up->known = 1;
            up->found = ngx_time();

        } else if (!up->known) {
            *error = vault_printf(vr, "the name cannot be looked up: %s",
                                  job->error ? gai_strerror(job->error)
                                             : "no address");
            return NGX_ERROR;

        } else {
            up->found = ngx_time();   /* those of before are good so long */
        }
    }

    *addresses = up->addresses;

    return NGX_OK;
}
