/*
 * The only file that switches stacks.  makecontext and swapcontext cost one
 * system call each, which drowns in what a request does, and need no assembly.
 * AddressSanitizer and valgrind are told of every switch; without that they
 * report false errors or miss true ones.
 */

#include <ngx_config.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "co.h"

#if defined(__SANITIZE_ADDRESS__)
#define VAULT_ASAN  1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VAULT_ASAN  1
#endif
#endif

#if (VAULT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high)  0
#define VALGRIND_STACK_DEREGISTER(id)       (void) (id)
#endif


#define CO_STACK_SIZE  (256 * 1024)
#define CO_KEPT        32             /* idle stacks that keep their pages */


struct vault_co_s {
    ucontext_t    context;
    ucontext_t    caller;
    vault_co_pt   entry;
    void         *data;
    u_char       *stack;              /* lowest usable byte */
    unsigned      valgrind_id;
    ngx_uint_t    done;
    vault_co_t   *next;               /* in the list of idle ones */
#if (VAULT_ASAN)
    void         *fake;               /* ASan's shadow of our frames */
    void         *caller_fake;
    const void   *caller_bottom;
    size_t        caller_size;
#endif
};


/* Per worker; bounded by co_max. */
static vault_co_t  *co_idle;
static vault_co_t  *co_running;
static ngx_uint_t   co_idle_n;
static ngx_uint_t   co_alive;
static ngx_uint_t   co_max = 1024;


static vault_co_t *
co_map(void)
{
    u_char      *map;
    vault_co_t  *co;

    co = ngx_alloc(sizeof(vault_co_t), ngx_cycle->log);
    if (co == NULL) {
        return NULL;
    }

    map = mmap(NULL, ngx_pagesize + CO_STACK_SIZE, PROT_READ|PROT_WRITE,
               MAP_PRIVATE|MAP_ANONYMOUS|MAP_STACK, -1, 0);

    if (map == MAP_FAILED) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "mmap() of a coroutine stack failed");
        ngx_free(co);
        return NULL;
    }

    if (mprotect(map, ngx_pagesize, PROT_NONE) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "mprotect() of a coroutine stack failed");
        (void) munmap(map, ngx_pagesize + CO_STACK_SIZE);
        ngx_free(co);
        return NULL;
    }

    co->stack = map + ngx_pagesize;
    co->valgrind_id = VALGRIND_STACK_REGISTER(co->stack,
                                              co->stack + CO_STACK_SIZE);
    return co;
}


static void
co_release(vault_co_t *co)
{
    co_alive--;

#if (VAULT_ASAN)
    __asan_unpoison_memory_region(co->stack, CO_STACK_SIZE);
#endif

    if (co_idle_n < CO_KEPT) {
        co->next = co_idle;
        co_idle = co;
        co_idle_n++;
        return;
    }

    VALGRIND_STACK_DEREGISTER(co->valgrind_id);
    (void) munmap(co->stack - ngx_pagesize, ngx_pagesize + CO_STACK_SIZE);
    ngx_free(co);
}


static void
co_enter(void)
{
    vault_co_t  *co = co_running;

#if (VAULT_ASAN)
    __sanitizer_finish_switch_fiber(NULL, &co->caller_bottom,
                                    &co->caller_size);
#endif

    co->entry(co->data);
    co->done = 1;

#if (VAULT_ASAN)
    /* NULL: this stack is left for good */
    __sanitizer_start_switch_fiber(NULL, co->caller_bottom, co->caller_size);
#endif

    (void) setcontext(&co->caller);
}


static void
co_prepare(vault_co_t *co)
{
    (void) getcontext(&co->context);

    co->context.uc_stack.ss_sp = co->stack;
    co->context.uc_stack.ss_size = CO_STACK_SIZE;
    co->context.uc_link = NULL;

    makecontext(&co->context, co_enter, 0);
}


vault_co_t *
vault_co_create(vault_co_pt entry, void *data)
{
    vault_co_t  *co;

    if (co_alive >= co_max) {
        return NULL;
    }

    if (co_idle) {
        co = co_idle;
        co_idle = co->next;
        co_idle_n--;

    } else {
        co = co_map();
        if (co == NULL) {
            return NULL;
        }
    }

    co_alive++;

    co->entry = entry;
    co->data = data;
    co->done = 0;
#if (VAULT_ASAN)
    co->fake = NULL;
#endif

    co_prepare(co);

    return co;
}


ngx_int_t
vault_co_resume(vault_co_t *co)
{
    if (co_running) {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0,
                      "a coroutine resumed another one");
        ngx_abort();
    }

    co_running = co;

#if (VAULT_ASAN)
    __sanitizer_start_switch_fiber(&co->caller_fake, co->stack,
                                   CO_STACK_SIZE);
#endif

    (void) swapcontext(&co->caller, &co->context);

#if (VAULT_ASAN)
    __sanitizer_finish_switch_fiber(co->caller_fake, NULL, NULL);
#endif

    co_running = NULL;

    if (!co->done) {
        return NGX_AGAIN;
    }

    co_release(co);

    return NGX_DONE;
}


void
vault_co_suspend(void)
{
    vault_co_t  *co = co_running;

#if (VAULT_ASAN)
    __sanitizer_start_switch_fiber(&co->fake, co->caller_bottom,
                                   co->caller_size);
#endif

    (void) swapcontext(&co->context, &co->caller);

#if (VAULT_ASAN)
    __sanitizer_finish_switch_fiber(co->fake, &co->caller_bottom,
                                    &co->caller_size);
#endif
}


vault_co_t *
vault_co_running(void)
{
    return co_running;
}


ngx_uint_t
vault_co_count(void)
{
    return co_alive;
}


void
vault_co_limit(ngx_uint_t max)
{
    co_max = max;
}
