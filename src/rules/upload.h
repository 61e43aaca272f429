/*
 * upload - how bytes come in and go out, whatever the store.
 *
 *   direct   fileUploadType 0: multipart to the API
 *   own      fileUploadType 1: one PUT to a signed link at /files/… of this
 *            server, which stores it, in a folder or a bucket
 *   bucket   fileUploadType 1: one PUT to a presigned link of the bucket,
 *            under this origin; nobody tells us when it is done, so a promise
 *            is checked (HEAD) at the next sync, list or download
 *
 * vault_upload: direct | presigned (bucket if the store is one, else own) |
 * auto (own; bucket on Lambda, where a request is at most 6 MB).
 *
 * Links of our own: "/files/{id}?op=put|get&size=N&exp=SECONDS&sig=HEX" and
 * for PUT "&sv=2021-08-06", which clients copy into a header; the signature is
 * vault_keyring_mac() over all of it.  Valid 5 minutes to begin.
 */

#ifndef VAULT_RULES_UPLOAD_H
#define VAULT_RULES_UPLOAD_H

#include "../files/files.h"
#include "../model/file.h"
#include "../run/route.h"


#define VAULT_LINK_LIFE  300          /* seconds */

/* fileUploadType and url of an answer. */
typedef struct {
    int64_t    type;                  /* 0 direct, 1 by PUT */
    ngx_str_t  url;
} vault_upload_t;

/* How this file is to be sent.  direct_path: "/api/…" of type 0.  Awaits. */
vault_upload_t vault_upload_begin(vault_request_t *vr,
    const vault_file_t *file, const ngx_str_t *direct_path);

/* A link to get it by, 5 minutes.  Awaits. */
ngx_str_t vault_upload_link(vault_request_t *vr, const vault_file_t *file);

/*
 * Takes bytes that have come for a promise: checks the size, stores, settles.
 * 400 for another size (the promise is doomed) or a promise that was kept.
 */
void vault_upload_accept(vault_request_t *vr, const vault_file_t *file,
    const vault_bytes_t *bytes);

/*
 * Looks after the user's promises in a bucket; one cheap query if there are
 * none, and nothing at all unless uploads go to a bucket.  1 if something has
 * become ready: read the user's revision again.
 */
ngx_uint_t vault_upload_settle(vault_request_t *vr, const vault_user_t *user);

/*
 * Before a body is read (route guard): whether the link in the request is
 * ours, whole and fresh, and Content-Length is what it says.  0 or a status.
 */
ngx_uint_t vault_upload_admit(vault_request_t *vr, const char **message);
ngx_uint_t vault_download_admit(vault_request_t *vr, const char **message);

extern const vault_guard_t  vault_guard_upload;
extern const vault_guard_t  vault_guard_download;

#define VAULT_UPLOAD    &vault_guard_upload
#define VAULT_DOWNLOAD  &vault_guard_download

/* 400 with a clear text if size is 0, or above vault_file_max. */
void vault_upload_check_size(vault_request_t *vr, int64_t size);


#endif
