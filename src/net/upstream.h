/*
 * upstream - asks an AWS-like HTTP service through nginx's own upstream
 * machinery: bodies of any size stream from their file, answers are small.
 *
 * Why:    S3 and SES are asked often and with large bodies; nginx's upstream
 *         sends a file without a copy in memory and keeps connections.
 * Use:    one vault_upstream_t a host, made while the configuration is read;
 *         then vault_upstream_request() from any coroutine, with a client or
 *         without (jobs).
 * Owns:   idle connections and looked-up addresses, both bounded, of a worker.
 *         An answer lives in the request's pool and is wiped with it.
 * Fails:  NGX_ERROR with answer->error when no complete answer came; any
 *         status is an answer.  Nothing is tried twice here, but for a kept
 *         connection that is closed when it is used; POST takes a new one.
 * Waits:  vault_upstream_request() awaits.  Names are looked up in a thread,
 *         kept 30 s, and all addresses are tried.
 *
 * Certificates are checked against the system's authorities, or ca_file.
 */

#ifndef VAULT_NET_UPSTREAM_H
#define VAULT_NET_UPSTREAM_H

#include "http.h"


typedef struct vault_upstream_s  vault_upstream_t;

/*
 * host: name or address without a port.  ca_file NULL: the system's.  NULL
 * after having logged why.
 */
vault_upstream_t *vault_upstream_create(ngx_conf_t *cf, const ngx_str_t *host,
    in_port_t port, ngx_uint_t tls, const char *ca_file);

/* All that can be said of TLS; what is NULL is not said. */
typedef struct {
    const char          *ca_file;     /* both NULL: the system's */
    const char          *ca_path;
    const char          *cert;        /* ours, with its key */
    const char          *key;
    const char          *name;        /* whom we expect, if not the host */
    unsigned             insecure:1;  /* whoever it is */
} vault_upstream_tls_t;

vault_upstream_t *vault_upstream_create_tls(ngx_conf_t *cf,
    const ngx_str_t *host, in_port_t port, const vault_upstream_tls_t *tls);

/*
 * In a worker: another host that is trusted by the same rules, for a service
 * that says "ask that one".  Kept with `up`; NULL if that is not possible or
 * there are too many.
 */
vault_upstream_t *vault_upstream_sibling(vault_upstream_t *up,
    const ngx_str_t *host, in_port_t port);

typedef struct {
    const char          *method;
    ngx_str_t            target;      /* "/path?query", encoded */
    ngx_str_t            host;        /* of the Host header */
    const ngx_keyval_t  *headers;     /* besides Host, Content-Length and
                                         Connection */
    ngx_uint_t           nheaders;
    ngx_chain_t         *body;        /* buffers in memory or in a file;
                                         stays as it is */
    off_t                size;        /* of the body */
    size_t               max;         /* bytes of an answer; 0: 64 KiB */
    ngx_msec_t           connect;     /* ms; 0: 5 s */
    ngx_msec_t           silence;     /* ms without a byte; 0: 15 s */
} vault_upstream_call_t;

ngx_int_t vault_upstream_request(vault_request_t *vr, vault_upstream_t *up,
    const vault_upstream_call_t *call, vault_http_answer_t *answer);

/* In a worker that ends: closes idle connections. */
void vault_upstream_stop(vault_upstream_t *up);


#endif
