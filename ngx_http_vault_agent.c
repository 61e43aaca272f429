/*
 * The module with its agent alone: an nginx that has this one needs neither
 * databases nor the folders above src/agent, src/module apart.  It is what
 * aws/extension/build makes a layer of; everybody else has the whole,
 * ngx_http_vault_module.c.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "src/module/agent_commands.h"
#include "src/module/levels.h"
#include "src/module/module.h"
#include "src/module/process.h"


static ngx_int_t agent_postconfiguration(ngx_conf_t *cf);
static char *agent_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static ngx_int_t agent_init_process(ngx_cycle_t *cycle);
static void agent_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  agent_commands[] = {
    VAULT_AGENT_COMMANDS,
    ngx_null_command
};


static ngx_http_module_t  agent_module_ctx = {
    NULL,                             /* preconfiguration */
    agent_postconfiguration,
    vault_create_main_conf,
    NULL,
    NULL,                             /* no settings of a server */
    NULL,
    vault_create_loc_conf,
    agent_merge_loc_conf
};


ngx_module_t  ngx_http_vault_module = {
    NGX_MODULE_V1,
    &agent_module_ctx,
    agent_commands,
    NGX_HTTP_MODULE,
    NULL,                             /* init master */
    NULL,                             /* init module */
    agent_init_process,
    NULL,                             /* init thread */
    NULL,                             /* exit thread */
    agent_exit_process,
    vault_process_end,
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
agent_postconfiguration(ngx_conf_t *cf)
{
    return vault_attach_levels(cf,
        ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module));
}


static char *
agent_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    return vault_merge_level(cf, parent, child) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
agent_init_process(ngx_cycle_t *cycle)
{
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);

    return mcf && mcf->agents.nelts
           && (ngx_process == NGX_PROCESS_WORKER
               || ngx_process == NGX_PROCESS_SINGLE)
           ? vault_process_start(cycle, mcf) : NGX_OK;
}


static void
agent_exit_process(ngx_cycle_t *cycle)
{
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);

    if (mcf) {
        vault_process_stop(mcf);
    }
}
