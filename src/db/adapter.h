/*
 * adapter - what the port (db.c) asks of a back end.  Known to db/ only.
 *
 * The port owns the queue of requests that wait for a connection, the bounded
 * pool, transactions with their replay, migrations, row binding and strict
 * mode.  An adapter owns one connection: it opens it, runs a list of
 * statements in one go, and closes it.
 */

#ifndef VAULT_DB_ADAPTER_H
#define VAULT_DB_ADAPTER_H

#include "db.h"


/* How a statement, a connect or a commit ended. */
typedef enum {
    VAULT_DB_OK = 0,
    VAULT_DB_RETRY,                   /* collided: replay the transaction */
    VAULT_DB_GONE,                    /* connection lost, cannot connect,
                                         starting up: 503, close it */
    VAULT_DB_FULL,                    /* disk full, read-only, busy: 503 */
    VAULT_DB_BAD                      /* anything else: 500 */
} vault_db_status_e;

/* One cell of a result. */
typedef struct {
    ngx_str_t  text;                  /* data NULL: NULL */
} vault_db_cell_t;

typedef struct {
    ngx_uint_t         columns;
    ngx_uint_t         rows;
    ngx_str_t         *names;         /* of the columns */
    vault_db_cell_t   *cells;         /* row-major; every value as text */
    int64_t            changed;       /* rows changed by a write */
    vault_db_status_e  status;
    ngx_str_t          error;         /* the database's message, for the log */
} vault_db_result_t;

typedef struct {
    const char            *sql;       /* with tokens: key of the statement */
    const vault_db_arg_t  *args;
    ngx_uint_t             n;
    vault_db_result_t      result;    /* filled by execute() */
} vault_db_statement_t;

/*
 * Where CREATE INDEX only starts a job: it answers with a column "job_id".
 * find: the state of the job $1, index: that of the index $1 ("valid").
 */
typedef struct {
    const char  *find;
    const char  *index;
} vault_db_job_t;

/*
 * The most of a back end that takes 3,000 rows and 10 MiB: models count rows
 * and bytes of their own, and cannot know of each.
 */
#define VAULT_DB_FEW_ROWS   2500
#define VAULT_DB_FEW_BYTES  (4 * 1024 * 1024)

/*
 * Flags of execute(): what surrounds the list, in the same round trip.  A
 * statement that fails stops the list; those after it have status RETRY and
 * no result.  BEGIN means "for writing": IMMEDIATE on SQLite.
 */
#define VAULT_DB_BEGIN     0x01
#define VAULT_DB_COMMIT    0x02       /* after the list */
#define VAULT_DB_ROLLBACK  0x04

typedef struct vault_db_conn_s  vault_db_conn_t;

typedef struct {
    const char  *name;                /* "sqlite", "postgresql" */

    /* Parses the URL; *err says what is wrong.  NULL on error. */
    void *(*configure)(ngx_pool_t *pool, const ngx_str_t *url,
        const char **err);

    /*
     * Opens a connection: awaits up to timeout.  NULL with *status and, in the
     * request's pool, *error.
     */
    vault_db_conn_t *(*open)(vault_request_t *vr, void *conf,
        ngx_msec_t timeout, vault_db_status_e *status, ngx_str_t *error);

    /*
     * Runs the list: awaits.  Results live in the request's pool.  The status
     * of the whole is that of the first that failed, COMMIT included; the port
     * never goes on with a connection after a failure, it calls drain().
     * With n = 0 and no BEGIN only the flags count (COMMIT, ROLLBACK); error
     * texts that belong to no statement are left in list[0] if there is one.
     * A request that ends while waiting leaves the connection to drain(), which
     * the port has deferred.
     */
    vault_db_status_e (*execute)(vault_db_conn_t *conn, vault_request_t *vr,
        vault_db_statement_t *list, ngx_uint_t n, ngx_uint_t flags,
        ngx_msec_t timeout);

    /*
     * Without a request, on the main stack: brings the connection back to idle
     * (cancels what runs, rolls back an open transaction), then calls
     * done(conn, usable, data) once.  May call it at once.
     */
    void (*drain)(vault_db_conn_t *conn,
        void (*done)(vault_db_conn_t *conn, ngx_uint_t usable, void *data),
        void *data);

    /* Closes; never waits; at once on the main stack. */
    void (*close)(vault_db_conn_t *conn);

    /* 1 while the connection is open and idle as far as can be seen now. */
    ngx_uint_t (*usable)(vault_db_conn_t *conn);

    /* What follows may be left out. */

    ngx_uint_t connections;           /* default bound of the pool; 0: 10 */

    /*
     * A connection for reads only.  A back end that has it keeps exactly one
     * connection of open() for writes, beside the pool of these.
     */
    vault_db_conn_t *(*open_reader)(vault_request_t *vr, void *conf,
        ngx_msec_t timeout, vault_db_status_e *status, ngx_str_t *error);

    /*
     * 1: servers never change the schema, a deploy step does, on a
     * connection of its own.
     */
    ngx_uint_t  deployed;

    vault_db_conn_t *(*open_admin)(vault_request_t *vr, void *conf,
        ngx_msec_t timeout, vault_db_status_e *status, ngx_str_t *error);

    /* After migrations: the n-th statement that lets servers in, or data NULL;
       one that is done already may fail with "already". */
    ngx_str_t (*grant)(void *conf, ngx_pool_t *pool, ngx_uint_t n);

    const vault_db_job_t *job;        /* indexes take their time */

    ngx_uint_t  marks;                /* 1: each COMMIT leaves a mark: mark.c */
    time_t  suspect;                  /* seconds without use after which a
                                         connection must prove that it lives */

    /* What one transaction may change and send; 0: whatever it likes. */
    int64_t  most_rows;
    size_t  most_bytes;

    /* The folder of the database; and what can be said of it at once, in the
       master: NGX_ERROR after having logged it with its remedy. */
    ngx_str_t (*folder)(void *conf);
    ngx_int_t (*check)(void *conf, ngx_cycle_t *cycle);

    /* As close(), when the process ends and may block a moment. */
    void (*finish)(vault_db_conn_t *conn);
} vault_db_adapter_t;

/*
 * The marker of a cell whose value is a number that never was a text: then
 * text.data is VAULT_DB_INTEGER and text.len the value.  An adapter may use it
 * where a pointer has 64 bits; text is always right.
 */
extern u_char  vault_db_integer[];
#define VAULT_DB_INTEGER  vault_db_integer

extern const vault_db_adapter_t  vault_db_sqlite;
extern const vault_db_adapter_t  vault_db_pg;
extern const vault_db_adapter_t  vault_db_dsql;


#endif
