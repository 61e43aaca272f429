/*
 * upstream_pass - hands a client's request on to an upstream, and its answer
 * back, both as they come.
 *
 * Why:    nginx's own proxy cannot be told to wait for a token before it asks,
 *         nor to ask once more when an answer says that another token is
 *         wanted.  This one asks its caller at those two points.
 * Use:    fill a vault_upstream_pass_t in r->pool, then vault_upstream_pass()
 *         from a content handler, or from the handler of a body; its result
 *         is that handler's.
 * Owns:   the buffers that a head and an answer went through are wiped with
 *         the request.  Nothing is ever written to a file.
 * Fails:  by fail(), which answers; after the head of an answer was sent, by
 *         closing the client's connection.
 * Waits:  never; runs on the main stack.  While ready() has said NGX_AGAIN the
 *         request rests until vault_upstream_pass_go(), or until its client
 *         leaves.
 *
 * A body that did not come with the head is sent as it comes; then a try that
 * has begun to send is not repeated.
 */

#ifndef VAULT_NET_UPSTREAM_PASS_H
#define VAULT_NET_UPSTREAM_PASS_H

#include "upstream.h"


typedef struct vault_upstream_pass_s  vault_upstream_pass_t;

struct vault_upstream_pass_s {
    vault_upstream_t    *up;
    ngx_str_t            head;        /* from the request line to the last
                                         header, without what ends() gives */
    ngx_msec_t           connect;     /* ms */
    ngx_msec_t           silence;
    ngx_msec_t           patience;    /* for ready() */
    unsigned             fresh:1;     /* on new connections only */
    void                *data;        /* the caller's */

    /*
     * Before each try: NGX_OK with what ends the head in *end, the empty line
     * included; NGX_AGAIN; NGX_ERROR.
     */
    ngx_int_t          (*ready)(vault_upstream_pass_t *pass, ngx_str_t *end);

    /* ready() said NGX_AGAIN, and the request does not wait any more. */
    void               (*leave)(vault_upstream_pass_t *pass);

    /*
     * An answer begins, its head is in r->upstream->headers_in: NGX_OK to hand
     * it on, NGX_AGAIN to try once more.
     */
    ngx_int_t          (*judge)(vault_upstream_pass_t *pass);

    /* An answer that is handed on already has ended too early. */
    void               (*cut)(vault_upstream_pass_t *pass);

    /*
     * A try has failed without an answer; `sent` if the upstream may have seen
     * the request.  NGX_AGAIN to try once more.
     */
    ngx_int_t          (*lost)(vault_upstream_pass_t *pass, ngx_uint_t sent);

    /* Answers the client.  pass->error says what is wrong, if anything. */
    void               (*fail)(vault_upstream_pass_t *pass, ngx_uint_t status);

    const char          *error;

    ngx_http_request_t  *r;           /* the rest is upstream_pass.c's */
    void                *own;
};

ngx_int_t vault_upstream_pass(ngx_http_request_t *r,
    vault_upstream_pass_t *pass);

/* From an event handler, after NGX_AGAIN: ready() is called again. */
void vault_upstream_pass_go(vault_upstream_pass_t *pass);

/* From judge() and lost(): the next try begins after `ms`. */
void vault_upstream_pass_rest(vault_upstream_pass_t *pass, ngx_msec_t ms);

/* The answer's header `name`, lower case; data NULL if absent. */
ngx_str_t vault_upstream_pass_header(vault_upstream_pass_t *pass,
    const char *name);

/* Whether vault_upstream_warm() need not be called before ready() is. */
ngx_uint_t vault_upstream_is_warm(vault_upstream_t *up);

/* Looks the host up.  Awaits.  NGX_ERROR with *error. */
ngx_int_t vault_upstream_warm(vault_request_t *vr, vault_upstream_t *up,
    ngx_str_t *error);


#endif
