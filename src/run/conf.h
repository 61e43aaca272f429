/*
 * conf - the settings of one vault, as the directives of the root file left
 * them.  Plain data: no layer below the root file knows a directive.
 */

#ifndef VAULT_RUN_CONF_H
#define VAULT_RUN_CONF_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct vault_db_s       vault_db_t;
typedef struct vault_keyring_s  vault_keyring_t;
typedef struct vault_router_s   vault_router_t;
typedef struct vault_limits_s   vault_limits_t;
typedef struct vault_cache_s    vault_cache_t;
typedef struct vault_aws_s      vault_aws_t;
typedef struct vault_files_s    vault_files_t;
typedef struct vault_mail_s     vault_mail_t;

/* How bytes come in: rules/upload.h. */
typedef enum {
    VAULT_UPLOAD_DIRECT = 0,
    VAULT_UPLOAD_OWN,
    VAULT_UPLOAD_BUCKET
} vault_upload_e;

/* What is done with a password hint that is asked for. */
#define VAULT_HINT_MAIL  0
#define VAULT_HINT_SHOW  1            /* to anybody */

typedef struct {
    ngx_flag_t        lambda;         /* frozen between two requests: nothing
                                         may be left to do after an answer */
    ngx_str_t         secrets[2];     /* one of them comes with each request
                                         of the front; len 0: none is asked */

    ngx_str_t         origin;         /* "https://host[:port]", no slash; or
                                         empty: taken from each request */
    ngx_str_t         web_vault;      /* folder of a web vault; or empty */

    vault_db_t       *db;
    vault_keyring_t  *keyring;        /* signs and checks tokens */
    vault_router_t   *router;
    vault_limits_t   *limits;         /* failed logins, over all workers */
    vault_cache_t    *cache;          /* sync answers, of this worker */
    vault_aws_t      *aws;            /* who this server is to AWS */
    vault_files_t    *files;          /* attachments and Sends' files */
    vault_mail_t     *mail;           /* NULL: no mail is sent */

    vault_upload_e    upload;
    off_t             file_max;       /* bytes of one file */
    off_t             file_quota;     /* bytes of one user; 0: no quota */
    ngx_msec_t        jobs;           /* between two runs; 0: no jobs here */
    time_t            trash;          /* seconds that items lie there; 0: for
                                         ever */

    ngx_flag_t        signups;        /* may strangers register? */
    ngx_flag_t        signups_verify; /* must they prove their address, where
                                         mail is sent? */
    ngx_array_t      *signup_domains; /* of ngx_str_t, lower case; or NULL */
    ngx_uint_t        hint;           /* VAULT_HINT_… */

    ngx_uint_t        kdf_rounds;     /* server-side PBKDF2 rounds of new
                                         password hashes */
    time_t            access_life;    /* seconds an access token lives */
    time_t            refresh_life;   /* seconds a device may stay silent */

    ngx_msec_t        deadline;       /* of a whole request */
    ngx_uint_t        max_coroutines; /* requests in flight in a worker */
} vault_conf_t;


#endif
