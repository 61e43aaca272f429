#include "levels.h"

#include "agent.h"
#include "agent_proxy.h"


void *
vault_create_main_conf(ngx_conf_t *cf)
{
    vault_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(vault_main_conf_t));
    if (mcf == NULL
        || ngx_array_init(&mcf->vaults, cf->pool, 2,
                          sizeof(vault_srv_conf_t *)) != NGX_OK
        || ngx_array_init(&mcf->agents, cf->pool, 2,
                          sizeof(vault_agent_t *)) != NGX_OK
        || ngx_array_init(&mcf->stores, cf->pool, 2,
                          sizeof(vault_agent_store_t *)) != NGX_OK
        || ngx_array_init(&mcf->secrets, cf->pool, 2,
                          sizeof(vault_agent_secret_t)) != NGX_OK
        || ngx_array_init(&mcf->secret_confs, cf->pool, 2,
                          sizeof(vault_agent_conf_t *)) != NGX_OK)
    {
        return NULL;
    }

    mcf->requests = NGX_CONF_UNSET_UINT;

    return mcf;
}


void *
vault_create_loc_conf(ngx_conf_t *cf)
{
    vault_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(vault_loc_conf_t));
    if (lcf) {
        lcf->enable = NGX_CONF_UNSET;
        lcf->bucket = NGX_CONF_UNSET;
        lcf->agent.proxy = NGX_CONF_UNSET;
        vault_unset_agent_proxy(&lcf->agent_proxy);
    }

    return lcf;
}


ngx_int_t
vault_merge_level(ngx_conf_t *cf, vault_loc_conf_t *prev,
    vault_loc_conf_t *conf)
{
    vault_merge_agent(&prev->agent, &conf->agent);
    vault_merge_agent_proxy(&prev->agent_proxy, &conf->agent_proxy);

    if (!conf->agent.proxy) {
        return NGX_OK;
    }

    conf->agent.agent = vault_attach_agent(cf, &conf->agent);

    return conf->agent.agent ? vault_attach_agent_proxy(cf, conf) : NGX_ERROR;
}


ngx_int_t
vault_attach_levels(ngx_conf_t *cf, vault_main_conf_t *mcf)
{
    if (vault_attach_secrets(cf, mcf) != NGX_OK
        || vault_attach_extension(cf, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->agents.nelts) {
        vault_agent_filter_install();
    }

    return NGX_OK;
}


vault_main_conf_t *
vault_main_conf(ngx_cycle_t *cycle)
{
    return ngx_get_conf(cycle->conf_ctx, ngx_http_module)
           ? ngx_http_cycle_get_module_main_conf(cycle, ngx_http_vault_module)
           : NULL;
}
