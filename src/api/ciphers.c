/*
 * Ciphers: the items of a vault, one at a time.
 */

#include "../run/route.h"
#include "../rules/session.h"
#include "../rules/upload.h"
#include "../model/cipher.h"
#include "../model/id.h"
#include "cipher_form.h"
#include "view.h"


static void  ciphers_list(vault_request_t *vr);
static void  ciphers_get(vault_request_t *vr);
static void  ciphers_create(vault_request_t *vr);
static void  ciphers_create_wrapped(vault_request_t *vr);
static void  ciphers_update(vault_request_t *vr);
static void  ciphers_file(vault_request_t *vr);
static void  ciphers_trash(vault_request_t *vr);
static void  ciphers_delete(vault_request_t *vr);
static void  ciphers_restore(vault_request_t *vr);
static void  ciphers_archive(vault_request_t *vr);
static void  ciphers_unarchive(vault_request_t *vr);
static void  ciphers_unassigned(vault_request_t *vr);

static void  cipher_insert(vault_request_t *vr, vault_cipher_form_t *form);
static void  reply_first(vault_request_t *vr, const ngx_array_t *rows,
    ngx_uint_t status, const char *missing);


const vault_route_t  vault_ciphers_routes[] = {
    { GET,    "/api/ciphers",                  ciphers_list,   VAULT_USER },
    { POST,   "/api/ciphers",                  ciphers_create, VAULT_USER },
    { POST,   "/api/ciphers/create",           ciphers_create_wrapped,
                                                               VAULT_USER },
    { GET,    "/api/ciphers/has-unassigned-ciphers",
                                           ciphers_unassigned, VAULT_USER },

    { GET,    "/api/ciphers/{uuid}",           ciphers_get,    VAULT_USER },
    { GET,    "/api/ciphers/{uuid}/details",   ciphers_get,    VAULT_USER },
    { GET,    "/api/ciphers/{uuid}/full-details",
                                               ciphers_get,    VAULT_USER },

    { PUT,    "/api/ciphers/{uuid}",           ciphers_update, VAULT_USER },
    { POST,   "/api/ciphers/{uuid}",           ciphers_update, VAULT_USER },
    { PUT,    "/api/ciphers/{uuid}/partial",   ciphers_file,   VAULT_USER },
    { POST,   "/api/ciphers/{uuid}/partial",   ciphers_file,   VAULT_USER },

    { PUT,    "/api/ciphers/{uuid}/delete",    ciphers_trash,  VAULT_USER },
    { DELETE, "/api/ciphers/{uuid}",           ciphers_delete, VAULT_USER },
    { POST,   "/api/ciphers/{uuid}/delete",    ciphers_delete, VAULT_USER },
    { PUT,    "/api/ciphers/{uuid}/restore",   ciphers_restore,
                                                               VAULT_USER },
    { PUT,    "/api/ciphers/{uuid}/archive",   ciphers_archive,
                                                               VAULT_USER },
    { PUT,    "/api/ciphers/{uuid}/unarchive", ciphers_unarchive,
                                                               VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    vault_cipher_form_t  *cipher;
} wrapped_form_t;

static const vault_field_t  wrapped_fields[] = {
    { "cipher", VAULT_OBJECT, offsetof(wrapped_form_t, cipher),
      VAULT_REQUIRED, 0, &vault_cipher_form },
    VAULT_FIELDS_END
};

static const vault_shape_t  wrapped_form =
    VAULT_SHAPE(wrapped_fields, wrapped_form_t);


static const vault_field_t  file_fields[] = {
    { "folderId", VAULT_UUID, offsetof(vault_cipher_t, folder_id) },
    { "favorite", VAULT_BOOL, offsetof(vault_cipher_t, favorite) },
    VAULT_FIELDS_END
};

static const vault_shape_t  file_form =
    VAULT_SHAPE(file_fields, vault_cipher_t);


#define SLOT(member)  offsetof(vault_cipher_t, member)

/* Of "data" clients take a string or null, never an object. */

static const vault_field_t  view_fields[] = {
    { "id", VAULT_TEXT, SLOT(id) },
    { "organizationId", VAULT_TEXT, SLOT(organization_id) },
    { "folderId", VAULT_TEXT, SLOT(folder_id) },
    { "type", VAULT_INT, SLOT(type) },
    { "favorite", VAULT_BOOL, SLOT(favorite) },
    { "", VAULT_MEMBERS, SLOT(data) },
    { "creationDate", VAULT_DATE, SLOT(created_at) },
    { "revisionDate", VAULT_DATE, SLOT(revised_at) },
    { "deletedDate", VAULT_DATE, SLOT(deleted_at) },
    { "archivedDate", VAULT_DATE, SLOT(archived_at) },
    { "edit", VAULT_CONST, 0, 0, 0, "true" },
    { "viewPassword", VAULT_CONST, 0, 0, 0, "true" },
    { "permissions", VAULT_CONST, 0, 0, 0,
      "{\"delete\":true,\"restore\":true}" },
    { "organizationUseTotp", VAULT_CONST, 0, 0, 0, "false" },
    { "collectionIds", VAULT_CONST, 0, 0, 0, "[]" },
    { "attachments", VAULT_RAW, SLOT(attachments) },
    { "data", VAULT_CONST, 0, 0, 0, "null" },
    { "object", VAULT_CONST, 0, 0, 0, "\"cipherDetails\"" },
    VAULT_FIELDS_END
};

const vault_shape_t  vault_cipher_view =
    VAULT_SHAPE(view_fields, vault_cipher_t);


static void
ciphers_list(vault_request_t *vr)
{
    (void) vault_upload_settle(vr, vault_me(vr));     /* awaits */

    vault_reply_list(vr, &vault_cipher_view,
                     vault_cipher_list(vr, vault_me(vr)));
}


static void
ciphers_get(vault_request_t *vr)
{
    vault_reply(vr, &vault_cipher_view,
                vault_cipher_get(vr, vault_me(vr), vault_path_uuid(vr)));
}


static void
ciphers_create(vault_request_t *vr)
{
    vault_cipher_form_t  form;

    vault_json_read(vr, &vault_cipher_form, &form);

    cipher_insert(vr, &form);
}


/* {"cipher": …, "collectionIds": […]}: the latter is an organization's. */

static void
ciphers_create_wrapped(vault_request_t *vr)
{
    wrapped_form_t  form;

    vault_json_read(vr, &wrapped_form, &form);

    cipher_insert(vr, form.cipher);
}


static void
cipher_insert(vault_request_t *vr, vault_cipher_form_t *form)
{
    vault_cipher_t  cipher;

    vault_cipher_form_check(vr, form);
    vault_cipher_form_row(vr, form, &cipher);

    vault_cipher_insert(vr, vault_me(vr), &cipher);          /* awaits */

    vault_reply(vr, &vault_cipher_view, &cipher);
}


static void
ciphers_update(vault_request_t *vr)
{
    ngx_str_t            files;
    vault_cipher_t       cipher;
    vault_cipher_form_t  form;

    vault_json_read(vr, &vault_cipher_form, &form);

    if (form.organization_id.data) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Organization mismatch. Re-sync if you recently moved "
                   "this item, then try again.");
    }

    vault_cipher_form_check(vr, &form);
    vault_cipher_form_row(vr, &form, &cipher);

    form.id = *vault_path_uuid(vr);
    files = vault_cipher_form_files(vr, &form, 1);

    cipher.id = form.id;
    vault_cipher_update(vr, vault_me(vr), &cipher, &files,
                        form.known);                         /* awaits */

    vault_reply(vr, &vault_cipher_view, &cipher);
}


/* What is the user's own about an item: its folder and its star. */

static void
ciphers_file(vault_request_t *vr)
{
    vault_cipher_t  cipher;

    vault_json_read(vr, &file_form, &cipher);

    if (cipher.favorite == VAULT_NULL) {
        cipher.favorite = 0;
    }

    cipher.id = *vault_path_uuid(vr);
    vault_cipher_file(vr, vault_me(vr), &cipher);            /* awaits; 404 */

    vault_reply(vr, &vault_cipher_view, &cipher);
}


static void
ciphers_trash(vault_request_t *vr)
{
    ngx_array_t  ids;

    ids = vault_id_list(vault_path_uuid(vr));

    if (vault_cipher_trash(vr, vault_me(vr), &ids) == 0) {
        vault_fail(vr, VAULT_MISSING);
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
ciphers_delete(vault_request_t *vr)
{
    ngx_array_t  ids;

    ids = vault_id_list(vault_path_uuid(vr));

    if (vault_cipher_delete(vr, vault_me(vr), &ids) == 0) {
        vault_fail(vr, VAULT_MISSING);
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
ciphers_restore(vault_request_t *vr)
{
    ngx_array_t  ids;

    ids = vault_id_list(vault_path_uuid(vr));

    reply_first(vr, vault_cipher_restore(vr, vault_me(vr), &ids),
                VAULT_MISSING);
}


static void
ciphers_archive(vault_request_t *vr)
{
    ngx_array_t  ids;

    ids = vault_id_list(vault_path_uuid(vr));

    reply_first(vr, vault_cipher_archive(vr, vault_me(vr), &ids),
                NGX_HTTP_BAD_REQUEST,
                "Cipher was not archived. Ensure the provided ID is correct "
                "and you have permission to archive it.");
}


static void
ciphers_unarchive(vault_request_t *vr)
{
    ngx_array_t  ids;

    ids = vault_id_list(vault_path_uuid(vr));

    reply_first(vr, vault_cipher_unarchive(vr, vault_me(vr), &ids),
                NGX_HTTP_BAD_REQUEST,
                "Cipher was not unarchived. Ensure the provided ID is correct "
                "and you have permission to archive it.");
}


/* Asked by mobile clients; only an organization has such items. */

static void
ciphers_unassigned(vault_request_t *vr)
{
    static ngx_str_t  no = ngx_string("false");

    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &no);
}


static void
reply_first(vault_request_t *vr, const ngx_array_t *rows, ngx_uint_t status,
    const char *missing)
{
    if (rows->nelts == 0) {
        vault_fail(vr, status, missing);
    }

    vault_reply(vr, &vault_cipher_view, rows->elts);
}
