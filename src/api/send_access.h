/*
 * send_access - the grant send_access of /identity/connect/token.
 *
 * Use:    from the table of grants in connect.c.
 * Fails:  with OAuth's shape of an error.
 * Waits:  awaits.
 */

#ifndef VAULT_API_SEND_ACCESS_H
#define VAULT_API_SEND_ACCESS_H

#include "../run/request.h"


/* A token for the receiver of one Send. */
void vault_send_grant(vault_request_t *vr);


#endif
