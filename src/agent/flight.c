/*
 * A fetch for the cache: what is kept of its answer, and for how long.
 */

#include "../crypto/crypto.h"
#include "../run/await.h"
#include "again.h"
#include "flight.h"


typedef struct {
    ngx_queue_t            queue;     /* of this worker's */
    ngx_pool_t            *pool;      /* it lives there */
    vault_agent_proxy_t   *proxy;
    vault_agent_key_t      key;
    const char            *method;
    ngx_str_t              path;
    ngx_str_t              namespace;
    ngx_uint_t             purges;    /* of the store, when it began */
    ngx_queue_t            passengers;
    vault_agent_outcome_t  outcome;
    ngx_event_t            landing;
    unsigned               settled:1; /* the store knows */
} flight_t;

/* What an answer says of itself. */
typedef struct {
    ngx_str_t              accessor;
} nested_t;

typedef struct {
    ngx_str_t              lease_id;
    int64_t                lease_duration;
    nested_t              *auth;
    nested_t              *wrap_info;
} envelope_t;

static const vault_field_t  nested_fields[] = {
    { "accessor", VAULT_TEXT, offsetof(nested_t, accessor), 0, 0, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  nested_shape = VAULT_SHAPE(nested_fields,
                                                       nested_t);

static const vault_field_t  envelope_fields[] = {
    { "lease_id", VAULT_TEXT, offsetof(envelope_t, lease_id), 0, 0, NULL },
    { "lease_duration", VAULT_INT, offsetof(envelope_t, lease_duration), 0, 0,
      NULL },
    { "auth", VAULT_OBJECT, offsetof(envelope_t, auth), 0, 0,
      &nested_shape },
    { "wrap_info", VAULT_OBJECT, offsetof(envelope_t, wrap_info), 0, 0,
      &nested_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  envelope_shape = VAULT_SHAPE(envelope_fields,
                                                         envelope_t);

static ngx_queue_t  flights;          /* prev NULL: never any */


/* How long an answer is good */

/* A leased secret ends with the token that it was given to. */
static int64_t
token_left(vault_agent_t *agent, int64_t now)
{
    vault_agent_stats_t  stats;

    vault_agent_stats(agent, &stats);

    return stats.expires_at ? stats.expires_at - now : INT64_MAX;
}


/* NGX_DECLINED if it is not to be kept at all. */
static ngx_int_t
find_times(flight_t *flight, const envelope_t *envelope,
    vault_agent_times_t *times)
{
    int64_t               now, life, last;
    vault_agent_cache_t  *cache = flight->proxy->cache;

    now = vault_now();
    last = INT64_MAX - now;

    if (envelope->lease_duration > 0) {
        last = ngx_min(envelope->lease_duration, INT32_MAX) * 1000;
    }

    if (envelope->lease_id.len) {
        last = ngx_min(last, token_left(flight->proxy->agent, now));
    }

    life = ngx_min((int64_t) cache->ttl, last);

    if (life <= 0) {
        return NGX_DECLINED;
    }

    times->purges = flight->purges;
    times->expires_at = now + life;
    times->stale_until = now + ngx_min(life + (int64_t) cache->stale, last);

    /* within the last fifth, by chance, so that not all come at once */
    times->refresh_at = now + life - life / 5
                        + (life >= 50 ? ngx_random() % (life / 10) : 0);

    return NGX_OK;
}


static ngx_uint_t
is_json(const ngx_str_t *type)
{
    return type->len >= 16
           && ngx_strncasecmp(type->data, (u_char *) "application/json", 16)
              == 0;
}


/* Neither what can be had once only, nor tokens. */
static ngx_int_t
may_keep(vault_request_t *vr, flight_t *flight,
    const vault_http_answer_t *answer, const ngx_str_t *type,
    vault_agent_times_t *times)
{
    envelope_t          envelope;
    vault_json_error_t  err;

    if (answer->status != NGX_HTTP_OK || !is_json(type)
        || vault_json_parse(vr->pool, &answer->body, &envelope_shape,
                            &envelope, &err) != NGX_OK
        || envelope.auth || envelope.wrap_info)
    {
        return NGX_DECLINED;
    }

    return find_times(flight, &envelope, times);
}


/* What the store gets */

static void
keep(vault_request_t *vr, flight_t *flight,
    const vault_http_answer_t *answer, const ngx_str_t *type)
{
    vault_agent_entry_t   entry;
    vault_agent_times_t   times;
    vault_agent_store_t  *store = flight->proxy->cache->store;

    if (may_keep(vr, flight, answer, type, &times) != NGX_OK) {
        vault_agent_store_drop(store, &flight->key);
        return;
    }

    entry.type = *type;
    entry.body = answer->body;
    vault_agent_store_put(store, &flight->key, &entry, &times);
}


static void
settle(vault_request_t *vr, flight_t *flight, ngx_int_t rc,
    const vault_http_answer_t *answer, const ngx_str_t *type)
{
    vault_agent_times_t   times;
    vault_agent_cache_t  *cache = flight->proxy->cache;

    flight->settled = 1;

    if (rc == NGX_OK) {
        vault_agent_remark(flight->proxy->agent, answer->status);
    }

    if (rc == NGX_OK && !vault_agent_passes(answer->status)
        && !vault_agent_sends_on(answer->status))
    {
        keep(vr, flight, answer, type);

    } else if (rc != NGX_OK && answer->too_large) {
        ngx_memzero(&times, sizeof(vault_agent_times_t));
        times.purges = flight->purges;
        times.expires_at = vault_now() + cache->ttl;
        vault_agent_store_large(cache->store, &flight->key, &times);

    } else {
        vault_agent_store_failed(cache->store, &flight->key);
    }
}


/* What the passengers get */

static ngx_int_t
copy(ngx_pool_t *pool, const ngx_str_t *from, ngx_str_t *to)
{
    to->data = ngx_pnalloc(pool, from->len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    if (from->len) {
        ngx_memcpy(to->data, from->data, from->len);
    }

    to->data[from->len] = '\0';
    to->len = from->len;

    return NGX_OK;
}


static void
tell(flight_t *flight, ngx_int_t rc, const vault_http_answer_t *answer,
    const ngx_str_t *type)
{
    ngx_str_t               error;
    vault_agent_outcome_t  *outcome = &flight->outcome;

    if (rc == NGX_OK) {
        if (copy(flight->pool, type, &outcome->type) == NGX_OK
            && copy(flight->pool, &answer->body, &outcome->body) == NGX_OK)
        {
            outcome->status = answer->status;
        }

        return;
    }

    outcome->too_large = answer->too_large;

    if (copy(flight->pool, &answer->error, &error) == NGX_OK) {
        outcome->error = (const char *) error.data;
    }

    if (!answer->too_large && !outcome->tokenless) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "vault agent: %V: %V; is it up, and is "
                      "\"vault_agent\" right?",
                      &flight->proxy->agent->settings.name, &error);
    }
}


/* The flight */

static void
land(ngx_event_t *ev)
{
    flight_t                 *flight = ev->data;
    ngx_queue_t              *q;
    vault_agent_passenger_t  *passenger;

    while (!ngx_queue_empty(&flight->passengers)) {
        q = ngx_queue_head(&flight->passengers);
        ngx_queue_remove(q);
        passenger = ngx_queue_data(q, vault_agent_passenger_t, queue);
        passenger->land(passenger, &flight->outcome);
    }

    if (flight->outcome.body.len) {
        vault_wipe(flight->outcome.body.data, flight->outcome.body.len);
    }

    ngx_destroy_pool(flight->pool);
}


/* However the task ends. */
static void
ended(void *data)
{
    flight_t  *flight = data;

    if (!flight->settled) {
        vault_agent_store_failed(flight->proxy->cache->store, &flight->key);
    }

    ngx_queue_remove(&flight->queue);
    ngx_post_event(&flight->landing, &ngx_posted_events);
}


static void
fly(vault_request_t *vr, void *data)
{
    ngx_int_t             rc;
    flight_t             *flight = data;
    ngx_str_t             token, type = ngx_null_string;
    ngx_uint_t            serial;
    vault_agent_call_t    call;
    vault_http_answer_t   answer;

    vault_defer(vr, ended, flight);

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = flight->method;
    call.path = flight->path;
    call.namespace = &flight->namespace;
    call.max = flight->proxy->cache->max;

    rc = vault_agent_wait(vr, flight->proxy->agent, &token, &serial);
    flight->outcome.tokenless = rc != NGX_OK;

    rc = vault_agent_call(vr, flight->proxy->agent, &call, &answer);

    if (rc == NGX_OK) {
        type = vault_http_header(&answer, "Content-Type");
    }

    settle(vr, flight, rc, &answer, &type);
    tell(flight, rc, &answer, &type);
}


static flight_t *
create(vault_agent_proxy_t *proxy, const vault_agent_key_t *key,
    const char *method, const ngx_str_t *path, const ngx_str_t *namespace)
{
    flight_t    *flight;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    flight = ngx_pcalloc(pool, sizeof(flight_t));

    if (flight == NULL
        || copy(pool, &key->text, &flight->key.text) != NGX_OK
        || copy(pool, path, &flight->path) != NGX_OK
        || copy(pool, namespace, &flight->namespace) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    flight->pool = pool;
    flight->proxy = proxy;
    flight->purges = vault_agent_store_purges(proxy->cache->store);
    flight->key.hash = key->hash;
    flight->method = method;
    flight->outcome.error = "the request to Vault was ended";
    flight->landing.handler = land;
    flight->landing.data = flight;
    flight->landing.log = ngx_cycle->log;
    ngx_queue_init(&flight->passengers);

    return flight;
}


/* Of the same store: what another one waits for is settled there alone. */
static flight_t *
find(const vault_agent_store_t *store, const vault_agent_key_t *key)
{
    flight_t     *flight;
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&flights);
         q != ngx_queue_sentinel(&flights);
         q = ngx_queue_next(q))
    {
        flight = ngx_queue_data(q, flight_t, queue);

        if (flight->proxy->cache->store == store
            && flight->key.hash == key->hash
            && flight->key.text.len == key->text.len
            && ngx_memcmp(flight->key.text.data, key->text.data,
                          key->text.len) == 0)
        {
            return flight;
        }
    }

    return NULL;
}


ngx_int_t
vault_agent_flight(vault_agent_proxy_t *proxy, const vault_agent_key_t *key,
    const char *method, const ngx_str_t *path, const ngx_str_t *namespace,
    vault_agent_passenger_t *passenger)
{
    flight_t  *flight;

    if (flights.prev == NULL) {
        ngx_queue_init(&flights);
    }

    flight = find(proxy->cache->store, key);

    if (flight == NULL) {
        flight = create(proxy, key, method, path, namespace);
        if (flight == NULL) {
            return NGX_ERROR;
        }

        ngx_queue_insert_tail(&flights, &flight->queue);

        if (vault_task_start(&proxy->agent->conf, "fetch",
                             proxy->agent->conf.deadline, fly, flight)
            != NGX_OK)
        {
            ngx_queue_remove(&flight->queue);
            ngx_destroy_pool(flight->pool);
            return NGX_ERROR;
        }
    }

    if (passenger) {
        ngx_queue_insert_tail(&flight->passengers, &passenger->queue);
    }

    return NGX_OK;
}
