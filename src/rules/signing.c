/*
 * signing - a key that is kept in the database.
 */

#include "signing.h"
#include "../crypto/crypto.h"
#include "../model/server_key.h"
#include "../run/await.h"


#define SIGNING_NAME  "jwt"

typedef struct {
    ngx_int_t  rc;
    size_t     len;
    u_char     pem[VAULT_KEYRING_PEM];
} signing_work_t;


static void
signing_destroy(void *data)
{
    ngx_destroy_pool(data);
}


/* A pool of its own, so that a key that is none can be tried for ever. */
static vault_keyring_t *
signing_read(const ngx_str_t *pem, const char **err)
{
    ngx_pool_t          *pool;
    vault_keyring_t     *keyring;
    ngx_pool_cleanup_t  *cln;

    *err = "needs more memory";

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    keyring = vault_keyring_from_pem(pool, pem, err);
    cln = keyring ? ngx_pool_cleanup_add(ngx_cycle->pool, 0) : NULL;

    if (cln == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    cln->handler = signing_destroy;
    cln->data = pool;

    return keyring;
}


/* In a thread: looking for two primes takes a tenth of a second. */
static void
signing_work(void *data, ngx_log_t *log)
{
    signing_work_t  *work = data;

    work->rc = vault_keyring_make(work->pem, &work->len);
}


static void
signing_wipe(void *data)
{
    vault_wipe(data, sizeof(signing_work_t));
}


static void
signing_make(vault_request_t *vr)
{
    ngx_str_t        pem;
    signing_work_t  *work;

    work = vault_calloc(vr, sizeof(signing_work_t));
    (void) vault_defer(vr, signing_wipe, work);

    vault_thread_run(vr, VAULT_THREAD_CPU, signing_work, work);

    if (work->rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "cannot make a key");
    }

    pem.data = work->pem;
    pem.len = work->len;

    vault_server_key_insert(vr, SIGNING_NAME, &pem);

    ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                  "vault: made the key that signs tokens");
}


/* In each worker, before any statement of others: db.h. */
static void
signing_load(vault_request_t *vr, void *data)
{
    ngx_str_t      pem;
    const char    *err;
    vault_conf_t  *conf = data;

    if (conf->keyring) {
        return;
    }

    if (!vault_server_key_find(vr, SIGNING_NAME, &pem)) {
        signing_make(vr);

        if (!vault_server_key_find(vr, SIGNING_NAME, &pem)) {
            vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, "no signing key");
        }
    }

    conf->keyring = signing_read(&pem, &err);
    vault_wipe(pem.data, pem.len);

    if (conf->keyring == NULL) {
        ngx_log_error(NGX_LOG_CRIT, vr->log, 0,
                      "vault: the key \"" SIGNING_NAME "\" in the table "
                      "\"server_keys\" %s: delete it, and a new one is made",
                      err);
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE, "no signing key");
    }
}


ngx_int_t
vault_signing_share(ngx_pool_t *pool, vault_conf_t *conf)
{
    return vault_db_on_ready(conf->db, pool, signing_load, conf);
}


vault_keyring_t *
vault_signing_key(vault_request_t *vr)
{
    if (vr->conf->keyring == NULL) {
        vault_db_prepare(vr, NULL);
    }

    return vr->conf->keyring;
}
