/*
 * Again, or elsewhere.
 */

#include "../net/line.h"
#include "again.h"


#define PAUSE      200                /* ms before the second try; doubles */
#define PAUSE_MAX  2000
#define TOLD       200                /* bytes of a Location, in the log */
#define QUIET      60                 /* seconds between two equal remarks */

typedef struct {
    ngx_uint_t   status;
    const char  *text;
} remark_t;

static const remark_t  remarks[VAULT_AGENT_REMARKS] = {
    { 0,   "an answer was cut off; is it restarted, or is \"timeout=\" of "
           "\"vault_agent\" too short?" },
    { 403, "answers 403; does a policy of the role allow what is asked?" },
    { 429, "answers 429: a standby, or a quota; is \"vault_agent\" the active "
           "node, and is the quota enough?" },
    { 473, "answers 473: a standby that answers nothing; is \"vault_agent\" "
           "the active node?" },
    { 503, "answers 503: it is sealed, or not ready; it is to be unsealed" },
};


ngx_uint_t
vault_agent_passes(ngx_uint_t status)
{
    return status == 412 || status == 429
           || (status >= 500 && status != NGX_HTTP_NOT_IMPLEMENTED);
}


ngx_uint_t
vault_agent_sends_on(ngx_uint_t status)
{
    return status == 307 || status == 308;
}


ngx_msec_t
vault_agent_pause(ngx_uint_t n)
{
    ngx_msec_t  ms;

    ms = ngx_min(PAUSE << ngx_min(n, 8), PAUSE_MAX);

    return ms + ngx_random() % (ms / 2 + 1);
}


static ngx_int_t
read_port(u_char *p, u_char *end, ngx_uint_t tls, in_port_t *port)
{
    ngx_int_t  n;

    n = p == end ? (tls ? 443 : 80)
                 : *p == ':' ? ngx_atoi(p + 1, end - p - 1) : NGX_ERROR;

    if (n < 1 || n > 65535) {
        return NGX_ERROR;
    }

    *port = n;

    return NGX_OK;
}


/* The host and port of a URL of our scheme and path, or NGX_DECLINED. */
static ngx_int_t
read_location(const vault_agent_t *agent, const ngx_str_t *path,
    const ngx_str_t *url, ngx_str_t *name, in_port_t *port)
{
    u_char      *p, *slash, *end;
    const char  *scheme;

    scheme = agent->settings.tls ? "https://" : "http://";
    end = url->data + url->len;

    if (url->len <= ngx_strlen(scheme) || !vault_line_is_target(url)
        || ngx_strncmp(url->data, scheme, ngx_strlen(scheme)) != 0)
    {
        return NGX_DECLINED;
    }

    name->data = url->data + ngx_strlen(scheme);
    slash = ngx_strlchr(name->data, end, '/');

    if (slash == NULL || (size_t) (end - slash) != path->len
        || ngx_memcmp(slash, path->data, path->len) != 0
        || ngx_strlchr(name->data, slash, '@'))
    {
        return NGX_DECLINED;
    }

    p = ngx_strlchr(name->data, slash, *name->data == '[' ? ']' : ':');
    p = p == NULL ? slash : *name->data == '[' ? p + 1 : p;
    name->len = p - name->data;

    return name->len && read_port(p, slash, agent->settings.tls, port)
                        == NGX_OK
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
write_host(ngx_pool_t *pool, const ngx_str_t *name, in_port_t port,
    ngx_str_t *host)
{
    host->data = ngx_pnalloc(pool, name->len + 8);
    if (host->data == NULL) {
        return NGX_ERROR;
    }

    host->len = ngx_sprintf(host->data, "%V:%ui", name, (ngx_uint_t) port)
                - host->data;

    return NGX_OK;
}


/* Without controls, and not all of it. */
static void
complain(const vault_agent_t *agent, const ngx_str_t *url)
{
    size_t  i, len;
    u_char  told[TOLD];

    len = ngx_min(url->len, TOLD);

    for (i = 0; i < len; i++) {
        told[i] = url->data[i] > ' ' && url->data[i] < 0x7f ? url->data[i]
                                                            : '?';
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "vault agent: %V: a standby sends to \"%*s\", which is not "
                  "followed; set its api_addr, or give the address of the "
                  "active node", &agent->settings.name, len, told);
}


vault_upstream_t *
vault_agent_follow(vault_agent_t *agent, ngx_pool_t *pool,
    const ngx_str_t *path, const ngx_str_t *location, ngx_str_t *host)
{
    in_port_t          port;
    ngx_str_t          name;
    vault_upstream_t  *up;

    up = read_location(agent, path, location, &name, &port) == NGX_OK
         ? vault_upstream_sibling(agent->up, &name, port) : NULL;

    if (up == NULL) {
        complain(agent, location);
        return NULL;
    }

    return write_host(pool, &name, port, host) == NGX_OK ? up : NULL;
}


void
vault_agent_remark(vault_agent_t *agent, ngx_uint_t status)
{
    time_t      now;
    ngx_uint_t  i;

    now = ngx_time();

    for (i = 0; i < VAULT_AGENT_REMARKS; i++) {
        if (remarks[i].status == status
            && (now >= agent->remarked[i] + QUIET
                || now < agent->remarked[i]))
        {
            agent->remarked[i] = now;
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "vault agent: %V: %s", &agent->settings.name,
                          remarks[i].text);
        }
    }
}
