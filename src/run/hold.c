/*
 * An answer that waits for the tasks that its request has started.  On Lambda
 * the process is frozen when the answer has gone: what is not done by then is
 * done hours later, or never.
 */

#include "run.h"


#define HOLD_LONGEST  10000           /* ms; then the client matters more */

static ngx_queue_t  held;             /* of this worker */


static void
hold_answer(vault_request_t *vr)
{
    ngx_connection_t  *c = vr->http->connection;

    vault_hold_drop(vr);
    ngx_http_set_log_request(c->log, vr->http);

    vault_driver_answer(vr);
    ngx_http_run_posted_requests(c);
}


static void
hold_over(ngx_event_t *ev)
{
    vault_request_t  *vr = ev->data;

    ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                  "vault: the answer waits no longer for what is to be done "
                  "besides");

    hold_answer(vr);
}


ngx_uint_t
vault_hold(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    if (!vr->conf->lambda || !vault_driver_works_for(vr)) {
        return 0;
    }

    if (held.next == NULL) {
        ngx_queue_init(&held);
    }

    run->held = 1;
    ngx_queue_insert_tail(&held, &run->queue);

    run->timeout.handler = hold_over;
    ngx_add_timer(&run->timeout, HOLD_LONGEST);

    return 1;
}


void
vault_hold_drop(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    if (!run->held) {
        return;
    }

    run->held = 0;
    ngx_queue_remove(&run->queue);

    if (run->timeout.timer_set) {
        ngx_del_timer(&run->timeout);
    }
}


static vault_request_t *
hold_next(void)
{
    ngx_queue_t  *q;
    vault_run_t  *run;

    for (q = ngx_queue_head(&held);
         q != ngx_queue_sentinel(&held);
         q = ngx_queue_next(q))
    {
        run = ngx_queue_data(q, vault_run_t, queue);

        if (!vault_driver_works_for(run->timeout.data)) {
            return run->timeout.data;
        }
    }

    return NULL;
}


/* An answer may change the queue: each time from its head. */
void
vault_hold_release(void)
{
    vault_request_t  *vr;

    while (held.next && (vr = hold_next()) != NULL) {
        hold_answer(vr);
    }
}
