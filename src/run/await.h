/*
 * await - what a coroutine does instead of blocking.
 *
 * Why:    an endpoint reads top to bottom; the event loop never waits.
 * Use:    a port (db, net) starts an operation whose completion handler calls
 *         vault_wake(), then calls vault_wait().  Everybody else uses the
 *         ports, vault_sleep() or vault_thread_run().
 * Fails:  a client that has left, or the request's deadline, ends the request
 *         inside the await; nothing after it runs, only what was deferred.
 * Owns:   nothing.  While a thread works, the request is kept alive.
 */

#ifndef VAULT_RUN_AWAIT_H
#define VAULT_RUN_AWAIT_H

#include "request.h"


/*
 * Stops the operation: afterwards nobody calls vault_wake() for it.  It may
 * come after vault_wake() too, if the client leaves before the request runs
 * again: then it gives back what the operation has brought.
 */
typedef void (*vault_cancel_pt)(void *data);

/* Work for a thread: no request, no nginx object, only `data`. */
typedef void (*vault_work_pt)(void *data, ngx_log_t *log);

/*
 * Suspends until vault_wake(vr).  Returns NGX_OK when woken, or, after
 * `timeout` ms (0: only the request's own deadline), NGX_BUSY with cancel(data)
 * already called.  If the client leaves or the deadline passes, cancel(data)
 * is called and the function does not return.
 */
ngx_int_t vault_wait(vault_request_t *vr, ngx_msec_t timeout,
    vault_cancel_pt cancel, void *data);

/* From an event handler on the main stack: resumes the request. */
void vault_wake(vault_request_t *vr);

/*
 * Puts the request's deadline off: for bytes that must still go elsewhere, as
 * long as they take at the slowest.
 */
void vault_wait_longer(vault_request_t *vr, ngx_msec_t ms);

/* Awaits `ms` milliseconds. */
void vault_sleep(vault_request_t *vr, ngx_msec_t ms);

/*
 * Runs work(data) on a thread and awaits its end.  It cannot be cancelled: if
 * the client leaves, the request ends when the work does, and only then is
 * its pool destroyed, so `data` may live in it.  503 if the queue is full.
 *
 *   VAULT_THREAD_IO   SQLite and files: many threads, short work.
 *   VAULT_THREAD_CPU  password hashing, big bodies: few threads at a low
 *                     priority, so that the event loop keeps its core.
 */
typedef enum {
    VAULT_THREAD_IO = 0,
    VAULT_THREAD_CPU,
    VAULT_THREAD_POOLS
} vault_thread_pool_e;

void vault_thread_run(vault_request_t *vr, vault_thread_pool_e pool,
    vault_work_pt work, void *data);

/*
 * Starts work without a client, on a coroutine of its own: jobs, refreshes,
 * migrations.  `name` is for the log.  The pool is made and destroyed here;
 * `deadline` in ms, 0 for none.  NGX_ERROR if no stack is free.
 */
typedef void (*vault_task_pt)(vault_request_t *vr, void *data);

ngx_int_t vault_task_start(vault_conf_t *conf, const char *name,
    ngx_msec_t deadline, vault_task_pt task, void *data);


#endif
