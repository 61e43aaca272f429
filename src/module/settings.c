/*
 * The configuration: created, inherited, and made into vaults.
 */

#include "bucket.h"
#include "levels.h"
#include "module.h"
#include "../api/api.h"
#include "../aws/credentials.h"
#include "../db/db.h"
#include "../files/files.h"
#include "../rules/cache.h"
#include "../rules/limits.h"
#include "../rules/signing.h"


void *
vault_create_srv_conf(ngx_conf_t *cf)
{
    vault_srv_conf_t  *scf;

    scf = ngx_pcalloc(cf->pool, sizeof(vault_srv_conf_t));
    if (scf == NULL) {
        return NULL;
    }

    scf->connections = NGX_CONF_UNSET_UINT;
    scf->timeout = NGX_CONF_UNSET_MSEC;
    scf->strict = NGX_CONF_UNSET;
    scf->sync_cache = NGX_CONF_UNSET_SIZE;
    scf->upload = NGX_CONF_UNSET_UINT;
    scf->vault.lambda = NGX_CONF_UNSET;
    scf->vault.signups = NGX_CONF_UNSET;
    scf->vault.signups_verify = NGX_CONF_UNSET;
    scf->vault.signup_domains = NGX_CONF_UNSET_PTR;
    scf->vault.hint = NGX_CONF_UNSET_UINT;
    scf->vault.kdf_rounds = NGX_CONF_UNSET_UINT;
    scf->vault.access_life = NGX_CONF_UNSET;
    scf->vault.refresh_life = NGX_CONF_UNSET;
    scf->vault.deadline = NGX_CONF_UNSET_MSEC;
    scf->vault.file_max = NGX_CONF_UNSET;
    scf->vault.file_quota = NGX_CONF_UNSET;
    scf->vault.jobs = NGX_CONF_UNSET_MSEC;
    scf->vault.trash = NGX_CONF_UNSET;

    return scf;
}


static ngx_uint_t
same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* Servers with the same database share its connections. */
static ngx_int_t
attach_database(ngx_conf_t *cf, vault_main_conf_t *mcf,
    vault_srv_conf_t *scf)
{
    const char         *err;
    ngx_uint_t          i;
    vault_srv_conf_t  **other = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (same(&other[i]->database, &scf->database)) {
            scf->vault.db = other[i]->vault.db;
            return NGX_OK;
        }
    }

    scf->vault.db = vault_db_create(cf->pool, &scf->database, &err);
    if (scf->vault.db == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_database\" %s",
                           err);
        return NGX_ERROR;
    }

    if (scf->connections != NGX_CONF_UNSET_UINT) {
        vault_db_set_pool(scf->vault.db, scf->connections);
    }

    vault_db_set_timeout(scf->vault.db, scf->timeout);
    vault_db_set_strict(scf->vault.db, scf->strict);

    return NGX_OK;
}


/* Beside a SQLite database, so that one folder is the whole vault. */
static ngx_int_t
default_key(ngx_conf_t *cf, vault_srv_conf_t *scf)
{
    ngx_str_t  folder;

    if (scf->jwt_key.len || scf->jwt_pem.len) {
        return NGX_OK;
    }

    folder = vault_db_folder(scf->vault.db);
    if (folder.len == 0) {
        ngx_str_set(&folder, "/var/lib/vault");
    }

    scf->jwt_key.data = ngx_pnalloc(cf->pool,
                                    folder.len + sizeof("/jwt.pem"));
    if (scf->jwt_key.data == NULL) {
        return NGX_ERROR;
    }

    scf->jwt_key.len = ngx_sprintf(scf->jwt_key.data, "%V/jwt.pem%Z", &folder)
                       - scf->jwt_key.data - 1;

    return NGX_OK;
}


static ngx_int_t
attach(ngx_conf_t *cf, vault_main_conf_t *mcf, vault_srv_conf_t *scf)
{
    vault_srv_conf_t  **slot;

    if (attach_database(cf, mcf, scf) != NGX_OK
        || default_key(cf, scf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (scf->jwt_shared
        && vault_signing_share(cf->pool, &scf->vault) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!scf->login.off) {
        scf->vault.limits = vault_limits_create(cf, 1024 * 1024,
                            scf->login.account, scf->login.account_window,
                            scf->login.address, scf->login.address_window);
        if (scf->vault.limits == NULL) {
            return NGX_ERROR;
        }
    }

    if (mcf->aws == NULL) {
        mcf->aws = vault_aws_create(cf->pool);
    }

    scf->vault.aws = mcf->aws;

    if (scf->vault.aws == NULL || vault_attach_files(cf, mcf, scf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (vault_attach_mail(cf, scf) != NGX_OK) {
        return NGX_ERROR;
    }

    scf->vault.cache = vault_cache_create(cf->pool, scf->sync_cache);
    scf->vault.router = vault_router_create(cf->pool, cf->log, vault_routes);
    slot = ngx_array_push(&mcf->vaults);

    if (scf->vault.cache == NULL || scf->vault.router == NULL || slot == NULL)
    {
        return NGX_ERROR;
    }

    *slot = scf;

    return NGX_OK;
}


static void
merge_login(vault_srv_conf_t *prev, vault_srv_conf_t *conf)
{
    if (!conf->login.set) {
        conf->login = prev->login;
    }

    if (conf->login.account == 0) {
        conf->login.account = 10;
        conf->login.account_window = 300;
    }

    if (conf->login.address == 0) {
        conf->login.address = 50;
        conf->login.address_window = 300;
    }
}


/* Who stands before this server, and what it is to be called. */
static void
merge_front(vault_conf_t *prev, vault_conf_t *conf)
{
    ngx_conf_merge_value(conf->lambda, prev->lambda,
                         getenv("AWS_LAMBDA_FUNCTION_NAME") != NULL);
    ngx_conf_merge_str_value(conf->origin, prev->origin, "");

    if (conf->secrets[0].data == NULL) {
        conf->secrets[0] = prev->secrets[0];
        conf->secrets[1] = prev->secrets[1];
    }
}


char *
vault_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    vault_srv_conf_t   *prev = parent;
    vault_srv_conf_t   *conf = child;
    vault_main_conf_t  *mcf;

    ngx_conf_merge_str_value(conf->database, prev->database,
                             "sqlite:/var/lib/vault/vault.db");
    ngx_conf_merge_uint_value(conf->connections, prev->connections,
                              NGX_CONF_UNSET_UINT);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 5000);
    ngx_conf_merge_value(conf->strict, prev->strict, 0);
    ngx_conf_merge_size_value(conf->sync_cache, prev->sync_cache,
                              32 * 1024 * 1024);
    ngx_conf_merge_str_value(conf->vault.web_vault, prev->vault.web_vault,
                             "");
    ngx_conf_merge_value(conf->vault.signups, prev->vault.signups, 1);
    ngx_conf_merge_value(conf->vault.signups_verify,
                         prev->vault.signups_verify, 1);
    ngx_conf_merge_uint_value(conf->vault.hint, prev->vault.hint,
                              VAULT_HINT_MAIL);
    ngx_conf_merge_ptr_value(conf->vault.signup_domains,
                             prev->vault.signup_domains, NULL);
    ngx_conf_merge_uint_value(conf->vault.kdf_rounds, prev->vault.kdf_rounds,
                              600000);
    ngx_conf_merge_sec_value(conf->vault.access_life, prev->vault.access_life,
                             3600);
    ngx_conf_merge_sec_value(conf->vault.refresh_life,
                             prev->vault.refresh_life, 30 * 24 * 3600);
    ngx_conf_merge_msec_value(conf->vault.deadline, prev->vault.deadline,
                              30000);
    ngx_conf_merge_str_value(conf->files, prev->files, "");
    ngx_conf_merge_uint_value(conf->upload, prev->upload,
                              VAULT_UPLOAD_SET_AUTO);
    ngx_conf_merge_off_value(conf->vault.file_max, prev->vault.file_max,
                             VAULT_FILE_MAX);
    ngx_conf_merge_off_value(conf->vault.file_quota, prev->vault.file_quota,
                             1024 * 1024 * 1024);
    ngx_conf_merge_msec_value(conf->vault.jobs, prev->vault.jobs, 60000);
    ngx_conf_merge_sec_value(conf->vault.trash, prev->vault.trash,
                             30 * 24 * 3600);

    if (conf->jwt_key.len == 0 && conf->jwt_pem.len == 0) {
        conf->jwt_key = prev->jwt_key;
        conf->jwt_pem = prev->jwt_pem;
        conf->jwt_shared = prev->jwt_shared;
    }

    merge_front(&prev->vault, &conf->vault);
    merge_login(prev, conf);
    vault_merge_mail(prev, conf);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);

    return !conf->used || attach(cf, mcf, conf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
vault_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    vault_loc_conf_t          *prev = parent;
    vault_loc_conf_t          *conf = child;
    vault_srv_conf_t          *scf;
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_value(conf->bucket, prev->bucket, 0);

    if (vault_merge_level(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_vault_module);

    if (conf->bucket && vault_bucket_check(cf, &scf->vault) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!conf->enable || clcf->handler) {
        return NGX_CONF_OK;
    }

    clcf->handler = vault_handler;

    if (vault_set_bodies(cf, scf, clcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (scf->vault.web_vault.len) {
        clcf->root = scf->vault.web_vault;
        clcf->root_lengths = NULL;
        clcf->root_values = NULL;
    }

    return NGX_CONF_OK;
}
