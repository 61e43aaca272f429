/*
 * arrival - somebody signs in on a device that was never used before.
 *
 * Why:    who knows a password only is stopped by a code by mail, and the
 *         owner hears of each new device.
 * Use:    vault_arrival() after the password was right and before anything is
 *         given; vault_arrival_save() instead of vault_device_save().
 * Fails:  as proof.h.
 * Waits:  all *await*; where no mail is sent, vault_arrival() asks nothing.
 * See:    bitwarden/server DeviceValidator.cs
 */

#ifndef VAULT_RULES_ARRIVAL_H
#define VAULT_RULES_ARRIVAL_H

#include "../model/device.h"
#include "../model/user.h"


typedef struct {
    vault_user_t  *user;
    ngx_str_t      identifier;        /* of the device */
    ngx_uint_t     known;             /* it has signed in before */
    ngx_uint_t     first;             /* the account's first device */
} vault_arrival_t;

/* Fills all but what is said. */
void vault_arrival(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *identifier, vault_arrival_t *arrival);

/*
 * Must it show a code?  Not if the user does not want that, in an account of
 * less than a day, on its first device or on one that is known.  A second
 * factor, where there is one, takes the place of this.
 */
ngx_uint_t vault_arrival_needs_code(const vault_arrival_t *arrival);

/* Mails it. */
void vault_arrival_send_code(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *identifier);

/* The same again, to somebody whose device we may not know: any of them. */
void vault_arrival_send_code_again(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *identifier);

/* 1 if `code` is the one; it is used up, and the address proved. */
ngx_uint_t vault_arrival_take_code(vault_request_t *vr,
    const vault_arrival_t *arrival, const ngx_str_t *code);

/* Saves the device and tells the owner of one that is new. */
void vault_arrival_save(vault_request_t *vr, const vault_arrival_t *arrival,
    const vault_device_t *device);


#endif
