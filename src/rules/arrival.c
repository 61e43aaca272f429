/*
 * arrival - somebody signs in on a device that was never used before.
 */

#include "arrival.h"
#include "proof.h"
#include "../model/account.h"


#define YOUNG  (24 * 3600 * (int64_t) 1000)    /* of an account, ms */


typedef struct {
    const vault_device_t  *device;
    const vault_outbox_t  *mail;
} save_t;


void
vault_arrival(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *identifier, vault_arrival_t *arrival)
{
    arrival->user = user;
    arrival->identifier = *identifier;
    arrival->known = 1;
    arrival->first = 0;

    if (vault_mailer_enabled(vr)) {
        arrival->first = vault_device_count(vr, &user->id, identifier,
                                            &arrival->known)
                         == 0;
    }
}


static ngx_uint_t
is_young(const vault_user_t *user)
{
    return vault_now() - user->created_at < YOUNG;
}


ngx_uint_t
vault_arrival_needs_code(const vault_arrival_t *arrival)
{
    return arrival->user->verify_devices
           && !arrival->user->two_step
           && !arrival->known
           && !arrival->first
           && !is_young(arrival->user);
}


void
vault_arrival_send_code(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *identifier)
{
    /* too many: the last one is still good */

    (void) vault_proof_send_code(vr, &vault_proof_new_device, user,
                                 identifier, "new-device-code",
                                 &user->email);
}


/* Only who has been asked for one may want another. */

void
vault_arrival_send_code_again(vault_request_t *vr, vault_user_t *user,
    const ngx_str_t *identifier)
{
    ngx_str_t      purpose;
    vault_proof_t  last;

    purpose.data = (u_char *) vault_proof_new_device.purpose;
    purpose.len = ngx_strlen(purpose.data);

    if (vault_proof_find_last(vr, &user->id, &purpose, &last)) {
        vault_arrival_send_code(vr, user,
                                identifier->len ? identifier : &last.subject);
    }
}


ngx_uint_t
vault_arrival_take_code(vault_request_t *vr, const vault_arrival_t *arrival,
    const ngx_str_t *code)
{
    vault_user_t    *user = arrival->user;
    vault_proof_t    proof;
    vault_change_t  *change;

    if (!vault_proof_check(vr, &vault_proof_new_device, user,
                           &arrival->identifier, code, &proof))
    {
        return 0;
    }

    if (user->email_verified) {
        return vault_proof_delete(vr, &proof);
    }

    change = vault_change(vr, user);
    vault_proof_delete_add(change, &proof);
    vault_change_refuse(change, NGX_HTTP_BAD_REQUEST, "Invalid token");
    vault_account_verify_add(change);
    vault_change_commit(change);

    user->email_verified = 1;

    return 1;
}


static void
save_apply(vault_request_t *vr, void *data)
{
    save_t  *save = data;

    vault_device_save(vr, save->device);
    vault_outbox_insert(vr, save->mail);
}


/* Nobody is told of the login right after the registration. */

void
vault_arrival_save(vault_request_t *vr, const vault_arrival_t *arrival,
    const vault_device_t *device)
{
    save_t           save;
    ngx_keyval_t     vars[3];
    vault_mailer_t   mail;
    vault_outbox_t   row;

    if (arrival->known || (arrival->first && is_young(arrival->user))) {
        vault_device_save(vr, device);
        return;
    }

    vault_mailer_login(vr, device->type, device->created_at, vars);

    ngx_memzero(&mail, sizeof(vault_mailer_t));
    mail.template = "new-device";
    mail.to = arrival->user->email;
    mail.unproved = !arrival->user->email_verified;
    mail.vars = vars;
    mail.nvars = 3;

    if (!vault_mailer_write(vr, &mail, &row)) {
        vault_device_save(vr, device);
        return;
    }

    save.device = device;
    save.mail = &row;
    vault_db_transaction(vr, save_apply, &save);
}
