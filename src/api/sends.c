/*
 * Sends, for those who make them.  What receivers see is send_access.c; a
 * Send's file comes in by send_files.c.
 */

#include "../run/route.h"
#include "../model/id.h"
#include "../rules/session.h"
#include "../rules/upload.h"
#include "send_form.h"


static void  sends_list(vault_request_t *vr);
static void  sends_get(vault_request_t *vr);
static void  sends_create(vault_request_t *vr);
static void  sends_update(vault_request_t *vr);
static void  sends_delete_password(vault_request_t *vr);
static void  sends_delete(vault_request_t *vr);


const vault_route_t  vault_sends_routes[] = {
    { GET,    "/api/sends",        sends_list,   VAULT_USER },
    { POST,   "/api/sends",        sends_create, VAULT_USER },
    { GET,    "/api/sends/{uuid}", sends_get,    VAULT_USER },
    { PUT,    "/api/sends/{uuid}", sends_update, VAULT_USER },
    { DELETE, "/api/sends/{uuid}", sends_delete, VAULT_USER },
    { PUT,    "/api/sends/{uuid}/remove-password",
                                   sends_delete_password, VAULT_USER },
    { PUT,    "/api/sends/{uuid}/remove-auth",
                                   sends_delete_password, VAULT_USER },
    VAULT_ROUTE_END
};


static void  send_reply(vault_request_t *vr, const vault_send_t *send);


static void
sends_list(vault_request_t *vr)
{
    ngx_array_t     *sends;
    vault_writer_t  *w;

    (void) vault_upload_settle(vr, vault_me(vr));     /* awaits */
    sends = vault_send_list(vr, vault_me(vr));        /* awaits */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_sends_write(vr, w, "data", sends);
    vault_json_cstring(w, "object", "list");
    vault_json_null(w, "continuationToken");
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


static void
sends_get(vault_request_t *vr)
{
    (void) vault_upload_settle(vr, vault_me(vr));     /* awaits */

    send_reply(vr, vault_send_get(vr, vault_me(vr),   /* awaits; 404 */
                                  vault_path_uuid(vr)));
}


/* A file says first how long it is: send_files.c. */

static void
sends_create(vault_request_t *vr)
{
    vault_send_t        send;
    vault_change_t     *change;
    vault_send_form_t   form;

    vault_json_read(vr, &vault_send_form, &form);
    vault_send_form_check(vr, &form);

    if (form.type != VAULT_SEND_TEXT) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "A Send of a file begins at /api/sends/file/v2.");
    }

    ngx_memzero(&send, sizeof(vault_send_t));
    send.id = vault_id_create(vr);
    (void) vault_send_form_apply(vr, &form, NULL, &send);        /* awaits */

    change = vault_change(vr, vault_me(vr));
    vault_send_insert(change, &send);
    vault_change_commit(change);                      /* awaits */

    send_reply(vr, &send);
}


static void
sends_update(vault_request_t *vr)
{
    ngx_uint_t          keep;
    vault_send_t        send, *old;
    vault_send_form_t   form;

    vault_json_read(vr, &vault_send_form, &form);
    vault_send_form_check(vr, &form);

    old = vault_send_get(vr, vault_me(vr),            /* awaits; 404 */
                         vault_path_uuid(vr));

    if (old->type != form.type) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Cannot change a Send's type");
    }

    ngx_memzero(&send, sizeof(vault_send_t));
    send.id = old->id;
    keep = vault_send_form_apply(vr, &form, old, &send);         /* awaits */

    vault_send_update(vr, vault_me(vr), &send, keep);            /* awaits */

    send_reply(vr, &send);
}


static void
sends_delete_password(vault_request_t *vr)
{
    send_reply(vr, vault_send_delete_password(vr, vault_me(vr),
                                              vault_path_uuid(vr)));
}


static void
sends_delete(vault_request_t *vr)
{
    vault_send_delete(vr, vault_me(vr), vault_path_uuid(vr));

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
send_reply(vault_request_t *vr, const vault_send_t *send)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_send_write(vr, w, NULL, send);
    vault_reply_writer(vr, w);
}
