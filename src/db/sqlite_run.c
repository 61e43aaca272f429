/*
 * On a thread: runs a list of statements and copies what they answer.
 *
 * A failure rolls back at once, so no other worker waits for a lock that
 * nobody will use; the port never goes on after a failure.
 */

#include <ngx_config.h>
#include <sys/stat.h>
#include <time.h>

#include "sqlite.h"


#define RUN_CHUNK      4096
#define RUN_CHUNK_MAX  (256 * 1024)
#define RUN_MAX        ((size_t) 512 * 1024 * 1024)  /* bytes of a result */


uint64_t
vault_sqlite_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


vault_db_status_e
vault_sqlite_status(vault_db_conn_t *conn, int rc)
{
    switch (rc & 0xff) {

    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return VAULT_DB_OK;

    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        /* the lock was waited for already: another try would be in vain */
        return conn->gave_up ? VAULT_DB_FULL : VAULT_DB_RETRY;

    case SQLITE_FULL:
    case SQLITE_INTERRUPT:
        return VAULT_DB_FULL;

    case SQLITE_READONLY:
    case SQLITE_PERM:
        conn->broken = 1;             /* a new one sees new permissions */
        return VAULT_DB_FULL;

    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_PROTOCOL:
        conn->broken = 1;
        return VAULT_DB_GONE;

    default:
        return VAULT_DB_BAD;
    }
}


ngx_str_t
vault_sqlite_error(ngx_pool_t *pool, vault_db_conn_t *conn, const char *text)
{
    size_t      len;
    ngx_str_t   error = ngx_null_string;

    if (text == NULL) {
        text = sqlite3_errmsg(conn->handle);
    }

    len = ngx_strlen(text);

    error.data = ngx_pnalloc(pool, len);
    if (error.data) {
        ngx_memcpy(error.data, text, len);
        error.len = len;
    }

    return error;
}


void
vault_sqlite_rollback(vault_db_conn_t *conn)
{
    int  rc;

    if (!sqlite3_get_autocommit(conn->handle)) {
        rc = sqlite3_exec(conn->handle, "ROLLBACK", NULL, NULL, NULL);

        if (!sqlite3_get_autocommit(conn->handle)) {
            (void) vault_sqlite_status(conn, rc);
            conn->broken = 1;
        }
    }

    conn->open_tx = 0;
}


/* Room for a text; chunks grow, so that a big result takes few of them. */
static u_char *
job_room(vault_sqlite_job_t *job, size_t len)
{
    u_char  *p;
    size_t   size;

    if ((size_t) (job->last - job->p) < len) {

        size = ngx_max(len, job->chunk);
        job->size += size;

        if (job->size > RUN_MAX) {
            return NULL;
        }

        p = ngx_palloc(job->pool, size);
        if (p == NULL) {
            return NULL;
        }

        if (len > job->chunk / 2) {
            return p;                 /* the rest of the old one stays */
        }

        job->p = p;
        job->last = p + size;
        job->chunk = ngx_min(job->chunk * 4, RUN_CHUNK_MAX);
    }

    p = job->p;
    job->p += len;

    return p;
}


static int
copy_text(vault_sqlite_job_t *job, ngx_str_t *out, const void *data,
    size_t len)
{
    static u_char  nothing[1];

    if (len == 0) {
        out->data = nothing;
        out->len = 0;
        return SQLITE_OK;
    }

    out->data = job_room(job, len);
    if (out->data == NULL || data == NULL) {
        return SQLITE_NOMEM;
    }

    ngx_memcpy(out->data, data, len);
    out->len = len;

    return SQLITE_OK;
}


static int
copy_cell(vault_sqlite_job_t *job, vault_db_cell_t *cell, sqlite3_stmt *stmt,
    int column)
{
    const void  *data;

    switch (sqlite3_column_type(stmt, column)) {

    case SQLITE_NULL:
        ngx_str_null(&cell->text);
        return SQLITE_OK;

#if (NGX_PTR_SIZE == 8)
    case SQLITE_INTEGER:
        cell->text.data = VAULT_DB_INTEGER;
        cell->text.len = (size_t) sqlite3_column_int64(stmt, column);
        return SQLITE_OK;
#endif

    case SQLITE_BLOB:
        data = sqlite3_column_blob(stmt, column);
        break;

    default:
        data = sqlite3_column_text(stmt, column);
        break;
    }

    return copy_text(job, &cell->text, data,
                     (size_t) sqlite3_column_bytes(stmt, column));
}


static int
copy_names(vault_sqlite_job_t *job, vault_db_result_t *result,
    sqlite3_stmt *stmt)
{
    int          rc;
    ngx_uint_t   i;
    const char  *name;

    result->columns = (ngx_uint_t) sqlite3_column_count(stmt);

    if (result->columns == 0) {
        return SQLITE_OK;
    }

    result->names = ngx_palloc(job->pool, result->columns * sizeof(ngx_str_t));
    if (result->names == NULL) {
        return SQLITE_NOMEM;
    }

    for (i = 0; i < result->columns; i++) {
        name = sqlite3_column_name(stmt, (int) i);
        if (name == NULL) {
            return SQLITE_NOMEM;
        }

        rc = copy_text(job, &result->names[i], name, ngx_strlen(name));
        if (rc != SQLITE_OK) {
            return rc;
        }
    }

    return SQLITE_OK;
}


static int
copy_row(vault_sqlite_job_t *job, vault_db_result_t *result,
    sqlite3_stmt *stmt, ngx_uint_t *room)
{
    int               rc;
    size_t            width;
    ngx_uint_t        i;
    vault_db_cell_t  *cells;

    width = result->columns * sizeof(vault_db_cell_t);

    if (result->rows == *room) {

        cells = ngx_palloc(job->pool, ngx_max(*room * 2, 4) * width);
        if (cells == NULL) {
            return SQLITE_NOMEM;
        }

        if (result->rows) {
            ngx_memcpy(cells, result->cells, result->rows * width);
            (void) ngx_pfree(job->pool, result->cells);
        }

        result->cells = cells;
        *room = ngx_max(*room * 2, 4);
    }

    cells = &result->cells[result->rows * result->columns];

    for (i = 0; i < result->columns; i++) {
        rc = copy_cell(job, &cells[i], stmt, (int) i);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }

    result->rows++;

    return SQLITE_OK;
}


static int
bind_args(vault_sqlite_stmt_t *statement, const vault_db_statement_t *given)
{
    int                    rc, place;
    ngx_uint_t             i;
    const vault_db_arg_t  *arg;

    for (i = 0; i < statement->n; i++) {

        arg = &given->args[statement->args[i]];
        place = (int) i + 1;

        if (arg->is_text && arg->text.data) {
            rc = sqlite3_bind_text64(statement->stmt, place,
                                     (char *) arg->text.data, arg->text.len,
                                     SQLITE_STATIC, SQLITE_UTF8);

        } else if (!arg->is_text && arg->integer != VAULT_NULL) {
            rc = sqlite3_bind_int64(statement->stmt, place, arg->integer);

        } else {
            rc = sqlite3_bind_null(statement->stmt, place);
        }

        if (rc != SQLITE_OK) {
            return rc;
        }
    }

    return SQLITE_OK;
}


static int
step_rows(vault_sqlite_job_t *job, sqlite3_stmt *stmt,
    vault_db_result_t *result)
{
    int         rc, step;
    ngx_uint_t  room = 0;

    rc = copy_names(job, result, stmt);

    while (rc == SQLITE_OK) {
        step = sqlite3_step(stmt);

        if (step != SQLITE_ROW) {
            return step;
        }

        rc = copy_row(job, result, stmt, &room);
    }

    return rc;
}


static void
statement_failed(vault_sqlite_job_t *job, vault_db_result_t *result,
    vault_db_status_e status, const char *error)
{
    result->status = status;
    result->error = vault_sqlite_error(job->pool, job->conn, error);
    result->rows = 0;

    job->status = status;
}


static const char *
failure_text(int rc)
{
    switch (rc) {
    case SQLITE_MISUSE:
        return "unknown {{token}}, or the text is too long";
    case SQLITE_RANGE:
        return "the parameters are not $1 to $n";
    case SQLITE_INTERRUPT:
        return "no answer in time";
    default:
        return NULL;
    }
}


static void
run_statement(vault_sqlite_job_t *job, vault_db_statement_t *given)
{
    int                   rc;
    int64_t               before;
    vault_db_conn_t      *conn = job->conn;
    vault_sqlite_stmt_t  *statement;

    statement = vault_sqlite_prepare(conn, job->pool, given->sql, &rc);

    if (statement == NULL) {
        statement_failed(job, &given->result, vault_sqlite_status(conn, rc),
                         failure_text(rc));
        return;
    }

    if (statement->n != given->n) {
        statement_failed(job, &given->result, VAULT_DB_BAD,
                         "the number of arguments is not that of parameters");
        return;
    }

    before = sqlite3_total_changes64(conn->handle);

    rc = bind_args(statement, given);

    if (rc == SQLITE_OK) {
        rc = step_rows(job, statement->stmt, &given->result);
    }

    if (rc == SQLITE_DONE) {
        given->result.changed = sqlite3_total_changes64(conn->handle) - before;

    } else {
        statement_failed(job, &given->result, vault_sqlite_status(conn, rc),
                         failure_text(rc & 0xff));
    }

    (void) sqlite3_reset(statement->stmt);
    (void) sqlite3_clear_bindings(statement->stmt);
}


/* BEGIN and its like; its error belongs to the first of the list. */
static void
run_word(vault_sqlite_job_t *job, const char *sql)
{
    int                   rc;
    vault_sqlite_stmt_t  *statement;

    statement = vault_sqlite_prepare(job->conn, job->pool, sql, &rc);

    if (statement) {
        rc = sqlite3_step(statement->stmt);
    }

    if (statement == NULL || rc != SQLITE_DONE) {
        job->status = vault_sqlite_status(job->conn, rc);
        job->error = vault_sqlite_error(job->pool, job->conn, NULL);
    }

    if (statement) {
        (void) sqlite3_reset(statement->stmt);
    }
}


/* A file that was replaced, by a backup say, is not written to any more. */
static void
check_file(vault_sqlite_job_t *job)
{
    struct stat       st;
    vault_db_conn_t  *conn = job->conn;

    if (stat((char *) conn->conf->path.data, &st) == 0
        && st.st_ino == conn->inode && st.st_dev == conn->device)
    {
        return;
    }

    conn->broken = 1;
    job->status = VAULT_DB_GONE;
    job->error = vault_sqlite_error(job->pool, conn,
                                    "the file has gone or was replaced");
}


static void
run_list(vault_sqlite_job_t *job)
{
    ngx_uint_t        i, snapshot;
    vault_db_conn_t  *conn = job->conn;

    /* what is read together is of one moment */

    snapshot = !(job->flags & VAULT_DB_BEGIN) && !conn->open_tx && job->n > 1;

    if (!conn->open_tx) {
        check_file(job);
    }

    if (job->status == VAULT_DB_OK && (job->flags & VAULT_DB_BEGIN)) {
        run_word(job, "BEGIN IMMEDIATE");
    }

    if (job->status == VAULT_DB_OK && snapshot) {
        run_word(job, "BEGIN");
    }

    for (i = 0; i < job->n && job->status == VAULT_DB_OK; i++) {
        run_statement(job, &job->list[i]);
    }

    for ( /* void */ ; i < job->n; i++) {
        job->list[i].result.status = VAULT_DB_RETRY;
    }

    if (job->status == VAULT_DB_OK
        && (snapshot || (job->flags & VAULT_DB_COMMIT)))
    {
        run_word(job, "COMMIT");
    }
}


void
vault_sqlite_run(void *data, ngx_log_t *log)
{
    uint64_t             now;
    vault_db_conn_t     *conn;
    vault_sqlite_job_t  *job = data;

    conn = job->conn;
    now = vault_sqlite_clock();

    conn->gave_up = 0;
    conn->busy_until = now + ngx_min(job->timeout, VAULT_SQLITE_BUSY);
    conn->deadline = now + job->timeout;

    job->chunk = RUN_CHUNK;

    run_list(job);

    conn->deadline = 0;               /* a rollback is never cut short */

    if (job->status != VAULT_DB_OK || (job->flags & VAULT_DB_ROLLBACK)) {
        vault_sqlite_rollback(conn);
    }

    conn->open_tx = !sqlite3_get_autocommit(conn->handle);

    if (job->list && job->error.len) {

        if (job->n && job->list[0].result.status == VAULT_DB_RETRY) {
            job->list[0].result.status = job->status;
        }

        job->list[0].result.error = job->error;
    }
}
