/*
 * bucket - the location that hands clients' uploads on to the bucket:
 * "vault_bucket on" beside nginx's own proxy_pass, conf/bucket.conf.
 *
 * Why:    a presigned link is under our own name, where clients want 201 and a
 *         bucket says 200; behind CloudFront a function of its does the same.
 * Use:    vault_bucket_variables() before, vault_bucket_install() after the
 *         configuration was read, if some location says "vault_bucket on".
 * Owns:   nothing.
 * Fails:  as an HTTP status: 404 for a path that no link of ours has, 405 for
 *         another method than PUT and OPTIONS, 411, 413.
 * Waits:  never; runs on the main stack, nginx moves the bytes.
 *
 * A link is a secret for as long as it lives: its query is kept out of the log.
 */

#ifndef VAULT_MODULE_BUCKET_H
#define VAULT_MODULE_BUCKET_H

#include "module.h"


/* $vault_bucket_url: where to pass this request; $vault_bucket_host. */
ngx_int_t vault_bucket_variables(ngx_conf_t *cf);

ngx_int_t vault_bucket_install(ngx_conf_t *cf);

/* Says what is missing for such a location to work. */
ngx_int_t vault_bucket_check(ngx_conf_t *cf, vault_conf_t *vault);


#endif
