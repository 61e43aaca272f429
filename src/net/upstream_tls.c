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
tls_trust(ngx_conf_t *cf, SSL_CTX *ctx, const vault_upstream_tls_t *tls)
{
    if (SSL_CTX_load_verify_locations(ctx, tls->ca_file, tls->ca_path) == 1) {
        return NGX_OK;
    }

    ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                  "the certificates of \"%s\" cannot be read",
                  tls->ca_file ? tls->ca_file : tls->ca_path);

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


static ngx_int_t
tls_identity(ngx_conf_t *cf, SSL_CTX *ctx, const vault_upstream_tls_t *tls)
{
    if (tls->cert == NULL) {
        return NGX_OK;
    }

    if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert) == 1
        && SSL_CTX_use_PrivateKey_file(ctx, tls->key, SSL_FILETYPE_PEM) == 1
        && SSL_CTX_check_private_key(ctx) == 1)
    {
        return NGX_OK;
    }

    ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                  "the certificate \"%s\" and the key \"%s\" cannot be used",
                  tls->cert, tls->key);
    return NGX_ERROR;
}


/* Whom we expect: the host, unless another name was given. */
void
vault_upstream_tls_name(vault_upstream_t *up)
{
    ngx_uint_t  name;

    if (!up->named) {
        up->name = up->host;
    }

    name = up->named || !up->literal;

    up->srv.host = up->name;          /* nginx takes the name from there */
    up->conf.ssl_verify = name && !up->insecure;
    up->conf.ssl_server_name = name;
}


ngx_int_t
vault_upstream_tls(ngx_conf_t *cf, vault_upstream_t *up,
    const vault_upstream_tls_t *tls)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (ssl == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;
    up->trusts_system = !tls->ca_file && !tls->ca_path && !tls->insecure;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln->handler = tls_cleanup;
    cln->data = ssl;

    SSL_CTX_set_verify(ssl->ctx, tls->insecure ? SSL_VERIFY_NONE
                                               : SSL_VERIFY_PEER, NULL);

    if (((tls->ca_file || tls->ca_path)
         && tls_trust(cf, ssl->ctx, tls) != NGX_OK)
        || tls_identity(cf, ssl->ctx, tls) != NGX_OK
        || ngx_ssl_client_session_cache(cf, ssl, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    up->ssl = ssl;
    up->conf.ssl = ssl;
    up->conf.ssl_session_reuse = 1;   /* or tls_begin() would not be called */
    up->insecure = tls->insecure;

    if (tls->name) {
        up->named = 1;
        up->name.data = (u_char *) tls->name;
        up->name.len = ngx_strlen(tls->name);
    }

    vault_upstream_tls_name(up);

    return NGX_OK;
}


ngx_int_t
vault_upstream_tls_expect(ngx_connection_t *c, vault_upstream_t *up)
{
    int          rc;
    SSL         *ssl = c->ssl->connection;
    const char  *host = (const char *) up->name.data;

    if (up->trusts_system
        && tls_trust_system(up->ssl->ctx, c->log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (up->insecure) {
        rc = 1;

    } else if (up->literal && !up->named) {
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
    vault_upstream_peer_t  *peer = data;

    if (vault_upstream_tls_expect(pc->connection, peer->up) != NGX_OK) {
        return NGX_ERROR;
    }

    return peer->up->session
           ? ngx_ssl_set_session(pc->connection, peer->up->session) : NGX_OK;
}


void
vault_upstream_tls_save(ngx_peer_connection_t *pc, void *data)
{
    ngx_ssl_session_t      *session;
    vault_upstream_peer_t  *peer = data;

    session = ngx_ssl_get_session(pc->connection);

    if (session == NULL) {
        return;
    }

    if (peer->up->session) {
        ngx_ssl_free_session(peer->up->session);
    }

    peer->up->session = session;
}


const char *
vault_upstream_tls_error(ngx_connection_t *c)
{
    long  rc;

    rc = SSL_get_verify_result(c->ssl->connection);

    return rc == X509_V_OK ? "TLS failed"
                           : X509_verify_cert_error_string(rc);
}
