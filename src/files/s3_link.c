/*
 * Presigned URLs: whoever has one may do this one thing for a few minutes.
 * They are made without asking anybody.
 */

#include "s3.h"

#include "../aws/clock.h"


#define UNAVAILABLE  "The storage is not available. Please try again."

/* Clients copy it into a header, where one of Azure's is expected. */
#define AZURE_VERSION  "2021-08-06"

#define BUCKET_PATH  "/bucket"        /* conf/bucket.conf */


static ngx_str_t
join(vault_request_t *vr, const ngx_str_t *origin, const char *path,
    const ngx_str_t *target)
{
    u_char     *p;
    ngx_str_t   url;

    p = vault_alloc(vr, origin->len + ngx_strlen(path) + target->len);
    url.data = p;
    p = ngx_sprintf(p, "%V%s%V", origin, path, target);
    url.len = p - url.data;

    return url;
}


static ngx_str_t
presign(vault_request_t *vr, vault_s3_t *s3, const ngx_str_t *name,
    vault_sigv4_t *request, time_t life)
{
    ngx_str_t          target;
    vault_aws_keys_t  *keys;

    if (vault_s3_open(vr, s3) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, UNAVAILABLE);
    }

    keys = vault_aws_credentials(vr);         /* awaits; 503 */

    ngx_str_set(&request->service, "s3");
    request->host = s3->place.host;
    request->region = s3->place.region;
    request->path = vault_s3_path(vr, s3, name);

    if (vault_sigv4_presign(vr->pool, request, keys, vault_aws_now(), life,
                            &target)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0, "s3: a link cannot be signed");
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, UNAVAILABLE);
    }

    return target;
}


/*
 * Signed for the bucket's host, handed out under our own: who is asked there
 * asks the bucket (nginx, CloudFront).  Only Host is signed, so the headers
 * that clients send are theirs; the storage class goes with the query, which
 * is where S3 takes it from too.
 */
ngx_str_t
vault_s3_put_link(vault_request_t *vr, void *data, const ngx_str_t *name,
    time_t life)
{
    ngx_str_t      target, origin;
    vault_s3_t    *s3 = data;
    ngx_keyval_t   query[] = {
        { ngx_string("sv"), ngx_string(AZURE_VERSION) },
        { ngx_string("x-amz-storage-class"), ngx_null_string },
    };
    vault_sigv4_t  request;

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.method, "PUT");

    query[1].value = s3->url.storage_class;
    request.query = query;
    request.nquery = s3->url.storage_class.len ? 2 : 1;

    target = presign(vr, s3, name, &request, life);
    origin = vault_origin(vr);

    return join(vr, &origin, BUCKET_PATH, &target);
}


ngx_str_t
vault_s3_get_link(vault_request_t *vr, void *data, const ngx_str_t *name,
    time_t life)
{
    ngx_str_t                  target;
    vault_s3_t                *s3 = data;
    vault_sigv4_t              request;
    static const ngx_keyval_t  query[] = {
        { ngx_string("response-cache-control"), ngx_string("no-store") },
        { ngx_string("response-content-disposition"),
          ngx_string("attachment") },
        { ngx_string("response-content-type"),
          ngx_string("application/octet-stream") },
    };

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.method, "GET");
    request.query = query;
    request.nquery = sizeof(query) / sizeof(query[0]);

    target = presign(vr, s3, name, &request, life);

    return join(vr, &s3->origin, "", &target);
}
