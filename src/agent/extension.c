/*
 * The life of an extension: get ready, register, then ask for one event after
 * the other.  Each is a task of its own, so that none of them keeps memory.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>

#include "../net/http.h"
#include "../run/await.h"
#include "extension.h"
#include "token.h"


#define SECOND    1000                /* ms */
#define READY     (8 * SECOND)        /* of the 10 s that Lambda gives to all */
#define REGISTER  (1 * SECOND)
#define INVOKE    500                 /* that a refresh may put the next
                                         "next" off */
#define SHUTDOWN  (1 * SECOND)        /* of 2 s */
#define FOREVER   (24 * 24 * 3600 * SECOND)
#define POLL      1
#define AGAIN     100                 /* after a "next" that broke */

typedef enum {
    GET_READY = 0,
    JOIN,
    SERVE
} step_e;

typedef void (*step_pt)(vault_request_t *vr, vault_extension_t *ext);

typedef struct {
    ngx_str_t  type;
} event_t;

static const vault_field_t  event_fields[] = {
    { "eventType", VAULT_TEXT, offsetof(event_t, type), VAULT_REQUIRED, 64 },
    VAULT_FIELDS_END
};

static const vault_shape_t  event_shape = VAULT_SHAPE(event_fields, event_t);

static int  signal_pipe[2];

static void get_ready(vault_request_t *vr, vault_extension_t *ext);
static void join(vault_request_t *vr, vault_extension_t *ext);
static void serve(vault_request_t *vr, vault_extension_t *ext);

static const struct {
    step_pt     run;
    ngx_msec_t  deadline;
} steps[] = {
    [GET_READY] = { get_ready, READY },
    [JOIN] = { join, 2 * REGISTER },
    [SERVE] = { serve, 0 }
};


/* The end */

static void
quit(vault_extension_t *ext, ngx_uint_t failed)
{
    ngx_uint_t       i;
    vault_agent_t  **agent = ext->agents->elts;

    ngx_terminate = 1;

    if (!failed) {
        return;
    }

    for (i = 0; i < ext->agents->nelts; i++) {
        vault_agent_wipe(agent[i]);
    }

    _exit(1);                         /* nginx would end with 0 */
}


/* The first trouble counts. */
static void
complain(vault_extension_t *ext, const char *type, const char *fmt, ...)
{
    u_char   *last;
    va_list   args;

    if (ext->trouble) {
        return;
    }

    va_start(args, fmt);
    last = ngx_vslprintf(ext->why, ext->why + VAULT_EXTENSION_WHY, fmt, args);
    va_end(args);

    ext->trouble = type;
    ext->why_len = last - ext->why;

    ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0,
                  "vault extension: cannot start: %*s", ext->why_len,
                  ext->why);
}


/* The Extensions API */

static ngx_int_t
ask(vault_request_t *vr, vault_extension_t *ext, const char *method,
    const char *path, const ngx_keyval_t *header, const ngx_str_t *body,
    ngx_msec_t total, vault_http_answer_t *answer)
{
    ngx_keyval_t       headers[3];
    vault_http_call_t  call;

    ngx_memzero(&call, sizeof(vault_http_call_t));
    call.method = method;
    call.url = vault_printf(vr, "http://%V/2020-01-01/extension/%s",
                            &ext->api, path);
    call.connect = REGISTER;
    call.total = total;
    call.headers = headers;

    if (ext->id_len == 0) {
        ngx_str_set(&headers[0].key, "Lambda-Extension-Name");
        headers[0].value = ext->name;
    } else {
        ngx_str_set(&headers[0].key, "Lambda-Extension-Identifier");
        headers[0].value.data = ext->id;
        headers[0].value.len = ext->id_len;
    }

    call.nheaders = 1;

    if (body) {
        call.body = *body;
        ngx_str_set(&headers[1].key, "Content-Type");
        ngx_str_set(&headers[1].value, "application/json");
        call.nheaders = 2;
    }

    if (header) {
        headers[call.nheaders++] = *header;
    }

    return vault_http_request(vr, &call, answer);
}


/* Ready */

static ngx_int_t
await_tokens(vault_request_t *vr, vault_extension_t *ext)
{
    ngx_str_t        token, why;
    ngx_uint_t       i, serial;
    vault_agent_t  **agent = ext->agents->elts;

    for (i = 0; i < ext->agents->nelts; i++) {
        ext->waits_for = agent[i]->settings.name;

        if (vault_agent_wait(vr, agent[i], &token, &serial) != NGX_OK) {
            why = vault_agent_trouble(agent[i], vr->pool);
            complain(ext, "Extension.LoginFailed", "no token of %V: %V",
                     &agent[i]->settings.name, &why);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
await_secret(vault_request_t *vr, vault_extension_t *ext,
    vault_agent_secret_t *secret)
{
    ext->waits_for = secret->path;

    while (!secret->written) {

        if (secret->state == VAULT_AGENT_FAILED) {
            complain(ext, "Extension.SecretFailed", "secret \"%V\": %*s",
                     &secret->path, secret->why_len, secret->why);
            return NGX_ERROR;
        }

        vault_sleep(vr, POLL);
    }

    return NGX_OK;
}


static void
get_ready(vault_request_t *vr, vault_extension_t *ext)
{
    ngx_uint_t             i;
    vault_agent_secret_t  *secret = ext->secrets->elts;

    if (await_tokens(vr, ext) == NGX_OK) {

        for (i = 0; i < ext->secrets->nelts; i++) {
            if (await_secret(vr, ext, &secret[i]) != NGX_OK) {
                break;
            }
        }
    }

    ext->done = 1;
}


/* Register */

/* Lambda takes it of those only who have registered. */
static void
tell_trouble(vault_request_t *vr, vault_extension_t *ext)
{
    ngx_str_t            body, why, type;
    ngx_keyval_t         header;
    vault_writer_t       w;
    vault_http_answer_t  answer;

    why.data = ext->why;
    why.len = ext->why_len;
    type.data = (u_char *) ext->trouble;
    type.len = ngx_strlen(ext->trouble);

    ngx_str_set(&header.key, "Lambda-Extension-Function-Error-Type");
    header.value = type;

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_string(&w, "errorMessage", &why);
    vault_json_string(&w, "errorType", &type);
    vault_json_open(&w, "stackTrace", '[');
    vault_json_close(&w, ']');
    vault_json_close(&w, '}');

    if (vault_writer_text(&w, &body) == NGX_OK) {
        (void) ask(vr, ext, "POST", "init/error", &header, &body, REGISTER,
                   &answer);
    }

    quit(ext, 1);
}


static void
join(vault_request_t *vr, vault_extension_t *ext)
{
    ngx_str_t            id;
    vault_http_answer_t  answer;

    static const ngx_str_t  body =
        ngx_string("{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}");

    if (ask(vr, ext, "POST", "register", NULL, &body, REGISTER, &answer)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "vault extension: \"%V\" of AWS_LAMBDA_RUNTIME_API does "
                      "not answer: %V", &ext->api, &answer.error);
        quit(ext, 1);
    }

    id = vault_http_header(&answer, "Lambda-Extension-Identifier");

    if (answer.status != NGX_HTTP_OK || id.len == 0
        || id.len > VAULT_EXTENSION_ID)
    {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "vault extension: Lambda does not register \"%V\" "
                      "(%ui): the file in /opt/extensions must have that "
                      "name", &ext->name, answer.status);
        quit(ext, 1);
    }

    ngx_memcpy(ext->id, id.data, id.len);
    ext->id_len = id.len;

    if (ext->trouble) {
        tell_trouble(vr, ext);
    }

    ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                  "vault extension: \"%V\" is registered", &ext->name);
    ext->done = 1;
}


/* Events */

static void
not_busy(void *data)
{
    vault_extension_t  *ext = data;

    ext->busy = 0;
}


/* What was frozen may be older than it seems, or another's. */
static void
refresh(vault_request_t *vr, void *data)
{
    ngx_uint_t          i;
    vault_agent_t     **agent;
    vault_extension_t  *ext = data;

    (void) vault_defer(vr, not_busy, ext);

    agent = ext->agents->elts;

    for (i = 0; i < ext->agents->nelts; i++) {
        vault_agent_restored(vr, agent[i]);
        vault_agent_tend(agent[i]);
    }
}


static void
give_back(vault_request_t *vr, void *data)
{
    ngx_uint_t          i;
    vault_agent_t     **agent;
    vault_extension_t  *ext = data;

    (void) vault_defer(vr, not_busy, ext);

    agent = ext->agents->elts;

    for (i = 0; i < ext->agents->nelts; i++) {
        if (agent[i]->settings.revoke) {
            vault_agent_revoke(vr, agent[i]);
        }
    }
}


static ngx_uint_t
is_busy(vault_extension_t *ext)
{
    ngx_uint_t             i;
    vault_agent_t        **agent = ext->agents->elts;
    vault_agent_secret_t  *secret = ext->secrets->elts;

    for (i = 0; i < ext->agents->nelts; i++) {
        if (agent[i]->token->trying) {
            return 1;
        }
    }

    vault_agent_secrets_tend(ext->secrets);

    for (i = 0; i < ext->secrets->nelts; i++) {
        if (secret[i].busy) {
            return 1;
        }
    }

    return ext->busy;
}


static void
on_invoke(vault_request_t *vr, vault_extension_t *ext)
{
    int64_t  until;

    until = vault_now() + INVOKE;

    if (!ext->busy
        && vault_task_start(&ext->conf, "vault extension refresh",
                            30 * SECOND, refresh, ext)
           == NGX_OK)
    {
        ext->busy = 1;
    }

    while (is_busy(ext) && vault_now() < until) {
        vault_sleep(vr, POLL);
    }
}


static void
on_shutdown(vault_request_t *vr, vault_extension_t *ext)
{
    ext->busy = vault_task_start(&ext->conf, "vault extension end", SHUTDOWN,
                                 give_back, ext)
                == NGX_OK;

    while (ext->busy) {
        vault_sleep(vr, POLL);
    }

    ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                  "vault extension: Lambda ends this environment");
    quit(ext, 0);
}


static void
serve(vault_request_t *vr, vault_extension_t *ext)
{
    event_t              event;
    vault_json_error_t   ignored;
    vault_http_answer_t  answer;

    if (ask(vr, ext, "GET", "event/next", NULL, NULL, FOREVER, &answer)
        != NGX_OK || answer.status >= 500)
    {
        ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                      "vault extension: asked for the next event, Lambda "
                      "says (%ui): %V", answer.status, &answer.error);
        vault_sleep(vr, AGAIN);
        return;
    }

    if (answer.status != NGX_HTTP_OK) {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "vault extension: Lambda has no events for it (%ui)",
                      answer.status);
        quit(ext, 1);
    }

    if (vault_json_parse(vr->pool, &answer.body, &event_shape, &event,
                         &ignored)
        != NGX_OK)
    {
        return;
    }

    if (event.type.len == 8
        && ngx_memcmp(event.type.data, "SHUTDOWN", 8) == 0)
    {
        on_shutdown(vr, ext);
    } else {
        on_invoke(vr, ext);
    }
}


/* One step after the other */

static void start(vault_extension_t *ext);


static void
ended(void *data)
{
    vault_extension_t  *ext = data;

    if (ngx_terminate || ngx_quit || ngx_exiting) {
        return;
    }

    if (ext->step == GET_READY && !ext->done) {
        complain(ext, "Extension.Timeout", "still waiting for %V after %d s: "
                 "can the function reach it, is its security group open?",
                 &ext->waits_for, READY / SECOND);
    }

    if (ext->step == JOIN && !ext->done) {
        quit(ext, 1);
    }

    if (ext->step != SERVE) {
        ext->step++;
        ext->done = 0;
    }

    start(ext);
}


static void
run(vault_request_t *vr, void *data)
{
    vault_extension_t  *ext = data;

    (void) vault_defer(vr, ended, ext);

    steps[ext->step].run(vr, ext);
}


static void
start(vault_extension_t *ext)
{
    if (vault_task_start(&ext->conf, "vault extension",
                         steps[ext->step].deadline, run, ext)
        != NGX_OK)
    {
        quit(ext, 1);
    }
}


/* SIGTERM ends it as SHUTDOWN does */

static void
on_signal(int signo)
{
    ssize_t  n;

    n = write(signal_pipe[1], "", 1);
    (void) n;                         /* full: it is known already */
}


static void
end(vault_request_t *vr, void *data)
{
    on_shutdown(vr, data);
}


static void
signalled(ngx_event_t *ev)
{
    ngx_connection_t   *c = ev->data;
    vault_extension_t  *ext = c->data;

    ngx_close_connection(c);

    if (vault_task_start(&ext->conf, "vault extension end", 2 * SHUTDOWN, end,
                         ext)
        != NGX_OK)
    {
        quit(ext, 0);
    }
}


static ngx_int_t
await_signals(vault_extension_t *ext, ngx_cycle_t *cycle)
{
    ngx_connection_t  *c;
    struct sigaction   action;

    if (pipe2(signal_pipe, O_NONBLOCK|O_CLOEXEC) == -1) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(signal_pipe[0], cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = ext;
    c->log = cycle->log;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->read->handler = signalled;

    ngx_memzero(&action, sizeof(struct sigaction));
    action.sa_handler = on_signal;

    if (sigaction(SIGTERM, &action, NULL) == -1
        || sigaction(SIGINT, &action, NULL) == -1)
    {
        return NGX_ERROR;
    }

    return ngx_handle_read_event(c->read, 0);
}


ngx_int_t
vault_extension_start(vault_extension_t *ext, ngx_cycle_t *cycle)
{
    if (await_signals(ext, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    start(ext);

    return NGX_OK;
}
