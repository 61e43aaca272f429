/*
 * A question to the Vault: with our token, again where that is of use, and
 * where a standby sends it.
 */

#include "../crypto/crypto.h"
#include "../net/line.h"
#include "../run/await.h"
#include "agent.h"


#define MAX        (1024 * 1024)      /* bytes of an answer */
#define HEADERS    16                 /* of a call, with ours */
#define PAUSE      200                /* ms before the second try; doubles */
#define PAUSE_MAX  2000
#define CONNECT    5000               /* ms */

/* A call under way. */
typedef struct {
    vault_request_t           *vr;
    vault_agent_t             *agent;
    const vault_agent_call_t  *call;
    vault_upstream_t          *up;
    ngx_str_t                  host;
    ngx_str_t                  token;
    ngx_uint_t                 serial;
} try_t;


static ngx_uint_t
may_repeat(const vault_agent_call_t *call)
{
    return ngx_strcmp(call->method, "POST") != 0
           && ngx_strcmp(call->method, "PATCH") != 0;
}


static void
add(ngx_keyval_t *headers, ngx_uint_t *n, const char *name,
    const ngx_str_t *value)
{
    headers[*n].key.data = (u_char *) name;
    headers[*n].key.len = ngx_strlen(name);
    headers[(*n)++].value = *value;
}


static ngx_uint_t
make_headers(const try_t *try, ngx_keyval_t *headers)
{
    ngx_str_t    yes = ngx_string("true");
    ngx_str_t    json = ngx_string("application/json");
    ngx_uint_t   i, n = 0;

    add(headers, &n, "X-Vault-Request", &yes);

    if (try->token.len) {
        add(headers, &n, "X-Vault-Token", &try->token);
    }

    if (try->agent->settings.namespace.len) {
        add(headers, &n, "X-Vault-Namespace",
            &try->agent->settings.namespace);
    }

    if (try->call->body.data) {
        add(headers, &n, "Content-Type", &json);
    }

    for (i = 0; i < try->call->nheaders && n < HEADERS; i++) {
        headers[n++] = try->call->headers[i];
    }

    return n;
}


static ngx_int_t
ask(const try_t *try, vault_http_answer_t *answer)
{
    ngx_buf_t                  b;
    ngx_chain_t                chain = { &b, NULL };
    ngx_keyval_t               headers[HEADERS];
    vault_upstream_call_t      out;
    const vault_agent_call_t  *call = try->call;

    ngx_memzero(&out, sizeof(vault_upstream_call_t));
    out.method = call->method;
    out.target = call->path;
    out.host = try->host;
    out.headers = headers;
    out.nheaders = make_headers(try, headers);
    out.max = call->max ? call->max : MAX;
    out.connect = ngx_min(CONNECT, try->agent->settings.timeout);
    out.silence = try->agent->settings.timeout;

    if (call->body.data) {
        ngx_memzero(&b, sizeof(ngx_buf_t));
        b.memory = 1;
        b.start = b.pos = call->body.data;
        b.end = b.last = call->body.data + call->body.len;
        b.last_buf = 1;
        b.last_in_chain = 1;

        out.body = &chain;
        out.size = call->body.len;
    }

    return vault_upstream_request(try->vr, try->up, &out, answer);
}


/* Where a standby sends us */

static ngx_int_t
read_port(u_char *p, u_char *end, ngx_uint_t tls, in_port_t *port)
{
    ngx_int_t  n;

    n = p == end ? (tls ? 443 : 80)
                 : *p == ':' ? ngx_atoi(p + 1, end - p - 1) : NGX_ERROR;

    if (n < 1 || n > 65535) {
        return NGX_ERROR;
    }

    *port = n;

    return NGX_OK;
}


/* The host and port of a URL of our scheme and path, or NGX_DECLINED. */
static ngx_int_t
read_location(const try_t *try, ngx_str_t *url, ngx_str_t *name,
    in_port_t *port)
{
    u_char      *p, *slash, *end;
    ngx_str_t    path = try->call->path;
    const char  *scheme;

    scheme = try->agent->settings.tls ? "https://" : "http://";
    end = url->data + url->len;

    if (url->len <= ngx_strlen(scheme) || !vault_line_is_target(url)
        || ngx_strncmp(url->data, scheme, ngx_strlen(scheme)) != 0)
    {
        return NGX_DECLINED;
    }

    name->data = url->data + ngx_strlen(scheme);
    slash = ngx_strlchr(name->data, end, '/');

    if (slash == NULL || (size_t) (end - slash) != path.len
        || ngx_memcmp(slash, path.data, path.len) != 0
        || ngx_strlchr(name->data, slash, '@'))
    {
        return NGX_DECLINED;
    }

    p = ngx_strlchr(name->data, slash, *name->data == '[' ? ']' : ':');
    p = p == NULL ? slash : *name->data == '[' ? p + 1 : p;
    name->len = p - name->data;

    return name->len && read_port(p, slash, try->agent->settings.tls, port)
                        == NGX_OK
           ? NGX_OK : NGX_DECLINED;
}


/*
 * The active node is asked directly, once: only where our own scheme leads, at
 * the same path, and if its certificate is one that we trust for its name.
 */
static ngx_int_t
follow(try_t *try, vault_http_answer_t *answer)
{
    in_port_t          port;
    ngx_str_t          url, name, told;
    vault_upstream_t  *up;

    url = vault_http_header(answer, "Location");
    told = vault_http_printable(try->vr, &url);

    up = read_location(try, &url, &name, &port) == NGX_OK
         ? vault_upstream_sibling(try->agent->up, &name, port) : NULL;

    if (up == NULL) {
        ngx_log_error(NGX_LOG_WARN, try->vr->log, 0,
                      "vault agent: %V: a standby sends to \"%V\", which is "
                      "not followed; set its api_addr, or give the address "
                      "of the active node", &try->agent->settings.name,
                      &told);
        return NGX_DECLINED;
    }

    try->up = up;
    try->host = vault_printf(try->vr, "%V:%ui", &name, (ngx_uint_t) port);

    return ask(try, answer);
}


/* Trying again */

static void
rest(vault_request_t *vr, ngx_uint_t n)
{
    ngx_msec_t  ms;

    ms = ngx_min(PAUSE << ngx_min(n, 8), PAUSE_MAX);

    vault_sleep(vr, ms + ngx_random() % (ms / 2 + 1));
}


static ngx_uint_t
passes(ngx_uint_t status)
{
    return status == 412 || status == 429
           || (status >= 500 && status != NGX_HTTP_NOT_IMPLEMENTED);
}


static ngx_int_t
ask_again(try_t *try, vault_http_answer_t *answer)
{
    ngx_int_t   rc;
    ngx_uint_t  n, tries;

    tries = may_repeat(try->call) ? try->agent->settings.retries : 0;
    try->up = try->agent->up;
    try->host = try->agent->host;

    for (n = 0; /* void */ ; n++) {

        rc = ask(try, answer);

        if (rc == NGX_OK && (answer->status == 307 || answer->status == 308)
            && follow(try, answer) == NGX_ERROR)
        {
            rc = NGX_ERROR;
        }

        if (n == tries || (rc == NGX_OK && !passes(answer->status))) {
            return rc;
        }

        try->up = try->agent->up;
        try->host = try->agent->host;
        rest(try->vr, n);
    }
}


ngx_int_t
vault_agent_call(vault_request_t *vr, vault_agent_t *agent,
    const vault_agent_call_t *call, vault_http_answer_t *answer)
{
    try_t       try;
    ngx_int_t   rc;
    ngx_uint_t  again;

    ngx_memzero(&try, sizeof(try_t));
    try.vr = vr;
    try.agent = agent;
    try.call = call;

    if (call->anonymous) {
        return ask_again(&try, answer);
    }

    for (again = 0; /* void */ ; again++) {

        if (vault_agent_wait(vr, agent, &try.token, &try.serial) != NGX_OK) {
            ngx_memzero(answer, sizeof(vault_http_answer_t));
            answer->error = vault_agent_trouble(agent, vr->pool);
            return NGX_ERROR;
        }

        rc = ask_again(&try, answer);

        if (rc != NGX_OK || answer->status != NGX_HTTP_FORBIDDEN || again
            || !may_repeat(call)
            || vault_agent_refused(agent, try.serial) != NGX_OK)
        {
            return rc;
        }
    }
}
