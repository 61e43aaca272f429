/*
 * session - who is calling: set by the guard, read by endpoints.
 *
 * Why:    an access token names a user, a device and the security stamp that
 *         it was given under; the session exists while all three still match
 *         the database, so a new stamp or a deleted device ends it at once.
 * Owns:   everything in it is memory of the request.
 * Waits:  both find functions await; one query each.
 */

#ifndef VAULT_RULES_SESSION_H
#define VAULT_RULES_SESSION_H

#include "../model/user.h"
#include "../model/device.h"


struct vault_session_s {
    vault_user_t    user;
    vault_device_t  device;           /* of it only: id, user_id, identifier,
                                         type, name, seen_at, and what belongs
                                         to the refresh token */
};

#define vault_me(vr)  (&(vr)->session->user)


/* NULL unless user, device and stamp are what they were. */
vault_session_t *vault_session_find(vault_request_t *vr,
    const ngx_str_t *user_id, const ngx_str_t *identifier,
    const ngx_str_t *stamp);

/* The session that a refresh token (its hash) may go on with, or NULL. */
vault_session_t *vault_session_find_refresh(vault_request_t *vr,
    const ngx_str_t *refresh_hash);


#endif
