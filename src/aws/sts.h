/*
 * sts - keys of a role, from AWS's service for them.
 *
 * Why:    a platform's token, or keys that we have, are exchanged for keys of
 *         a role which live for an hour.
 * Owns:   keys live in the request's pool and are wiped with it.
 * Fails:  NGX_ERROR after having logged why.
 * Waits:  all functions await but vault_sts_encoded().
 */

#ifndef VAULT_AWS_STS_H
#define VAULT_AWS_STS_H

#include "credentials.h"


/*
 * `session` is what AWS's logs call us.  `region` says where to ask, unless
 * the environment names the address (AWS_ENDPOINT_URL_STS).
 */
ngx_int_t vault_aws_assume_role(vault_request_t *vr, const ngx_str_t *role,
    const ngx_str_t *session, const ngx_str_t *region,
    const vault_aws_keys_t *own, vault_aws_keys_t *keys);


/* For identity.c */

/* A form's text, percent-encoded. */
ngx_str_t vault_sts_encoded(vault_request_t *vr, const ngx_str_t *text);

/*
 * Sends the form `body`, signed if `own` is not NULL, and reads keys from the
 * answer.  `region` empty: the whole world's.
 */
ngx_int_t vault_sts_ask(vault_request_t *vr, const ngx_str_t *region,
    const ngx_str_t *body, const vault_aws_keys_t *own,
    vault_aws_keys_t *keys);


#endif
