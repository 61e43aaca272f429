/*
 * waiters - requests of this worker that wait for one and the same thing.
 *
 * Why:    a hundred who need new keys make one task fetch them; each may leave
 *         without harm to the others.
 * Use:    whoever needs it starts the task if none runs, and joins; the task
 *         lets all go, however it ends (vault_defer).
 * Owns:   nothing; a waiter lives on the stack of its request.
 * Fails:  as vault_wait().
 */

#ifndef VAULT_RUN_WAITERS_H
#define VAULT_RUN_WAITERS_H

#include "await.h"


typedef struct {
    ngx_queue_t  queue;
} vault_waiters_t;

void vault_waiters_init(vault_waiters_t *waiters);

/*
 * Awaits vault_waiters_release() and returns what was given to it, or NGX_BUSY
 * after `timeout` ms.
 */
ngx_int_t vault_waiters_join(vault_request_t *vr, vault_waiters_t *waiters,
    ngx_msec_t timeout);

/* All of them go on, soon: they run when this stack has done. */
void vault_waiters_release(vault_waiters_t *waiters, ngx_int_t result);


#endif
