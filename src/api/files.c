/*
 * The links that clients put a file to and get it by: rules/upload.h.
 * Nobody signs in here: the link is the permission, checked by the guard
 * before a byte of the body is read.
 */

#include "../rules/upload.h"
#include "../run/body.h"
#include "api.h"


static void file_put(vault_request_t *vr);
static void file_get(vault_request_t *vr);


const vault_route_t  vault_files_routes[] = {
    { PUT, "/files/{uuid}", file_put, VAULT_UPLOAD, 0, VAULT_BODY_FILE },
    { GET, "/files/{uuid}", file_get, VAULT_DOWNLOAD },
    VAULT_ROUTE_END
};


static vault_file_t *
file_of_link(vault_request_t *vr)
{
    vault_file_t  *file;

    file = vault_file_find_any(vr, vault_path_uuid(vr));
    if (file == NULL) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    return file;
}


static void
file_put(vault_request_t *vr)
{
    vault_bytes_t  bytes;

    bytes.file = vault_body_file(vr, &bytes.size);
    bytes.from = 0;
    bytes.whole = 1;

    vault_upload_accept(vr, file_of_link(vr), &bytes);

    vault_reply_empty(vr, NGX_HTTP_CREATED);   /* no client takes 200 */
}


static void
file_get(vault_request_t *vr)
{
    vault_file_t  *file;

    file = file_of_link(vr);

    if (file->state != VAULT_FILE_READY) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    vault_files_send(vr, &file->id);
}
