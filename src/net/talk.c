/*
 * talk - a conversation in lines with another server.
 */

#include "talk.h"
#include "upstream_part.h"

#include <openssl/x509v3.h>


static ngx_int_t
give_up(vault_talk_t *talk, const char *why)
{
    if (talk->error.len == 0) {
        talk->error = vault_printf(talk->vr, "%s", why);
    }

    return NGX_ERROR;
}


/* Waiting */

static void
wake(vault_talk_t *talk)
{
    if (talk->waiting) {
        talk->waiting = 0;
        vault_wake(talk->vr);
    }
}


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t  *c = ev->data;

    wake(c->data);
}


static void
on_cancel(void *data)
{
    vault_talk_t  *talk = data;

    talk->waiting = 0;
}


/* Until something happens at the connection. */
static ngx_int_t
await(vault_talk_t *talk, ngx_msec_t most)
{
    ngx_int_t       rc;
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (talk->end - ngx_current_msec);

    if (left <= 0) {
        return give_up(talk, "took too long");
    }

    talk->waiting = 1;
    rc = vault_wait(talk->vr, ngx_min(most, (ngx_msec_t) left), on_cancel,
                    talk);
    talk->waiting = 0;

    return rc == NGX_OK ? NGX_OK : give_up(talk, "timed out");
}


/* Connecting */

static void
drop(void *data)
{
    vault_talk_t      *talk = data;
    ngx_connection_t  *c = talk->connection;

    if (c == NULL) {
        return;
    }

    talk->connection = NULL;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    if (c->pool) {
        ngx_destroy_pool(c->pool);
    }

    ngx_close_connection(c);
}


static ngx_int_t
is_connected(vault_talk_t *talk)
{
    int        err = 0;
    socklen_t  len = sizeof(int);

    if (getsockopt(talk->connection->fd, SOL_SOCKET, SO_ERROR, &err, &len)
        == -1)
    {
        err = ngx_socket_errno;
    }

    if (err) {
        talk->error = vault_printf(talk->vr, "cannot connect: %s",
                                   strerror(err));
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
dial(vault_talk_t *talk, vault_upstream_address_t *address, ngx_msec_t ms)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    address->name.data = address->text;

    pc.sockaddr = &address->sockaddr.sockaddr;
    pc.socklen = address->socklen;
    pc.name = &address->name;
    pc.get = ngx_event_get_peer;
    pc.log = talk->vr->log;
    pc.log_error = NGX_ERROR_INFO;    /* told by who asked */

    rc = ngx_event_connect_peer(&pc);
    c = pc.connection;
    talk->connection = c;
    ngx_str_null(&talk->error);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        drop(talk);
        return give_up(talk, "cannot connect");
    }

    c->data = talk;
    c->read->handler = on_event;
    c->write->handler = on_event;
    c->pool = ngx_create_pool(512, talk->vr->log);

    if (c->pool
        && (rc == NGX_OK || (await(talk, ms) == NGX_OK
                             && is_connected(talk) == NGX_OK)))
    {
        return NGX_OK;
    }

    drop(talk);

    return NGX_ERROR;
}


vault_talk_t *
vault_talk_open(vault_request_t *vr, vault_upstream_t *up, ngx_msec_t connect,
    ngx_msec_t total, ngx_str_t *error)
{
    ngx_uint_t                   i;
    vault_talk_t                *talk;
    vault_upstream_addresses_t  *addresses;

    talk = vault_calloc(vr, sizeof(vault_talk_t));
    talk->vr = vr;
    talk->up = up;
    talk->end = ngx_current_msec + total;
    talk->buffer = vault_alloc(vr, VAULT_TALK_LINE);

    addresses = vault_calloc(vr, sizeof(vault_upstream_addresses_t));

    if (vault_upstream_look_up(vr, up, addresses, error) != NGX_OK) {
        return NULL;
    }

    talk->defer = vault_defer(vr, drop, talk);

    for (i = 0; i < addresses->n; i++) {
        if (dial(talk, &addresses->list[i], connect) == NGX_OK) {
            return talk;
        }
    }

    *error = talk->error;

    return NULL;
}


void
vault_talk_close(vault_talk_t *talk)
{
    vault_undefer(talk->defer);
    drop(talk);
}


/* TLS */

static void
on_shaken(ngx_connection_t *c)
{
    vault_talk_t  *talk = c->data;

    talk->shaken = 1;
    wake(talk);
}


/* Whom we expect.  OpenSSL refuses anybody else. */
static ngx_int_t
expect(ngx_connection_t *c, vault_upstream_t *up)
{
    if (vault_upstream_tls_expect(c, up) != NGX_OK) {
        return NGX_ERROR;
    }

    return up->literal
           || SSL_set_tlsext_host_name(c->ssl->connection, up->host.data) == 1
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
vault_talk_secure(vault_talk_t *talk)
{
    ngx_int_t          rc;
    ngx_connection_t  *c = talk->connection;

    if (talk->len != talk->taken) {
        return give_up(talk, "said more than its answer before TLS");
    }

    if (talk->up->ssl == NULL
        || ngx_ssl_create_connection(talk->up->ssl, c,
                                     NGX_SSL_BUFFER|NGX_SSL_CLIENT) != NGX_OK
        || expect(c, talk->up) != NGX_OK)
    {
        return give_up(talk, "TLS cannot be started");
    }

    c->ssl->handler = on_shaken;
    rc = ngx_ssl_handshake(c);

    while (rc == NGX_AGAIN && !talk->shaken) {
        if (await(talk, talk->silence) != NGX_OK) {
            return NGX_ERROR;
        }
    }


    if (!c->ssl->handshaked) {
        return give_up(talk, vault_upstream_tls_error(c));
    }

    c->read->handler = on_event;
    c->write->handler = on_event;

    return NGX_OK;
}


/* Lines */

ngx_int_t
vault_talk_write(vault_talk_t *talk, const ngx_str_t *bytes)
{
    ssize_t            n;
    ngx_str_t          rest = *bytes;
    ngx_connection_t  *c = talk->connection;

    while (rest.len) {
        n = c->send(c, rest.data, rest.len);

        if (n > 0) {
            rest.data += n;
            rest.len -= n;
            continue;
        }

        if (n != NGX_AGAIN || ngx_handle_write_event(c->write, 0) != NGX_OK) {
            return give_up(talk, "the connection was closed");
        }

        if (await(talk, talk->silence) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* More bytes into the buffer. */
static ngx_int_t
read_some(vault_talk_t *talk)
{
    ssize_t            n;
    ngx_connection_t  *c = talk->connection;

    for ( ;; ) {
        n = c->recv(c, talk->buffer + talk->len, VAULT_TALK_LINE - talk->len);

        if (n > 0) {
            talk->len += n;
            return NGX_OK;
        }

        if (n != NGX_AGAIN || ngx_handle_read_event(c->read, 0) != NGX_OK) {
            return give_up(talk, "the connection was closed");
        }

        if (await(talk, talk->silence) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


ngx_int_t
vault_talk_line(vault_talk_t *talk, ngx_str_t *line)
{
    u_char  *end;

    talk->len -= talk->taken;
    ngx_memmove(talk->buffer, talk->buffer + talk->taken, talk->len);
    talk->taken = 0;

    for ( ;; ) {
        end = ngx_strlchr(talk->buffer, talk->buffer + talk->len, '\n');

        if (end) {
            break;
        }

        if (talk->len == VAULT_TALK_LINE) {
            return give_up(talk, "a line without an end");
        }

        if (read_some(talk) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    talk->taken = end + 1 - talk->buffer;

    if (end > talk->buffer && end[-1] == '\r') {
        end--;
    }

    line->data = talk->buffer;
    line->len = end - talk->buffer;

    return NGX_OK;
}
