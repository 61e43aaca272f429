/*
 * An agent in its process: the clock that keeps the token fresh, and what ends
 * with it.
 */

#include "../aws/credentials.h"
#include "../crypto/crypto.h"
#include "../run/await.h"
#include "aside.h"
#include "token.h"


#define TICK      60000               /* ms; the wall clock may jump */
#define TICK_MIN  100
#define BACK      60000
#define END       2000                /* for revoking, at the end of all */


/* When there may be something to do: by the wall clock. */
static ngx_msec_t
next_tick(vault_agent_t *agent)
{
    int64_t                now, at, left;
    vault_agent_shared_t  *shared = agent->token->shared;

    now = vault_now();

    ngx_shmtx_lock(agent->token->mutex);
    at = shared->len && shared->renew_at ? shared->renew_at : 0;
    at = ngx_max(at, shared->retry_at);
    ngx_shmtx_unlock(agent->token->mutex);

    left = at ? at - now : TICK;

    return ngx_max(TICK_MIN, ngx_min(left, TICK));
}


static void
on_tick(ngx_event_t *ev)
{
    vault_agent_t  *agent = ev->data;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    vault_agent_tend(agent);          /* sets it anew when it has ended */
    ngx_add_timer(ev, next_tick(agent));
}


ngx_int_t
vault_agent_start(vault_agent_t *agent, ngx_cycle_t *cycle)
{
    ngx_event_t  *timer = &agent->token->timer;

    timer->handler = on_tick;
    timer->data = agent;
    timer->log = cycle->log;
    timer->cancelable = 1;

    /* a timer, for what is posted now runs after the next event only */
    vault_agent_tend(agent);
    ngx_add_timer(timer, 0);

    return NGX_OK;
}


void
vault_agent_stop(vault_agent_t *agent)
{
    if (agent->token->timer.timer_set) {
        ngx_del_timer(&agent->token->timer);
    }

    agent->token->timer.handler = NULL;

    vault_upstream_stop(agent->up);
}


void
vault_agent_revoke(vault_request_t *vr, vault_agent_t *agent)
{
    ngx_str_t            token;
    ngx_uint_t           serial;
    ngx_keyval_t         header;
    vault_agent_call_t   call;
    vault_http_answer_t  answer;

    if (vault_agent_token(agent, vr->pool, &token, &serial) != NGX_OK) {
        return;                       /* there is none, or it has ended */
    }

    ngx_str_set(&header.key, "X-Vault-Token");
    header.value = token;

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = "POST";
    ngx_str_set(&call.path, "/v1/auth/token/revoke-self");
    call.headers = &header;
    call.nheaders = 1;
    call.anonymous = 1;

    vault_agent_drop(agent, serial);

    if (vault_agent_call(vr, agent, &call, &answer) != NGX_OK
        || answer.status >= 300)
    {
        ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                      "vault agent: %V: the token could not be revoked and "
                      "lives to its end", &agent->settings.name);
    }
}


static void
give_back(vault_request_t *vr, void *data)
{
    vault_agent_revoke(vr, data);
}


void
vault_agent_end(vault_agent_t *agent, ngx_cycle_t *cycle)
{
    u_char                 done = 0;
    vault_agent_shared_t  *shared = agent->token->shared;

    if (agent->settings.revoke && shared && shared->len
        && vault_aside_run(cycle, &agent->conf, give_back, agent, END, &done,
                           1)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "vault agent: %V: the token is not revoked, it lives to "
                      "its end", &agent->settings.name);
    }

    vault_agent_wipe(agent);
}


/* Whether the keys that the token was made with are still ours. */
static ngx_uint_t
same_key(vault_agent_t *agent, const ngx_str_t *key)
{
    ngx_uint_t             same;
    vault_agent_shared_t  *shared = agent->token->shared;

    ngx_shmtx_lock(agent->token->mutex);
    same = shared->key_len == ngx_min(key->len, VAULT_AGENT_KEY)
           && ngx_memcmp(shared->key, key->data, shared->key_len) == 0;
    ngx_shmtx_unlock(agent->token->mutex);

    return same;
}


void
vault_agent_restored(vault_request_t *vr, vault_agent_t *agent)
{
    ngx_uint_t             serial, back;
    vault_aws_keys_t      *keys;
    vault_agent_shared_t  *shared = agent->token->shared;

    ngx_shmtx_lock(agent->token->mutex);
    serial = shared->serial;
    back = vault_now() < shared->made_at - BACK;
    ngx_shmtx_unlock(agent->token->mutex);

    if (!back && agent->settings.auth.method == VAULT_AGENT_AWS) {
        keys = vault_aws_find_credentials(vr);
        back = keys && !same_key(agent, &keys->access_key);
    }

    if (back) {
        vault_agent_drop(agent, serial);
        vault_agent_tend(agent);
    }
}
