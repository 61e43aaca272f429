#include "driver.h"
#include "body.h"
#include "cors.h"
#include "run.h"


static void driver_body_ready(ngx_http_request_t *r);
static void driver_entry(void *data);
static void driver_client_gone(void *data);
static void driver_abort(vault_request_t *vr);
static void driver_finish(vault_request_t *vr);
static void driver_finish_task(vault_request_t *vr);
static ngx_int_t driver_refuse(vault_request_t *vr, ngx_uint_t status,
    const char *message);
static ngx_uint_t driver_admit(vault_request_t *vr, const char **message);
static ngx_uint_t driver_is_api(ngx_str_t *path);


extern ngx_module_t  ngx_http_vault_module;

/* Per worker; each task holds a coroutine, which bounds them. */
static ngx_queue_t  driver_tasks;
static ngx_uint_t   driver_serial;    /* of the task that was started last */
static ngx_uint_t   driver_stopping;
static ngx_uint_t   driver_refusals;


ngx_int_t
vault_driver_handle(ngx_http_request_t *r, vault_conf_t *conf)
{
    ngx_int_t         rc;
    ngx_uint_t        status;
    const char       *message;
    vault_run_t      *run;
    vault_request_t  *vr;

    vr = ngx_pcalloc(r->pool, sizeof(vault_request_t));
    run = ngx_pcalloc(r->pool, sizeof(vault_run_t));
    if (vr == NULL || run == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    vr->http = r;
    vr->pool = r->pool;
    vr->log = r->connection->log;
    vr->conf = conf;
    vr->run = run;
    run->serial = driver_serial;

    if (r->method == NGX_HTTP_OPTIONS && vault_cors_preflight(vr)) {
        (void) ngx_http_discard_request_body(r);
        return vault_reply_send(vr);
    }

    rc = vault_router_find(conf->router, r->method, &r->uri, &vr->route,
                           vr->path_args);

    if (rc == NGX_DECLINED) {
        return driver_is_api(&r->uri)
               ? driver_refuse(vr, NGX_HTTP_NOT_FOUND, "Resource not found.")
               : NGX_DECLINED;
    }

    if (rc == NGX_ABORT) {
        return driver_refuse(vr, NGX_HTTP_NOT_ALLOWED, "Method not allowed.");
    }

    status = driver_admit(vr, &message);
    if (status) {
        return driver_refuse(vr, status, message);
    }

    ngx_http_set_ctx(r, vr, ngx_http_vault_module);

    rc = ngx_http_read_client_request_body(r, driver_body_ready);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/* What can be said before the body comes: 0, or a status and its words. */
static ngx_uint_t
driver_admit(vault_request_t *vr, const char **message)
{
    off_t                 size;
    ngx_uint_t            status;
    const vault_guard_t  *guard = vr->route->guard;

    size = vr->http->headers_in.content_length_n;

    if (size > vault_body_limit(vr)) {
        *message = "The request body is too large.";
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (size < 0 && (vr->route->options & VAULT_BODY_FILE)) {
        *message = "The request must announce its length.";
        return NGX_HTTP_LENGTH_REQUIRED;
    }

    status = guard->admit ? guard->admit(vr, message) : 0;

    return status ? status : vault_body_prepare(vr, message);
}


ngx_uint_t
vault_driver_refused(void)
{
    return driver_refusals;
}


/* Below these, an unknown path is an error of the API, not a missing file. */
static ngx_uint_t
driver_is_api(ngx_str_t *path)
{
    size_t            len;
    ngx_uint_t        i;
    static ngx_str_t  roots[] = {
        ngx_string("/api"),
        ngx_string("/identity"),
        ngx_string("/events"),
        ngx_string("/files"),
        ngx_string("/icons"),
        ngx_string("/notifications"),
        ngx_null_string
    };

    for (i = 0; roots[i].len; i++) {
        len = roots[i].len;

        if (path->len >= len
            && ngx_strncmp(path->data, roots[i].data, len) == 0
            && (path->len == len || path->data[len] == '/'))
        {
            return 1;
        }
    }

    return 0;
}


/* Answers without ever starting a coroutine. */
static ngx_int_t
driver_refuse(vault_request_t *vr, ngx_uint_t status, const char *message)
{
    ngx_str_t  text;

    vr->http->expect_tested = 1;      /* do not ask for what is not read */

    if (ngx_http_discard_request_body(vr->http) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = (u_char *) message;
    text.len = ngx_strlen(message);

    vr->reply.status = status;
    (void) vault_error_body(vr->pool, NULL, &text, &vr->reply);

    return vault_reply_send(vr);
}


static void
driver_body_ready(ngx_http_request_t *r)
{
    vault_request_t     *vr;
    ngx_http_cleanup_t  *cln;

    vr = ngx_http_get_module_ctx(r, ngx_http_vault_module);

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    vr->co = vault_co_create(driver_entry, vr);

    if (vr->co == NULL) {
        driver_refusals++;
        ngx_http_finalize_request(r,
                   driver_refuse(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "The server is busy. Please try again."));
        return;
    }

    cln->handler = driver_client_gone;
    cln->data = vr;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    vault_wait_init(vr, 0);
    vault_driver_resume(vr);
}


ngx_int_t
vault_task_start(vault_conf_t *conf, const char *name, ngx_msec_t deadline,
    vault_task_pt task, void *data)
{
    ngx_pool_t       *pool;
    vault_run_t      *run;
    vault_request_t  *vr;

    if (driver_stopping) {
        return NGX_ERROR;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    vr = ngx_pcalloc(pool, sizeof(vault_request_t));
    run = ngx_pcalloc(pool, sizeof(vault_run_t));
    if (vr == NULL || run == NULL) {
        goto failed;
    }

    vr->pool = pool;
    vr->log = ngx_cycle->log;
    vr->conf = conf;
    vr->run = run;

    run->task = task;
    run->task_data = data;
    run->name = name;
    run->serial = ++driver_serial;

    vr->co = vault_co_create(driver_entry, vr);
    if (vr->co == NULL) {
        goto failed;
    }

    vault_wait_init(vr, 1);

    if (deadline) {
        ngx_add_timer(&run->deadline, deadline);
    }

    if (driver_tasks.next == NULL) {
        ngx_queue_init(&driver_tasks);
    }

    ngx_queue_insert_tail(&driver_tasks, &run->queue);

    /* not at once: the caller may stand on another coroutine */
    vault_wake(vr);

    return NGX_OK;

failed:

    ngx_destroy_pool(pool);
    return NGX_ERROR;
}


static void
driver_entry(void *data)
{
    vault_request_t  *vr = data;
    vault_run_t      *run = vault_run(vr);

    if (run->gone || setjmp(run->end) != 0) {
        return;
    }

    if (run->task) {
        run->task(vr, run->task_data);
        return;
    }

    if (vr->route->guard->check) {
        vr->route->guard->check(vr);
    }

    vr->route->handler(vr);
}


void
vault_run_end(vault_request_t *vr)
{
    if (vault_co_running() != vr->co) {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "a request was ended outside its coroutine");
        ngx_abort();
    }

    longjmp(vault_run(vr)->end, 1);
}


void
vault_driver_resume(vault_request_t *vr)
{
    vault_run_t       *run = vault_run(vr);
    ngx_uint_t         later;
    ngx_connection_t  *c;

    c = vr->http ? vr->http->connection : NULL;

    if (c) {
        ngx_http_set_log_request(c->log, vr->http);
    }

    /* inside nginx's own phases, nginx runs what was posted */
    later = run->waited && !(run->gone && !run->blocked);
    run->suspended = 0;

    if (vault_co_resume(vr->co) == NGX_AGAIN) {
        return;
    }

    if (run->task) {
        driver_finish_task(vr);
        return;
    }

    driver_finish(vr);

    if (later) {
        ngx_http_run_posted_requests(c);
    }
}


static void
driver_run_defers(vault_request_t *vr)
{
    vault_defer_t  *defer;
    vault_run_t    *run = vault_run(vr);

    while (run->defers) {
        defer = run->defers;
        run->defers = defer->next;

        if (defer->handler) {
            defer->handler(defer->data);
        }
    }
}


static void
driver_finish(vault_request_t *vr)
{
    vault_run_t         *run = vault_run(vr);
    ngx_http_request_t  *r = vr->http;

    vault_wait_done(vr);
    vr->co = NULL;

    driver_run_defers(vr);
    vault_body_wipe(r);

    if (run->gone) {

        /*
         * nginx is terminating the request.  If a thread held that up, it left
         * its finalizer in the write handler; otherwise it goes on by itself.
         */

        if (run->blocked) {
            run->blocked = 0;
            r->write_event_handler(r);
        }

        return;
    }

    if (vr->reply.status == 0) {
        vr->reply.status = NGX_HTTP_OK;
    }

    if (!vault_hold(vr)) {
        vault_driver_answer(vr);
    }
}


void
vault_driver_answer(vault_request_t *vr)
{
    ngx_http_finalize_request(vr->http, vault_reply_send(vr));
}


static void
driver_finish_task(vault_request_t *vr)
{
    vault_wait_done(vr);
    vr->co = NULL;

    driver_run_defers(vr);

    ngx_queue_remove(&vault_run(vr)->queue);
    ngx_destroy_pool(vr->pool);

    if (!driver_stopping) {
        vault_hold_release();
    }
}


ngx_uint_t
vault_driver_works_for(vault_request_t *vr)
{
    vault_run_t  *last;

    if (driver_tasks.next == NULL || ngx_queue_empty(&driver_tasks)) {
        return 0;
    }

    last = ngx_queue_data(ngx_queue_last(&driver_tasks), vault_run_t, queue);

    return last->serial > vault_run(vr)->serial;
}


/* nginx calls this first when it terminates or frees a request. */
static void
driver_client_gone(void *data)
{
    vault_request_t  *vr = data;

    if (vr->co) {                     /* has not ended yet */
        driver_abort(vr);

    } else {
        vault_hold_drop(vr);
    }
}


void
vault_driver_stop(void)
{
    ngx_queue_t  *q, *next;
    vault_run_t  *run;

    driver_stopping = 1;

    if (driver_tasks.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&driver_tasks);
         q != ngx_queue_sentinel(&driver_tasks);
         q = next)
    {
        next = ngx_queue_next(q);
        run = ngx_queue_data(q, vault_run_t, queue);
        driver_abort(run->wake.data);
    }
}


static void
driver_abort(vault_request_t *vr)
{
    vault_run_t  *run = vault_run(vr);

    run->gone = 1;

    if (run->blocked) {
        return;                       /* the thread's end resumes it */
    }

    if (run->cancel) {
        run->cancel(run->cancel_data);
        run->cancel = NULL;
    }

    run->reason = RUN_GONE;
    vault_driver_resume(vr);
}
