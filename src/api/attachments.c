/*
 * Attachments: the files of an item.
 *
 * A client announces a file and is told where to send it; only when all of it
 * is there do others see it.  The admin forms are an organization's: for an
 * item of one's own they are the same.
 */

#include "../run/body.h"
#include "../rules/session.h"
#include "../rules/upload.h"
#include "../model/attachment.h"
#include "view.h"


static void  attachments_promise(vault_request_t *vr);
static void  attachments_upload(vault_request_t *vr);
static void  attachments_create(vault_request_t *vr);
static void  attachments_renew(vault_request_t *vr);
static void  attachments_get(vault_request_t *vr);
static void  attachments_delete(vault_request_t *vr);


const vault_route_t  vault_attachments_routes[] = {
    { POST,   "/api/ciphers/{uuid}/attachment/v2",
              attachments_promise, VAULT_USER },
    { POST,   "/api/ciphers/{uuid}/attachment/{uuid}",
              attachments_upload, VAULT_USER, 0, VAULT_BODY_FILE },
    { POST,   "/api/ciphers/{uuid}/attachment",
              attachments_create, VAULT_USER, 0, VAULT_BODY_FILE },
    { POST,   "/api/ciphers/{uuid}/attachment-admin",
              attachments_create, VAULT_USER, 0, VAULT_BODY_FILE },

    { GET,    "/api/ciphers/{uuid}/attachment/{uuid}/renew",
              attachments_renew, VAULT_USER },
    { GET,    "/api/ciphers/{uuid}/attachment/{uuid}",
              attachments_get, VAULT_USER },
    { GET,    "/api/ciphers/{uuid}/attachment/{uuid}/admin",
              attachments_get, VAULT_USER },

    { DELETE, "/api/ciphers/{uuid}/attachment/{uuid}",
              attachments_delete, VAULT_USER },
    { DELETE, "/api/ciphers/{uuid}/attachment/{uuid}/admin",
              attachments_delete, VAULT_USER },
    { POST,   "/api/ciphers/{uuid}/attachment/{uuid}/delete",
              attachments_delete, VAULT_USER },
    { POST,   "/api/ciphers/{uuid}/attachment/{uuid}/delete-admin",
              attachments_delete, VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t  name;
    ngx_str_t  key;
    int64_t    size;
    int64_t    admin;
    int64_t    known;
} promise_form_t;

#define SLOT(member)  offsetof(promise_form_t, member)

static const vault_field_t  promise_fields[] = {
    { "fileName", VAULT_ENC, SLOT(name), VAULT_REQUIRED,
      VAULT_FILE_MAX_NAME },
    { "key", VAULT_ENC, SLOT(key), VAULT_REQUIRED, VAULT_FILE_MAX_NAME },
    { "fileSize", VAULT_INT, SLOT(size), VAULT_REQUIRED },
    { "adminRequest", VAULT_BOOL, SLOT(admin) },
    { "lastKnownRevisionDate", VAULT_DATE, SLOT(known) },
    VAULT_FIELDS_END
};

static const vault_shape_t  promise_form =
    VAULT_SHAPE(promise_fields, promise_form_t);

/* The same of a multipart body, where the key may be missing. */

static const vault_field_t  name_field = {
    "fileName", VAULT_ENC, 0, VAULT_REQUIRED, VAULT_FILE_MAX_NAME
};

static const vault_field_t  key_field = {
    "key", VAULT_ENC, 0, 0, VAULT_FILE_MAX_NAME
};

static const vault_field_t  known_field = {
    "lastKnownRevisionDate", VAULT_DATE
};


typedef struct {
    ngx_str_t        id;
    vault_upload_t   upload;
    vault_cipher_t  *cipher;
    vault_cipher_t  *mini;
} promise_t;

static const vault_field_t  promise_view_fields[] = {
    { "attachmentId", VAULT_TEXT, offsetof(promise_t, id) },
    { "url", VAULT_TEXT, offsetof(promise_t, upload.url) },
    { "fileUploadType", VAULT_INT, offsetof(promise_t, upload.type) },
    { "cipherResponse", VAULT_OBJECT, offsetof(promise_t, cipher), 0, 0,
      &vault_cipher_view },
    { "cipherMiniResponse", VAULT_OBJECT, offsetof(promise_t, mini), 0, 0,
      &vault_cipher_view },
    { "object", VAULT_CONST, 0, 0, 0, "\"attachment-fileUpload\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  promise_view =
    VAULT_SHAPE(promise_view_fields, promise_t);


typedef struct {
    vault_file_t  file;
    ngx_str_t     url;
    ngx_str_t     size;               /* as a text, which no client rounds */
} attachment_t;

static const vault_field_t  attachment_fields[] = {
    { "id", VAULT_TEXT, offsetof(attachment_t, file.id) },
    { "url", VAULT_TEXT, offsetof(attachment_t, url) },
    { "fileName", VAULT_TEXT, offsetof(attachment_t, file.name) },
    { "key", VAULT_TEXT, offsetof(attachment_t, file.key) },
    { "size", VAULT_TEXT, offsetof(attachment_t, size) },
    { "sizeName", VAULT_TEXT, offsetof(attachment_t, file.size_name) },
    { "object", VAULT_CONST, 0, 0, 0, "\"attachment\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  attachment_view =
    VAULT_SHAPE(attachment_fields, attachment_t);


typedef struct {
    vault_cipher_t  *cipher;
} deleted_t;

static const vault_field_t  deleted_fields[] = {
    { "cipher", VAULT_OBJECT, offsetof(deleted_t, cipher), 0, 0,
      &vault_cipher_view },
    { "object", VAULT_CONST, 0, 0, 0, "\"deleteAttachment\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  deleted_view =
    VAULT_SHAPE(deleted_fields, deleted_t);


static vault_upload_t  upload_begin(vault_request_t *vr,
    const vault_file_t *file);
static vault_part_t  *upload_part(vault_request_t *vr, vault_parts_t *parts);
static vault_bytes_t  upload_bytes(const vault_parts_t *parts,
    const vault_part_t *part);
static vault_file_t  *file_get(vault_request_t *vr);
static void  field_read(vault_request_t *vr, const ngx_str_t *text,
    const vault_field_t *field, void *slot);
static ngx_str_t  field_text(vault_request_t *vr, vault_parts_t *parts,
    const char *name);


static void
attachments_promise(vault_request_t *vr)
{
    promise_t        promise;
    vault_file_t     file;
    vault_cipher_t   cipher;
    promise_form_t   form;

    vault_json_read(vr, &promise_form, &form);
    vault_upload_check_size(vr, form.size);           /* 400 */

    ngx_memzero(&file, sizeof(vault_file_t));
    file.cipher_id = *vault_path_uuid(vr);
    file.name = form.name;
    file.key = form.key;
    file.size = form.size;

    vault_attachment_promise(vr, vault_me(vr), &file, form.known, &cipher);

    promise.id = file.id;
    promise.upload = upload_begin(vr, &file);         /* awaits */
    promise.cipher = form.admin == 1 ? NULL : &cipher;
    promise.mini = form.admin == 1 ? &cipher : NULL;

    vault_reply(vr, &promise_view, &promise);
}


/* The bytes of what was promised. */

static void
attachments_upload(vault_request_t *vr)
{
    vault_file_t   *file;
    vault_bytes_t   bytes;
    vault_parts_t  *parts;

    file = file_get(vr);                              /* awaits; 404 */

    parts = vault_body_parts(vr);                     /* awaits; 400 */
    bytes = upload_bytes(parts, upload_part(vr, parts));

    vault_upload_accept(vr, file, &bytes);            /* awaits; 400 */

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* What clients did before v2: all in one body. */

static void
attachments_create(vault_request_t *vr)
{
    int64_t         known;
    ngx_str_t       text;
    vault_file_t    file;
    vault_part_t   *part;
    vault_bytes_t   bytes;
    vault_parts_t  *parts;
    vault_cipher_t  cipher;

    parts = vault_body_parts(vr);                     /* awaits; 400 */
    part = upload_part(vr, parts);

    ngx_memzero(&file, sizeof(vault_file_t));
    file.cipher_id = *vault_path_uuid(vr);
    file.size = part->size;

    field_read(vr, &part->filename, &name_field, &file.name);

    text = field_text(vr, parts, "key");
    field_read(vr, &text, &key_field, &file.key);

    text = field_text(vr, parts, "lastKnownRevisionDate");
    field_read(vr, &text, &known_field, &known);

    vault_upload_check_size(vr, file.size);
    vault_attachment_promise(vr, vault_me(vr), &file, known, &cipher);

    bytes = upload_bytes(parts, part);
    vault_upload_accept(vr, &file, &bytes);           /* awaits */

    vault_reply(vr, &vault_cipher_view, &cipher);
}


/* Another link, for a client whose link has expired. */

static void
attachments_renew(vault_request_t *vr)
{
    promise_t      promise;
    vault_file_t  *file;

    file = file_get(vr);

    if (file->state != VAULT_FILE_PENDING) {
        vault_fail(vr, VAULT_MISSING);
    }

    promise.id = file->id;
    promise.upload = upload_begin(vr, file);
    promise.cipher = NULL;
    promise.mini = NULL;

    vault_reply(vr, &promise_view, &promise);
}


/* Of a promise in a bucket nobody has told us yet that it was kept. */

static void
attachments_get(vault_request_t *vr)
{
    vault_file_t  *file;
    attachment_t   attachment;

    file = file_get(vr);

    if (file->state == VAULT_FILE_PENDING
        && vault_upload_settle(vr, vault_me(vr)))     /* awaits */
    {
        file = file_get(vr);
    }

    if (file->state != VAULT_FILE_READY) {
        vault_fail(vr, VAULT_MISSING);
    }

    attachment.file = *file;
    attachment.url = vault_upload_link(vr, file);     /* awaits */
    attachment.size = vault_printf(vr, "%L", file->size);

    vault_reply(vr, &attachment_view, &attachment);
}


static void
attachments_delete(vault_request_t *vr)
{
    deleted_t  deleted;

    deleted.cipher = vault_attachment_delete(vr, vault_me(vr),   /* awaits; */
                                             vault_path_uuid(vr),    /* 404 */
                                             vault_path_arg(vr, 1));

    vault_reply(vr, &deleted_view, &deleted);
}


static vault_upload_t
upload_begin(vault_request_t *vr, const vault_file_t *file)
{
    ngx_str_t  path;

    path = vault_printf(vr, "/api/ciphers/%V/attachment/%V",
                        &file->cipher_id, &file->id);

    return vault_upload_begin(vr, file, &path);
}


static vault_part_t *
upload_part(vault_request_t *vr, vault_parts_t *parts)
{
    vault_part_t  *part;

    part = vault_body_part(parts, "data");

    if (part == NULL || part->filename.data == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "No data to attach.");
    }

    return part;
}


static vault_bytes_t
upload_bytes(const vault_parts_t *parts, const vault_part_t *part)
{
    vault_bytes_t  bytes;

    ngx_memzero(&bytes, sizeof(vault_bytes_t));
    bytes.file = parts->file;
    bytes.from = part->from;
    bytes.size = part->size;

    return bytes;
}


static vault_file_t *
file_get(vault_request_t *vr)
{
    return vault_attachment_get(vr, vault_me(vr), vault_path_uuid(vr),
                                vault_path_arg(vr, 1));
}


static void
field_read(vault_request_t *vr, const ngx_str_t *text,
    const vault_field_t *field, void *slot)
{
    ngx_int_t           rc;
    vault_json_error_t  error;

    rc = vault_json_text(vr->pool, text, field, slot, &error);

    if (rc == NGX_DECLINED) {
        vault_fail_field(vr, &error.field, &error.text);
    }

    if (rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }
}


/* Data NULL if the field is not there. */

static ngx_str_t
field_text(vault_request_t *vr, vault_parts_t *parts, const char *name)
{
    ngx_str_t      text;
    vault_part_t  *part;

    part = vault_body_part(parts, name);

    if (part == NULL) {
        ngx_str_null(&text);
        return text;
    }

    return vault_body_text(vr, parts, part, VAULT_FILE_MAX_NAME);
}
