/*
 * The router: which route a method and a path find.
 */

#include "check.h"
#include "../../src/run/route.h"


static void
none(vault_request_t *vr)
{
}


const vault_guard_t  vault_guard_anyone = { "anyone", NULL };

static const vault_route_t  routes[] = {
    { GET,    "/api/ciphers",                none, VAULT_ANYONE },
    { POST,   "/api/ciphers",                none, VAULT_ANYONE },
    { PUT,    "/api/ciphers/delete",         none, VAULT_ANYONE },
    { GET,    "/api/ciphers/{uuid}",         none, VAULT_ANYONE },
    { PUT,    "/api/ciphers/{uuid}/delete",  none, VAULT_ANYONE },
    { GET,    "/api/devices/{id}",           none, VAULT_ANYONE },
    { GET,    "/api/devices/known",          none, VAULT_ANYONE },
    { GET,    "/api/devices/identifier/{id}/of/{uuid}", none, VAULT_ANYONE },
    VAULT_ROUTE_END
};

static const vault_route_t  same[] = {
    { GET,    "/api/a/{uuid}", none, VAULT_ANYONE },
    { GET,    "/api/a/{uuid}", none, VAULT_ANYONE },
    VAULT_ROUTE_END
};

static const vault_route_t  wrong[] = {
    { GET,    "/api/{what}", none, VAULT_ANYONE },
    VAULT_ROUTE_END
};

static ngx_log_t  silent;


static vault_router_t *
router(ngx_pool_t *pool, const vault_route_t *table)
{
    const vault_route_t  *tables[2] = { table, NULL };

    return vault_router_create(pool, &silent, tables);
}


static const char *
find(vault_router_t *r, ngx_uint_t method, const char *path, ngx_str_t *args)
{
    u_char                buf[512];
    ngx_int_t             rc;
    ngx_str_t             uri;
    const vault_route_t  *route;

    /* a copy just as long as the path, so that a read beyond it is seen */

    uri.len = ngx_strlen(path);
    uri.data = buf + sizeof(buf) - uri.len;
    ngx_memcpy(uri.data, path, uri.len);

    rc = vault_router_find(r, method, &uri, &route, args);

    return rc == NGX_OK ? route->pattern : rc == NGX_ABORT ? "405" : "404";
}


#define UUID  "0123abcd-0123-4567-89ab-0123456789ab"

#define FINDS(method, path, want)                                            \
    CHECK_CASE(ngx_strcmp(find(r, method, path, args), want) == 0,           \
               #method " " path " -> " want)


int
main(void)
{
    ngx_str_t        args[VAULT_PATH_ARGS];
    ngx_pool_t      *pool;
    vault_router_t  *r;

    pool = ngx_create_pool(1024, NULL);

    r = router(pool, routes);
    CHECK(r != NULL);

    FINDS(NGX_HTTP_GET, "/api/ciphers", "/api/ciphers");
    FINDS(NGX_HTTP_HEAD, "/api/ciphers", "/api/ciphers");
    FINDS(NGX_HTTP_GET, "/api/ciphers/", "/api/ciphers");
    FINDS(NGX_HTTP_DELETE, "/api/ciphers", "405");
    FINDS(NGX_HTTP_PATCH, "/api/ciphers", "405");
    FINDS(NGX_HTTP_GET, "/api", "404");
    FINDS(NGX_HTTP_GET, "/", "404");
    FINDS(NGX_HTTP_GET, "//api/ciphers", "404");
    FINDS(NGX_HTTP_GET, "/api//ciphers", "404");
    FINDS(NGX_HTTP_GET, "/api/ciphers/x", "404");
    FINDS(NGX_HTTP_GET, "/a/b/c/d/e/f/g/h/i/j/k/l/m/n", "404");
    FINDS(NGX_HTTP_GET, "/api/ciphers/" UUID, "/api/ciphers/{uuid}");
    FINDS(NGX_HTTP_PUT, "/api/ciphers/delete", "/api/ciphers/delete");
    FINDS(NGX_HTTP_PUT, "/api/ciphers/" UUID "/delete",
          "/api/ciphers/{uuid}/delete");
    FINDS(NGX_HTTP_GET, "/api/devices/known", "/api/devices/known");
    FINDS(NGX_HTTP_GET, "/api/devices/identifier", "/api/devices/{id}");
    FINDS(NGX_HTTP_GET, "/api/devices/identifier/x/of/" UUID,
          "/api/devices/identifier/{id}/of/{uuid}");

    FINDS(NGX_HTTP_GET, "/api/devices/\xc3\xa4", "/api/devices/{id}");
    FINDS(NGX_HTTP_GET, "/api/devices/\xff", "404");

    CHECK(router(pool, same) == NULL);
    CHECK(router(pool, wrong) == NULL);

    ngx_destroy_pool(pool);

    return check_done();
}
