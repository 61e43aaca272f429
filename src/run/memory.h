/*
 * memory - pages for secrets: left out of core dumps, shared with children.
 *
 * Waits:  never.
 */

#ifndef VAULT_RUN_MEMORY_H
#define VAULT_RUN_MEMORY_H

#include <ngx_config.h>
#include <ngx_core.h>


/* Zeroed pages that children share; NULL after having logged why. */
void *vault_memory_shared(size_t size, ngx_log_t *log);
void vault_memory_free(void *memory, size_t size);

/* Leaves whole pages out of core dumps. */
void vault_memory_hide(void *memory, size_t size, ngx_log_t *log);


#endif
