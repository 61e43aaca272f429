/*
 * thread - threads for what would block: the life of the pools.  Work is given
 * to them by vault_thread_run() in await.h.
 *
 * Why:    nginx's own pools are named in nginx.conf and all run at the
 *         worker's priority; password hashing must not, or it would take the
 *         event loop's core.
 */

#ifndef VAULT_RUN_THREAD_H
#define VAULT_RUN_THREAD_H

#include "await.h"


/* In each worker.  Threads start when there is work for them. */
ngx_int_t vault_thread_start(ngx_cycle_t *cycle);
void vault_thread_stop(void);

typedef struct {
    ngx_uint_t  threads;
    ngx_uint_t  queued;               /* waiting for a thread */
    ngx_uint_t  running;
} vault_thread_stats_t;

void vault_thread_stats(vault_thread_pool_e pool,
    vault_thread_stats_t *stats);


#endif
