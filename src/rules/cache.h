/*
 * cache - whole answers, kept by a worker for as long as they are true.
 *
 * Why:    most syncs find an unchanged vault; its answer is the same bytes.
 * Use:    vault_cache_reply(), else make the answer and vault_cache_keep() it.
 *         `key` says whose answer and of which kind, `mark` the state that it
 *         was made from: an entry serves exactly the mark it was kept with,
 *         so nothing ever has to be invalidated.
 * Owns:   a worker's own memory, bounded by the size it was created with, the
 *         longest unused entry going first.  Bytes that an answer in flight
 *         points into live until its pool goes, even when their entry has
 *         gone; these are bounded by the number of requests.
 * Fails:  never: without memory an answer is not kept.
 * Waits:  never.
 */

#ifndef VAULT_RULES_CACHE_H
#define VAULT_RULES_CACHE_H

#include "../run/request.h"


typedef struct {
    ngx_uint_t  entries;
    size_t      bytes;
    ngx_uint_t  hits;
    ngx_uint_t  misses;
} vault_cache_stats_t;

/* At most `max` bytes in each worker; 0: nothing is kept.  NULL: no memory. */
vault_cache_t *vault_cache_create(ngx_pool_t *pool, size_t max);

/* Answers from the cache, without a copy: 1; or 0. */
ngx_uint_t vault_cache_reply(vault_request_t *vr, const ngx_str_t *key,
    const ngx_str_t *mark);

/* Keeps a copy of the JSON answer that `vr` is about to give. */
void vault_cache_keep(vault_request_t *vr, const ngx_str_t *key,
    const ngx_str_t *mark);

void vault_cache_stats(vault_cache_t *cache, vault_cache_stats_t *stats);


#endif
