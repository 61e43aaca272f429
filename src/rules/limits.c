/*
 * limits - how often somebody may guess.
 *
 * The shared table is one piece of memory: a header, buckets of a hash table,
 * entries.  Every entry is always in the queue of use, the unused ones at its
 * old end, so that room is made and found in the same way: take the oldest.
 */

#include "limits.h"

#include "../crypto/crypto.h"


#define ZONE_NAME    "vault_limits"
#define KEY_LEN      16               /* of the HMAC; 2^64 for a collision */
#define ENTRIES_MIN  64
#define ATTEMPTS_MAX 1000000000       /* so that with the longest window */
#define WINDOW_MAX   10000000         /* (seconds) no product overflows */

typedef struct {
    ngx_queue_t  chain;               /* in its bucket; alone if unused */
    ngx_queue_t  use;                 /* newest first */
    u_char       key[KEY_LEN];
    uint64_t     level;               /* one attempt is `window` units; every
                                         millisecond takes `max` away */
    ngx_msec_t   at;                  /* when level was true */
    unsigned     told:1;              /* the block has been logged */
} entry_t;

typedef struct {
    ngx_queue_t  use;
    u_char       secret[VAULT_SHA256_LEN];
    ngx_uint_t   n;                   /* of buckets and of entries */
    ngx_queue_t  buckets[1];
} table_t;

/* In each configuration; the table outlives it. */
typedef struct {
    table_t          *table;
    ngx_slab_pool_t  *pool;
} zone_t;

struct vault_limits_s {
    vault_limit_t     login;
    zone_t           *zone;
    ngx_queue_t       attempts;       /* of this worker: one a request at
                                         work, so bounded by those */
};

/* Half of an attempt: one entry that it needs. */
typedef struct {
    u_char            key[KEY_LEN];
    uint64_t          max;            /* 0: no limit */
    uint64_t          window;         /* ms */
} part_t;

enum { ADDRESS = 0, ACCOUNT, PARTS };

typedef struct {
    ngx_queue_t           queue;
    vault_request_t      *vr;
    const vault_limit_t  *limit;
    part_t                parts[PARTS];
} attempt_t;

static ngx_uint_t  limits_tag;        /* its address marks the zone as ours */


static void
table_init(table_t *table, ngx_uint_t n)
{
    entry_t     *entry;
    ngx_uint_t   i;

    table->n = n;
    ngx_queue_init(&table->use);

    for (i = 0; i < n; i++) {
        ngx_queue_init(&table->buckets[i]);
    }

    entry = (entry_t *) &table->buckets[n];
    ngx_memzero(entry, n * sizeof(entry_t));

    for (i = 0; i < n; i++, entry++) {
        ngx_queue_init(&entry->chain);
        ngx_queue_insert_tail(&table->use, &entry->use);
    }
}


static ngx_int_t
zone_init(ngx_shm_zone_t *shm, void *data)
{
    size_t       size;
    zone_t      *zone = shm->data, *old = data;
    ngx_uint_t   n;

    if (old) {
        *zone = *old;
        return NGX_OK;
    }

    zone->pool = (ngx_slab_pool_t *) shm->shm.addr;

    if (shm->shm.exists) {
        zone->table = zone->pool->data;
        return NGX_OK;
    }

    size = zone->pool->pfree * ngx_pagesize;
    n = size < sizeof(table_t)
        ? 0 : (size - sizeof(table_t)) / (sizeof(entry_t)
                                          + sizeof(ngx_queue_t));

    if (n < ENTRIES_MIN) {
        ngx_log_error(NGX_LOG_EMERG, shm->shm.log, 0,
                      "vault: the zone \"%V\" is too small", &shm->shm.name);
        return NGX_ERROR;
    }

    zone->table = ngx_slab_alloc(zone->pool, size);

    if (zone->table == NULL
        || vault_random(zone->table->secret, VAULT_SHA256_LEN) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, shm->shm.log, 0,
                      "vault: the zone \"%V\" cannot be set up",
                      &shm->shm.name);
        return NGX_ERROR;
    }

    table_init(zone->table, n);
    zone->pool->data = zone->table;

    return NGX_OK;
}


vault_limits_t *
vault_limits_create(ngx_conf_t *cf, size_t zone_size, ngx_uint_t account_max,
    time_t account_window, ngx_uint_t address_max, time_t address_window)
{
    ngx_str_t        name = ngx_string(ZONE_NAME);
    ngx_shm_zone_t  *shm;
    vault_limits_t  *limits;

    limits = ngx_pcalloc(cf->pool, sizeof(vault_limits_t));
    if (limits == NULL) {
        return NULL;
    }

    shm = ngx_shared_memory_add(cf, &name, zone_size, &limits_tag);
    if (shm == NULL) {
        return NULL;
    }

    if (shm->data == NULL) {
        shm->data = ngx_pcalloc(cf->pool, sizeof(zone_t));
        if (shm->data == NULL) {
            return NULL;
        }

        shm->init = zone_init;
    }

    limits->zone = shm->data;
    limits->login.name = "login";
    limits->login.account_max = account_max;
    limits->login.account_window = account_window;
    limits->login.address_max = address_max;
    limits->login.address_window = address_window;

    ngx_queue_init(&limits->attempts);

    return limits;
}


static ngx_queue_t *
entry_bucket(table_t *table, const u_char *key)
{
    uint64_t  hash;

    ngx_memcpy(&hash, key, sizeof(hash));

    return &table->buckets[hash % table->n];
}


static entry_t *
entry_find(ngx_queue_t *bucket, const u_char *key)
{
    entry_t      *entry;
    ngx_queue_t  *q;

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        entry = ngx_queue_data(q, entry_t, chain);

        if (ngx_memcmp(entry->key, key, KEY_LEN) == 0) {
            return entry;
        }
    }

    return NULL;
}


static void
entry_touch(table_t *table, entry_t *entry)
{
    ngx_queue_remove(&entry->use);
    ngx_queue_insert_head(&table->use, &entry->use);
}


/* The entry of a key, as the newest; the oldest gives way for a new one. */
static entry_t *
entry_get(table_t *table, const u_char *key)
{
    entry_t      *entry;
    ngx_queue_t  *bucket, *oldest;

    bucket = entry_bucket(table, key);
    entry = entry_find(bucket, key);

    if (entry == NULL) {
        oldest = ngx_queue_last(&table->use);
        entry = ngx_queue_data(oldest, entry_t, use);

        ngx_queue_remove(&entry->chain);
        ngx_memcpy(entry->key, key, KEY_LEN);
        entry->level = 0;
        entry->told = 0;
        ngx_queue_insert_head(bucket, &entry->chain);
    }

    entry_touch(table, entry);

    return entry;
}


static void
entry_drain(entry_t *entry, const part_t *part)
{
    uint64_t        drained;
    ngx_msec_int_t  elapsed;

    elapsed = (ngx_msec_int_t) (ngx_current_msec - entry->at);

    if (entry->level == 0) {
        entry->at = ngx_current_msec;
        return;
    }

    if (elapsed <= 0) {
        return;                       /* another worker's clock is ahead */
    }

    /* a change of the settings may have left more than fits */

    entry->level = ngx_min(entry->level, part->max * part->window);
    entry->at = ngx_current_msec;

    if ((uint64_t) elapsed >= part->window) {
        entry->level = 0;
        return;
    }

    drained = (uint64_t) elapsed * part->max;
    entry->level -= ngx_min(entry->level, drained);
}


/* Only looks: who is blocked shall not fill the table with new names. */
static ngx_uint_t
part_blocked(table_t *table, const part_t *part, ngx_uint_t *tell)
{
    entry_t  *entry;

    if (part->max == 0) {
        return 0;
    }

    entry = entry_find(entry_bucket(table, part->key), part->key);
    if (entry == NULL) {
        return 0;
    }

    entry_touch(table, entry);
    entry_drain(entry, part);

    if (entry->level + part->window <= part->max * part->window) {
        entry->told = 0;
        return 0;
    }

    *tell = !entry->told;
    entry->told = 1;

    return 1;
}


static void
part_charge(table_t *table, const part_t *part)
{
    entry_t  *entry;

    if (part->max == 0) {
        return;
    }

    entry = entry_get(table, part->key);
    entry_drain(entry, part);
    entry->level += part->window;
}


static void
part_refund(table_t *table, const part_t *part)
{
    entry_t  *entry;

    if (part->max == 0) {
        return;
    }

    entry = entry_find(entry_bucket(table, part->key), part->key);

    if (entry) {
        entry->level -= ngx_min(entry->level, part->window);
    }
}


/* NGX_OK: both parts were charged; NGX_BUSY: none was. */
static ngx_int_t
attempt_charge(zone_t *zone, attempt_t *attempt, ngx_uint_t *tell)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_OK;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < PARTS && rc == NGX_OK; i++) {
        if (part_blocked(zone->table, &attempt->parts[i], tell)) {
            rc = NGX_BUSY;
        }
    }

    for (i = 0; i < PARTS && rc == NGX_OK; i++) {
        part_charge(zone->table, &attempt->parts[i]);
    }

    ngx_shmtx_unlock(&zone->pool->mutex);

    return rc;
}


static void
attempt_refund(zone_t *zone, attempt_t *attempt)
{
    ngx_uint_t  i;

    ngx_shmtx_lock(&zone->pool->mutex);

    for (i = 0; i < PARTS; i++) {
        part_refund(zone->table, &attempt->parts[i]);
    }

    ngx_shmtx_unlock(&zone->pool->mutex);
}


/*
 * The key of "<kind><name>\0<text>" in the table.  HMAC, so that the table's
 * reader cannot try e-mails against it, and nobody can aim at a bucket.
 */
static void
part_key(vault_request_t *vr, part_t *part, u_char kind, const char *name,
    const ngx_str_t *text)
{
    u_char     *p, mac[VAULT_SHA256_LEN];
    ngx_str_t   secret, input;

    secret.data = vr->conf->limits->zone->table->secret;
    secret.len = VAULT_SHA256_LEN;

    input.len = 1 + ngx_strlen(name) + 1 + text->len;
    input.data = vault_alloc(vr, input.len);

    p = input.data;
    *p++ = kind;
    p = ngx_cpymem(p, name, ngx_strlen(name) + 1);

    if (kind == ACCOUNT) {
        ngx_strlow(p, text->data, text->len);

    } else if (text->len) {
        ngx_memcpy(p, text->data, text->len);
    }

    if (vault_hmac_sha256(&secret, &input, mac) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "An attempt could not be counted.");
    }

    ngx_memcpy(part->key, mac, KEY_LEN);
}


/*
 * The bytes of the address that count; none for a UNIX socket, behind which
 * everybody has the same.
 */
static ngx_str_t
client_network(vault_request_t *vr)
{
    ngx_str_t             bytes = ngx_null_string;
    struct sockaddr      *sa;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    if (vr->http == NULL) {
        return bytes;
    }

    sa = vr->http->connection->sockaddr;

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        bytes.data = (u_char *) &sin->sin_addr;
        bytes.len = 4;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        bytes.data = sin6->sin6_addr.s6_addr;
        bytes.len = 8;                /* a subscriber has a /64 at least */

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            bytes.data += 12;
            bytes.len = 4;
        }

        break;
#endif
    }

    return bytes;
}


static void
part_rate(part_t *part, ngx_uint_t max, time_t window)
{
    part->max = ngx_min(max, ATTEMPTS_MAX);
    part->window = (uint64_t) ngx_min(window, WINDOW_MAX) * 1000;
}


static void
attempt_fill(vault_request_t *vr, attempt_t *attempt,
    const vault_limit_t *limit, const ngx_str_t *key)
{
    part_t     *address, *account;
    ngx_str_t   network;

    address = &attempt->parts[ADDRESS];
    account = &attempt->parts[ACCOUNT];

    attempt->vr = vr;
    attempt->limit = limit;

    network = client_network(vr);

    part_rate(address, network.len ? limit->address_max : 0,
              limit->address_window);
    part_rate(account, limit->account_max, limit->account_window);

    part_key(vr, address, ADDRESS, limit->name, &network);
    part_key(vr, account, ACCOUNT, limit->name, key);
}


/* However the request ends, it leaves no attempt behind in the queue. */
static void
attempt_end(void *data)
{
    attempt_t        *attempt = data;
    vault_request_t  *vr = attempt->vr;

    if (attempt->limit == NULL) {
        return;                       /* has passed or failed */
    }

    ngx_queue_remove(&attempt->queue);

    if (vr->reply.status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        attempt_refund(vr->conf->limits->zone, attempt);
    }
}


ngx_uint_t
vault_limit_blocked(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *key)
{
    attempt_t       *attempt;
    ngx_uint_t       tell;
    vault_limits_t  *limits = vr->conf->limits;

    if (limits == NULL) {
        return 0;
    }

    attempt = vault_calloc(vr, sizeof(attempt_t));
    attempt_fill(vr, attempt, limit, key);

    /* whatever can fail comes before the counting */

    ngx_queue_init(&attempt->queue);
    vault_defer(vr, attempt_end, attempt);
    ngx_queue_insert_head(&limits->attempts, &attempt->queue);

    tell = 0;

    if (attempt_charge(limits->zone, attempt, &tell) == NGX_OK) {
        return 0;
    }

    ngx_queue_remove(&attempt->queue);
    attempt->limit = NULL;

    if (tell) {
        ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                      "vault: too many attempts at \"%s\"", limit->name);
    }

    return 1;
}


/* The attempt that this request makes at `key`, off the queue; or NULL. */
static attempt_t *
attempt_take(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *key)
{
    part_t           part;
    attempt_t       *attempt;
    ngx_queue_t     *q;
    vault_limits_t  *limits = vr->conf->limits;

    if (limits == NULL) {
        return NULL;
    }

    part_key(vr, &part, ACCOUNT, limit->name, key);

    for (q = ngx_queue_head(&limits->attempts);
         q != ngx_queue_sentinel(&limits->attempts);
         q = ngx_queue_next(q))
    {
        attempt = ngx_queue_data(q, attempt_t, queue);

        if (attempt->vr == vr && attempt->limit == limit
            && ngx_memcmp(attempt->parts[ACCOUNT].key, part.key, KEY_LEN)
               == 0)
        {
            ngx_queue_remove(q);
            attempt->limit = NULL;
            return attempt;
        }
    }

    return NULL;
}


void
vault_limit_failed(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *key)
{
    (void) attempt_take(vr, limit, key);
}


void
vault_limit_passed(vault_request_t *vr, const vault_limit_t *limit,
    const ngx_str_t *key)
{
    attempt_t  *attempt;

    attempt = attempt_take(vr, limit, key);

    if (attempt) {
        attempt_refund(vr->conf->limits->zone, attempt);
    }
}


ngx_uint_t
vault_limits_blocked(vault_request_t *vr, const ngx_str_t *account)
{
    vault_limits_t  *limits = vr->conf->limits;

    return limits && vault_limit_blocked(vr, &limits->login, account);
}


void
vault_limits_failed(vault_request_t *vr, const ngx_str_t *account)
{
    if (vr->conf->limits) {
        vault_limit_failed(vr, &vr->conf->limits->login, account);
    }
}


void
vault_limits_passed(vault_request_t *vr, const ngx_str_t *account)
{
    if (vr->conf->limits) {
        vault_limit_passed(vr, &vr->conf->limits->login, account);
    }
}
