/*
 * s3_url - "s3://bucket/prefix?region=…" and the names that follow from it.
 *
 * Why:    a mistake in the configuration is named by nginx -t, and not found
 *         by the first upload.
 * Use:    vault_s3_url_parse() while the configuration is read,
 *         vault_s3_url_place() as soon as the region is known.
 * Owns:   nothing; results live in the pool or are parts of the URL.
 * Fails:  NGX_DECLINED with a text that says what is wrong, NGX_ERROR for
 *         memory.
 * Waits:  never; pure functions.
 *
 * Options, each at most once, written plainly (no percent-encoding):
 *   region         of the bucket; needed unless the environment or the
 *                  instance tells it
 *   endpoint       http(s)://host[:port] of a store that is not AWS's
 *   path_style     on: the bucket is in the path; off: in the host's name
 *   storage_class  of what is stored, such as INTELLIGENT_TIERING
 *   sse, kms_key   AES256, aws:kms or aws:kms:dsse, and the key of the latter
 */

#ifndef VAULT_FILES_S3_URL_H
#define VAULT_FILES_S3_URL_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t   bucket;
    ngx_str_t   prefix;               /* "" or "a/b/" */
    ngx_str_t   region;               /* "" if it does not say */
    ngx_str_t   storage_class;        /* "": the bucket's default */
    ngx_str_t   sse;
    ngx_str_t   kms_key;
    ngx_str_t   host;                 /* of the endpoint, without brackets; ""
                                         is AWS */
    in_port_t   port;
    unsigned    tls:1;
    unsigned    loopback:1;           /* the endpoint is on this machine */
    unsigned    path_style:1;
} vault_s3_url_t;

/* Where the bucket is to be found. */
typedef struct {
    ngx_str_t   region;
    ngx_str_t   address;              /* name or address to connect to */
    ngx_str_t   host;                 /* of the Host header and of links */
    ngx_str_t   bucket;               /* its path: "/" or "/bucket" */
    ngx_str_t   objects;              /* what stands before a name:
                                         "/prefix/" or "/bucket/prefix/" */
} vault_s3_place_t;


ngx_int_t vault_s3_url_parse(ngx_pool_t *pool, const ngx_str_t *text,
    vault_s3_url_t *url, ngx_str_t *error);

ngx_int_t vault_s3_url_place(ngx_pool_t *pool, const vault_s3_url_t *url,
    const ngx_str_t *region, vault_s3_place_t *place);


#endif
