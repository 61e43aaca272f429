/*
 * The shared memory of a token: its name is the identity, so a reload that
 * changes nothing keeps the token, and one that does starts anew.
 */

#include "../crypto/crypto.h"
#include "../run/memory.h"
#include "token.h"


#define NAME  "vault_agent:"

static ngx_uint_t  zone_tag;          /* its address marks the zone as ours */


/* Memory that stands in for a zone. */
typedef struct {
    ngx_shmtx_t           mutex;
    ngx_shmtx_sh_t        lock;
    vault_agent_shared_t  shared;
} early_t;


/* What was fetched while the configuration was read. */
static void
take_early(vault_agent_token_t *token, vault_agent_shared_t *shared)
{
    early_t  *early = token->early;

    if (early) {
        if (shared && shared->len == 0 && early->shared.len) {
            *shared = early->shared;
            shared->busy = 0;
        }

        vault_wipe(&early->shared, sizeof(vault_agent_shared_t));
        vault_memory_free(early, sizeof(early_t));
        token->early = NULL;
    }
}


static ngx_int_t
zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t      *slab;
    vault_agent_token_t  *token = zone->data, *old = data;

    slab = (ngx_slab_pool_t *) zone->shm.addr;
    token->mutex = &slab->mutex;

    if (old) {
        token->shared = old->shared;
        take_early(token, NULL);
        return NGX_OK;
    }

    if (zone->shm.exists) {
        token->shared = slab->data;
        return NGX_OK;
    }

    vault_memory_hide(zone->shm.addr, zone->shm.size, zone->shm.log);

    token->shared = ngx_slab_calloc(slab, sizeof(vault_agent_shared_t));
    slab->data = token->shared;
    take_early(token, token->shared);

    if (token->shared == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "vault agent: no memory for \"%V\"", &zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
on_pool_end(void *data)
{
    take_early(data, NULL);           /* the configuration was refused */
}


static vault_agent_token_t *
create(ngx_pool_t *pool, vault_agent_t *agent)
{
    ngx_pool_cleanup_t   *cln;
    vault_agent_token_t  *token;

    token = ngx_pcalloc(pool, sizeof(vault_agent_token_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (token == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = on_pool_end;
    cln->data = token;

    token->agent = agent;
    agent->token = token;
    vault_waiters_init(&token->waiters);

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
    agent->token->name = name;

    zone = ngx_shared_memory_add(cf, &name, 16 * ngx_pagesize, &zone_tag);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->data = agent->token;
    zone->init = zone_init;

    return NGX_OK;
}


/* The same zone of the configuration that runs now; or NULL. */
static vault_agent_token_t *
find_running(const ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *zone;
    ngx_list_part_t  *part;

    if (ngx_cycle == NULL || ngx_cycle->shared_memory.part.elts == NULL) {
        return NULL;
    }

    for (part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part; part;
         part = part->next)
    {
        zone = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (zone[i].tag == &zone_tag && zone[i].shm.addr
                && zone[i].shm.name.len == name->len
                && ngx_memcmp(zone[i].shm.name.data, name->data, name->len)
                   == 0)
            {
                return zone[i].data;
            }
        }
    }

    return NULL;
}


ngx_int_t
vault_agent_early(ngx_conf_t *cf, vault_agent_t *agent)
{
    early_t              *early;
    vault_agent_token_t  *token = agent->token, *running;

    if (token->shared) {
        return NGX_OK;
    }

    running = find_running(&token->name);

    if (running && running->shared) {
        token->shared = running->shared;
        token->mutex = running->mutex;
        return NGX_OK;
    }

    early = vault_memory_shared(sizeof(early_t), cf->log);
    if (early == NULL) {
        return NGX_ERROR;
    }

    token->early = early;
    token->shared = &early->shared;
    token->mutex = &early->mutex;

    return ngx_shmtx_create(token->mutex, &early->lock, NULL);
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
