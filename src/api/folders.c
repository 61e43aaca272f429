/*
 * Folders: a user's own grouping of ciphers.  The smallest complete resource;
 * copy its shape: routes, what comes in, what goes out, endpoints.
 */

#include "../run/route.h"
#include "../rules/session.h"
#include "../model/folder.h"
#include "view.h"


static void  folders_list(vault_request_t *vr);
static void  folders_get(vault_request_t *vr);
static void  folders_create(vault_request_t *vr);
static void  folders_update(vault_request_t *vr);
static void  folders_delete(vault_request_t *vr);
static void  folders_delete_list(vault_request_t *vr);
static void  folders_delete_all(vault_request_t *vr);


const vault_route_t  vault_folders_routes[] = {
    { GET,    "/api/folders",               folders_list,        VAULT_USER },
    { GET,    "/api/folders/{uuid}",        folders_get,         VAULT_USER },
    { POST,   "/api/folders",               folders_create,      VAULT_USER },
    { PUT,    "/api/folders/{uuid}",        folders_update,      VAULT_USER },
    { POST,   "/api/folders/{uuid}",        folders_update,      VAULT_USER },
    { DELETE, "/api/folders/{uuid}",        folders_delete,      VAULT_USER },
    { POST,   "/api/folders/{uuid}/delete", folders_delete,      VAULT_USER },
    { DELETE, "/api/folders",               folders_delete_list, VAULT_USER },
    { DELETE, "/api/folders/all",           folders_delete_all,  VAULT_USER },
    VAULT_ROUTE_END
};


static const vault_field_t  form_fields[] = {
    { "name", VAULT_ENC, offsetof(vault_folder_t, name), VAULT_REQUIRED, 1000 },
    VAULT_FIELDS_END
};

static const vault_shape_t  folder_form =
    VAULT_SHAPE(form_fields, vault_folder_t);


typedef struct {
    ngx_array_t  ids;
} list_form_t;

static const vault_field_t  list_id = { "id", VAULT_UUID };

static const vault_field_t  list_fields[] = {
    { "ids", VAULT_TEXTS, offsetof(list_form_t, ids), VAULT_REQUIRED,
      VAULT_FOLDER_MAX, &list_id },
    VAULT_FIELDS_END
};

static const vault_shape_t  list_form = VAULT_SHAPE(list_fields, list_form_t);


static const vault_field_t  view_fields[] = {
    { "id",           VAULT_TEXT,  offsetof(vault_folder_t, id) },
    { "name",         VAULT_TEXT,  offsetof(vault_folder_t, name) },
    { "revisionDate", VAULT_DATE,  offsetof(vault_folder_t, revised_at) },
    { "object",       VAULT_CONST, 0, 0, 0, "\"folder\"" },
    VAULT_FIELDS_END
};

const vault_shape_t  vault_folder_view =
    VAULT_SHAPE(view_fields, vault_folder_t);


static void
folders_list(vault_request_t *vr)
{
    vault_reply_list(vr, &vault_folder_view,
                     vault_folder_list(vr, vault_me(vr)));    /* awaits */
}


/* A folder of somebody else is "not found": its existence is not revealed. */

static void
folders_get(vault_request_t *vr)
{
    vault_folder_t  *folder;

    folder = vault_folder_get(vr, vault_me(vr),               /* awaits; */
                              vault_path_uuid(vr));           /* 404 */

    vault_reply(vr, &vault_folder_view, folder);
}


static void
folders_create(vault_request_t *vr)
{
    vault_folder_t  folder;

    vault_json_read(vr, &folder_form, &folder);       /* 400 if malformed */

    vault_folder_insert(vr, vault_me(vr), &folder);   /* awaits */

    vault_reply(vr, &vault_folder_view, &folder);
}


static void
folders_update(vault_request_t *vr)
{
    vault_folder_t  folder;

    vault_json_read(vr, &folder_form, &folder);

    folder.id = *vault_path_uuid(vr);
    vault_folder_update(vr, vault_me(vr), &folder);   /* awaits; 404 */

    vault_reply(vr, &vault_folder_view, &folder);
}


static void
folders_delete(vault_request_t *vr)
{
    vault_folder_delete(vr, vault_me(vr), vault_path_uuid(vr));

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
folders_delete_list(vault_request_t *vr)
{
    list_form_t  form;

    vault_json_read(vr, &list_form, &form);

    vault_folder_delete_list(vr, vault_me(vr), &form.ids);

    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
folders_delete_all(vault_request_t *vr)
{
    vault_folder_delete_all(vr, vault_me(vr));

    vault_reply_empty(vr, NGX_HTTP_OK);
}
