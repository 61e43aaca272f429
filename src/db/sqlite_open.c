/*
 * On a thread: opens the file, making it first where there is none.
 */

#include <ngx_config.h>
#include <pthread.h>
#include <unistd.h>

#include "sqlite.h"


/*
 * Closing any descriptor of a file drops the process's locks on it, so while
 * one thread makes the file, no other may have opened it.
 */
static pthread_mutex_t  open_create = PTHREAD_MUTEX_INITIALIZER;


/* SQLite gives -wal and -shm the mode and owner of the file itself. */
static int
file_create(const char *path)
{
    int          fd, err = 0;
    struct stat  st;

    (void) pthread_mutex_lock(&open_create);

    if (stat(path, &st) == -1) {

        fd = open(path, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

        if (fd == -1) {
            err = errno == EEXIST ? 0 : errno;

        } else {
            if (fchmod(fd, 0600) == -1) {
                err = errno;
            }
            (void) close(fd);
        }
    }

    (void) pthread_mutex_unlock(&open_create);

    return err;
}


/*
 * SQLite's own pauses grow to 100 ms; with several workers writing, short ones
 * at random keep the lock in use.
 */
static int
busy(void *data, int n)
{
    ngx_uint_t        most;
    vault_db_conn_t  *conn = data;

    if (vault_sqlite_clock() >= conn->busy_until) {
        conn->gave_up = 1;
        return 0;
    }

    most = n < 16 ? 500 * (n + 1) : 8000;
    (void) usleep(100 + ngx_random() % most);

    return 1;
}


static int
overdue(void *data)
{
    vault_db_conn_t  *conn = data;

    return conn->deadline && vault_sqlite_clock() > conn->deadline;
}


/*
 * Several processes that turn a new file to WAL at once collide without the
 * busy handler being asked.
 */
static int
set_wal(vault_db_conn_t *conn, ngx_uint_t *is_wal)
{
    int            rc;
    const char    *mode;
    sqlite3_stmt  *stmt;

    for ( ;; ) {
        rc = sqlite3_prepare_v2(conn->handle, "PRAGMA journal_mode=WAL", -1,
                                &stmt, NULL);
        if (rc == SQLITE_OK) {
            rc = sqlite3_step(stmt);

            if (rc == SQLITE_ROW) {
                mode = (const char *) sqlite3_column_text(stmt, 0);
                *is_wal = mode && ngx_strcmp(mode, "wal") == 0;
            }

            (void) sqlite3_finalize(stmt);
        }

        if ((rc & 0xff) != SQLITE_BUSY
            || vault_sqlite_clock() >= conn->busy_until)
        {
            return rc == SQLITE_ROW ? SQLITE_OK : rc;
        }

        (void) usleep(500 + ngx_random() % 10000);
    }
}


static int
set_up(vault_db_conn_t *conn)
{
    (void) sqlite3_extended_result_codes(conn->handle, 1);
    (void) sqlite3_busy_handler(conn->handle, busy, conn);
    (void) sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void) sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void) sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_progress_handler(conn->handle, 20000, overdue, conn);

    return sqlite3_exec(conn->handle,
                        conn->reader
                            ? "PRAGMA synchronous=FULL;"
                              "PRAGMA foreign_keys=OFF;"
                              "PRAGMA trusted_schema=OFF;"
                              "PRAGMA temp_store=MEMORY;"
                              "PRAGMA mmap_size=0;"
                              "PRAGMA cache_size=-512;"
                              "PRAGMA query_only=ON;"
                            : "PRAGMA synchronous=FULL;"
                              "PRAGMA foreign_keys=OFF;"
                              "PRAGMA trusted_schema=OFF;"
                              "PRAGMA temp_store=MEMORY;"
                              "PRAGMA mmap_size=0;"
                              "PRAGMA cache_size=-2048;"
                              "PRAGMA journal_size_limit=16777216;",
                        NULL, NULL, NULL);
}


static void
remember_file(vault_db_conn_t *conn)
{
    struct stat  st;

    if (stat((char *) conn->conf->path.data, &st) == 0) {
        conn->inode = st.st_ino;
        conn->device = st.st_dev;
    }
}


static void
open_failed(vault_sqlite_job_t *job, vault_db_status_e status,
    const char *what, const char *why)
{
    size_t   len;
    u_char  *text;

    len = ngx_strlen(what) + ngx_strlen(why) + job->conn->conf->path.len + 8;
    text = ngx_palloc(job->pool, len);

    if (text) {
        job->error.data = text;
        job->error.len = ngx_snprintf(text, len, "%s %V: %s", what,
                                      &job->conn->conf->path, why)
                         - text;
    }

    job->status = status;
}


void
vault_sqlite_open(void *data, ngx_log_t *log)
{
    int                  rc;
    ngx_uint_t           is_wal = 0;
    u_char               why[128], *last;
    const char          *path;
    vault_db_conn_t     *conn;
    vault_sqlite_job_t  *job = data;

    conn = job->conn;
    path = (char *) conn->conf->path.data;

    conn->busy_until = vault_sqlite_clock()
                       + ngx_min(job->timeout, VAULT_SQLITE_BUSY);

    rc = file_create(path);

    if (rc) {
        last = ngx_strerror(rc, why, sizeof(why) - 1);
        *last = '\0';
        open_failed(job, VAULT_DB_GONE, "cannot create", (char *) why);
        return;
    }

    rc = sqlite3_open_v2(path, &conn->handle,
                         SQLITE_OPEN_READWRITE|SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK) {
        remember_file(conn);
        rc = set_up(conn);
    }

    if (rc == SQLITE_OK) {
        rc = set_wal(conn, &is_wal);
    }

    if (rc != SQLITE_OK) {
        (void) vault_sqlite_status(conn, rc);
        open_failed(job, VAULT_DB_GONE, "cannot open",
                    conn->handle ? sqlite3_errmsg(conn->handle)
                                 : sqlite3_errstr(rc));
        return;
    }

    if (!is_wal) {
        open_failed(job, VAULT_DB_GONE, "cannot use",
                    "no write-ahead log is possible on this file system");
        return;
    }

    job->status = VAULT_DB_OK;
}


void
vault_sqlite_close(vault_db_conn_t *conn)
{
    vault_sqlite_forget(conn);

    (void) sqlite3_close_v2(conn->handle);
    conn->handle = NULL;
}
