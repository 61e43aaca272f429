/*
 * Signing keys: four HMACs deep, good for a day, a region and a service.
 */

#include "sigv4_part.h"

#include "../crypto/crypto.h"


#define KEYS     8                    /* services and regions in use */
#define DAY_LEN  (sizeof("20130524") - 1)

/*
 * A derived key is found by the hash of all that it is derived from, so what
 * is kept reveals neither the secret nor more than a day of one service.
 */
typedef struct {
    u_char  id[VAULT_SHA256_LEN];
    u_char  key[VAULT_SHA256_LEN];
} derived_t;

static const ngx_str_t           terminator = ngx_string("aws4_request");
static _Thread_local derived_t   derived[KEYS];
static _Thread_local ngx_uint_t  derived_next;


void
vault_sigv4_forget(void)
{
    vault_wipe(derived, sizeof(derived));
}


static ngx_int_t
step(u_char *key, const ngx_str_t *text)
{
    ngx_str_t  with;

    with.data = key;
    with.len = VAULT_SHA256_LEN;

    return vault_hmac_sha256(&with, text, key);
}


/* The first of the four is made with a text that holds the secret. */
static ngx_int_t
step_secret(ngx_pool_t *pool, const ngx_str_t *secret, const ngx_str_t *scope,
    u_char *key)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   with, day;

    with.len = secret->len + 4;
    with.data = ngx_pnalloc(pool, with.len);
    if (with.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(with.data, "AWS4", 4);
    ngx_memcpy(p, secret->data, secret->len);

    day.data = scope->data;
    day.len = DAY_LEN;

    rc = vault_hmac_sha256(&with, &day, key);

    vault_wipe(with.data, with.len);

    return rc;
}


/* What a key is derived from: the scope, NUL, the secret. */
static ngx_int_t
identify(ngx_pool_t *pool, const ngx_str_t *secret, const ngx_str_t *scope,
    u_char *id)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   text;

    text.len = scope->len + 1 + secret->len;
    text.data = ngx_pnalloc(pool, text.len);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, scope->data, scope->len);
    *p++ = '\0';
    ngx_memcpy(p, secret->data, secret->len);

    rc = vault_sha256(&text, id);

    vault_wipe(text.data, text.len);

    return rc;
}


static derived_t *
find(const u_char *id)
{
    ngx_uint_t  i;

    for (i = 0; i < KEYS; i++) {
        if (ngx_memcmp(derived[i].id, id, VAULT_SHA256_LEN) == 0) {
            return &derived[i];
        }
    }

    return NULL;
}


ngx_int_t
vault_sigv4_key(ngx_pool_t *pool, const vault_sigv4_t *request,
    const ngx_str_t *secret, const ngx_str_t *scope, ngx_str_t *key)
{
    u_char      id[VAULT_SHA256_LEN], fresh[VAULT_SHA256_LEN];
    derived_t  *d;

    if (identify(pool, secret, scope, id) != NGX_OK) {
        return NGX_ERROR;
    }

    d = find(id);

    if (d == NULL) {
        if (step_secret(pool, secret, scope, fresh) != NGX_OK
            || step(fresh, &request->region) != NGX_OK
            || step(fresh, &request->service) != NGX_OK
            || step(fresh, &terminator) != NGX_OK)
        {
            return NGX_ERROR;
        }

        d = &derived[derived_next++ % KEYS];
        ngx_memcpy(d->id, id, sizeof(id));
        ngx_memcpy(d->key, fresh, sizeof(fresh));
        vault_wipe(fresh, sizeof(fresh));
    }

    key->data = d->key;
    key->len = VAULT_SHA256_LEN;

    return NGX_OK;
}
