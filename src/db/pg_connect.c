/*
 * A connection from nothing to ready: libpq's own steps, each when its socket
 * is ready for it.
 */

#include "../run/await.h"
#include "pg.h"


/* Messages that the server sends beside results: its good-bye, warnings. */
static void
on_notice(void *data, const PGresult *result)
{
    const char       *state, *text;
    vault_db_conn_t  *conn = data;

    state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (state == NULL || text == NULL) {
        return;
    }

    if (ngx_strncmp(state, "57P", 3) == 0) {
        vault_pg_lose(conn, text);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "postgresql: %s (SQLSTATE %s)", text, state);
}


/*
 * libpq opens a new socket for each address and for a second try without TLS,
 * often with the number of the one it has closed: so the event loop forgets
 * the socket before each step and learns of it again after.
 */
static void
on_connecting(vault_db_conn_t *conn)
{
    ngx_int_t  rc = NGX_OK;

    vault_pg_unwatch(conn);

    switch (PQconnectPoll(conn->pg)) {

    case PGRES_POLLING_READING:
        rc = vault_pg_watch(conn, 1, 0);
        break;

    case PGRES_POLLING_WRITING:
        rc = vault_pg_watch(conn, 0, 1);
        break;

    case PGRES_POLLING_OK:
        if (PQsetnonblocking(conn->pg, 1) != 0) {
            vault_pg_lose(conn, NULL);
            break;
        }

        conn->state = VAULT_PG_IDLE;
        conn->proceed = vault_pg_proceed;
        rc = vault_pg_watch(conn, 1, 0);
        break;

    default:
        vault_pg_lose(conn, NULL);
    }

    if (rc != NGX_OK) {
        vault_pg_lose(conn, "worker_connections are not enough");
    }

    if (conn->state != VAULT_PG_OPENING) {
        vault_pg_settle(conn);
    }
}


typedef struct {
    const char  *names[VAULT_PG_PARAMS + 6];
    const char  *values[VAULT_PG_PARAMS + 6];
    ngx_uint_t   n;
} params_t;


static void
param(params_t *params, const char *name, const char *value)
{
    if (value) {
        params->names[params->n] = name;
        params->values[params->n++] = value;
    }
}


/* Those of the conf, then who it is and what the resolver said: they win. */
static vault_db_conn_t *
start(vault_request_t *vr, vault_pg_conf_t *conf,
    const vault_pg_login_t *login, vault_pg_resolve_t *job)
{
    ngx_uint_t        i;
    params_t         *params;
    vault_db_conn_t  *conn;

    params = vault_calloc(vr, sizeof(params_t));

    for (i = 0; i < conf->n; i++) {
        param(params, conf->names[i], conf->values[i]);
    }

    if (login) {
        param(params, "user", login->user);
        param(params, "password", login->password);
    }

    if (job) {
        param(params, "host", job->host);
        param(params, "hostaddr", job->hostaddr);
        param(params, "port", job->port);
    }

    conn = ngx_calloc(sizeof(vault_db_conn_t), vr->log);
    if (conn == NULL) {
        return NULL;
    }

    conn->kind = conf->kind;
    conn->pg = PQconnectStartParams(params->names, params->values, 0);
    if (conn->pg == NULL) {
        ngx_free(conn);
        return NULL;
    }

    conn->proceed = on_connecting;
    conn->vault = vr->conf;

    PQsetNoticeReceiver(conn->pg, on_notice, conn);

    if (login) {
        PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);    /* SQLSTATEs */
    }

    if (PQstatus(conn->pg) == CONNECTION_BAD) {
        vault_pg_lose(conn, NULL);

    } else if (vault_pg_watch(conn, 0, 1) != NGX_OK) {
        vault_pg_lose(conn, "worker_connections are not enough");
    }

    return conn;
}


static void
wake(vault_db_conn_t *conn)
{
    vault_wake(conn->waiter);
}


static void
abandon(void *data)
{
    vault_pg_close(data);
}


static ngx_str_t
message(vault_request_t *vr, const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    return vault_printf(vr, "cannot connect: %V", &s);
}


/* What libpq said in several lines: the first, and the hint. */
static ngx_str_t
refusal(vault_request_t *vr, vault_db_conn_t *conn, ngx_str_t *whole)
{
    char   *text = (char *) conn->error, *hint;
    size_t  len;

    text[ngx_min(conn->error_len, sizeof(conn->error) - 1)] = '\0';

    if (whole) {
        *whole = vault_printf(vr, "%s%Z", text);
    }

    len = strcspn(text, "\n");
    hint = ngx_strstr(text, "\nHINT:  ");

    if (hint == NULL) {
        return vault_printf(vr, "cannot connect: %*s", len, text);
    }

    hint += sizeof("\nHINT:  ") - 1;

    return vault_printf(vr, "cannot connect: %*s (%*s)", len, text,
                        strcspn(hint, "\n"), hint);
}


vault_db_conn_t *
vault_pg_connect(vault_request_t *vr, vault_pg_conf_t *conf,
    const vault_pg_login_t *login, ngx_msec_t timeout, ngx_str_t *error,
    ngx_str_t *whole)
{
    vault_db_conn_t     *conn;
    vault_pg_resolve_t  *job = NULL;

    if (conf->resolve) {
        job = vault_calloc(vr, sizeof(vault_pg_resolve_t));
        job->hosts = conf->host;
        job->ports = conf->port;

        vault_pg_resolve(vr, job);

        if (job->error[0]) {
            *error = message(vr, job->error);
            return NULL;
        }
    }

    conn = start(vr, conf, login, job);

    if (conn == NULL) {
        *error = message(vr, "no memory");
        return NULL;
    }

    if (conn->state == VAULT_PG_OPENING) {
        conn->waiter = vr;
        conn->settled = wake;

        if (vault_wait(vr, timeout, abandon, conn) != NGX_OK) {
            *error = message(vr, "no answer in time");
            return NULL;
        }
    }

    if (conn->state == VAULT_PG_LOST) {
        *error = refusal(vr, conn, whole);
        vault_pg_close(conn);
        return NULL;
    }

    return conn;
}


vault_db_conn_t *
vault_pg_open(vault_request_t *vr, void *conf, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error)
{
    vault_db_conn_t  *conn;

    conn = vault_pg_connect(vr, conf, NULL, timeout, error, NULL);
    *status = conn ? VAULT_DB_OK : VAULT_DB_GONE;

    return conn;
}


/* libpq says good-bye without waiting for an answer. */
void
vault_pg_close(vault_db_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    vault_pg_clear(conn);
    vault_pg_unwatch(conn);

    PQfinish(conn->pg);

    if (conn->steps) {
        ngx_free(conn->steps);
    }

    ngx_free(conn);
}
