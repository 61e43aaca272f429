/*
 * endpoint - which region and which hosts: rules of AWS's names.
 *
 * Why:    a signature names a region, and secrets are asked from few hosts.
 * Fails:  NGX_DECLINED; outputs untouched.
 * Waits:  never; pure functions.
 */

#ifndef VAULT_AWS_ENDPOINT_H
#define VAULT_AWS_ENDPOINT_H

#include <ngx_config.h>
#include <ngx_core.h>


/* The region in "bucket.s3.eu-west-1.amazonaws.com" or a host of DSQL. */
ngx_int_t vault_aws_region_of(const ngx_str_t *host, ngx_str_t *region);

/* Whether a text may be a region: it becomes a part of host names. */
ngx_int_t vault_aws_region_check(const ngx_str_t *region);

/* "amazonaws.com", or what a partition of its own has instead. */
const char *vault_aws_domain(const ngx_str_t *region);

/*
 * Whether credentials may be asked for at this URL: over https anywhere, over
 * http at loopback and at the addresses of ECS and EKS only.
 * Source: AWS SDKs, AWS_CONTAINER_CREDENTIALS_FULL_URI.
 */
ngx_int_t vault_aws_container_check(const ngx_str_t *url);


#endif
