/*
 * cache - whole answers, kept by a worker for as long as they are true.
 */

#include "cache.h"


/* One vault may take this part of the whole, so that it serves several. */
#define CACHE_SHARE  2

typedef struct {
    ngx_str_node_t   node;            /* by key; first: the tree casts it */
    ngx_queue_t      queue;           /* by use, latest at the head */
    vault_cache_t   *cache;
    ngx_str_t        mark;
    ngx_str_t        content_type;
    u_char          *body;            /* all bytes follow the struct */
    size_t           len;
    size_t           size;            /* of the allocation */
    ngx_uint_t       refs;            /* answers in flight, and the tree */
} entry_t;

struct vault_cache_s {
    ngx_rbtree_t         tree;
    ngx_rbtree_node_t    sentinel;
    ngx_queue_t          queue;
    size_t               max;
    vault_cache_stats_t  stats;
};


static void  cache_destroy(void *data);
static entry_t  *entry_find(vault_cache_t *cache, const ngx_str_t *key);
static entry_t  *entry_create(vault_request_t *vr, const ngx_str_t *key,
    const ngx_str_t *mark);
static void  entry_insert(vault_cache_t *cache, entry_t *entry);
static void  entry_drop(entry_t *entry);
static void  entry_release(void *data);


vault_cache_t *
vault_cache_create(ngx_pool_t *pool, size_t max)
{
    vault_cache_t       *cache;
    ngx_pool_cleanup_t  *cln;

    cache = ngx_pcalloc(pool, sizeof(vault_cache_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (cache == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = cache_destroy;
    cln->data = cache;

    cache->max = max;
    ngx_queue_init(&cache->queue);
    ngx_rbtree_init(&cache->tree, &cache->sentinel,
                    ngx_str_rbtree_insert_value);

    return cache;
}


static void
cache_destroy(void *data)
{
    vault_cache_t  *cache = data;

    while (!ngx_queue_empty(&cache->queue)) {
        entry_drop(ngx_queue_data(ngx_queue_head(&cache->queue), entry_t,
                                  queue));
    }
}


ngx_uint_t
vault_cache_reply(vault_request_t *vr, const ngx_str_t *key,
    const ngx_str_t *mark)
{
    entry_t             *entry;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    vault_cache_t       *cache = vr->conf->cache;
    ngx_pool_cleanup_t  *cln;

    entry = entry_find(cache, key);

    if (entry == NULL
        || entry->mark.len != mark->len
        || ngx_memcmp(entry->mark.data, mark->data, mark->len) != 0)
    {
        cache->stats.misses++;
        return 0;
    }

    b = vault_calloc(vr, sizeof(ngx_buf_t));
    cl = vault_alloc(vr, sizeof(ngx_chain_t));

    cln = ngx_pool_cleanup_add(vr->pool, 0);
    if (cln == NULL) {
        return 0;
    }

    cln->handler = entry_release;
    cln->data = entry;
    entry->refs++;

    ngx_queue_remove(&entry->queue);
    ngx_queue_insert_head(&cache->queue, &entry->queue);
    cache->stats.hits++;

    b->memory = 1;                    /* read-only: filters must not write */
    b->start = b->pos = entry->body;
    b->end = b->last = entry->body + entry->len;

    cl->buf = b;
    cl->next = NULL;

    vr->reply.status = NGX_HTTP_OK;
    vr->reply.content_type = entry->content_type;
    vr->reply.body = cl;
    vr->reply.size = entry->len;

    return 1;
}


void
vault_cache_keep(vault_request_t *vr, const ngx_str_t *key,
    const ngx_str_t *mark)
{
    entry_t        *entry;
    vault_cache_t  *cache = vr->conf->cache;

    entry = entry_find(cache, key);
    if (entry) {
        entry_drop(entry);
    }

    if ((size_t) vr->reply.size > cache->max / CACHE_SHARE) {
        return;
    }

    entry = entry_create(vr, key, mark);
    if (entry) {
        entry_insert(cache, entry);
    }
}


void
vault_cache_stats(vault_cache_t *cache, vault_cache_stats_t *stats)
{
    *stats = cache->stats;
}


static entry_t *
entry_find(vault_cache_t *cache, const ngx_str_t *key)
{
    return (entry_t *) ngx_str_rbtree_lookup(&cache->tree, (ngx_str_t *) key,
                                             ngx_crc32_short(key->data,
                                                             key->len));
}


static entry_t *
entry_create(vault_request_t *vr, const ngx_str_t *key,
    const ngx_str_t *mark)
{
    size_t        size;
    u_char       *p;
    entry_t      *entry;
    ngx_chain_t  *cl;

    size = sizeof(entry_t) + key->len + mark->len + vr->reply.size;

    entry = ngx_alloc(size, vr->log);
    if (entry == NULL) {
        return NULL;
    }

    ngx_memzero(entry, sizeof(entry_t));
    entry->cache = vr->conf->cache;
    entry->size = size;
    entry->refs = 1;
    entry->content_type = vr->reply.content_type;
    entry->len = vr->reply.size;

    p = (u_char *) entry + sizeof(entry_t);

    entry->node.str.data = p;
    entry->node.str.len = key->len;
    entry->node.node.key = ngx_crc32_short(key->data, key->len);
    p = ngx_cpymem(p, key->data, key->len);

    entry->mark.data = p;
    entry->mark.len = mark->len;
    p = ngx_cpymem(p, mark->data, mark->len);

    entry->body = p;

    for (cl = vr->reply.body; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    return entry;
}


static void
entry_insert(vault_cache_t *cache, entry_t *entry)
{
    ngx_queue_t  *last;

    while (cache->stats.bytes + entry->size > cache->max) {

        if (ngx_queue_empty(&cache->queue)) {
            entry_release(entry);
            return;
        }

        last = ngx_queue_last(&cache->queue);
        entry_drop(ngx_queue_data(last, entry_t, queue));
    }

    ngx_rbtree_insert(&cache->tree, &entry->node.node);
    ngx_queue_insert_head(&cache->queue, &entry->queue);

    cache->stats.entries++;
    cache->stats.bytes += entry->size;
}


/* Out of the tree; the memory goes with the last answer that uses it. */

static void
entry_drop(entry_t *entry)
{
    vault_cache_t  *cache = entry->cache;

    ngx_rbtree_delete(&cache->tree, &entry->node.node);
    ngx_queue_remove(&entry->queue);

    cache->stats.entries--;
    cache->stats.bytes -= entry->size;

    entry_release(entry);
}


static void
entry_release(void *data)
{
    entry_t  *entry = data;

    if (--entry->refs == 0) {
        ngx_free(entry);
    }
}
