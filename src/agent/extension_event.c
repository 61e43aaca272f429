/*
 * What an extension does at an invocation, and at the end.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <fcntl.h>
#include <signal.h>

#include "../run/await.h"
#include "extension_part.h"
#include "token.h"


#define INVOKE    500                 /* ms that a refresh may put the next
                                         "next" off */
#define REFRESH   (30 * SECOND)
#define SHUTDOWN  (1 * SECOND)        /* of 2 s */
#define FOREVER   (24 * 24 * 3600 * SECOND)
#define POLL      1
#define AGAIN     100                 /* after a "next" that broke */
#define TRIES     20                  /* of it, in a row */

typedef struct {
    ngx_str_t  type;
} event_t;

static const vault_field_t  event_fields[] = {
    { "eventType", VAULT_TEXT, offsetof(event_t, type), VAULT_REQUIRED, 64 },
    VAULT_FIELDS_END
};

static const vault_shape_t  event_shape = VAULT_SHAPE(event_fields, event_t);

static ngx_str_t  no_event = ngx_string("what is no event");

static int  signal_pipe[2];


static void
not_busy(void *data)
{
    vault_extension_t  *ext = data;

    ext->busy = 0;
}


static void
not_ending(void *data)
{
    vault_extension_t  *ext = data;

    ext->ending = 0;
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

    (void) vault_defer(vr, not_ending, ext);

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
                            REFRESH, refresh, ext)
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
    /* a refresh may still run, and must not be taken for this one's end */
    ext->ending = vault_task_start(&ext->conf, "vault extension end",
                                   SHUTDOWN, give_back, ext)
                  == NGX_OK;

    while (ext->ending) {
        vault_sleep(vr, POLL);
    }

    ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                  "vault extension: Lambda ends this environment");
    vault_extension_quit(ext, 0);
}


/* What is no event is asked for again, but not at once, and not for ever. */
static void
put_off(vault_request_t *vr, vault_extension_t *ext,
    const vault_http_answer_t *answer)
{
    ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                  "vault extension: asked for the next event, Lambda says "
                  "(%ui): %V", answer->status,
                  answer->status == NGX_HTTP_OK ? &no_event : &answer->error);

    if (++ext->failures == TRIES) {
        vault_extension_quit(ext, 1);
    }

    vault_sleep(vr, AGAIN);
}


void
vault_extension_serve(vault_request_t *vr, vault_extension_t *ext)
{
    event_t              event;
    vault_json_error_t   ignored;
    vault_http_answer_t  answer;

    if (vault_extension_ask(vr, ext, "GET", "event/next", NULL, NULL, FOREVER,
                            &answer)
        != NGX_OK || answer.status >= 500)
    {
        put_off(vr, ext, &answer);
        return;
    }

    if (answer.status != NGX_HTTP_OK) {
        ngx_log_error(NGX_LOG_EMERG, vr->log, 0,
                      "vault extension: Lambda has no events for it (%ui)",
                      answer.status);
        vault_extension_quit(ext, 1);
    }

    if (vault_json_parse(vr->pool, &answer.body, &event_shape, &event,
                         &ignored)
        != NGX_OK)
    {
        put_off(vr, ext, &answer);
        return;
    }

    ext->failures = 0;

    if (event.type.len == 8
        && ngx_memcmp(event.type.data, "SHUTDOWN", 8) == 0)
    {
        on_shutdown(vr, ext);
    } else {
        on_invoke(vr, ext);
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
        vault_extension_quit(ext, 0);
    }
}


ngx_int_t
vault_extension_signals(vault_extension_t *ext, ngx_cycle_t *cycle)
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
