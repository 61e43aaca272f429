/*
 * db - SQL from a request, on SQLite or PostgreSQL.
 *
 * Why:    models say what they want in one SQL text; the port knows how each
 *         database is reached without blocking the event loop.
 * Use:    vault_db_find(), vault_db_list(), vault_db_run(); several reads in
 *         one round trip with vault_db_batch(); writes that belong together
 *         in vault_db_transaction().  All await.
 * Owns:   rows live in the request's pool (text may point into the driver's
 *         result, which the pool releases).
 * Fails:  ends the request: 503 when the database is out of reach, busy, full
 *         or read-only, 500 for anything else.  The cause is logged once.
 * Waits:  up to the database's timeout, for a connection and for an answer.
 * See:    model/folder.c for the smallest complete use.
 *
 * SQL: static texts (the pointer is the key of the prepared statement), $1 …
 * $n in order of first appearance, one dialect under the rules of
 * src/db/README.md.  Tokens that each back end spells differently:
 *
 *   {{list $1}}                  rows of a JSON array of texts; column "value":
 *                                … WHERE id IN (SELECT value FROM {{list $1}})
 *   {{rows $1 (id text, n bigint)}} AS r
 *                                rows of a JSON array of objects, one column a
 *                                member; types are text and bigint
 *   {{join expr}}                the texts of a group with commas between, in
 *                                the order of the subquery they come from
 *   {{for update}}               row lock where the back end has one
 *   CREATE INDEX {{async}} …     in migrations
 */

#ifndef VAULT_DB_DB_H
#define VAULT_DB_DB_H

#include "../run/request.h"


/* Parameters: text (data NULL: NULL) and integers (VAULT_NULL: NULL). */
typedef struct {
    ngx_str_t  text;
    int64_t    integer;
    unsigned   is_text:1;
} vault_db_arg_t;

#define S(str)    ((vault_db_arg_t) { *(str), 0, 1 })
#define I(n)      ((vault_db_arg_t) { { 0, NULL }, (n), 0 })
#define VAULT_DB_MAX_ARGS  40

/*
 * A row's columns by name: text goes to an ngx_str_t, integers to an int64_t,
 * NULL to data NULL and VAULT_NULL.  Columns of the result that the table does
 * not name are ignored; one that the table names and the result lacks is a
 * 500, so that a mismatch cannot pass a test.
 */
typedef enum { VAULT_COL_END = 0, VAULT_COL_TEXT, VAULT_COL_INT } vault_col_e;

typedef struct {
    vault_col_e   type;
    const char   *name;
    size_t        offset;
} vault_column_t;

typedef struct {
    const vault_column_t  *columns;
    size_t                 size;      /* of the C struct */
} vault_row_t;

#define VAULT_COLUMNS_END       { VAULT_COL_END, NULL, 0 }
#define VAULT_ROW(columns, type)  { columns, sizeof(type) }

#define vault_db_args(...)                                                    \
    (const vault_db_arg_t[]) { __VA_ARGS__ },                                 \
    sizeof((vault_db_arg_t[]) { __VA_ARGS__ }) / sizeof(vault_db_arg_t)

#define VAULT_DB_NO_ARGS  NULL, 0

/* First row into `out`, 1; or 0 and `out` untouched.  Awaits. */
ngx_uint_t vault_db_find(vault_request_t *vr, const vault_row_t *row,
    void *out, const char *sql, const vault_db_arg_t *args, ngx_uint_t n);

/* All rows, as an array of row->size structs.  Awaits. */
ngx_array_t *vault_db_list(vault_request_t *vr, const vault_row_t *row,
    const char *sql, const vault_db_arg_t *args, ngx_uint_t n);

/* Runs a statement; the number of rows it changed.  Awaits. */
int64_t vault_db_run(vault_request_t *vr, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n);

/*
 * Several independent statements in one round trip (one thread hop on SQLite),
 * executed in order on one connection.  Outside a transaction they are for
 * reads.  vault_db_batch_run() awaits and fills what was asked for.
 */
typedef struct vault_db_batch_s  vault_db_batch_t;

vault_db_batch_t *vault_db_batch(vault_request_t *vr);
void vault_db_batch_find(vault_db_batch_t *batch, const vault_row_t *row,
    void *out, ngx_uint_t *found, const char *sql,
    const vault_db_arg_t *args, ngx_uint_t n);
void vault_db_batch_list(vault_db_batch_t *batch, const vault_row_t *row,
    ngx_array_t **rows, const char *sql, const vault_db_arg_t *args,
    ngx_uint_t n);
void vault_db_batch_add(vault_db_batch_t *batch, int64_t *changed,
    const char *sql, const vault_db_arg_t *args, ngx_uint_t n);
void vault_db_batch_run(vault_db_batch_t *batch);

/*
 * Runs body(vr, data) in one transaction and commits.  The body does nothing
 * but SQL and vault_fail(): it is replayed when the database says that it
 * collided with another (SQLSTATE 40001, 40P01, SQLITE_BUSY), with a jittered
 * pause, up to 8 times, then 503.  vault_fail() inside rolls back.  Nested
 * calls join the open transaction.
 */
typedef void (*vault_db_body_pt)(vault_request_t *vr, void *data);

void vault_db_transaction(vault_request_t *vr, vault_db_body_pt body,
    void *data);

/*
 * 1 if one transaction may change so many rows and send so many bytes here; if
 * not, model/stage.h is for what must be all or nothing.  Waits: never.
 */
ngx_uint_t vault_db_fits(vault_request_t *vr, int64_t rows, size_t bytes);

/*
 * Forgets marks of transactions (src/db/README.md) that were made before
 * `before`, at most VAULT_DB_MARKS; how many.  Awaits.
 */
#define VAULT_DB_MARKS  500

int64_t vault_db_forget_marks(vault_request_t *vr, int64_t before);

/* "[\"a\",\"b\"]" of an array of ngx_str_t, for {{list $n}}. */
ngx_str_t vault_db_json_list(vault_request_t *vr, const ngx_array_t *texts);


/* Configuration and life of a database, for the root file. */

/*
 * Parses "sqlite:/path" or "postgresql://…" (the URL forms that libpq takes).
 * NULL with *err set to what is wrong.  Nothing is opened yet.
 */
vault_db_t *vault_db_create(ngx_pool_t *pool, const ngx_str_t *url,
    const char **err);

/* Tunables, set by directives before the workers start. */
void vault_db_set_pool(vault_db_t *db, ngx_uint_t connections);
void vault_db_set_timeout(vault_db_t *db, ngx_msec_t timeout);
void vault_db_set_strict(vault_db_t *db, ngx_flag_t strict);

/* The folder that a SQLite database lies in; len 0 for PostgreSQL. */
ngx_str_t vault_db_folder(vault_db_t *db);

/*
 * In the master, before workers: what can be said at once (folder missing or
 * unwritable).  NGX_ERROR after having logged it with its remedy.
 */
ngx_int_t vault_db_check(vault_db_t *db, ngx_cycle_t *cycle);

/*
 * A task for each worker's start (run/await.h): applies pending migrations, so
 * that what is wrong with the database is logged before somebody asks.  A
 * statement that comes earlier or after a failure does the same, and waits.
 */
void vault_db_prepare(vault_request_t *vr, void *data);

/*
 * The deploy step: applies what is missing, on a back end too whose servers
 * never do that by themselves (Aurora DSQL).  Safe to run again and twice at
 * once.  The number of steps applied; awaits, for minutes where an index is
 * built; 503 if it fails.
 */
ngx_uint_t vault_db_migrate(vault_request_t *vr);

/*
 * Runs ready(vr, data) in each worker when the schema has been found right,
 * before the statements of all others.  It may run statements; if it fails,
 * so do those who wait, and the next one tries again.
 */
ngx_int_t vault_db_on_ready(vault_db_t *db, ngx_pool_t *pool,
    vault_db_body_pt ready, void *data);

/* In each worker: no connection is opened here. */
ngx_int_t vault_db_start(vault_db_t *db, ngx_cycle_t *cycle);
void vault_db_stop(vault_db_t *db);

#if (VAULT_DEBUG)
void vault_db_age(vault_db_t *db, time_t seconds);
#endif

/* For the status page: connections that are open, busy; requests waiting. */
typedef struct {
    ngx_uint_t  open;
    ngx_uint_t  busy;
    ngx_uint_t  waiting;
    ngx_uint_t  statements;           /* run since the worker started */
    ngx_uint_t  round_trips;          /* or thread hops */
} vault_db_stats_t;

void vault_db_stats(vault_db_t *db, vault_db_stats_t *stats);


#endif
