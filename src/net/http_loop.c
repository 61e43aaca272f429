/*
 * libcurl says which sockets to watch and when to call it; nginx's loop does.
 * Sockets are armed level-triggered: libcurl does not tell whether it has
 * read all that there was.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/err.h>

#include "http.h"
#include "http_loop.h"


#define IDLE_CONNECTIONS  4           /* kept for later by a worker */
#define IDLE_LONGEST      20          /* seconds by the wall clock, which goes
                                         on while a function is frozen */

static CURLM        *loop_multi;
static ngx_event_t   loop_timer;
static ngx_queue_t   loop_transfers;
static time_t        loop_used;       /* the last time */


static ngx_int_t
arm(ngx_event_t *ev, ngx_int_t kind, ngx_uint_t on)
{
    if ((ev->active ? 1U : 0U) == on) {
        return NGX_OK;
    }

    if (on) {
        return ngx_add_event(ev, kind, NGX_LEVEL_EVENT);
    }

    return ngx_del_event(ev, kind, 0);
}


static void
unwatch(ngx_connection_t *c)
{
    (void) arm(c->read, NGX_READ_EVENT, 0);
    (void) arm(c->write, NGX_WRITE_EVENT, 0);

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
}


/* Hands over what has ended. */
static void
settle(void)
{
    int                     left;
    char                   *data;
    CURLMsg                *message;
    CURLcode                code;
    vault_http_transfer_t  *transfer;

    while ((message = curl_multi_info_read(loop_multi, &left)) != NULL) {

        if (message->msg != CURLMSG_DONE) {
            continue;
        }

        code = message->data.result;

        if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data)
            != CURLE_OK)
        {
            continue;
        }

        transfer = (vault_http_transfer_t *) data;
        (void) curl_multi_remove_handle(loop_multi, transfer->easy);
        ngx_queue_remove(&transfer->queue);

        transfer->done(transfer, code);

        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
    }

    ERR_clear_error();                /* nginx would wonder whose they are */
}


static void
proceed(curl_socket_t fd, int what)
{
    int  running;

    (void) curl_multi_socket_action(loop_multi, fd, what, &running);

    settle();
}


static void
on_read(ngx_event_t *ev)
{
    ngx_connection_t  *c = ev->data;

    proceed(c->fd, CURL_CSELECT_IN);
}


static void
on_write(ngx_event_t *ev)
{
    ngx_connection_t  *c = ev->data;

    proceed(c->fd, CURL_CSELECT_OUT);
}


static void
on_timeout(ngx_event_t *ev)
{
    proceed(CURL_SOCKET_TIMEOUT, 0);
}


/*
 * libcurl: watch `fd` for `what`.  Without a connection to watch it with, the
 * transfer ends by its timeout; a refusal would end all of them.
 */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *watched)
{
    ngx_connection_t  *c = watched;

    if (what == CURL_POLL_REMOVE) {
        if (c) {
            unwatch(c);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_get_connection(fd, ngx_cycle->log);
        if (c == NULL) {
            return 0;
        }

        c->read->log = c->log;
        c->write->log = c->log;
        c->read->handler = on_read;
        c->write->handler = on_write;

        (void) curl_multi_assign(loop_multi, fd, c);
    }

    (void) arm(c->read, NGX_READ_EVENT, (what & CURL_POLL_IN) != 0);
    (void) arm(c->write, NGX_WRITE_EVENT, (what & CURL_POLL_OUT) != 0);

    return 0;
}


/* libcurl: call me in `ms`; -1: never mind. */
static int
on_timer(CURLM *multi, long ms, void *data)
{
    if (loop_timer.timer_set) {
        ngx_del_timer(&loop_timer);
    }

    if (ms >= 0) {
        ngx_add_timer(&loop_timer, (ngx_msec_t) ms);
    }

    return 0;
}


/* What has rested for so long may end nowhere. */
static CURLcode
distrust(CURL *easy)
{
    time_t  rested = ngx_time() - loop_used;

    loop_used = ngx_time();

    return rested >= 0 && rested <= IDLE_LONGEST
           ? CURLE_OK : curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}


ngx_int_t
vault_http_loop_add(vault_http_transfer_t *transfer)
{
    if (loop_multi == NULL
        || distrust(transfer->easy) != CURLE_OK
        || curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer)
           != CURLE_OK
        || curl_multi_add_handle(loop_multi, transfer->easy) != CURLM_OK)
    {
        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&loop_transfers, &transfer->queue);

    return NGX_OK;
}


void
vault_http_loop_remove(vault_http_transfer_t *transfer)
{
    if (transfer->easy == NULL) {
        return;
    }

    ngx_queue_remove(&transfer->queue);
    (void) curl_multi_remove_handle(loop_multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;

    ERR_clear_error();
}


ngx_int_t
vault_http_start(ngx_cycle_t *cycle)
{
    if (loop_multi) {
        return NGX_OK;
    }

    ngx_queue_init(&loop_transfers);
    ngx_memzero(&loop_timer, sizeof(ngx_event_t));

    loop_timer.handler = on_timeout;
    loop_timer.data = &loop_timer;
    loop_timer.log = cycle->log;
    loop_timer.cancelable = 1;        /* clients that wait have their own */

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "libcurl cannot be used");
        return NGX_ERROR;
    }

    loop_multi = curl_multi_init();

    if (loop_multi == NULL
        || curl_multi_setopt(loop_multi, CURLMOPT_SOCKETFUNCTION, on_socket)
        || curl_multi_setopt(loop_multi, CURLMOPT_TIMERFUNCTION, on_timer)
        || curl_multi_setopt(loop_multi, CURLMOPT_MAXCONNECTS,
                             (long) IDLE_CONNECTIONS))
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "libcurl cannot be used with an event loop");
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
vault_http_stop(void)
{
    ngx_queue_t            *q;
    vault_http_transfer_t  *transfer;

    if (loop_multi == NULL) {
        return;
    }

    while (!ngx_queue_empty(&loop_transfers)) {
        q = ngx_queue_head(&loop_transfers);
        transfer = ngx_queue_data(q, vault_http_transfer_t, queue);
        vault_http_loop_remove(transfer);
    }

    (void) curl_multi_cleanup(loop_multi);
    loop_multi = NULL;

    if (loop_timer.timer_set) {
        ngx_del_timer(&loop_timer);
    }

    curl_global_cleanup();
}
