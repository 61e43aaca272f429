/*
 * static - the web vault's files: nginx serves them, we set their headers.
 *
 * The pages "…-connector.html" are framed by the clients themselves (WebAuthn,
 * Duo), so they carry neither a frame nor a content policy.
 */

#ifndef VAULT_WEB_STATIC_H
#define VAULT_WEB_STATIC_H

#include "../run/request.h"


/*
 * Adds the headers that r->uri needs.  NGX_DECLINED, so that nginx's own
 * handlers go on and serve the file, or an HTTP status.
 */
ngx_int_t vault_static_handle(ngx_http_request_t *r, vault_conf_t *conf);


#endif
