/*
 * files - the store of large encrypted objects: a folder or a bucket.
 *
 * Why:    attachments and Sends are written once, read whole and deleted; the
 *         rows that name them are model/file.h, and the truth.
 * Use:    names are UUIDs of rows.  put, head, delete; links for clients are
 *         made in rules/upload.h.
 * Owns:   nothing of a request; an object that is half written is never seen.
 * Fails:  503 when the store is out of reach, full or refuses; the cause is
 *         logged once.
 * Waits:  put, head, delete, sweep, send and both links (for credentials)
 *         await.
 *
 * Adapters, known to files.c alone: local.c and s3*.c.
 */

#ifndef VAULT_FILES_FILES_H
#define VAULT_FILES_FILES_H

#include "../run/request.h"


/* 256 MiB - 1: above, clients upload in blocks, which S3 cannot take. */
#define VAULT_FILE_MAX  (256 * 1024 * 1024 - 1)

/* A part of a body that lies in a file: run/body.h. */
typedef struct {
    ngx_file_t  *file;
    off_t        from;
    off_t        size;
    unsigned     whole:1;             /* nothing else is in the file, which may
                                         be taken away */
} vault_bytes_t;

/*
 * Parses "file:/path" or "s3://bucket/prefix?region=…&endpoint=…".  While the
 * configuration is read; NULL after having logged what is wrong.
 */
vault_files_t *vault_files_create(ngx_conf_t *cf, const ngx_str_t *url,
    vault_aws_t *aws);

/* In the master: is the folder there and writable?  Logs its remedy. */
ngx_int_t vault_files_check(vault_files_t *files, ngx_cycle_t *cycle);
void vault_files_stop(vault_files_t *files);

/* The folder that bodies are received in so that storing is a rename, or "". */
ngx_str_t vault_files_folder(vault_files_t *files);

/* Do clients reach the store by themselves? */
ngx_uint_t vault_files_is_bucket(vault_files_t *files);

/* Where a bucket is: what nginx itself is to ask for a client. */
typedef struct {
    ngx_str_t    url;                 /* "https://host[:port]" */
    ngx_str_t    host;                /* "host[:port]" */
    ngx_str_t    path;                /* what stands before a name */
} vault_files_place_t;

/* NGX_DECLINED for a folder, or if no request has asked for it yet. */
ngx_int_t vault_files_place(vault_files_t *files, vault_files_place_t *place);


/* Stores; durable when it returns; replaces what was there. */
void vault_files_put(vault_request_t *vr, const ngx_str_t *name,
    const vault_bytes_t *bytes);

/*
 * NGX_OK with the size, NGX_DECLINED if there is none; NGX_ERROR, logged, if
 * the store does not answer: it does not fail, since a sync asks it.
 */
ngx_int_t vault_files_head(vault_request_t *vr, const ngx_str_t *name,
    off_t *size);

/*
 * Deletes; what is not there counts as deleted.  `gone` (of ngx_str_t) gets
 * the names that are certainly gone; does not fail: the caller comes again.
 */
void vault_files_delete(vault_request_t *vr, const ngx_array_t *names,
    ngx_array_t *gone);

/* Removes what broken uploads left in the folder before `before` (ms). */
void vault_files_sweep(vault_request_t *vr, int64_t before);

/* Folder only: answers with the file, ranges allowed; 404. */
void vault_files_send(vault_request_t *vr, const ngx_str_t *name);

/*
 * Bucket only: presigned for `life` seconds, no network unless credentials
 * must be fetched.  A PUT link is under the vault's own origin, at
 * "/bucket/…" (conf/), a GET link at the store's own host.
 */
ngx_str_t vault_files_put_link(vault_request_t *vr, const ngx_str_t *name,
    time_t life);
ngx_str_t vault_files_get_link(vault_request_t *vr, const ngx_str_t *name,
    time_t life);


#endif
