/*
 * cache - answers a location's requests from shared memory.
 *
 * Why:    a function asks for the same secret with each call; Vault need not.
 * Use:    vault_agent_cache_handle() first; NGX_DECLINED: hand it on.
 * Owns:   nothing; see store.h.
 * Fails:  as proxy.h.  An answer that cannot be kept is handed on.
 * Waits:  never.  Who asks for what is being fetched rests until it is there.
 *
 * X-Vault-Cache-Control: a list of "cache" (take it from here, or put it here),
 * "recache" (only put it here) and "nocache" (neither, and wins).
 *
 * Source: hashicorp/vault-lambda-extension internal/proxy/cache.go (behaviour).
 */

#ifndef VAULT_AGENT_CACHE_H
#define VAULT_AGENT_CACHE_H

#include "proxy.h"
#include "store.h"


struct vault_agent_cache_s {
    vault_agent_store_t  *store;
    ngx_msec_t            ttl;
    ngx_msec_t            stale;      /* how long after it, without Vault */
    size_t                max;        /* bytes of one answer */
    ngx_uint_t            always;     /* also without the header */
};

ngx_int_t vault_agent_cache_handle(ngx_http_request_t *r,
    vault_agent_proxy_t *proxy);


#endif
