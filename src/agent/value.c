/*
 * Fetching a value while the configuration is read: a child logs in, unless
 * there is a token already, and reads.
 */

#include "../crypto/crypto.h"
#include "aside.h"
#include "secret_part.h"
#include "token.h"
#include "value.h"


#define PATIENCE  20000               /* ms, for a login and a read */
#define VALUES    (1024 * 1024)       /* bytes: as of an answer */

typedef struct {
    ngx_uint_t  ok;
    ngx_uint_t  serial;
    ngx_uint_t  renewable;
    int64_t     lease;
    size_t      lease_len;
    u_char      lease_id[VAULT_AGENT_LEASE];
    size_t      len;
    u_char      values[VALUES];       /* JSON */
} answer_t;

struct vault_agent_read_s {
    vault_agent_read_t   *next;
    vault_agent_read_t  **head;
    vault_agent_t        *agent;
    ngx_str_t             path;
    ngx_pool_t           *pool;       /* of this and the answer */
    answer_t             *answer;
};

typedef struct {
    vault_agent_secret_t   secret;
    answer_t              *answer;
} job_t;


/* In the child. */
static void
fetch(vault_request_t *vr, void *data)
{
    job_t               *job = data;
    answer_t            *answer = job->answer;
    vault_agent_text_t  *text;

    text = vault_agent_text_read(vr, &job->secret);

    if (text == NULL) {
        return;
    }

    if (text->text.len > VALUES || text->lease_id.len > VAULT_AGENT_LEASE) {
        (void) vault_agent_trouble_with(vr, &job->secret, "it is too long: "
                                        "make several secrets of it");
        return;
    }

    ngx_memcpy(answer->values, text->text.data, text->text.len);
    answer->len = text->text.len;

    if (text->lease_id.len) {
        ngx_memcpy(answer->lease_id, text->lease_id.data,
                   text->lease_id.len);
    }

    answer->lease_len = text->lease_id.len;
    answer->lease = text->lease;
    answer->renewable = text->renewable;
    answer->serial = text->serial;
    answer->ok = 1;
}


static ngx_int_t
ask(ngx_conf_t *cf, const vault_agent_secret_t *secret, answer_t *answer)
{
    job_t           job;
    ngx_msec_t      patience;
    vault_agent_t  *agent = secret->agent;

    if (vault_agent_early(cf, agent) != NGX_OK) {
        return NGX_ERROR;
    }

    job.secret = *secret;
    job.secret.format = VAULT_AGENT_VALUES;
    job.answer = answer;
    patience = ngx_min(PATIENCE, agent->conf.deadline);

    return vault_aside_run(cf->cycle, &agent->conf, fetch, &job, patience,
                           answer, sizeof(answer_t)) == NGX_OK
           && answer->ok ? NGX_OK : NGX_ERROR;
}


/* What has been read */

static vault_agent_read_t *
find(vault_agent_read_t *read, const vault_agent_secret_t *secret)
{
    for ( /* void */ ; read; read = read->next) {
        if (read->agent == secret->agent
            && read->path.len == secret->path.len
            && ngx_memcmp(read->path.data, secret->path.data,
                          read->path.len) == 0)
        {
            return read;
        }
    }

    return NULL;
}


/* With the configuration's temporary memory. */
static void
forget(void *data)
{
    vault_agent_read_t  *read = data;

    *read->head = NULL;
    vault_wipe_pool(read->pool);
}


static vault_agent_read_t *
create(ngx_conf_t *cf, vault_agent_read_t **reads,
    const vault_agent_secret_t *secret)
{
    ngx_pool_t          *pool;
    vault_agent_read_t  *read;
    ngx_pool_cleanup_t  *cln;

    pool = ngx_create_pool(4096, cf->log);
    if (pool == NULL) {
        return NULL;
    }

    read = ngx_pcalloc(pool, sizeof(vault_agent_read_t));
    cln = ngx_pool_cleanup_add(cf->temp_pool, 0);

    if (read == NULL || cln == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    read->head = reads;
    read->agent = secret->agent;
    read->path = secret->path;
    read->pool = pool;
    read->answer = ngx_pcalloc(pool, sizeof(answer_t));

    cln->handler = forget;
    cln->data = read;

    return read->answer ? read : NULL;
}


static vault_agent_read_t *
get(ngx_conf_t *cf, vault_agent_read_t **reads,
    const vault_agent_secret_t *secret)
{
    vault_agent_read_t  *read;

    read = find(*reads, secret);

    if (read) {
        return read;
    }

    read = create(cf, reads, secret);

    if (read == NULL || ask(cf, secret, read->answer) != NGX_OK) {
        return NULL;
    }

    read->next = *reads;
    *reads = read;

    return read;
}


/* One of the values */

static ngx_int_t
pick(ngx_conf_t *cf, const vault_agent_read_t *read,
    const vault_agent_secret_t *secret, ngx_str_t *text)
{
    ngx_int_t                rc;
    const char              *why = "there is no memory";
    vault_agent_envelope_t   envelope;

    ngx_memzero(&envelope, sizeof(vault_agent_envelope_t));
    envelope.values.data = read->answer->values;
    envelope.values.len = read->answer->len;

    rc = vault_agent_value(read->pool, &envelope, &secret->key, text, &why);

    if (rc == NGX_OK && text->len && text->len <= VAULT_AGENT_VALUE) {
        return NGX_OK;
    }

    if (rc == NGX_OK) {
        why = "the value is empty, or longer than 16 KiB";
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "vault agent: secret \"%V\": %s", &secret->path, why);

    return NGX_ERROR;
}


static void
keep_lease(vault_agent_secret_t *secret, const answer_t *answer)
{
    secret->lease_len = answer->lease_len;
    secret->lease = answer->lease;
    secret->renewable = answer->renewable && answer->lease_len;
    secret->serial = answer->serial;
    secret->state = VAULT_AGENT_READY;
    secret->written = 1;
    secret->next_at = vault_now() + (answer->lease ? answer->lease * 2 / 3
                                                   : (int64_t) secret->every);
    ngx_memcpy(secret->lease_id, answer->lease_id, answer->lease_len);
}


ngx_int_t
vault_agent_value_now(ngx_conf_t *cf, vault_agent_read_t **reads,
    vault_agent_secret_t *secret, ngx_str_t *value)
{
    ngx_str_t            text;
    vault_agent_read_t  *read;

    read = get(cf, reads, secret);

    if (read == NULL || pick(cf, read, secret, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    value->len = text.len;
    value->data = ngx_pnalloc(cf->pool, text.len + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, text.data, text.len);
    value->data[value->len] = '\0';

    keep_lease(secret, read->answer);

    return vault_sha256(value, secret->digest);
}
