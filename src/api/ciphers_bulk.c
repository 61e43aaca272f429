/*
 * Ciphers, many at a time: each call is one statement, whatever its number of
 * ids.  Ids that are not the user's are passed over, as the official server
 * does.
 */

#include "../run/route.h"
#include "../rules/secret.h"
#include "../model/cipher.h"
#include "view.h"


#define BULK_MAX  20000               /* ids in a call: they fit in 1 MiB */


static void  bulk_trash(vault_request_t *vr);
static void  bulk_delete(vault_request_t *vr);
static void  bulk_move(vault_request_t *vr);
static void  bulk_restore(vault_request_t *vr);
static void  bulk_archive(vault_request_t *vr);
static void  bulk_unarchive(vault_request_t *vr);
static void  bulk_purge(vault_request_t *vr);


const vault_route_t  vault_ciphers_bulk_routes[] = {
    { PUT,    "/api/ciphers/delete",    bulk_trash,     VAULT_USER },
    { DELETE, "/api/ciphers",           bulk_delete,    VAULT_USER },
    { POST,   "/api/ciphers/delete",    bulk_delete,    VAULT_USER },
    { PUT,    "/api/ciphers/move",      bulk_move,      VAULT_USER },
    { POST,   "/api/ciphers/move",      bulk_move,      VAULT_USER },
    { PUT,    "/api/ciphers/restore",   bulk_restore,   VAULT_USER },
    { PUT,    "/api/ciphers/archive",   bulk_archive,   VAULT_USER },
    { PUT,    "/api/ciphers/unarchive", bulk_unarchive, VAULT_USER },
    { POST,   "/api/ciphers/purge",     bulk_purge,     VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_array_t  ids;                 /* of ngx_str_t */
    ngx_str_t    organization_id;
    ngx_str_t    folder_id;           /* of a move */
} bulk_form_t;

static const vault_field_t  id_field = { "id", VAULT_UUID };

static const vault_field_t  bulk_fields[] = {
    { "ids", VAULT_TEXTS, offsetof(bulk_form_t, ids), VAULT_REQUIRED,
      BULK_MAX, &id_field },
    { "organizationId", VAULT_UUID, offsetof(bulk_form_t, organization_id) },
    { "folderId", VAULT_UUID, offsetof(bulk_form_t, folder_id) },
    VAULT_FIELDS_END
};

static const vault_shape_t  bulk_form = VAULT_SHAPE(bulk_fields, bulk_form_t);


typedef struct {
    vault_secret_t  secret;
} purge_form_t;

static const vault_field_t  purge_fields[] = {
    VAULT_SECRET_FIELDS(offsetof(purge_form_t, secret)),
    VAULT_FIELDS_END
};

static const vault_shape_t  purge_form =
    VAULT_SHAPE(purge_fields, purge_form_t);


/* An organization's items are out of reach for somebody who is in none. */

static void
bulk_read(vault_request_t *vr, bulk_form_t *form)
{
    vault_json_read(vr, &bulk_form, form);

    if (form->organization_id.data) {
        vault_fail(vr, VAULT_MISSING);
    }
}


static void
bulk_trash(vault_request_t *vr)
{
    bulk_form_t  form;

    bulk_read(vr, &form);
    vault_cipher_trash(vr, vault_me(vr), &form.ids);

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
bulk_delete(vault_request_t *vr)
{
    bulk_form_t  form;

    bulk_read(vr, &form);
    vault_cipher_delete(vr, vault_me(vr), &form.ids);

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
bulk_move(vault_request_t *vr)
{
    bulk_form_t  form;

    bulk_read(vr, &form);
    vault_cipher_move(vr, vault_me(vr), &form.ids, &form.folder_id);

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
bulk_restore(vault_request_t *vr)
{
    bulk_form_t  form;

    bulk_read(vr, &form);

    vault_reply_list(vr, &vault_cipher_view,
                     vault_cipher_restore(vr, vault_me(vr), &form.ids));
}


static void
bulk_archive(vault_request_t *vr)
{
    bulk_form_t   form;
    ngx_array_t  *rows;

    bulk_read(vr, &form);

    rows = vault_cipher_archive(vr, vault_me(vr), &form.ids);
    if (rows->nelts == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "No ciphers were archived. Ensure the provided IDs are "
                   "correct and you have permission to archive them.");
    }

    vault_reply_list(vr, &vault_cipher_view, rows);
}


static void
bulk_unarchive(vault_request_t *vr)
{
    bulk_form_t   form;
    ngx_array_t  *rows;

    bulk_read(vr, &form);

    rows = vault_cipher_unarchive(vr, vault_me(vr), &form.ids);
    if (rows->nelts == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Ciphers were not unarchived. Ensure the provided ID is "
                   "correct and you have permission to archive it.");
    }

    vault_reply_list(vr, &vault_cipher_view, rows);
}


/* Empties the vault; the password is asked for again. */

static void
bulk_purge(vault_request_t *vr)
{
    purge_form_t  form;

    vault_json_read(vr, &purge_form, &form);

    if (vault_query_arg(vr, "organizationId").len) {
        vault_fail(vr, VAULT_MISSING);
    }

    vault_secret_require(vr, &form.secret);           /* awaits; 400 */
    vault_cipher_purge(vr, vault_me(vr));             /* awaits */

    vault_reply_empty(vr, NGX_HTTP_OK);
}
