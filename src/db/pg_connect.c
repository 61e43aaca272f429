/*
 * The URL, and a connection from nothing to ready: libpq's own steps, each
 * when its socket is ready for it.
 */

#include "../run/await.h"
#include "pg.h"


/* What a URL leaves open.  A peer that is gone must be noticed in seconds. */
static const char *const  defaults[][2] = {
    { "fallback_application_name", "ngx_http_vault_module" },
    { "gssencmode",           "disable" },    /* asks Kerberos, and waits */
    { "keepalives_idle",      "30" },
    { "keepalives_interval",  "10" },
    { "keepalives_count",     "3" },
    { "tcp_user_timeout",     "10000" },
    { NULL, NULL }
};

static const char *const  ssl_modes[] = {
    "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL
};


static const char *
find_value(vault_pg_conf_t *conf, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < conf->n; i++) {
        if (ngx_strcmp(conf->names[i], name) == 0) {
            return conf->values[i];
        }
    }

    return NULL;
}


static const char *
copy(ngx_pool_t *pool, const char *text)
{
    size_t   len = ngx_strlen(text) + 1;
    u_char  *p;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, text, len);

    return (const char *) p;
}


static ngx_int_t
add(vault_pg_conf_t *conf, ngx_pool_t *pool, const char *name,
    const char *value)
{
    conf->names[conf->n] = copy(pool, name);
    conf->values[conf->n] = copy(pool, value);

    if (conf->names[conf->n] == NULL || conf->values[conf->n] == NULL) {
        return NGX_ERROR;
    }

    conf->n++;

    return NGX_OK;
}


/* libpq finds wrong values only when it connects. */
static const char *
check_values(vault_pg_conf_t *conf)
{
    ngx_int_t           n;
    ngx_uint_t          i;
    const char         *value, *end;

    value = find_value(conf, "sslmode");

    if (value) {
        for (i = 0; ssl_modes[i]; i++) {
            if (ngx_strcmp(value, ssl_modes[i]) == 0) {
                break;
            }
        }

        if (ssl_modes[i] == NULL) {
            return "unknown sslmode; one of disable, allow, prefer, require,"
                   " verify-ca, verify-full";
        }
    }

    for (value = conf->port; *value; value = end + (*end == ',')) {
        end = value + strcspn(value, ",");
        n = ngx_atoi((u_char *) value, (size_t) (end - value));

        if (end != value && (n < 1 || n > 65535)) {
            return "port is not a number from 1 to 65535";
        }
    }

    return NULL;
}


static ngx_int_t
store(vault_pg_conf_t *conf, ngx_pool_t *pool, PQconninfoOption *options)
{
    size_t             n;
    ngx_uint_t         i;
    const char        *value;
    PQconninfoOption  *o;

    n = sizeof(defaults) / sizeof(defaults[0]);

    for (o = options; o->keyword; o++) {
        n += (o->val != NULL);
    }

    /* Four more: host, hostaddr and port once resolved, client_encoding. */

    conf->names = ngx_pcalloc(pool, (n + 5) * sizeof(char *));
    conf->values = ngx_pcalloc(pool, (n + 5) * sizeof(char *));

    if (conf->names == NULL || conf->values == NULL) {
        return NGX_ERROR;
    }

    for (o = options; o->keyword; o++) {
        if (o->val && add(conf, pool, o->keyword, o->val) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (i = 0; defaults[i][0]; i++) {
        if (find_value(conf, defaults[i][0]) == NULL
            && add(conf, pool, defaults[i][0], defaults[i][1]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (add(conf, pool, "client_encoding", "UTF8") != NGX_OK) {
        return NGX_ERROR;
    }

    value = find_value(conf, "host");
    conf->host = value ? value : "";

    value = find_value(conf, "port");
    conf->port = value ? value : "";

    conf->resolve = (find_value(conf, "hostaddr") == NULL
                     && vault_pg_is_name(conf->host));

    return NGX_OK;
}


/* libpq's own message would repeat the URL, and with it the password. */
void *
vault_pg_configure(ngx_pool_t *pool, const ngx_str_t *url, const char **err)
{
    ngx_int_t          rc;
    const char        *text;
    vault_pg_conf_t   *conf;
    PQconninfoOption  *options;

    *err = "no memory";

    conf = ngx_pcalloc(pool, sizeof(vault_pg_conf_t));
    text = (const char *) ngx_pnalloc(pool, url->len + 1);

    if (conf == NULL || text == NULL) {
        return NULL;
    }

    ngx_cpystrn((u_char *) text, url->data, url->len + 1);

    options = PQconninfoParse(text, NULL);

    if (options == NULL) {
        *err = "not a URL that libpq understands; the form is postgresql://"
               "user:password@host:5432/database?sslmode=verify-full";
        return NULL;
    }

    rc = store(conf, pool, options);
    PQconninfoFree(options);

    if (rc != NGX_OK) {
        return NULL;
    }

    *err = check_values(conf);

    return *err ? NULL : conf;
}


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


/* names and values: of the conf, those of the resolver last, so they win. */
static vault_db_conn_t *
start(vault_request_t *vr, vault_pg_conf_t *conf, vault_pg_resolve_t *job)
{
    size_t            size;
    ngx_uint_t        n;
    const char      **names, **values;
    vault_db_conn_t  *conn;

    n = conf->n;
    size = (n + 4) * sizeof(char *);
    names = vault_calloc(vr, size);
    values = vault_calloc(vr, size);

    ngx_memcpy(names, conf->names, n * sizeof(char *));
    ngx_memcpy(values, conf->values, n * sizeof(char *));

    if (job) {
        names[n] = "host";
        values[n++] = job->host;
        names[n] = "hostaddr";
        values[n++] = job->hostaddr;
        names[n] = "port";
        values[n] = job->port;
    }

    conn = ngx_calloc(sizeof(vault_db_conn_t), vr->log);
    if (conn == NULL) {
        return NULL;
    }

    conn->pg = PQconnectStartParams(names, values, 0);
    if (conn->pg == NULL) {
        ngx_free(conn);
        return NULL;
    }

    conn->proceed = on_connecting;
    conn->vault = vr->conf;

    PQsetNoticeReceiver(conn->pg, on_notice, conn);

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


vault_db_conn_t *
vault_pg_open(vault_request_t *vr, void *data, ngx_msec_t timeout,
    vault_db_status_e *status, ngx_str_t *error)
{
    vault_pg_conf_t     *conf = data;
    vault_db_conn_t     *conn;
    vault_pg_resolve_t  *job = NULL;

    *status = VAULT_DB_GONE;

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

    conn = start(vr, conf, job);

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
        *error = vault_printf(vr, "cannot connect: %*s", conn->error_len,
                              conn->error);
        vault_pg_close(conn);
        return NULL;
    }

    *status = VAULT_DB_OK;

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
