/*
 * Writing: a new file in the same folder, complete and on disk, takes the name.
 */

#include "../crypto/crypto.h"
#include "file.h"


#define SUFFIX  ".XXXXXX"
#define CHUNK   2048

typedef struct {
    vault_agent_file_t  *file;
    u_char              *temp;
} job_t;


static ngx_int_t
failed(vault_agent_file_t *file, const char *step)
{
    file->err = ngx_errno;
    file->step = step;

    return NGX_ERROR;
}


/* Whether the file is what it is to be. */
static ngx_uint_t
is_same(const vault_agent_file_t *file)
{
    int          fd;
    u_char       chunk[CHUNK];
    size_t       at = 0;
    ssize_t      n = 0;
    struct stat  st;

    fd = open(file->path, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
        && (st.st_mode & 07777) == file->mode
        && (size_t) st.st_size == file->text.len)
    {
        while (at < file->text.len) {
            n = read(fd, chunk, CHUNK);

            if (n <= 0 || (size_t) n > file->text.len - at
                || ngx_memcmp(chunk, file->text.data + at, n) != 0)
            {
                break;
            }

            at += n;
        }

    } else {
        at = file->text.len + 1;
    }

    (void) close(fd);
    vault_wipe(chunk, CHUNK);

    return at == file->text.len;
}


static ngx_int_t
write_all(int fd, vault_agent_file_t *file)
{
    size_t   at;
    ssize_t  n;

    for (at = 0; at < file->text.len; at += n) {
        n = write(fd, file->text.data + at, file->text.len - at);

        if (n <= 0) {
            return failed(file, "write");
        }
    }

    if (fchmod(fd, file->mode) == -1) {
        return failed(file, "set the mode of");
    }

    return fsync(fd) == -1 ? failed(file, "write") : NGX_OK;
}


static ngx_int_t
replace(vault_agent_file_t *file, u_char *temp)
{
    int        fd;
    ngx_int_t  rc;

    /* as the extension does; the files in it are nobody else's */
    errno = ngx_create_full_path(temp, 0755);

    if (errno) {
        return failed(file, "make the folder of");
    }

    fd = mkostemp((char *) temp, O_CLOEXEC);
    if (fd == -1) {
        return failed(file, "make a file beside");
    }

    rc = write_all(fd, file);
    (void) close(fd);

    if (rc == NGX_OK && rename((char *) temp, file->path) == -1) {
        rc = failed(file, "replace");
    }

    if (rc != NGX_OK) {
        (void) unlink((char *) temp);
    }

    return rc;
}


static void
work(void *data, ngx_log_t *log)
{
    job_t  *job = data;

    if (!is_same(job->file)) {
        job->file->changed = replace(job->file, job->temp) == NGX_OK;
    }
}


ngx_int_t
vault_agent_write(vault_request_t *vr, vault_agent_file_t *file)
{
    job_t   *job;
    size_t   len;

    file->changed = 0;
    file->err = 0;
    file->step = NULL;

    len = ngx_strlen(file->path);
    job = vault_alloc(vr, sizeof(job_t));
    job->file = file;
    job->temp = vault_alloc(vr, len + sizeof(SUFFIX));

    (void) ngx_sprintf(job->temp, "%s" SUFFIX "%Z", file->path);

    vault_thread_run(vr, VAULT_THREAD_IO, work, job);

    return file->step ? NGX_ERROR : NGX_OK;
}
