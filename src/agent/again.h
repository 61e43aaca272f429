/*
 * again - when a Vault is asked once more, and whom.
 *
 * Why:    our own calls and those that are handed on follow the same rules.
 * Owns:   nothing.
 * Fails:  by saying no.
 * Waits:  never.
 *
 * Source: the retry policy of Vault's own clients: 412 (this node has not seen
 * yet what was written), 429, and 5xx but 501.
 */

#ifndef VAULT_AGENT_AGAIN_H
#define VAULT_AGENT_AGAIN_H

#include "agent.h"


/* Another try may be answered in another way. */
ngx_uint_t vault_agent_passes(ngx_uint_t status);

/* A node that is not the active one sends there. */
ngx_uint_t vault_agent_sends_on(ngx_uint_t status);

/* What to wait before try n, from 0: ms, longer each time, with chance. */
ngx_msec_t vault_agent_pause(ngx_uint_t n);

/*
 * Who is to be asked for `path` by the Location of such an answer, with *host
 * for the Host header: only where our own scheme leads, at the same path, and
 * to one whose certificate is as good.  NULL after having logged it.
 */
vault_upstream_t *vault_agent_follow(vault_agent_t *agent, ngx_pool_t *pool,
    const ngx_str_t *path, const ngx_str_t *location, ngx_str_t *host);


/*
 * Says in the log what is to be done about an answer that nobody here can
 * help; 0: about one that was cut off.  One line a minute, kind and worker.
 */
void vault_agent_remark(vault_agent_t *agent, ngx_uint_t status);


#endif
