/*
 * process - what a process starts and ends for vault and agent alike, and for
 * its agents.
 *
 * Use:    from nginx's hooks.
 * Owns:   threads, libcurl's handle and timers, from start to stop.
 * Fails:  NGX_ERROR after having logged why.
 * Waits:  never.
 */

#ifndef VAULT_MODULE_PROCESS_H
#define VAULT_MODULE_PROCESS_H

#include "module.h"


ngx_int_t vault_process_start(ngx_cycle_t *cycle, vault_main_conf_t *mcf);
void vault_process_stop(vault_main_conf_t *mcf);

/* The last to hold the shared memory: the master. */
void vault_process_end(ngx_cycle_t *cycle);


#endif
