/*
 * source - the places that credentials come from, for credentials.c alone.
 *
 * Each source says NGX_OK and fills `keys` (in vr's pool), NGX_DECLINED if it
 * is not configured, or NGX_ERROR after having logged why it failed.  All
 * await.
 */

#ifndef VAULT_AWS_SOURCE_H
#define VAULT_AWS_SOURCE_H

#include "../net/http.h"
#include "credentials.h"


/* What the environment says; each text ends with NUL, empty if not set. */
typedef struct {
    ngx_str_t          access_key;
    ngx_str_t          secret_key;
    ngx_str_t          session_token;

    ngx_str_t          profile;
    ngx_str_t          credentials_file;
    ngx_str_t          home;

    ngx_str_t          role_arn;
    ngx_str_t          role_session;
    ngx_str_t          token_file;
    ngx_str_t          sts_url;       /* for tests and private endpoints */
    ngx_str_t          any_url;

    ngx_str_t          relative_uri;
    ngx_str_t          full_uri;
    ngx_str_t          auth_token;
    ngx_str_t          auth_token_file;

    ngx_str_t          imds_disabled;
    ngx_str_t          imds_url;
    ngx_str_t          imds_mode;

    ngx_str_t          region;
    ngx_str_t          default_region;
    ngx_str_t          ca_file;
} vault_aws_env_t;
#include "../net/http.h"
#include "../run/waiters.h"
struct vault_aws_s {
    vault_aws_env_t    env;
    ngx_str_t          region;        /* of the instance, once asked for */

    vault_aws_keys_t   keys;          /* access_key empty: none yet */
    ngx_pool_t        *pool;          /* of the keys */
    int64_t            refresh_at;    /* ms; in the background from then on */
    int64_t            retry_at;      /* not before then */
    vault_waiters_t    waiters;
    unsigned           refreshing:1;
    unsigned           renewed:1;     /* by the refresh that runs */
    unsigned           instance:1;    /* the keys are those of EC2 */
};


ngx_int_t vault_aws_from_env(vault_request_t *vr, vault_aws_keys_t *keys);
ngx_int_t vault_aws_from_profile(vault_request_t *vr, vault_aws_keys_t *keys);
ngx_int_t vault_aws_from_identity(vault_request_t *vr,
    vault_aws_keys_t *keys);
ngx_int_t vault_aws_from_container(vault_request_t *vr,
    vault_aws_keys_t *keys);
ngx_int_t vault_aws_from_instance(vault_request_t *vr,
    vault_aws_keys_t *keys);

/* The instance's region.  Awaits. */
ngx_int_t vault_aws_instance_region(vault_request_t *vr, ngx_str_t *region);


/* Tools of the sources; all of them await. */

#define VAULT_AWS_FILE  (32 * 1024)   /* the longest file that is read */

/*
 * The content of a file; the first without spaces around it.  NGX_DECLINED if
 * it is not there, NGX_ERROR for any other trouble, with its errno in *err.
 */
ngx_int_t vault_aws_read_file(vault_request_t *vr, const ngx_str_t *path,
    ngx_str_t *text, ngx_err_t *err);
ngx_int_t vault_aws_read_whole(vault_request_t *vr, const ngx_str_t *path,
    ngx_str_t *text, ngx_err_t *err);

/* Up to three tries; NGX_OK if an answer below 500 came. */
ngx_int_t vault_aws_fetch(vault_request_t *vr, const vault_http_call_t *call,
    const char *whom, vault_http_answer_t *answer);

/* {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} */
ngx_int_t vault_aws_read_keys(vault_request_t *vr,
    const vault_http_answer_t *answer, const char *whom,
    vault_aws_keys_t *keys);


#endif
