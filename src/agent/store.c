/*
 * The zone: nginx's slab, a tree of entries by their keys' hash, a queue of
 * them by their last use.  An entry is one piece of memory: key, type, body;
 * without a body it says that one is being fetched, or cannot be stored.
 */

#include "../crypto/crypto.h"
#include "../run/request.h"
#include "store.h"

#include <signal.h>
#include <sys/mman.h>


#define NAME   "vault_agent_cache:"
#define PAUSE  1000                   /* ms after a failure, doubles */
#define PAUSES 5                      /* times */
#define SHARE  2                      /* of the zone, for one answer: a half */

typedef struct {
    ngx_rbtree_node_t    node;        /* first; its key is the hash */
    ngx_queue_t          use;
    size_t               size;        /* of all of it */
    size_t               key_len;
    size_t               type_len;
    size_t               body_len;
    vault_agent_times_t  times;       /* expires_at 0: nothing is stored */
    ngx_pid_t            busy;        /* who fetches it */
    int64_t              busy_until;
    int64_t              retry_at;
    ngx_uint_t           failures;
    unsigned             large:1;
    u_char               text[1];     /* key, type, body */
} node_t;

typedef struct {
    ngx_rbtree_t         tree;
    ngx_rbtree_node_t    sentinel;
    ngx_queue_t          use;         /* newest first */
    ngx_uint_t           purges;
    ngx_uint_t           full;        /* it has been told of */
    vault_agent_store_stats_t  stats;
} shared_t;

struct vault_agent_store_s {
    shared_t            *shared;
    ngx_slab_pool_t     *slab;
};

static ngx_uint_t  store_tag;         /* its address marks a zone as ours */


/* The zone */

static int
compare(const node_t *node, uint32_t hash, const u_char *key, size_t len)
{
    if (node->node.key != hash) {
        return hash < node->node.key ? -1 : 1;
    }

    return (int) ngx_memn2cmp((u_char *) key, (u_char *) node->text, len,
                              node->key_len);
}


static void
insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    node_t              *n = (node_t *) node;
    ngx_rbtree_node_t  **p;

    for ( ;; ) {
        p = compare((node_t *) temp, (uint32_t) node->key, n->text,
                    n->key_len) < 0 ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_int_t
set_up(vault_agent_store_t *store, ngx_shm_zone_t *zone)
{
    shared_t  *shared;

#ifdef MADV_DONTDUMP
    if (madvise(zone->shm.addr, zone->shm.size, MADV_DONTDUMP) == -1) {
        ngx_log_error(NGX_LOG_WARN, zone->shm.log, ngx_errno,
                      "vault agent: the cache cannot be kept out of core "
                      "dumps");
    }
#endif

    shared = ngx_slab_calloc(store->slab, sizeof(shared_t));
    if (shared == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "vault agent: \"vault_agent_cache\" is too small");
        return NGX_ERROR;
    }

    ngx_rbtree_init(&shared->tree, &shared->sentinel, insert);
    ngx_queue_init(&shared->use);
    shared->stats.size = zone->shm.size;

    store->shared = shared;
    store->slab->data = shared;
    store->slab->log_nomem = 0;       /* it is meant to be full */

    return NGX_OK;
}


static ngx_int_t
zone_init(ngx_shm_zone_t *zone, void *data)
{
    vault_agent_store_t  *store = zone->data, *old = data;

    store->slab = (ngx_slab_pool_t *) zone->shm.addr;

    if (old) {
        store->shared = old->shared;
        return NGX_OK;
    }

    if (zone->shm.exists) {
        store->shared = store->slab->data;
        return NGX_OK;
    }

    return set_up(store, zone);
}


vault_agent_store_t *
vault_agent_store_create(ngx_conf_t *cf, size_t size)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *zone;

    name.data = ngx_pnalloc(cf->pool, sizeof(NAME) + NGX_SIZE_T_LEN);
    if (name.data == NULL) {
        return NULL;
    }

    name.len = ngx_sprintf(name.data, NAME "%uz", size) - name.data;

    zone = ngx_shared_memory_add(cf, &name, size, &store_tag);
    if (zone == NULL) {
        return NULL;
    }

    if (zone->data == NULL) {
        zone->data = ngx_pcalloc(cf->pool, sizeof(vault_agent_store_t));
        zone->init = zone_init;
    }

    return zone->data;
}


/* A text may be none at all. */
static u_char *
add(u_char *p, const ngx_str_t *text)
{
    return text->len ? ngx_cpymem(p, text->data, text->len) : p;
}


/* Under the lock */

static node_t *
find(shared_t *shared, const vault_agent_key_t *key)
{
    int                 rc;
    ngx_rbtree_node_t  *node;

    node = shared->tree.root;

    while (node != shared->tree.sentinel) {
        rc = compare((node_t *) node, key->hash, key->text.data,
                     key->text.len);

        if (rc == 0) {
            return (node_t *) node;
        }

        node = rc < 0 ? node->left : node->right;
    }

    return NULL;
}


static void
discard(vault_agent_store_t *store, node_t *node)
{
    size_t     size = node->size;
    shared_t  *shared = store->shared;

    ngx_rbtree_delete(&shared->tree, &node->node);
    ngx_queue_remove(&node->use);

    shared->stats.entries -= node->times.expires_at != 0;
    shared->stats.bytes -= node->body_len;

    vault_wipe(node, size);
    ngx_slab_free_locked(store->slab, node);
}


/* The first time that it costs something that was still good is told. */
static void
evict(vault_agent_store_t *store)
{
    node_t    *node;
    shared_t  *shared = store->shared;

    node = ngx_queue_data(ngx_queue_last(&shared->use), node_t, use);

    if (!shared->full && vault_now() < node->times.expires_at) {
        shared->full = 1;
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "vault agent: the cache of %uz bytes is full; a larger "
                      "\"vault_agent_cache\" would keep more",
                      shared->stats.size);
    }

    discard(store, node);
    shared->stats.evicted++;
}


/* Memory, at the cost of what was not used for longest. */
static node_t *
make(vault_agent_store_t *store, const vault_agent_key_t *key, size_t more)
{
    size_t        size;
    node_t       *node;
    shared_t     *shared = store->shared;

    size = offsetof(node_t, text) + key->text.len + more;

    while ((node = ngx_slab_alloc_locked(store->slab, size)) == NULL
           && !ngx_queue_empty(&shared->use))
    {
        evict(store);
    }

    if (node == NULL) {
        return NULL;
    }

    ngx_memzero(node, offsetof(node_t, text));
    node->size = size;
    node->key_len = key->text.len;
    node->node.key = key->hash;
    ngx_memcpy(node->text, key->text.data, key->text.len);

    ngx_rbtree_insert(&shared->tree, &node->node);
    ngx_queue_insert_head(&shared->use, &node->use);

    return node;
}


/* A worker that has died fetches nothing. */
static ngx_uint_t
is_busy(const node_t *node, int64_t now)
{
    return node->busy && now < node->busy_until
           && (kill(node->busy, 0) == 0 || ngx_errno != NGX_ESRCH);
}


static void
claim(node_t *node, int64_t until)
{
    node->busy = ngx_pid;
    node->busy_until = until;
}


static void
touch(shared_t *shared, node_t *node)
{
    ngx_queue_remove(&node->use);
    ngx_queue_insert_head(&shared->use, &node->use);
}


static ngx_int_t
copy(const node_t *node, ngx_pool_t *pool, vault_agent_entry_t *entry)
{
    size_t  len;

    len = node->type_len + node->body_len;

    entry->type.data = ngx_pnalloc(pool, len + 1);
    if (entry->type.data == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(entry->type.data, node->text + node->key_len, len);
    entry->type.len = node->type_len;
    entry->body.data = entry->type.data + node->type_len;
    entry->body.len = node->body_len;

    return NGX_OK;
}


/* A node that has nothing fresh. */
static vault_agent_found_e
consult(shared_t *shared, node_t *node, int64_t now, ngx_msec_t patience,
    ngx_pool_t *pool, vault_agent_entry_t *entry)
{
    if (node->large && now < node->times.expires_at) {
        return VAULT_AGENT_LARGE;
    }

    if (now < node->retry_at && now < node->times.stale_until
        && copy(node, pool, entry) == NGX_OK)
    {
        shared->stats.stale++;
        return VAULT_AGENT_STALE;
    }

    if (is_busy(node, now)) {
        return VAULT_AGENT_BUSY;
    }

    claim(node, now + patience);
    shared->stats.misses++;

    return VAULT_AGENT_FETCH;
}


static vault_agent_found_e
look(vault_agent_store_t *store, const vault_agent_key_t *key,
    ngx_msec_t patience, ngx_pool_t *pool, vault_agent_entry_t *entry,
    ngx_uint_t *refresh)
{
    int64_t    now;
    node_t    *node;
    shared_t  *shared = store->shared;

    now = vault_now();
    node = find(shared, key);

    if (node == NULL) {
        shared->stats.misses++;
        node = make(store, key, 0);

        if (node) {
            claim(node, now + patience);
        }

        return VAULT_AGENT_FETCH;
    }

    touch(shared, node);

    if (node->large || now >= node->times.expires_at
        || copy(node, pool, entry) != NGX_OK)
    {
        return consult(shared, node, now, patience, pool, entry);
    }

    shared->stats.hits++;

    if (now >= node->times.refresh_at && now >= node->retry_at
        && !is_busy(node, now))
    {
        claim(node, now + patience);
        *refresh = 1;
    }

    return VAULT_AGENT_HIT;
}


/* Without */

vault_agent_found_e
vault_agent_store_find(vault_agent_store_t *store,
    const vault_agent_key_t *key, ngx_msec_t patience, ngx_pool_t *pool,
    vault_agent_entry_t *entry, ngx_uint_t *refresh)
{
    vault_agent_found_e  found;

    *refresh = 0;

    ngx_shmtx_lock(&store->slab->mutex);
    found = look(store, key, patience, pool, entry, refresh);
    ngx_shmtx_unlock(&store->slab->mutex);

    return found;
}


ngx_int_t
vault_agent_store_stale(vault_agent_store_t *store,
    const vault_agent_key_t *key, ngx_pool_t *pool,
    vault_agent_entry_t *entry)
{
    node_t     *node;
    ngx_int_t   rc = NGX_DECLINED;

    ngx_shmtx_lock(&store->slab->mutex);

    node = find(store->shared, key);

    if (node && vault_now() < node->times.stale_until) {
        rc = copy(node, pool, entry);
        store->shared->stats.stale += rc == NGX_OK;
    }

    ngx_shmtx_unlock(&store->slab->mutex);

    return rc;
}


/* What there is no room for would empty it in vain: it is marked at once. */
static node_t *
place(vault_agent_store_t *store, const vault_agent_key_t *key,
    const vault_agent_entry_t *entry)
{
    size_t   size;
    u_char  *p;
    node_t  *node;

    size = entry->type.len + entry->body.len;
    node = size <= store->shared->stats.size / SHARE ? make(store, key, size)
                                                     : NULL;

    if (node) {
        node->type_len = entry->type.len;
        node->body_len = entry->body.len;

        p = node->text + node->key_len;
        p = add(p, &entry->type);
        (void) add(p, &entry->body);

        return node;
    }

    node = make(store, key, 0);

    if (node) {
        node->large = 1;
    }

    return node;
}


void
vault_agent_store_put(vault_agent_store_t *store,
    const vault_agent_key_t *key, const vault_agent_entry_t *entry,
    const vault_agent_times_t *times)
{
    node_t  *node;

    ngx_shmtx_lock(&store->slab->mutex);

    node = find(store->shared, key);

    if (node) {
        discard(store, node);
    }

    node = times->purges == store->shared->purges
           ? place(store, key, entry) : NULL;

    if (node) {
        node->times = *times;
        node->times.stale_until = node->large ? 0 : times->stale_until;

        store->shared->stats.entries++;
        store->shared->stats.bytes += node->body_len;
    }

    ngx_shmtx_unlock(&store->slab->mutex);
}


void
vault_agent_store_large(vault_agent_store_t *store,
    const vault_agent_key_t *key, const vault_agent_times_t *times)
{
    vault_agent_entry_t  nothing = { ngx_null_string, ngx_null_string };
    node_t              *node;

    vault_agent_store_put(store, key, &nothing, times);

    ngx_shmtx_lock(&store->slab->mutex);

    node = find(store->shared, key);

    if (node) {
        node->large = 1;
    }

    ngx_shmtx_unlock(&store->slab->mutex);
}


void
vault_agent_store_drop(vault_agent_store_t *store,
    const vault_agent_key_t *key)
{
    node_t  *node;

    ngx_shmtx_lock(&store->slab->mutex);

    node = find(store->shared, key);

    if (node) {
        discard(store, node);
    }

    ngx_shmtx_unlock(&store->slab->mutex);
}


void
vault_agent_store_failed(vault_agent_store_t *store,
    const vault_agent_key_t *key)
{
    node_t  *node;

    ngx_shmtx_lock(&store->slab->mutex);

    node = find(store->shared, key);

    if (node) {
        node->busy = 0;
        node->retry_at = vault_now()
                         + (PAUSE << ngx_min(node->failures, PAUSES));
        node->failures++;
    }

    ngx_shmtx_unlock(&store->slab->mutex);
}


static u_char
unescape(u_char **p, u_char *end)
{
    ngx_int_t  c;

    c = end - *p > 2 && **p == '%' ? ngx_hextoi(*p + 1, 2) : NGX_ERROR;

    if (c == NGX_ERROR) {
        return *(*p)++;
    }

    *p += 3;

    return c;
}


/* The path of a key, after its first line, is as it was asked for. */
static ngx_uint_t
is_below(const node_t *node, const ngx_str_t *path)
{
    size_t   i;
    u_char  *p, *end = (u_char *) node->text + node->key_len;

    p = ngx_strlchr((u_char *) node->text, end, LF);

    if (p == NULL) {
        return 0;
    }

    p++;

    for (i = 0; i < path->len; i++) {
        if (p == end || unescape(&p, end) != path->data[i]) {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
vault_agent_store_purge(vault_agent_store_t *store, const ngx_str_t *path)
{
    node_t       *node;
    ngx_uint_t    n = 0;
    ngx_queue_t  *q, *next;
    shared_t     *shared = store->shared;

    ngx_shmtx_lock(&store->slab->mutex);

    shared->purges++;

    for (q = ngx_queue_head(&shared->use);
         q != ngx_queue_sentinel(&shared->use);
         q = next)
    {
        next = ngx_queue_next(q);
        node = ngx_queue_data(q, node_t, use);

        if (is_below(node, path)) {
            n += node->times.expires_at != 0;
            discard(store, node);
        }
    }

    ngx_shmtx_unlock(&store->slab->mutex);

    return n;
}


ngx_uint_t
vault_agent_store_purges(vault_agent_store_t *store)
{
    ngx_uint_t  n;

    ngx_shmtx_lock(&store->slab->mutex);
    n = store->shared->purges;
    ngx_shmtx_unlock(&store->slab->mutex);

    return n;
}


void
vault_agent_store_count_refresh(vault_agent_store_t *store)
{
    ngx_shmtx_lock(&store->slab->mutex);
    store->shared->stats.refreshes++;
    ngx_shmtx_unlock(&store->slab->mutex);
}


void
vault_agent_store_stats(vault_agent_store_t *store,
    vault_agent_store_stats_t *stats)
{
    ngx_shmtx_lock(&store->slab->mutex);
    *stats = store->shared->stats;
    ngx_shmtx_unlock(&store->slab->mutex);
}


ngx_int_t
vault_agent_key_make(ngx_pool_t *pool, const ngx_str_t *agent,
    const ngx_str_t *namespace, const ngx_str_t *method,
    const ngx_str_t *path, vault_agent_key_t *key)
{
    u_char  *p;

    key->text.len = agent->len + namespace->len + method->len + path->len + 3;
    key->text.data = ngx_pnalloc(pool, key->text.len);
    if (key->text.data == NULL) {
        return NGX_ERROR;
    }

    p = add(key->text.data, agent);
    *p++ = ' ';
    p = add(p, method);
    *p++ = ' ';
    p = add(p, namespace);
    *p++ = LF;
    (void) add(p, path);

    key->hash = ngx_murmur_hash2(key->text.data, key->text.len);

    return NGX_OK;
}
