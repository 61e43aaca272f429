/*
 * agent - this server's side of a HashiCorp Vault or OpenBao: one identity,
 * one token for all workers, and calls made with it.
 *
 * Why:    a function or a server proves who it is by what its platform gives
 *         it; no token is ever configured, written down or logged.
 * Use:    vault_agent_token() on the main stack or vault_agent_wait() in a
 *         coroutine, then send it as X-Vault-Token; or vault_agent_call(),
 *         which does that, and tries again what may be tried again.  After a
 *         403: vault_agent_refused(), then once more with the token that is
 *         given then.
 * Owns:   the token lies in shared memory that no core dump contains; what is
 *         given is a copy in the request's pool, wiped with it.
 * Fails:  NGX_ERROR with one line in the log that names the remedy, and
 *         vault_agent_trouble() for the caller's own answer.
 * Waits:  vault_agent_wait() and vault_agent_call() await; a login is made
 *         once for all workers, and whoever comes meanwhile waits for it.
 *
 * Source: hashicorp/vault-lambda-extension (behaviour), the HTTP API of Vault.
 */

#ifndef VAULT_AGENT_AGENT_H
#define VAULT_AGENT_AGENT_H

#include "../net/upstream.h"
#include "../run/request.h"


typedef enum {
    VAULT_AGENT_AWS = 0,
    VAULT_AGENT_KUBERNETES,
    VAULT_AGENT_APPROLE,
    VAULT_AGENT_TOKEN_FILE
} vault_agent_auth_e;

/* How to log in: "vault_agent_auth".  Unused texts are empty. */
typedef struct {
    vault_agent_auth_e   method;
    ngx_str_t            mount;       /* "aws": auth/aws/login */
    ngx_str_t            role;

    ngx_str_t            server_id;   /* aws: X-Vault-AWS-IAM-Server-ID */
    ngx_str_t            sts_region;  /* aws; empty: that of the credentials */
    ngx_str_t            assume_role; /* aws: ARN, asked of STS before */

    ngx_str_t            file;        /* kubernetes: JWT; approle: secret id;
                                         token_file: the token.  Read anew for
                                         each login */
    ngx_str_t            role_id;     /* approle */
    ngx_str_t            secret_id;   /* approle, if it is in no file */
} vault_agent_auth_t;

/* What the directives say of a Vault: "vault_agent" and its parameters. */
typedef struct {
    ngx_str_t             name;       /* for the log: "https://host:port" */
    ngx_str_t             address;    /* name or address, without a port */
    in_port_t             port;
    ngx_uint_t            tls;
    vault_upstream_tls_t  trust;
    ngx_str_t             namespace;  /* X-Vault-Namespace; or empty */

    ngx_msec_t            timeout;    /* of a call, ms */
    ngx_uint_t            retries;    /* of what may be repeated */
    ngx_msec_t            grace;      /* a token is not used when it has less
                                         to live */
    ngx_msec_t            watch;      /* between two looks at a value of the
                                         configuration */
    ngx_uint_t            revoke;     /* the token, when nginx ends */

    vault_agent_auth_t    auth;
} vault_agent_settings_t;

typedef struct vault_agent_token_s  vault_agent_token_t;  /* shared memory */

#define VAULT_AGENT_REMARKS  5

/* One Vault as one identity, of one or more locations. */
typedef struct {
    vault_conf_t            conf;     /* of its tasks: deadline, aws */
    vault_agent_settings_t  settings;
    ngx_str_t               host;     /* as in the Host header */
    ngx_str_t               id;       /* of address and identity, in hex */
    vault_upstream_t       *up;
    vault_agent_token_t    *token;
    time_t                  remarked[VAULT_AGENT_REMARKS];  /* by a worker */
} vault_agent_t;


/*
 * A token that is good now, copied to `pool`: NGX_OK; NGX_AGAIN if it takes a
 * login first.  *serial names the token without telling it.
 */
ngx_int_t vault_agent_token(vault_agent_t *agent, ngx_pool_t *pool,
    ngx_str_t *token, ngx_uint_t *serial);

/* The same; awaits the login.  NGX_OK or NGX_ERROR. */
ngx_int_t vault_agent_wait(vault_request_t *vr, vault_agent_t *agent,
    ngx_str_t *token, ngx_uint_t *serial);

/*
 * Vault has answered 403 "permission denied" to token `serial`: if it is still
 * the one in use, the next who asks logs in.  NGX_OK if another try is worth
 * it, NGX_DECLINED if the token was made by a login of the last seconds: then
 * the policy says no, and not the token.
 */
ngx_int_t vault_agent_refused(vault_agent_t *agent, ngx_uint_t serial);

/* What the last login failed with; empty if it did not.  In `pool`. */
ngx_str_t vault_agent_trouble(vault_agent_t *agent, ngx_pool_t *pool);


typedef struct {
    const char          *method;      /* GET, PUT, LIST, … */
    ngx_str_t            path;        /* "/v1/secret/data/x?version=2" */
    ngx_str_t            body;        /* JSON; data NULL: none */
    const ngx_keyval_t  *headers;     /* besides token, namespace and
                                         X-Vault-Request */
    ngx_uint_t           nheaders;
    const ngx_str_t     *namespace;   /* NULL: the agent's */
    size_t               max;         /* bytes of an answer; 0: 1 MiB */
    ngx_uint_t          *serial;      /* gets that of the token, 0: there was
                                         none; or NULL */
    unsigned             anonymous:1; /* no token: logins */
} vault_agent_call_t;

/*
 * Asks Vault: any status is an answer and NGX_OK, also 403 after the one new
 * login that it was worth.  Connection errors, 412 and 5xx but 501 are tried
 * agent->retries times if the method may be repeated.  Awaits.
 */
ngx_int_t vault_agent_call(vault_request_t *vr, vault_agent_t *agent,
    const vault_agent_call_t *call, vault_http_answer_t *answer);


/* For the status page and the tests. */
typedef struct {
    ngx_uint_t           logins;
    ngx_uint_t           renewals;
    ngx_uint_t           failures;
    int64_t              since;       /* ms; when the token was made; 0: none */
    int64_t              expires_at;  /* ms; 0: never, or none */
} vault_agent_stats_t;

void vault_agent_stats(vault_agent_t *agent, vault_agent_stats_t *stats);


/*
 * Configuration and life.  The same address and identity share a token; the
 * caller sees to it that they share the agent.
 */

/* What tells an agent from others: hex, in cf->pool.  Data NULL: no memory. */
ngx_str_t vault_agent_id(ngx_conf_t *cf, const vault_agent_settings_t *set);

/* NULL after having logged why. */
vault_agent_t *vault_agent_create(ngx_conf_t *cf,
    const vault_agent_settings_t *set, vault_aws_t *aws);

/* In each worker: the token is had from now on, and kept fresh. */
ngx_int_t vault_agent_start(vault_agent_t *agent, ngx_cycle_t *cycle);
void vault_agent_stop(vault_agent_t *agent);

/* In the last process: no trace of the token stays. */
void vault_agent_wipe(vault_agent_t *agent);

/* The same in the master, after having revoked the token if that is wished:
   it blocks, for 2 s at most. */
void vault_agent_end(vault_agent_t *agent, ngx_cycle_t *cycle);

/* Gives the token back to Vault, if there is one.  Awaits. */
void vault_agent_revoke(vault_request_t *vr, vault_agent_t *agent);

/*
 * After a restore from a snapshot: the token may be others' too.  It is
 * dropped if the wall clock has gone back, or if the keys of AWS that it was
 * made with are no longer ours.  Awaits.
 */
void vault_agent_restored(vault_request_t *vr, vault_agent_t *agent);


#endif
