/*
 * The shared memory of a token: its name is the identity, so a reload that
 * changes nothing keeps the token, and one that does starts anew.
 */

#include "../crypto/crypto.h"
#include "token.h"

#include <sys/mman.h>


#define NAME  "vault_agent:"

static ngx_uint_t  zone_tag;          /* its address marks the zone as ours */


static ngx_int_t
zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t      *slab;
    vault_agent_token_t  *token = zone->data, *old = data;

    slab = (ngx_slab_pool_t *) zone->shm.addr;
    token->mutex = &slab->mutex;

    if (old) {
        token->shared = old->shared;
        return NGX_OK;
    }

    if (zone->shm.exists) {
        token->shared = slab->data;
        return NGX_OK;
    }

#ifdef MADV_DONTDUMP
    if (madvise(zone->shm.addr, zone->shm.size, MADV_DONTDUMP) == -1) {
        ngx_log_error(NGX_LOG_WARN, zone->shm.log, ngx_errno,
                      "vault agent: the memory of tokens cannot be kept out "
                      "of core dumps");
    }
#endif

    token->shared = ngx_slab_calloc(slab, sizeof(vault_agent_shared_t));
    slab->data = token->shared;

    if (token->shared == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "vault agent: no memory for \"%V\"", &zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static vault_agent_token_t *
create(ngx_pool_t *pool, vault_agent_t *agent)
{
    vault_agent_token_t  *token;

    token = ngx_pcalloc(pool, sizeof(vault_agent_token_t));

    if (token) {
        token->agent = agent;
        agent->token = token;
        ngx_queue_init(&token->waiters);
    }

    return token;
}


ngx_int_t
vault_agent_zone(ngx_conf_t *cf, vault_agent_t *agent)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *zone;

    name.len = sizeof(NAME) - 1 + agent->id.len;
    name.data = ngx_pnalloc(cf->pool, name.len + 1);

    if (name.data == NULL || create(cf->pool, agent) == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(name.data, NAME "%V%Z", &agent->id);

    zone = ngx_shared_memory_add(cf, &name, 16 * ngx_pagesize, &zone_tag);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->data = agent->token;
    zone->init = zone_init;

    return NGX_OK;
}


ngx_int_t
vault_agent_unshared(vault_agent_t *agent, ngx_pool_t *pool)
{
    vault_agent_token_t  *token;

    token = create(pool, agent);
    if (token == NULL) {
        return NGX_ERROR;
    }

    token->shared = ngx_pcalloc(pool, sizeof(vault_agent_shared_t));
    token->mutex = &token->own_mutex;

    return token->shared
           && ngx_shmtx_create(token->mutex, &token->own_lock, NULL) == NGX_OK
           ? NGX_OK : NGX_ERROR;
}


void
vault_agent_wipe(vault_agent_t *agent)
{
    vault_agent_shared_t  *shared = agent->token->shared;

    if (shared) {
        shared->len = 0;
        vault_wipe(shared->text, VAULT_AGENT_TOKEN);
    }
}
