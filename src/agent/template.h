/*
 * template - a text with places for secrets.
 *
 *     host = {{ host }}                      a key of the secret itself
 *     password = {{ password | json }}       as a JSON string, quotes included
 *     export KEY={{ key | shell }}           as one word of a shell
 *     blob = {{ blob | base64 }}
 *     other = {{ secret/data/other#key }}    a key of another secret
 *
 * Why:    a program's own format needs a pattern, and no language.
 * Owns:   all in the pool given, which the caller scrubs.
 * Fails:  NGX_DECLINED with *why; NGX_ERROR: memory, or what find() gave.
 * Waits:  only in find().
 */

#ifndef VAULT_AGENT_TEMPLATE_H
#define VAULT_AGENT_TEMPLATE_H

#include "format.h"


/* The envelope at `path`; empty: the secret itself.  NULL: told already. */
typedef const vault_agent_envelope_t *(*vault_agent_find_pt)(void *data,
    const ngx_str_t *path);

ngx_int_t vault_agent_template(ngx_pool_t *pool, const ngx_str_t *text,
    vault_agent_find_pt find, void *data, ngx_str_t *out, const char **why);


#endif
