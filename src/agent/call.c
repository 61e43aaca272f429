/*
 * A question to the Vault: with our token, again where that is of use, and
 * where a standby sends it.
 */

#include "../run/await.h"
#include "again.h"


#define MAX        (1024 * 1024)      /* bytes of an answer */
#define HEADERS    16                 /* of a call, with ours */
#define CONNECT    5000               /* ms */

/* A call under way. */
typedef struct {
    vault_request_t           *vr;
    vault_agent_t             *agent;
    const vault_agent_call_t  *call;
    vault_upstream_t          *up;
    ngx_str_t                  host;
    ngx_str_t                  token;
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
    ngx_str_t         yes = ngx_string("true");
    ngx_str_t         json = ngx_string("application/json");
    ngx_uint_t        i, n = 0;
    const ngx_str_t  *namespace;

    add(headers, &n, "X-Vault-Request", &yes);

    if (try->token.len) {
        add(headers, &n, "X-Vault-Token", &try->token);
    }

    namespace = try->call->namespace ? try->call->namespace
                                     : &try->agent->settings.namespace;
    if (namespace->len) {
        add(headers, &n, "X-Vault-Namespace", namespace);
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


/* Where a standby sends us: the active node is asked directly, once. */
static ngx_int_t
follow(try_t *try, vault_http_answer_t *answer)
{
    ngx_str_t          url;
    vault_upstream_t  *up;

    url = vault_http_header(answer, "Location");
    up = vault_agent_follow(try->agent, try->vr->pool, &try->call->path, &url,
                            &try->host);
    if (up == NULL) {
        return NGX_DECLINED;
    }

    try->up = up;

    return ask(try, answer);
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

        if (rc == NGX_OK && vault_agent_sends_on(answer->status)
            && follow(try, answer) == NGX_ERROR)
        {
            rc = NGX_ERROR;
        }

        if (n == tries
            || (rc == NGX_OK && !vault_agent_passes(answer->status)))
        {
            return rc;
        }

        try->up = try->agent->up;
        try->host = try->agent->host;
        vault_sleep(try->vr, vault_agent_pause(n));
    }
}


ngx_int_t
vault_agent_call(vault_request_t *vr, vault_agent_t *agent,
    const vault_agent_call_t *call, vault_http_answer_t *answer)
{
    try_t        try;
    ngx_int_t    rc;
    ngx_uint_t   again, own, *serial = call->serial ? call->serial : &own;

    ngx_memzero(&try, sizeof(try_t));
    try.vr = vr;
    try.agent = agent;
    try.call = call;
    *serial = 0;

    if (call->anonymous) {
        return ask_again(&try, answer);
    }

    for (again = 0; /* void */ ; again++) {

        if (vault_agent_wait(vr, agent, &try.token, serial) != NGX_OK) {
            *serial = 0;
            ngx_memzero(answer, sizeof(vault_http_answer_t));
            answer->error = vault_agent_trouble(agent, vr->pool);
            return NGX_ERROR;
        }

        rc = ask_again(&try, answer);

        if (rc != NGX_OK || answer->status != NGX_HTTP_FORBIDDEN || again
            || !may_repeat(call)
            || vault_agent_refused(agent, *serial) != NGX_OK)
        {
            return rc;
        }
    }
}
