/*
 * What can be said of a SQLite database before it is opened: its URL, and in
 * the master whether the workers' user will be able to make and write it.
 */

#include <ngx_config.h>
#include <grp.h>
#include <pwd.h>

#include "sqlite.h"


#define CHECK_GROUPS  64

/* Who the workers will be. */
typedef struct {
    uid_t        uid;
    gid_t        groups[CHECK_GROUPS];
    int          n;
    const char  *name;
} check_user_t;


static const char *
path_refusal(const ngx_str_t *path)
{
    if (path->len == 0) {
        return "must be sqlite:/path/of/file";
    }

    if (path->data[0] == ':') {
        return "must be a file, since every worker opens it";
    }

    if (path->data[path->len - 1] == '/') {
        return "must name a file, not a folder";
    }

    if (ngx_strlchr(path->data, path->data + path->len, '?')
        || ngx_strlchr(path->data, path->data + path->len, '#'))
    {
        return "must not have parameters behind the file's name";
    }

    if (sqlite3_libversion_number() < 3038000) {
        return "needs SQLite 3.38 or newer";
    }

    return NULL;
}


/* The full path and its folder, both NUL-terminated. */
static ngx_int_t
path_set(ngx_pool_t *pool, const ngx_str_t *path, vault_sqlite_conf_t *conf)
{
    u_char     *slash;
    ngx_str_t   prefix = ngx_cycle->prefix;

    conf->path.len = path->len;
    conf->path.data = ngx_pnalloc(pool, path->len + 1);
    if (conf->path.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(conf->path.data, path->data, path->len);
    conf->path.data[path->len] = '\0';

    if (ngx_get_full_name(pool, &prefix, &conf->path) != NGX_OK) {
        return NGX_ERROR;
    }

    slash = (u_char *) strrchr((char *) conf->path.data, '/');

    conf->folder.len = ngx_max(slash - conf->path.data, 1);
    conf->folder.data = ngx_pnalloc(pool, conf->folder.len + 1);
    if (conf->folder.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(conf->folder.data, conf->path.data,
                       conf->folder.len + 1);

    return NGX_OK;
}


/* sqlite:/a/b.db, sqlite:///a/b.db, or relative to nginx's prefix. */
void *
vault_sqlite_configure(ngx_pool_t *pool, const ngx_str_t *url,
    const char **err)
{
    ngx_str_t             path;
    vault_sqlite_conf_t  *conf;

    path.data = url->data + sizeof("sqlite:") - 1;
    path.len = url->len - (sizeof("sqlite:") - 1);

    if (path.len > 2 && path.data[0] == '/' && path.data[1] == '/') {
        path.data += 2;
        path.len -= 2;
    }

    *err = path_refusal(&path);

    if (*err) {
        return NULL;
    }

    conf = ngx_pcalloc(pool, sizeof(vault_sqlite_conf_t));

    if (conf == NULL || path_set(pool, &path, conf) != NGX_OK) {
        *err = "no memory";
        return NULL;
    }

    /* no shared counters: connections of threads need no common lock */

    (void) sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

    return conf;
}


ngx_str_t
vault_sqlite_folder(void *conf)
{
    return ((vault_sqlite_conf_t *) conf)->folder;
}


static void
user_find(ngx_cycle_t *cycle, check_user_t *user)
{
    gid_t             gid = getegid();
    struct passwd    *pw;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    user->uid = geteuid();

    if (user->uid == 0 && ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        user->uid = ccf->user;
        gid = ccf->group;
    }

    user->name = NULL;
    user->n = CHECK_GROUPS;

    pw = getpwuid(user->uid);

    if (pw) {
        user->name = pw->pw_name;
    }

    if (pw == NULL
        || getgrouplist(pw->pw_name, gid, user->groups, &user->n) == -1)
    {
        user->groups[0] = gid;
        user->n = 1;
    }
}


/* Do the mode bits give `user` all of `want` (of rwx, as 7)?  No ACLs. */
static ngx_uint_t
user_may(const check_user_t *user, const struct stat *st, mode_t want)
{
    int     i;
    mode_t  bits;

    if (user->uid == 0) {
        return 1;
    }

    bits = st->st_mode;

    if (st->st_uid == user->uid) {
        bits >>= 6;

    } else {
        for (i = 0; i < user->n; i++) {
            if (user->groups[i] == st->st_gid) {
                bits >>= 3;
                break;
            }
        }
    }

    return (bits & want) == want;
}


static ngx_int_t
check_file(vault_sqlite_conf_t *conf, const check_user_t *user,
    ngx_log_t *log)
{
    struct stat  st;
    const char  *name = user->name ? user->name : "the workers' user";

    if (stat((char *) conf->path.data, &st) == -1) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_OK;            /* a worker makes it */
        }

        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "vault_database: \"%V\" cannot be reached", &conf->path);
        return NGX_ERROR;
    }

    if (!S_ISREG(st.st_mode)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "vault_database: \"%V\" is not a file: name a file "
                      "that can be made in a folder of its own",
                      &conf->path);
        return NGX_ERROR;
    }

    if (!user_may(user, &st, 6)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "vault_database: \"%V\" cannot be written by %s: "
                      "chown %s %V",
                      &conf->path, name, name, &conf->path);
        return NGX_ERROR;
    }

    if (st.st_mode & 077) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "vault_database: others may read \"%V\": "
                      "chmod 600 %V",
                      &conf->path, &conf->path);
    }

    return NGX_OK;
}


ngx_int_t
vault_sqlite_check(void *data, ngx_cycle_t *cycle)
{
    ngx_log_t            *log = cycle->log;
    const char           *name;
    struct stat           st;
    check_user_t          user;
    vault_sqlite_conf_t  *conf = data;

    user_find(cycle, &user);
    name = user.name ? user.name : "the workers' user";

    if (stat((char *) conf->folder.data, &st) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "vault_database: folder \"%V\" cannot be reached: "
                      "mkdir -p %V && chown %s %V",
                      &conf->folder, &conf->folder, name, &conf->folder);
        return NGX_ERROR;
    }

    if (!S_ISDIR(st.st_mode)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "vault_database: \"%V\" is not a folder",
                      &conf->folder);
        return NGX_ERROR;
    }

    if (!user_may(&user, &st, 3)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "vault_database: folder \"%V\" cannot be written by "
                      "%s: chown %s %V",
                      &conf->folder, name, name, &conf->folder);
        return NGX_ERROR;
    }

    return check_file(conf, &user, log);
}
