/*
 * flight - one fetch of one answer for all of this worker who ask for it.
 *
 * Why:    hundreds who ask at once for what is not there make one request.
 * Use:    vault_agent_flight() with somebody who waits, or with nobody: then
 *         it is a refresh.
 * Owns:   an outcome lives until everybody was told of it, and is wiped.
 * Fails:  NGX_ERROR if none can be started.
 * Waits:  never; the fetch is a task.  A flight ends also when nobody waits
 *         any more, for others will ask.
 */

#ifndef VAULT_AGENT_FLIGHT_H
#define VAULT_AGENT_FLIGHT_H

#include "cache.h"


typedef struct {
    ngx_uint_t   status;              /* 0: there was no answer */
    ngx_str_t    type;
    ngx_str_t    body;
    const char  *error;
    unsigned     too_large:1;         /* to be kept */
    unsigned     tokenless:1;         /* Vault could not be asked */
} vault_agent_outcome_t;

typedef struct vault_agent_passenger_s  vault_agent_passenger_t;

struct vault_agent_passenger_s {
    ngx_queue_t  queue;               /* to get off: remove it */
    void       (*land)(vault_agent_passenger_t *passenger,
                       const vault_agent_outcome_t *outcome);
};

/*
 * `method` must last; the other texts are copied.  Joins the flight of this
 * key to the same store that is under way, if there is one.
 */
ngx_int_t vault_agent_flight(vault_agent_proxy_t *proxy,
    const vault_agent_key_t *key, const char *method, const ngx_str_t *path,
    const ngx_str_t *namespace, vault_agent_passenger_t *passenger);


#endif
