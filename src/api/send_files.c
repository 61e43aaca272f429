/*
 * The file of a Send: promised together with the Send, then sent in one of the
 * ways of rules/upload.h.  Until it is there nobody sees the Send.
 */

#include "../run/body.h"
#include "../model/id.h"
#include "../rules/session.h"
#include "../rules/upload.h"
#include "send_form.h"


#define MODEL_MAX  65536              /* of the part "model" */


static void  files_begin(vault_request_t *vr);
static void  files_create(vault_request_t *vr);
static void  files_renew(vault_request_t *vr);
static void  files_receive(vault_request_t *vr);


const vault_route_t  vault_send_files_routes[] = {
    { POST, "/api/sends/file/v2", files_begin,  VAULT_USER },
    { POST, "/api/sends/file",    files_create, VAULT_USER, 0,
                                                VAULT_BODY_FILE },
    { GET,  "/api/sends/{uuid}/file/{uuid}",
                                  files_renew,  VAULT_USER },
    { POST, "/api/sends/{uuid}/file/{uuid}",
                                  files_receive, VAULT_USER, 0,
                                                VAULT_BODY_FILE },
    VAULT_ROUTE_END
};


static void  send_promise(vault_request_t *vr, vault_send_form_t *form,
    vault_send_t *send, vault_file_t *file);
static vault_file_t  *file_promised(vault_request_t *vr);
static void  file_accept(vault_request_t *vr, const vault_file_t *file,
    vault_parts_t *parts);
static vault_part_t  *file_part(vault_request_t *vr, vault_parts_t *parts);
static void  upload_reply(vault_request_t *vr, const vault_send_t *send,
    const vault_file_t *file);


static void
files_begin(vault_request_t *vr)
{
    vault_file_t        file;
    vault_send_t        send;
    vault_send_form_t   form;

    vault_json_read(vr, &vault_send_form, &form);

    if (form.size == VAULT_NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Invalid content. File size hint is required.");
    }

    send_promise(vr, &form, &send, &file);            /* awaits */
    upload_reply(vr, &send, &file);                   /* awaits */
}


/* As clients did until 2021: all of it in one body. */

static void
files_create(vault_request_t *vr)
{
    ngx_str_t           text;
    vault_file_t        file;
    vault_part_t       *model;
    vault_send_t        send;
    vault_parts_t      *parts;
    vault_writer_t     *w;
    vault_send_form_t   form;

    parts = vault_body_parts(vr);                     /* awaits */
    model = vault_body_part(parts, "model");

    if (model == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The Send that the file belongs to is missing.");
    }

    text = vault_body_text(vr, parts, model, MODEL_MAX);         /* awaits */
    vault_json_read_text(vr, &text, &vault_send_form, &form);

    form.size = file_part(vr, parts)->size;

    send_promise(vr, &form, &send, &file);            /* awaits */
    file_accept(vr, &file, parts);                    /* awaits */

    w = vault_writer(vr);
    vault_send_write(vr, w, NULL, &send);
    vault_reply_writer(vr, w);
}


/* One change: there is no Send of a file without a promise of it. */

static void
send_promise(vault_request_t *vr, vault_send_form_t *form, vault_send_t *send,
    vault_file_t *file)
{
    vault_change_t  *change;

    if (form->type != VAULT_SEND_FILE) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid content.");
    }

    if (form->file == NULL || form->file->name.len == 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "File metadata is required for file sends.");
    }

    vault_send_form_check(vr, form);
    vault_upload_check_size(vr, form->size);

    ngx_memzero(send, sizeof(vault_send_t));
    ngx_memzero(file, sizeof(vault_file_t));

    send->id = vault_id_create(vr);
    (void) vault_send_form_apply(vr, form, NULL, send);          /* awaits */

    file->send_id = send->id;
    file->name = form->file->name;
    file->size = form->size;

    change = vault_change(vr, vault_me(vr));
    vault_file_promise(change, file, vr->conf->file_quota);
    send->data = vault_send_file_data(vr, file);
    vault_send_insert(change, send);
    vault_change_commit(change);                      /* awaits */
}


/* Another link for the same promise; none once it was kept. */

static void
files_renew(vault_request_t *vr)
{
    vault_file_t  *file;
    vault_send_t  *send;

    file = file_promised(vr);                         /* awaits; 404 */
    send = vault_send_get_promised(vr, vault_me(vr),  /* awaits; 404 */
                                   vault_path_uuid(vr));

    if (file->state != VAULT_FILE_PENDING) {
        vault_fail(vr, VAULT_MISSING);
    }

    upload_reply(vr, send, file);                     /* awaits */
}


static void
files_receive(vault_request_t *vr)
{
    vault_file_t  *file;

    file = file_promised(vr);                         /* awaits; 404 */
    file_accept(vr, file, vault_body_parts(vr));      /* awaits; 400 */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* The file of the path, if it is the Send's. */

static vault_file_t *
file_promised(vault_request_t *vr)
{
    ngx_str_t     *send_id;
    vault_file_t  *file;

    send_id = vault_path_uuid(vr);
    file = vault_file_find(vr, vault_me(vr), vault_path_arg(vr, 1));

    if (file == NULL
        || ngx_memn2cmp(file->send_id.data, send_id->data,
                        file->send_id.len, send_id->len)
           != 0)
    {
        vault_fail(vr, VAULT_MISSING);
    }

    return file;
}


static void
file_accept(vault_request_t *vr, const vault_file_t *file,
    vault_parts_t *parts)
{
    vault_part_t   *part;
    vault_bytes_t   bytes;

    part = file_part(vr, parts);

    ngx_memzero(&bytes, sizeof(vault_bytes_t));
    bytes.file = parts->file;
    bytes.from = part->from;
    bytes.size = part->size;

    vault_upload_accept(vr, file, &bytes);            /* awaits; 400 */
}


static vault_part_t *
file_part(vault_request_t *vr, vault_parts_t *parts)
{
    vault_part_t  *part;

    part = vault_body_part(parts, "data");

    if (part == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The file is missing.");
    }

    return part;
}


static void
upload_reply(vault_request_t *vr, const vault_send_t *send,
    const vault_file_t *file)
{
    ngx_str_t        path;
    vault_upload_t   upload;
    vault_writer_t  *w;

    path = vault_printf(vr, "/api/sends/%V/file/%V", &send->id, &file->id);
    upload = vault_upload_begin(vr, file, &path);     /* awaits */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_integer(w, "fileUploadType", upload.type);
    vault_json_string(w, "url", &upload.url);
    vault_send_write(vr, w, "sendResponse", send);
    vault_json_cstring(w, "object", "send-fileUpload");
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}
