/*
 * "vault_agent_extension NAME": this nginx is an extension of AWS Lambda.
 */

#include "agent.h"
#include "../net/line.h"


char *
vault_set_agent_extension(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    const char         *api;
    ngx_str_t          *value = cf->args->elts;
    vault_extension_t  *ext = &((vault_main_conf_t *) conf)->extension;

    if (ext->name.data) {
        return "is duplicate";
    }

    api = getenv("AWS_LAMBDA_RUNTIME_API");

    if (api == NULL || *api == '\0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_agent_extension\" is for AWS Lambda, "
                           "which sets AWS_LAMBDA_RUNTIME_API");
        return NGX_CONF_ERROR;
    }

    ext->name = value[1];
    ext->api.len = ngx_strlen(api);
    ext->api.data = ngx_pnalloc(cf->pool, ext->api.len + 1);
    if (ext->api.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(ext->api.data, (u_char *) api, ext->api.len + 1);

    return ext->name.len && vault_line_is_target(&ext->name)
           && vault_line_is_target(&ext->api)
           ? NGX_CONF_OK : "wants the name of a file in /opt/extensions";
}


/* The events are for one process, and for one that is not started again. */
ngx_int_t
vault_attach_extension(ngx_conf_t *cf, vault_main_conf_t *mcf)
{
    ngx_core_conf_t    *core;
    vault_loc_conf_t   *lcf;
    vault_extension_t  *ext = &mcf->extension;

    if (ext->name.len == 0) {
        return NGX_OK;
    }

    core = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                            ngx_core_module);

    if (core->master != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_agent_extension\" wants \"master_process "
                           "off\": one process asks for events");
        return NGX_ERROR;
    }

    /* also where no file is wanted and nobody asks: the login is a promise */
    lcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_vault_module);

    if (vault_attach_agent(cf, &lcf->agent) == NULL) {
        return NGX_ERROR;
    }

    ext->conf.aws = mcf->aws;
    ext->agents = &mcf->agents;
    ext->secrets = &mcf->secrets;

    return NGX_OK;
}
