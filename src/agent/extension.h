/*
 * extension - this nginx as an extension of AWS Lambda.
 *
 * Why:    a function that begins when its secrets are there, and ends when
 *         they are not, needs no code for either.
 * Use:    vault_extension_start() in the one process of an nginx with
 *         "master_process off": Lambda wants one to ask for events.
 * Owns:   nothing but what Lambda calls it.
 * Fails:  what keeps it from starting is told to Lambda (init/error), and to
 *         the log in one line; then the process ends with 1.
 * Waits:  tasks do.
 *
 * All is ready, files and the listening socket, before it registers, since
 * Lambda starts the function as soon as all have.  Between events the process
 * may be frozen for hours.
 *
 * Source: AWS Lambda Extensions API, 2020-01-01.
 */

#ifndef VAULT_AGENT_EXTENSION_H
#define VAULT_AGENT_EXTENSION_H

#include "secret.h"


#define VAULT_EXTENSION_ID   128      /* bytes */
#define VAULT_EXTENSION_WHY  512

typedef struct {
    vault_conf_t   conf;              /* of its tasks: aws */
    ngx_str_t      name;              /* of the file in /opt/extensions;
                                         empty: it is none */
    ngx_str_t      api;               /* host:port */
    ngx_array_t   *agents;            /* of vault_agent_t * */
    ngx_array_t   *secrets;           /* of vault_agent_secret_t */

    /* of the process */
    ngx_uint_t     step;
    ngx_str_t      waits_for;         /* in words */
    u_char         id[VAULT_EXTENSION_ID];
    size_t         id_len;
    const char    *trouble;           /* its type; NULL: none */
    u_char         why[VAULT_EXTENSION_WHY];
    size_t         why_len;
    ngx_uint_t     failures;          /* of asking for an event, in a row */
    unsigned       done:1;            /* the step is */
    unsigned       busy:1;            /* something goes on beside it */
    unsigned       ending:1;          /* tokens are given back */
} vault_extension_t;


ngx_int_t vault_extension_start(vault_extension_t *ext,
    ngx_cycle_t *cycle);


#endif
