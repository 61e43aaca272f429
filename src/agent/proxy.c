/*
 * A request handed on: the token before each try, and what to do about an
 * answer that is none.
 */

#include "../run/await.h"
#include "again.h"
#include "cache.h"
#include "proxy_head.h"
#include "token.h"
#include "../net/upstream_pass.h"


#define CONNECT  5000                 /* ms */
#define ROUNDS   3                    /* of waiting for one token */

typedef struct {
    vault_upstream_pass_t   pass;
    vault_agent_proxy_t    *proxy;
    ngx_queue_t             queue;    /* of those that wait */
    ngx_str_t               host;
    ngx_uint_t              serial;   /* of the token that was sent */
    ngx_uint_t              tries;
    ngx_uint_t              rounds;
    unsigned                repeat:1; /* it may be asked twice */
    unsigned                own:1;    /* the caller's token */
    unsigned                last:1;   /* that uses this token */
    unsigned                headed:1; /* the head is made, for this host */
    unsigned                again:1;  /* there was another token already */
    unsigned                sent_on:1;
    unsigned                tokenless:1;
    unsigned                nameless:1;
} proxied_t;


/* A token, for all that wait for it in this worker */

static void
wake(ngx_event_t *ev)
{
    proxied_t            *proxied;
    ngx_queue_t           queue, *q;
    vault_agent_proxy_t  *proxy = ev->data;

    ngx_queue_init(&queue);

    if (!ngx_queue_empty(&proxy->waiting)) {
        ngx_queue_add(&queue, &proxy->waiting);
        ngx_queue_init(&proxy->waiting);
    }

    while (!ngx_queue_empty(&queue)) {
        q = ngx_queue_head(&queue);
        ngx_queue_remove(q);
        proxied = ngx_queue_data(q, proxied_t, queue);
        proxied->nameless = proxy->nameless;
        proxied->tokenless = proxy->failed && !proxied->own;
        vault_upstream_pass_go(&proxied->pass);
    }
}


static void
fetched(void *data)
{
    vault_agent_proxy_t  *proxy = data;

    proxy->fetching = 0;
    ngx_post_event(&proxy->wake, &ngx_posted_events);
}


static void
say(vault_agent_proxy_t *proxy, const ngx_str_t *error)
{
    (void) ngx_cpystrn(proxy->error, error->data,
                       ngx_min(error->len + 1, sizeof(proxy->error)));
}


static void
fetch(vault_request_t *vr, void *data)
{
    ngx_str_t             token, error;
    ngx_uint_t            serial;
    vault_agent_proxy_t  *proxy = data;

    proxy->failed = 1;
    proxy->nameless = 0;
    ngx_str_set(&error, "cannot log in");
    say(proxy, &error);
    vault_defer(vr, fetched, proxy);

    proxy->nameless = vault_upstream_warm(vr, proxy->up, &error) != NGX_OK;

    if (proxy->nameless) {
        say(proxy, &error);
        return;
    }

    if (vault_agent_wait(vr, proxy->agent, &token, &serial) != NGX_OK) {
        error = vault_agent_trouble(proxy->agent, vr->pool);

        if (error.len) {
            say(proxy, &error);
        }

        return;
    }

    proxy->failed = 0;
}


static ngx_int_t
wait_for_token(proxied_t *proxied)
{
    vault_agent_proxy_t  *proxy = proxied->proxy;

    if (proxy->waiting.prev == NULL) {
        ngx_queue_init(&proxy->waiting);
        proxy->wake.handler = wake;
        proxy->wake.data = proxy;
        proxy->wake.log = ngx_cycle->log;
    }

    if (++proxied->rounds > ROUNDS) {
        return NGX_ERROR;
    }

    if (!proxy->fetching) {
        proxy->up = proxied->pass.up;

        if (vault_task_start(&proxy->agent->conf, "token",
                             proxy->agent->conf.deadline, fetch, proxy)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        proxy->fetching = 1;
    }

    ngx_queue_insert_tail(&proxy->waiting, &proxied->queue);

    return NGX_AGAIN;
}


/* What net/ asks */

/* The head's end: the token, and the empty line. */
static ngx_int_t
write_end(proxied_t *proxied, const ngx_str_t *token, ngx_str_t *end)
{
    ngx_str_t           *kept;
    ngx_pool_cleanup_t  *cln;
    ngx_http_request_t  *r = proxied->pass.r;

    if (proxied->own) {
        ngx_str_set(end, "\r\n");
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_str_t));
    end->data = ngx_pnalloc(r->pool, token->len
                                     + sizeof("X-Vault-Token: \r\n\r\n"));

    if (cln == NULL || end->data == NULL) {
        return NGX_ERROR;
    }

    end->len = ngx_sprintf(end->data, "X-Vault-Token: %V\r\n\r\n", token)
               - end->data;

    kept = cln->data;
    *kept = *end;
    cln->handler = vault_agent_wipe_text;

    return NGX_OK;
}


static ngx_int_t
write_head(proxied_t *proxied)
{
    if (proxied->headed) {
        return NGX_OK;
    }

    proxied->headed = 1;

    return vault_agent_proxy_head(proxied->pass.r, proxied->proxy->agent,
                                  &proxied->host, proxied->own,
                                  &proxied->pass.head);
}


static ngx_int_t
on_ready(vault_upstream_pass_t *pass, ngx_str_t *end)
{
    ngx_int_t   rc;
    ngx_str_t   token = ngx_null_string;
    proxied_t  *proxied = pass->data;

    if (proxied->tokenless || proxied->nameless) {
        pass->error = (const char *) proxied->proxy->error;
        return NGX_ERROR;
    }

    rc = proxied->own ? NGX_OK
                      : vault_agent_token(proxied->proxy->agent,
                                          pass->r->pool, &token,
                                          &proxied->serial);

    if (rc == NGX_AGAIN || (rc == NGX_OK && !vault_upstream_is_warm(pass->up)))
    {
        rc = wait_for_token(proxied);

        if (rc == NGX_ERROR) {
            proxied->tokenless = 1;
            pass->error = "there is no token";
        }

        return rc;
    }

    proxied->rounds = 0;

    return rc == NGX_OK && write_head(proxied) == NGX_OK
           ? write_end(proxied, &token, end) : NGX_ERROR;
}


static void
on_leave(vault_upstream_pass_t *pass)
{
    proxied_t  *proxied = pass->data;

    ngx_queue_remove(&proxied->queue);
}


static ngx_int_t
once_more(proxied_t *proxied, ngx_uint_t repeat)
{
    if (!repeat
        || proxied->tries >= proxied->proxy->agent->settings.retries)
    {
        return NGX_OK;
    }

    vault_upstream_pass_rest(&proxied->pass,
                             vault_agent_pause(proxied->tries++));

    return NGX_AGAIN;
}


/* A node that is not the active one has done nothing: any method may go on. */
static ngx_int_t
go_on(proxied_t *proxied)
{
    ngx_str_t           location;
    vault_upstream_t   *up;
    ngx_http_request_t  *r = proxied->pass.r;

    if (proxied->sent_on) {
        return NGX_OK;
    }

    location = vault_upstream_pass_header(&proxied->pass, "location");
    up = vault_agent_follow(proxied->proxy->agent, r->pool, &r->unparsed_uri,
                            &location, &proxied->host);
    if (up == NULL) {
        return NGX_OK;
    }

    proxied->sent_on = 1;
    proxied->headed = 0;
    proxied->pass.up = up;

    return NGX_AGAIN;
}


/* 403: of the token, or of the policy?  Another token tells. */
static ngx_int_t
on_forbidden(proxied_t *proxied)
{
    ngx_int_t  rc;

    if (proxied->own || proxied->again) {
        return NGX_OK;
    }

    proxied->again = 1;
    rc = vault_agent_refused(proxied->proxy->agent, proxied->serial);

    return rc == NGX_OK && proxied->repeat ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
judge(vault_upstream_pass_t *pass)
{
    ngx_uint_t   status;
    proxied_t   *proxied = pass->data;

    status = pass->r->upstream->headers_in.status_n;

    if (vault_agent_sends_on(status)) {
        return go_on(proxied);
    }

    if (status == NGX_HTTP_FORBIDDEN) {
        return on_forbidden(proxied);
    }

    return vault_agent_passes(status)
           ? once_more(proxied, proxied->repeat) : NGX_OK;
}


static ngx_int_t
on_answer(vault_upstream_pass_t *pass)
{
    ngx_int_t    rc;
    ngx_uint_t   status;
    proxied_t   *proxied = pass->data;

    rc = judge(pass);
    status = pass->r->upstream->headers_in.status_n;

    if (rc != NGX_OK) {
        return rc;
    }

    /* what is forbidden to a token of theirs is their business */
    if (!proxied->own || status != NGX_HTTP_FORBIDDEN) {
        vault_agent_remark(proxied->proxy->agent, status);
    }

    if (proxied->last) {
        vault_agent_drop(proxied->proxy->agent, proxied->serial);
    }

    return NGX_OK;
}


static void
on_cut(vault_upstream_pass_t *pass)
{
    proxied_t  *proxied = pass->data;

    vault_agent_remark(proxied->proxy->agent, 0);
}


static ngx_int_t
on_loss(vault_upstream_pass_t *pass, ngx_uint_t sent)
{
    proxied_t  *proxied = pass->data;

    /* what nobody has seen may be sent once more, whatever it is */

    return once_more(proxied, !sent || proxied->repeat);
}


static void
on_failure(vault_upstream_pass_t *pass, ngx_uint_t status)
{
    const char  *text;
    proxied_t   *proxied = pass->data;

    text = pass->error ? pass->error : "the request cannot be handed on";
    status = proxied->nameless ? NGX_HTTP_BAD_GATEWAY : status;

    if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        text = "the request body is too large";

    } else if (proxied->tokenless && !proxied->nameless) {
        status = NGX_HTTP_SERVICE_UNAVAILABLE;

    } else if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        ngx_log_error(NGX_LOG_ERR, pass->r->connection->log, 0,
                      "vault agent: %V: %s; is it up, and is \"vault_agent\" "
                      "right?", &proxied->proxy->agent->settings.name, text);
    }

    (void) vault_agent_refuse(pass->r, status, text);
}


/* Requests */

/* Vault's PUT is its POST: it may make something with each. */
static ngx_uint_t
may_repeat(const ngx_str_t *method)
{
    ngx_uint_t               i;
    static const ngx_str_t   methods[] = {
        ngx_string("GET"),
        ngx_string("HEAD"),
        ngx_string("LIST"),
        ngx_string("SCAN"),
        ngx_string("OPTIONS"),
        ngx_string("DELETE"),
    };

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (method->len == methods[i].len
            && ngx_memcmp(method->data, methods[i].data, method->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
says(ngx_http_request_t *r, const char *name, const char *word)
{
    ngx_table_elt_t  *h;

    h = vault_agent_header(r, name);

    return h && h->value.len == ngx_strlen(word)
           && ngx_strncasecmp(h->value.data, (u_char *) word, h->value.len)
              == 0;
}


ngx_int_t
vault_agent_pass(ngx_http_request_t *r, vault_agent_proxy_t *proxy)
{
    proxied_t               *proxied;
    vault_upstream_pass_t   *pass;
    vault_agent_settings_t  *set = &proxy->agent->settings;

    proxied = ngx_pcalloc(r->pool, sizeof(proxied_t));
    if (proxied == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    proxied->proxy = proxy;
    proxied->host = proxy->agent->host;
    proxied->repeat = may_repeat(&r->method_name);
    proxied->own = proxy->own_token && vault_agent_proxy_has_token(r);
    proxied->last = !proxied->own
                    && says(r, "x-vault-token-options", "revoke");

    pass = &proxied->pass;
    pass->up = proxy->agent->up;
    pass->connect = ngx_min(CONNECT, set->timeout);
    pass->silence = set->timeout;
    pass->patience = proxy->agent->conf.deadline + CONNECT;
    pass->fresh = !proxied->repeat;
    pass->data = proxied;
    pass->ready = on_ready;
    pass->leave = on_leave;
    pass->judge = on_answer;
    pass->cut = on_cut;
    pass->lost = on_loss;
    pass->fail = on_failure;

    return vault_upstream_pass(r, pass);
}


ngx_int_t
vault_agent_handle(ngx_http_request_t *r, vault_agent_proxy_t *proxy)
{
    ngx_int_t  rc;

    if (proxy->guard && !says(r, "x-vault-request", "true")) {
        return vault_agent_refuse(r, 412, "missing 'X-Vault-Request' header");
    }

    rc = proxy->cache ? vault_agent_cache_handle(r, proxy) : NGX_DECLINED;

    return rc == NGX_DECLINED ? vault_agent_pass(r, proxy) : rc;
}
