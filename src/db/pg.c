/*
 * PostgreSQL behind the port's interface.
 */

#include "../run/await.h"
#include "pg.h"


#define DRAIN_TIME  5000


static void
wake(vault_db_conn_t *conn)
{
    vault_wake(conn->waiter);
}


/* The request has left; answers that still come are for drain(). */
static void
abandon(void *data)
{
    vault_db_conn_t  *conn = data;

    conn->settled = NULL;
    conn->waiter = NULL;
}


vault_db_status_e
vault_pg_execute(vault_db_conn_t *conn, vault_request_t *vr,
    vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags,
    ngx_msec_t timeout)
{
    ngx_str_t  error;
    ngx_int_t  rc;

    rc = NGX_ERROR;

    if (conn->state == VAULT_PG_IDLE) {
        rc = vault_pg_send(conn, list, n, flags);
    }

    if (rc == NGX_OK) {
        conn->waiter = vr;
        conn->settled = wake;

        if (vault_wait(vr, timeout, abandon, conn) != NGX_OK) {
            ngx_str_set(&error, "no answer in time");

            /* Slow is not gone: to ask once more would make it slower. */

            return vault_pg_refuse(list, n, VAULT_DB_FULL, &error);
        }

        conn->waiter = NULL;

        if (conn->synced) {
            return vault_pg_collect(conn, vr, list, n);
        }
    }

    error = vault_printf(vr, "%*s", conn->error_len, conn->error);

    return vault_pg_refuse(list, n, rc == NGX_DECLINED ? VAULT_DB_BAD
                                                       : VAULT_DB_GONE,
                           &error);
}


static void
drained(vault_db_conn_t *conn, ngx_uint_t is_usable)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    conn->settled = NULL;
    conn->done(conn, is_usable, conn->done_data);
}


static void
on_drain_timeout(ngx_event_t *ev)
{
    vault_db_conn_t  *conn = ev->data;

    vault_pg_lose(conn, "no answer in time");
    drained(conn, 0);
}


static void
await_drain(vault_db_conn_t *conn, vault_pg_handler_pt settled)
{
    conn->settled = settled;

    if (conn->timer.timer_set) {
        return;
    }

    conn->timer.handler = on_drain_timeout;
    conn->timer.data = conn;
    conn->timer.log = ngx_cycle->log;

    ngx_add_timer(&conn->timer, DRAIN_TIME);
}


static void
on_drain(vault_db_conn_t *conn)
{
    vault_pg_clear(conn);

    if (conn->state != VAULT_PG_IDLE) {
        drained(conn, 0);
        return;
    }

    if (PQtransactionStatus(conn->pg) == PQTRANS_IDLE) {
        drained(conn, 1);
        return;
    }

    if (vault_pg_send(conn, NULL, 0, VAULT_DB_ROLLBACK) != NGX_OK) {
        drained(conn, 0);
        return;
    }

    await_drain(conn, on_drain);
}


void
vault_pg_drain(vault_db_conn_t *conn,
    void (*done)(vault_db_conn_t *conn, ngx_uint_t usable, void *data),
    void *data)
{
    conn->done = done;
    conn->done_data = data;
    conn->waiter = NULL;

    if (conn->state == VAULT_PG_BUSY) {
        await_drain(conn, on_drain);
        return;
    }

    on_drain(conn);
}


/*
 * A server that ended since the last turn of the event loop is found by a look
 * at the socket.
 */
ngx_uint_t
vault_pg_usable(vault_db_conn_t *conn)
{
    char     byte;
    ssize_t  n;

    if (conn->state != VAULT_PG_IDLE || conn->worn) {
        return 0;
    }

    n = recv(PQsocket(conn->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n >= 0 || ngx_socket_errno != NGX_EAGAIN) {
        vault_pg_proceed(conn);
    }

    return conn->state == VAULT_PG_IDLE
           && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
}


const vault_db_adapter_t  vault_db_pg = {
    .name = "postgresql",
    .configure = vault_pg_configure,
    .open = vault_pg_open,
    .execute = vault_pg_execute,
    .drain = vault_pg_drain,
    .close = vault_pg_close,
    .usable = vault_pg_usable,
    .suspect = 30
};
