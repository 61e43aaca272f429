/*
 * route - from method and path to an endpoint, by tables.
 *
 * Each file of api/ opens with its routes, so it reads as its own table of
 * contents.  The guard is data: the router, `make routes` and the
 * authorization tests are made from these tables.
 */

#ifndef VAULT_RUN_ROUTE_H
#define VAULT_RUN_ROUTE_H

#include "request.h"


typedef void (*vault_handler_pt)(vault_request_t *vr);

/*
 * Before the body is read: 0, or the status and the words of a refusal.  There
 * is no coroutine: it may neither vault_fail() nor await nor vault_alloc().
 */
typedef ngx_uint_t (*vault_admit_pt)(vault_request_t *vr,
    const char **message);

/*
 * Who may call.  check(vr) sets vr->session or fails; it may await.  NULL:
 * anybody.  admit() comes first, so that nobody makes us keep a body who may
 * not send one; or NULL.  These are in rules/guard.c, which alone knows
 * sessions; those of signed links in rules/upload.c.
 */
typedef struct {
    const char         *name;
    vault_handler_pt    check;
    vault_admit_pt      admit;
} vault_guard_t;

extern const vault_guard_t  vault_guard_anyone;
extern const vault_guard_t  vault_guard_user;

#define VAULT_ANYONE  &vault_guard_anyone
#define VAULT_USER    &vault_guard_user

typedef enum {
    VAULT_GET = 0,                    /* HEAD too */
    VAULT_POST,
    VAULT_PUT,
    VAULT_DELETE,
    VAULT_METHODS
} vault_method_e;

#define GET     VAULT_GET
#define POST    VAULT_POST
#define PUT     VAULT_PUT
#define DELETE  VAULT_DELETE

/*
 * pattern: segments between slashes; "{uuid}" takes a UUID, "{id}" 1 to 128
 * bytes of UTF-8 other than a slash.  A literal segment wins over {uuid}, and
 * {uuid} over {id}; a trailing slash of the request is ignored.
 */
struct vault_route_s {
    vault_method_e        method;
    const char           *pattern;
    vault_handler_pt      handler;
    const vault_guard_t  *guard;
    size_t                body;       /* most bytes of a body; 0: 1 MiB */
    ngx_uint_t            options;
};

/* The body is received into a file: run/body.h.  At most vault_file_max. */
#define VAULT_BODY_FILE     0x01

#define VAULT_ROUTE_END   { VAULT_METHODS, NULL, NULL, NULL, 0, 0 }
#define VAULT_BODY_DEFAULT  (1024 * 1024)
#define VAULT_BODY_BULK     (128 * 1024 * 1024)  /* import, key rotation */

/* All tables, ended by NULL; defined in api/api.c. */
extern const vault_route_t *const  vault_routes[];


/*
 * Builds the router of all tables.  NULL after having logged which two routes
 * are the same, or what is wrong with a pattern.
 */
vault_router_t *vault_router_create(ngx_pool_t *pool, ngx_log_t *log,
    const vault_route_t *const *tables);

/*
 * Finds the route of a request and fills args[VAULT_PATH_ARGS] (slices of
 * `path`; UUIDs are made lower case in place).  NGX_OK, NGX_DECLINED if no
 * route has this path, NGX_ABORT if one has, but not with this method.
 */
ngx_int_t vault_router_find(vault_router_t *router, ngx_uint_t http_method,
    ngx_str_t *path, const vault_route_t **route, ngx_str_t *args);

/* Writes one line a route, "METHOD pattern guard bytes", to a descriptor. */
void vault_router_print(const vault_route_t *const *tables, ngx_fd_t fd);


#endif
