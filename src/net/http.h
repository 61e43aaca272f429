/*
 * http - asks another HTTP server, from a coroutine: small answers only.
 *
 * Why:    credentials, tokens and relays are a request and a short answer;
 *         big bodies go through nginx's own upstreams.
 * Use:    fill a vault_http_call_t, then vault_http_request().
 * Owns:   the answer lives in the request's pool and is wiped with it: it may
 *         hold secrets.  Connections are kept and used again by libcurl.
 * Fails:  NGX_ERROR with answer->error when no complete answer came in time;
 *         any status is an answer.
 * Waits:  vault_http_request() awaits.  Names are looked up in threads.
 *
 * Certificates are checked against the system's, redirects are not followed,
 * proxies of the environment are not asked, and nothing but http and https
 * is spoken.
 */

#ifndef VAULT_NET_HTTP_H
#define VAULT_NET_HTTP_H

#include "../run/request.h"


#define VAULT_HTTP_BODY     (64 * 1024)
#define VAULT_HTTP_CONNECT  5000      /* ms */
#define VAULT_HTTP_TOTAL    15000

typedef struct {
    const char          *method;
    ngx_str_t            url;
    const ngx_keyval_t  *headers;
    ngx_uint_t           nheaders;
    ngx_str_t            body;        /* data NULL: none */
    size_t               max;         /* bytes of an answer; 0: 64 KiB */
    ngx_msec_t           connect;     /* ms to connect; 0: 5 s */
    ngx_msec_t           total;       /* ms for all; 0: 15 s */
    const char          *ca_file;     /* NULL: the system's */
} vault_http_call_t;

typedef struct {
    ngx_uint_t           status;      /* 0: no answer */
    ngx_str_t            body;
    ngx_array_t         *headers;     /* of ngx_keyval_t */
    ngx_str_t            error;       /* for the log; names no secret */
    unsigned             too_large:1; /* that was the error */
} vault_http_answer_t;


ngx_int_t vault_http_request(vault_request_t *vr,
    const vault_http_call_t *call, vault_http_answer_t *answer);

/* The answer's header `name` (any case), data NULL if absent. */
ngx_str_t vault_http_header(const vault_http_answer_t *answer,
    const char *name);

/* What another server said, fit for a log: 200 bytes at most, no controls. */
ngx_str_t vault_http_printable(vault_request_t *vr, const ngx_str_t *text);

/* In each worker. */
ngx_int_t vault_http_start(ngx_cycle_t *cycle);
void vault_http_stop(void);


#endif
