/*
 * Host names to addresses before libpq sees them: it would ask the resolver in
 * the event loop.  libpq still gets the name beside each address, for TLS and
 * for its password file.
 */

#include <ngx_config.h>
#include <netdb.h>

#include "../run/await.h"
#include "pg.h"


#define ADDRESSES  4                  /* of one host */
#define ADDRESS_LEN  80                /* an IPv6 address with its zone */

typedef struct {
    char    *start;
    size_t   size;
    size_t   len;
    int      full;
} list_t;


/* A literal address, the folder of a socket, or nothing needs no resolver. */
static int
is_name(const char *host)
{
    u_char  address[16];

    return *host != '\0' && *host != '/' && *host != '@'
           && inet_pton(AF_INET, host, address) != 1
           && strchr(host, ':') == NULL;
}


static ngx_uint_t
count(const char *list)
{
    ngx_uint_t  n;

    for (n = 1; *list; list++) {
        n += (*list == ',');
    }

    return n;
}


/* The n-th element of a comma-separated list; the only one for all. */
static void
element(const char *list, ngx_uint_t n, char *out, size_t size)
{
    size_t       len;
    const char  *comma;

    comma = strchr(list, ',');

    if (comma == NULL) {
        n = 0;
    }

    while (n > 0 && comma) {
        list = comma + 1;
        comma = strchr(list, ',');
        n--;
    }

    len = (n > 0) ? 0 : strcspn(list, ",");
    len = ngx_min(len, size - 1);

    ngx_memcpy(out, list, len);
    out[len] = '\0';
}


ngx_uint_t
vault_pg_is_name(const char *hosts)
{
    char        host[256];
    ngx_uint_t  n;

    for (n = 0; n < count(hosts); n++) {
        element(hosts, n, host, sizeof(host));

        if (is_name(host)) {
            return 1;
        }
    }

    return 0;
}


static void
append(list_t *list, const char *text, ngx_uint_t first)
{
    size_t  len = ngx_strlen(text);

    if (list->len + len + 2 > list->size) {
        list->full = 1;
        return;
    }

    if (!first) {
        list->start[list->len++] = ',';
    }

    ngx_memcpy(list->start + list->len, text, len + 1);
    list->len += len;
}


/* Numeric addresses of a host: how many, or 0 with an error. */
static ngx_uint_t
look_up(vault_pg_resolve_t *job, const char *host,
    char out[ADDRESSES][ADDRESS_LEN])
{
    int               rc;
    ngx_uint_t        n;
    struct addrinfo   hints, *res, *ai;

    ngx_memzero(&hints, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;

    rc = getaddrinfo(host, NULL, &hints, &res);

    if (rc != 0) {
        ngx_snprintf((u_char *) job->error, sizeof(job->error),
                     "host \"%s\": %s%Z", host, gai_strerror(rc));
        return 0;
    }

    n = 0;

    for (ai = res; ai && n < ADDRESSES; ai = ai->ai_next) {

        if (getnameinfo(ai->ai_addr, ai->ai_addrlen, out[n], ADDRESS_LEN, NULL,
                        0, NI_NUMERICHOST) == 0)
        {
            n++;
        }
    }

    freeaddrinfo(res);

    return n;
}


/* On a thread. */
static void
resolve(void *data, ngx_log_t *log)
{
    char                 host[256], port[32];
    char                 addresses[ADDRESSES][ADDRESS_LEN];
    list_t               hosts, hostaddrs, ports;
    ngx_uint_t           i, k, n, total;
    vault_pg_resolve_t  *job = data;

    hosts = (list_t) { job->host, sizeof(job->host), 0, 0 };
    hostaddrs = (list_t) { job->hostaddr, sizeof(job->hostaddr), 0, 0 };
    ports = (list_t) { job->port, sizeof(job->port), 0, 0 };

    total = 0;

    for (i = 0; i < count(job->hosts); i++) {
        element(job->hosts, i, host, sizeof(host));
        element(job->ports, i, port, sizeof(port));

        if (is_name(host)) {
            n = look_up(job, host, addresses);

        } else {
            addresses[0][0] = '\0';
            n = 1;
        }

        for (k = 0; k < n; k++) {
            append(&hosts, host, total == 0);
            append(&hostaddrs, addresses[k], total == 0);
            append(&ports, port, total == 0);
            total++;
        }
    }

    if (hosts.full || hostaddrs.full || ports.full) {
        ngx_cpystrn((u_char *) job->error, (u_char *) "too many hosts",
                    sizeof(job->error));

    } else if (total > 0) {
        job->error[0] = '\0';
    }
}


void
vault_pg_resolve(vault_request_t *vr, vault_pg_resolve_t *job)
{
    ngx_cpystrn((u_char *) job->error, (u_char *) "host has no address",
                sizeof(job->error));

    vault_thread_run(vr, VAULT_THREAD_IO, resolve, job);
}
