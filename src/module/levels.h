/*
 * levels - the configuration that is there with an agent, with or without a
 * vault: of the whole and of a location.
 *
 * Why:    the agent by itself has no server's settings (settings.c).
 * Use:    as nginx calls them; vault_merge_level() in the merge of a location,
 *         vault_attach_levels() when all was read.
 * Owns:   what is made lives in the cycle's pool.
 * Fails:  NULL or NGX_ERROR after having logged what is missing.
 * Waits:  never.
 */

#ifndef VAULT_MODULE_LEVELS_H
#define VAULT_MODULE_LEVELS_H

#include "module.h"


void *vault_create_main_conf(ngx_conf_t *cf);
void *vault_create_loc_conf(ngx_conf_t *cf);

ngx_int_t vault_merge_level(ngx_conf_t *cf, vault_loc_conf_t *prev,
    vault_loc_conf_t *conf);
ngx_int_t vault_attach_levels(ngx_conf_t *cf, vault_main_conf_t *mcf);

/* NULL: there is no "http". */
vault_main_conf_t *vault_main_conf(ngx_cycle_t *cycle);


#endif
