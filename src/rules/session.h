/*
 * session - who is calling: set by the guard, read by endpoints.
 */

#ifndef VAULT_RULES_SESSION_H
#define VAULT_RULES_SESSION_H

#include "../model/user.h"
#include "../model/device.h"


struct vault_session_s {
    vault_user_t    user;
    vault_device_t  device;
};

#define vault_me(vr)  (&(vr)->session->user)


#endif
