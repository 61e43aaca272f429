/*
 * The adapter: what the port asks, in the words of S3.
 */

#include "s3.h"

#include "../crypto/crypto.h"
#include "../run/await.h"
#include "s3_xml.h"

#include <ngx_md5.h>


#define BATCH        1000             /* keys of one DeleteObjects */
#define MD5_LEN      16
#define ANSWER_MAX   (2 * 1024 * 1024)
#define SLOWEST      (256 * 1024)     /* bytes a second to a bucket */

#define UNAVAILABLE  "The storage is not available. Please try again."
#define REGION_ELSE  "us-east-1"      /* what stores that are not AWS expect */


static void s3_put(vault_request_t *vr, void *data, const ngx_str_t *name,
    const vault_bytes_t *bytes);
static ngx_int_t s3_head(vault_request_t *vr, void *data,
    const ngx_str_t *name, off_t *size);
static void s3_delete(vault_request_t *vr, void *data,
    const ngx_array_t *names, ngx_array_t *gone);
static void s3_stop(void *data);
static ngx_int_t s3_place(void *data, vault_files_place_t *place);

static const vault_files_adapter_t  adapter = {
    .put = s3_put,
    .head = s3_head,
    .delete = s3_delete,
    .stop = s3_stop,
    .place = s3_place,
    .put_link = vault_s3_put_link,
    .get_link = vault_s3_get_link
};


/* The configuration */

static void
warn_plain(ngx_conf_t *cf, vault_s3_t *s3)
{
    if (!s3->url.tls && !s3->url.loopback) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"vault_files\" asks %V without TLS: whoever "
                           "listens can use the links it sees",
                           &s3->url.host);
    }
}


ngx_int_t
vault_files_s3_create(ngx_conf_t *cf, const ngx_str_t *url, vault_aws_t *aws,
    vault_files_t *files)
{
    ngx_int_t    rc;
    ngx_str_t    error, region;
    vault_s3_t  *s3;

    s3 = ngx_pcalloc(cf->pool, sizeof(vault_s3_t));
    if (s3 == NULL) {
        return NGX_ERROR;
    }

    rc = vault_s3_url_parse(cf->pool, url, &s3->url, &error);

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_files\": %V",
                           &error);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    warn_plain(cf, s3);

    s3->aws = aws;
    files->adapter = &adapter;
    files->data = s3;
    ngx_str_null(&files->folder);

    region = s3->url.region.len ? s3->url.region
                                : vault_aws_region_known(aws);

    if (region.len == 0 && s3->url.host.len) {
        ngx_str_set(&region, REGION_ELSE);
    }

    return region.len ? vault_s3_settle(cf, s3, &region) : NGX_OK;
}


static void
s3_stop(void *data)
{
    vault_s3_t  *s3 = data;

    if (s3->upstream) {
        vault_upstream_stop(s3->upstream);
    }
}


static ngx_int_t
s3_place(void *data, vault_files_place_t *place)
{
    vault_s3_t  *s3 = data;

    if (s3->upstream == NULL) {
        return NGX_DECLINED;
    }

    place->url = s3->origin;
    place->host = s3->place.host;
    place->path = s3->place.objects;

    return NGX_OK;
}


/* One object */

static void
add_header(vault_s3_call_t *call, const char *name, const ngx_str_t *value)
{
    ngx_keyval_t  *header;

    if (value->len) {
        header = &call->headers[call->nheaders++];
        header->key.data = (u_char *) name;
        header->key.len = ngx_strlen(name);
        header->value = *value;
    }
}


/* What is not said is left to the bucket. */
static void
s3_put(vault_request_t *vr, void *data, const ngx_str_t *name,
    const vault_bytes_t *bytes)
{
    ngx_str_t          type = ngx_string("application/octet-stream");
    vault_s3_t        *s3 = data;
    vault_s3_call_t    call;
    vault_s3_answer_t  answer;

    if (vault_s3_open(vr, s3) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, UNAVAILABLE);
    }

    ngx_memzero(&call, sizeof(vault_s3_call_t));
    call.method = "PUT";
    call.path = vault_s3_path(vr, s3, name);
    call.bytes = bytes;

    add_header(&call, "Content-Type", &type);
    add_header(&call, "x-amz-storage-class", &s3->url.storage_class);
    add_header(&call, "x-amz-server-side-encryption", &s3->url.sse);
    add_header(&call, "x-amz-server-side-encryption-aws-kms-key-id",
               &s3->url.kms_key);

    vault_wait_longer(vr, (ngx_msec_t) (bytes->size * 1000 / SLOWEST));

    if (vault_s3_call(vr, s3, &call, &answer) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, UNAVAILABLE);
    }
}


static ngx_int_t
s3_head(vault_request_t *vr, void *data, const ngx_str_t *name, off_t *size)
{
    off_t              length;
    ngx_int_t          rc;
    ngx_str_t          text;
    vault_s3_t        *s3 = data;
    vault_s3_call_t    call;
    vault_s3_answer_t  answer;

    if (vault_s3_open(vr, s3) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&call, sizeof(vault_s3_call_t));
    call.method = "HEAD";
    call.path = vault_s3_path(vr, s3, name);

    rc = vault_s3_call(vr, s3, &call, &answer);
    if (rc != NGX_OK) {
        return rc;
    }

    text = vault_http_header(&answer.http, "content-length");
    length = ngx_atoof(text.data, text.len);

    if (length < 0) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "s3: HEAD is answered without a length");
        return NGX_ERROR;
    }

    *size = length;

    return NGX_OK;
}


/* Many of them */

typedef struct {
    vault_s3_t  *s3;
    ngx_str_t   *names;
    ngx_uint_t   n;
    u_char      *done;                /* a flag a name */
    ngx_uint_t   next;                /* answers come in our order mostly */
} batch_t;


/* The place of a key in the batch; n if it is not ours, or was there. */
static ngx_uint_t
find_name(batch_t *batch, const ngx_str_t *key)
{
    size_t             skip = batch->s3->url.prefix.len;
    ngx_uint_t         i, at;
    const ngx_str_t   *name;

    if (key->len < skip
        || ngx_strncmp(key->data, batch->s3->url.prefix.data, skip) != 0)
    {
        return batch->n;
    }

    for (i = 0; i < batch->n; i++) {
        at = (batch->next + i) % batch->n;
        name = &batch->names[at];

        if (key->len - skip == name->len
            && ngx_memcmp(key->data + skip, name->data, name->len) == 0)
        {
            batch->next = at + 1;
            return batch->done[at] ? batch->n : at;
        }
    }

    return batch->n;
}


static void
take_key(vault_request_t *vr, batch_t *batch, const ngx_str_t *element,
    ngx_array_t *gone)
{
    ngx_str_t   key, *slot;
    ngx_uint_t  at;

    if (vault_s3_xml_text(vr->pool, element, "Key", &key) != NGX_OK) {
        return;
    }

    at = find_name(batch, &key);
    if (at == batch->n) {
        return;
    }

    slot = ngx_array_push(gone);
    if (slot) {
        *slot = batch->names[at];
        batch->done[at] = 1;
    }
}


static ngx_uint_t
is_missing(const ngx_str_t *code)
{
    return code->len == sizeof("NoSuchKey") - 1
           && ngx_strncmp(code->data, "NoSuchKey", code->len) == 0;
}


/* A key that is said to have failed is left for another time. */
static ngx_uint_t
take_errors(vault_request_t *vr, batch_t *batch, ngx_str_t rest,
    ngx_array_t *gone, ngx_str_t *first)
{
    ngx_str_t   element, code;
    ngx_uint_t  n;

    n = 0;

    while (vault_s3_xml_next(&rest, "Error", &element) == NGX_OK) {

        if (vault_s3_xml_text(vr->pool, &element, "Code", &code) != NGX_OK) {
            ngx_str_set(&code, "unknown");
        }

        if (is_missing(&code)) {
            take_key(vr, batch, &element, gone);

        } else if (n++ == 0) {
            *first = vault_http_printable(vr, &code);
        }
    }

    return n;
}


static void
read_result(vault_request_t *vr, batch_t *batch, ngx_str_t body,
    ngx_array_t *gone)
{
    ngx_str_t   result, rest, element, code;
    ngx_uint_t  failed;

    if (vault_s3_xml_next(&body, "DeleteResult", &result) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "s3: DeleteObjects is not answered with its result");
        return;
    }

    rest = result;

    while (vault_s3_xml_next(&rest, "Deleted", &element) == NGX_OK) {
        take_key(vr, batch, &element, gone);
    }

    failed = take_errors(vr, batch, result, gone, &code);

    if (failed) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "s3: %ui of %ui objects are not deleted: %V", failed,
                      batch->n, &code);
    }
}


/* Servers take a batch only with this proof that it came over whole. */
static void
add_md5(vault_request_t *vr, vault_s3_call_t *call)
{
    u_char     digest[MD5_LEN];
    ngx_str_t  raw, text;
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, call->body.data, call->body.len);
    ngx_md5_final(digest, &md5);

    raw.data = digest;
    raw.len = MD5_LEN;

    if (vault_base64(vr->pool, &raw, &text) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    add_header(call, "Content-MD5", &text);
}


static ngx_int_t
delete_batch(vault_request_t *vr, batch_t *batch, ngx_array_t *gone)
{
    ngx_str_t                  type = ngx_string("application/xml");
    vault_s3_t                *s3 = batch->s3;
    vault_s3_call_t            call;
    vault_s3_answer_t          answer;
    static const ngx_keyval_t  query = {
        ngx_string("delete"), ngx_string("")
    };

    batch->done = vault_calloc(vr, batch->n);

    ngx_memzero(&call, sizeof(vault_s3_call_t));
    call.method = "POST";
    call.path = s3->place.bucket;
    call.query = &query;
    call.nquery = 1;
    call.max = ANSWER_MAX;

    if (vault_s3_xml_delete(vr->pool, &s3->url.prefix, batch->names,
                            batch->n, &call.body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    add_header(&call, "Content-Type", &type);
    add_md5(vr, &call);

    if (vault_s3_call(vr, s3, &call, &answer) != NGX_OK) {
        return NGX_ERROR;
    }

    read_result(vr, batch, answer.body, gone);

    return NGX_OK;
}


/* Where one batch finds no answer, the next would not either. */
static void
s3_delete(vault_request_t *vr, void *data, const ngx_array_t *names,
    ngx_array_t *gone)
{
    batch_t      batch;
    ngx_uint_t   from;
    vault_s3_t  *s3 = data;

    if (vault_s3_open(vr, s3) != NGX_OK) {
        return;
    }

    for (from = 0; from < names->nelts; from += batch.n) {
        ngx_memzero(&batch, sizeof(batch_t));
        batch.s3 = s3;
        batch.names = (ngx_str_t *) names->elts + from;
        batch.n = ngx_min(names->nelts - from, BATCH);

        if (delete_batch(vr, &batch, gone) != NGX_OK) {
            return;
        }
    }
}
