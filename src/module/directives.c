/*
 * Directives that need more than one of nginx's own setters.
 */

#include "agent.h"
#include "module.h"
#include "../files/files.h"


#define SECRET_MIN  16                /* bytes of what nobody shall guess */


char *
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


char *
vault_set_bucket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    vault_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);
    mcf->bucket = 1;

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
vault_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = vault_status_handler;

    return NGX_CONF_OK;
}


char *
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


/* A path to a key that is made if missing, a key given as a secret, or the
   word for where all nodes have theirs. */
char *
vault_set_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t         *value;
    vault_srv_conf_t  *scf = conf;

    if (scf->jwt_key.data || scf->jwt_pem.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "database") == 0) {
        scf->jwt_key = value[1];
        scf->jwt_shared = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[1].data, "env:", 4) == 0
        || ngx_strncmp(value[1].data, "file:", 5) == 0
        || vault_is_reference(&value[1]))
    {
        return vault_secret_value(cf, &value[1], &scf->jwt_pem);
    }

    scf->jwt_key = value[1];

    return ngx_conf_full_name(cf->cycle, &scf->jwt_key, 0) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
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


char *
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


char *
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
limit_value(ngx_str_t *value, const char *name, ngx_uint_t *max,
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


char *
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

        rc = limit_value(&value[i], "account=", &scf->login.account,
                               &scf->login.account_window);

        if (rc == NGX_DECLINED) {
            rc = limit_value(&value[i], "address=",
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


/* "30" or "off", into seconds; 0: off. */
char *
vault_set_days(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    time_t     *seconds;
    ngx_int_t   days;
    ngx_str_t  *value;

    seconds = (time_t *) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*seconds != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *seconds = 0;
        return NGX_CONF_OK;
    }

    days = ngx_atoi(value[1].data, value[1].len);
    if (days < 1 || days > 36500) {
        return "takes a number of days, or \"off\"";
    }

    *seconds = (time_t) days * 24 * 3600;

    return NGX_CONF_OK;
}


char *
vault_set_file_max(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char              *rc;
    vault_srv_conf_t  *scf = conf;

    rc = ngx_conf_set_off_slot(cf, cmd, conf);
    if (rc != NGX_CONF_OK) {
        return rc;
    }

    if (scf->vault.file_max == VAULT_FILE_MAX + 1) {
        scf->vault.file_max = VAULT_FILE_MAX;
    }

    if (scf->vault.file_max < 1 || scf->vault.file_max > VAULT_FILE_MAX) {
        return "must be between 1 and 256m: larger files are uploaded in "
               "blocks, which no store of this server takes";
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
is_off(ngx_conf_t *cf)
{
    ngx_str_t  *value = cf->args->elts;

    return ngx_strcmp(value[1].data, "off") == 0;
}


char *
vault_set_file_quota(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    vault_srv_conf_t  *scf = conf;

    if (!is_off(cf)) {
        return ngx_conf_set_off_slot(cf, cmd, conf);
    }

    if (scf->vault.file_quota != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    scf->vault.file_quota = 0;

    return NGX_CONF_OK;
}


char *
vault_set_jobs(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char              *rc;
    vault_srv_conf_t  *scf = conf;

    if (!is_off(cf)) {
        rc = ngx_conf_set_msec_slot(cf, cmd, conf);

        return rc == NGX_CONF_OK && scf->vault.jobs < 1000
               ? "must be at least 1s, or \"off\"" : rc;
    }

    if (scf->vault.jobs != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    scf->vault.jobs = 0;

    return NGX_CONF_OK;
}


/*
 * What the front sends with each request, and what it sent until yesterday or
 * will send from tomorrow.
 */
char *
vault_set_origin_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char              *rc;
    ngx_str_t         *value, *secret;
    ngx_uint_t         i;
    vault_srv_conf_t  *scf = conf;

    secret = scf->vault.secrets;

    if (secret->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rc = vault_secret_value(cf, &value[i], secret);
        if (rc != NGX_CONF_OK) {
            return rc;
        }

        if (secret->len == 0 && i > 1) {
            continue;                 /* "env:OTHER:-" */
        }

        if (secret->len < SECRET_MIN) {
            return "takes a secret of 16 bytes at least";
        }

        secret++;
    }

    return NGX_CONF_OK;
}
