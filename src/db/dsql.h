/*
 * dsql - Aurora DSQL: PostgreSQL's protocol, other rules.  Known to dsql*.c.
 *
 * Why:    a cluster takes a token of a quarter of an hour for a password,
 *         speaks over TLS only, and runs a part of PostgreSQL's SQL.
 * Use:    dsql.c is the adapter, made of pg*.c; dsql_url.c reads the URL;
 *         dsql_token.c makes the password; dsql_grant.c lets the servers' role
 *         in after a migration.
 * Owns:   the URL's parts live in the configuration's pool, ended by NUL.
 * Fails:  NGX_ERROR; *err says what is wrong with a URL.
 * Waits:  never, but for the adapter's open.
 */

#ifndef VAULT_DB_DSQL_H
#define VAULT_DB_DSQL_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "../aws/sigv4.h"


#define VAULT_DSQL_ADMIN  "admin"     /* the role that migrates */

typedef struct {
    ngx_str_t  host;
    ngx_str_t  port;
    ngx_str_t  database;
    ngx_str_t  role;                  /* of the servers */
    ngx_str_t  hostaddr;              /* len 0: what the host's name says */
    ngx_str_t  region;                /* len 0: the host does not say */
    ngx_str_t  ca_file;               /* len 0: the system's */
    ngx_str_t  grant;                 /* ARN of who may be `role`; or len 0 */
} vault_dsql_url_t;


/* dsql://<cluster>.dsql.<region>.on.aws[/database][?option=value&…] */
ngx_int_t vault_dsql_url(ngx_pool_t *pool, const ngx_str_t *text,
    vault_dsql_url_t *url, const char **err);

/*
 * The password of a connection as `role` that begins within 15 minutes of
 * `now` (ms).  NGX_DECLINED and NGX_ERROR as in sigv4.h.
 */
ngx_int_t vault_dsql_token(ngx_pool_t *pool, const vault_dsql_url_t *url,
    const char *role, const vault_aws_keys_t *keys, int64_t now,
    ngx_str_t *token);

/* The n-th statement that lets `url->role` in; data NULL: there is none. */
ngx_str_t vault_dsql_grant(ngx_pool_t *pool, const vault_dsql_url_t *url,
    ngx_uint_t n);


#endif
