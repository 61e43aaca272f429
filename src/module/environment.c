/*
 * Values from the environment, from files and from a Vault.  An image whose
 * files nobody can write to, a function of Lambda say, is configured by its
 * environment alone.
 */

#include "agent.h"


#define SECRET_MAX  16384             /* bytes of a secret in a file */
#define ENV         "env:"
#define ENV_NAME    128


/* With a zero at its end, as nginx's own setters want it. */
static char *
copy_value(ngx_conf_t *cf, const u_char *data, size_t len, ngx_str_t *out)
{
    out->data = ngx_pnalloc(cf->pool, len + 1);
    if (out->data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(out->data, (u_char *) data, len + 1);
    out->len = len;

    return NGX_CONF_OK;
}


char *
vault_env_value(ngx_conf_t *cf, const ngx_str_t *name, ngx_str_t *out)
{
    char    *value;
    size_t   len;
    u_char  *end = name->data + name->len, *otherwise, text[ENV_NAME];

    otherwise = ngx_strlchr(name->data, end, ':');

    if (otherwise && (otherwise + 1 == end || otherwise[1] != '-')) {
        return "takes \"env:NAME\" or \"env:NAME:-DEFAULT\"";
    }

    len = otherwise ? (size_t) (otherwise - name->data) : name->len;

    if (len == 0 || len >= ENV_NAME) {
        return "takes \"env:NAME\" or \"env:NAME:-DEFAULT\"";
    }

    (void) ngx_cpystrn(text, name->data, len + 1);
    value = getenv((char *) text);

    if (value && *value) {
        return copy_value(cf, (u_char *) value, ngx_strlen(value), out);
    }

    if (otherwise) {
        return copy_value(cf, otherwise + 2, end - otherwise - 2, out);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the environment variable \"%s\" is not set", text);

    return NGX_CONF_ERROR;
}


/* The value of "file:PATH", without the end of its last line. */
static char *
file_value(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *out)
{
    ssize_t   n;
    ngx_fd_t  fd;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    out->data = ngx_palloc(cf->pool, SECRET_MAX);
    if (out->data == NULL) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    n = fd == NGX_INVALID_FILE ? -1 : ngx_read_fd(fd, out->data, SECRET_MAX);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the file \"%V\" cannot be read", path);
    }

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }

    if (n == -1) {
        return NGX_CONF_ERROR;
    }

    while (n && (out->data[n - 1] == '\n' || out->data[n - 1] == '\r')) {
        n--;
    }

    out->len = n;

    return NGX_CONF_OK;
}


static ngx_uint_t
begins_with(const ngx_str_t *value, const char *prefix, ngx_str_t *rest)
{
    size_t  len = ngx_strlen(prefix);

    if (value->len <= len || ngx_strncmp(value->data, prefix, len) != 0) {
        return 0;
    }

    rest->data = value->data + len;
    rest->len = value->len - len;

    return 1;
}


char *
vault_secret_value(ngx_conf_t *cf, const ngx_str_t *value, ngx_str_t *out)
{
    ngx_str_t  rest;

    if (begins_with(value, ENV, &rest)) {
        return vault_env_value(cf, &rest, out);
    }

    if (begins_with(value, "file:", &rest)) {
        return file_value(cf, &rest, out);
    }

    if (vault_is_reference(value)) {
        return vault_fetch_value(cf, value, out);
    }

    *out = *value;

    return NGX_CONF_OK;
}


char *
vault_set_from_env(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                  *rc;
    ngx_str_t             *value, name;
    ngx_uint_t             i;
    ngx_command_t          own = *cmd;
    const vault_setter_t  *setter = cmd->post;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (!begins_with(&value[i], ENV, &name)) {
            continue;
        }

        rc = vault_env_value(cf, &name, &value[i]);

        if (rc != NGX_CONF_OK || value[i].len == 0) {
            return rc;
        }
    }

    own.post = setter->post;

    return setter->set(cf, &own, conf);
}
