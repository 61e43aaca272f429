/*
 * sigv4_part - what the files of sigv4 share, and nobody else uses.
 */

#ifndef VAULT_AWS_SIGV4_PART_H
#define VAULT_AWS_SIGV4_PART_H

#include "sigv4.h"


/* Characters that are never encoded. */
ngx_uint_t vault_sigv4_is_plain(u_char c);

/* Lower-case hex of 32 bytes, in the pool. */
ngx_int_t vault_sigv4_hex(ngx_pool_t *pool, const u_char *digest,
    ngx_str_t *out);

/*
 * The signing key of a scope, "20130524/us-east-1/s3/aws4_request".  It is
 * kept by this thread: valid until the next call.
 */
ngx_int_t vault_sigv4_key(ngx_pool_t *pool, const vault_sigv4_t *request,
    const ngx_str_t *secret, const ngx_str_t *scope, ngx_str_t *key);


#endif
