/*
 * Pages of the kernel's.
 */

#include "memory.h"

#include <sys/mman.h>


void
vault_memory_hide(void *memory, size_t size, ngx_log_t *log)
{
#ifdef MADV_DONTDUMP
    if (madvise(memory, size, MADV_DONTDUMP) == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "memory of secrets cannot be kept out of core dumps");
    }
#endif
}


void *
vault_memory_shared(size_t size, ngx_log_t *log)
{
    void  *memory;

    memory = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1,
                  0);

    if (memory == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "mmap() failed");
        return NULL;
    }

    vault_memory_hide(memory, size, log);

    return memory;
}


void
vault_memory_free(void *memory, size_t size)
{
    (void) munmap(memory, size);
}
