/*
 * run - what the files of run/ know of a request, and nobody else.
 *
 * Life: created by driver.c, running on its coroutine until an await suspends
 * it, resumed by a posted event, ended by driver.c on the main stack.
 */

#ifndef VAULT_RUN_RUN_H
#define VAULT_RUN_RUN_H

#include <ngx_config.h>
#include <setjmp.h>

#include "await.h"
#include "co.h"


/* Why a suspended coroutine was resumed. */
typedef enum {
    RUN_WOKEN = 0,                    /* what it waited for is there */
    RUN_TIMED_OUT,                    /* the await's own timeout */
    RUN_LATE,                         /* the request's deadline */
    RUN_GONE                          /* the client has left */
} run_wake_e;

struct vault_defer_s {
    vault_defer_pt    handler;        /* NULL: called off */
    void             *data;
    vault_defer_t    *next;
};

typedef struct {
    jmp_buf           end;            /* base of the coroutine's stack */
    vault_defer_t    *defers;

    ngx_event_t       wake;           /* posted by vault_wake() */
    ngx_event_t       timeout;        /* of the await */
    ngx_event_t       deadline;       /* armed from the first await on, so that
                                         a worker that shuts down waits */
    ngx_msec_t        longer;         /* what it is put off by until then */
    run_wake_e        reason;
    vault_cancel_pt   cancel;         /* of the pending operation */
    void             *cancel_data;

    vault_task_pt     task;           /* work without a client */
    ngx_queue_t       queue;          /* of all tasks; of held answers */
    ngx_uint_t        serial;         /* of a task; of the last one that was
                                         started before a request */
    void             *task_data;
    const char       *name;

    unsigned          suspended:1;
    unsigned          blocked:1;      /* a thread works: cannot be cancelled */
    unsigned          gone:1;         /* the client has left */
    unsigned          waited:1;       /* has been suspended at least once */
    unsigned          held:1;         /* its answer waits: hold.c */
} vault_run_t;

#define vault_run(vr)  ((vault_run_t *) (vr)->run)


/* Leaves the coroutine's code for good; what was deferred runs after. */
void vault_run_end(vault_request_t *vr) __attribute__((noreturn));

/* Suspends without a way to cancel: for threads. */
void vault_run_block(vault_request_t *vr);

/* Sets up the events of a request that has its coroutine. */
void vault_wait_init(vault_request_t *vr, ngx_uint_t background);
void vault_wait_done(vault_request_t *vr);

/* Resumes the coroutine and, if it has ended, ends the request. */
void vault_driver_resume(vault_request_t *vr);

/* 1 if a task that was started since the request came has not ended. */
ngx_uint_t vault_driver_works_for(vault_request_t *vr);
void vault_driver_answer(vault_request_t *vr);

/*
 * 1 if the answer is to wait for such tasks, where there is no time after it.
 * vault_hold_release() is called when a task has ended.
 */
ngx_uint_t vault_hold(vault_request_t *vr);
void vault_hold_drop(vault_request_t *vr);
void vault_hold_release(void);

/* Small bodies carry passwords: overwritten before nginx keeps the buffers. */
void vault_body_wipe(ngx_http_request_t *r);

/* Builds the API's error object; NGX_ERROR without memory. */
ngx_int_t vault_error_body(ngx_pool_t *pool, const ngx_str_t *field,
    const ngx_str_t *message, vault_reply_t *reply);

/* Sends vr->reply and gives nginx's code for finalizing. */
ngx_int_t vault_reply_send(vault_request_t *vr);


#endif
