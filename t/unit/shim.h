/*
 * shim - as much of nginx's core as json/ and crypto/ call, for programs
 * without nginx: unit tests and fuzzers.
 *
 * Every allocation from a pool is a malloc of its own, so that the address
 * sanitizer sees each overflow; the pool frees them when it is destroyed.
 */

#ifndef T_UNIT_SHIM_H
#define T_UNIT_SHIM_H

#include <ngx_config.h>
#include <ngx_core.h>


/* A log that prints nothing unless the environment has SHIM_LOG. */
ngx_log_t *shim_log(void);

/*
 * Lets the n-th allocation from now on, counted from 1, and all after it
 * fail; 0 ends that.
 */
void shim_fail_alloc(ngx_uint_t n);

/* Pool allocations so far, those that failed included. */
ngx_uint_t shim_allocs(void);


#endif
