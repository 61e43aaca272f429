/*
 * The token: given, kept fresh, dropped.
 *
 * One worker at a time logs in or renews: whoever has written its pid into the
 * shared memory.  In each worker one task at a time tries to, or watches the
 * other; requests wait for that task, and may leave without harm to it.  The
 * lock is held for copying only.
 */

#include "../aws/credentials.h"
#include "../crypto/crypto.h"
#include "token.h"

#include <signal.h>


#define SECOND      1000              /* ms */
#define SETTLED     20                /* until the clock is set anew */
#define WATCH       10                /* how often another worker is watched */
#define RETRY       500               /* after a first failure; doubles */
#define RETRY_MAX   (30 * SECOND)
#define FRESH       (5 * SECOND)      /* a token so new is not to blame */
#define FRESH_MAX   (640 * SECOND)
#define QUIET       (3600 * SECOND)   /* after that, a refusal is news */
#define BACK        (60 * SECOND)     /* a clock that has gone so far back */

typedef enum {
    NOTHING = 0,                      /* the token is good, or it is too early
                                         for another try */
    WAIT,                             /* another worker is at it */
    RENEW,
    LOGIN
} need_e;


static void
lock(vault_agent_token_t *token)
{
    ngx_shmtx_lock(token->mutex);
}


static void
unlock(vault_agent_token_t *token)
{
    ngx_shmtx_unlock(token->mutex);
}


/* Under the lock */

static ngx_uint_t
is_good(const vault_agent_t *agent, const vault_agent_shared_t *shared,
    int64_t now)
{
    int64_t  grace;

    if (shared->len == 0 || now < shared->made_at - BACK) {
        return 0;
    }

    grace = ngx_min((int64_t) agent->settings.grace, shared->life / 4);

    return shared->expires_at == 0 || now < shared->expires_at - grace;
}


static ngx_uint_t
is_due(const vault_agent_shared_t *shared, int64_t now)
{
    return shared->renew_at && now >= shared->renew_at;
}


static ngx_uint_t
is_busy(const vault_agent_shared_t *shared, int64_t now)
{
    return shared->busy && now < shared->busy_until
           && (kill(shared->busy, 0) == 0 || ngx_errno != NGX_ESRCH);
}


static need_e
need(const vault_agent_t *agent, const vault_agent_shared_t *shared,
    int64_t now)
{
    ngx_uint_t  good;

    good = is_good(agent, shared, now);

    if (good && !is_due(shared, now)) {
        return NOTHING;
    }

    if (is_busy(shared, now)) {
        return good ? NOTHING : WAIT;
    }

    if (now < shared->retry_at && shared->retry_at - now <= RETRY_MAX) {
        return NOTHING;
    }

    return good && shared->renewable ? RENEW : LOGIN;
}


static void
drop(vault_agent_shared_t *shared)
{
    shared->len = 0;
    shared->retry_at = 0;
    vault_wipe(shared->text, VAULT_AGENT_TOKEN);
}


/* At two thirds of its life, a little earlier or later than others. */
static void
plan(vault_agent_shared_t *shared, int64_t now, int64_t life)
{
    int64_t  jitter;

    shared->expires_at = life ? now + life : 0;
    jitter = life / 15 + 1;
    shared->renew_at = life ? now + life * 2 / 3
                              - (int64_t) ngx_random() % jitter : 0;
}


static void
keep(vault_agent_shared_t *shared, const vault_agent_grant_t *grant,
    int64_t now)
{
    ngx_memcpy(shared->text, grant->token.data, grant->token.len);
    shared->len = grant->token.len;
    shared->key_len = ngx_min(grant->key.len, VAULT_AGENT_KEY);

    if (shared->key_len) {
        ngx_memcpy(shared->key, grant->key.data, shared->key_len);
    }

    shared->serial++;
    shared->made_at = now;
    shared->life = grant->life;
    shared->renewable = grant->renewable && grant->life;
    shared->failed = 0;
    shared->retry_at = 0;
    shared->trouble_len = 0;
    shared->logins++;
    plan(shared, now, grant->life);
}


/*
 * What can be prolonged by less than half of its life ends with a login; what
 * was prolonged by nothing does so now.
 */
static void
prolong(vault_agent_shared_t *shared, const vault_agent_grant_t *grant,
    int64_t now)
{
    shared->failed = 0;
    shared->retry_at = 0;
    shared->renewals++;
    shared->renewable = grant->renewable && grant->life >= shared->life / 2;

    if (grant->life) {
        plan(shared, now, grant->life);
    }
}


static void
failed(vault_agent_shared_t *shared, const ngx_str_t *why, int64_t now)
{
    int64_t  pause;

    pause = ngx_min((int64_t) RETRY << ngx_min(shared->failed, 6), RETRY_MAX);

    shared->failed++;
    shared->failures++;
    shared->retry_at = now + pause;
    shared->trouble_len = ngx_min(why->len, VAULT_AGENT_TROUBLE);

    if (shared->trouble_len) {
        ngx_memcpy(shared->trouble, why->data, shared->trouble_len);
    }
}


/* The task */

static need_e
claim(vault_agent_t *agent, int64_t now)
{
    need_e                 what;
    vault_agent_shared_t  *shared = agent->token->shared;

    lock(agent->token);

    what = need(agent, shared, now);

    if (what == RENEW || what == LOGIN) {
        shared->busy = ngx_pid;
        shared->busy_until = now + agent->conf.deadline;
    }

    unlock(agent->token);

    return what;
}


/* However the task ends. */
static void
settled(void *data)
{
    vault_agent_token_t  *token = data;

    lock(token);

    if (token->shared->busy == ngx_pid) {
        token->shared->busy = 0;
    }

    unlock(token);

    token->trying = 0;

    if (token->timer.handler && !ngx_exiting) {
        ngx_add_timer(&token->timer, SETTLED);
    }

    vault_waiters_release(&token->waiters, NGX_OK);
}


static void
do_login(vault_request_t *vr, vault_agent_t *agent)
{
    ngx_int_t              rc;
    ngx_str_t              why;
    vault_agent_grant_t    grant;
    vault_agent_shared_t  *shared = agent->token->shared;

    rc = vault_agent_login(vr, agent, &grant, &why);

    lock(agent->token);

    if (rc == NGX_OK) {
        keep(shared, &grant, vault_now());
    } else {
        failed(shared, &why, vault_now());
    }

    unlock(agent->token);

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault agent: %V: logged in, for %L s",
                      &agent->settings.name, grant.life / 1000);
    }
}


/* A copy of the token whoever it is good for: under no lock afterwards. */
static ngx_str_t
copy(vault_agent_token_t *token, ngx_pool_t *pool)
{
    ngx_str_t              text = ngx_null_string, *kept;
    ngx_pool_cleanup_t    *cln;
    vault_agent_shared_t  *shared = token->shared;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_str_t));
    text.data = cln ? ngx_pnalloc(pool, shared->len + 1) : NULL;

    if (text.data) {
        ngx_memcpy(text.data, shared->text, shared->len);
        text.len = shared->len;

        kept = cln->data;
        *kept = text;
        cln->handler = vault_agent_wipe_text;
    }

    return text;
}


static void
do_renew(vault_request_t *vr, vault_agent_t *agent)
{
    int64_t                life;
    ngx_int_t              rc;
    ngx_str_t              text, none = ngx_null_string;
    ngx_uint_t             status = 0;
    vault_agent_grant_t    grant;
    vault_agent_shared_t  *shared = agent->token->shared;

    lock(agent->token);
    text = copy(agent->token, vr->pool);
    life = shared->life;
    unlock(agent->token);

    rc = text.len ? vault_agent_renew(vr, agent, &text, life, &grant, &status)
                  : NGX_ERROR;

    lock(agent->token);

    if (rc == NGX_OK) {
        prolong(shared, &grant, vault_now());

    } else if (text.len && status >= 400 && status < 500 && status != 412
               && status != 429)
    {
        shared->renewable = 0;        /* it will not be: log in */

    } else {
        failed(shared, &none, vault_now());
    }

    unlock(agent->token);
}


static void
try(vault_request_t *vr, void *data)
{
    need_e          what;
    vault_agent_t  *agent = data;

    (void) vault_defer(vr, settled, agent->token);

    for ( ;; ) {
        what = claim(agent, vault_now());

        if (what == NOTHING) {
            return;
        }

        if (what == WAIT) {
            vault_sleep(vr, WATCH);
            continue;
        }

        if (what == RENEW) {
            do_renew(vr, agent);
        } else {
            do_login(vr, agent);
        }

        lock(agent->token);
        agent->token->shared->busy = 0;
        unlock(agent->token);
    }
}


static ngx_int_t
start(vault_agent_t *agent)
{
    vault_agent_token_t  *token = agent->token;

    if (token->trying) {
        return NGX_OK;
    }

    token->trying = 1;

    if (vault_task_start(&agent->conf, "vault agent", agent->conf.deadline,
                         try, agent)
        != NGX_OK)
    {
        token->trying = 0;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
vault_agent_tend(vault_agent_t *agent)
{
    need_e  what;

    lock(agent->token);
    what = need(agent, agent->token->shared, vault_now());
    unlock(agent->token);

    if (what != NOTHING) {
        (void) start(agent);
    }
}


/* Giving it */

void
vault_agent_wipe_text(void *data)
{
    ngx_str_t  *text = data;

    vault_wipe(text->data, text->len);
}


ngx_int_t
vault_agent_token(vault_agent_t *agent, ngx_pool_t *pool, ngx_str_t *out,
    ngx_uint_t *serial)
{
    int64_t                now;
    ngx_uint_t             good, due;
    vault_agent_shared_t  *shared = agent->token->shared;

    now = vault_now();
    ngx_str_null(out);

    lock(agent->token);

    good = is_good(agent, shared, now);
    due = good && is_due(shared, now);

    if (good) {
        *serial = shared->serial;
        *out = copy(agent->token, pool);
    }

    unlock(agent->token);

    if (due) {
        vault_agent_tend(agent);      /* timers stand still in a freeze */
    }

    return !good ? NGX_AGAIN : out->len ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
too_early(vault_agent_t *agent)
{
    need_e  what;

    lock(agent->token);
    what = need(agent, agent->token->shared, vault_now());
    unlock(agent->token);

    return what == NOTHING;
}


ngx_int_t
vault_agent_wait(vault_request_t *vr, vault_agent_t *agent,
    ngx_str_t *token, ngx_uint_t *serial)
{
    ngx_int_t  rc;

    rc = vault_agent_token(agent, vr->pool, token, serial);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    if (!agent->token->trying && too_early(agent)) {
        rc = vault_agent_token(agent, vr->pool, token, serial);
        return rc == NGX_OK ? NGX_OK : NGX_ERROR;
    }

    if (start(agent) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) vault_waiters_join(vr, &agent->token->waiters,
                              agent->conf.deadline + SECOND);

    rc = vault_agent_token(agent, vr->pool, token, serial);

    return rc == NGX_OK ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
vault_agent_serial(vault_agent_t *agent)
{
    ngx_uint_t  serial;

    lock(agent->token);
    serial = agent->token->shared->serial;
    unlock(agent->token);

    return serial;
}


void
vault_agent_drop(vault_agent_t *agent, ngx_uint_t serial)
{
    lock(agent->token);

    if (agent->token->shared->serial == serial) {
        drop(agent->token->shared);
    }

    unlock(agent->token);
}


ngx_int_t
vault_agent_refused(vault_agent_t *agent, ngx_uint_t serial)
{
    int64_t                now;
    ngx_int_t              rc = NGX_OK;
    vault_agent_shared_t  *shared = agent->token->shared;

    now = vault_now();

    lock(agent->token);

    if (shared->serial != serial || shared->len == 0) {
        unlock(agent->token);         /* there is, or will be, another */
        return NGX_OK;
    }

    if (now - shared->refused_at > QUIET || now < shared->refused_at) {
        shared->refused_pause = FRESH;
    }

    if (now - shared->made_at < shared->refused_pause) {
        rc = NGX_DECLINED;

    } else {
        /* else one who may not read a path would make a login of each try */
        shared->refused_pause = ngx_min(2 * shared->refused_pause, FRESH_MAX);
        shared->refused_at = now;
        drop(shared);
    }

    unlock(agent->token);

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "vault agent: %V: the token is refused, another is "
                      "fetched", &agent->settings.name);
    }

    return rc;
}


ngx_str_t
vault_agent_trouble(vault_agent_t *agent, ngx_pool_t *pool)
{
    ngx_str_t              text = ngx_null_string;
    vault_agent_shared_t  *shared = agent->token->shared;

    text.data = ngx_pnalloc(pool, VAULT_AGENT_TROUBLE);

    if (text.data) {
        lock(agent->token);
        ngx_memcpy(text.data, shared->trouble, shared->trouble_len);
        text.len = shared->trouble_len;
        unlock(agent->token);
    }

    if (text.data && text.len == 0) {
        ngx_str_set(&text, "no token came in time");
    }

    return text;
}


void
vault_agent_stats(vault_agent_t *agent, vault_agent_stats_t *stats)
{
    vault_agent_shared_t  *shared = agent->token->shared;

    lock(agent->token);

    stats->logins = shared->logins;
    stats->renewals = shared->renewals;
    stats->failures = shared->failures;
    stats->since = shared->len ? shared->made_at : 0;
    stats->expires_at = shared->len ? shared->expires_at : 0;

    unlock(agent->token);
}
