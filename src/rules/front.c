#include "front.h"
#include "../crypto/crypto.h"


#define REQUEST_CONTEXT  "x-amzn-request-context"
#define LAMBDA_CONTEXT   "x-amzn-lambda-context"

typedef struct {
    int64_t  deadline;                /* ms since 1970 */
} context_t;

static const vault_field_t  context_fields[] = {
    { "deadline", VAULT_INT, offsetof(context_t, deadline), 0, 0, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  context_shape = VAULT_SHAPE(context_fields,
                                                        context_t);


static ngx_uint_t front_admit(vault_request_t *vr, const char **message);


const vault_guard_t  vault_guard_adapter = { "adapter", NULL, front_admit };


/* How many headers of that name there are; *value is the last one's. */
static ngx_uint_t
count_headers(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    size_t            len = ngx_strlen(name);
    ngx_uint_t        i, n = 0;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_str_null(value);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                *value = h[i].value;
                n++;
            }
        }
    }

    return n;
}


/* The adapter is on this machine; a client's address is never from here. */
static ngx_uint_t
is_near(ngx_connection_t *c)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (c->sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) c->sockaddr;
        return ntohl(sin->sin_addr.s_addr) >> 24 == 127;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) c->sockaddr;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif

    default:
        return 0;
    }
}


static ngx_uint_t
is_event(ngx_http_request_t *r, const vault_conf_t *conf)
{
    ngx_str_t  context, other;

    return conf->lambda
           && count_headers(r, REQUEST_CONTEXT, &context) == 1
           && context.len == 4 && ngx_strncmp(context.data, "null", 4) == 0
           && count_headers(r, LAMBDA_CONTEXT, &other) == 1
           && count_headers(r, "X-Forwarded-For", &other) == 0
           && is_near(r->connection);
}


static ngx_uint_t
front_admit(vault_request_t *vr, const char **message)
{
    if (is_event(vr->http, vr->conf)) {
        return 0;
    }

    *message = "Resource not found.";

    return NGX_HTTP_NOT_FOUND;
}


ngx_uint_t
vault_front_refuses(ngx_http_request_t *r, const vault_conf_t *conf)
{
    ngx_str_t   given;
    ngx_uint_t  i, right = 0;

    if (conf->secrets[0].len == 0) {
        return 0;
    }

    if (count_headers(r, VAULT_FRONT_SECRET, &given) == 1) {
        for (i = 0; i < 2; i++) {
            right |= conf->secrets[i].len != 0
                     && vault_equal(&given, &conf->secrets[i]);
        }
    }

    return !right
           && !(r->uri.len == sizeof(VAULT_FRONT_EVENTS) - 1
                && ngx_strncmp(r->uri.data, VAULT_FRONT_EVENTS, r->uri.len) == 0
                && is_event(r, conf));
}


int64_t
vault_front_left(vault_request_t *vr)
{
    int64_t             left;
    context_t           form;
    ngx_str_t           context;
    vault_json_error_t  err;

    (void) count_headers(vr->http, LAMBDA_CONTEXT, &context);

    if (vault_json_parse(vr->pool, &context, &context_shape, &form, &err)
        != NGX_OK
        || form.deadline == VAULT_NULL)
    {
        return 0;
    }

    left = form.deadline - vault_now();

    return ngx_max(left, 0);
}
