/*
 * auth - the ways to log in, a file each, for token.c alone.
 *
 * Why:    what the platform proves differs; what comes of it is a token.
 * Use:    vault_agent_login().  A new method is a file auth_<name>.c, a line
 *         in the table of auth.c and its parameters in module/agent.c.
 * Owns:   the grant lives in the request's pool and is wiped with it.
 * Fails:  NGX_ERROR after one line in the log with its remedy; *why has the
 *         words for the caller.
 * Waits:  everything here awaits.
 */

#ifndef VAULT_AGENT_AUTH_H
#define VAULT_AGENT_AUTH_H

#include "../aws/sigv4.h"
#include "agent.h"


#define VAULT_AGENT_TOKEN  8192       /* bytes of the longest token */

/* What a login brings. */
typedef struct {
    ngx_str_t   token;
    int64_t     life;                 /* ms; 0: it never ends */
    ngx_uint_t  renewable;
    ngx_str_t   key;                  /* aws: the access key it was made with;
                                         not secret */
} vault_agent_grant_t;

ngx_int_t vault_agent_login(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why);

/* What to do about a node that has answered `status`; NULL: nothing special. */
const char *vault_agent_node_remedy(ngx_uint_t status);

/* Prolongs `token`, which was given for `life` ms. */
ngx_int_t vault_agent_renew(vault_request_t *vr, vault_agent_t *agent,
    const ngx_str_t *token, int64_t life, vault_agent_grant_t *grant,
    ngx_uint_t *status);


/* For the files of the methods */

typedef ngx_int_t (*vault_agent_login_pt)(vault_request_t *vr,
    vault_agent_t *agent, vault_agent_grant_t *grant, ngx_str_t *why);

ngx_int_t vault_agent_login_aws(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why);
ngx_int_t vault_agent_login_kubernetes(vault_request_t *vr,
    vault_agent_t *agent, vault_agent_grant_t *grant, ngx_str_t *why);
ngx_int_t vault_agent_login_approle(vault_request_t *vr,
    vault_agent_t *agent, vault_agent_grant_t *grant, ngx_str_t *why);
ngx_int_t vault_agent_login_file(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why);

/* Whether it may stand in a header, and is not too long. */
ngx_uint_t vault_agent_is_token(const ngx_str_t *token);

/* PUT auth/<mount>/login, and what it answers. */
ngx_int_t vault_agent_login_call(vault_request_t *vr, vault_agent_t *agent,
    ngx_str_t *body, vault_agent_grant_t *grant, ngx_str_t *why,
    vault_http_answer_t *answer);

/* One line in the log, and the same as the trouble.  NGX_ERROR. */
ngx_int_t vault_agent_failed(vault_request_t *vr, vault_agent_t *agent,
    ngx_str_t *why, const char *fmt, ...);

/* A file's text, read in a thread; NGX_ERROR after vault_agent_failed(). */
ngx_int_t vault_agent_read(vault_request_t *vr, vault_agent_t *agent,
    const ngx_str_t *path, ngx_str_t *text, ngx_str_t *why);

/* auth_aws.c: the body of a login, of these keys at this time. */
ngx_int_t vault_agent_aws_body(ngx_pool_t *pool,
    const vault_agent_auth_t *auth, const ngx_str_t *region,
    const vault_aws_keys_t *keys, int64_t now, ngx_str_t *body);


#endif
