/*
 * front - what stands before a vault on Lambda: CloudFront, which proves
 * itself by a secret, and the Lambda Web Adapter, which brings events.
 *
 * Why:    who knows a function's URL could go around CloudFront; and who knows
 *         the path of events could send some.
 * Use:    the root's handler asks vault_front_refuses() before anything else;
 *         routes of events have VAULT_ADAPTER as their guard.
 * Fails:  never; says what it thinks.
 * Waits:  never.
 *
 * The adapter sets two headers of each request, whatever the client has put
 * there: x-amzn-request-context is an object for what came over HTTP, and null
 * for what did not, which is what it sends to AWS_LWA_PASS_THROUGH_PATH.
 * Source: lambda_web_adapter, fetch_response().
 */

#ifndef VAULT_RULES_FRONT_H
#define VAULT_RULES_FRONT_H

#include "../run/route.h"


#define VAULT_FRONT_SECRET  "X-Vault-Origin-Secret"
#define VAULT_FRONT_EVENTS  "/.vault/events"

extern const vault_guard_t  vault_guard_adapter;

#define VAULT_ADAPTER  &vault_guard_adapter


/* 1 for a request that has not come through the front, and is no event. */
ngx_uint_t vault_front_refuses(ngx_http_request_t *r,
    const vault_conf_t *conf);

/*
 * Milliseconds that are left of an event's invocation, as the adapter says;
 * 0 if it does not.
 */
int64_t vault_front_left(vault_request_t *vr);


#endif
