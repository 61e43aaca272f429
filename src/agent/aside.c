/*
 * The child makes itself an event loop of what the configuration's "events"
 * block has said already, as a worker does, but with nothing to listen to.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "../net/http.h"
#include "../run/co.h"
#include "../run/thread.h"
#include "aside.h"


#define TASKS  64                     /* coroutines, in the child */
#define MORE   2000                   /* ms for the child to end by itself */

typedef struct {
    vault_task_pt   task;
    void           *data;
    ngx_uint_t      ended;
} job_t;


static void
ended(void *data)
{
    job_t  *job = data;

    job->ended = 1;
}


static void
run(vault_request_t *vr, void *data)
{
    job_t  *job = data;

    (void) vault_defer(vr, ended, job);

    job->task(vr, job->data);
}


static ngx_int_t
become(ngx_cycle_t *cycle)
{
    ngx_process = NGX_PROCESS_HELPER;
    ngx_pid = ngx_getpid();
    ngx_cycle = cycle;
    cycle->listening.nelts = 0;

    vault_co_limit(TASKS);

    return ngx_event_core_module.init_process(cycle) == NGX_OK
           && vault_thread_start(cycle) == NGX_OK
           && vault_http_start(cycle) == NGX_OK ? NGX_OK : NGX_ERROR;
}


static void
child(int out, ngx_cycle_t *cycle, vault_conf_t *conf, job_t *job,
    ngx_msec_t timeout, const u_char *answer, size_t size)
{
    ssize_t  n;

    if (become(cycle) != NGX_OK
        || vault_task_start(conf, "aside", timeout, run, job) != NGX_OK)
    {
        _exit(2);
    }

    ngx_event_process_posted(cycle, &ngx_posted_events);

    while (!job->ended) {
        ngx_process_events_and_timers(cycle);
    }

    while (size) {
        n = write(out, answer, size);

        if (n <= 0) {
            _exit(2);
        }

        answer += n;
        size -= n;
    }

    _exit(0);
}


static ngx_int_t
receive(int in, u_char *answer, size_t size, ngx_msec_t timeout)
{
    ssize_t        n;
    ngx_uint_t     waited;
    struct pollfd  fd = { in, POLLIN, 0 };

    for (waited = 0; size && waited < timeout; /* void */ ) {

        if (poll(&fd, 1, 10) <= 0) {
            waited += 10;
            continue;
        }

        n = read(in, answer, size);

        if (n <= 0) {
            break;
        }

        answer += n;
        size -= n;
    }

    return size ? NGX_ERROR : NGX_OK;
}


/* In a process with an event loop, the child would meddle with the parent's. */
static ngx_int_t
is_possible(ngx_cycle_t *cycle)
{
    if (ngx_event_actions.process_events) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "vault agent: with \"master_process off\" nothing can "
                      "be fetched while nginx runs: restart it");
        return 0;
    }

    if (ngx_get_conf(cycle->conf_ctx, ngx_events_module) == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "vault agent: write the block \"events\" before "
                      "\"http\"");
        return 0;
    }

    return 1;
}


ngx_int_t
vault_aside_run(ngx_cycle_t *cycle, vault_conf_t *conf, vault_task_pt task,
    void *data, ngx_msec_t timeout, void *answer, size_t size)
{
    int        fd[2];
    job_t      job = { task, data, 0 };
    pid_t      pid;
    ngx_int_t  rc;

    if (!is_possible(cycle) || pipe(fd) == -1) {
        return NGX_ERROR;
    }

    pid = fork();

    if (pid == 0) {
        (void) close(fd[0]);
        child(fd[1], cycle, conf, &job, timeout, answer, size);
    }

    (void) close(fd[1]);

    rc = pid > 0 ? receive(fd[0], answer, size, timeout + MORE) : NGX_ERROR;

    (void) close(fd[0]);

    if (pid > 0) {
        if (rc != NGX_OK) {
            (void) kill(pid, SIGKILL);
        }

        /* or nginx has reaped it already */
        (void) waitpid(pid, NULL, 0);
    }

    return rc;
}
