/*
 * jwt - signed tokens, RS256 only.
 *
 * A header is compared, not parsed: whatever is not one of the few that are
 * known is refused before anything is decoded, and nothing that a stranger
 * wrote reaches the JSON parser, since the signature is checked first.
 */

#include "keyring.h"

#include "../json/json.h"


#define SEGMENT_MAX    8192           /* characters of header, claims, or
                                         signature */
#define NBF_LEEWAY     60             /* seconds another node's clock may be
                                         ahead */

/* {"alg":"RS256","typ":"JWT"} */
#define HEADER         "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9"

typedef struct {
    ngx_str_t  iss;
    int64_t    exp;
    int64_t    nbf;
} claims_t;

static const vault_field_t  claims_fields[] = {
    { "iss", VAULT_TEXT, offsetof(claims_t, iss), VAULT_REQUIRED, 0, NULL },
    { "exp", VAULT_INT,  offsetof(claims_t, exp), VAULT_REQUIRED, 0, NULL },
    { "nbf", VAULT_INT,  offsetof(claims_t, nbf), 0, 0, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  claims_shape =
    VAULT_SHAPE(claims_fields, claims_t);

static ngx_str_t  headers[] = {
    ngx_string(HEADER),
    ngx_string("eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9"),  /* typ first */
    ngx_string("eyJhbGciOiJSUzI1NiJ9"),                  /* without typ */
    ngx_null_string
};

typedef struct {
    ngx_str_t  header;
    ngx_str_t  payload;
    ngx_str_t  signature;
    ngx_str_t  input;                 /* header and payload with their dot */
} parts_t;


static ngx_int_t
split(const ngx_str_t *token, parts_t *parts)
{
    u_char  *first, *second, *last;

    if (token->len > 3 * SEGMENT_MAX + 2) {
        return NGX_DECLINED;
    }

    last = token->data + token->len;

    first = ngx_strlchr(token->data, last, '.');
    if (first == NULL) {
        return NGX_DECLINED;
    }

    second = ngx_strlchr(first + 1, last, '.');

    /* a third dot is refused as no character of base64url */

    if (second == NULL) {
        return NGX_DECLINED;
    }

    parts->header.data = token->data;
    parts->header.len = (size_t) (first - token->data);

    parts->payload.data = first + 1;
    parts->payload.len = (size_t) (second - first - 1);

    parts->signature.data = second + 1;
    parts->signature.len = (size_t) (last - second - 1);

    parts->input.data = token->data;
    parts->input.len = (size_t) (second - token->data);

    if (parts->payload.len > SEGMENT_MAX
        || parts->signature.len > SEGMENT_MAX)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
check_header(const ngx_str_t *header)
{
    ngx_str_t  *known;

    for (known = headers; known->len; known++) {

        if (known->len == header->len
            && ngx_memcmp(known->data, header->data, header->len) == 0)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* NGX_OK if this very text has had its signature checked before. */
static ngx_int_t
check_seen(vault_keyring_t *keyring, const u_char *digest, u_char **slot)
{
    ngx_str_t  a, b;
    uint32_t   n;

    ngx_memcpy(&n, digest, sizeof(n));
    *slot = keyring->seen[n % VAULT_KEYRING_SEEN];

    a.data = *slot;
    a.len = VAULT_SHA256_LEN;
    b.data = (u_char *) digest;
    b.len = VAULT_SHA256_LEN;

    return vault_equal(&a, &b) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
check_signature(ngx_pool_t *pool, vault_keyring_t *keyring,
    const ngx_str_t *token, const parts_t *parts)
{
    u_char     *slot, digest[VAULT_SHA256_LEN];
    ngx_int_t   rc;
    ngx_str_t   signature;

    if (vault_sha256(token, digest) != NGX_OK) {
        return NGX_ERROR;
    }

    if (check_seen(keyring, digest, &slot) == NGX_OK) {
        return NGX_OK;
    }

    rc = vault_unbase64url(pool, &parts->signature, &signature);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = vault_keyring_verify(keyring, &parts->input, &signature);

    if (rc == NGX_OK) {
        ngx_memcpy(slot, digest, VAULT_SHA256_LEN);
    }

    return rc;
}


static ngx_int_t
check_claims(ngx_pool_t *pool, const ngx_str_t *text, const char *issuer,
    time_t now)
{
    claims_t            claims;
    ngx_int_t           rc;
    vault_json_error_t  err;

    rc = vault_json_parse(pool, text, &claims_shape, &claims, &err);
    if (rc != NGX_OK) {
        return rc;
    }

    if (claims.iss.len != ngx_strlen(issuer)
        || ngx_memcmp(claims.iss.data, issuer, claims.iss.len) != 0)
    {
        return NGX_DECLINED;
    }

    if (claims.exp <= now) {
        return NGX_DECLINED;
    }

    if (claims.nbf != VAULT_NULL && claims.nbf > now + NBF_LEEWAY) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
vault_jwt_check(ngx_pool_t *pool, vault_keyring_t *keyring,
    const ngx_str_t *token, const char *issuer, time_t now,
    ngx_str_t *claims)
{
    parts_t    parts;
    ngx_int_t  rc;
    ngx_str_t  payload;

    if (split(token, &parts) != NGX_OK
        || check_header(&parts.header) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = check_signature(pool, keyring, token, &parts);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = vault_unbase64url(pool, &parts.payload, &payload);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = check_claims(pool, &payload, issuer, now);
    if (rc != NGX_OK) {
        return rc;
    }

    *claims = payload;

    return NGX_OK;
}


ngx_int_t
vault_jwt_sign(ngx_pool_t *pool, vault_keyring_t *keyring,
    const ngx_str_t *claims, ngx_str_t *token)
{
    u_char     *p, *data;
    ngx_str_t   payload, signature, input, text;

    if (vault_base64url(pool, claims, &payload) != NGX_OK
        || payload.len > SEGMENT_MAX)
    {
        return NGX_ERROR;
    }

    input.len = sizeof(HEADER) - 1 + 1 + payload.len;

    data = ngx_pnalloc(pool, input.len + 1
                             + (keyring->signature_len + 2) / 3 * 4);
    signature.data = ngx_pnalloc(pool, keyring->signature_len);

    if (data == NULL || signature.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(data, HEADER ".", sizeof(HEADER));
    p = ngx_cpymem(p, payload.data, payload.len);

    input.data = data;
    signature.len = keyring->signature_len;

    if (vault_keyring_sign(keyring, &input, signature.data) != NGX_OK
        || vault_base64url(pool, &signature, &text) != NGX_OK)
    {
        return NGX_ERROR;
    }

    *p++ = '.';
    p = ngx_cpymem(p, text.data, text.len);

    token->data = data;
    token->len = (size_t) (p - data);

    return NGX_OK;
}
