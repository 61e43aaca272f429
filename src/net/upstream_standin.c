/*
 * The client that nginx's upstream module believes to serve: a connection that
 * no event ever reaches, a request, and a background subrequest of it, which
 * is what runs.  So one path serves endpoints and tasks, a call ends when
 * we say and not when a client leaves, and no filter, access rule or log of
 * the server sees it.
 */

#include "upstream_part.h"


static u_char *
standin_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                    *p;
    vault_upstream_standin_t  *standin = log->data;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    return ngx_snprintf(buf, len, ", upstream: \"%V:%ui\"",
                        &standin->up->host, (ngx_uint_t) standin->up->port);
}


static void
standin_event(ngx_event_t *ev, vault_upstream_standin_t *standin)
{
    ev->data = &standin->connection;
    ev->log = &standin->log;
    ev->active = 1;                   /* nginx adds only what is not */
}


static void
standin_request(vault_upstream_standin_t *standin, ngx_http_request_t *r,
    ngx_pool_t *pool)
{
    r->signature = NGX_HTTP_MODULE;
    r->connection = &standin->connection;
    r->pool = pool;
    r->main = &standin->main;
    r->loc_conf = standin->up->loc_conf;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
    r->http_version = NGX_HTTP_VERSION_11;
    r->logged = 1;
    r->count = 1;
}


void
vault_upstream_standin(vault_upstream_op_t *op,
    ngx_http_post_subrequest_pt done)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *sub;
    vault_upstream_standin_t  *standin = &op->standin;

    standin->up = op->peer.up;
    standin->ctx.connection = &standin->connection;
    standin->ctx.request = &standin->main;
    standin->ctx.current_request = &standin->sub;

    standin->log = *op->vr->log;
    standin->log.handler = standin_log;
    standin->log.data = standin;
    standin->log.action = NULL;

    standin_event(&standin->read, standin);
    standin_event(&standin->write, standin);

    c = &standin->connection;
    c->fd = (ngx_socket_t) -1;
    c->data = &standin->main;
    c->read = &standin->read;
    c->write = &standin->write;
    c->log = &standin->log;
    c->pool = op->pool;
    c->sendfile = 1;

    standin_request(standin, &standin->main, op->pool);

    sub = &standin->sub;
    standin_request(standin, sub, op->pool);

    sub->parent = &standin->main;
    sub->post_subrequest = &standin->post;
    sub->background = 1;              /* nobody reads it, nobody waits for it */
    sub->logged = 0;
    standin->main.count++;            /* for the subrequest */

    standin->post.handler = done;
    standin->post.data = op;
}


/*
 * What the upstream module asks the location for; of no location of the
 * administrator's, since none was meant for this.
 */
ngx_int_t
vault_upstream_standin_conf(ngx_conf_t *cf, vault_upstream_t *up)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_core_loc_conf_t));
    up->loc_conf = ngx_pcalloc(cf->pool,
                               sizeof(void *) * ngx_http_max_module);

    if (clcf == NULL || up->loc_conf == NULL) {
        return NGX_ERROR;
    }

    clcf->directio_alignment = 512;
    clcf->client_body_buffer_size = 64 * 1024;     /* of a file over TLS */
    clcf->sendfile_max_chunk = 2 * 1024 * 1024;
    clcf->tcp_nodelay = 1;

    up->loc_conf[ngx_http_core_module.ctx_index] = clcf;

    return NGX_OK;
}
