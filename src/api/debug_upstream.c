/*
 * Endpoints for the tests of net/upstream*.c, in debug builds only: a call
 * as the query string describes it, from a request or from a task.
 */

#include "../net/upstream.h"
#include "../run/await.h"
#include "api.h"

#if (VAULT_DEBUG)

#define HOSTS  64

static void upstream_ask(vault_request_t *vr);
static void upstream_task(vault_request_t *vr);
static void upstream_result(vault_request_t *vr);
static void upstream_close(vault_request_t *vr);


const vault_route_t  vault_debug_upstream_routes[] = {
    { POST,   "/api/debug/upstream",      upstream_ask,    VAULT_ANYONE,
      128 * 1024 * 1024 },
    { DELETE, "/api/debug/upstream",      upstream_close,  VAULT_ANYONE },
    { POST,   "/api/debug/upstream/task", upstream_task,   VAULT_ANYONE },
    { GET,    "/api/debug/upstream/task", upstream_result, VAULT_ANYONE },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t          key;
    vault_upstream_t  *up;
} host_t;

/* A task outlives the request that starts it. */
typedef struct {
    vault_upstream_t  *up;
    u_char             target[256];
    u_char             method[16];
    u_char             file[256];
    ngx_msec_t         silence;
    ngx_uint_t         times;
    ngx_uint_t         started;
    ngx_uint_t         done;
    ngx_uint_t         ended;         /* well or cut off */
    ngx_uint_t         status;
    u_char             error[128];
} task_t;

static host_t      hosts[HOSTS];
static ngx_uint_t  nhosts;
static task_t      task;


static ngx_uint_t
arg_number(vault_request_t *vr, const char *name)
{
    ngx_int_t  n;
    ngx_str_t  arg = vault_query_arg(vr, name);

    n = ngx_atoi(arg.data, arg.len);

    return n > 0 ? (ngx_uint_t) n : 0;
}


static char *
arg_text(vault_request_t *vr, const char *name)
{
    ngx_str_t  arg = vault_query_arg(vr, name);

    return (char *) vault_printf(vr, "%V%Z", &arg).data;
}


/* ?host=&port=&tls=&ca= */
static vault_upstream_t *
find_host(vault_request_t *vr)
{
    char        *ca;
    host_t      *host;
    ngx_str_t    key, name;
    ngx_uint_t   i, port, tls;
    ngx_conf_t   cf;

    name = vault_query_arg(vr, "host");
    port = arg_number(vr, "port");
    tls = arg_number(vr, "tls");
    ca = arg_text(vr, "ca");
    key = vault_printf(vr, "%V %ui %ui %s", &name, port, tls, ca);

    for (i = 0; i < nhosts; i++) {
        if (hosts[i].key.len == key.len
            && ngx_memcmp(hosts[i].key.data, key.data, key.len) == 0)
        {
            return hosts[i].up;
        }
    }

    if (nhosts == HOSTS) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Too many hosts.");
    }

    ngx_memzero(&cf, sizeof(ngx_conf_t));
    cf.pool = ngx_cycle->pool;
    cf.log = ngx_cycle->log;
    cf.cycle = (ngx_cycle_t *) ngx_cycle;

    host = &hosts[nhosts];
    host->key.data = ngx_pstrdup(ngx_cycle->pool, &key);
    host->key.len = key.len;
    host->up = vault_upstream_create(&cf, &name, port, tls,
                                     *ca ? ca : NULL);
    if (host->up == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "No such host.");
    }

    nhosts++;

    return host->up;
}


static void
close_file(void *data)
{
    ngx_file_t  *file = data;

    (void) ngx_close_file(file->fd);
}


/* The whole of a file but for its first `from` bytes. */
static void
attach_file(vault_request_t *vr, vault_upstream_call_t *call, u_char *path,
    off_t from)
{
    ngx_buf_t        *b;
    ngx_file_t       *file;
    ngx_file_info_t   info;

    file = vault_calloc(vr, sizeof(ngx_file_t));
    file->name.data = path;
    file->name.len = ngx_strlen(path);
    file->log = vr->log;
    file->fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file->fd == NGX_INVALID_FILE) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "No such file.");
    }

    (void) vault_defer(vr, close_file, file);

    if (ngx_fd_info(file->fd, &info) == NGX_FILE_ERROR) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "No such file.");
    }

    b = vault_calloc(vr, sizeof(ngx_buf_t));
    b->file = file;
    b->file_pos = from;
    b->file_last = ngx_file_size(&info);
    b->in_file = 1;

    call->body = vault_calloc(vr, sizeof(ngx_chain_t));
    call->body->buf = b;
    call->size = b->file_last - b->file_pos;
}


static void
attach_body(vault_request_t *vr, vault_upstream_call_t *call)
{
    u_char                   *path;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb = vr->http->request_body;

    path = (u_char *) arg_text(vr, "file");

    if (*path) {
        attach_file(vr, call, path, arg_number(vr, "from"));
        return;
    }

    call->body = rb ? rb->bufs : NULL;

    for (cl = call->body; cl; cl = cl->next) {
        call->size += ngx_buf_size(cl->buf);
    }

    call->size += arg_number(vr, "lie");
}


static void
upstream_reply(vault_request_t *vr, vault_http_answer_t *answer)
{
    ngx_str_t        text;
    ngx_keyval_t    *pair;
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_integer(w, "status", answer->status);
    vault_json_integer(w, "size", answer->body.len);
    vault_json_integer(w, "headers",
                       answer->headers ? answer->headers->nelts : 0);

    if (answer->headers && answer->headers->nelts) {
        pair = answer->headers->elts;
        text = vault_printf(vr, "%*s: %*s",
                            ngx_min(pair->key.len, 500), pair->key.data,
                            ngx_min(pair->value.len, 500), pair->value.data);
        vault_json_string(w, "first", &text);
    }

    if (answer->body.len < 32 * 1024) {
        vault_json_string(w, "body", &answer->body);
    }

    vault_json_string(w, "error", &answer->error);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}


/* ?method=&target=&as=&header=&max=&connect=&silence=&times= */
static void
upstream_ask(vault_request_t *vr)
{
    ngx_uint_t              i, times;
    ngx_keyval_t            header;
    vault_upstream_t       *up;
    vault_http_answer_t     answer;
    vault_upstream_call_t   call;

    ngx_memzero(&call, sizeof(vault_upstream_call_t));

    up = find_host(vr);
    call.method = arg_text(vr, "method");
    call.target = vault_query_arg(vr, "target");
    call.host = vault_query_arg(vr, "as");
    call.max = arg_number(vr, "max");
    call.connect = arg_number(vr, "connect");
    call.silence = arg_number(vr, "silence");
    attach_body(vr, &call);

    ngx_str_set(&header.key, "X-Test");
    header.value = vault_query_arg(vr, "header");
    call.headers = &header;
    call.nheaders = header.value.data ? 1 : 0;

    times = ngx_max(arg_number(vr, "times"), 1);

    for (i = 0; i < times; i++) {
        (void) vault_upstream_request(vr, up, &call, &answer);   /* awaits */
    }

    upstream_reply(vr, &answer);
}


static void
task_ended(void *data)
{
    task.ended++;
}


static void
task_run(vault_request_t *vr, void *data)
{
    vault_http_answer_t     answer;
    vault_upstream_call_t   call;

    ngx_memzero(&call, sizeof(vault_upstream_call_t));
    (void) vault_defer(vr, task_ended, NULL);

    call.method = (char *) task.method;
    call.target.data = task.target;
    call.target.len = ngx_strlen(task.target);
    call.silence = task.silence;
    ngx_str_set(&call.host, "localhost");

    if (task.file[0]) {
        attach_file(vr, &call, task.file, 0);
    }

    while (task.done < task.times) {
        (void) vault_upstream_request(vr, task.up, &call, &answer);
        task.status = answer.status;
        (void) ngx_snprintf(task.error, 127, "%V%Z", &answer.error);
        task.done++;
    }
}


/* The same without a client: ?…&deadline= */
static void
upstream_task(vault_request_t *vr)
{
    ngx_uint_t  started = task.started + 1;

    ngx_memzero(&task, sizeof(task_t));

    task.started = started;
    task.up = find_host(vr);
    task.times = ngx_max(arg_number(vr, "times"), 1);
    task.silence = arg_number(vr, "silence");
    (void) ngx_cpystrn(task.method, (u_char *) arg_text(vr, "method"), 16);
    (void) ngx_cpystrn(task.target, (u_char *) arg_text(vr, "target"), 256);
    (void) ngx_cpystrn(task.file, (u_char *) arg_text(vr, "file"), 256);

    if (vault_task_start(vr->conf, "debug upstream",
                         arg_number(vr, "deadline"), task_run, NULL)
        != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, "No task.");
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
upstream_result(vault_request_t *vr)
{
    ngx_str_t        error;
    vault_writer_t  *w;

    error.data = task.error;
    error.len = ngx_strlen(task.error);

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_integer(w, "done", task.done);
    vault_json_integer(w, "ended", task.ended);
    vault_json_integer(w, "status", task.status);
    vault_json_string(w, "error", &error);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}


static void
upstream_close(vault_request_t *vr)
{
    ngx_uint_t  i;

    for (i = 0; i < nhosts; i++) {
        vault_upstream_stop(hosts[i].up);
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}

#endif
