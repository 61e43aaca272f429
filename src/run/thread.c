#include <ngx_config.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "run.h"
#include "thread.h"


#define THREAD_STACK  (512 * 1024)
#define THREAD_QUEUE  4096            /* jobs that may wait; 503 beyond */


typedef struct thread_job_s  thread_job_t;

struct thread_job_s {
    vault_work_pt     work;
    void             *data;
    vault_request_t  *vr;
    thread_job_t     *next;
};

typedef struct {
    thread_job_t     *first;
    thread_job_t    **last;
    ngx_uint_t        n;
} thread_queue_t;

typedef struct {
    const char       *name;
    ngx_uint_t        max;            /* threads */
    int               nice;
    pthread_cond_t    cond;
    thread_queue_t    queue;
    ngx_uint_t        threads;
    ngx_uint_t        idle;
    ngx_uint_t        running;
    pthread_t         ids[16];
} thread_pool_t;


/* Per worker; one lock, since it is held for a few instructions only. */
static thread_pool_t      thread_pools[VAULT_THREAD_POOLS] = {
    [VAULT_THREAD_IO]  = { .name = "io",  .max = 8, .nice = 0 },
    [VAULT_THREAD_CPU] = { .name = "cpu", .max = 1, .nice = 10 }
};

static pthread_mutex_t    thread_lock = PTHREAD_MUTEX_INITIALIZER;
static thread_queue_t     thread_done;
static ngx_uint_t         thread_stopping;
static ngx_connection_t  *thread_event;
static int                thread_fd = -1;


static void
queue_init(thread_queue_t *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->n = 0;
}


static void
queue_push(thread_queue_t *queue, thread_job_t *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->n++;
}


static thread_job_t *
queue_pop(thread_queue_t *queue)
{
    thread_job_t  *job = queue->first;

    queue->first = job->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    queue->n--;

    return job;
}


static void *
thread_main(void *data)
{
    uint64_t        one = 1;
    sigset_t        all;
    thread_job_t   *job;
    thread_pool_t  *pool = data;

    sigfillset(&all);
    (void) pthread_sigmask(SIG_BLOCK, &all, NULL);

    if (pool->nice) {
        (void) setpriority(PRIO_PROCESS, syscall(SYS_gettid), pool->nice);
    }

    (void) pthread_mutex_lock(&thread_lock);

    for ( ;; ) {

        while (pool->queue.first == NULL && !thread_stopping) {
            pool->idle++;
            (void) pthread_cond_wait(&pool->cond, &thread_lock);
            pool->idle--;
        }

        if (pool->queue.first == NULL) {
            break;
        }

        job = queue_pop(&pool->queue);
        pool->running++;
        (void) pthread_mutex_unlock(&thread_lock);

        job->work(job->data, ngx_cycle->log);

        (void) pthread_mutex_lock(&thread_lock);
        pool->running--;
        queue_push(&thread_done, job);

        if (write(thread_fd, &one, sizeof(one)) == -1) {
            /* the counter is full: the event loop will wake anyway */
        }
    }

    (void) pthread_mutex_unlock(&thread_lock);

    return NULL;
}


static void
thread_spawn(thread_pool_t *pool)
{
    int             err;
    pthread_attr_t  attr;

    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, THREAD_STACK);

    err = pthread_create(&pool->ids[pool->threads], &attr, thread_main, pool);

    (void) pthread_attr_destroy(&attr);

    if (err) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, err,
                      "pthread_create() failed");
        return;
    }

    pool->threads++;
}


/* On the main stack: wakes the requests whose work has ended. */
static void
thread_notified(ngx_event_t *ev)
{
    uint64_t       n;
    thread_job_t  *job;

    if (read(thread_fd, &n, sizeof(n)) == -1 && ngx_errno != NGX_EAGAIN) {
        ngx_log_error(NGX_LOG_ALERT, ev->log, ngx_errno,
                      "read() of the threads' eventfd failed");
    }

    ev->ready = 0;

    (void) pthread_mutex_lock(&thread_lock);
    job = thread_done.first;
    queue_init(&thread_done);
    (void) pthread_mutex_unlock(&thread_lock);

    while (job) {
        vault_wake(job->vr);
        job = job->next;
    }

    (void) ngx_handle_read_event(ev, 0);
}


ngx_int_t
vault_thread_start(ngx_cycle_t *cycle)
{
    ngx_uint_t        i, workers;
    ngx_core_conf_t  *ccf;

    if (thread_event) {
        return NGX_OK;
    }

    queue_init(&thread_done);
    thread_stopping = 0;

    for (i = 0; i < VAULT_THREAD_POOLS; i++) {
        queue_init(&thread_pools[i].queue);
        (void) pthread_cond_init(&thread_pools[i].cond, NULL);
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    workers = ccf->worker_processes > 0 ? ccf->worker_processes : 1;
    thread_pools[VAULT_THREAD_CPU].max =
                     ngx_min(ngx_max(ngx_ncpu / (2 * (ngx_int_t) workers), 1),
                             16);

    thread_fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    if (thread_fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "eventfd() failed");
        return NGX_ERROR;
    }

    thread_event = ngx_get_connection(thread_fd, cycle->log);
    if (thread_event == NULL) {
        return NGX_ERROR;
    }

    thread_event->read->handler = thread_notified;
    thread_event->read->log = cycle->log;

    return ngx_handle_read_event(thread_event->read, 0);
}


void
vault_thread_stop(void)
{
    ngx_uint_t      i, n;
    thread_pool_t  *pool;

    if (thread_event == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&thread_lock);
    thread_stopping = 1;

    /* nobody waits for these any more; a disk's work is done to its end */
    queue_init(&thread_pools[VAULT_THREAD_CPU].queue);

    for (i = 0; i < VAULT_THREAD_POOLS; i++) {
        (void) pthread_cond_broadcast(&thread_pools[i].cond);
    }
    (void) pthread_mutex_unlock(&thread_lock);

    for (i = 0; i < VAULT_THREAD_POOLS; i++) {
        pool = &thread_pools[i];

        for (n = 0; n < pool->threads; n++) {
            (void) pthread_join(pool->ids[n], NULL);
        }

        pool->threads = 0;
    }

    ngx_close_connection(thread_event);
    thread_event = NULL;
    thread_fd = -1;
}


void
vault_thread_run(vault_request_t *vr, vault_thread_pool_e which,
    vault_work_pt work, void *data)
{
    ngx_uint_t      full;
    thread_job_t   *job;
    thread_pool_t  *pool = &thread_pools[which];

    job = vault_alloc(vr, sizeof(thread_job_t));
    job->work = work;
    job->data = data;
    job->vr = vr;

    (void) pthread_mutex_lock(&thread_lock);

    if (pool->idle <= pool->queue.n && pool->threads < pool->max) {
        thread_spawn(pool);
    }

    full = pool->queue.n >= THREAD_QUEUE || pool->threads == 0;

    if (!full) {
        queue_push(&pool->queue, job);
        (void) pthread_cond_signal(&pool->cond);
    }

    (void) pthread_mutex_unlock(&thread_lock);

    if (full) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The server is busy. Please try again.");
    }

    vault_run_block(vr);
}


void
vault_thread_stats(vault_thread_pool_e which, vault_thread_stats_t *stats)
{
    thread_pool_t  *pool = &thread_pools[which];

    (void) pthread_mutex_lock(&thread_lock);
    stats->threads = pool->threads;
    stats->queued = pool->queue.n;
    stats->running = pool->running;
    (void) pthread_mutex_unlock(&thread_lock);
}
