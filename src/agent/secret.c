/*
 * When a secret is due, and what is done about it.
 */

#include "../crypto/crypto.h"
#include "../run/await.h"
#include "secret_part.h"
#include "token.h"

#include <signal.h>


#define SECOND     1000               /* ms */
#define RETRY_MAX  (60 * SECOND)
#define TICK       (30 * SECOND)      /* the wall clock may jump */
#define TICK_MIN   50
#define DEADLINE   (120 * SECOND)

static ngx_event_t  secrets_timer;


/* Trouble: each is told once, until there is another or none */

ngx_int_t
vault_agent_trouble_with(vault_request_t *vr, vault_agent_secret_t *secret,
    const char *fmt, ...)
{
    u_char      buf[NGX_MAX_ERROR_STR / 2], *last, digest[VAULT_SHA256_LEN];
    va_list     args;
    ngx_str_t   text;
    ngx_uint_t  level = NGX_LOG_ERR;

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    text.data = buf;
    text.len = last - buf;

    secret->why_len = ngx_min(text.len, VAULT_AGENT_WHY);
    ngx_memcpy(secret->why, text.data, secret->why_len);

    if (vault_sha256(&text, digest) == NGX_OK) {
        if (ngx_memcmp(digest, secret->trouble, sizeof(digest)) == 0) {
            level = NGX_LOG_INFO;
        }

        ngx_memcpy(secret->trouble, digest, sizeof(digest));
    }

    ngx_log_error(level, vr->log, 0, "vault agent: secret \"%V\": %V",
                  &secret->path, &text);

    return NGX_ERROR;
}


/* When */

static int64_t
after(int64_t now, int64_t ms)
{
    int64_t  jitter;

    jitter = ms / 15 + 1;

    return now + ngx_max(ms - (int64_t) ngx_random() % jitter, TICK_MIN);
}


static void
plan(vault_agent_secret_t *secret, int64_t lease)
{
    int64_t  now;

    now = vault_now();

    secret->state = VAULT_AGENT_READY;
    secret->failures = 0;
    ngx_memzero(secret->trouble, sizeof(secret->trouble));

    secret->next_at = lease ? after(now, lease * 2 / 3)
                            : after(now, (int64_t) secret->every);
}


static void
plan_retry(vault_agent_secret_t *secret)
{
    int64_t  pause;

    pause = (int64_t) SECOND << ngx_min(secret->failures, 6);
    pause = ngx_min(pause, RETRY_MAX);

    secret->state = VAULT_AGENT_FAILED;
    secret->failures++;
    secret->next_at = after(vault_now(), pause);
}


static ngx_uint_t
is_due(vault_agent_secret_t *secret, int64_t now)
{
    int64_t  longest;

    if (secret->busy) {
        return 0;
    }

    if (now >= secret->next_at) {
        return 1;
    }

    longest = ngx_max((int64_t) secret->every, secret->lease);
    longest = ngx_max(longest, RETRY_MAX);

    /* a clock that has gone back, and a lease whose token has ended */
    return secret->next_at - now > longest
           || (secret->lease && secret->state == VAULT_AGENT_READY
               && secret->serial != vault_agent_serial(secret->agent));
}


/* The task */

static void
keep_lease(vault_agent_secret_t *secret, const vault_agent_text_t *text)
{
    secret->lease_len = text->lease_id.len <= VAULT_AGENT_LEASE
                        ? text->lease_id.len : 0;
    secret->lease = text->lease;
    secret->renewable = text->renewable && secret->lease_len;
    secret->serial = text->serial;

    if (secret->lease_len) {
        ngx_memcpy(secret->lease_id, text->lease_id.data, secret->lease_len);
    }
}


static void
run_command(vault_request_t *vr, vault_agent_secret_t *secret)
{
    ngx_int_t  status;

    if (secret->command == NULL) {
        return;
    }

    vault_command_run(vr, secret->command, VAULT_AGENT_COMMAND, &status);

    if (status == 0) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "vault agent: secret \"%V\": its command \"%s\" %s %i; the "
                  "file is written, see to the command",
                  &secret->path, secret->command[0],
                  status == VAULT_COMMAND_LATE
                  ? "was ended, as it took more than (ms)"
                  : status == 127 ? "cannot be run:" : "has ended with",
                  status == VAULT_COMMAND_LATE
                  ? (ngx_int_t) VAULT_AGENT_COMMAND : status);
}


static ngx_int_t
write_file(vault_request_t *vr, vault_agent_secret_t *secret,
    const ngx_str_t *text)
{
    vault_agent_file_t  *file;

    file = vault_calloc(vr, sizeof(vault_agent_file_t));
    file->path = (const char *) secret->file.data;
    file->text = *text;
    file->mode = secret->mode;

    if (vault_agent_write(vr, file) != NGX_OK) {
        return vault_agent_trouble_with(vr, secret,
                                        "cannot %s \"%V\" (%s): let nginx's "
                                        "user write to its folder, with room "
                                        "on the disk", file->step,
                                        &secret->file, strerror(file->err));
    }

    if (file->changed) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault agent: secret \"%V\" written to \"%V\"",
                      &secret->path, &secret->file);
        run_command(vr, secret);
    }

    return NGX_OK;
}


/* The master reads the configuration anew, and with it all values. */
static ngx_int_t
watch(vault_request_t *vr, vault_agent_secret_t *secret,
    const ngx_str_t *text)
{
    u_char  digest[VAULT_SHA256_LEN];

    if (vault_sha256(text, digest) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_memcmp(digest, secret->digest, sizeof(digest)) == 0) {
        return NGX_OK;
    }

    ngx_memcpy(secret->digest, digest, sizeof(digest));

    if (ngx_process == NGX_PROCESS_WORKER && kill(ngx_parent, SIGHUP) == 0) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault agent: the value \"%V\" has changed: nginx "
                      "reloads", &secret->path);
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                  "vault agent: the value \"%V\" has changed: reload nginx, "
                  "which its worker is not allowed to", &secret->path);

    return NGX_OK;
}


static ngx_int_t
refresh(vault_request_t *vr, vault_agent_secret_t *secret)
{
    ngx_int_t            rc;
    vault_agent_text_t  *text;

    text = vault_agent_text_read(vr, secret);

    if (text == NULL) {
        return NGX_ERROR;
    }

    rc = secret->file.len ? write_file(vr, secret, &text->text)
                          : watch(vr, secret, &text->text);

    if (rc == NGX_OK) {
        secret->written = 1;
        keep_lease(secret, text);
        plan(secret, text->lease);
    }

    return rc;
}


static void
ended(void *data)
{
    vault_agent_secret_t  *secret = data;

    secret->busy = 0;

    if (secret->next_at <= vault_now()) {
        plan_retry(secret);           /* or it was cut short */
    }

    if (secrets_timer.handler && !ngx_exiting) {
        ngx_add_timer(&secrets_timer, TICK_MIN);
    }
}


static void
task(vault_request_t *vr, void *data)
{
    int64_t                lease;
    vault_agent_secret_t  *secret = data;

    (void) vault_defer(vr, ended, secret);

    if (secret->lease_len && secret->renewable
        && secret->serial == vault_agent_serial(secret->agent))
    {
        lease = vault_agent_lease_renew(vr, secret);

        if (lease >= secret->lease / 2 && lease) {
            plan(secret, lease);
            return;
        }
    }

    if (refresh(vr, secret) != NGX_OK) {
        plan_retry(secret);
    }
}


static void
start(vault_agent_secret_t *secret)
{
    secret->busy = 1;

    if (vault_task_start(&secret->agent->conf, "vault agent secret", DEADLINE,
                         task, secret)
        != NGX_OK)
    {
        secret->busy = 0;
        plan_retry(secret);
    }
}


void
vault_agent_secrets_tend(ngx_array_t *secrets)
{
    int64_t                now;
    ngx_uint_t             i;
    vault_agent_secret_t  *secret = secrets->elts;

    now = vault_now();

    for (i = 0; i < secrets->nelts; i++) {
        if (is_due(&secret[i], now)) {
            start(&secret[i]);
        }
    }
}


/* The clock */

static ngx_msec_t
next_tick(ngx_array_t *secrets)
{
    int64_t                now, left = TICK;
    ngx_uint_t             i;
    vault_agent_secret_t  *secret = secrets->elts;

    now = vault_now();

    for (i = 0; i < secrets->nelts; i++) {
        if (!secret[i].busy) {
            left = ngx_min(left, secret[i].next_at - now);
        }

        if (secret[i].lease) {
            left = ngx_min(left, SECOND);  /* its token may be another */
        }
    }

    return ngx_max(left, TICK_MIN);
}


static void
on_tick(ngx_event_t *ev)
{
    ngx_array_t  *secrets = ev->data;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    vault_agent_secrets_tend(secrets);
    ngx_add_timer(ev, next_tick(secrets));
}


ngx_int_t
vault_agent_secrets_start(ngx_array_t *secrets, ngx_cycle_t *cycle)
{
    if (secrets->nelts == 0) {
        return NGX_OK;
    }

    ngx_memzero(&secrets_timer, sizeof(ngx_event_t));

    secrets_timer.handler = on_tick;
    secrets_timer.data = secrets;
    secrets_timer.log = cycle->log;
    secrets_timer.cancelable = 1;

    vault_agent_secrets_tend(secrets);
    ngx_add_timer(&secrets_timer, 0);

    return NGX_OK;
}


void
vault_agent_secrets_stop(void)
{
    if (secrets_timer.timer_set) {
        ngx_del_timer(&secrets_timer);
    }

    secrets_timer.handler = NULL;
}


vault_agent_state_e
vault_agent_secrets_state(ngx_array_t *secrets)
{
    ngx_uint_t             i;
    vault_agent_state_e    state = VAULT_AGENT_READY;
    vault_agent_secret_t  *secret = secrets->elts;

    for (i = 0; i < secrets->nelts; i++) {

        if (secret[i].state == VAULT_AGENT_FAILED && !secret[i].written) {
            return VAULT_AGENT_FAILED;
        }

        if (!secret[i].written) {
            state = VAULT_AGENT_PENDING;
        }
    }

    return state;
}
