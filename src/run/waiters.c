/*
 * Those who wait, first come first.  A client may leave between its release and
 * the moment that it runs again.
 */

#include "waiters.h"


typedef struct {
    ngx_queue_t       queue;
    vault_request_t  *vr;
    ngx_int_t         result;
} waiter_t;


void
vault_waiters_init(vault_waiters_t *waiters)
{
    ngx_queue_init(&waiters->queue);
}


/* Out of any queue; once more does no harm. */
static void
leave(void *data)
{
    waiter_t  *waiter = data;

    ngx_queue_remove(&waiter->queue);
    ngx_queue_init(&waiter->queue);
}


ngx_int_t
vault_waiters_join(vault_request_t *vr, vault_waiters_t *waiters,
    ngx_msec_t timeout)
{
    waiter_t  waiter;

    waiter.vr = vr;
    waiter.result = NGX_BUSY;
    ngx_queue_insert_tail(&waiters->queue, &waiter.queue);

    (void) vault_wait(vr, timeout, leave, &waiter);

    return waiter.result;
}


void
vault_waiters_release(vault_waiters_t *waiters, ngx_int_t result)
{
    waiter_t     *waiter;
    ngx_queue_t  *first;

    while (!ngx_queue_empty(&waiters->queue)) {
        first = ngx_queue_head(&waiters->queue);
        waiter = ngx_queue_data(first, waiter_t, queue);
        leave(waiter);

        waiter->result = result;
        vault_wake(waiter->vr);
    }
}
