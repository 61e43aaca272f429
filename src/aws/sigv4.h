/*
 * sigv4 - signatures of requests to AWS, version 4.
 *
 * Why:    S3, STS, SES and DSQL all take the same signature, in headers or in
 *         the URL; it is arithmetic, so it needs no request and no network.
 * Use:    vault_sigv4_sign() for a request that this server sends,
 *         vault_sigv4_presign() for a URL that somebody else will use.
 * Owns:   results live in the pool; signing keys of a day are kept per thread,
 *         derived values only, and wiped when they are replaced.
 * Fails:  keys are used even if they have expired: AWS may have prolonged them.
 *         NGX_DECLINED for what cannot be signed (a control character, too
 *         many parameters, an expiry out of range), NGX_ERROR for memory or
 *         OpenSSL; outputs untouched then.
 * Waits:  never.
 *
 * Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * and sigv4-query-string-auth.html.
 */

#ifndef VAULT_AWS_SIGV4_H
#define VAULT_AWS_SIGV4_H

#include <ngx_config.h>
#include <ngx_core.h>


#define VAULT_SIGV4_PAIRS    16       /* query parameters, headers */
#define VAULT_SIGV4_EXPIRES  604800   /* seconds, the longest */

typedef struct {
    ngx_str_t            access_key;
    ngx_str_t            secret_key;
    ngx_str_t            session_token;  /* empty: none */
    int64_t              expires_at;  /* ms; 0: never */
} vault_aws_keys_t;

/*
 * A request before it is signed.  Path, names and values are given as they
 * are meant; they are encoded here.
 */
typedef struct {
    ngx_str_t            method;
    ngx_str_t            host;        /* with ":port" if it has one */
    ngx_str_t            path;        /* from "/" on; empty means "/" */
    const ngx_keyval_t  *query;
    ngx_uint_t           nquery;
    const ngx_keyval_t  *headers;     /* to be signed besides Host and what is
                                         added; an x-amz-* must be */
    ngx_uint_t           nheaders;
    ngx_str_t            payload;     /* from vault_sigv4_payload(); empty:
                                         UNSIGNED-PAYLOAD for s3, that of no
                                         body for other services */
    ngx_str_t            region;
    ngx_str_t            service;     /* "s3": the path is encoded once */
} vault_sigv4_t;

typedef struct {
    ngx_str_t            target;      /* "/path?query", encoded */
    ngx_keyval_t         headers[4];  /* to be sent besides Host and those of
                                         the request */
    ngx_uint_t           nheaders;
} vault_sigv4_signed_t;


/* `now` in ms by the wall clock, corrected by vault_aws_now() if known. */
ngx_int_t vault_sigv4_sign(ngx_pool_t *pool, const vault_sigv4_t *request,
    const vault_aws_keys_t *keys, int64_t now, vault_sigv4_signed_t *out);

/*
 * The target, "/path?query", of a URL that holds for `expires` seconds, but
 * no longer than temporary keys do.  "https://" and the host, or that of a
 * proxy which asks the real host, is the caller's to put in front.
 */
ngx_int_t vault_sigv4_presign(ngx_pool_t *pool, const vault_sigv4_t *request,
    const vault_aws_keys_t *keys, int64_t now, ngx_uint_t expires,
    ngx_str_t *target);

/* SHA-256 of a body in hex. */
ngx_int_t vault_sigv4_payload(ngx_pool_t *pool, const ngx_str_t *body,
    ngx_str_t *payload);

/* Percent-encoding of everything but A-Z a-z 0-9 - . _ ~ (and slashes). */
ngx_int_t vault_sigv4_encode(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_uint_t keep_slashes, ngx_str_t *out);

/* Wipes the signing keys that this thread keeps. */
void vault_sigv4_forget(void);


#endif
