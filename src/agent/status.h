/*
 * status - what the agents of this server have done, as JSON, and the way to
 * empty their caches.
 *
 * Why:    one page tells whether logins and cache work.
 * Use:    vault_agent_status() as a content handler.  GET tells; DELETE forgets
 *         all that is stored, or, with ?path=/v1/secret/, what is below.
 * Owns:   nothing.
 * Fails:  405 for other methods.
 * Waits:  never.
 */

#ifndef VAULT_AGENT_STATUS_H
#define VAULT_AGENT_STATUS_H

#include "cache.h"


ngx_int_t vault_agent_status(ngx_http_request_t *r,
    const ngx_array_t *agents, const ngx_array_t *stores);


#endif
