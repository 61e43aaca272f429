/*
 * store - answers of Vaults in memory that all workers share: for cache.c.
 *
 * Why:    a secret that many ask for is fetched once, and is still there when
 *         its Vault is not.
 * Use:    vault_agent_store_find(); whoever is told to fetch ends that with
 *         vault_agent_store_put(), _drop() or _failed().
 * Owns:   a zone of nginx's, of a size that is bounded and that no core dump
 *         contains.  What leaves it is overwritten; what was not used for
 *         longest leaves first.  What is given is a copy in the pool.
 * Fails:  what cannot be stored is not stored; neither is what would take more
 *         than half of the zone.
 * Waits:  never.
 */

#ifndef VAULT_AGENT_STORE_H
#define VAULT_AGENT_STORE_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct vault_agent_store_s  vault_agent_store_t;

typedef struct {
    ngx_str_t   text;                 /* what is asked, and as whom */
    uint32_t    hash;
} vault_agent_key_t;

typedef struct {
    ngx_str_t   type;                 /* Content-Type */
    ngx_str_t   body;
} vault_agent_entry_t;

typedef enum {
    VAULT_AGENT_HIT = 0,
    VAULT_AGENT_STALE,                /* the last try has failed just now */
    VAULT_AGENT_FETCH,                /* by who asks */
    VAULT_AGENT_BUSY,                 /* by another one, who is at it */
    VAULT_AGENT_LARGE                 /* not to be stored */
} vault_agent_found_e;

/* Times are ms by the wall clock. */
typedef struct {
    ngx_uint_t  purges;               /* when it was asked for: not to be
                                         stored if there were more since */
    int64_t     refresh_at;           /* then whoever asks is told to */
    int64_t     expires_at;
    int64_t     stale_until;          /* if nothing better is to be had */
} vault_agent_times_t;

typedef struct {
    ngx_uint_t  hits;
    ngx_uint_t  misses;
    ngx_uint_t  refreshes;
    ngx_uint_t  stale;
    ngx_uint_t  evicted;
    ngx_uint_t  entries;
    size_t      bytes;
    size_t      size;                 /* of the zone */
} vault_agent_store_stats_t;


/* A zone of `size` bytes: one for all that name the same. */
vault_agent_store_t *vault_agent_store_create(ngx_conf_t *cf, size_t size);

/*
 * HIT and STALE with *entry in `pool`; *refresh if a HIT shall be fetched anew
 * by who asks.  Who is told to fetch has `patience` ms for that.
 */
vault_agent_found_e vault_agent_store_find(vault_agent_store_t *store,
    const vault_agent_key_t *key, ngx_msec_t patience, ngx_pool_t *pool,
    vault_agent_entry_t *entry, ngx_uint_t *refresh);

/* What there is, however old it may be: NGX_OK or NGX_DECLINED. */
ngx_int_t vault_agent_store_stale(vault_agent_store_t *store,
    const vault_agent_key_t *key, ngx_pool_t *pool,
    vault_agent_entry_t *entry);

void vault_agent_store_put(vault_agent_store_t *store,
    const vault_agent_key_t *key, const vault_agent_entry_t *entry,
    const vault_agent_times_t *times);

/* It is too large for that, and will be until it expires. */
void vault_agent_store_large(vault_agent_store_t *store,
    const vault_agent_key_t *key, const vault_agent_times_t *times);

/* Vault says that there is no such thing, or not for us. */
void vault_agent_store_drop(vault_agent_store_t *store,
    const vault_agent_key_t *key);

/* Vault says nothing. */
void vault_agent_store_failed(vault_agent_store_t *store,
    const vault_agent_key_t *key);

/* Everything, or what is asked below `path`, unescaped; how many. */
ngx_uint_t vault_agent_store_purge(vault_agent_store_t *store,
    const ngx_str_t *path);

/* How often that was done. */
ngx_uint_t vault_agent_store_purges(vault_agent_store_t *store);

void vault_agent_store_count_refresh(vault_agent_store_t *store);
void vault_agent_store_stats(vault_agent_store_t *store,
    vault_agent_store_stats_t *stats);

/* The text of a key begins with who asks, then a newline, then the path. */
ngx_int_t vault_agent_key_make(ngx_pool_t *pool, const ngx_str_t *agent,
    const ngx_str_t *namespace, const ngx_str_t *method,
    const ngx_str_t *path, vault_agent_key_t *key);


#endif
