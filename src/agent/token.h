/*
 * token - the memory of a token that all workers share, for agent.c and
 * token.c alone.
 *
 * Why:    one login serves all workers and survives a reload.
 * Owns:   a zone of nginx's that no core dump contains.
 * Fails:  while it is made, with a line in the log.
 * Waits:  never.
 */

#ifndef VAULT_AGENT_TOKEN_H
#define VAULT_AGENT_TOKEN_H

#include "auth.h"
#include "../run/waiters.h"


#define VAULT_AGENT_KEY      128      /* bytes of an access key */
#define VAULT_AGENT_TROUBLE  512

/* Times are ms by the wall clock: it goes on in a process that is frozen. */
typedef struct {
    ngx_uint_t       serial;          /* of the token; 0: never any */
    size_t           len;             /* 0: none that is good */
    u_char           text[VAULT_AGENT_TOKEN];
    u_char           key[VAULT_AGENT_KEY];
    size_t           key_len;

    int64_t          made_at;         /* by a login */
    int64_t          expires_at;      /* 0: never */
    int64_t          renew_at;        /* 0: never */
    int64_t          life;            /* as the login gave it */
    ngx_uint_t       renewable;

    ngx_pid_t        busy;            /* who logs in or renews */
    int64_t          busy_until;
    int64_t          retry_at;        /* not before then */
    ngx_uint_t       failed;          /* times, since the last success */
    int64_t          refused_at;      /* when a token was last dropped */
    int64_t          refused_pause;   /* and how long the next one is kept */

    u_char           trouble[VAULT_AGENT_TROUBLE];
    size_t           trouble_len;

    ngx_uint_t       logins;
    ngx_uint_t       renewals;
    ngx_uint_t       failures;
} vault_agent_shared_t;

struct vault_agent_token_s {
    vault_agent_t         *agent;
    vault_agent_shared_t  *shared;
    ngx_shmtx_t           *mutex;
    ngx_str_t              name;      /* of the zone */
    void                  *early;     /* memory before there was a zone */

    /* of this worker */
    vault_waiters_t        waiters;
    ngx_event_t            timer;
    unsigned               trying:1;
};

/* When the configuration is read: the zone. */
ngx_int_t vault_agent_zone(ngx_conf_t *cf, vault_agent_t *agent);

/*
 * While the configuration is read: the zone of the last one if it was there,
 * or else memory that is shared with children, until there is a zone.
 */
ngx_int_t vault_agent_early(ngx_conf_t *cf, vault_agent_t *agent);

/* For the cleanup of a pool: an ngx_str_t that is secret. */
void vault_agent_wipe_text(void *data);

/* Which token it is now. */
ngx_uint_t vault_agent_serial(vault_agent_t *agent);

/* Forgets token `serial`, if it is still the one. */
void vault_agent_drop(vault_agent_t *agent, ngx_uint_t serial);

/* Starts what the token needs, in the background, if it needs anything. */
void vault_agent_tend(vault_agent_t *agent);


#endif
