/*
 * ngx_http_vault_module - a vault server inside nginx.
 *
 * This file is the border to nginx: directives, their configuration and the
 * hooks of the processes.  What a request does starts in src/run/driver.c, and
 * src/README.md tours the rest.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "src/api/api.h"
#include "src/crypto/jwt.h"
#include "src/db/db.h"
#include "src/files/files.h"
#include "src/module/agent_commands.h"
#include "src/module/bucket.h"
#include "src/module/levels.h"
#include "src/module/module.h"
#include "src/module/process.h"
#include "src/rules/jobs.h"
#include "src/run/await.h"


static ngx_int_t vault_postconfiguration(ngx_conf_t *cf);
static ngx_int_t vault_init_module(ngx_cycle_t *cycle);
static ngx_int_t vault_init_process(ngx_cycle_t *cycle);
static void vault_exit_process(ngx_cycle_t *cycle);

static ngx_conf_num_bounds_t  vault_connections_bounds = {
    ngx_conf_check_num_bounds, 1, 1000
};

static ngx_conf_num_bounds_t  vault_rounds_bounds = {
    ngx_conf_check_num_bounds, 1000, 10000000
};

static ngx_conf_enum_t  vault_uploads[] = {
    { ngx_string("direct"), VAULT_UPLOAD_SET_DIRECT },
    { ngx_string("presigned"), VAULT_UPLOAD_SET_PRESIGNED },
    { ngx_string("auto"), VAULT_UPLOAD_SET_AUTO },
    { ngx_null_string, 0 }
};

static ngx_conf_enum_t  vault_hints[] = {
    { ngx_string("mail"), VAULT_HINT_MAIL },
    { ngx_string("show"), VAULT_HINT_SHOW },
    { ngx_null_string, 0 }
};

/* Values may be "env:NAME"; of secrets the setters know that themselves. */
#define vault_srv(name, args, set, member, post)                              \
    { ngx_string(name), VAULT_SRV|args, vault_set_from_env,                   \
      NGX_HTTP_SRV_CONF_OFFSET, offsetof(vault_srv_conf_t, member),           \
      &(vault_setter_t) { set, post } }

#define vault_srv_secret(name, args, set, member)                             \
    { ngx_string(name), VAULT_SRV|args, set, NGX_HTTP_SRV_CONF_OFFSET,        \
      offsetof(vault_srv_conf_t, member), NULL }


static ngx_command_t  vault_commands[] = {

    { ngx_string("vault"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      vault_set_enable,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(vault_loc_conf_t, enable),
      NULL },

    { ngx_string("vault_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      vault_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("vault_bucket"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      vault_set_bucket,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(vault_loc_conf_t, bucket),
      NULL },

    VAULT_AGENT_COMMANDS,

    vault_srv_secret("vault_database", NGX_CONF_TAKE1, vault_set_secret,
                     database),
    vault_srv("vault_database_connections", NGX_CONF_TAKE1,
              ngx_conf_set_num_slot, connections, &vault_connections_bounds),
    vault_srv("vault_database_timeout", NGX_CONF_TAKE1,
              ngx_conf_set_msec_slot, timeout, NULL),
    vault_srv("vault_database_strict", NGX_CONF_FLAG,
              ngx_conf_set_flag_slot, strict, NULL),
    vault_srv_secret("vault_jwt_key", NGX_CONF_TAKE1, vault_set_jwt_key,
                     jwt_key),
    vault_srv("vault_lambda", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
              vault.lambda, NULL),
    vault_srv_secret("vault_origin_secret", NGX_CONF_TAKE12,
                     vault_set_origin_secret, vault.secrets),
    vault_srv("vault_origin", NGX_CONF_TAKE1, vault_set_origin,
              vault.origin, NULL),
    vault_srv("vault_web_vault", NGX_CONF_TAKE1, vault_set_folder,
              vault.web_vault, NULL),
    vault_srv("vault_signups", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
              vault.signups, NULL),
    vault_srv("vault_signups_verify", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
              vault.signups_verify, NULL),
    vault_srv("vault_password_hint", NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
              vault.hint, &vault_hints),
    vault_srv("vault_signups_domains", NGX_CONF_1MORE, vault_set_domains,
              vault.signup_domains, NULL),
    vault_srv("vault_kdf_rounds", NGX_CONF_TAKE1, ngx_conf_set_num_slot,
              vault.kdf_rounds, &vault_rounds_bounds),
    vault_srv("vault_access_token_lifetime", NGX_CONF_TAKE1,
              ngx_conf_set_sec_slot, vault.access_life, NULL),
    vault_srv("vault_refresh_token_lifetime", NGX_CONF_TAKE1,
              ngx_conf_set_sec_slot, vault.refresh_life, NULL),
    vault_srv("vault_request_timeout", NGX_CONF_TAKE1,
              ngx_conf_set_msec_slot, vault.deadline, NULL),
    vault_srv("vault_login_limit", NGX_CONF_TAKE12, vault_set_login_limit,
              vault.limits, NULL),
    vault_srv("vault_trash_days", NGX_CONF_TAKE1, vault_set_days,
              vault.trash, NULL),
    vault_srv("vault_sync_cache", NGX_CONF_TAKE1, ngx_conf_set_size_slot,
              sync_cache, NULL),
    vault_srv("vault_files", NGX_CONF_TAKE1, ngx_conf_set_str_slot,
              files, NULL),
    vault_srv("vault_upload", NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
              upload, &vault_uploads),
    vault_srv("vault_file_max", NGX_CONF_TAKE1, vault_set_file_max,
              vault.file_max, NULL),
    vault_srv("vault_file_quota", NGX_CONF_TAKE1, vault_set_file_quota,
              vault.file_quota, NULL),
    vault_srv("vault_jobs", NGX_CONF_TAKE1, vault_set_jobs,
              vault.jobs, NULL),
    vault_srv("vault_mail", NGX_CONF_TAKE1, vault_set_mail, mail, NULL),
    vault_srv("vault_mail_from", NGX_CONF_TAKE1, vault_set_mail_from,
              mail, NULL),
    vault_srv("vault_mail_templates", NGX_CONF_TAKE1,
              vault_set_mail_templates, mail, NULL),

    ngx_null_command
};


static ngx_http_module_t  vault_module_ctx = {
    vault_bucket_variables,
    vault_postconfiguration,
    vault_create_main_conf,
    NULL,
    vault_create_srv_conf,
    vault_merge_srv_conf,
    vault_create_loc_conf,
    vault_merge_loc_conf
};


ngx_module_t  ngx_http_vault_module = {
    NGX_MODULE_V1,
    &vault_module_ctx,
    vault_commands,
    NGX_HTTP_MODULE,
    NULL,                             /* init master */
    vault_init_module,
    vault_init_process,
    NULL,                             /* init thread */
    NULL,                             /* exit thread */
    vault_exit_process,
    vault_process_end,
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
vault_postconfiguration(ngx_conf_t *cf)
{
    vault_main_conf_t  *mcf;

    if (ngx_test_config && getenv("VAULT_PRINT_ROUTES")) {
        vault_router_print(vault_routes, STDOUT_FILENO);
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_vault_module);

    if (vault_attach_levels(cf, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return mcf->bucket ? vault_bucket_install(cf) : NGX_OK;
}


/* Processes */

static ngx_int_t
vault_load_key(ngx_cycle_t *cycle, vault_srv_conf_t *scf)
{
    const char       *err;
    ngx_file_info_t   fi;

    if (scf->jwt_shared) {
        return NGX_OK;                /* each worker asks: rules/signing.h */
    }

    if (scf->jwt_pem.len) {
        scf->vault.keyring = vault_keyring_from_pem(cycle->pool,
                                                    &scf->jwt_pem, &err);

    } else if (ngx_test_config
               && ngx_file_info(scf->jwt_key.data, &fi) == NGX_FILE_ERROR)
    {
        return NGX_OK;                /* a test makes no key */

    } else {
        scf->vault.keyring = vault_keyring_from_file(cycle->pool,
                                                     &scf->jwt_key, &err);
    }

    if (scf->vault.keyring == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"vault_jwt_key\" %V: %s", &scf->jwt_key, err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* In the master, after the configuration was read. */
static ngx_int_t
vault_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    vault_srv_conf_t  **scf;
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);
    if (mcf == NULL) {
        return NGX_OK;
    }

    scf = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (vault_db_check(scf[i]->vault.db, cycle) != NGX_OK
            || vault_files_check(scf[i]->vault.files, cycle) != NGX_OK
            || vault_load_key(cycle, scf[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* One clock a database and worker: the servers that share it share the rest. */
static ngx_int_t
vault_start_jobs(ngx_cycle_t *cycle, vault_srv_conf_t **scf, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (scf[i]->vault.db == scf[n]->vault.db && scf[i]->vault.jobs) {
            return NGX_OK;
        }
    }

    return vault_jobs_start(&scf[n]->vault, cycle);
}


/*
 * What goes on by itself.  On Lambda nothing does: the first query connects,
 * and an event is the clock.
 */
static ngx_int_t
vault_start_work(ngx_cycle_t *cycle, vault_srv_conf_t **scf, ngx_uint_t n)
{
    vault_conf_t  *conf = &scf[n]->vault;

    if (conf->lambda) {
        return NGX_OK;
    }

    if (vault_task_start(conf, "start", 0, vault_db_prepare, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    return vault_start_jobs(cycle, scf, n);
}


static ngx_int_t
vault_start_vaults(ngx_cycle_t *cycle, vault_main_conf_t *mcf)
{
    ngx_uint_t          i;
    vault_srv_conf_t  **scf = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (vault_db_start(scf[i]->vault.db, cycle) != NGX_OK
            || vault_start_work(cycle, scf, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
vault_init_process(ngx_cycle_t *cycle)
{
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);

    if (mcf == NULL || (mcf->vaults.nelts == 0 && mcf->agents.nelts == 0)
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    return vault_process_start(cycle, mcf) == NGX_OK
           ? vault_start_vaults(cycle, mcf) : NGX_ERROR;
}


static void
vault_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    vault_srv_conf_t  **scf;
    vault_main_conf_t  *mcf;

    mcf = vault_main_conf(cycle);
    if (mcf == NULL) {
        return;
    }

    vault_process_stop(mcf);

    scf = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        vault_db_stop(scf[i]->vault.db);
        vault_files_stop(scf[i]->vault.files);

        if (scf[i]->vault.mail) {
            vault_mail_stop(scf[i]->vault.mail);
        }
    }
}
