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

typedef struct {
    ngx_uint_t  ok;
    ngx_uint_t  serial;
    ngx_uint_t  renewable;
    int64_t     lease;
    size_t      lease_len;
    u_char      lease_id[VAULT_AGENT_LEASE];
    size_t      len;
    u_char      value[VAULT_AGENT_VALUE];
} answer_t;

typedef struct {
    vault_agent_secret_t  *secret;
    answer_t              *answer;
} job_t;


/* In the child. */
static void
fetch(vault_request_t *vr, void *data)
{
    job_t               *job = data;
    answer_t            *answer = job->answer;
    vault_agent_text_t  *text;

    text = vault_agent_text_read(vr, job->secret);

    if (text == NULL) {
        return;
    }

    if (text->text.len > VAULT_AGENT_VALUE || text->text.len == 0
        || text->lease_id.len > VAULT_AGENT_LEASE)
    {
        (void) vault_agent_trouble_with(vr, job->secret, "the value is empty, "
                                        "or longer than %d bytes",
                                        VAULT_AGENT_VALUE);
        return;
    }

    ngx_memcpy(answer->value, text->text.data, text->text.len);
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
keep(ngx_conf_t *cf, vault_agent_secret_t *secret, const answer_t *answer,
    ngx_str_t *value)
{
    value->len = answer->len;
    value->data = ngx_pnalloc(cf->pool, answer->len + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, answer->value, answer->len);
    value->data[value->len] = '\0';

    secret->lease_len = answer->lease_len;
    secret->lease = answer->lease;
    secret->renewable = answer->renewable && answer->lease_len;
    secret->serial = answer->serial;
    secret->state = VAULT_AGENT_READY;
    secret->written = 1;
    secret->next_at = vault_now() + (answer->lease ? answer->lease * 2 / 3
                                                   : (int64_t) secret->every);
    ngx_memcpy(secret->lease_id, answer->lease_id, answer->lease_len);

    return vault_sha256(value, secret->digest);
}


ngx_int_t
vault_agent_value_now(ngx_conf_t *cf, vault_agent_secret_t *secret,
    ngx_str_t *value)
{
    job_t        job;
    answer_t    *answer;
    ngx_int_t    rc;
    ngx_pool_t  *pool;
    ngx_msec_t   patience;

    pool = ngx_create_pool(4096, cf->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    answer = ngx_pcalloc(pool, sizeof(answer_t));

    if (answer == NULL || vault_agent_early(cf, secret->agent) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    job.secret = secret;
    job.answer = answer;
    patience = ngx_min(PATIENCE, secret->agent->conf.deadline);

    rc = vault_aside_run(cf->cycle, &secret->agent->conf, fetch, &job,
                         patience, answer, sizeof(answer_t));

    rc = rc == NGX_OK && answer->ok ? keep(cf, secret, answer, value)
                                    : NGX_ERROR;
    vault_wipe_pool(pool);

    return rc;
}
