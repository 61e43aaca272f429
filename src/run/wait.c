/*
 * Suspending and resuming.  A coroutine is only ever resumed from a posted
 * event (or by the client's leaving), never from inside another one, so the
 * order of what happens does not depend on who woke whom.
 */

#include "run.h"


static void wait_woken(ngx_event_t *ev);
static void wait_timed_out(ngx_event_t *ev);
static void wait_late(ngx_event_t *ev);


static void
wait_event(vault_request_t *vr, ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_uint_t cancelable)
{
    ev->handler = handler;
    ev->data = vr;
    ev->log = vr->log;
    ev->cancelable = cancelable;
}


void
vault_wait_init(vault_request_t *vr, ngx_uint_t background)
{
    vault_run_t  *run = vault_run(vr);

    wait_event(vr, &run->wake, wait_woken, background);
    wait_event(vr, &run->timeout, wait_timed_out, background);
    wait_event(vr, &run->deadline, wait_late, background);
}


void
vault_wait_done(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    if (run->wake.posted) {
        ngx_delete_posted_event(&run->wake);
    }

    if (run->timeout.timer_set) {
        ngx_del_timer(&run->timeout);
    }

    if (run->deadline.timer_set) {
        ngx_del_timer(&run->deadline);
    }
}


static void
wait_suspend(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    if (vr->http && !run->waited && vr->conf->deadline) {
        ngx_add_timer(&run->deadline, vr->conf->deadline + run->longer);
    }

    run->waited = 1;
    run->suspended = 1;
    run->reason = RUN_WOKEN;

    vault_co_suspend();
}


void
vault_wait_longer(vault_request_t *vr, ngx_msec_t ms)
{
    vault_run_t      *run = vault_run(vr);
    ngx_msec_int_t    left;

    if (!run->deadline.timer_set) {
        run->longer += ms;            /* not yet armed */
        return;
    }

    left = (ngx_msec_int_t) (run->deadline.timer.key - ngx_current_msec);

    ngx_del_timer(&run->deadline);
    ngx_add_timer(&run->deadline, (left > 0 ? (ngx_msec_t) left : 0) + ms);
}


ngx_int_t
vault_wait(vault_request_t *vr, ngx_msec_t timeout, vault_cancel_pt cancel,
    void *data)
{
    vault_run_t  *run = vault_run(vr);

    run->cancel = cancel;
    run->cancel_data = data;

    if (timeout) {
        ngx_add_timer(&run->timeout, timeout);
    }

    wait_suspend(vr);

    run->cancel = NULL;

    if (run->timeout.timer_set) {
        ngx_del_timer(&run->timeout);
    }

    switch (run->reason) {

    case RUN_WOKEN:
        return NGX_OK;

    case RUN_TIMED_OUT:
        return NGX_BUSY;

    case RUN_LATE:
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The server took too long. Please try again.");

    default: /* RUN_GONE */
        vault_run_end(vr);
    }
}


void
vault_run_block(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    run->blocked = 1;

    if (vr->http) {
        vr->http->main->blocked++;
    }

    wait_suspend(vr);

    if (vr->http) {
        vr->http->main->blocked--;
    }

    if (run->gone) {
        vault_run_end(vr);            /* blocked stays: driver_finish() */
    }

    run->blocked = 0;
}


void
vault_wake(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    if (!run->wake.posted) {
        ngx_post_event(&run->wake, &ngx_posted_events);
    }
}


static void
wait_woken(ngx_event_t *ev)
{
    vault_driver_resume(ev->data);
}


static void
wait_cut(vault_request_t *vr, run_wake_e reason)
{
    vault_run_t  *run = vault_run(vr);

    if (run->wake.posted) {
        return;                       /* what it waits for has just come */
    }

    if (run->cancel) {
        run->cancel(run->cancel_data);
        run->cancel = NULL;
    }

    run->reason = reason;
    vault_driver_resume(vr);
}


static void
wait_timed_out(ngx_event_t *ev)
{
    wait_cut(ev->data, RUN_TIMED_OUT);
}


static void
wait_late(ngx_event_t *ev)
{
    vault_request_t  *vr = ev->data;

    if (vault_run(vr)->blocked) {
        ngx_add_timer(ev, 1000);      /* a thread cannot be cut short */
        return;
    }

    if (vault_run(vr)->wake.posted) {
        ngx_add_timer(ev, 1);         /* the next await ends at once */
        return;
    }

    wait_cut(vr, RUN_LATE);
}


static void
sleep_cancel(void *data)
{
}


void
vault_sleep(vault_request_t *vr, ngx_msec_t ms)
{
    (void) vault_wait(vr, ms ? ms : 1, sleep_cancel, NULL);
}
