/*
 * What a presigned URL costs: CPU of a GET and a PUT link as files/s3 makes
 * them, with a session token of the usual length.  Prints microseconds.
 */

#include "../../src/aws/sigv4.h"
#include "../unit/shim.h"

#include <time.h>


#define ROUNDS  20000
#define TOKEN   1200                  /* bytes of a token of STS */


static double
measure(const vault_sigv4_t *request, const vault_aws_keys_t *keys)
{
    clock_t      start;
    ngx_str_t    target;
    ngx_uint_t   i;
    ngx_pool_t  *pool;

    start = clock();

    for (i = 0; i < ROUNDS; i++) {
        pool = ngx_create_pool(4096, shim_log());

        /* a second apart, so that nothing but the day's key is reused */
        if (vault_sigv4_presign(pool, request, keys,
                                1795316400000 + (int64_t) (i % 60) * 1000, 300,
                                &target)
            != NGX_OK)
        {
            return -1;
        }

        ngx_destroy_pool(pool);
    }

    return 1e6 * (double) (clock() - start) / CLOCKS_PER_SEC / ROUNDS;
}


int
main(void)
{
    double                 get, put;
    vault_sigv4_t          request;
    vault_aws_keys_t       keys;
    static u_char          token[TOKEN];
    static ngx_keyval_t    query[] = {
        { ngx_string("sv"), ngx_string("2021-08-06") },
        { ngx_string("x-amz-storage-class"),
          ngx_string("INTELLIGENT_TIERING") },
    };

    memset(token, 'A', sizeof(token));
    memset(&keys, 0, sizeof(keys));
    memset(&request, 0, sizeof(request));

    ngx_str_set(&keys.access_key, "AKIAIOSFODNN7EXAMPLE");
    ngx_str_set(&keys.secret_key, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    keys.session_token.data = token;
    keys.session_token.len = sizeof(token);

    ngx_str_set(&request.method, "GET");
    ngx_str_set(&request.host, "vault.s3.eu-west-1.amazonaws.com");
    ngx_str_set(&request.path, "/files/7a3c1c1e-6a1f-4d0e-9d6a-0f6a6d0e1b2c");
    ngx_str_set(&request.region, "eu-west-1");
    ngx_str_set(&request.service, "s3");

    get = measure(&request, &keys);

    ngx_str_set(&request.method, "PUT");
    request.query = query;
    request.nquery = 2;

    put = measure(&request, &keys);

    printf("%.1f %.1f\n", get, put);

    return get < 0 || put < 0;
}
