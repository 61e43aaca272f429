/*
 * keyfile - the keyring's home on disk.
 *
 * Messages are for the one who starts the server, so they name the file, the
 * system's reason and, where there is one, the command that helps.
 */

#include "keyring.h"


#define KEY_FILE_MAX  (64 * 1024)


static const char *
message(ngx_pool_t *pool, const char *fmt, ...)
{
    u_char   *p, *last;
    va_list   args;

    p = ngx_pnalloc(pool, NGX_MAX_CONF_ERRSTR);
    if (p == NULL) {
        return "out of memory";
    }

    va_start(args, fmt);
    last = ngx_vslprintf(p, p + NGX_MAX_CONF_ERRSTR - 1, fmt, args);
    va_end(args);

    *last = '\0';

    return (const char *) p;
}


static ngx_int_t
write_all(int fd, const char *data, size_t len)
{
    ssize_t  n;

    while (len) {
        n = write(fd, data, len);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1) {
            return NGX_ERROR;
        }

        data += n;
        len -= (size_t) n;
    }

    return fsync(fd) == -1 ? NGX_ERROR : NGX_OK;
}


/* The name itself must survive a power cut too; an old directory may not be
   readable, and then the system decides when. */
static void
sync_folder(char *path)
{
    int    fd;
    char  *slash;

    slash = strrchr(path, '/');

    if (slash) {
        slash[slash == path] = '\0';
    }

    fd = open(slash ? path : ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd != -1) {
        (void) fsync(fd);
        (void) close(fd);
    }
}


/*
 * Writes beside and links into place: link() never replaces a file, so of two
 * servers that start at once one wins and both then read the winner's key.
 */
static const char *
create_file(ngx_pool_t *pool, const char *path)
{
    int         fd, failed;
    char       *temp;
    u_char      pem[VAULT_KEYRING_PEM];
    size_t      len;
    ngx_int_t   rc;

    len = ngx_strlen(path);
    temp = ngx_pnalloc(pool, len + sizeof(".XXXXXX"));

    if (temp == NULL) {
        return "cannot make a key: out of memory";
    }

    ngx_memcpy(temp, path, len);
    ngx_memcpy(temp + len, ".XXXXXX", sizeof(".XXXXXX"));

    fd = mkostemp(temp, O_CLOEXEC);          /* mode 0600 */

    if (fd == -1) {
        return message(pool, "cannot make \"%s\": %s", path,
                       strerror(errno));
    }

    errno = ENOMEM;
    rc = vault_keyring_make(pem, &len);

    if (rc == NGX_OK) {
        rc = write_all(fd, (char *) pem, len);
    }

    if (rc == NGX_OK && link(temp, path) == -1 && errno != EEXIST) {
        rc = NGX_ERROR;
    }

    failed = errno;

    vault_wipe(pem, sizeof(pem));
    (void) close(fd);
    (void) unlink(temp);

    if (rc != NGX_OK) {
        return message(pool, "cannot write \"%s\": %s", path,
                       strerror(failed));
    }

    sync_folder(temp);

    return NULL;
}


static const char *
check_file(ngx_pool_t *pool, int fd, const char *path)
{
    struct stat  sb;

    if (fstat(fd, &sb) == -1) {
        return message(pool, "cannot read \"%s\": %s", path, strerror(errno));
    }

    if (!S_ISREG(sb.st_mode)) {
        return message(pool, "\"%s\" is not a file", path);
    }

    if (sb.st_mode & (S_IRWXG|S_IRWXO)) {
        return message(pool, "others may read the key \"%s\": chmod 600 %s",
                       path, path);
    }

    if (sb.st_size > KEY_FILE_MAX) {
        return message(pool, "\"%s\" is too long for a key", path);
    }

    return NULL;
}


/* All of it, up to one byte more than a key may have. */
static ssize_t
read_all(int fd, u_char *buf, size_t size)
{
    size_t   len;
    ssize_t  n;

    for (len = 0; len < size; len += (size_t) n) {
        n = read(fd, buf + len, size - len);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n == -1) {
            return -1;
        }

        if (n == 0) {
            break;
        }
    }

    return (ssize_t) len;
}


static vault_keyring_t *
read_file(ngx_pool_t *pool, int fd, const char *path, const char **err)
{
    ssize_t           n;
    ngx_str_t         pem;
    const char       *reason;
    vault_keyring_t  *keyring;

    *err = check_file(pool, fd, path);
    if (*err) {
        return NULL;
    }

    pem.data = ngx_pnalloc(pool, KEY_FILE_MAX + 1);
    if (pem.data == NULL) {
        *err = "out of memory";
        return NULL;
    }

    n = read_all(fd, pem.data, KEY_FILE_MAX + 1);
    if (n == -1) {
        *err = message(pool, "cannot read \"%s\": %s", path, strerror(errno));
        return NULL;
    }

    pem.len = (size_t) n;

    keyring = vault_keyring_from_pem(pool, &pem, &reason);
    vault_wipe(pem.data, pem.len);

    if (keyring == NULL) {
        *err = message(pool, "\"%s\" %s", path, reason);
    }

    return keyring;
}


vault_keyring_t *
vault_keyring_from_file(ngx_pool_t *pool, const ngx_str_t *path,
    const char **err)
{
    int               fd;
    char             *name;
    vault_keyring_t  *keyring;

    name = ngx_pnalloc(pool, path->len + 1);
    if (name == NULL) {
        *err = "out of memory";
        return NULL;
    }

    ngx_memcpy(name, path->data, path->len);
    name[path->len] = '\0';

    /* O_NONBLOCK: a FIFO must not stop the start */

    fd = open(name, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1 && errno == ENOENT) {
        *err = create_file(pool, name);
        if (*err) {
            return NULL;
        }

        fd = open(name, O_RDONLY|O_NONBLOCK|O_CLOEXEC);
    }

    if (fd == -1) {
        *err = message(pool, "cannot read \"%s\": %s", name, strerror(errno));
        return NULL;
    }

    keyring = read_file(pool, fd, name, err);
    (void) close(fd);

    return keyring;
}
