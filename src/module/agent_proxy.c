#include "agent_proxy.h"

#include "../agent/status.h"


#define TTL       300000              /* ms */
#define STALE     300000
#define MAX       (256 * 1024)
#define SIZE_MIN  (64 * 1024)         /* of a zone */


static ngx_int_t
agent_handler(ngx_http_request_t *r)
{
    vault_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_vault_module);

    return vault_agent_handle(r, &lcf->agent_proxy);
}


static ngx_int_t
agent_status_handler(ngx_http_request_t *r)
{
    vault_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_vault_module);

    return vault_agent_status(r, &mcf->agents, &mcf->stores);
}


/* The cache */

static ngx_int_t
read_flag(const ngx_str_t *value, ngx_uint_t *flag)
{
    *flag = value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0;

    return *flag || (value->len == 3
                     && ngx_strncmp(value->data, "off", 3) == 0)
           ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
read_time(ngx_str_t *value, ngx_msec_t *ms)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);
    *ms = n;

    return n == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
read_size(ngx_str_t *value, size_t *size)
{
    ssize_t  n;

    n = ngx_parse_size(value);
    *size = n;

    return n == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
read_option(ngx_str_t text, vault_agent_cache_t *cache)
{
    size_t      len;
    ngx_str_t   name;

    name = text;
    len = ngx_strlchr(text.data, text.data + text.len, '=')
          ? (size_t) (ngx_strlchr(text.data, text.data + text.len, '=')
                      - text.data) : text.len;
    name.len = len;

    if (len == text.len) {
        return NGX_ERROR;
    }

    text.data += len + 1;
    text.len -= len + 1;

    if (name.len == 3 && ngx_strncmp(name.data, "ttl", 3) == 0) {
        return read_time(&text, &cache->ttl);
    }

    if (name.len == 5 && ngx_strncmp(name.data, "stale", 5) == 0) {
        return read_time(&text, &cache->stale);
    }

    if (name.len == 3 && ngx_strncmp(name.data, "max", 3) == 0) {
        return read_size(&text, &cache->max);
    }

    return name.len == 7 && ngx_strncmp(name.data, "default", 7) == 0
           ? read_flag(&text, &cache->always) : NGX_ERROR;
}


static char *
make_cache(ngx_conf_t *cf, size_t size, vault_agent_cache_t *cache)
{
    ngx_uint_t             i;
    vault_main_conf_t     *mcf;
    vault_agent_store_t  **store;

    cache->store = vault_agent_store_create(cf, size);
    if (cache->store == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);
    store = mcf->stores.elts;

    for (i = 0; i < mcf->stores.nelts; i++) {
        if (store[i] == cache->store) {
            return NGX_CONF_OK;
        }
    }

    store = ngx_array_push(&mcf->stores);
    if (store == NULL) {
        return NGX_CONF_ERROR;
    }

    *store = cache->store;

    return NGX_CONF_OK;
}


/* "vault_agent_cache off", or SIZE [ttl=…] [stale=…] [max=…] [default=…] */
char *
vault_set_agent_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    size_t                size;
    ngx_str_t            *value = cf->args->elts;
    ngx_uint_t            i;
    vault_loc_conf_t     *lcf = conf;
    vault_agent_cache_t  *cache;

    if (lcf->agent_proxy.cache != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2 && value[1].len == 3
        && ngx_strncmp(value[1].data, "off", 3) == 0)
    {
        lcf->agent_proxy.cache = NULL;
        return NGX_CONF_OK;
    }

    cache = ngx_pcalloc(cf->pool, sizeof(vault_agent_cache_t));
    if (cache == NULL) {
        return NGX_CONF_ERROR;
    }

    cache->ttl = TTL;
    cache->stale = STALE;
    cache->max = MAX;
    cache->always = 1;
    lcf->agent_proxy.cache = cache;

    if (read_size(&value[1], &size) != NGX_OK || size < SIZE_MIN) {
        return "wants a size of 64k at least, or \"off\"";
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (read_option(value[i], cache) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"vault_agent_cache\" has no use for \"%V\"",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return make_cache(cf, size, cache);
}


char *
vault_set_agent_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = agent_status_handler;

    return NGX_CONF_OK;
}


/* Locations */

void
vault_unset_agent_proxy(vault_agent_proxy_t *proxy)
{
    proxy->guard = NGX_CONF_UNSET;
    proxy->own_token = NGX_CONF_UNSET;
    proxy->cache = NGX_CONF_UNSET_PTR;
}


void
vault_merge_agent_proxy(vault_agent_proxy_t *prev, vault_agent_proxy_t *conf)
{
    ngx_conf_merge_value(conf->guard, prev->guard, 1);
    ngx_conf_merge_value(conf->own_token, prev->own_token, 0);
    ngx_conf_merge_ptr_value(conf->cache, prev->cache, NULL);
}


/* A handler that the location has by another directive stays. */
ngx_int_t
vault_attach_agent_proxy(ngx_conf_t *cf, vault_loc_conf_t *lcf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == NULL) {
        lcf->agent_proxy.agent = lcf->agent.agent;
        clcf->handler = agent_handler;
    }

    return NGX_OK;
}
