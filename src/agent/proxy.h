/*
 * proxy - hands clients' requests on to a Vault, as the agent's identity.
 *
 * Why:    a program speaks plain HTTP to an address of its own machine, and
 *         knows no token.
 * Use:    vault_agent_handle() as a location's content handler.
 * Owns:   the token that is sent lies in the request's pool and is wiped with
 *         it; answers are held back nowhere but in the cache.
 * Fails:  {"errors":["…"]}: 412 without X-Vault-Request, 413, 502 and 504 when
 *         there is no answer, 503 when there is no token.
 * Waits:  never; runs on the main stack.
 *
 * Source: hashicorp/vault-lambda-extension internal/proxy (behaviour).
 */

#ifndef VAULT_AGENT_PROXY_H
#define VAULT_AGENT_PROXY_H

#include "agent.h"


typedef struct vault_agent_cache_s  vault_agent_cache_t;

/* What a location says. */
typedef struct {
    vault_agent_t        *agent;
    ngx_flag_t            guard;      /* X-Vault-Request is required: no page
                                         can make a browser send it */
    ngx_flag_t            own_token;  /* a caller's own token is kept */
    vault_agent_cache_t  *cache;      /* or NULL */

    /* of a worker */
    ngx_queue_t           waiting;    /* for a token; prev NULL: never any */
    ngx_event_t           wake;
    vault_upstream_t     *up;         /* whose name is looked up */
    u_char                error[256]; /* why there is no token */
    unsigned              fetching:1;
    unsigned              failed:1;
    unsigned              nameless:1; /* the name cannot be looked up */
} vault_agent_proxy_t;

ngx_int_t vault_agent_handle(ngx_http_request_t *r,
    vault_agent_proxy_t *proxy);


/* For the cache */

/* Hands it on, whatever the cache says. */
ngx_int_t vault_agent_pass(ngx_http_request_t *r, vault_agent_proxy_t *proxy);

/* The request's header `name`, lower case; NULL if it has none. */
ngx_table_elt_t *vault_agent_header(ngx_http_request_t *r, const char *name);

/* A header of the answer; the texts must last. */
ngx_int_t vault_agent_add_header(ngx_http_request_t *r, const char *name,
    const char *value);

/* Answers: what the handler is to return.  The texts must last. */
ngx_int_t vault_agent_send(ngx_http_request_t *r, ngx_uint_t status,
    const ngx_str_t *type, const ngx_str_t *body);

/* Answers {"errors":["text"]}: what the handler is to return. */
ngx_int_t vault_agent_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);


#endif
