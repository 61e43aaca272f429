/*
 * The URL: libpq's own form, and what it leaves open.
 */

#include "pg.h"


/* What a URL leaves open.  A peer that is gone must be noticed in seconds. */
static const char *const  defaults[][2] = {
    { "fallback_application_name", "ngx_http_vault_module" },
    { "gssencmode",           "disable" },    /* asks Kerberos, and waits */
    { "keepalives_idle",      "30" },
    { "keepalives_interval",  "10" },
    { "keepalives_count",     "3" },
    { "tcp_user_timeout",     "10000" },
    { NULL, NULL }
};

static const vault_pg_kind_t  kind = {
    .dialect = &vault_pg_dialect,
    .prepares = 1
};

static const char *const  ssl_modes[] = {
    "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL
};


static const char *
find_value(vault_pg_conf_t *conf, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < conf->n; i++) {
        if (ngx_strcmp(conf->names[i], name) == 0) {
            return conf->values[i];
        }
    }

    return NULL;
}


static const char *
copy(ngx_pool_t *pool, const char *text)
{
    size_t   len = ngx_strlen(text) + 1;
    u_char  *p;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, text, len);

    return (const char *) p;
}


ngx_int_t
vault_pg_add(vault_pg_conf_t *conf, ngx_pool_t *pool, const char *name,
    const char *value)
{
    if (conf->n == VAULT_PG_PARAMS) {
        return NGX_ERROR;
    }

    conf->names[conf->n] = copy(pool, name);
    conf->values[conf->n] = copy(pool, value);

    if (conf->names[conf->n] == NULL || conf->values[conf->n] == NULL) {
        return NGX_ERROR;
    }

    conf->n++;

    return NGX_OK;
}


/* libpq finds wrong values only when it connects. */
static const char *
check_values(vault_pg_conf_t *conf)
{
    ngx_int_t           n;
    ngx_uint_t          i;
    const char         *value, *end;

    value = find_value(conf, "sslmode");

    if (value) {
        for (i = 0; ssl_modes[i]; i++) {
            if (ngx_strcmp(value, ssl_modes[i]) == 0) {
                break;
            }
        }

        if (ssl_modes[i] == NULL) {
            return "unknown sslmode; one of disable, allow, prefer, require,"
                   " verify-ca, verify-full";
        }
    }

    for (value = conf->port; *value; value = end + (*end == ',')) {
        end = value + strcspn(value, ",");
        n = ngx_atoi((u_char *) value, (size_t) (end - value));

        if (end != value && (n < 1 || n > 65535)) {
            return "port is not a number from 1 to 65535";
        }
    }

    return NULL;
}


/* What has not been said; and how the host is reached. */
ngx_int_t
vault_pg_complete(vault_pg_conf_t *conf, ngx_pool_t *pool)
{
    ngx_uint_t   i;
    const char  *value;

    for (i = 0; defaults[i][0]; i++) {
        if (find_value(conf, defaults[i][0]) == NULL
            && vault_pg_add(conf, pool, defaults[i][0], defaults[i][1])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (vault_pg_add(conf, pool, "client_encoding", "UTF8") != NGX_OK) {
        return NGX_ERROR;
    }

    value = find_value(conf, "host");
    conf->host = value ? value : "";

    value = find_value(conf, "port");
    conf->port = value ? value : "";

    conf->resolve = (find_value(conf, "hostaddr") == NULL
                     && vault_pg_is_name(conf->host));

    return NGX_OK;
}


static ngx_int_t
store(vault_pg_conf_t *conf, ngx_pool_t *pool, PQconninfoOption *options)
{
    PQconninfoOption  *o;

    for (o = options; o->keyword; o++) {
        if (o->val && vault_pg_add(conf, pool, o->keyword, o->val) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return vault_pg_complete(conf, pool);
}


/* libpq's own message would repeat the URL, and with it the password. */
void *
vault_pg_configure(ngx_pool_t *pool, const ngx_str_t *url, const char **err)
{
    ngx_int_t          rc;
    const char        *text;
    vault_pg_conf_t   *conf;
    PQconninfoOption  *options;

    *err = "no memory";

    conf = ngx_pcalloc(pool, sizeof(vault_pg_conf_t));
    text = (const char *) ngx_pnalloc(pool, url->len + 1);

    if (conf == NULL || text == NULL) {
        return NULL;
    }

    conf->kind = &kind;
    ngx_cpystrn((u_char *) text, url->data, url->len + 1);

    options = PQconninfoParse(text, NULL);

    if (options == NULL) {
        *err = "not a URL that libpq understands; the form is postgresql://"
               "user:password@host:5432/database?sslmode=verify-full";
        return NULL;
    }

    rc = store(conf, pool, options);
    PQconninfoFree(options);

    if (rc != NGX_OK) {
        return NULL;
    }

    *err = check_values(conf);

    return *err ? NULL : conf;
}
