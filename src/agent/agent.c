/*
 * An agent: made of what the directives say.
 */

#include "../aws/credentials.h"
#include "../crypto/crypto.h"
#include "token.h"


/* Parts that no text of another may run into. */
static u_char *
part(u_char *p, const ngx_str_t *text)
{
    return ngx_sprintf(p, "%uz:%V\n", text->len, text);
}


static u_char *
file(u_char *p, const char *path)
{
    return ngx_sprintf(p, "%s\n", path ? path : "-");
}


static size_t
room(const vault_agent_settings_t *set)
{
    const vault_agent_auth_t    *auth = &set->auth;
    const vault_upstream_tls_t  *tls = &set->trust;

#define length(text)  (text ? ngx_strlen(text) : 1)

    return set->name.len + set->namespace.len + auth->mount.len
           + auth->role.len + auth->server_id.len + auth->sts_region.len
           + auth->assume_role.len + auth->file.len + auth->role_id.len
           + auth->secret_id.len + length(tls->ca_file)
           + length(tls->ca_path) + length(tls->cert) + length(tls->key)
           + length(tls->name) + 32 * NGX_INT_T_LEN;

#undef length
}


ngx_str_t
vault_agent_id(ngx_conf_t *cf, const vault_agent_settings_t *set)
{
    u_char                       digest[VAULT_SHA256_LEN], *p;
    ngx_str_t                    text, id = ngx_null_string;
    const vault_agent_auth_t    *auth = &set->auth;
    const vault_upstream_tls_t  *tls = &set->trust;

    text.data = ngx_pnalloc(cf->pool, room(set));
    if (text.data == NULL) {
        return id;
    }

    p = part(text.data, &set->name);
    p = part(p, &set->namespace);
    p = part(p, &auth->mount);
    p = part(p, &auth->role);
    p = part(p, &auth->server_id);
    p = part(p, &auth->sts_region);
    p = part(p, &auth->assume_role);
    p = part(p, &auth->file);
    p = part(p, &auth->role_id);
    p = part(p, &auth->secret_id);
    p = file(p, tls->ca_file);
    p = file(p, tls->ca_path);
    p = file(p, tls->cert);
    p = file(p, tls->key);
    p = file(p, tls->name);
    p = ngx_sprintf(p, "%ui %ui", (ngx_uint_t) auth->method,
                    (ngx_uint_t) tls->insecure);
    text.len = p - text.data;

    id.data = vault_sha256(&text, digest) == NGX_OK
              ? ngx_pnalloc(cf->pool, 32) : NULL;

    if (id.data) {
        (void) vault_hex(id.data, digest, 16);
        id.len = 32;
    }

    vault_wipe(text.data, text.len);

    return id;
}


/* "host", or "host:port" where the port is not the scheme's own. */
static ngx_int_t
make_host(ngx_conf_t *cf, vault_agent_t *agent)
{
    ngx_uint_t               colon;
    vault_agent_settings_t  *set = &agent->settings;

    agent->host.data = ngx_pnalloc(cf->pool, set->address.len + 8);
    if (agent->host.data == NULL) {
        return NGX_ERROR;
    }

    colon = set->port != (set->tls ? 443 : 80);

    agent->host.len = ngx_sprintf(agent->host.data, colon ? "%V:%ui" : "%V",
                                  &set->address, (ngx_uint_t) set->port)
                      - agent->host.data;

    return NGX_OK;
}


vault_agent_t *
vault_agent_create(ngx_conf_t *cf, const vault_agent_settings_t *set,
    vault_aws_t *aws)
{
    vault_agent_t  *agent;

    agent = ngx_pcalloc(cf->pool, sizeof(vault_agent_t));
    if (agent == NULL) {
        return NULL;
    }

    agent->settings = *set;
    agent->conf.aws = aws;
    agent->conf.deadline = (set->retries + 1) * set->timeout + 10000;
    agent->id = vault_agent_id(cf, set);

    if (agent->id.data == NULL || make_host(cf, agent) != NGX_OK
        || vault_agent_zone(cf, agent) != NGX_OK)
    {
        return NULL;
    }

    agent->up = set->tls ? vault_upstream_create_tls(cf, &set->address,
                                                     set->port, &set->trust)
                         : vault_upstream_create(cf, &set->address, set->port,
                                                 0, NULL);

    return agent->up ? agent : NULL;
}
