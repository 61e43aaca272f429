/*
 * secret_part - what secret.c and secret_text.c share.
 */

#ifndef VAULT_AGENT_SECRET_PART_H
#define VAULT_AGENT_SECRET_PART_H

#include "../run/command.h"
#include "file.h"
#include "secret.h"


#define VAULT_AGENT_COMMAND  30000    /* ms that a command may take */

/* What the file is to have, in a pool that is wiped when the task ends. */
typedef struct {
    ngx_pool_t  *pool;
    ngx_str_t    text;
    ngx_str_t    lease_id;            /* of the secret itself */
    int64_t      lease;               /* ms: the shortest of all; 0: none */
    ngx_uint_t   renewable;
    ngx_uint_t   serial;              /* of the first token with a lease */
} vault_agent_text_t;

/* NULL after having told why.  Awaits. */
vault_agent_text_t *vault_agent_text_read(vault_request_t *vr,
    vault_agent_secret_t *secret);

/* The ms that the lease has then; 0: it could not be renewed.  Awaits. */
int64_t vault_agent_lease_renew(vault_request_t *vr,
    vault_agent_secret_t *secret);

/* One line in the log, if it is a new one.  NGX_ERROR. */
ngx_int_t vault_agent_trouble_with(vault_request_t *vr,
    vault_agent_secret_t *secret, const char *fmt, ...);


#endif
