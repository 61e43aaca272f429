/*
 * Router paths: every answer is one of three, and arguments lie inside the
 * path and are what their pattern says.
 */

#include <stdlib.h>

#include "../../src/run/route.h"
#include "../unit/shim.h"


static void
none(vault_request_t *vr)
{
}


const vault_guard_t  vault_guard_anyone = { "anyone", NULL };

static const vault_route_t  routes[] = {
    { GET,  "/a",                   none, VAULT_ANYONE },
    { GET,  "/a/b",                 none, VAULT_ANYONE },
    { GET,  "/a/{id}",              none, VAULT_ANYONE },
    { GET,  "/a/{uuid}",            none, VAULT_ANYONE },
    { POST, "/a/{uuid}/b/{id}",     none, VAULT_ANYONE },
    { GET,  "/a/{id}/{id}/{uuid}",  none, VAULT_ANYONE },
    { GET,  "/a/b/c/d/e/f/g",       none, VAULT_ANYONE },
    VAULT_ROUTE_END
};

static const vault_route_t *const  tables[] = { routes, NULL };


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                  *copy;
    ngx_int_t                rc;
    ngx_str_t                path, args[VAULT_PATH_ARGS];
    ngx_uint_t               i;
    static ngx_log_t         log;
    static ngx_pool_t       *pool;
    static vault_router_t   *router;
    const vault_route_t     *route = NULL;

    if (router == NULL) {
        pool = ngx_create_pool(1024, &log);
        router = vault_router_create(pool, &log, tables);
    }

    copy = malloc(size ? size : 1);
    if (copy == NULL) {
        abort();
    }

    memcpy(copy, data, size);
    path.data = copy;
    path.len = size;
    memset(args, 0, sizeof(args));

    rc = vault_router_find(router, size & 1 ? NGX_HTTP_GET : NGX_HTTP_POST,
                           &path, &route, args);

    if (rc != NGX_DECLINED && rc != NGX_ABORT
        && (rc != NGX_OK || route == NULL))
    {
        abort();
    }

    for (i = 0; rc == NGX_OK && i < VAULT_PATH_ARGS; i++) {
        if (args[i].len
            && (args[i].data < copy
                || args[i].data + args[i].len > copy + size))
        {
            abort();
        }
    }

    free(copy);

    return 0;
}
