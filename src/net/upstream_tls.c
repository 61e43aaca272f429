/*
 * TLS: OpenSSL itself refuses a peer whose certificate is not trusted or is
 * for another host, before anything is sent.  nginx's own check follows, but
 * knows no addresses.
 */

#include "upstream_part.h"

#include <openssl/x509v3.h>


static void
tls_cleanup(void *data)
{
    ngx_ssl_cleanup_ctx(data);
}


/* A file that somebody names is read at once, so that mistakes are seen. */
static ngx_int_t
tls_trust(ngx_conf_t *cf, SSL_CTX *ctx, const char *ca_file)
{
    if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) == 1) {
        return NGX_OK;
    }

    ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                  "the certificates of \"%s\" cannot be read", ca_file);

    return NGX_ERROR;
}


/*
 * The system's authorities, once for all hosts and not before they are needed:
 * to read them takes longer than everything else at the start of nginx.
 */
static ngx_int_t
tls_trust_system(SSL_CTX *ctx, ngx_log_t *log)
{
    static X509_STORE  *store;        /* of this worker */

    if (store == NULL) {
        store = X509_STORE_new();

        if (store == NULL || X509_STORE_set_default_paths(store) != 1) {
            ngx_ssl_error(NGX_LOG_ERR, log, 0,
                          "the system's certificates cannot be read");
            X509_STORE_free(store);
            store = NULL;
            return NGX_ERROR;
        }

        ERR_clear_error();
    }

    if (SSL_CTX_get_cert_store(ctx) != store) {
        SSL_CTX_set1_cert_store(ctx, store);
    }

    return NGX_OK;
}


ngx_int_t
vault_upstream_tls(ngx_conf_t *cf, vault_upstream_t *up, const char *ca_file)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (ssl == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln->handler = tls_cleanup;
    cln->data = ssl;

    SSL_CTX_set_verify(ssl->ctx, SSL_VERIFY_PEER, NULL);

    if ((ca_file && tls_trust(cf, ssl->ctx, ca_file) != NGX_OK)
        || ngx_ssl_client_session_cache(cf, ssl, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    up->ssl = ssl;
    up->trusts_system = ca_file == NULL;
    up->conf.ssl = ssl;
    up->conf.ssl_session_reuse = 1;   /* or tls_begin() would not be called */
    up->conf.ssl_verify = !up->literal;
    up->conf.ssl_server_name = !up->literal;

    return NGX_OK;
}


ngx_int_t
vault_upstream_tls_expect(ngx_connection_t *c, vault_upstream_t *up)
{
    int          rc;
    SSL         *ssl = c->ssl->connection;
    const char  *host = (const char *) up->host.data;

    if (up->trusts_system
        && tls_trust_system(up->ssl->ctx, c->log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (up->literal) {
        rc = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);

    } else {
        rc = SSL_set1_host(ssl, host);
    }

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


/* Before the handshake: whom we expect, and what we still know of it. */
ngx_int_t
vault_upstream_tls_begin(ngx_peer_connection_t *pc, void *data)
{
    vault_upstream_op_t  *op = data;

    if (vault_upstream_tls_expect(pc->connection, op->up) != NGX_OK) {
        return NGX_ERROR;
    }

    return op->up->session
           ? ngx_ssl_set_session(pc->connection, op->up->session) : NGX_OK;
}


void
vault_upstream_tls_save(ngx_peer_connection_t *pc, void *data)
{
    ngx_ssl_session_t    *session;
    vault_upstream_op_t  *op = data;

    session = ngx_ssl_get_session(pc->connection);

    if (session == NULL) {
        return;
    }

    if (op->up->session) {
        ngx_ssl_free_session(op->up->session);
    }

    op->up->session = session;
}


const char *
vault_upstream_tls_error(ngx_connection_t *c)
{
    long  rc;

    rc = SSL_get_verify_result(c->ssl->connection);

    return rc == X509_V_OK ? "TLS failed"
                           : X509_verify_cert_error_string(rc);
}
