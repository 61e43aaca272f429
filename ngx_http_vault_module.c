/*
 * ngx_http_vault_module - a vault server inside nginx.
 *
 * This file is the border to nginx: directives, their configuration and the
 * hooks of the processes.  What a request does starts in src/run/driver.c, and
 * src/README.md tours the rest.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "src/api/api.h"
#include "src/crypto/jwt.h"
#include "src/db/db.h"
#include "src/rules/cache.h"
#include "src/rules/limits.h"
#include "src/run/await.h"
#include "src/run/co.h"
#include "src/run/driver.h"
#include "src/run/route.h"
#include "src/run/thread.h"
#include "src/web/static.h"


typedef struct {
    ngx_array_t       vaults;         /* of vault_srv_conf_t *, in use */
    ngx_uint_t        requests;
} vault_main_conf_t;

typedef struct {
    ngx_uint_t        account;        /* failures of one account */
    time_t            account_window;
    ngx_uint_t        address;        /* and from one address */
    time_t            address_window;
    unsigned          set:1;
    unsigned          off:1;
} vault_login_t;

typedef struct {
    vault_conf_t      vault;          /* what the layers below see */

    ngx_str_t         database;
    ngx_uint_t        connections;
    ngx_msec_t        timeout;
    ngx_flag_t        strict;
    ngx_str_t         jwt_key;        /* a path, made if missing */
    ngx_str_t         jwt_pem;        /* or the key itself */
    size_t            sync_cache;
    vault_login_t     login;

    unsigned          used:1;         /* some location says "vault on" */
} vault_srv_conf_t;

typedef struct {
    ngx_flag_t        enable;
} vault_loc_conf_t;


static ngx_int_t vault_handler(ngx_http_request_t *r);
static ngx_int_t vault_status_handler(ngx_http_request_t *r);

static void *vault_create_main_conf(ngx_conf_t *cf);
static void *vault_create_srv_conf(ngx_conf_t *cf);
static char *vault_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child);
static void *vault_create_loc_conf(ngx_conf_t *cf);
static char *vault_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static ngx_int_t vault_postconfiguration(ngx_conf_t *cf);
static ngx_int_t vault_init_module(ngx_cycle_t *cycle);
static ngx_int_t vault_init_process(ngx_cycle_t *cycle);
static void vault_exit_process(ngx_cycle_t *cycle);

static char *vault_set_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *vault_set_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *vault_set_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *vault_set_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *vault_set_folder(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *vault_set_domains(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *vault_set_login_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *vault_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_conf_num_bounds_t  vault_connections_bounds = {
    ngx_conf_check_num_bounds, 1, 1000
};

static ngx_conf_num_bounds_t  vault_rounds_bounds = {
    ngx_conf_check_num_bounds, 1000, 10000000
};

static ngx_conf_num_bounds_t  vault_requests_bounds = {
    ngx_conf_check_num_bounds, 1, 30000
};

#define VAULT_SRV  NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF

#define vault_srv(name, args, set, member, post)                              \
    { ngx_string(name), VAULT_SRV|args, set, NGX_HTTP_SRV_CONF_OFFSET,        \
      offsetof(vault_srv_conf_t, member), post }


static ngx_command_t  vault_commands[] = {

    { ngx_string("vault"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      vault_set_enable,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(vault_loc_conf_t, enable),
      NULL },

    { ngx_string("vault_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      vault_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("vault_requests"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(vault_main_conf_t, requests),
      &vault_requests_bounds },

    vault_srv("vault_database", NGX_CONF_TAKE1, vault_set_secret,
              database, NULL),
    vault_srv("vault_database_connections", NGX_CONF_TAKE1,
              ngx_conf_set_num_slot, connections, &vault_connections_bounds),
    vault_srv("vault_database_timeout", NGX_CONF_TAKE1,
              ngx_conf_set_msec_slot, timeout, NULL),
    vault_srv("vault_database_strict", NGX_CONF_FLAG,
              ngx_conf_set_flag_slot, strict, NULL),
    vault_srv("vault_jwt_key", NGX_CONF_TAKE1, vault_set_jwt_key,
              jwt_key, NULL),
    vault_srv("vault_origin", NGX_CONF_TAKE1, vault_set_origin,
              vault.origin, NULL),
    vault_srv("vault_web_vault", NGX_CONF_TAKE1, vault_set_folder,
              vault.web_vault, NULL),
    vault_srv("vault_signups", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
              vault.signups, NULL),
    vault_srv("vault_signups_domains", NGX_CONF_1MORE, vault_set_domains,
              vault.signup_domains, NULL),
    vault_srv("vault_kdf_rounds", NGX_CONF_TAKE1, ngx_conf_set_num_slot,
              vault.kdf_rounds, &vault_rounds_bounds),
    vault_srv("vault_access_token_lifetime", NGX_CONF_TAKE1,
              ngx_conf_set_sec_slot, vault.access_life, NULL),
    vault_srv("vault_refresh_token_lifetime", NGX_CONF_TAKE1,
              ngx_conf_set_sec_slot, vault.refresh_life, NULL),
    vault_srv("vault_request_timeout", NGX_CONF_TAKE1,
              ngx_conf_set_msec_slot, vault.deadline, NULL),
    vault_srv("vault_login_limit", NGX_CONF_TAKE12, vault_set_login_limit,
              vault.limits, NULL),
    vault_srv("vault_sync_cache", NGX_CONF_TAKE1, ngx_conf_set_size_slot,
              sync_cache, NULL),

    ngx_null_command
};


static ngx_http_module_t  vault_module_ctx = {
    NULL,
    vault_postconfiguration,
    vault_create_main_conf,
    NULL,
    vault_create_srv_conf,
    vault_merge_srv_conf,
    vault_create_loc_conf,
    vault_merge_loc_conf
};


ngx_module_t  ngx_http_vault_module = {
    NGX_MODULE_V1,
    &vault_module_ctx,
    vault_commands,
    NGX_HTTP_MODULE,
    NULL,                             /* init master */
    vault_init_module,
    vault_init_process,
    NULL,                             /* init thread */
    NULL,                             /* exit thread */
    vault_exit_process,
    NULL,                             /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Requests */

static ngx_int_t
vault_handler(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    vault_srv_conf_t  *scf;

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);

    rc = vault_driver_handle(r, &scf->vault);

    return rc == NGX_DECLINED ? vault_static_handle(r, &scf->vault) : rc;
}


static void
vault_status_threads(vault_writer_t *w, const char *name,
    vault_thread_pool_e pool)
{
    vault_thread_stats_t  stats;

    vault_thread_stats(pool, &stats);

    vault_json_open(w, name, '{');
    vault_json_integer(w, "threads", stats.threads);
    vault_json_integer(w, "running", stats.running);
    vault_json_integer(w, "queued", stats.queued);
    vault_json_close(w, '}');
}


/* The state of the worker that answers; for operators and tests. */
static ngx_int_t
vault_status_handler(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    vault_writer_t     w;
    vault_db_stats_t   db;
    vault_srv_conf_t  *scf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);
    ngx_memzero(&db, sizeof(vault_db_stats_t));

    if (scf->vault.db) {
        vault_db_stats(scf->vault.db, &db);
    }

    vault_writer_init(&w, r->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_integer(&w, "pid", ngx_pid);
    vault_json_integer(&w, "coroutines", vault_co_count());
    vault_json_integer(&w, "refused", vault_driver_refused());

    vault_json_open(&w, "threads", '{');
    vault_status_threads(&w, "io", VAULT_THREAD_IO);
    vault_status_threads(&w, "cpu", VAULT_THREAD_CPU);
    vault_json_close(&w, '}');

    vault_json_open(&w, "database", '{');
    vault_json_integer(&w, "open", db.open);
    vault_json_integer(&w, "busy", db.busy);
    vault_json_integer(&w, "waiting", db.waiting);
    vault_json_integer(&w, "statements", db.statements);
    vault_json_integer(&w, "roundTrips", db.round_trips);
    vault_json_close(&w, '}');
    vault_json_close(&w, '}');

    if (w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = w.size;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    w.last->buf->last_buf = (r == r->main);
    w.last->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, w.chain);
}


/* Directives */

static char *
vault_set_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    vault_loc_conf_t  *lcf = conf;
    vault_srv_conf_t  *scf;

    if (ngx_conf_set_flag_slot(cf, cmd, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (lcf->enable) {
        scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_vault_module);
        scf->used = 1;
    }

    return NGX_CONF_OK;
}


static char *
vault_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = vault_status_handler;

    return NGX_CONF_OK;
}


/*
 * A value that may be secret: as it stands, or "env:NAME", or "file:PATH",
 * whose last line ending is left out.
 */
static char *
vault_secret_value(ngx_conf_t *cf, const ngx_str_t *value, ngx_str_t *out)
{
    char       *env;
    u_char     *data;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_str_t   path;

    *out = *value;

    if (value->len > 4 && ngx_strncmp(value->data, "env:", 4) == 0) {

        env = getenv((char *) value->data + 4);
        if (env == NULL || *env == '\0') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the environment variable \"%s\" is not set",
                               value->data + 4);
            return NGX_CONF_ERROR;
        }

        out->len = ngx_strlen(env);
        out->data = ngx_pstrdup(cf->pool, &(ngx_str_t) { out->len,
                                                         (u_char *) env });
        return out->data ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (value->len <= 5 || ngx_strncmp(value->data, "file:", 5) != 0) {
        return NGX_CONF_OK;
    }

    path.data = value->data + 5;
    path.len = value->len - 5;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    data = ngx_palloc(cf->pool, 16384);
    n = fd == NGX_INVALID_FILE || data == NULL ? -1
                                               : ngx_read_fd(fd, data, 16384);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the file \"%V\" cannot be read", &path);
    }

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }

    if (n == -1) {
        return NGX_CONF_ERROR;
    }

    while (n && (data[n - 1] == '\n' || data[n - 1] == '\r')) {
        n--;
    }

    out->data = data;
    out->len = n;

    return NGX_CONF_OK;
}


static char *
vault_set_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value, *field;

    field = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return vault_secret_value(cf, &value[1], field);
}


/* A path to a key that is made if missing, or a key given as a secret. */
static char *
vault_set_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t         *value;
    vault_srv_conf_t  *scf = conf;

    if (scf->jwt_key.data || scf->jwt_pem.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strncmp(value[1].data, "env:", 4) == 0
        || ngx_strncmp(value[1].data, "file:", 5) == 0)
    {
        return vault_secret_value(cf, &value[1], &scf->jwt_pem);
    }

    scf->jwt_key = value[1];

    return ngx_conf_full_name(cf->cycle, &scf->jwt_key, 0) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
vault_set_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t         *value, *origin;
    vault_srv_conf_t  *scf = conf;

    origin = &scf->vault.origin;

    if (origin->data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *origin = value[1];

    while (origin->len && origin->data[origin->len - 1] == '/') {
        origin->len--;
    }

    if (origin->len <= 8
        || ngx_strncmp(origin->data, "https://", 8) != 0
        || ngx_strlchr(origin->data + 8, origin->data + origin->len, '/'))
    {
        return "must be like \"https://vault.example.com\": clients refuse "
               "anything but https, and a path is not supported";
    }

    return NGX_CONF_OK;
}


static char *
vault_set_folder(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t        *path;
    ngx_file_info_t   fi;

    if (ngx_conf_set_str_slot(cf, cmd, conf) != NGX_CONF_OK) {
        return "is duplicate";
    }

    path = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        return "names a folder that is not there: unpack a web vault build "
               "into it, or leave the directive out";
    }

    return NGX_CONF_OK;
}


static char *
vault_set_domains(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t         *value, *domain;
    ngx_uint_t         i;
    vault_srv_conf_t  *scf = conf;

    if (scf->vault.signup_domains != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    scf->vault.signup_domains = ngx_array_create(cf->pool, 4,
                                                 sizeof(ngx_str_t));
    if (scf->vault.signup_domains == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strlchr(value[i].data, value[i].data + value[i].len, '@')) {
            return "takes domains such as \"example.com\", without \"@\"";
        }

        domain = ngx_array_push(scf->vault.signup_domains);
        if (domain == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_strlow(value[i].data, value[i].data, value[i].len);
        *domain = value[i];
    }

    return NGX_CONF_OK;
}


/* "account=10/5m": so many failures in so much time. */
static ngx_int_t
vault_limit_value(ngx_str_t *value, const char *name, ngx_uint_t *max,
    time_t *window)
{
    size_t      len;
    u_char     *slash;
    ngx_int_t   n;
    ngx_str_t   rest;

    len = ngx_strlen(name);

    if (value->len <= len || ngx_strncmp(value->data, name, len) != 0) {
        return NGX_DECLINED;
    }

    rest.data = value->data + len;
    rest.len = value->len - len;

    slash = ngx_strlchr(rest.data, rest.data + rest.len, '/');
    if (slash == NULL) {
        return NGX_ERROR;
    }

    n = ngx_atoi(rest.data, slash - rest.data);
    rest.len -= slash + 1 - rest.data;
    rest.data = slash + 1;

    *window = ngx_parse_time(&rest, 1);
    *max = n;

    return n > 0 && *window > 0 ? NGX_OK : NGX_ERROR;
}


static char *
vault_set_login_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t          rc;
    ngx_str_t         *value;
    ngx_uint_t         i;
    vault_srv_conf_t  *scf = conf;

    if (scf->login.set) {
        return "is duplicate";
    }

    scf->login.set = 1;
    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        scf->login.off = 1;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        rc = vault_limit_value(&value[i], "account=", &scf->login.account,
                               &scf->login.account_window);

        if (rc == NGX_DECLINED) {
            rc = vault_limit_value(&value[i], "address=",
                                   &scf->login.address,
                                   &scf->login.address_window);
        }

        if (rc != NGX_OK) {
            return "takes \"off\", or \"account=10/5m\" and \"address=50/5m\" "
                   "(failures/time)";
        }
    }

    return NGX_CONF_OK;
}


/* Configuration */

static void *
vault_create_main_conf(ngx_conf_t *cf)
{
    vault_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(vault_main_conf_t));
    if (mcf == NULL
        || ngx_array_init(&mcf->vaults, cf->pool, 2,
                          sizeof(vault_srv_conf_t *)) != NGX_OK)
    {
        return NULL;
    }

    mcf->requests = NGX_CONF_UNSET_UINT;

    return mcf;
}


static void *
vault_create_srv_conf(ngx_conf_t *cf)
{
    vault_srv_conf_t  *scf;

    scf = ngx_pcalloc(cf->pool, sizeof(vault_srv_conf_t));
    if (scf == NULL) {
        return NULL;
    }

    scf->connections = NGX_CONF_UNSET_UINT;
    scf->timeout = NGX_CONF_UNSET_MSEC;
    scf->strict = NGX_CONF_UNSET;
    scf->sync_cache = NGX_CONF_UNSET_SIZE;
    scf->vault.signups = NGX_CONF_UNSET;
    scf->vault.signup_domains = NGX_CONF_UNSET_PTR;
    scf->vault.kdf_rounds = NGX_CONF_UNSET_UINT;
    scf->vault.access_life = NGX_CONF_UNSET;
    scf->vault.refresh_life = NGX_CONF_UNSET;
    scf->vault.deadline = NGX_CONF_UNSET_MSEC;

    return scf;
}


static ngx_uint_t
vault_same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* Servers with the same database share its connections. */
static ngx_int_t
vault_attach_database(ngx_conf_t *cf, vault_main_conf_t *mcf,
    vault_srv_conf_t *scf)
{
    const char         *err;
    ngx_uint_t          i;
    vault_srv_conf_t  **other = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (vault_same(&other[i]->database, &scf->database)) {
            scf->vault.db = other[i]->vault.db;
            return NGX_OK;
        }
    }

    scf->vault.db = vault_db_create(cf->pool, &scf->database, &err);
    if (scf->vault.db == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_database\" %s",
                           err);
        return NGX_ERROR;
    }

    if (scf->connections != NGX_CONF_UNSET_UINT) {
        vault_db_set_pool(scf->vault.db, scf->connections);
    }

    vault_db_set_timeout(scf->vault.db, scf->timeout);
    vault_db_set_strict(scf->vault.db, scf->strict);

    return NGX_OK;
}


/* Beside a SQLite database, so that one folder is the whole vault. */
static ngx_int_t
vault_default_key(ngx_conf_t *cf, vault_srv_conf_t *scf)
{
    ngx_str_t  folder;

    if (scf->jwt_key.len || scf->jwt_pem.len) {
        return NGX_OK;
    }

    folder = vault_db_folder(scf->vault.db);
    if (folder.len == 0) {
        ngx_str_set(&folder, "/var/lib/vault");
    }

    scf->jwt_key.data = ngx_pnalloc(cf->pool,
                                    folder.len + sizeof("/jwt.pem"));
    if (scf->jwt_key.data == NULL) {
        return NGX_ERROR;
    }

    scf->jwt_key.len = ngx_sprintf(scf->jwt_key.data, "%V/jwt.pem%Z", &folder)
                       - scf->jwt_key.data - 1;

    return NGX_OK;
}


static ngx_int_t
vault_attach(ngx_conf_t *cf, vault_main_conf_t *mcf, vault_srv_conf_t *scf)
{
    vault_srv_conf_t  **slot;

    if (vault_attach_database(cf, mcf, scf) != NGX_OK
        || vault_default_key(cf, scf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!scf->login.off) {
        scf->vault.limits = vault_limits_create(cf, 1024 * 1024,
                            scf->login.account, scf->login.account_window,
                            scf->login.address, scf->login.address_window);
        if (scf->vault.limits == NULL) {
            return NGX_ERROR;
        }
    }

    scf->vault.cache = vault_cache_create(cf->pool, scf->sync_cache);
    scf->vault.router = vault_router_create(cf->pool, cf->log, vault_routes);
    slot = ngx_array_push(&mcf->vaults);

    if (scf->vault.cache == NULL || scf->vault.router == NULL || slot == NULL)
    {
        return NGX_ERROR;
    }

    *slot = scf;

    return NGX_OK;
}


static void
vault_merge_login(vault_srv_conf_t *prev, vault_srv_conf_t *conf)
{
    if (!conf->login.set) {
        conf->login = prev->login;
    }

    if (conf->login.account == 0) {
        conf->login.account = 10;
        conf->login.account_window = 300;
    }

    if (conf->login.address == 0) {
        conf->login.address = 50;
        conf->login.address_window = 300;
    }
}


static char *
vault_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    vault_srv_conf_t   *prev = parent;
    vault_srv_conf_t   *conf = child;
    vault_main_conf_t  *mcf;

    ngx_conf_merge_str_value(conf->database, prev->database,
                             "sqlite:/var/lib/vault/vault.db");
    ngx_conf_merge_uint_value(conf->connections, prev->connections,
                              NGX_CONF_UNSET_UINT);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 5000);
    ngx_conf_merge_value(conf->strict, prev->strict, 0);
    ngx_conf_merge_size_value(conf->sync_cache, prev->sync_cache,
                              32 * 1024 * 1024);
    ngx_conf_merge_str_value(conf->vault.origin, prev->vault.origin, "");
    ngx_conf_merge_str_value(conf->vault.web_vault, prev->vault.web_vault,
                             "");
    ngx_conf_merge_value(conf->vault.signups, prev->vault.signups, 1);
    ngx_conf_merge_ptr_value(conf->vault.signup_domains,
                             prev->vault.signup_domains, NULL);
    ngx_conf_merge_uint_value(conf->vault.kdf_rounds, prev->vault.kdf_rounds,
                              600000);
    ngx_conf_merge_sec_value(conf->vault.access_life, prev->vault.access_life,
                             3600);
    ngx_conf_merge_sec_value(conf->vault.refresh_life,
                             prev->vault.refresh_life, 30 * 24 * 3600);
    ngx_conf_merge_msec_value(conf->vault.deadline, prev->vault.deadline,
                              30000);

    if (conf->jwt_key.len == 0 && conf->jwt_pem.len == 0) {
        conf->jwt_key = prev->jwt_key;
        conf->jwt_pem = prev->jwt_pem;
    }

    vault_merge_login(prev, conf);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);

    return !conf->used || vault_attach(cf, mcf, conf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void *
vault_create_loc_conf(ngx_conf_t *cf)
{
    vault_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(vault_loc_conf_t));
    if (lcf) {
        lcf->enable = NGX_CONF_UNSET;
    }

    return lcf;
}


static char *
vault_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    vault_loc_conf_t          *prev = parent;
    vault_loc_conf_t          *conf = child;
    vault_srv_conf_t          *scf;
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!conf->enable || clcf->handler) {
        return NGX_CONF_OK;
    }

    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_vault_module);

    clcf->handler = vault_handler;

    /* every route has its own limit; nginx's default would come before it */
    if (clcf->client_max_body_size == 1024 * 1024) {
        clcf->client_max_body_size = VAULT_BODY_BULK;
    }

    if (scf->vault.web_vault.len) {
        clcf->root = scf->vault.web_vault;
        clcf->root_lengths = NULL;
        clcf->root_values = NULL;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
vault_postconfiguration(ngx_conf_t *cf)
{
    if (ngx_test_config && getenv("VAULT_PRINT_ROUTES")) {
        vault_router_print(vault_routes, STDOUT_FILENO);
    }

    return NGX_OK;
}


/* Processes */

static vault_main_conf_t *
vault_main_conf(ngx_cycle_t *cycle)
{
    return ngx_get_conf(cycle->conf_ctx, ngx_http_module)
           ? ngx_http_cycle_get_module_main_conf(cycle, ngx_http_vault_module)
           : NULL;
}


static ngx_int_t
vault_load_key(ngx_cycle_t *cycle, vault_srv_conf_t *scf)
{
    const char       *err;
    ngx_file_info_t   fi;

    if (scf->jwt_pem.len) {
        scf->vault.keyring = vault_keyring_from_pem(cycle->pool,
                                                    &scf->jwt_pem, &err);

    } else if (ngx_test_config
               && ngx_file_info(scf->jwt_key.data, &fi) == NGX_FILE_ERROR)
    {
        return NGX_OK;                /* a test makes no key */

    } else {
        scf->vault.keyring = vault_keyring_from_file(cycle->pool,
                                                     &scf->jwt_key, &err);
    }

    if (scf->vault.keyring == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"vault_jwt_key\" %V: %s", &scf->jwt_key, err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* In the master, after the configuration was read. */
static ngx_int_t
vault_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    vault_srv_conf_t  **scf;
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);
    if (mcf == NULL) {
        return NGX_OK;
    }

    scf = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (vault_db_check(scf[i]->vault.db, cycle) != NGX_OK
            || vault_load_key(cycle, scf[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
vault_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    vault_srv_conf_t  **scf;
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);

    if (mcf == NULL || mcf->vaults.nelts == 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    vault_co_limit(mcf->requests == NGX_CONF_UNSET_UINT ? 512
                                                        : mcf->requests);

    if (vault_thread_start(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    scf = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (vault_db_start(scf[i]->vault.db, cycle) != NGX_OK
            || vault_task_start(&scf[i]->vault, "start", 0, vault_db_prepare,
                                NULL) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
vault_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    vault_srv_conf_t  **scf;
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);
    if (mcf == NULL) {
        return;
    }

    vault_thread_stop();

    scf = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        vault_db_stop(scf[i]->vault.db);
    }
}
