/*
 * pg - one connection to PostgreSQL, asynchronous on nginx's event loop.
 *
 * Why:    libpq gives a socket and a state machine; nginx gives events.  These
 *         files put the two together.  Known to pg*.c, and
 *         to dsql.c, which is made of them.
 * Use:    pg.c is the adapter; pg_conf.c reads the URL; pg_connect.c opens;
 *         pg_event.c turns events into calls of conn->proceed; pg_pipeline.c
 *         sends a list and reads its results; pg_result.c hands them to the
 *         port; pg_dialect.c spells the SQL.
 * Owns:   a connection is made by open() and lives until close().  Results
 *         belong to it until they are handed to a request's pool.
 * Fails:  state VAULT_PG_LOST with the reason in conn->error; the connection
 *         is then good for close() only.
 * Waits:  open() and execute() only.
 */

#ifndef VAULT_DB_PG_H
#define VAULT_DB_PG_H

#include <ngx_config.h>
#include <libpq-fe.h>

#include "adapter.h"
#include "dialect.h"


#define VAULT_PG_PARAMS      64       /* of libpq */
#define VAULT_PG_PREPARED    256      /* statements a connection remembers */
#define VAULT_PG_STATEMENTS  1024     /* in one list */
#define VAULT_PG_BULKY       (4 * 1024 * 1024)

typedef enum {
    VAULT_PG_OPENING = 0,
    VAULT_PG_IDLE,                    /* perhaps inside a transaction */
    VAULT_PG_BUSY,                    /* results are outstanding */
    VAULT_PG_LOST
} vault_pg_state_e;

typedef enum {
    VAULT_PG_BEGIN = 0,
    VAULT_PG_COMMIT,
    VAULT_PG_ROLLBACK,
    VAULT_PG_PREPARE,
    VAULT_PG_STATEMENT,
    VAULT_PG_SYNC                     /* ends the list; commits it where no
                                         transaction is open */
} vault_pg_step_e;

/* A command of the pipeline, and what came back. */
typedef struct {
    vault_pg_step_e    kind;
    ngx_uint_t         n;             /* of the list */
    ngx_uint_t         slot;          /* PREPARE: in conn->prepared */
    PGresult          *result;
} vault_pg_step_t;

/* In what those who speak this protocol differ. */
typedef struct {
    const vault_dialect_t  *dialect;
    unsigned           prepares:1;    /* keeps statements by their names */
} vault_pg_kind_t;

typedef struct {
    const char        *names[VAULT_PG_PARAMS];    /* libpq's parameters */
    const char        *values[VAULT_PG_PARAMS];
    ngx_uint_t         n;
    const vault_pg_kind_t  *kind;
    const char        *host;          /* "" : libpq's default */
    const char        *port;
    unsigned           resolve:1;     /* a host may be a name */
} vault_pg_conf_t;

typedef void (*vault_pg_handler_pt)(vault_db_conn_t *conn);

struct vault_db_conn_s {
    PGconn               *pg;
    const vault_pg_kind_t  *kind;
    ngx_connection_t     *watch;      /* nginx's view of the socket */
    vault_pg_state_e      state;
    unsigned              synced:1;   /* the list was answered to its end */
    unsigned              worn:1;     /* to be replaced: holds a big buffer, or
                                         statements of an old schema */

    vault_pg_handler_pt   proceed;    /* the socket can be read or written */
    vault_pg_handler_pt   settled;    /* opened, answered or lost; may be
                                         NULL; may close the connection */
    vault_request_t      *waiter;
    vault_conf_t         *vault;

    vault_pg_step_t      *steps;      /* of the list that runs */
    ngx_uint_t            nsteps;
    ngx_uint_t            nalloc;
    ngx_uint_t            current;

    const char           *prepared[VAULT_PG_PREPARED];  /* SQL by pointer;
                                         its name is "v" and the index */

    ngx_event_t           timer;      /* bounds drain() */
    void                (*done)(vault_db_conn_t *conn, ngx_uint_t usable,
                                void *data);
    void                 *done_data;

    size_t                error_len;
    u_char                error[1024];
};


/* pg_conf.c */
void *vault_pg_configure(ngx_pool_t *pool, const ngx_str_t *url,
    const char **err);

/* For a configuration of another form; NGX_ERROR without memory. */
ngx_int_t vault_pg_add(vault_pg_conf_t *conf, ngx_pool_t *pool,
    const char *name, const char *value);
ngx_int_t vault_pg_complete(vault_pg_conf_t *conf, ngx_pool_t *pool);

/* pg_connect.c */
vault_db_conn_t *vault_pg_open(vault_request_t *vr, void *conf,
    ngx_msec_t timeout, vault_db_status_e *status, ngx_str_t *error);
void vault_pg_close(vault_db_conn_t *conn);

/* Who it is, where the configuration does not say. */
typedef struct {
    const char  *user;
    const char  *password;
} vault_pg_login_t;

/*
 * NULL with *error for the log; and with *whole, unless NULL, all that libpq
 * says, SQLSTATE and hint included.  Awaits.
 */
vault_db_conn_t *vault_pg_connect(vault_request_t *vr, vault_pg_conf_t *conf,
    const vault_pg_login_t *login, ngx_msec_t timeout, ngx_str_t *error,
    ngx_str_t *whole);

/* pg.c: the rest of an adapter. */
vault_db_status_e vault_pg_execute(vault_db_conn_t *conn, vault_request_t *vr,
    vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags,
    ngx_msec_t timeout);
void vault_pg_drain(vault_db_conn_t *conn,
    void (*done)(vault_db_conn_t *conn, ngx_uint_t usable, void *data),
    void *data);
ngx_uint_t vault_pg_usable(vault_db_conn_t *conn);

/* pg_resolve.c: host names to addresses, on a thread; awaits. */
typedef struct {
    const char  *hosts;               /* comma-separated, as libpq's */
    const char  *ports;
    char         host[1024];          /* a host for each address */
    char         hostaddr[1024];
    char         port[256];
    char         error[256];          /* empty: success */
} vault_pg_resolve_t;

ngx_uint_t vault_pg_is_name(const char *hosts);
void vault_pg_resolve(vault_request_t *vr, vault_pg_resolve_t *job);

/* pg_event.c */
ngx_int_t vault_pg_watch(vault_db_conn_t *conn, ngx_uint_t read,
    ngx_uint_t write);
void vault_pg_unwatch(vault_db_conn_t *conn);
ngx_int_t vault_pg_consume(vault_db_conn_t *conn);
void vault_pg_lose(vault_db_conn_t *conn, const char *reason);
void vault_pg_settle(vault_db_conn_t *conn);

/* pg_pipeline.c */
ngx_int_t vault_pg_send(vault_db_conn_t *conn,
    const vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags);
void vault_pg_proceed(vault_db_conn_t *conn);
void vault_pg_clear(vault_db_conn_t *conn);

/* pg_result.c */
vault_db_status_e vault_pg_collect(vault_db_conn_t *conn, vault_request_t *vr,
    vault_db_statement_t *list, ngx_uint_t n);
vault_db_status_e vault_pg_refuse(vault_db_statement_t *list, ngx_uint_t n,
    vault_db_status_e status, const ngx_str_t *error);

/* pg_dialect.c */
extern const vault_dialect_t  vault_pg_dialect;
extern const vault_dialect_t  vault_dsql_dialect;


#endif
