/*
 * The folder's work on the disk, in threads.  An object comes into being by a
 * rename of a file that is on the disk already, and its folder's entry is
 * forced out too before anybody hears that it is there.
 */

#include "local.h"

#include <dirent.h>
#include <sys/sendfile.h>


/* Why it failed, for a put: the first reason counts. */
static ngx_int_t
put_failed(vault_local_put_t *put, const char *what)
{
    if (put->err == 0) {
        put->err = ngx_errno ? ngx_errno : EIO;
        put->what = what;
    }

    return NGX_ERROR;
}


static ngx_err_t
sync_folder(const char *path)
{
    ngx_fd_t   fd;
    ngx_err_t  err;

    fd = open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    if (fd == -1) {
        return ngx_errno;
    }

    err = fsync(fd) == -1 ? ngx_errno : 0;
    (void) close(fd);

    return err;
}


/* The folder that an object belongs to. */
static ngx_int_t
make_folder(vault_local_put_t *put)
{
    if (mkdir(put->to.folder, 0700) == -1) {
        return ngx_errno == NGX_EEXIST
               ? NGX_OK : put_failed(put, "mkdir()");
    }

    ngx_set_errno(sync_folder((char *) put->local->root.data));

    return ngx_errno ? put_failed(put, "fsync() of the folder") : NGX_OK;
}


/* Bytes from one file to another inside the kernel. */
static ngx_int_t
copy_bytes(vault_local_put_t *put, int to)
{
    off_t    from, left;
    ssize_t  n;
    int      plain;

    from = put->from;
    plain = 0;

    for (left = put->size; left > 0; left -= n) {

        n = plain ? sendfile(to, put->fd, &from, left)
                  : copy_file_range(put->fd, &from, to, NULL, left, 0);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            n = 0;

        } else if (n <= 0 && !plain) {
            plain = 1;                /* another file system, an old kernel */
            n = 0;

        } else if (n <= 0) {
            return put_failed(put, "copying");
        }
    }

    return NGX_OK;
}


static ngx_int_t
put_copy(vault_local_put_t *put)
{
    int        to;
    ngx_int_t  rc;

    to = open(put->temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
    if (to == -1) {
        return put_failed(put, "open()");
    }

    rc = copy_bytes(put, to);

    if (rc == NGX_OK && fsync(to) == -1) {
        rc = put_failed(put, "fsync()");
    }

    if (close(to) == -1 && rc == NGX_OK) {
        rc = put_failed(put, "close()");
    }

    if (rc == NGX_OK && rename(put->temp, put->to.file) == -1) {
        rc = put_failed(put, "rename()");
    }

    if (rc != NGX_OK) {
        (void) unlink(put->temp);
    }

    return rc;
}


/* NGX_DECLINED: the body lies on another file system. */
static ngx_int_t
put_rename(vault_local_put_t *put)
{
    if (fsync(put->fd) == -1) {
        return put_failed(put, "fsync()");
    }

    if (rename(put->source, put->to.file) == -1) {
        return ngx_errno == NGX_EXDEV
               ? NGX_DECLINED : put_failed(put, "rename()");
    }

    put->renamed = 1;

    return NGX_OK;
}


void
vault_local_put_work(void *data, ngx_log_t *log)
{
    ngx_int_t           rc;
    vault_local_put_t  *put = data;

    if (make_folder(put) != NGX_OK) {
        return;
    }

    rc = put->source ? put_rename(put) : NGX_DECLINED;

    if (rc == NGX_DECLINED) {
        rc = put_copy(put);
    }

    if (rc != NGX_OK) {
        return;
    }

    ngx_set_errno(sync_folder(put->to.folder));

    if (ngx_errno) {
        (void) put_failed(put, "fsync() of the folder");
        (void) unlink(put->to.file);
    }
}


void
vault_local_look_work(void *data, ngx_log_t *log)
{
    struct stat          st;
    vault_local_look_t  *look = data;

    look->fd = open(look->file, O_RDONLY|O_NOFOLLOW|O_CLOEXEC);

    if (look->fd == NGX_INVALID_FILE) {
        look->err = ngx_errno;
        return;
    }

    if (fstat(look->fd, &st) == -1) {
        look->err = ngx_errno;

    } else if (!S_ISREG(st.st_mode)) {
        look->err = NGX_ENOENT;

    } else {
        look->size = st.st_size;
    }

    if (look->err || !look->open) {
        (void) close(look->fd);
        look->fd = NGX_INVALID_FILE;
    }
}


/* The folder of a disk that is not mounted is empty too. */
static ngx_err_t
check_there(vault_local_t *local)
{
    struct stat  st;

    return stat((char *) local->temp.data, &st) == -1 ? ngx_errno : 0;
}


void
vault_local_delete_work(void *data, ngx_log_t *log)
{
    ngx_err_t              away;
    ngx_uint_t             i;
    vault_local_path_t    *path;
    vault_local_delete_t  *work = data;

    away = check_there(work->local);

    if (away) {
        ngx_log_error(NGX_LOG_CRIT, log, away,
                      "vault: \"%V\" is not there: nothing is deleted",
                      &work->local->temp);
    }

    for (i = 0; i < work->n; i++) {
        path = &work->paths[i];

        if (away) {
            work->errs[i] = away;
            continue;
        }

        if (unlink(path->file) == 0) {
            work->errs[i] = sync_folder(path->folder);

        } else {
            work->errs[i] = ngx_errno == NGX_ENOENT ? 0 : ngx_errno;
        }

        if (work->errs[i]) {
            ngx_log_error(NGX_LOG_CRIT, log, work->errs[i],
                          "vault: \"%s\" could not be deleted", path->file);
        }
    }
}


/* One of the folder's temporary files, if it is old. */
static void
sweep_one(vault_local_sweep_t *sweep, int folder, const char *name,
    ngx_log_t *log)
{
    struct stat  st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == -1
        || !S_ISREG(st.st_mode) || st.st_mtime >= sweep->before)
    {
        return;
    }

    if (unlinkat(folder, name, 0) == -1) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "vault: \"%V/%s\" could not be deleted",
                      &sweep->local->temp, name);
        return;
    }

    sweep->removed++;
}


void
vault_local_sweep_work(void *data, ngx_log_t *log)
{
    DIR                  *dir;
    struct dirent        *entry;
    vault_local_sweep_t  *sweep = data;

    dir = opendir((char *) sweep->local->temp.data);

    if (dir == NULL) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "vault: \"%V\" cannot be read", &sweep->local->temp);
        return;
    }

    while ((entry = readdir(dir)) != NULL) {
        sweep_one(sweep, dirfd(dir), entry->d_name, log);
    }

    (void) closedir(dir);
}
