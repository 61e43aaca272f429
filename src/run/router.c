/*
 * A trie of path segments.  Literal children are sorted, so a lookup is one
 * binary search a segment, with a step back where a literal led nowhere.
 */

#include "../json/json.h"
#include "route.h"


#define ROUTER_SEGMENTS  12

typedef struct router_node_s  router_node_t;

struct router_node_s {
    ngx_str_t             text;       /* of a literal segment */
    router_node_t        *next;       /* literal sibling, while building */
    router_node_t        *literals;   /* while building */
    router_node_t       **sorted;
    ngx_uint_t            n;
    router_node_t        *uuid;
    router_node_t        *id;
    const vault_route_t  *routes[VAULT_METHODS];
    unsigned              used:1;     /* some route ends here */
};

struct vault_router_s {
    router_node_t         root;
};

typedef struct {
    ngx_str_t             segments[ROUTER_SEGMENTS];
    ngx_uint_t            n;
    ngx_str_t            *args;
} router_path_t;


static const char  *router_methods[] = { "GET", "POST", "PUT", "DELETE" };


/* NGX_DECLINED: too many segments to be a path of ours, or an empty one. */
static ngx_int_t
router_split(const ngx_str_t *path, router_path_t *out)
{
    u_char  *p, *end, *next;

    out->n = 0;
    p = path->data;
    end = p + path->len;

    if (p == end || *p != '/') {
        return NGX_DECLINED;
    }

    if (end - p > 1 && end[-1] == '/') {
        end--;
    }

    for (p++; p < end; p = next + 1) {
        next = ngx_strlchr(p, end, '/');
        if (next == NULL) {
            next = end;
        }

        if (out->n == ROUTER_SEGMENTS || next == p) {
            return NGX_DECLINED;
        }

        out->segments[out->n].data = p;
        out->segments[out->n].len = next - p;
        out->n++;
    }

    return NGX_OK;
}


static router_node_t *
router_literal(ngx_pool_t *pool, router_node_t *node, ngx_str_t *text)
{
    router_node_t  *child;

    for (child = node->literals; child; child = child->next) {
        if (child->text.len == text->len
            && ngx_memcmp(child->text.data, text->data, text->len) == 0)
        {
            return child;
        }
    }

    child = ngx_pcalloc(pool, sizeof(router_node_t));
    if (child == NULL) {
        return NULL;
    }

    child->text = *text;
    child->next = node->literals;
    node->literals = child;
    node->n++;

    return child;
}


static router_node_t *
router_child(ngx_pool_t *pool, router_node_t *node, ngx_str_t *text)
{
    router_node_t  **slot;

    if (text->data[0] != '{') {
        return router_literal(pool, node, text);
    }

    slot = text->len == 6 && ngx_strncmp(text->data, "{uuid}", 6) == 0
           ? &node->uuid
           : text->len == 4 && ngx_strncmp(text->data, "{id}", 4) == 0
             ? &node->id : NULL;

    if (slot && *slot == NULL) {
        *slot = ngx_pcalloc(pool, sizeof(router_node_t));
    }

    return slot ? *slot : NULL;
}


static ngx_int_t
router_add(ngx_pool_t *pool, ngx_log_t *log, router_node_t *node,
    const vault_route_t *route)
{
    ngx_str_t      pattern;
    ngx_uint_t     i, args;
    router_path_t  path;

    pattern.data = (u_char *) route->pattern;
    pattern.len = ngx_strlen(route->pattern);

    if (router_split(&pattern, &path) != NGX_OK) {
        goto invalid;
    }

    for (i = 0, args = 0; i < path.n; i++) {
        args += path.segments[i].data[0] == '{';
        node = router_child(pool, node, &path.segments[i]);
        if (node == NULL || args > VAULT_PATH_ARGS) {
            goto invalid;
        }
    }

    if (node->routes[route->method]) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "the route \"%s %s\" is there "
                      "twice", router_methods[route->method], route->pattern);
        return NGX_ERROR;
    }

    node->routes[route->method] = route;
    node->used = 1;

    return NGX_OK;

invalid:

    ngx_log_error(NGX_LOG_EMERG, log, 0, "the route \"%s\" is not valid",
                  route->pattern);
    return NGX_ERROR;
}


static int ngx_libc_cdecl
router_compare(const void *one, const void *two)
{
    const router_node_t  *a = *(router_node_t *const *) one;
    const router_node_t  *b = *(router_node_t *const *) two;

    return ngx_memn2cmp(a->text.data, b->text.data, a->text.len,
                        b->text.len);
}


static ngx_int_t
router_sort(ngx_pool_t *pool, router_node_t *node)
{
    ngx_uint_t      i;
    router_node_t  *child;

    node->sorted = ngx_palloc(pool, (node->n + 1) * sizeof(router_node_t *));
    if (node->sorted == NULL) {
        return NGX_ERROR;
    }

    for (i = 0, child = node->literals; child; child = child->next) {
        node->sorted[i++] = child;

        if (router_sort(pool, child) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_qsort(node->sorted, node->n, sizeof(router_node_t *), router_compare);

    if (node->uuid && router_sort(pool, node->uuid) != NGX_OK) {
        return NGX_ERROR;
    }

    return node->id ? router_sort(pool, node->id) : NGX_OK;
}


vault_router_t *
vault_router_create(ngx_pool_t *pool, ngx_log_t *log,
    const vault_route_t *const *tables)
{
    vault_router_t       *router;
    const vault_route_t  *route;

    router = ngx_pcalloc(pool, sizeof(vault_router_t));
    if (router == NULL) {
        return NULL;
    }

    for ( /* void */ ; *tables; tables++) {
        for (route = *tables; route->pattern; route++) {
            if (router_add(pool, log, &router->root, route) != NGX_OK) {
                return NULL;
            }
        }
    }

    return router_sort(pool, &router->root) == NGX_OK ? router : NULL;
}


static router_node_t *
router_find_literal(router_node_t *node, ngx_str_t *text)
{
    ngx_int_t   rc;
    ngx_uint_t  low, high, mid;

    for (low = 0, high = node->n; low < high; /* void */ ) {
        mid = (low + high) / 2;
        rc = ngx_memn2cmp(text->data, node->sorted[mid]->text.data, text->len,
                          node->sorted[mid]->text.len);
        if (rc == 0) {
            return node->sorted[mid];
        }

        if (rc < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }

    return NULL;
}


/* The node that `path` from segment i on ends at; NULL if there is none. */
static router_node_t *
router_match(router_node_t *node, router_path_t *path, ngx_uint_t i,
    ngx_uint_t arg)
{
    ngx_str_t      *text = &path->segments[i];
    router_node_t  *child, *end;

    if (i == path->n) {
        return node->used ? node : NULL;
    }

    child = router_find_literal(node, text);
    end = child ? router_match(child, path, i + 1, arg) : NULL;

    if (end == NULL && node->uuid && vault_uuid_check(text) == NGX_OK) {
        end = router_match(node->uuid, path, i + 1, arg + 1);

        if (end) {
            ngx_strlow(text->data, text->data, text->len);
            path->args[arg] = *text;
        }
    }

    /* what is no text is no name either: a database may refuse it */

    if (end == NULL && node->id && text->len <= 128
        && vault_utf8_check(text) == NGX_OK)
    {
        end = router_match(node->id, path, i + 1, arg + 1);

        if (end) {
            path->args[arg] = *text;
        }
    }

    return end;
}


static ngx_int_t
router_method(ngx_uint_t http_method)
{
    switch (http_method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        return VAULT_GET;

    case NGX_HTTP_POST:
        return VAULT_POST;

    case NGX_HTTP_PUT:
        return VAULT_PUT;

    case NGX_HTTP_DELETE:
        return VAULT_DELETE;

    default:
        return NGX_ERROR;
    }
}


ngx_int_t
vault_router_find(vault_router_t *router, ngx_uint_t http_method,
    ngx_str_t *uri, const vault_route_t **route, ngx_str_t *args)
{
    ngx_int_t       method;
    router_node_t  *node;
    router_path_t   path;

    if (router_split(uri, &path) != NGX_OK) {
        return NGX_DECLINED;
    }

    path.args = args;

    node = router_match(&router->root, &path, 0, 0);
    if (node == NULL) {
        return NGX_DECLINED;
    }

    method = router_method(http_method);

    if (method == NGX_ERROR || node->routes[method] == NULL) {
        return NGX_ABORT;
    }

    *route = node->routes[method];

    return NGX_OK;
}


void
vault_router_print(const vault_route_t *const *tables, ngx_fd_t fd)
{
    u_char                line[512], *last;
    const vault_route_t  *route;

    for ( /* void */ ; *tables; tables++) {
        for (route = *tables; route->pattern; route++) {
            last = ngx_slprintf(line, line + sizeof(line), "%s %s %s %uz\n",
                                router_methods[route->method], route->pattern,
                                route->guard->name,
                                route->body ? route->body
                                            : VAULT_BODY_DEFAULT);
            (void) ngx_write_fd(fd, line, last - line);
        }
    }
}
