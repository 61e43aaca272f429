/*
 * s3 - a bucket as a store, in S3 and in what speaks its language.
 *
 * Why:    several machines, or none (Lambda), share their files.
 * Use:    files.c knows vault_files_s3_create() (adapter.h); the rest is
 *         between s3.c (the adapter), s3_call.c (one request, tried again) and
 *         s3_link.c (links for clients).
 * Owns:   what a configuration says, and in each worker the upstream.
 * Fails:  a call says NGX_ERROR after having logged why, and never ends the
 *         request: the adapter knows what that means.
 * Waits:  whatever takes a request awaits.
 *
 * Bodies that lie in a file are not hashed (UNSIGNED-PAYLOAD): TLS protects
 * them on their way, clients have encrypted and authenticated them, and a
 * store without TLS is this machine's own or has been warned of.
 */

#ifndef VAULT_FILES_S3_H
#define VAULT_FILES_S3_H

#include "../aws/credentials.h"
#include "../net/upstream.h"
#include "adapter.h"
#include "s3_url.h"


#define VAULT_S3_HEADERS  4

typedef struct {
    vault_s3_url_t       url;
    vault_aws_t         *aws;

    /* NULL until the region is known, which may be in the worker */
    vault_upstream_t    *upstream;
    vault_s3_place_t     place;
    ngx_str_t            origin;      /* "https://host" */
} vault_s3_t;

typedef struct {
    const char          *method;
    ngx_str_t            path;        /* not encoded */
    const ngx_keyval_t  *query;
    ngx_uint_t           nquery;
    ngx_keyval_t         headers[VAULT_S3_HEADERS];  /* they are signed */
    ngx_uint_t           nheaders;
    ngx_str_t            body;        /* data NULL: none … */
    const vault_bytes_t *bytes;       /* … or in a file; or NULL */
    size_t               max;         /* bytes of an answer; 0: 64 KiB */
} vault_s3_call_t;

typedef struct {
    ngx_uint_t           status;      /* 0: none came */
    ngx_str_t            body;
    ngx_str_t            code;        /* of S3's error, fit to be logged; or
                                         empty */
    ngx_str_t            message;
    vault_http_answer_t  http;
} vault_s3_answer_t;


/*
 * NGX_OK for an answer 2xx; NGX_DECLINED for 404 to HEAD; NGX_ERROR, logged,
 * for anything else, after a few tries where another may help.  Every call is
 * one that may be repeated.
 */
ngx_int_t vault_s3_call(vault_request_t *vr, vault_s3_t *s3,
    const vault_s3_call_t *call, vault_s3_answer_t *answer);

/* What must be known before anything is signed; NGX_ERROR, logged. */
ngx_int_t vault_s3_open(vault_request_t *vr, vault_s3_t *s3);

/* In the configuration and in a worker: makes the place and the upstream. */
ngx_int_t vault_s3_settle(ngx_conf_t *cf, vault_s3_t *s3,
    const ngx_str_t *region);

/* The path of an object. */
ngx_str_t vault_s3_path(vault_request_t *vr, vault_s3_t *s3,
    const ngx_str_t *name);


/* Links: the adapter's, fail with 503. */
ngx_str_t vault_s3_put_link(vault_request_t *vr, void *data,
    const ngx_str_t *name, time_t life);
ngx_str_t vault_s3_get_link(vault_request_t *vr, void *data,
    const ngx_str_t *name, time_t life);


#endif
