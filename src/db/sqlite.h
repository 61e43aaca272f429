/*
 * sqlite - one connection to a SQLite file, used by one thread at a time.
 *
 * Why:    SQLite blocks on disk and locks, so it never runs on the event loop.
 * Use:    sqlite.c is the adapter, on the event loop; sqlite_open.c,
 *         sqlite_run.c and sqlite_cache.c are the work on a thread;
 *         sqlite_check.c is what can be said before.  Known to sqlite*.c only.
 * Owns:   a connection is made by open() and lives until close().  Results lie
 *         in a pool of their own, tied to the request's.
 * Fails:  a vault_db_status_e and SQLite's message.
 * Waits:  the adapter's open() and execute() only.
 */

#ifndef VAULT_DB_SQLITE_H
#define VAULT_DB_SQLITE_H

#include <ngx_config.h>
#include <sqlite3.h>

#include "adapter.h"


#define VAULT_SQLITE_READERS  4
#define VAULT_SQLITE_CACHE    96      /* prepared statements a connection */
#define VAULT_SQLITE_BUSY     5000    /* ms that a lock is waited for */

typedef struct {
    ngx_str_t           path;         /* NUL-terminated, as the folder */
    ngx_str_t           folder;
} vault_sqlite_conf_t;

typedef struct {
    sqlite3_stmt       *stmt;
    uint64_t            used;
    ngx_uint_t          n;            /* parameters */
    uint8_t             args[VAULT_DB_MAX_ARGS];  /* $n of each, from 0 */
} vault_sqlite_stmt_t;

struct vault_db_conn_s {
    sqlite3                    *handle;
    const vault_sqlite_conf_t  *conf;
    vault_conf_t               *vault;

    uint64_t                    busy_until;   /* monotonic ms */
    uint64_t                    deadline;     /* of the list that runs */
    uint64_t                    uses;         /* clock of the cache */
    ino_t                       inode;
    dev_t                       device;

    const char                 *keys[VAULT_SQLITE_CACHE];
    vault_sqlite_stmt_t         statements[VAULT_SQLITE_CACHE];

    void                      (*work)(void *data, ngx_log_t *log);
    void                      (*after)(vault_db_conn_t *conn);
    ngx_event_t                 again;        /* no thread or stack was free */
    void                      (*done)(vault_db_conn_t *conn,
                                      ngx_uint_t usable, void *data);
    void                       *done_data;

    unsigned                    reader:1;
    unsigned                    open_tx:1;
    unsigned                    broken:1;     /* good for close() only */
    unsigned                    gave_up:1;    /* the lock was never free */
    unsigned                    worked:1;
};

/* A list on its way through a thread. */
typedef struct {
    vault_db_conn_t        *conn;
    vault_db_statement_t   *list;
    ngx_uint_t              n;
    ngx_uint_t              flags;
    ngx_msec_t              timeout;

    ngx_pool_t             *pool;     /* of the results */
    u_char                 *p;        /* room for texts in it */
    u_char                 *last;
    size_t                  chunk;
    size_t                  size;

    vault_db_status_e       status;
    ngx_str_t               error;
} vault_sqlite_job_t;


/* sqlite_open.c */
void vault_sqlite_open(void *data, ngx_log_t *log);
void vault_sqlite_close(vault_db_conn_t *conn);

/* sqlite_run.c */
void vault_sqlite_run(void *data, ngx_log_t *log);
void vault_sqlite_rollback(vault_db_conn_t *conn);

/* How a result code of SQLite is told to the port; marks the connection. */
vault_db_status_e vault_sqlite_status(vault_db_conn_t *conn, int rc);
ngx_str_t vault_sqlite_error(ngx_pool_t *pool, vault_db_conn_t *conn,
    const char *doing);
uint64_t vault_sqlite_clock(void);

/* sqlite_cache.c: NULL with *rc. */
vault_sqlite_stmt_t *vault_sqlite_prepare(vault_db_conn_t *conn,
    ngx_pool_t *pool, const char *sql, int *rc);
void vault_sqlite_forget(vault_db_conn_t *conn);
size_t vault_sqlite_dialect(const char *sql, u_char *out, size_t size);

/* sqlite_check.c */
void *vault_sqlite_configure(ngx_pool_t *pool, const ngx_str_t *url,
    const char **err);
ngx_str_t vault_sqlite_folder(void *conf);
ngx_int_t vault_sqlite_check(void *conf, ngx_cycle_t *cycle);


#endif
