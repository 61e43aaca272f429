/*
 * co - coroutines with stacks of their own, known to run/ only.
 *
 * Why:    a request that waits keeps its place in the code.
 * Use:    vault_co_create(), then vault_co_resume() until it is done.
 * Owns:   a bounded pool of 256 KiB stacks a worker, each with a guard page
 *         below; ended coroutines give theirs back, a few are kept warm.
 * Fails:  vault_co_create() gives NULL when the bound is reached.
 */

#ifndef VAULT_RUN_CO_H
#define VAULT_RUN_CO_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct vault_co_s  vault_co_t;
typedef void (*vault_co_pt)(void *data);

/* The most coroutines alive at once in this worker. */
void vault_co_limit(ngx_uint_t max);

vault_co_t *vault_co_create(vault_co_pt entry, void *data);

/*
 * Runs the coroutine until it suspends (NGX_AGAIN) or its entry returns
 * (NGX_DONE: the coroutine is gone).  Main stack only.
 */
ngx_int_t vault_co_resume(vault_co_t *co);

/* Gives control back to whoever resumed the running coroutine. */
void vault_co_suspend(void);

/* The running coroutine, NULL on the main stack. */
vault_co_t *vault_co_running(void);

/* How many are alive. */
ngx_uint_t vault_co_count(void);


#endif
