/*
 * agent - the directives of the secret-zero agent.
 *
 * Why:    "vault_agent" may stand at any level, with its identity or without;
 *         what is made of them is few agents of the whole process.
 * Use:    vault_attach_agent() where one is needed, after merging or, for what
 *         is needed while the configuration is read, on what stands before.
 * Owns:   agents live in the cycle's pool.
 * Fails:  NULL or NGX_CONF_ERROR after having logged what is missing.
 * Waits:  never.
 */

#ifndef VAULT_MODULE_AGENT_H
#define VAULT_MODULE_AGENT_H

#include "module.h"


char *vault_set_agent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *vault_set_agent_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* agent_secret.c */
char *vault_set_agent_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t vault_attach_secrets(ngx_conf_t *cf, vault_main_conf_t *mcf);

/* agent_value.c: "vault://PATH#KEY", fetched now. */
ngx_uint_t vault_is_reference(const ngx_str_t *value);
char *vault_fetch_value(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_str_t *out);

void vault_merge_agent(vault_agent_conf_t *prev, vault_agent_conf_t *conf);

/* The agent of these settings: an old one, or a new one. */
vault_agent_t *vault_attach_agent(ngx_conf_t *cf,
    const vault_agent_conf_t *conf);


#endif
