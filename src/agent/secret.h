/*
 * secret - a secret of the Vault in a file, kept as the Vault has it.
 *
 * Why:    programs read files, and know no Vault.
 * Use:    "vault_agent_secret" fills one; vault_agent_secrets_start() in the
 *         one worker that writes.  vault_agent_secrets_tend() starts what is
 *         due, after a freeze say.
 * Owns:   the file's text is in memory only while it is written, and wiped.
 * Fails:  one line in the log for each new trouble, with its remedy; the file
 *         stays as it was, and another try follows.
 * Waits:  never; tasks do the work.
 *
 * What has no lease is read each `every`; what has one is renewed at two
 * thirds of it, and read anew if that gains little, or if the token is another:
 * leases end with the token that they were given to.  When a value of the
 * configuration has changed, nginx is to reload.
 */

#ifndef VAULT_AGENT_SECRET_H
#define VAULT_AGENT_SECRET_H

#include "agent.h"
#include "format.h"


#define VAULT_AGENT_LEASE  512        /* bytes of a lease's name */

typedef enum {
    VAULT_AGENT_PENDING = 0,          /* not yet written */
    VAULT_AGENT_READY,
    VAULT_AGENT_FAILED                /* the last try did; it may be there */
} vault_agent_state_e;

typedef struct {
    vault_agent_t         *agent;
    ngx_str_t              path;      /* "secret/data/app" */
    ngx_str_t              file;      /* ends with NUL; empty: a value of the
                                         configuration, which is watched */
    mode_t                 mode;
    vault_agent_format_e   format;
    ngx_str_t              key;       /* of VAULT_AGENT_KEY */
    ngx_str_t              template;  /* the file of it */
    ngx_msec_t             every;
    char                 **command;   /* after a change; or NULL */
    ngx_str_t              value;     /* of the configuration; else empty */

    /* of the worker that writes */
    vault_agent_state_e    state;
    ngx_uint_t             written;   /* it was, by this process */
    ngx_uint_t             busy;
    ngx_uint_t             failures;
    u_char                 trouble[32];  /* digest of the last that was told */
    int64_t                next_at;   /* ms by the wall clock */

    u_char                 digest[32];  /* of a value */

    u_char                 lease_id[VAULT_AGENT_LEASE];
    size_t                 lease_len; /* 0: none */
    int64_t                lease;     /* ms, as it was given */
    ngx_uint_t             renewable;
    ngx_uint_t             serial;    /* of the token it was given to */
} vault_agent_secret_t;

/* `secrets`: an array of vault_agent_secret_t that lives as the cycle does. */
ngx_int_t vault_agent_secrets_start(ngx_array_t *secrets, ngx_cycle_t *cycle);
void vault_agent_secrets_stop(void);

void vault_agent_secrets_tend(ngx_array_t *secrets);

/* READY if all are, FAILED if one has, else PENDING. */
vault_agent_state_e vault_agent_secrets_state(ngx_array_t *secrets);


#endif
