/*
 * credentials - who this server is to AWS.
 *
 * Why:    on AWS a server holds no keys: it asks for short-lived ones and must
 *         ask again in time, without making a request wait for it.
 * Use:    vault_aws_credentials() each time something is to be signed.
 * Owns:   the keys given are a copy in the request's pool, wiped with it.
 * Fails:  503 if there are none.  Old keys are kept for as long as new ones
 *         cannot be had.
 * Waits:  vault_aws_credentials() awaits when there are none yet, or when
 *         they have expired; else it answers at once, and refreshes them in
 *         the background from 5 minutes before they expire.
 *
 * Asked in this order, the first that is configured: AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY; the shared credentials file; AWS_ROLE_ARN with
 * AWS_WEB_IDENTITY_TOKEN_FILE; AWS_CONTAINER_CREDENTIALS_*; the metadata
 * service of EC2 (version 2 only).
 */

#ifndef VAULT_AWS_CREDENTIALS_H
#define VAULT_AWS_CREDENTIALS_H

#include "../run/request.h"
#include "sigv4.h"


/*
 * When the configuration is read: nginx takes the environment away from its
 * workers, so it is looked at here.  NULL without memory.
 */
vault_aws_t *vault_aws_create(ngx_pool_t *pool);

/*
 * vr->conf->aws says from where.  Awaits.  The second form does not fail but
 * gives NULL, for work that goes on without them.
 */
vault_aws_keys_t *vault_aws_credentials(vault_request_t *vr);
vault_aws_keys_t *vault_aws_find_credentials(vault_request_t *vr);

/*
 * After AWS has refused these keys as expired or unknown: others, asked for
 * now if there are none yet; NULL if there are no others.  Awaits.
 */
vault_aws_keys_t *vault_aws_refresh(vault_request_t *vr,
    const vault_aws_keys_t *refused);

/*
 * The region of AWS_REGION or AWS_DEFAULT_REGION, data NULL if neither is
 * set: known when the configuration is read.
 */
ngx_str_t vault_aws_region_known(vault_aws_t *aws);

/*
 * The same, or else that of the instance.  Awaits; 503 if there is none, or
 * NGX_DECLINED.
 */
ngx_str_t vault_aws_region(vault_request_t *vr);
ngx_int_t vault_aws_find_region(vault_request_t *vr, ngx_str_t *region);

/* AWS_CA_BUNDLE, for calls to AWS; or NULL. */
const char *vault_aws_ca_file(vault_aws_t *aws);

/* Wipes what a worker holds. */
void vault_aws_stop(vault_aws_t *aws);


#endif
