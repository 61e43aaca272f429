/*
 * The life of an extension: get ready, register, then ask for one event after
 * the other.  Each is a task of its own, so that none of them keeps memory.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <stdarg.h>

#include "../run/await.h"
#include "extension_part.h"


#define READY     (8 * SECOND)        /* of the 10 s that Lambda gives to all */
#define POLL      1

typedef enum {
    GET_READY = 0,
    JOIN,
    SERVE
} step_e;

typedef void (*step_pt)(vault_request_t *vr, vault_extension_t *ext);

static void get_ready(vault_request_t *vr, vault_extension_t *ext);
static void join(vault_request_t *vr, vault_extension_t *ext);

static const struct {
    step_pt     run;
    ngx_msec_t  deadline;
} steps[] = {
    [GET_READY] = { get_ready, READY },
    [JOIN] = { join, 2 * REGISTER },
    [SERVE] = { vault_extension_serve, 0 }
};


/* The end */

void
vault_extension_quit(vault_extension_t *ext, ngx_uint_t failed)
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

    /* nobody listens on a socket that stays, and it is in the next one's way */
    ngx_close_listening_sockets((ngx_cycle_t *) ngx_cycle);

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

ngx_int_t
vault_extension_ask(vault_request_t *vr, vault_extension_t *ext,
    const char *method, const char *path, const ngx_keyval_t *header,
    const ngx_str_t *body, ngx_msec_t total, vault_http_answer_t *answer)
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
        (void) vault_extension_ask(vr, ext, "POST", "init/error", &header,
                                   &body, REGISTER, &answer);
    }

    vault_extension_quit(ext, 1);
}


static void
join(vault_request_t *vr, vault_extension_t *ext)
{
    ngx_str_t            id;
    vault_http_answer_t  answer;

    static const ngx_str_t  body =
        ngx_string("{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}");

    if (vault_extension_ask(vr, ext, "POST", "register", NULL, &body, REGISTER,
                            &answer)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "vault extension: \"%V\" of AWS_LAMBDA_RUNTIME_API does "
                      "not answer: %V", &ext->api, &answer.error);
        vault_extension_quit(ext, 1);
    }

    id = vault_http_header(&answer, "Lambda-Extension-Identifier");

    if (answer.status != NGX_HTTP_OK || id.len == 0
        || id.len > VAULT_EXTENSION_ID)
    {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "vault extension: Lambda does not register \"%V\" "
                      "(%ui): the file in /opt/extensions must have that "
                      "name", &ext->name, answer.status);
        vault_extension_quit(ext, 1);
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
        vault_extension_quit(ext, 1);
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
        vault_extension_quit(ext, 1);
    }
}


ngx_int_t
vault_extension_start(vault_extension_t *ext, ngx_cycle_t *cycle)
{
    if (vault_extension_signals(ext, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    start(ext);

    return NGX_OK;
}
