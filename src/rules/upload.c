/*
 * Links, promises that are kept, and the three ways in.
 *
 * A link is a permission for one thing: this operation, this file, this size,
 * until then.  It carries no account, since clients send none with it.
 */

#include "upload.h"
#include "signing.h"
#include "../crypto/crypto.h"
#include "../run/body.h"


#define HEADS_MAX     10              /* questions to the bucket in a request */
#define SETTLE_LIFE   (24 * 3600 * (int64_t) 1000)
#define NUMBER_MAX    20              /* digits of a size or a time */
#define SIGNATURE     (2 * VAULT_SHA256_LEN)

typedef struct {
    ngx_str_t  op;
    ngx_str_t  size;                  /* as they stand in the link */
    ngx_str_t  expires;
    ngx_str_t  signature;
} link_t;


static void upload_check(vault_request_t *vr);
static void download_check(vault_request_t *vr);


const vault_guard_t  vault_guard_upload = {
    "upload", upload_check, vault_upload_admit
};
const vault_guard_t  vault_guard_download = {
    "download", download_check, vault_download_admit
};

static ngx_str_t  op_put = ngx_string("put");
static ngx_str_t  op_get = ngx_string("get");


/* The line breaks keep this apart from other texts under the same key. */
static ngx_int_t
link_mac(vault_keyring_t *keyring, const ngx_str_t *id, const link_t *link,
    u_char hex[SIGNATURE])
{
    u_char     buf[128], mac[VAULT_SHA256_LEN];
    ngx_str_t  text;

    text.data = buf;
    text.len = ngx_snprintf(buf, sizeof(buf), "file\n%V\n%V\n%V\n%V", &link->op,
                            id, &link->size, &link->expires)
               - buf;

    if (vault_keyring_mac(keyring, &text, mac) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) vault_hex(hex, mac, VAULT_SHA256_LEN);

    return NGX_OK;
}


static ngx_str_t
link_make(vault_request_t *vr, const vault_file_t *file, const ngx_str_t *op)
{
    link_t     link;
    u_char     hex[SIGNATURE];
    ngx_str_t  origin;

    link.op = *op;
    link.size = vault_printf(vr, "%L", file->size);
    link.expires = vault_printf(vr, "%L", vault_now() / 1000 + VAULT_LINK_LIFE);

    if (link_mac(vault_signing_key(vr), &file->id, &link, hex) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "cannot sign a link");
    }

    origin = vault_origin(vr);

    return vault_printf(vr, "%V/files/%V?op=%V&size=%V&exp=%V&sig=%*s%s",
                        &origin, &file->id, op, &link.size, &link.expires,
                        (size_t) SIGNATURE, hex,
                        op == &op_put ? "&sv=2021-08-06" : "");
}


static ngx_uint_t
link_argument(ngx_http_request_t *r, const char *name, size_t max,
    ngx_str_t *value)
{
    return ngx_http_arg(r, (u_char *) name, ngx_strlen(name), value) == NGX_OK
           && value->len > 0 && value->len <= max;
}


/* 0, or a status.  The key is there. */
static ngx_uint_t
link_check(vault_request_t *vr, const ngx_str_t *op, link_t *link,
    const char **message)
{
    u_char               hex[SIGNATURE];
    ngx_str_t            right;
    ngx_http_request_t  *r = vr->http;

    *message = "This link is not valid.";

    if (!link_argument(r, "op", op->len, &link->op)
        || !link_argument(r, "size", NUMBER_MAX, &link->size)
        || !link_argument(r, "exp", NUMBER_MAX, &link->expires)
        || !link_argument(r, "sig", SIGNATURE, &link->signature)
        || !vault_equal(&link->op, op))
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (link_mac(vr->conf->keyring, vault_path_uuid(vr), link, hex)
        != NGX_OK)
    {
        *message = "Out of memory.";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    right.data = hex;
    right.len = SIGNATURE;

    if (!vault_equal(&link->signature, &right)) {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (ngx_atotm(link->expires.data, link->expires.len)
        <= vault_now() / 1000)
    {
        *message = "This link has expired. Please try again.";
        return NGX_HTTP_BAD_REQUEST;
    }

    return 0;
}


/*
 * On the main stack, which cannot wait for a key that is still in the
 * database (rules/signing.h): then it is asked again when the body is here.
 */
static ngx_uint_t
link_later(vault_request_t *vr)
{
    vr->admit_later = vr->conf->keyring == NULL;

    return vr->admit_later;
}


ngx_uint_t
vault_upload_admit(vault_request_t *vr, const char **message)
{
    link_t      link;
    ngx_uint_t  status;

    if (link_later(vr)) {
        return 0;
    }

    status = link_check(vr, &op_put, &link, message);

    if (status == 0
        && ngx_atoof(link.size.data, link.size.len)
           != vr->http->headers_in.content_length_n)
    {
        *message = "The file does not have the size that was announced.";
        return NGX_HTTP_BAD_REQUEST;
    }

    return status;
}


ngx_uint_t
vault_download_admit(vault_request_t *vr, const char **message)
{
    link_t  link;

    return link_later(vr) ? 0 : link_check(vr, &op_get, &link, message);
}


static void
link_require(vault_request_t *vr, vault_admit_pt admit)
{
    ngx_uint_t   status;
    const char  *message;

    if (!vr->admit_later) {
        return;                       /* it was fresh when the bytes began */
    }

    (void) vault_signing_key(vr);

    status = admit(vr, &message);

    if (status) {
        vault_fail(vr, status, "%s", message);
    }
}


static void
upload_check(vault_request_t *vr)
{
    link_require(vr, vault_upload_admit);
}


static void
download_check(vault_request_t *vr)
{
    link_require(vr, vault_download_admit);
}


void
vault_upload_check_size(vault_request_t *vr, int64_t size)
{
    if (size <= 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The file is empty.");
    }

    if (size <= vr->conf->file_max) {
        return;
    }

    if (vr->conf->file_max < 1024 * 1024) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The file is too large. This "
                   "server takes at most %O KB.", vr->conf->file_max / 1024);
    }

    vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The file is too large. This "
               "server takes at most %O MB.",
               (vr->conf->file_max + 1) / (1024 * 1024));
}


vault_upload_t
vault_upload_begin(vault_request_t *vr, const vault_file_t *file,
    const ngx_str_t *direct_path)
{
    ngx_str_t       origin;
    vault_upload_t  upload;

    switch (vr->conf->upload) {

    case VAULT_UPLOAD_BUCKET:
        upload.type = 1;
        upload.url = vault_files_put_link(vr, &file->id, VAULT_LINK_LIFE);
        break;

    case VAULT_UPLOAD_OWN:
        upload.type = 1;
        upload.url = link_make(vr, file, &op_put);
        break;

    default: /* VAULT_UPLOAD_DIRECT */
        origin = vault_origin(vr);
        upload.type = 0;
        upload.url = vault_printf(vr, "%V%V", &origin, direct_path);
    }

    return upload;
}


ngx_str_t
vault_upload_link(vault_request_t *vr, const vault_file_t *file)
{
    return vault_files_is_bucket(vr->conf->files)
           ? vault_files_get_link(vr, &file->id, VAULT_LINK_LIFE)
           : link_make(vr, file, &op_get);
}


/* The row went while the bytes came: nobody would ever look for them. */
static void
upload_orphan(vault_request_t *vr, const vault_file_t *file)
{
    ngx_str_t    *name;
    ngx_array_t   names, gone;

    if (ngx_array_init(&names, vr->pool, 1, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&gone, vr->pool, 1, sizeof(ngx_str_t)) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    name = ngx_array_push(&names);
    *name = file->id;

    vault_files_delete(vr, &names, &gone);
}


void
vault_upload_accept(vault_request_t *vr, const vault_file_t *file,
    const vault_bytes_t *bytes)
{
    if (file->state != VAULT_FILE_PENDING) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "This file has been uploaded already.");
    }

    if (bytes->size != file->size) {
        (void) vault_file_doom(vr, file);
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The file has %O bytes, but %L were announced.",
                   bytes->size, file->size);
    }

    vault_files_put(vr, &file->id, bytes);

    if (vault_file_settle(vr, file)) {
        return;
    }

    if (vault_file_find_any(vr, &file->id)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "This file has been uploaded already.");
    }

    upload_orphan(vr, file);
    vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
}


ngx_uint_t
vault_upload_settle(vault_request_t *vr, const vault_user_t *user)
{
    off_t          size;
    int64_t        oldest;
    ngx_int_t      rc;
    ngx_uint_t     i, ready;
    ngx_array_t   *promises;
    vault_file_t  *file;

    if (vr->conf->upload != VAULT_UPLOAD_BUCKET) {
        return 0;
    }

    ready = 0;
    oldest = vault_now() - SETTLE_LIFE;
    promises = vault_file_pending(vr, user);
    file = promises->elts;

    for (i = 0; i < ngx_min(promises->nelts, HEADS_MAX); i++) {

        if (file[i].created_at < oldest) {
            break;
        }

        rc = vault_files_head(vr, &file[i].id, &size);

        if (rc == NGX_ERROR) {
            break;                    /* the next sync asks again */
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (size == file[i].size) {
            ready |= vault_file_settle(vr, &file[i]);

        } else {
            (void) vault_file_doom(vr, &file[i]);
        }
    }

    return ready;
}
