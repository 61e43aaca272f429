/*
 * A request and the cache: whether it is for it, what it gets from there, and
 * how it waits for what others fetch.
 */

#include "../run/await.h"
#include "again.h"
#include "flight.h"
#include "proxy_head.h"


#define POLL  10                      /* ms: another worker fetches it */

enum {
    CACHE = 1,
    RECACHE = 2,
    NOCACHE = 4
};

typedef struct {
    vault_agent_passenger_t   passenger;  /* first */
    ngx_http_request_t       *r;
    vault_agent_proxy_t      *proxy;
    vault_agent_key_t         key;
    ngx_str_t                 namespace;
    const char               *method;
    ngx_event_t               poll;
    unsigned                  aboard:1;   /* of a flight */
    unsigned                  waits:1;    /* nginx was told to */
} guest_t;


/* Is it for the cache? */

static ngx_uint_t
read_word(const u_char *p, const u_char *end)
{
    size_t              i, len;
    static const struct {
        ngx_str_t       word;
        ngx_uint_t      bit;
    } words[] = {
        { ngx_string("cache"), CACHE },
        { ngx_string("recache"), RECACHE },
        { ngx_string("nocache"), NOCACHE },
    };

    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    len = end - p;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len == words[i].word.len
            && ngx_strncasecmp((u_char *) p, words[i].word.data, len) == 0)
        {
            return words[i].bit;
        }
    }

    return 0;
}


static ngx_uint_t
read_list(const ngx_str_t *value)
{
    u_char      *p, *comma, *end = value->data + value->len;
    ngx_uint_t   wish = 0;

    for (p = value->data; p <= end; p = comma + 1) {
        comma = ngx_strlchr(p, end, ',');
        comma = comma ? comma : end;
        wish |= read_word(p, comma);
    }

    return wish;
}


/* The header may be there several times. */
static ngx_uint_t
read_wish(ngx_http_request_t *r)
{
    ngx_uint_t        i, wish = 0;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == 21
                && ngx_strncmp(h[i].lowcase_key, "x-vault-cache-control", 21)
                   == 0)
            {
                wish |= read_list(&h[i].value);
            }
        }
    }

    return wish;
}


static ngx_uint_t
is_below(const ngx_str_t *path, const char *folder)
{
    size_t  len;

    len = ngx_strlen(folder);

    return path->len >= len && ngx_strncmp(path->data, folder, len) == 0;
}


static ngx_uint_t
is_at(const ngx_str_t *path, const char *part)
{
    return ngx_strnstr(path->data, (char *) part, path->len) != NULL;
}


/* Also behind namespaces: of a token itself. */
static ngx_uint_t
is_auth(const ngx_str_t *path)
{
    return is_below(path, "/v1/auth/") || is_at(path, "/auth/token/");
}


/* Also behind namespaces, but not in a secret's own path. */
static ngx_uint_t
is_state(const ngx_str_t *path)
{
    return is_below(path, "/v1/sys/")
           || (is_at(path, "/sys/") && !is_at(path, "/data/")
               && !is_at(path, "/metadata/"));
}


static const char *
method_of(ngx_http_request_t *r)
{
    if (r->method == NGX_HTTP_GET) {
        return "GET";
    }

    return r->method_name.len == 4
           && ngx_strncmp(r->method_name.data, "LIST", 4) == 0 ? "LIST" : NULL;
}


/* CACHE or RECACHE; 0: it is to be handed on. */
static ngx_uint_t
may_serve(ngx_http_request_t *r, vault_agent_proxy_t *proxy)
{
    ngx_uint_t  wish;

    if (method_of(r) == NULL || r->headers_in.content_length_n > 0
        || r->headers_in.chunked
        || vault_agent_header(r, "x-vault-wrap-ttl")
        || is_auth(&r->uri)
        || (proxy->own_token && vault_agent_proxy_has_token(r)))
    {
        return 0;
    }

    wish = read_wish(r);

    if (wish & NOCACHE) {
        return 0;
    }

    if (wish == 0) {                  /* the state of Vault is of now */
        return proxy->cache->always && !is_state(&r->uri) ? CACHE : 0;
    }

    return wish & RECACHE ? RECACHE : CACHE;
}


/* Answers */

static ngx_int_t
send_stored(ngx_http_request_t *r, const vault_agent_entry_t *entry,
    const char *what)
{
    if (vault_agent_add_header(r, "X-Cache", what) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return vault_agent_send(r, NGX_HTTP_OK, &entry->type, &entry->body);
}


static ngx_int_t
send_stale(ngx_http_request_t *r, const vault_agent_entry_t *entry)
{
    if (vault_agent_add_header(r, "Warning",
                               "110 - \"Response is Stale\"") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return send_stored(r, entry, "STALE");
}


static ngx_int_t
copy_text(ngx_pool_t *pool, const ngx_str_t *from, ngx_str_t *to)
{
    to->len = from->len;
    to->data = ngx_pnalloc(pool, from->len + 1);

    if (to->data && from->len) {
        ngx_memcpy(to->data, from->data, from->len);
    }

    return to->data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
hand_on(guest_t *guest)
{
    if (vault_agent_add_header(guest->r, "X-Cache", "BYPASS") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return vault_agent_pass(guest->r, guest->proxy);
}


static ngx_int_t
send_outcome(guest_t *guest, const vault_agent_outcome_t *outcome)
{
    ngx_str_t            type, body;
    ngx_http_request_t  *r = guest->r;

    if (copy_text(r->pool, &outcome->type, &type) != NGX_OK
        || copy_text(r->pool, &outcome->body, &body) != NGX_OK
        || vault_agent_add_header(r, "X-Cache", "MISS") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return vault_agent_send(r, outcome->status, &type, &body);
}


static ngx_int_t
send_error(guest_t *guest, const vault_agent_outcome_t *outcome)
{
    ngx_uint_t  status;

    status = outcome->tokenless ? NGX_HTTP_SERVICE_UNAVAILABLE
             : ngx_strstr(outcome->error, "timed out")
             ? NGX_HTTP_GATEWAY_TIME_OUT : NGX_HTTP_BAD_GATEWAY;

    return vault_agent_refuse(guest->r, status, outcome->error);
}


static ngx_int_t
answer(guest_t *guest, const vault_agent_outcome_t *outcome)
{
    vault_agent_entry_t  entry;

    if (outcome->too_large || vault_agent_sends_on(outcome->status)) {
        return hand_on(guest);
    }

    if ((outcome->status == 0 || vault_agent_passes(outcome->status))
        && vault_agent_store_stale(guest->proxy->cache->store, &guest->key,
                                   guest->r->pool, &entry) == NGX_OK)
    {
        return send_stale(guest->r, &entry);
    }

    return outcome->status ? send_outcome(guest, outcome)
                           : send_error(guest, outcome);
}


/* Waiting */

static ngx_int_t attend(guest_t *guest);


static void
leave(void *data)
{
    guest_t  *guest = data;

    if (guest->aboard) {
        guest->aboard = 0;
        ngx_queue_remove(&guest->passenger.queue);
    }

    if (guest->poll.timer_set) {
        ngx_del_timer(&guest->poll);
    }
}


static void
finish(guest_t *guest, ngx_int_t rc)
{
    ngx_connection_t  *c = guest->r->connection;

    ngx_http_finalize_request(guest->r, rc);
    ngx_http_run_posted_requests(c);
}


static void
on_landing(vault_agent_passenger_t *passenger,
    const vault_agent_outcome_t *outcome)
{
    guest_t  *guest = (guest_t *) passenger;

    guest->aboard = 0;
    ngx_http_set_log_request(guest->r->connection->log, guest->r);
    finish(guest, answer(guest, outcome));
}


static void
on_poll(ngx_event_t *ev)
{
    ngx_int_t   rc;
    guest_t    *guest = ev->data;

    ngx_http_set_log_request(guest->r->connection->log, guest->r);
    rc = attend(guest);

    if (rc != NGX_AGAIN) {
        finish(guest, rc);
    }
}


static ngx_int_t
board(guest_t *guest)
{
    guest->passenger.land = on_landing;

    if (vault_agent_flight(guest->proxy, &guest->key, guest->method,
                           &guest->r->unparsed_uri, &guest->namespace,
                           &guest->passenger) != NGX_OK)
    {
        vault_agent_store_failed(guest->proxy->cache->store, &guest->key);
        return hand_on(guest);        /* many fetch; that needs no task */
    }

    guest->aboard = 1;

    return NGX_AGAIN;
}


static void
refresh(guest_t *guest)
{
    vault_agent_store_t  *store = guest->proxy->cache->store;

    if (vault_agent_flight(guest->proxy, &guest->key, guest->method,
                           &guest->r->unparsed_uri, &guest->namespace, NULL)
        == NGX_OK)
    {
        vault_agent_store_count_refresh(store);

    } else {
        vault_agent_store_failed(store, &guest->key);
    }
}


/* NGX_AGAIN: it waits. */
static ngx_int_t
attend(guest_t *guest)
{
    ngx_int_t            rc;
    ngx_uint_t           due;
    vault_agent_entry_t  entry;
    ngx_http_request_t  *r = guest->r;

    switch (vault_agent_store_find(guest->proxy->cache->store, &guest->key,
                                   guest->proxy->agent->conf.deadline,
                                   r->pool, &entry, &due))
    {
    case VAULT_AGENT_HIT:
        rc = send_stored(r, &entry, "HIT");

        if (due) {
            refresh(guest);
        }

        return rc;

    case VAULT_AGENT_STALE:
        return send_stale(r, &entry);

    case VAULT_AGENT_LARGE:
        return hand_on(guest);

    case VAULT_AGENT_BUSY:
        ngx_add_timer(&guest->poll, POLL);
        return NGX_AGAIN;

    default:
        return board(guest);
    }
}


static ngx_int_t
stay(guest_t *guest)
{
    ngx_http_request_t  *r = guest->r;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        leave(guest);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = leave;
    cln->data = guest;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
    r->main->count++;

    return NGX_DONE;
}


static guest_t *
invite(ngx_http_request_t *r, vault_agent_proxy_t *proxy)
{
    guest_t          *guest;
    ngx_str_t         method;
    ngx_table_elt_t  *h;

    guest = ngx_pcalloc(r->pool, sizeof(guest_t));
    if (guest == NULL) {
        return NULL;
    }

    guest->r = r;
    guest->proxy = proxy;
    guest->method = method_of(r);
    guest->poll.handler = on_poll;
    guest->poll.data = guest;
    guest->poll.log = r->connection->log;

    h = vault_agent_header(r, "x-vault-namespace");
    guest->namespace = h ? h->value : proxy->agent->settings.namespace;

    method.data = (u_char *) guest->method;
    method.len = ngx_strlen(guest->method);

    return vault_agent_key_make(r->pool, &proxy->agent->id,
                                &guest->namespace, &method, &r->unparsed_uri,
                                &guest->key) == NGX_OK ? guest : NULL;
}


ngx_int_t
vault_agent_cache_handle(ngx_http_request_t *r, vault_agent_proxy_t *proxy)
{
    guest_t     *guest;
    ngx_int_t    rc;
    ngx_uint_t   wish;

    wish = may_serve(r, proxy);

    if (wish == 0) {
        return vault_agent_add_header(r, "X-Cache", "BYPASS") == NGX_OK
               ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    guest = invite(r, proxy);
    if (guest == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = wish == RECACHE ? board(guest) : attend(guest);

    return rc == NGX_AGAIN ? stay(guest) : rc;
}
