/*
 * extension_part - what extension.c and extension_event.c share.
 */

#ifndef VAULT_AGENT_EXTENSION_PART_H
#define VAULT_AGENT_EXTENSION_PART_H

#include "../net/http.h"
#include "extension.h"


#define SECOND    1000                /* ms */
#define REGISTER  (1 * SECOND)

/* The Extensions API; `header` besides its own.  Awaits. */
ngx_int_t vault_extension_ask(vault_request_t *vr, vault_extension_t *ext,
    const char *method, const char *path, const ngx_keyval_t *header,
    const ngx_str_t *body, ngx_msec_t total, vault_http_answer_t *answer);

/* One event.  Awaits. */
void vault_extension_serve(vault_request_t *vr, vault_extension_t *ext);

/* SIGTERM is as good as SHUTDOWN from now on. */
ngx_int_t vault_extension_signals(vault_extension_t *ext, ngx_cycle_t *cycle);

/* Ends the process; does not return if it has failed. */
void vault_extension_quit(vault_extension_t *ext, ngx_uint_t failed);


#endif
