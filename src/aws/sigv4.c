/*
 * The signature is an HMAC over a "string to sign", which names the time, the
 * scope and the hash of the "canonical request": the request in the one
 * spelling that both sides agree on.
 */

#include "sigv4_part.h"

#include "../crypto/crypto.h"
#include "../json/json.h"


#define TIME_LEN   (sizeof("20130524T000000Z") - 1)
#define DAY_LEN    (sizeof("20130524") - 1)
#define HEX_LEN    (2 * VAULT_SHA256_LEN)
#define OWN_QUERY  6                  /* X-Amz-* of a presigned URL */
#define OWN_PAIRS  4                  /* headers of our own: Host, x-amz-* */

#define NO_BODY                                                              \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* A signature in the making. */
typedef struct {
    ngx_pool_t              *pool;
    const vault_sigv4_t     *request;
    const vault_aws_keys_t  *keys;
    u_char                   time[TIME_LEN];
    ngx_str_t                scope;   /* "20130524/us-east-1/s3/aws4_request" */
    ngx_str_t                payload;
    ngx_str_t                path;    /* canonical */
    ngx_str_t                query;   /* canonical */
    ngx_str_t                names;   /* "host;x-amz-date" */
    ngx_keyval_t             params[VAULT_SIGV4_PAIRS + OWN_QUERY];
    ngx_uint_t               nparams;
    ngx_keyval_t             headers[VAULT_SIGV4_PAIRS + OWN_PAIRS];
    ngx_uint_t               nheaders;
    ngx_str_t                signature;
} work_t;


static ngx_uint_t
is_service(const vault_sigv4_t *request, const char *name)
{
    size_t  len = ngx_strlen(name);

    return request->service.len == len
           && ngx_strncmp(request->service.data, name, len) == 0;
}


/* "2013-05-24T00:00:00.000Z" without what AWS leaves out. */
static void
write_time(u_char *out, int64_t ms)
{
    size_t  i;
    u_char  text[VAULT_DATE_LEN];

    (void) vault_date_format(text, ms);

    for (i = 0; i < VAULT_DATE_LEN - sizeof(".000Z") + 1; i++) {
        if (text[i] != '-' && text[i] != ':') {
            *out++ = text[i];
        }
    }

    *out = 'Z';
}


/* Pairs in order */

static ngx_int_t
compare(const ngx_keyval_t *a, const ngx_keyval_t *b)
{
    ngx_int_t  rc;

    rc = ngx_memn2cmp(a->key.data, b->key.data, a->key.len, b->key.len);

    return rc ? rc : ngx_memn2cmp(a->value.data, b->value.data,
                                  a->value.len, b->value.len);
}


/* There are few, and they come nearly in order. */
static void
insert(ngx_keyval_t *pairs, ngx_uint_t *n, const ngx_keyval_t *pair)
{
    ngx_uint_t  i;

    for (i = *n; i > 0 && compare(&pairs[i - 1], pair) > 0; i--) {
        pairs[i] = pairs[i - 1];
    }

    pairs[i] = *pair;
    (*n)++;
}


static ngx_int_t
add_param(work_t *w, const ngx_str_t *name, const ngx_str_t *value)
{
    ngx_keyval_t  pair;

    if (vault_sigv4_encode(w->pool, name, 0, &pair.key) != NGX_OK
        || vault_sigv4_encode(w->pool, value, 0, &pair.value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    insert(w->params, &w->nparams, &pair);

    return NGX_OK;
}


static ngx_int_t
add_own_param(work_t *w, const char *name, const ngx_str_t *value)
{
    ngx_str_t  text;

    text.data = (u_char *) name;
    text.len = ngx_strlen(name);

    return add_param(w, &text, value);
}


/* Spaces around a value and runs of them count as they would be sent once. */
static ngx_int_t
trim(ngx_pool_t *pool, const ngx_str_t *value, ngx_str_t *out)
{
    size_t   i;
    u_char  *p, *start;

    start = ngx_pnalloc(pool, value->len + 1);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = start;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < ' ' || value->data[i] == 0x7f) {
            return NGX_DECLINED;
        }

        if (value->data[i] != ' ' || (p != start && p[-1] != ' ')) {
            *p++ = value->data[i];
        }
    }

    if (p != start && p[-1] == ' ') {
        p--;
    }

    out->data = start;
    out->len = p - start;

    return NGX_OK;
}


static ngx_int_t
add_header(work_t *w, const ngx_str_t *name, const ngx_str_t *value)
{
    size_t        i;
    ngx_int_t     rc;
    ngx_uint_t    n;
    ngx_keyval_t  pair;

    for (i = 0; i < name->len; i++) {
        if (!vault_sigv4_is_plain(name->data[i])) {
            return NGX_DECLINED;
        }
    }

    if (name->len == 0) {
        return NGX_DECLINED;
    }

    pair.key.len = name->len;
    pair.key.data = ngx_pnalloc(w->pool, name->len);
    if (pair.key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(pair.key.data, name->data, name->len);

    for (n = 0; n < w->nheaders; n++) {
        if (w->headers[n].key.len == name->len
            && ngx_memcmp(w->headers[n].key.data, pair.key.data, name->len)
               == 0)
        {
            return NGX_DECLINED;      /* one header, one value */
        }
    }

    rc = trim(w->pool, value, &pair.value);
    if (rc == NGX_OK) {
        insert(w->headers, &w->nheaders, &pair);
    }

    return rc;
}


static ngx_int_t
add_own_header(work_t *w, const char *name, const ngx_str_t *value)
{
    ngx_str_t  text;

    text.data = (u_char *) name;
    text.len = ngx_strlen(name);

    return add_header(w, &text, value);
}


/* The canonical request and its parts */

/* "name=value&name=value", or "name:value\n" for each. */
static ngx_int_t
join(ngx_pool_t *pool, const ngx_keyval_t *pairs, ngx_uint_t n,
    u_char between, u_char after, ngx_str_t *out)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += pairs[i].key.len + pairs[i].value.len + 2;
    }

    p = ngx_pnalloc(pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, pairs[i].key.data, pairs[i].key.len);
        *p++ = between;
        p = ngx_cpymem(p, pairs[i].value.data, pairs[i].value.len);
        *p++ = after;
    }

    out->len = p - out->data;

    return NGX_OK;
}


static ngx_int_t
join_names(work_t *w)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < w->nheaders; i++) {
        len += w->headers[i].key.len + 1;
    }

    p = ngx_pnalloc(w->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    w->names.data = p;
    w->names.len = len - 1;

    for (i = 0; i < w->nheaders; i++) {
        p = ngx_cpymem(p, w->headers[i].key.data, w->headers[i].key.len);
        *p++ = ';';
    }

    return NGX_OK;
}


static ngx_int_t
join_query(work_t *w)
{
    if (join(w->pool, w->params, w->nparams, '=', '&', &w->query) != NGX_OK) {
        return NGX_ERROR;
    }

    if (w->query.len) {
        w->query.len--;               /* the last "&" */
    }

    return NGX_OK;
}


/* S3 encodes a path once; the others the path that has been encoded. */
static ngx_int_t
make_path(work_t *w, ngx_str_t *canonical)
{
    ngx_str_t         root = ngx_string("/");
    const ngx_str_t  *path;

    path = w->request->path.len ? &w->request->path : &root;

    if (path->data[0] != '/') {
        return NGX_DECLINED;
    }

    if (vault_sigv4_encode(w->pool, path, 1, &w->path) != NGX_OK) {
        return NGX_ERROR;
    }

    *canonical = w->path;

    return is_service(w->request, "s3")
           ? NGX_OK : vault_sigv4_encode(w->pool, &w->path, 1, canonical);
}


static ngx_int_t
hash_request(work_t *w, ngx_str_t *out)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   path, headers, text;

    rc = make_path(w, &path);
    if (rc != NGX_OK) {
        return rc;
    }

    if (join_query(w) != NGX_OK
        || join(w->pool, w->headers, w->nheaders, ':', '\n', &headers)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    text.len = w->request->method.len + path.len + w->query.len + headers.len
               + w->names.len + w->payload.len + 5;
    p = ngx_pnalloc(w->pool, text.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.data = p;
    p = ngx_sprintf(p, "%V\n%V\n%V\n%V\n%V\n%V", &w->request->method, &path,
                    &w->query, &headers, &w->names, &w->payload);
    text.len = p - text.data;

    return vault_sigv4_payload(w->pool, &text, out);
}


/* Signatures */

static ngx_int_t
make_signature(work_t *w)
{
    u_char      mac[VAULT_SHA256_LEN], *p;
    ngx_int_t   rc;
    ngx_str_t   hash, key, text;

    rc = hash_request(w, &hash);
    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_pnalloc(w->pool, sizeof("AWS4-HMAC-SHA256") + TIME_LEN
                             + w->scope.len + HEX_LEN + 3);
    if (p == NULL
        || vault_sigv4_key(w->pool, w->request, &w->keys->secret_key,
                           &w->scope, &key)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    text.data = p;
    p = ngx_sprintf(p, "AWS4-HMAC-SHA256\n%*s\n%V\n%V", TIME_LEN, w->time,
                    &w->scope, &hash);
    text.len = p - text.data;

    if (vault_hmac_sha256(&key, &text, mac) != NGX_OK) {
        return NGX_ERROR;
    }

    return vault_sigv4_hex(w->pool, mac, &w->signature);
}


static ngx_int_t
make_scope(work_t *w)
{
    const vault_sigv4_t  *request = w->request;

    w->scope.data = ngx_pnalloc(w->pool, DAY_LEN + request->region.len
                                + request->service.len
                                + sizeof("///aws4_request"));
    if (w->scope.data == NULL) {
        return NGX_ERROR;
    }

    w->scope.len = ngx_sprintf(w->scope.data, "%*s/%V/%V/aws4_request",
                               DAY_LEN, w->time, &request->region,
                               &request->service)
                   - w->scope.data;

    return NGX_OK;
}


static ngx_int_t
prepare(work_t *w, ngx_pool_t *pool, const vault_sigv4_t *request,
    const vault_aws_keys_t *keys, int64_t now)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    ngx_memzero(w, sizeof(work_t));

    w->pool = pool;
    w->request = request;
    w->keys = keys;
    w->payload = request->payload;

    if (request->nquery > VAULT_SIGV4_PAIRS
        || request->nheaders > VAULT_SIGV4_PAIRS
        || request->method.len == 0 || request->host.len == 0
        || keys->access_key.len == 0 || keys->secret_key.len == 0)
    {
        return NGX_DECLINED;
    }

    if (w->payload.len == 0 && is_service(request, "s3")) {
        ngx_str_set(&w->payload, "UNSIGNED-PAYLOAD");

    } else if (w->payload.len == 0) {
        ngx_str_set(&w->payload, NO_BODY);
    }

    write_time(w->time, now);

    if (make_scope(w) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < request->nquery; i++) {
        if (add_param(w, &request->query[i].key, &request->query[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    rc = add_own_header(w, "host", &request->host);

    for (i = 0; rc == NGX_OK && i < request->nheaders; i++) {
        rc = add_header(w, &request->headers[i].key,
                        &request->headers[i].value);
    }

    return rc;
}


static ngx_int_t
make_target(work_t *w, ngx_str_t *out)
{
    u_char  *p, *start;

    start = ngx_pnalloc(w->pool, w->path.len + w->query.len + HEX_LEN
                                 + sizeof("?&X-Amz-Signature="));
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(start, w->path.data, w->path.len);

    if (w->query.len) {
        *p++ = '?';
        p = ngx_cpymem(p, w->query.data, w->query.len);
    }

    out->data = start;
    out->len = p - start;

    return NGX_OK;
}


/* A header for the answer, which is signed as well. */
static ngx_int_t
send_header(work_t *w, vault_sigv4_signed_t *out, const char *name,
    const ngx_str_t *value)
{
    ngx_keyval_t  *pair;

    pair = &out->headers[out->nheaders++];
    pair->key.data = (u_char *) name;
    pair->key.len = ngx_strlen(name);
    pair->value = *value;

    return add_header(w, &pair->key, value);
}


static ngx_int_t
send_headers(work_t *w, vault_sigv4_signed_t *out)
{
    ngx_int_t  rc;
    ngx_str_t  time;

    time.len = TIME_LEN;
    time.data = ngx_pnalloc(w->pool, TIME_LEN);
    if (time.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(time.data, w->time, TIME_LEN);

    rc = send_header(w, out, "X-Amz-Date", &time);

    if (rc == NGX_OK && is_service(w->request, "s3")) {
        rc = send_header(w, out, "X-Amz-Content-Sha256", &w->payload);
    }

    if (rc == NGX_OK && w->keys->session_token.len) {
        rc = send_header(w, out, "X-Amz-Security-Token",
                         &w->keys->session_token);
    }

    return rc == NGX_OK ? join_names(w) : rc;
}


static ngx_int_t
authorize(work_t *w, vault_sigv4_signed_t *out)
{
    u_char        *p;
    ngx_keyval_t  *pair;

    pair = &out->headers[out->nheaders++];
    ngx_str_set(&pair->key, "Authorization");

    p = ngx_pnalloc(w->pool, w->keys->access_key.len + w->scope.len
                    + w->names.len + HEX_LEN
                    + sizeof("AWS4-HMAC-SHA256 Credential=/, SignedHeaders=,"
                             " Signature="));
    if (p == NULL) {
        return NGX_ERROR;
    }

    pair->value.data = p;
    p = ngx_sprintf(p, "AWS4-HMAC-SHA256 Credential=%V/%V, SignedHeaders=%V,"
                       " Signature=%V",
                    &w->keys->access_key, &w->scope, &w->names,
                    &w->signature);
    pair->value.len = p - pair->value.data;

    return make_target(w, &out->target);
}


ngx_int_t
vault_sigv4_sign(ngx_pool_t *pool, const vault_sigv4_t *request,
    const vault_aws_keys_t *keys, int64_t now, vault_sigv4_signed_t *out)
{
    work_t                w;
    ngx_int_t             rc;
    vault_sigv4_signed_t  made;

    ngx_memzero(&made, sizeof(vault_sigv4_signed_t));

    rc = prepare(&w, pool, request, keys, now);

    if (rc == NGX_OK) {
        rc = send_headers(&w, &made);
    }

    if (rc == NGX_OK) {
        rc = make_signature(&w);
    }

    if (rc == NGX_OK) {
        rc = authorize(&w, &made);
    }

    if (rc == NGX_OK) {
        *out = made;
    }

    return rc;
}


static ngx_int_t
add_own_params(work_t *w, ngx_uint_t expires)
{
    u_char     *p, seconds[NGX_INT_T_LEN];
    ngx_str_t   algorithm, credential, time, life;

    p = ngx_pnalloc(w->pool, w->keys->access_key.len + 1 + w->scope.len);
    if (p == NULL || join_names(w) != NGX_OK) {
        return NGX_ERROR;
    }

    credential.data = p;
    credential.len = ngx_sprintf(p, "%V/%V", &w->keys->access_key, &w->scope)
                     - p;

    ngx_str_set(&algorithm, "AWS4-HMAC-SHA256");

    time.data = w->time;
    time.len = TIME_LEN;

    life.data = seconds;
    life.len = ngx_sprintf(seconds, "%ui", expires) - seconds;

    if (add_own_param(w, "X-Amz-Algorithm", &algorithm) != NGX_OK
        || add_own_param(w, "X-Amz-Credential", &credential) != NGX_OK
        || add_own_param(w, "X-Amz-Date", &time) != NGX_OK
        || add_own_param(w, "X-Amz-Expires", &life) != NGX_OK
        || add_own_param(w, "X-Amz-SignedHeaders", &w->names) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return w->keys->session_token.len == 0
           ? NGX_OK
           : add_own_param(w, "X-Amz-Security-Token",
                           &w->keys->session_token);
}


ngx_int_t
vault_sigv4_presign(ngx_pool_t *pool, const vault_sigv4_t *request,
    const vault_aws_keys_t *keys, int64_t now, ngx_uint_t expires,
    ngx_str_t *target)
{
    u_char     *p;
    work_t      w;
    ngx_int_t   rc;
    ngx_str_t   made;

    if (expires == 0 || expires > VAULT_SIGV4_EXPIRES) {
        return NGX_DECLINED;
    }

    rc = prepare(&w, pool, request, keys, now);

    if (rc == NGX_OK) {
        rc = add_own_params(&w, expires);
    }

    if (rc == NGX_OK) {
        rc = make_signature(&w);
    }

    if (rc == NGX_OK) {
        rc = make_target(&w, &made);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    /* make_target() has left room for it */
    p = ngx_sprintf(made.data + made.len, "&X-Amz-Signature=%V",
                    &w.signature);
    made.len = p - made.data;

    *target = made;

    return NGX_OK;
}
