/*
 * proxy_head - the head of a request as it is handed on: for proxy.c alone.
 */

#ifndef VAULT_AGENT_PROXY_HEAD_H
#define VAULT_AGENT_PROXY_HEAD_H

#include "proxy.h"


/*
 * From the request line on, without the token and the empty line; `own`: the
 * caller's token stays.  NGX_ERROR for lack of memory.
 */
ngx_int_t vault_agent_proxy_head(ngx_http_request_t *r,
    const vault_agent_t *agent, const ngx_str_t *host, ngx_uint_t own,
    ngx_str_t *head);

/* The caller brings a token. */
ngx_uint_t vault_agent_proxy_has_token(ngx_http_request_t *r);


#endif
