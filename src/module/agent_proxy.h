/*
 * agent_proxy - the directives of locations that hand requests on to a Vault.
 *
 * Why:    which Vault and as whom is said in agent.h; what a location does with
 *         its requests is said here.
 * Use:    vault_attach_agent_proxy() once a location's agent is known.
 * Owns:   what is made lives in the cycle's pool.
 * Fails:  NGX_ERROR after having logged why.
 * Waits:  never.
 */

#ifndef VAULT_MODULE_AGENT_PROXY_H
#define VAULT_MODULE_AGENT_PROXY_H

#include "module.h"


char *vault_set_agent_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *vault_set_agent_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

void vault_unset_agent_proxy(vault_agent_proxy_t *proxy);
void vault_merge_agent_proxy(vault_agent_proxy_t *prev,
    vault_agent_proxy_t *conf);
ngx_int_t vault_attach_agent_proxy(ngx_conf_t *cf, vault_loc_conf_t *lcf);

/* agent_filter.c: after the configuration was read. */
void vault_agent_filter_install(void);


#endif
