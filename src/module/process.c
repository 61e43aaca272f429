#include "process.h"

#include "agent.h"
#include "levels.h"
#include "../aws/credentials.h"
#include "../net/http.h"
#include "../run/co.h"
#include "../run/driver.h"
#include "../run/thread.h"


ngx_int_t
vault_process_start(ngx_cycle_t *cycle, vault_main_conf_t *mcf)
{
    ngx_uint_t       i;
    vault_agent_t  **agent = mcf->agents.elts;

    vault_co_limit(mcf->requests == NGX_CONF_UNSET_UINT ? 512
                                                        : mcf->requests);

    if (vault_thread_start(cycle) != NGX_OK
        || vault_http_start(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < mcf->agents.nelts; i++) {
        if (vault_agent_start(agent[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* one worker writes files */
    if (ngx_worker == 0
        && vault_agent_secrets_start(&mcf->secrets, cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return mcf->extension.name.len
           ? vault_extension_start(&mcf->extension, cycle) : NGX_OK;
}


void
vault_process_stop(vault_main_conf_t *mcf)
{
    ngx_uint_t       i;
    vault_agent_t  **agent = mcf->agents.elts;

    vault_agent_secrets_stop();
    vault_driver_stop();
    vault_http_stop();
    vault_thread_stop();

    for (i = 0; i < mcf->agents.nelts; i++) {
        vault_agent_stop(agent[i]);

        if (ngx_process == NGX_PROCESS_SINGLE) {
            vault_agent_wipe(agent[i]);
        }
    }

    if (mcf->aws) {
        vault_aws_stop(mcf->aws);
    }
}


void
vault_process_end(ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    vault_agent_t     **agent;
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);
    agent = mcf ? mcf->agents.elts : NULL;

    for (i = 0; mcf && i < mcf->agents.nelts; i++) {
        vault_agent_end(agent[i], cycle);
    }
}
