/*
 * Keys are renewed by a task of its own, one at a time; whoever cannot go on
 * without waits in a queue, and may leave without harm to the others.
 */

#include "../crypto/crypto.h"
#include "clock.h"
#include "endpoint.h"
#include "source.h"


#define SECOND        1000            /* ms */
#define MINUTE        (60 * SECOND)

#define EARLY         (5 * MINUTE)    /* before they expire */
#define REREAD        (15 * MINUTE)   /* keys that do not say when */
#define RETRY         MINUTE          /* while the old ones are good */
#define RETRY_HARD    (5 * SECOND)    /* when they are not */
#define RETRY_EXTEND  (5 * MINUTE)    /* EC2 prolongs what it cannot renew */
#define PATIENCE      (30 * SECOND)   /* for all sources together */

typedef ngx_int_t (*source_pt)(vault_request_t *vr, vault_aws_keys_t *keys);

static const source_pt  sources[] = {
    vault_aws_from_env,
    vault_aws_from_profile,
    vault_aws_from_identity,
    vault_aws_from_container,
    vault_aws_from_instance,
    NULL
};


/* The environment */

#define env_variable(name, member)                                           \
    { name, offsetof(vault_aws_env_t, member) }

static const struct {
    const char  *name;
    size_t       offset;
} variables[] = {
    env_variable("AWS_ACCESS_KEY_ID", access_key),
    env_variable("AWS_SECRET_ACCESS_KEY", secret_key),
    env_variable("AWS_SESSION_TOKEN", session_token),
    env_variable("AWS_PROFILE", profile),
    env_variable("AWS_SHARED_CREDENTIALS_FILE", credentials_file),
    env_variable("HOME", home),
    env_variable("AWS_ROLE_ARN", role_arn),
    env_variable("AWS_ROLE_SESSION_NAME", role_session),
    env_variable("AWS_WEB_IDENTITY_TOKEN_FILE", token_file),
    env_variable("AWS_ENDPOINT_URL_STS", sts_url),
    env_variable("AWS_ENDPOINT_URL", any_url),
    env_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", relative_uri),
    env_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", full_uri),
    env_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", auth_token),
    env_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", auth_token_file),
    env_variable("AWS_EC2_METADATA_DISABLED", imds_disabled),
    env_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds_url),
    env_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", imds_mode),
    env_variable("AWS_REGION", region),
    env_variable("AWS_DEFAULT_REGION", default_region),
    env_variable("AWS_CA_BUNDLE", ca_file),
};


static void
wipe_env(void *data)
{
    vault_aws_env_t  *env = data;

    vault_wipe(env->secret_key.data, env->secret_key.len);
    vault_wipe(env->session_token.data, env->session_token.len);
    vault_wipe(env->auth_token.data, env->auth_token.len);
}


vault_aws_t *
vault_aws_create(ngx_pool_t *pool)
{
    char                *value;
    size_t               len;
    ngx_str_t           *text;
    ngx_uint_t           i;
    vault_aws_t         *aws;
    ngx_pool_cleanup_t  *cln;

    aws = ngx_pcalloc(pool, sizeof(vault_aws_t));
    cln = ngx_pool_cleanup_add(pool, 0);
    if (aws == NULL || cln == NULL) {
        return NULL;
    }

    vault_waiters_init(&aws->waiters);

    cln->handler = wipe_env;
    cln->data = &aws->env;

    for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        value = getenv(variables[i].name);
        len = value ? ngx_strlen(value) : 0;
        text = (ngx_str_t *) ((char *) &aws->env + variables[i].offset);

        text->data = ngx_pcalloc(pool, len + 1);
        if (text->data == NULL) {
            return NULL;
        }

        if (len) {
            ngx_memcpy(text->data, value, len);
        }

        text->len = len;
    }

    return aws;
}


const char *
vault_aws_ca_file(vault_aws_t *aws)
{
    return aws->env.ca_file.len ? (char *) aws->env.ca_file.data : NULL;
}


ngx_int_t
vault_aws_from_env(vault_request_t *vr, vault_aws_keys_t *keys)
{
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (env->access_key.len == 0 || env->secret_key.len == 0) {
        return NGX_DECLINED;
    }

    keys->access_key = env->access_key;
    keys->secret_key = env->secret_key;
    keys->session_token = env->session_token;
    keys->expires_at = 0;

    return NGX_OK;
}


/* Regions */

ngx_str_t
vault_aws_region_known(vault_aws_t *aws)
{
    ngx_str_t  none = ngx_null_string;

    if (vault_aws_region_check(&aws->env.region) == NGX_OK) {
        return aws->env.region;
    }

    return vault_aws_region_check(&aws->env.default_region) == NGX_OK
           ? aws->env.default_region : none;
}


ngx_int_t
vault_aws_find_region(vault_request_t *vr, ngx_str_t *region)
{
    vault_aws_t  *aws = vr->conf->aws;

    *region = vault_aws_region_known(aws);

    if (region->len) {
        return NGX_OK;
    }

    if (aws->region.len) {
        *region = aws->region;
        return NGX_OK;
    }

    if (vault_aws_instance_region(vr, region) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (aws->region.len) {
        return NGX_OK;                /* another was quicker */
    }

    /* for good: as long as the worker lives */
    aws->region.data = ngx_pstrdup(ngx_cycle->pool, region);
    if (aws->region.data) {
        aws->region.len = region->len;
    }

    return NGX_OK;
}


ngx_str_t
vault_aws_region(vault_request_t *vr)
{
    ngx_str_t  region;

    if (vault_aws_find_region(vr, &region) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The region of AWS is not known.");
    }

    return region;
}


/* Keeping keys */

static void
drop(vault_aws_t *aws)
{
    if (aws->pool) {
        vault_wipe(aws->keys.secret_key.data, aws->keys.secret_key.len);
        vault_wipe(aws->keys.session_token.data,
                   aws->keys.session_token.len);
        ngx_destroy_pool(aws->pool);
        aws->pool = NULL;
    }

    ngx_memzero(&aws->keys, sizeof(vault_aws_keys_t));
}


void
vault_aws_stop(vault_aws_t *aws)
{
    drop(aws);
    vault_sigv4_forget();
}


static ngx_int_t
copy_text(ngx_pool_t *pool, const ngx_str_t *from, ngx_str_t *to)
{
    to->data = ngx_pnalloc(pool, from->len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    if (from->len) {
        ngx_memcpy(to->data, from->data, from->len);
    }

    to->len = from->len;

    return NGX_OK;
}


static ngx_int_t
keep(vault_aws_t *aws, const vault_aws_keys_t *keys)
{
    ngx_pool_t        *pool;
    vault_aws_keys_t   copy;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    copy.expires_at = keys->expires_at;

    if (copy_text(pool, &keys->access_key, &copy.access_key) != NGX_OK
        || copy_text(pool, &keys->secret_key, &copy.secret_key) != NGX_OK
        || copy_text(pool, &keys->session_token, &copy.session_token)
           != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    drop(aws);

    aws->keys = copy;
    aws->pool = pool;

    return NGX_OK;
}


/* Spread, so that a fleet does not ask at the same moment. */
static int64_t
extension(void)
{
    return RETRY_EXTEND + (int64_t) ((uint64_t) ngx_random()
                                     % (uint64_t) RETRY_EXTEND);
}


static void
plan(vault_aws_t *aws, int64_t now)
{
    int64_t  life;

    aws->retry_at = now;

    if (aws->keys.expires_at == 0) {
        aws->refresh_at = now + REREAD;
        return;
    }

    life = aws->keys.expires_at - now;

    if (life <= 0) {
        /* EC2 hands out old keys when it has no new ones, and takes them */
        aws->refresh_at = now;
        aws->retry_at = now + extension();
        return;
    }

    aws->refresh_at = now + ngx_max(life - EARLY, life / 2);
}


static void
plan_retry(vault_aws_t *aws, int64_t now)
{
    int64_t  pause, left;

    left = aws->keys.expires_at - now;

    if (aws->keys.access_key.len == 0) {
        pause = RETRY_HARD;

    } else if (aws->keys.expires_at == 0 || left > 4 * RETRY) {
        pause = RETRY;

    } else if (left > 0) {
        pause = left / 4 + 1;

    } else {
        pause = aws->instance ? extension() : RETRY_HARD;
    }

    aws->retry_at = now + pause;
}


/* Refreshing */

static void
settled(void *data)
{
    vault_aws_t  *aws = data;

    aws->refreshing = 0;

    if (!aws->renewed) {
        plan_retry(aws, vault_aws_now());
    }

    vault_waiters_release(&aws->waiters, NGX_OK);
}


static void
refresh(vault_request_t *vr, void *data)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    vault_aws_t       *aws = data;
    vault_aws_keys_t   keys;

    (void) vault_defer(vr, settled, aws);

    rc = NGX_DECLINED;
    ngx_memzero(&keys, sizeof(vault_aws_keys_t));

    for (i = 0; rc == NGX_DECLINED && sources[i]; i++) {
        rc = sources[i](vr, &keys);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: none are configured");
    }

    if (rc != NGX_OK || keep(aws, &keys) != NGX_OK) {
        return;
    }

    aws->renewed = 1;
    aws->instance = sources[i - 1] == vault_aws_from_instance;
    plan(aws, vault_aws_now());
}


static ngx_int_t
start(vault_request_t *vr, vault_aws_t *aws)
{
    if (aws->refreshing) {
        return NGX_OK;
    }

    aws->refreshing = 1;
    aws->renewed = 0;

    if (vault_task_start(vr->conf, "aws credentials", PATIENCE, refresh, aws)
        != NGX_OK)
    {
        aws->refreshing = 0;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
await(vault_request_t *vr, vault_aws_t *aws)
{
    if (start(vr, aws) == NGX_OK) {
        (void) vault_waiters_join(vr, &aws->waiters, PATIENCE + SECOND);
    }
}


static vault_aws_keys_t *
give(vault_request_t *vr, vault_aws_t *aws)
{
    vault_aws_keys_t  *keys;

    if (aws->keys.access_key.len == 0) {
        return NULL;
    }

    keys = vault_alloc(vr, sizeof(vault_aws_keys_t));
    keys->access_key = vault_secret(vr, &aws->keys.access_key);
    keys->secret_key = vault_secret(vr, &aws->keys.secret_key);
    keys->session_token = vault_secret(vr, &aws->keys.session_token);
    keys->expires_at = aws->keys.expires_at;

    return keys;
}


vault_aws_keys_t *
vault_aws_find_credentials(vault_request_t *vr)
{
    int64_t       now;
    ngx_uint_t    dead;
    vault_aws_t  *aws = vr->conf->aws;

    now = vault_aws_now();

    dead = aws->keys.access_key.len == 0
           || (aws->keys.expires_at && aws->keys.expires_at <= now);

    if (aws->refreshing ? dead : dead && now >= aws->retry_at) {
        await(vr, aws);

    } else if (!dead && now >= aws->refresh_at && now >= aws->retry_at) {
        (void) start(vr, aws);
    }

    return give(vr, aws);
}


vault_aws_keys_t *
vault_aws_credentials(vault_request_t *vr)
{
    vault_aws_keys_t  *keys;

    keys = vault_aws_find_credentials(vr);

    if (keys == NULL) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The storage is not available. Please try again.");
    }

    return keys;
}


static ngx_uint_t
same_keys(const vault_aws_keys_t *a, const vault_aws_keys_t *b)
{
    return vault_equal(&a->access_key, &b->access_key)
           && vault_equal(&a->session_token, &b->session_token);
}


vault_aws_keys_t *
vault_aws_refresh(vault_request_t *vr, const vault_aws_keys_t *refused)
{
    int64_t       now;
    vault_aws_t  *aws = vr->conf->aws;

    now = vault_aws_now();

    if (same_keys(&aws->keys, refused)
        && (aws->refreshing || now >= aws->retry_at))
    {
        await(vr, aws);

        if (same_keys(&aws->keys, refused)) {
            /* nothing newer: do not ask again for each refusal */
            aws->retry_at = ngx_max(aws->retry_at, now + RETRY_HARD);
            return NULL;
        }
    }

    return same_keys(&aws->keys, refused) ? NULL : give(vr, aws);
}
