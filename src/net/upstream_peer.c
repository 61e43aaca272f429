/*
 * Connections: the addresses one after another, and a few that were left
 * open.  A kept connection is closed when its peer says so, after a while
 * without use, and when the worker ends.
 */

#include "upstream_part.h"


#define KEEP_IDLE      20000          /* ms without a call */
#define KEEP_AGE       600000         /* ms: names move to other addresses */
#define KEEP_REQUESTS  1000


static void peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static void kept_event(ngx_event_t *ev);


void
vault_upstream_peers(vault_upstream_t *up)
{
    ngx_uint_t  i;

    ngx_queue_init(&up->idle);
    ngx_queue_init(&up->spare);

    for (i = 0; i < VAULT_UPSTREAM_IDLE; i++) {
        up->kept[i].up = up;
        ngx_queue_insert_tail(&up->spare, &up->kept[i].queue);
    }
}


/* For nginx's upstream module, once a call. */
ngx_int_t
vault_upstream_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *srv)
{
    vault_upstream_op_t    *op = r->post_subrequest->data;
    ngx_peer_connection_t  *pc = &r->upstream->peer;

    pc->data = op;
    pc->get = vault_upstream_peer_get;
    pc->free = peer_free;
    pc->tries = op->peer.addresses.n;
    pc->set_session = vault_upstream_tls_begin;
    pc->save_session = vault_upstream_tls_save;

    return NGX_OK;
}


static void
set_log(ngx_connection_t *c, ngx_log_t *log)
{
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->pool->log = log;
}


static void
kept_close(vault_upstream_kept_t *kept)
{
    ngx_connection_t  *c = kept->connection;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);

    kept->connection = NULL;
    ngx_queue_remove(&kept->queue);
    ngx_queue_insert_tail(&kept->up->spare, &kept->queue);
}


/* Nothing is expected on a kept connection but its end. */
static void
kept_event(ngx_event_t *ev)
{
    char               byte;
    ngx_connection_t  *c = ev->data;

    if (!c->close && !ev->timedout
        && recv(c->fd, &byte, 1, MSG_PEEK) == -1
        && ngx_socket_errno == NGX_EAGAIN)
    {
        ev->ready = 0;

        if (ngx_handle_read_event(ev, 0) == NGX_OK) {
            return;
        }
    }

    kept_close(c->data);
}


static void
kept_nothing(ngx_event_t *ev)
{
}


static ngx_uint_t
may_keep(ngx_connection_t *c)
{
    return !c->read->eof && !c->read->error && !c->read->timedout
           && !c->write->error && !c->write->timedout
           && c->requests < KEEP_REQUESTS
           && ngx_current_msec - c->start_time < KEEP_AGE
           && !ngx_terminate && !ngx_exiting && !ngx_quit
           && ngx_handle_read_event(c->read, 0) == NGX_OK;
}


void
vault_upstream_peer_keep(vault_upstream_peer_t *peer,
    ngx_peer_connection_t *pc)
{
    vault_upstream_t       *up = peer->up;
    ngx_connection_t       *c = pc->connection;
    vault_upstream_kept_t  *kept;

    if (!may_keep(c)) {
        return;
    }

    if (ngx_queue_empty(&up->spare)) {        /* the one longest unused */
        kept_close(ngx_queue_data(ngx_queue_last(&up->idle),
                                  vault_upstream_kept_t, queue));
    }

    kept = ngx_queue_data(ngx_queue_head(&up->spare), vault_upstream_kept_t,
                          queue);
    ngx_queue_remove(&kept->queue);
    ngx_queue_insert_head(&up->idle, &kept->queue);

    kept->connection = c;
    kept->since = ngx_time();
    ngx_memcpy(&kept->address.sockaddr, pc->sockaddr, pc->socklen);
    kept->address.socklen = pc->socklen;
    kept->address.name.len = ngx_min(pc->name->len, NGX_SOCKADDR_STRLEN);
    kept->address.name.data = kept->address.text;
    ngx_memcpy(kept->address.text, pc->name->data, kept->address.name.len);

    pc->connection = NULL;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->read->delayed = 0;
    ngx_add_timer(c->read, KEEP_IDLE);

    c->read->handler = kept_event;
    c->write->handler = kept_nothing;
    c->data = kept;
    c->idle = 1;                      /* nginx closes it when it shuts down */
    set_log(c, ngx_cycle->log);

    if (c->read->ready) {
        kept_event(c->read);
    }
}


/*
 * Its timer has not seen the time that a frozen process did not: a function of
 * Lambda wakes up hours later, and finds connections that end nowhere.
 */
static ngx_uint_t
has_rested(const vault_upstream_kept_t *kept)
{
    time_t  rested = ngx_time() - kept->since;

    return rested < 0 || rested > KEEP_IDLE / 1000;
}


static void
close_rested(ngx_queue_t *idle)
{
    vault_upstream_kept_t  *kept;

    while (!ngx_queue_empty(idle)) {
        kept = ngx_queue_data(ngx_queue_last(idle), vault_upstream_kept_t,
                              queue);
        if (!has_rested(kept)) {
            return;
        }

        kept_close(kept);
    }
}


static ngx_int_t
take(vault_upstream_peer_t *peer, ngx_peer_connection_t *pc)
{
    ngx_connection_t       *c;
    vault_upstream_kept_t  *kept;

    close_rested(&peer->up->idle);

    if (peer->fresh || ngx_queue_empty(&peer->up->idle)) {
        return NGX_DECLINED;
    }

    kept = ngx_queue_data(ngx_queue_head(&peer->up->idle),
                          vault_upstream_kept_t, queue);
    ngx_queue_remove(&kept->queue);
    ngx_queue_insert_tail(&peer->up->spare, &kept->queue);

    c = kept->connection;
    kept->connection = NULL;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    set_log(c, pc->log);

    /* of this call's own: the place may be filled again meanwhile */
    peer->taken = kept->address;
    peer->taken.name.data = peer->taken.text;

    pc->sockaddr = &peer->taken.sockaddr.sockaddr;
    pc->socklen = peer->taken.socklen;
    pc->name = &peer->taken.name;
    pc->connection = c;
    pc->cached = 1;

    return NGX_DONE;
}


ngx_int_t
vault_upstream_peer_get(ngx_peer_connection_t *pc, void *data)
{
    vault_upstream_peer_t     *peer = data;
    vault_upstream_address_t  *address;

    peer->kept = 0;
    pc->cached = 0;
    pc->connection = NULL;

    if (take(peer, pc) == NGX_DONE) {
        peer->kept = 1;
        return NGX_DONE;
    }

    address = &peer->addresses.list[peer->next++ % peer->addresses.n];
    address->name.data = address->text;

    pc->sockaddr = &address->sockaddr.sockaddr;
    pc->socklen = address->socklen;
    pc->name = &address->name;

    return NGX_OK;
}


const char *
vault_upstream_peer_why(ngx_connection_t *c, ngx_http_upstream_t *u)
{
    ngx_uint_t  late;

    late = c && (c->read->timedout || c->write->timedout);

    if (c && c->ssl && !c->ssl->handshaked && !late) {
        return vault_upstream_tls_error(c);
    }

    if (!u->request_sent) {
        return late ? "connecting timed out" : "cannot connect";
    }

    if (u->buffer.last == u->buffer.start) {
        return late ? "timed out" : "closed without an answer";
    }

    return late ? "timed out in the answer" : "closed in the answer";
}


static const char *
why(vault_upstream_op_t *op, ngx_connection_t *c)
{
    ngx_http_upstream_t  *u = op->standin.sub.upstream;

    if (op->parse.error) {
        return op->parse.error;
    }

    op->silent = u->request_sent && u->buffer.last == u->buffer.start
                 && c && !c->read->timedout && !c->write->timedout;

    return vault_upstream_peer_why(c, u);
}


/* An answer may have come before the peer stopped to read the request. */
static void
drain(vault_upstream_op_t *op, ngx_connection_t *c)
{
    ssize_t              n;
    ngx_buf_t           *b;
    ngx_http_request_t  *r = &op->standin.sub;

    b = &r->upstream->buffer;

    while (b->last < b->end && !c->read->eof && !c->read->error) {
        n = c->recv(c, b->last, b->end - b->last);

        if (n <= 0) {
            return;
        }

        b->last += n;

        if (vault_upstream_parse(op, r, b) != NGX_AGAIN) {
            return;
        }
    }
}


static ngx_uint_t
is_clean(vault_upstream_op_t *op)
{
    ngx_http_upstream_t  *u = op->standin.sub.upstream;

    return !op->parse.close && u->request_body_sent
           && u->buffer.pos == u->buffer.last;
}


/*
 * The end of a connection's part in a call.  Another address is tried only if
 * nothing was sent yet.
 */
static void
peer_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    vault_upstream_op_t    *op = data;
    ngx_connection_t       *c = pc->connection;
    ngx_http_upstream_t    *u = op->standin.sub.upstream;

    if ((state & NGX_PEER_FAILED) && c && u->request_sent
        && !op->parse.error && !c->read->timedout && !c->write->timedout)
    {
        drain(op, c);

        if (op->parse.until_close && !op->parse.error) {
            op->parse.whole = 1;
        }
    }

    if (op->parse.whole) {
        if (!(state & NGX_PEER_FAILED) && c && is_clean(op)) {
            vault_upstream_peer_keep(&op->peer, pc);
        }

    } else {
        (void) ngx_cpystrn(op->error, (u_char *) why(op, c),
                           sizeof(op->error));
    }

    pc->cached = 0;                   /* nginx would try that once more */

    if (u->request_sent) {
        pc->tries = 0;

    } else if (pc->tries) {
        pc->tries--;
    }
}


void
vault_upstream_stop(vault_upstream_t *up)
{
    while (!ngx_queue_empty(&up->idle)) {
        kept_close(ngx_queue_data(ngx_queue_head(&up->idle),
                                  vault_upstream_kept_t, queue));
    }

    if (up->session) {
        ngx_ssl_free_session(up->session);
        up->session = NULL;
    }

    if (up->sibling) {
        vault_upstream_stop(up->sibling);
    }
}
