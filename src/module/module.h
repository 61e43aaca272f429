/*
 * module - what the root file's table of directives refers to.
 *
 * Why:    the root file stays a table of contents: directives, module, hooks.
 * Owns:   the configuration of a server lives in nginx's cycle pool.
 * Fails:  as nginx wants it: a text or NGX_CONF_ERROR after having logged what
 *         is wrong, so that `nginx -t` names the mistake.
 * Waits:  never; runs while the configuration is read, or on the main stack.
 */

#ifndef VAULT_MODULE_MODULE_H
#define VAULT_MODULE_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../agent/cache.h"
#include "../agent/extension.h"
#include "../agent/value.h"
#include "../run/conf.h"
#include "../mail/mail.h"


typedef struct {
    ngx_array_t       vaults;         /* of vault_srv_conf_t *, in use */
    ngx_array_t       agents;         /* of vault_agent_t *, in use */
    ngx_array_t       stores;         /* of vault_agent_store_t *, of them */
    ngx_array_t       secrets;        /* of vault_agent_secret_t */
    ngx_array_t       secret_confs;   /* of vault_agent_conf_t *, of each */
    vault_agent_read_t  *reads;       /* while the configuration is read */
    vault_extension_t  extension;     /* of Lambda, if it has a name */
    vault_aws_t      *aws;            /* credentials, for all of them */
    ngx_uint_t        requests;
    unsigned          bucket:1;       /* some location says "vault_bucket" */
} vault_main_conf_t;

/* Values of vault_upload. */
#define VAULT_UPLOAD_SET_DIRECT     0
#define VAULT_UPLOAD_SET_PRESIGNED  1
#define VAULT_UPLOAD_SET_AUTO       2

typedef struct {
    ngx_uint_t        account;        /* failures of one account */
    time_t            account_window;
    ngx_uint_t        address;        /* and from one address */
    time_t            address_window;
    unsigned          set:1;
    unsigned          off:1;
} vault_login_t;

typedef struct {
    vault_conf_t      vault;          /* what the layers below see */

    ngx_str_t         database;
    ngx_uint_t        connections;
    ngx_msec_t        timeout;
    ngx_flag_t        strict;
    ngx_str_t         jwt_key;        /* a path, made if missing; or
                                         "database": jwt_shared */
    ngx_str_t         jwt_pem;        /* or the key itself */
    size_t            sync_cache;
    vault_login_t     login;
    ngx_str_t         files;          /* URL of the store */
    ngx_path_t       *temp;           /* where bodies for it come; or NULL */
    ngx_uint_t        upload;

    vault_mail_settings_t  mail;

    unsigned          used:1;         /* some location says "vault on" */
    unsigned          mail_set:1;
    unsigned          jwt_shared:1;   /* the key is in the database */
} vault_srv_conf_t;

/* Of a level: "vault_agent" and "vault_agent_auth". */
typedef struct {
    vault_agent_settings_t  settings; /* name.data NULL: none */
    unsigned          auth_set:1;
    ngx_flag_t        proxy;          /* requests go there */
    vault_agent_t    *agent;          /* of a location that is a proxy */
} vault_agent_conf_t;

typedef struct {
    ngx_flag_t        enable;
    vault_agent_conf_t  agent;
    vault_agent_proxy_t  agent_proxy;
    ngx_flag_t        bucket;         /* hands uploads on: bucket.h */
} vault_loc_conf_t;


extern ngx_module_t  ngx_http_vault_module;


/* settings.c: nginx's life of a configuration. */

void *vault_create_srv_conf(ngx_conf_t *cf);
char *vault_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child);
char *vault_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);


/* files.c: the store, and how bodies for it are received. */

ngx_int_t vault_attach_files(ngx_conf_t *cf, vault_main_conf_t *mcf,
    vault_srv_conf_t *scf);
ngx_int_t vault_set_bodies(ngx_conf_t *cf, vault_srv_conf_t *scf,
    ngx_http_core_loc_conf_t *clcf);


/* directives.c: one function a kind of value. */

char *vault_set_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *vault_set_bucket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *vault_set_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_folder(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_domains(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_login_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_days(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_file_max(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_file_quota(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_jobs(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_origin_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *vault_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);



/* environment.c: values that are not in the file. */

/* A directive that takes "env:NAME": what comes after that is its own. */
typedef struct {
    char   *(*set)(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
    void     *post;
} vault_setter_t;

char *vault_set_from_env(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * "NAME", or "NAME:-what counts if it is not set".  An empty *out is as if
 * the directive were not there.
 */
char *vault_env_value(ngx_conf_t *cf, const ngx_str_t *name, ngx_str_t *out);

/* A value that may be secret: as it stands, or where it is to be found. */
char *vault_secret_value(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_str_t *out);


/* mail.c: how mail is sent. */

char *vault_set_mail(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *vault_set_mail_from(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *vault_set_mail_templates(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void vault_merge_mail(vault_srv_conf_t *prev, vault_srv_conf_t *conf);
ngx_int_t vault_attach_mail(ngx_conf_t *cf, vault_srv_conf_t *scf);


/* handlers.c: of "vault on" and "vault_status". */

ngx_int_t vault_handler(ngx_http_request_t *r);
ngx_int_t vault_status_handler(ngx_http_request_t *r);

/*
 * bucket.c: takes the query out of $request and of nginx's own messages, which
 * show a request as it came, and where it went.
 */
void vault_hide_query(ngx_http_request_t *r);


#endif
