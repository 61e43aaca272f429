/*
 * One attempt: nginx's upstream module connects, sends and waits; the whole
 * answer is read as what the module takes for the head, so that none of it
 * ever goes through the filters of a server.
 */

#include "upstream_part.h"
#include "../crypto/crypto.h"


#define CONNECT  5000                 /* ms */
#define SILENCE  15000
#define DRIP     4                    /* silences, for a whole answer */


static vault_upstream_op_t *
op_of(ngx_http_request_t *r)
{
    return r->post_subrequest->data;
}


/* What the upstream module calls */

static ngx_int_t
call_create_request(ngx_http_request_t *r)
{
    vault_upstream_op_t  *op = op_of(r);

    if (vault_upstream_compose(op, &r->upstream->request_bufs) == NGX_OK) {
        return NGX_OK;
    }

    op->parse.error = "the request is malformed";

    return NGX_ERROR;
}


/* Would be called before a request is sent again, which peer_free() forbids. */
static ngx_int_t
call_reinit_request(ngx_http_request_t *r)
{
    return NGX_ERROR;
}


/* What a task waits for does not hold up a worker that is to end. */
static ngx_int_t
call_output(void *data, ngx_chain_t *in)
{
    vault_upstream_op_t  *op = data;
    ngx_http_upstream_t  *u = op->standin.sub.upstream;

    u->peer.connection->read->cancelable = op->vr->http == NULL;
    u->peer.connection->write->cancelable = op->vr->http == NULL;

    return ngx_chain_writer(&u->writer, in);
}


/* nginx would give the whole head one silence of time. */
static void
more_time(vault_upstream_op_t *op, ngx_event_t *ev)
{
    ngx_msec_t  end, left;

    if (!op->answering) {
        op->answering = 1;
        op->since = ngx_current_msec;
    }

    end = op->since + DRIP * op->conf.read_timeout;
    left = (ngx_msec_int_t) (end - ngx_current_msec) > 1
           ? end - ngx_current_msec : 1;

    if (ev->timer_set) {
        ngx_add_timer(ev, ngx_min(left, op->conf.read_timeout));
    }
}


static ngx_int_t
call_process_header(ngx_http_request_t *r)
{
    vault_upstream_op_t  *op = op_of(r);

    if (vault_upstream_parse(op, r, &r->upstream->buffer) == NGX_AGAIN) {
        more_time(op, r->upstream->peer.connection->read);
        return NGX_AGAIN;
    }

    return NGX_ERROR;                 /* ends the call, well or not */
}


static void
call_abort_request(ngx_http_request_t *r)
{
}


static void
call_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
}


/* The last that nginx does with the call. */
static ngx_int_t
call_done(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    vault_upstream_op_t  *op = data;

    op->finished = 1;
    vault_wake(op->vr);

    return NGX_OK;                    /* no error page, please */
}


/* The attempt's life */

static void
drop(vault_upstream_op_t *op)
{
    ngx_buf_t  *b = &op->standin.sub.upstream->buffer;

    if (op->parse.top) {
        vault_wipe(b->start, op->parse.top - b->start);
    }

    if (op->head) {
        vault_wipe(op->head->start, op->head->end - op->head->start);
    }

    ngx_destroy_pool(op->pool);
}


static void
call_cancel(void *data)
{
    ngx_http_cleanup_pt   handler;
    vault_upstream_op_t  *op = data;
    ngx_http_upstream_t  *u = op->standin.sub.upstream;

    if (!op->finished && u->cleanup) {
        handler = *u->cleanup;
        handler(&op->standin.sub);
    }

    drop(op);
}


static ngx_uint_t
may_repeat(const vault_upstream_call_t *call)
{
    return ngx_strcmp(call->method, "POST") != 0
           && ngx_strcmp(call->method, "PATCH") != 0;
}


static ngx_int_t
prepare_buffer(vault_upstream_op_t *op, ngx_buf_t *b)
{
    size_t  size;

    /* one byte more, for "full" means "too large" to nginx */
    size = VAULT_UPSTREAM_HEAD + vault_upstream_max(op->call) + 1;

    b->start = ngx_palloc(op->pool, size);
    if (b->start == NULL) {
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + size;
    b->temporary = 1;

    op->parse.head = b->start;
    op->parse.length = -1;
    op->parse.bodiless = ngx_strcmp(op->call->method, "HEAD") == 0;
    op->parse.headers = ngx_array_create(op->pool, 16, sizeof(ngx_keyval_t));

    return op->parse.headers ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
prepare(vault_upstream_op_t *op)
{
    ngx_http_request_t           *r = &op->standin.sub;
    ngx_http_upstream_t          *u;
    const vault_upstream_call_t  *call = op->call;

    vault_upstream_standin(op, call_done);

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_ERROR;
    }

    u = r->upstream;

    op->conf = op->peer.up->conf;
    op->conf.connect_timeout = call->connect ? call->connect : CONNECT;
    op->conf.send_timeout = call->silence ? call->silence : SILENCE;
    op->conf.read_timeout = op->conf.send_timeout;

    u->conf = &op->conf;
    u->ssl = op->peer.up->ssl != NULL;
    u->create_request = call_create_request;
    u->reinit_request = call_reinit_request;
    u->process_header = call_process_header;
    u->abort_request = call_abort_request;
    u->finalize_request = call_finalize_request;
    u->output.output_filter = call_output;
    u->output.filter_ctx = op;

    return prepare_buffer(op, &u->buffer);
}


static vault_upstream_op_t *
create(vault_request_t *vr, vault_upstream_t *up,
    const vault_upstream_call_t *call)
{
    ngx_pool_t           *pool;
    vault_upstream_op_t  *op;

    pool = ngx_create_pool(4096, vr->log);
    if (pool == NULL) {
        return NULL;
    }

    op = ngx_pcalloc(pool, sizeof(vault_upstream_op_t));
    if (op) {
        op->pool = pool;
        op->vr = vr;
        op->peer.up = up;
        op->call = call;

        if (prepare(op) == NGX_OK) {
            return op;
        }
    }

    ngx_destroy_pool(pool);

    return NULL;
}


/* The answer, copied to where it may stay */

static void
wipe_body(void *data)
{
    ngx_str_t  *body = data;

    vault_wipe(body->data, body->len);
}


static ngx_int_t
copy_text(ngx_pool_t *pool, ngx_str_t *to, u_char *data, size_t len)
{
    to->data = ngx_pnalloc(pool, len ? len : 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, data, len);
    to->len = len;

    return NGX_OK;
}


static ngx_int_t
copy_headers(ngx_pool_t *pool, const ngx_array_t *from, ngx_array_t **to)
{
    ngx_uint_t           i;
    ngx_keyval_t        *copy;
    const ngx_keyval_t  *pair = from->elts;

    *to = ngx_array_create(pool, from->nelts ? from->nelts : 1,
                           sizeof(ngx_keyval_t));
    if (*to == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < from->nelts; i++) {
        copy = ngx_array_push(*to);

        if (copy == NULL
            || copy_text(pool, &copy->key, pair[i].key.data,
                         pair[i].key.len) != NGX_OK
            || copy_text(pool, &copy->value, pair[i].value.data,
                         pair[i].value.len) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
copy_answer(ngx_pool_t *pool, const vault_upstream_parse_t *p,
    vault_http_answer_t *answer)
{
    ngx_str_t           *body;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    body = cln->data;
    ngx_str_null(body);
    cln->handler = wipe_body;

    if (copy_text(pool, body, p->body, p->size) != NGX_OK
        || copy_headers(pool, p->headers, &answer->headers) != NGX_OK)
    {
        return NGX_ERROR;
    }

    answer->body = *body;
    answer->status = p->line.code;

    return NGX_OK;
}


static ngx_int_t
copy_error(ngx_pool_t *pool, vault_upstream_op_t *op,
    vault_http_answer_t *answer)
{
    const char  *error;

    error = op->parse.error;

    if (error == NULL) {
        error = op->error[0] ? (const char *) op->error : "cannot be started";
    }

    answer->too_large = op->parse.too_large;

    return copy_text(pool, &answer->error, (u_char *) error,
                     ngx_strlen(error));
}


ngx_int_t
vault_upstream_attempt(vault_request_t *vr, vault_upstream_t *up,
    const vault_upstream_call_t *call,
    const vault_upstream_addresses_t *addresses, ngx_uint_t fresh,
    vault_http_answer_t *answer)
{
    ngx_int_t             rc;
    ngx_uint_t            again;
    vault_upstream_op_t  *op;

    ngx_memzero(answer, sizeof(vault_http_answer_t));

    op = create(vr, up, call);
    if (op == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    /* only what may be asked twice risks a connection that is just closing */
    op->peer.fresh = fresh || !may_repeat(call);
    op->peer.addresses = *addresses;

    ngx_http_upstream_init(&op->standin.sub);

    (void) vault_wait(vr, 0, call_cancel, op);

    again = op->peer.kept && op->silent;

    rc = op->parse.whole ? copy_answer(vr->pool, &op->parse, answer)
                         : copy_error(vr->pool, op, answer);
    drop(op);

    if (rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return answer->status ? NGX_OK : again ? NGX_AGAIN : NGX_ERROR;
}
