/*
 * "vault_agent_secret PATH FILE [format] [mode] [every=] [run=]": which secret
 * lies in which file.
 */

#include "agent.h"
#include "../net/line.h"


#define EVERY     300000              /* ms */
#define EVERY_MIN 1000
#define WORDS     32                  /* of a command */


static ngx_uint_t
is(const ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_memcmp(text->data, word, text->len) == 0;
}


/* What follows "name=", or NULL. */
static u_char *
after(const ngx_str_t *text, const char *name)
{
    size_t  len = ngx_strlen(name);

    return text->len > len && ngx_strncmp(text->data, name, len) == 0
           ? text->data + len : NULL;
}


static ngx_str_t
rest(const ngx_str_t *text, u_char *from)
{
    ngx_str_t  value;

    value.data = from;
    value.len = text->data + text->len - from;

    return value;
}


/* "secret/data/app", and what people write for it: "/v1/secret/data/app". */
static char *
read_path(ngx_str_t *value, ngx_str_t *path)
{
    *path = *value;

    if (path->len > 4 && ngx_strncmp(path->data, "/v1/", 4) == 0) {
        path->data += 4;
        path->len -= 4;
    }

    while (path->len && *path->data == '/') {
        path->data++;
        path->len--;
    }

    return path->len && vault_line_is_target(path)
           && ngx_strlchr(path->data, path->data + path->len, '#') == NULL
           ? NGX_CONF_OK : "wants the path of a secret, as secret/data/app";
}


static char *
read_mode(const ngx_str_t *text, mode_t *mode)
{
    size_t  i;

    *mode = 0;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < '0' || text->data[i] > '7' || text->len > 4) {
            return "wants a mode as 0640";
        }

        *mode = *mode * 8 + text->data[i] - '0';
    }

    return *mode & ~0777 ? "wants a mode as 0640" : NGX_CONF_OK;
}


static char *
read_every(ngx_str_t value, ngx_msec_t *every)
{
    *every = ngx_parse_time(&value, 0);

    return *every == (ngx_msec_t) NGX_ERROR || *every < EVERY_MIN
           ? "wants every= of at least 1s" : NGX_CONF_OK;
}


/* Words between spaces: no shell reads them. */
static char *
read_command(ngx_conf_t *cf, ngx_str_t value, char ***command)
{
    char        **word;
    u_char       *p, *end = value.data + value.len;
    ngx_uint_t    n = 0;

    word = ngx_pcalloc(cf->pool, (WORDS + 1) * sizeof(char *));
    if (word == NULL) {
        return NGX_CONF_ERROR;
    }

    for (p = value.data; p < end; p++) {

        if (*p == ' ') {
            *p = '\0';
            continue;
        }

        if (p == value.data || p[-1] == '\0') {
            if (n == WORDS) {
                return "wants a shorter command";
            }

            word[n++] = (char *) p;
        }
    }

    *command = word;

    return n && word[0][0] == '/' ? NGX_CONF_OK
                                  : "wants the whole path in run=";
}


static char *
read_template(ngx_conf_t *cf, ngx_str_t value, ngx_str_t *path)
{
    *path = value;

    return ngx_conf_full_name(cf->cycle, path, 1) == NGX_OK ? NGX_CONF_OK
                                                            : NGX_CONF_ERROR;
}


static char *
read_option(ngx_conf_t *cf, const ngx_str_t *text,
    vault_agent_secret_t *secret)
{
    u_char  *p;

    if (is(text, "json") || is(text, "data") || is(text, "env")) {
        secret->format = is(text, "json") ? VAULT_AGENT_JSON
                         : is(text, "data") ? VAULT_AGENT_DATA
                                            : VAULT_AGENT_ENV;
        return NGX_CONF_OK;
    }

    p = after(text, "key=");

    if (p) {
        secret->format = VAULT_AGENT_KEY;
        secret->key = rest(text, p);
        return NGX_CONF_OK;
    }

    p = after(text, "template=");

    if (p) {
        secret->format = VAULT_AGENT_TEMPLATE;
        return read_template(cf, rest(text, p), &secret->template);
    }

    p = after(text, "every=");

    if (p) {
        return read_every(rest(text, p), &secret->every);
    }

    p = after(text, "run=");

    if (p) {
        return read_command(cf, rest(text, p), &secret->command);
    }

    if (text->len && *text->data >= '0' && *text->data <= '9') {
        return read_mode(text, &secret->mode);
    }

    return "takes json, data, env, key=NAME, template=FILE, a mode as 0640, "
           "every=TIME, run=COMMAND";
}


static ngx_uint_t
is_taken(const ngx_array_t *secrets, const ngx_str_t *file)
{
    ngx_uint_t                   i;
    const vault_agent_secret_t  *secret = secrets->elts;

    for (i = 0; i < secrets->nelts; i++) {
        if (is(&secret[i].file, (char *) file->data)) {
            return 1;
        }
    }

    return 0;
}


static char *
keep(ngx_conf_t *cf, vault_loc_conf_t *lcf, const vault_agent_secret_t *made)
{
    vault_main_conf_t      *mcf;
    vault_agent_conf_t    **conf;
    vault_agent_secret_t   *secret;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);

    if (is_taken(&mcf->secrets, &made->file)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "two secrets have the same file \"%V\": give one "
                           "of them another", &made->file);
        return NGX_CONF_ERROR;
    }

    secret = ngx_array_push(&mcf->secrets);
    conf = ngx_array_push(&mcf->secret_confs);

    if (secret == NULL || conf == NULL) {
        return NGX_CONF_ERROR;
    }

    *secret = *made;
    *conf = &lcf->agent;

    return NGX_CONF_OK;
}


char *
vault_set_agent_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                  *rc;
    ngx_str_t             *value = cf->args->elts;
    ngx_uint_t             i;
    vault_agent_secret_t   secret;

    ngx_memzero(&secret, sizeof(vault_agent_secret_t));
    secret.mode = 0600;
    secret.every = EVERY;
    secret.file = value[2];

    rc = read_path(&value[1], &secret.path);

    if (ngx_conf_full_name(cf->cycle, &secret.file, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 3; rc == NGX_CONF_OK && i < cf->args->nelts; i++) {
        rc = read_option(cf, &value[i], &secret);
    }

    return rc == NGX_CONF_OK ? keep(cf, conf, &secret) : rc;
}


/* After merging: the agents of the levels that the secrets stand at. */
ngx_int_t
vault_attach_secrets(ngx_conf_t *cf, vault_main_conf_t *mcf)
{
    ngx_uint_t              i;
    vault_agent_conf_t    **conf = mcf->secret_confs.elts;
    vault_agent_secret_t   *secret = mcf->secrets.elts;

    for (i = 0; i < mcf->secrets.nelts; i++) {
        if (secret[i].agent == NULL) {
            secret[i].agent = vault_attach_agent(cf, conf[i]);
        }

        if (secret[i].agent == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
