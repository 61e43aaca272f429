/*
 * "vault_agent" and "vault_agent_auth": which Vault, as whom.
 *
 * Both are inherited, each by itself.  Where the same Vault is asked as the
 * same identity, it is by one agent of the whole process.
 */

#include "agent.h"
#include "../aws/credentials.h"
#include "../aws/endpoint.h"
#include "../net/line.h"


#define TIMEOUT  60000                /* ms; as of Vault's own clients */
#define RETRIES  2
#define GRACE    10000
#define WATCH    60000
#define JWT      "/var/run/secrets/kubernetes.io/serviceaccount/token"

typedef char *(*setter_pt)(ngx_conf_t *cf, ngx_str_t *value, void *slot);

/* A parameter "name=value". */
typedef struct {
    const char  *name;
    setter_pt    set;
    size_t       offset;              /* in vault_agent_settings_t */
    ngx_uint_t   methods;             /* bits of vault_agent_auth_e; 0: all */
} parameter_t;

#define place(member)  offsetof(vault_agent_settings_t, member)
#define bit(method)    (1 << (method))


static ngx_uint_t
is(const ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_memcmp(text->data, word, text->len) == 0;
}


/* Values */

static char *
set_text(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    *(ngx_str_t *) slot = *value;

    return vault_line_is_value(value) ? NGX_CONF_OK
                                      : "has a control character";
}


static char *
set_secret(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    return vault_secret_value(cf, value, slot);
}


static char *
set_file(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    ngx_str_t  path = *value;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    *(ngx_str_t *) slot = path;

    return NGX_CONF_OK;
}


static char *
set_path(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    ngx_str_t  path;

    if (set_file(cf, value, &path) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    *(const char **) slot = (const char *) path.data;

    return NGX_CONF_OK;
}


static char *
set_name(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    *(const char **) slot = (const char *) value->data;

    return vault_line_is_target(value) ? NGX_CONF_OK : "has no host name";
}


static char *
set_time(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    ngx_msec_t  ms;

    ms = ngx_parse_time(value, 0);
    *(ngx_msec_t *) slot = ms;

    return ms == (ngx_msec_t) NGX_ERROR || ms == 0 ? "has a time that is none"
                                                   : NGX_CONF_OK;
}


static char *
set_count(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);
    *(ngx_uint_t *) slot = n;

    return n < 0 || n > 100 ? "has a number that is none of 0 to 100"
                            : NGX_CONF_OK;
}


static char *
set_switch(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    *(ngx_uint_t *) slot = is(value, "on");

    return is(value, "on") || is(value, "off") ? NGX_CONF_OK
                                               : "wants \"on\" or \"off\"";
}


static char *
set_verify(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    vault_upstream_tls_t  *trust = slot;

    trust->insecure = is(value, "off");

    if (trust->insecure) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"vault_agent\" with verify=off gives its token "
                           "to whoever answers");
    }

    return is(value, "on") || is(value, "off") ? NGX_CONF_OK
                                               : "wants \"on\" or \"off\"";
}


static char *
set_region(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    *(ngx_str_t *) slot = *value;

    return vault_aws_region_check(value) == NGX_OK
           ? NGX_CONF_OK : "has an sts_region= that is no region";
}


/* "aws", and what people write for it: "auth/aws/". */
static char *
set_mount(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    ngx_str_t  mount = *value;

    if (mount.len > 5 && ngx_strncmp(mount.data, "auth/", 5) == 0) {
        mount.data += 5;
        mount.len -= 5;
    }

    while (mount.len && mount.data[mount.len - 1] == '/') {
        mount.len--;
    }

    *(ngx_str_t *) slot = mount;

    return mount.len && vault_line_is_target(&mount)
           && strpbrk((char *) mount.data, "?#%") == NULL
           ? NGX_CONF_OK : "has a mount= that is none";
}


/* "file:PATH" is read for each login, all else is a secret as any. */
static char *
set_secret_id(ngx_conf_t *cf, ngx_str_t *value, void *slot)
{
    ngx_str_t            path = *value;
    vault_agent_auth_t  *auth = slot;

    if (value->len > 5 && ngx_strncmp(value->data, "file:", 5) == 0) {
        path.data += 5;
        path.len -= 5;
        return set_file(cf, &path, &auth->file);
    }

    return vault_secret_value(cf, value, &auth->secret_id);
}


/* Parameters */

static const parameter_t  agent_parameters[] = {
    { "namespace",   set_text,   place(namespace),      0 },
    { "ca",          set_path,   place(trust.ca_file),  0 },
    { "capath",      set_path,   place(trust.ca_path),  0 },
    { "cert",        set_path,   place(trust.cert),     0 },
    { "key",         set_path,   place(trust.key),      0 },
    { "server_name", set_name,   place(trust.name),     0 },
    { "verify",      set_verify, place(trust),          0 },
    { "timeout",     set_time,   place(timeout),        0 },
    { "retries",     set_count,  place(retries),        0 },
    { "grace",       set_time,   place(grace),          0 },
    { "watch",       set_time,   place(watch),          0 },
    { "revoke",      set_switch, place(revoke),         0 },
    { NULL, NULL, 0, 0 }
};

static const parameter_t  auth_parameters[] = {
    { "mount",       set_mount,     place(auth.mount),
      bit(VAULT_AGENT_AWS)|bit(VAULT_AGENT_KUBERNETES)
      |bit(VAULT_AGENT_APPROLE) },
    { "role",        set_text,      place(auth.role),
      bit(VAULT_AGENT_AWS)|bit(VAULT_AGENT_KUBERNETES) },
    { "server_id",   set_text,      place(auth.server_id),
      bit(VAULT_AGENT_AWS) },
    { "sts_region",  set_region,    place(auth.sts_region),
      bit(VAULT_AGENT_AWS) },
    { "assume_role", set_text,      place(auth.assume_role),
      bit(VAULT_AGENT_AWS) },
    { "jwt",         set_file,      place(auth.file),
      bit(VAULT_AGENT_KUBERNETES) },
    { "role_id",     set_secret,    place(auth.role_id),
      bit(VAULT_AGENT_APPROLE) },
    { "secret_id",   set_secret_id, place(auth),
      bit(VAULT_AGENT_APPROLE) },
    { NULL, NULL, 0, 0 }
};


static const parameter_t *
find(const parameter_t *list, const ngx_str_t *text, ngx_uint_t methods)
{
    size_t  len;

    for ( /* void */ ; list->name; list++) {
        len = ngx_strlen(list->name);

        if (text->len > len + 1 && text->data[len] == '='
            && ngx_strncmp(text->data, list->name, len) == 0
            && (list->methods == 0 || (list->methods & methods)))
        {
            return list;
        }
    }

    return NULL;
}


static char *
read_parameters(ngx_conf_t *cf, const parameter_t *list, ngx_uint_t methods,
    vault_agent_settings_t *set)
{
    char               *rc;
    ngx_str_t          *text = cf->args->elts, value;
    ngx_uint_t          i;
    const parameter_t  *parameter;

    for (i = 2; i < cf->args->nelts; i++) {

        parameter = find(list, &text[i], methods);

        if (parameter == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has no use for \"%V\"", &text[0],
                               &text[i]);
            return NGX_CONF_ERROR;
        }

        value.data = text[i].data + ngx_strlen(parameter->name) + 1;
        value.len = text[i].data + text[i].len - value.data;

        rc = parameter->set(cf, &value, (char *) set + parameter->offset);

        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    return NGX_CONF_OK;
}


/* The address */

static char *
read_port(u_char *p, u_char *end, vault_agent_settings_t *set)
{
    ngx_int_t  port;

    if (p == end) {
        set->port = set->tls ? 443 : 80;
        return NGX_CONF_OK;
    }

    port = *p == ':' ? ngx_atoi(p + 1, end - p - 1) : NGX_ERROR;
    set->port = port;

    return port < 1 || port > 65535 ? "has a port that is none" : NGX_CONF_OK;
}


static char *
read_address(ngx_conf_t *cf, ngx_str_t *url, vault_agent_settings_t *set)
{
    u_char  *p, *end = url->data + url->len;

    while (end > url->data && end[-1] == '/') {
        end--;
    }

    set->name.data = url->data;
    set->name.len = end - url->data;
    set->tls = ngx_strncmp(url->data, "https://", 8) == 0;

    if (!set->tls && ngx_strncmp(url->data, "http://", 7) != 0) {
        return "wants an address as \"https://vault.example.com:8200\"";
    }

    set->address.data = url->data + (set->tls ? 8 : 7);

    if (set->address.data >= end || !vault_line_is_target(&set->name)
        || ngx_strlchr(set->address.data, end, '/')
        || ngx_strlchr(set->address.data, end, '@')
        || ngx_strlchr(set->address.data, end, '?'))
    {
        return "wants an address without path, user or query, as "
               "\"https://vault.example.com:8200\"";
    }

    p = ngx_strlchr(set->address.data, end,
                    *set->address.data == '[' ? ']' : ':');
    p = p == NULL ? end : *p == ']' ? p + 1 : p;
    set->address.len = p - set->address.data;

    return set->address.len ? read_port(p, end, set) : "has no host";
}


static void
defaults(vault_agent_settings_t *set)
{
    set->timeout = TIMEOUT;
    set->retries = RETRIES;
    set->grace = GRACE;
    set->watch = WATCH;
}


char *
vault_set_agent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                    *rc;
    ngx_str_t               *value = cf->args->elts;
    vault_loc_conf_t        *lcf = conf;
    vault_agent_settings_t  *set = &lcf->agent.settings;

    if (set->name.data || lcf->agent.proxy != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2
        && (is(&value[1], "on") || is(&value[1], "off")))
    {
        lcf->agent.proxy = is(&value[1], "on");
        return NGX_CONF_OK;
    }

    defaults(set);

    rc = read_address(cf, &value[1], set);

    if (rc == NGX_CONF_OK) {
        rc = read_parameters(cf, agent_parameters, 0, set);
    }

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    if ((set->trust.cert == NULL) != (set->trust.key == NULL)) {
        return "wants both cert= and key=, or none";
    }

    if (cf->cmd_type & NGX_HTTP_LOC_CONF) {
        lcf->agent.proxy = 1;
    }

    return NGX_CONF_OK;
}


/* The identity */

static const struct {
    const char          *name;
    vault_agent_auth_e   method;
} methods[] = {
    { "aws", VAULT_AGENT_AWS },
    { "kubernetes", VAULT_AGENT_KUBERNETES },
    { "approle", VAULT_AGENT_APPROLE },
    { "token_file", VAULT_AGENT_TOKEN_FILE },
    { NULL, 0 }
};


static char *
complete_auth(ngx_conf_t *cf, const char *name, vault_agent_auth_t *auth)
{
    ngx_str_t  jwt = ngx_string(JWT);

    if (auth->mount.len == 0) {
        auth->mount.data = (u_char *) name;
        auth->mount.len = ngx_strlen(name);
    }

    if (auth->method == VAULT_AGENT_KUBERNETES && auth->file.len == 0) {
        auth->file = jwt;
    }

    if (auth->method == VAULT_AGENT_APPROLE) {
        return auth->role_id.len ? NGX_CONF_OK : "wants role_id= for approle";
    }

    return auth->role.len ? NGX_CONF_OK : "wants role=";
}


char *
vault_set_agent_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char              *rc;
    ngx_str_t         *value = cf->args->elts;
    ngx_uint_t         i;
    vault_loc_conf_t  *lcf = conf;
    vault_agent_auth_t  *auth = &lcf->agent.settings.auth;

    if (lcf->agent.auth_set) {
        return "is duplicate";
    }

    for (i = 0; methods[i].name && !is(&value[1], methods[i].name); i++) {
        /* void */
    }

    if (methods[i].name == NULL) {
        return "wants \"aws\", \"kubernetes\", \"approle\" or \"token_file\"";
    }

    lcf->agent.auth_set = 1;
    auth->method = methods[i].method;

    if (auth->method == VAULT_AGENT_TOKEN_FILE) {
        return cf->args->nelts == 3 ? set_file(cf, &value[2], &auth->file)
                                    : "wants \"token_file PATH\"";
    }

    rc = read_parameters(cf, auth_parameters, bit(auth->method),
                         &lcf->agent.settings);

    return rc == NGX_CONF_OK ? complete_auth(cf, methods[i].name, auth) : rc;
}


/* Inheritance, and the agents themselves */

void
vault_merge_agent(vault_agent_conf_t *prev, vault_agent_conf_t *conf)
{
    vault_agent_auth_t  own = conf->settings.auth;

    ngx_conf_merge_value(conf->proxy, prev->proxy, 0);

    if (conf->settings.name.data == NULL) {
        conf->settings = prev->settings;
        conf->settings.auth = own;
    }

    if (!conf->auth_set) {
        conf->settings.auth = prev->settings.auth;
        conf->auth_set = prev->auth_set;
    }
}


static vault_agent_t *
find_agent(vault_main_conf_t *mcf, const ngx_str_t *id)
{
    ngx_uint_t      i;
    vault_agent_t  **agent = mcf->agents.elts;

    for (i = 0; i < mcf->agents.nelts; i++) {
        if (ngx_memcmp(agent[i]->id.data, id->data, id->len) == 0) {
            return agent[i];
        }
    }

    return NULL;
}


static ngx_int_t
complete(ngx_conf_t *cf, vault_main_conf_t *mcf,
    const vault_agent_conf_t *conf)
{
    if (conf->settings.name.data == NULL || !conf->auth_set) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%s\" is missing",
                           conf->auth_set ? "vault_agent https://…"
                                          : "vault_agent_auth");
        return NGX_ERROR;
    }

    if (mcf->aws == NULL) {
        mcf->aws = vault_aws_create(cf->pool);
    }

    return mcf->aws ? NGX_OK : NGX_ERROR;
}


vault_agent_t *
vault_attach_agent(ngx_conf_t *cf, const vault_agent_conf_t *conf)
{
    ngx_str_t           id;
    vault_agent_t      *agent, **slot;
    vault_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);

    if (complete(cf, mcf, conf) != NGX_OK) {
        return NULL;
    }

    id = vault_agent_id(cf, &conf->settings);
    if (id.data == NULL) {
        return NULL;
    }

    agent = find_agent(mcf, &id);

    if (agent) {
        return agent;
    }

    agent = vault_agent_create(cf, &conf->settings, mcf->aws);
    slot = agent ? ngx_array_push(&mcf->agents) : NULL;

    if (slot) {
        *slot = agent;
    }

    return slot ? agent : NULL;
}
