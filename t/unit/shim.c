/*
 * shim - see shim.h.  Written from what nginx's headers promise; where nginx
 * is lenient, this is stricter: nothing is shared, nothing is rounded up.
 */

#include "shim.h"


static ngx_uint_t  alloc_count, alloc_fail_at;

volatile ngx_cycle_t  *ngx_cycle;
volatile ngx_time_t   *ngx_cached_time;
volatile ngx_msec_t    ngx_current_msec;
ngx_pid_t              ngx_pid;
ngx_uint_t             ngx_pagesize = 4096;


ngx_log_t *
shim_log(void)
{
    static ngx_log_t  log;

    log.log_level = getenv("SHIM_LOG") ? NGX_LOG_DEBUG : 0;

    return &log;
}


void
shim_fail_alloc(ngx_uint_t n)
{
    alloc_fail_at = n ? alloc_count + n : 0;
}


ngx_uint_t
shim_allocs(void)
{
    return alloc_count;
}


static void *
pool_alloc(ngx_pool_t *pool, size_t size)
{
    ngx_pool_large_t  *large;

    alloc_count++;

    if (alloc_fail_at && alloc_count >= alloc_fail_at) {
        return NULL;
    }

    large = malloc(sizeof(ngx_pool_large_t));
    if (large == NULL) {
        return NULL;
    }

    large->alloc = malloc(size);
    if (large->alloc == NULL) {
        free(large);
        return NULL;
    }

    large->next = pool->large;
    pool->large = large;

    return large->alloc;
}


ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    ngx_pool_t  *pool;

    (void) size;

    pool = calloc(1, sizeof(ngx_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    pool->current = pool;
    pool->log = log;

    return pool;
}


static void
pool_free_all(ngx_pool_t *pool)
{
    ngx_pool_large_t  *large, *next;

    for (large = pool->large; large; large = next) {
        next = large->next;
        free(large->alloc);
        free(large);
    }

    pool->large = NULL;
    pool->chain = NULL;
}


void
ngx_reset_pool(ngx_pool_t *pool)
{
    pool_free_all(pool);
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = pool->cleanup; cln; cln = cln->next) {
        if (cln->handler) {
            cln->handler(cln->data);
        }
    }

    pool_free_all(pool);
    free(pool);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    return pool_alloc(pool, size);
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return pool_alloc(pool, size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = pool_alloc(pool, size);
    if (p) {
        memset(p, 0, size);
    }

    return p;
}


void *
ngx_pmemalign(ngx_pool_t *pool, size_t size, size_t alignment)
{
    (void) alignment;

    return pool_alloc(pool, size);
}


ngx_int_t
ngx_pfree(ngx_pool_t *pool, void *p)
{
    ngx_pool_large_t  *large;

    for (large = pool->large; large; large = large->next) {
        if (large->alloc == p) {
            free(p);
            large->alloc = NULL;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = pool_alloc(pool, sizeof(ngx_pool_cleanup_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->data = NULL;

    if (size) {
        cln->data = pool_alloc(pool, size);
        if (cln->data == NULL) {
            return NULL;
        }
    }

    cln->handler = NULL;
    cln->next = pool->cleanup;
    pool->cleanup = cln;

    return cln;
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return calloc(1, size);
}


u_char *
ngx_pstrdup(ngx_pool_t *pool, ngx_str_t *src)
{
    u_char  *dst;

    dst = ngx_pnalloc(pool, src->len);
    if (dst) {
        memcpy(dst, src->data, src->len);
    }

    return dst;
}


ngx_array_t *
ngx_array_create(ngx_pool_t *pool, ngx_uint_t n, size_t size)
{
    ngx_array_t  *a;

    a = ngx_palloc(pool, sizeof(ngx_array_t));

    if (a == NULL || ngx_array_init(a, pool, n, size) != NGX_OK) {
        return NULL;
    }

    return a;
}


void
ngx_array_destroy(ngx_array_t *a)
{
    a->nelts = 0;
}


void *
ngx_array_push(ngx_array_t *a)
{
    return ngx_array_push_n(a, 1);
}


/* Moves at every push, so that a pointer kept across one is found. */
void *
ngx_array_push_n(ngx_array_t *a, ngx_uint_t n)
{
    void  *elts;

    elts = pool_alloc(a->pool, (a->nelts + n) * a->size);
    if (elts == NULL) {
        return NULL;
    }

    if (a->nelts) {
        memcpy(elts, a->elts, a->nelts * a->size);
    }

    ngx_pfree(a->pool, a->elts);

    a->elts = elts;
    a->nalloc = a->nelts + n;
    a->nelts += n;

    return (u_char *) elts + (a->nelts - n) * a->size;
}


ngx_buf_t *
ngx_create_temp_buf(ngx_pool_t *pool, size_t size)
{
    ngx_buf_t  *b;

    b = ngx_pcalloc(pool, sizeof(ngx_buf_t));
    if (b == NULL) {
        return NULL;
    }

    b->start = ngx_palloc(pool, size);
    if (b->start == NULL) {
        return NULL;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + size;
    b->temporary = 1;

    return b;
}


ngx_chain_t *
ngx_alloc_chain_link(ngx_pool_t *pool)
{
    ngx_chain_t  *cl;

    cl = pool->chain;

    if (cl) {
        pool->chain = cl->next;
        return cl;
    }

    return ngx_palloc(pool, sizeof(ngx_chain_t));
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   line[2048], *p;
    va_list  args;

    (void) log;

    va_start(args, fmt);
    p = ngx_vslprintf(line, line + sizeof(line), fmt, args);
    va_end(args);

    fprintf(stderr, "# log %d: %.*s (%d)\n", (int) level, (int) (p - line),
            line, (int) err);
}


u_char *
ngx_strerror(ngx_err_t err, u_char *errstr, size_t size)
{
    return ngx_snprintf(errstr, size, "%s", strerror(err));
}


void
ngx_time_update(void)
{
    /* time() is asked directly here */
}
