/*
 * A client's request on nginx's upstream module, and what happens between two
 * tries.  nginx takes a connection from pass_get() and gives it back to
 * pass_free(), all at once; when there is something to wait for first, it gets
 * a connection that leads nowhere (the bench), on which it waits as it does for
 * one that is being made, client and all.  When the wait is over, that one
 * "fails", and nginx asks for the next.
 */

#include "upstream_pass_part.h"
#include "../crypto/crypto.h"


static void *no_bucket[1];            /* of a hash of nothing */


static vault_upstream_passing_t *
own_of(ngx_http_request_t *r)
{
    return r->upstream->peer.data;
}


/* The bench */

static void
sit(vault_upstream_passing_t *own, ngx_peer_connection_t *pc)
{
    ngx_connection_t  *c = &own->bench;

    ngx_memzero(c, sizeof(ngx_connection_t));
    ngx_memzero(&own->read, sizeof(ngx_event_t));
    ngx_memzero(&own->write, sizeof(ngx_event_t));

    c->fd = (ngx_socket_t) -1;
    c->read = &own->read;
    c->write = &own->write;
    c->read->data = c;
    c->write->data = c;
    c->write->write = 1;
    c->read->log = pc->log;
    c->write->log = pc->log;
    c->log = pc->log;
    c->pool = own->pass->r->pool;

    own->nowhere.sockaddr.sa_family = AF_UNIX;
    ngx_str_set(&own->name, "-");

    pc->connection = c;
    pc->sockaddr = &own->nowhere.sockaddr;
    pc->socklen = sizeof(struct sockaddr);
    pc->name = &own->name;

    own->sitting = 1;
}


/* Says the name of a failure of no interest to a log that nobody reads. */
static void
stand_up(vault_upstream_passing_t *own)
{
    if (own->sitting) {
        own->bench.log = &own->silent;
        own->bench.read->handler(own->bench.read);
    }
}


static void
rested(ngx_event_t *ev)
{
    stand_up(ev->data);
}


void
vault_upstream_pass_go(vault_upstream_pass_t *pass)
{
    vault_upstream_passing_t  *own = pass->own;

    own->asking = 0;
    stand_up(own);
}


void
vault_upstream_pass_rest(vault_upstream_pass_t *pass, ngx_msec_t ms)
{
    vault_upstream_passing_t  *own = pass->own;

    own->rest = ms;
}


/* The wait is over, or the client has left, or it took too long. */
static void
leave_bench(vault_upstream_passing_t *own, ngx_peer_connection_t *pc)
{
    own->sitting = 0;
    pc->connection = NULL;
    pc->tries = 1;

    if (own->write.timedout) {
        own->pass->error = "timed out before it was asked";
        pc->tries = 0;
    }

    if (own->timer.timer_set) {
        ngx_del_timer(&own->timer);
    }

    if (own->write.timer_set) {
        ngx_del_timer(&own->write);
    }

    if (own->asking) {
        own->asking = 0;
        own->pass->leave(own->pass);
    }
}


/* Connections */

static void
wipe_buf(void *data)
{
    ngx_buf_t  *b = data;

    vault_wipe(b->start, b->end - b->start);
}


/* Memory of a buffer, wiped with the request. */
static ngx_int_t
make_buf(ngx_pool_t *pool, ngx_buf_t *b, size_t size)
{
    ngx_buf_t           *copy;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_buf_t));
    b->start = ngx_pnalloc(pool, size);

    if (cln == NULL || b->start == NULL) {
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + size;
    b->temporary = 1;

    copy = cln->data;
    *copy = *b;
    cln->handler = wipe_buf;

    return NGX_OK;
}


/* The head as it is now, into the buffer that is the first to be sent. */
static ngx_int_t
write_head(vault_upstream_passing_t *own, const ngx_str_t *end)
{
    ngx_buf_t              *b = own->head;
    vault_upstream_pass_t  *pass = own->pass;

    if (make_buf(pass->r->pool, b, pass->head.len + end->len) != NGX_OK) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, pass->head.data, pass->head.len);
    b->last = ngx_cpymem(b->last, end->data, end->len);

    return NGX_OK;
}


static void
set_conf(vault_upstream_passing_t *own)
{
    vault_upstream_pass_t     *pass = own->pass;
    ngx_http_upstream_conf_t  *conf = &own->conf;

    *conf = pass->up->conf;
    conf->connect_timeout = pass->connect;
    conf->send_timeout = pass->silence;
    conf->read_timeout = pass->silence;
    conf->ignore_client_abort = 0;
    conf->hide_headers_hash.size = 1;
    conf->hide_headers_hash.buckets = (ngx_hash_elt_t **) no_bucket;

    /* whether there is a next try is said by peer.tries alone */
    conf->next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                          |NGX_HTTP_UPSTREAM_FT_TIMEOUT
                          |NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
                          |NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
}


/* Where the next try goes. */
static ngx_int_t
aim(vault_upstream_passing_t *own, const ngx_str_t *end)
{
    vault_upstream_t       *up;
    ngx_http_upstream_t    *u;
    vault_upstream_pass_t  *pass = own->pass;

    up = pass->up;
    u = pass->r->upstream;

    if (!vault_upstream_is_warm(up) || write_head(own, end) != NGX_OK) {
        return NGX_ERROR;
    }

    set_conf(own);
    u->ssl = up->ssl != NULL;
    u->ssl_name = up->srv.host;

    own->peer.up = up;
    own->peer.addresses = up->addresses;
    own->peer.fresh = pass->fresh || pass->r->request_body_no_buffering;

    return vault_upstream_passing_begin(own);
}


static ngx_int_t
pass_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_int_t                  rc;
    ngx_str_t                  end;
    vault_upstream_passing_t  *own = data;
    vault_upstream_pass_t     *pass = own->pass;

    pc->cached = 0;
    pc->connection = NULL;
    own->conf.connect_timeout = pass->patience;

    if (own->rest) {
        sit(own, pc);
        ngx_add_timer(&own->timer, own->rest);
        own->rest = 0;
        return NGX_AGAIN;
    }

    rc = pass->ready(pass, &end);

    if (rc == NGX_AGAIN) {
        sit(own, pc);
        own->asking = 1;
        return NGX_AGAIN;
    }

    if (rc != NGX_OK || aim(own, &end) != NGX_OK) {
        return NGX_ERROR;
    }

    return vault_upstream_peer_get(pc, &own->peer);
}


/* A try without an answer: is there another one? */
static ngx_uint_t
may_try(vault_upstream_passing_t *own, ngx_connection_t *c)
{
    ngx_uint_t              sent;
    vault_upstream_pass_t  *pass = own->pass;
    ngx_http_upstream_t    *u = pass->r->upstream;

    sent = u->request_sent;

    if (own->parse.error) {
        pass->error = own->parse.error;

    } else {
        pass->error = vault_upstream_peer_why(c, u);
    }

    if (sent && own->peer.kept && u->buffer.last == u->buffer.start
        && c && !c->read->timedout && !c->write->timedout)
    {
        pass->fresh = 1;              /* it was closed meanwhile */
        return 1;
    }

    if (!sent && !own->peer.kept && own->peer.next < own->peer.addresses.n) {
        return 1;
    }

    own->peer.next = 0;

    return pass->lost(pass, sent) == NGX_AGAIN;
}


static void
pass_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    ngx_connection_t          *c = pc->connection;
    vault_upstream_passing_t  *own = data;
    ngx_http_upstream_t       *u = own->pass->r->upstream;

    pc->cached = 0;                   /* nginx would try that once more */

    if (own->sitting) {
        leave_bench(own, pc);

    } else if (own->again) {
        own->again = 0;
        pc->tries = 1;

        if (c && vault_upstream_passing_whole(own)) {
            vault_upstream_peer_keep(&own->peer, pc);
        }

    } else if (state & NGX_PEER_FAILED) {
        pc->tries = may_try(own, c);

    } else if (c && u->keepalive && u->request_body_sent
               && (u->length == 0 || own->pass->r->header_only))
    {
        vault_upstream_peer_keep(&own->peer, pc);
    }
}


static ngx_int_t
pass_peer_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *srv)
{
    ngx_peer_connection_t  *pc = &r->upstream->peer;

    pc->get = pass_get;
    pc->free = pass_free;
    pc->tries = 1;
    pc->set_session = vault_upstream_tls_begin;
    pc->save_session = vault_upstream_tls_save;

    return NGX_OK;
}


/* What the upstream module calls */

static ngx_chain_t *
append(ngx_pool_t *pool, ngx_chain_t *last, ngx_buf_t *b)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(pool);
    if (cl == NULL || b == NULL) {
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;

    if (last) {
        last->next = cl;
    }

    return cl;
}


/* The head is written when its connection is there; the body follows. */
static ngx_int_t
pass_create_request(ngx_http_request_t *r)
{
    ngx_buf_t                 *b;
    ngx_chain_t               *cl, *last;
    vault_upstream_passing_t  *own = own_of(r);

    own->head = ngx_calloc_buf(r->pool);
    last = append(r->pool, NULL, own->head);

    if (last == NULL) {
        return NGX_ERROR;
    }

    cl = r == r->main ? r->upstream->request_bufs : NULL;
    r->upstream->request_bufs = last;
    b = own->head;

    for ( /* void */ ; cl && !r->request_body_no_buffering; cl = cl->next) {
        b = ngx_palloc(r->pool, sizeof(ngx_buf_t));
        last = append(r->pool, last, b);

        if (last == NULL) {
            return NGX_ERROR;
        }

        *b = *cl->buf;
    }

    b->flush = 1;                     /* or TLS waits for more */

    return NGX_OK;
}


static ngx_int_t
pass_reinit_request(ngx_http_request_t *r)
{
    return NGX_OK;
}


static void
pass_abort_request(ngx_http_request_t *r)
{
}


/* Nobody else answers: nginx would with a page. */
static void
pass_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    vault_upstream_passing_t  *own = own_of(r);

    if (r->upstream->header_sent
        && (rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT))
    {
        own->pass->cut(own->pass);
    }

    if (r->upstream->header_sent || r->header_sent
        || rc < NGX_HTTP_BAD_REQUEST
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || rc == NGX_HTTP_REQUEST_TIME_OUT)
    {
        return;
    }

    r->keepalive = 0;
    own->pass->fail(own->pass, rc);
    r->upstream->header_sent = 1;
}


static ngx_int_t
create(ngx_http_request_t *r, vault_upstream_passing_t *own)
{
    ngx_http_upstream_t  *u;

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_ERROR;
    }

    u = r->upstream;

    set_conf(own);

    u->conf = &own->conf;
    u->peer.data = own;
    u->create_request = pass_create_request;
    u->reinit_request = pass_reinit_request;
    u->process_header = vault_upstream_passing_head;
    u->abort_request = pass_abort_request;
    u->finalize_request = pass_finalize_request;
    u->input_filter_init = vault_upstream_passing_init;
    u->input_filter = vault_upstream_passing_body;
    u->input_filter_ctx = r;
    u->output.tag = (ngx_buf_tag_t) own;

    u->buffer.tag = u->output.tag;

    return make_buf(r->pool, &u->buffer, VAULT_UPSTREAM_HEAD);
}


/* The upstream module takes its peers from here instead of the upstream's. */
static ngx_http_upstream_srv_conf_t  pass_srv;


ngx_int_t
vault_upstream_pass(ngx_http_request_t *r, vault_upstream_pass_t *pass)
{
    ngx_int_t                  rc;
    vault_upstream_passing_t  *own;

    own = ngx_pcalloc(r->pool, sizeof(vault_upstream_passing_t));
    if (own == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    own->pass = pass;
    own->timer.handler = rested;
    own->timer.data = own;
    own->timer.log = r->connection->log;
    pass->r = r;
    pass->own = own;

    if (create(r, own) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pass_srv.peer.init = pass_peer_init;
    own->conf.upstream = &pass_srv;

    /* what has a length and is not there yet is sent as it comes */
    r->request_body_no_buffering = r->headers_in.content_length_n > 0;

    rc = ngx_http_read_client_request_body(r, ngx_http_upstream_init);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}
