/*
 * agent_commands - the directives of the agent, as rows of a module's table.
 *
 * Why:    two modules have them: the whole, and the agent by itself
 *         (ngx_http_vault_agent.c), which is the extension of Lambda.
 * Use:    "VAULT_AGENT_COMMANDS," between the rows of a table of commands.
 */

#ifndef VAULT_MODULE_AGENT_COMMANDS_H
#define VAULT_MODULE_AGENT_COMMANDS_H

#include "agent.h"
#include "agent_proxy.h"


#define VAULT_SRV  NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF

#define vault_any(name, args, set, member)                                    \
    { ngx_string(name), VAULT_SRV|NGX_HTTP_LOC_CONF|args, set,                \
      NGX_HTTP_LOC_CONF_OFFSET, member, NULL }

static ngx_conf_num_bounds_t  vault_requests_bounds = {
    ngx_conf_check_num_bounds, 1, 30000
};

#define VAULT_AGENT_COMMANDS                                                  \
    { ngx_string("vault_requests"),                                           \
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1, ngx_conf_set_num_slot,               \
      NGX_HTTP_MAIN_CONF_OFFSET, offsetof(vault_main_conf_t, requests),       \
      &vault_requests_bounds },                                               \
                                                                              \
    { ngx_string("vault_agent_status"),                                       \
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS, vault_set_agent_status,              \
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },                                    \
                                                                              \
    vault_any("vault_agent", NGX_CONF_1MORE, vault_set_agent, 0),             \
    vault_any("vault_agent_auth", NGX_CONF_2MORE, vault_set_agent_auth, 0),   \
                                                                              \
    { ngx_string("vault_agent_secret"),                                       \
      VAULT_SRV|NGX_CONF_2MORE, vault_set_agent_secret,                       \
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },                                    \
                                                                              \
    { ngx_string("vault_agent_extension"),                                    \
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1, vault_set_agent_extension,           \
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },                                   \
                                                                              \
    vault_any("vault_agent_require_header", NGX_CONF_FLAG,                    \
              ngx_conf_set_flag_slot,                                         \
              offsetof(vault_loc_conf_t, agent_proxy.guard)),                 \
    vault_any("vault_agent_cache", NGX_CONF_1MORE, vault_set_agent_cache, 0), \
    vault_any("vault_agent_own_token", NGX_CONF_FLAG, ngx_conf_set_flag_slot, \
              offsetof(vault_loc_conf_t, agent_proxy.own_token))


#endif
