/*
 * SQLite behind the port's interface: hands the work to a thread.
 */

#include "../run/await.h"
#include "sqlite.h"


#define BACKGROUND_AGAIN  20          /* ms, if no stack or thread was free */


static void background_start(vault_db_conn_t *conn);
static void lite_close(vault_db_conn_t *conn);


static void
results_free(void *data)
{
    ngx_destroy_pool(data);
}


static vault_sqlite_job_t *
job_create(vault_request_t *vr, vault_db_conn_t *conn, ngx_msec_t timeout)
{
    ngx_pool_cleanup_t  *cln;
    vault_sqlite_job_t  *job;

    job = vault_calloc(vr, sizeof(vault_sqlite_job_t));
    job->conn = conn;
    job->timeout = timeout;

    cln = ngx_pool_cleanup_add(vr->pool, 0);
    if (cln == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "No memory.");
    }

    /* of a thread: the request's own pool and log are not for it */

    job->pool = ngx_create_pool(1024, ngx_cycle->log);
    if (job->pool == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "No memory.");
    }

    cln->handler = results_free;
    cln->data = job->pool;

    return job;
}


static void
open_abandoned(void *data)
{
    lite_close(data);
}


static vault_db_conn_t *
open_as(vault_request_t *vr, void *conf, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error, ngx_uint_t reader)
{
    vault_defer_t       *defer;
    vault_db_conn_t     *conn;
    vault_sqlite_job_t  *job;

    job = job_create(vr, NULL, timeout);

    conn = ngx_calloc(sizeof(vault_db_conn_t), vr->log);
    if (conn == NULL) {
        *status = VAULT_DB_BAD;
        return NULL;
    }

    conn->conf = conf;
    conn->vault = vr->conf;
    conn->reader = reader;
    job->conn = conn;

    defer = vault_defer(vr, open_abandoned, conn);

    vault_thread_run(vr, VAULT_THREAD_IO, vault_sqlite_open, job);

    vault_undefer(defer);

    *status = job->status;
    *error = job->error;

    if (job->status != VAULT_DB_OK) {
        lite_close(conn);
        return NULL;
    }

    return conn;
}


static vault_db_conn_t *
lite_open(vault_request_t *vr, void *conf, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error)
{
    return open_as(vr, conf, timeout, status, error, 0);
}


static vault_db_conn_t *
lite_open_reader(vault_request_t *vr, void *conf, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error)
{
    return open_as(vr, conf, timeout, status, error, 1);
}


static vault_db_status_e
lite_execute(vault_db_conn_t *conn, vault_request_t *vr,
    vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags,
    ngx_msec_t timeout)
{
    vault_sqlite_job_t  *job;

    job = job_create(vr, conn, timeout);
    job->list = list;
    job->n = n;
    job->flags = flags;

    vault_thread_run(vr, VAULT_THREAD_IO, vault_sqlite_run, job);

    return job->status;
}


static void
background_again(ngx_event_t *ev)
{
    background_start(ev->data);
}


static void
background_later(vault_db_conn_t *conn)
{
    conn->again.handler = background_again;
    conn->again.data = conn;
    conn->again.log = ngx_cycle->log;
    conn->again.cancelable = 1;

    ngx_add_timer(&conn->again, BACKGROUND_AGAIN);
}


static void
background_ended(void *data)
{
    vault_db_conn_t  *conn = data;

    if (!conn->worked) {
        background_later(conn);       /* no thread was free */
        return;
    }

    conn->after(conn);
}


static void
background_task(vault_request_t *vr, void *data)
{
    vault_db_conn_t  *conn = data;

    (void) vault_defer(vr, background_ended, conn);

    vault_thread_run(vr, VAULT_THREAD_IO, conn->work, conn);

    conn->worked = 1;
}


/* Disk work without a request: conn->work on a thread, then conn->after. */
static void
background_start(vault_db_conn_t *conn)
{
    conn->worked = 0;

    if (vault_task_start(conn->vault, "sqlite", 0, background_task, conn)
        != NGX_OK)
    {
        background_later(conn);
    }
}


static void
work_rollback(void *data, ngx_log_t *log)
{
    vault_sqlite_rollback(data);
}


static void
after_rollback(vault_db_conn_t *conn)
{
    conn->done(conn, !conn->broken, conn->done_data);
}


static void
lite_drain(vault_db_conn_t *conn,
    void (*done)(vault_db_conn_t *conn, ngx_uint_t usable, void *data),
    void *data)
{
    /* no thread is at it: a request outlives its thread's work */

    if (!conn->open_tx) {
        done(conn, !conn->broken, data);
        return;
    }

    conn->done = done;
    conn->done_data = data;
    conn->work = work_rollback;
    conn->after = after_rollback;

    background_start(conn);
}


static void
work_close(void *data, ngx_log_t *log)
{
    vault_sqlite_close(data);
}


static void
after_close(vault_db_conn_t *conn)
{
    ngx_free(conn);
}


static void
lite_close(vault_db_conn_t *conn)
{
    if (conn->handle == NULL) {
        ngx_free(conn);
        return;
    }

    conn->work = work_close;          /* the last one writes a checkpoint */
    conn->after = after_close;

    background_start(conn);
}


static void
lite_finish(vault_db_conn_t *conn)
{
    vault_sqlite_close(conn);
    ngx_free(conn);
}


static ngx_uint_t
lite_usable(vault_db_conn_t *conn)
{
    return !conn->broken && !conn->open_tx;
}


const vault_db_adapter_t  vault_db_sqlite = {
    .name = "sqlite",
    .connections = VAULT_SQLITE_READERS,
    .configure = vault_sqlite_configure,
    .open = lite_open,
    .open_reader = lite_open_reader,
    .execute = lite_execute,
    .drain = lite_drain,
    .close = lite_close,
    .finish = lite_finish,
    .usable = lite_usable,
    .folder = vault_sqlite_folder,
    .check = vault_sqlite_check
};
