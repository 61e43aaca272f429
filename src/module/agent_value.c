/*
 * "vault://PATH#KEY" as the value of a directive.
 */

#include "agent.h"
#include "../agent/value.h"
#include "../net/line.h"


#define SCHEME  "vault://"


ngx_uint_t
vault_is_reference(const ngx_str_t *value)
{
    return value->len > sizeof(SCHEME) - 1
           && ngx_strncmp(value->data, SCHEME, sizeof(SCHEME) - 1) == 0;
}


/* What this level says, or those around it, as far as it has been read. */
static ngx_int_t
find_conf(ngx_conf_t *cf, vault_agent_conf_t *conf)
{
    vault_loc_conf_t     *own, *all;
    ngx_http_conf_ctx_t  *http;

    http = (ngx_http_conf_ctx_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                ngx_http_module);
    own = ngx_http_conf_get_module_loc_conf(cf, ngx_http_vault_module);
    all = http->loc_conf[ngx_http_vault_module.ctx_index];

    *conf = own->agent;
    vault_merge_agent(&all->agent, conf);

    return conf->settings.name.data && conf->auth_set ? NGX_OK
                                                      : NGX_DECLINED;
}


static ngx_int_t
split(const ngx_str_t *value, vault_agent_secret_t *secret)
{
    u_char  *hash, *end = value->data + value->len;

    secret->path.data = value->data + sizeof(SCHEME) - 1;

    hash = ngx_strlchr(secret->path.data, end, '#');
    if (hash == NULL) {
        return NGX_DECLINED;
    }

    secret->path.len = hash - secret->path.data;
    secret->key.data = hash + 1;
    secret->key.len = end - secret->key.data;

    return secret->path.len && secret->key.len
           && vault_line_is_target(&secret->path) ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* One that another directive has already; or NULL. */
static vault_agent_secret_t *
find(vault_main_conf_t *mcf, const vault_agent_secret_t *wanted)
{
    ngx_uint_t             i;
    vault_agent_secret_t  *secret = mcf->secrets.elts;

    for (i = 0; i < mcf->secrets.nelts; i++) {
        if (secret[i].file.len == 0 && secret[i].agent == wanted->agent
            && same(&secret[i].path, &wanted->path)
            && same(&secret[i].key, &wanted->key))
        {
            return &secret[i];
        }
    }

    return NULL;
}


static char *
fetch(ngx_conf_t *cf, vault_main_conf_t *mcf, vault_agent_secret_t *wanted,
    ngx_str_t *out)
{
    vault_agent_secret_t   *slot;
    vault_agent_conf_t    **conf;

    slot = find(mcf, wanted);

    if (slot) {
        *out = slot->value;
        return NGX_CONF_OK;
    }

    if (vault_agent_value_now(cf, &mcf->reads, wanted, &wanted->value)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"" SCHEME "%V#%V\" cannot be fetched from %V",
                           &wanted->path, &wanted->key,
                           &wanted->agent->settings.name);
        return NGX_CONF_ERROR;
    }

    slot = ngx_array_push(&mcf->secrets);
    conf = ngx_array_push(&mcf->secret_confs);

    if (slot == NULL || conf == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = *wanted;
    *conf = NULL;
    *out = wanted->value;

    return NGX_CONF_OK;
}


char *
vault_fetch_value(ngx_conf_t *cf, const ngx_str_t *value, ngx_str_t *out)
{
    vault_main_conf_t     *mcf;
    vault_agent_conf_t     conf;
    vault_agent_secret_t   wanted;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);

    ngx_memzero(&wanted, sizeof(vault_agent_secret_t));
    wanted.format = VAULT_AGENT_KEY;

    if (split(value, &wanted) != NGX_OK) {
        return "wants the path and the key of a secret, as "
               "vault://secret/data/vault#database_url";
    }

    if (find_conf(cf, &conf) != NGX_OK) {
        return "has a value from a Vault: write \"vault_agent\" and "
               "\"vault_agent_auth\" before it";
    }

    wanted.every = conf.settings.watch;
    wanted.agent = vault_attach_agent(cf, &conf);

    return wanted.agent ? fetch(cf, mcf, &wanted, out) : NGX_CONF_ERROR;
}
