#include "agent_proxy.h"


static ngx_int_t
agent_handler(ngx_http_request_t *r)
{
    vault_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_vault_module);

    return vault_agent_handle(r, &lcf->agent_proxy);
}


void
vault_unset_agent_proxy(vault_agent_proxy_t *proxy)
{
    proxy->guard = NGX_CONF_UNSET;
    proxy->own_token = NGX_CONF_UNSET;
}


void
vault_merge_agent_proxy(vault_agent_proxy_t *prev, vault_agent_proxy_t *conf)
{
    ngx_conf_merge_value(conf->guard, prev->guard, 1);
    ngx_conf_merge_value(conf->own_token, prev->own_token, 0);
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
