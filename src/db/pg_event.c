/*
 * The socket of a connection in nginx's event loop.
 *
 * nginx arms sockets edge-triggered as a rule, for handlers that read until
 * EAGAIN.  libpq does not tell whether it did, so these sockets are armed
 * level-triggered: what libpq leaves in the kernel is reported again.
 */

#include <ngx_config.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../run/await.h"
#include "pg.h"


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t  *c = ev->data;
    vault_db_conn_t   *conn = c->data;

    conn->proceed(conn);
}


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


/* Calls conn->proceed when the socket can be read, or written. */
ngx_int_t
vault_pg_watch(vault_db_conn_t *conn, ngx_uint_t read, ngx_uint_t write)
{
    ngx_connection_t  *c = conn->watch;

    if (c == NULL) {
        if (PQsocket(conn->pg) < 0) {
            return NGX_ERROR;
        }

        c = ngx_get_connection(PQsocket(conn->pg), ngx_cycle->log);
        if (c == NULL) {
            return NGX_ERROR;
        }

        c->data = conn;
        c->read->log = c->log;
        c->write->log = c->log;
        c->read->handler = on_event;
        c->write->handler = on_event;
        conn->watch = c;
    }

    if (arm(c->read, NGX_READ_EVENT, read) != NGX_OK
        || arm(c->write, NGX_WRITE_EVENT, write) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * libpq closes its socket as it sees fit, and somebody else may own the number
 * by now: then the kernel has forgotten the events already, and only nginx is
 * told.
 */
void
vault_pg_unwatch(vault_db_conn_t *conn)
{
    ngx_int_t          flags;
    ngx_connection_t  *c = conn->watch;

    if (c == NULL) {
        return;
    }

    flags = (PQsocket(conn->pg) == c->fd) ? 0 : NGX_CLOSE_EVENT;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
    conn->watch = NULL;
}


/*
 * Takes in what has arrived.  With TLS a part of it may wait inside OpenSSL,
 * where the event loop cannot see it.
 */
ngx_int_t
vault_pg_consume(vault_db_conn_t *conn)
{
    SSL  *ssl;

    do {
        if (PQconsumeInput(conn->pg) == 0) {
            return NGX_ERROR;
        }

        if (!PQsslInUse(conn->pg)) {
            break;
        }

        ssl = PQsslStruct(conn->pg, "OpenSSL");

    } while (ssl != NULL && SSL_pending(ssl) > 0);

    return NGX_OK;
}


/*
 * reason NULL: what libpq says, its first line; all of it while it connects,
 * for those who look for the hint.
 */
void
vault_pg_lose(vault_db_conn_t *conn, const char *reason)
{
    size_t  len;

    if (conn->state == VAULT_PG_LOST) {
        return;
    }

    if (reason == NULL) {
        reason = PQerrorMessage(conn->pg);
    }

    len = conn->state == VAULT_PG_OPENING ? ngx_strlen(reason)
                                          : strcspn(reason, "\n");

    if (len == 0) {
        reason = "connection lost";
        len = ngx_strlen(reason);
    }

    conn->error_len = ngx_min(len, sizeof(conn->error));
    ngx_memcpy(conn->error, reason, conn->error_len);

    conn->state = VAULT_PG_LOST;
    vault_pg_unwatch(conn);

    ERR_clear_error();                /* nginx would wonder whose they are */
}


/*
 * Tells whoever waits.  The connection may be closed afterwards, so the caller
 * must not touch it any more.
 */
void
vault_pg_settle(vault_db_conn_t *conn)
{
    vault_pg_handler_pt  settled = conn->settled;

    conn->settled = NULL;

    if (settled) {
        settled(conn);
    }
}
