/*
 * cors - which other origins may call the API from a browser engine.
 *
 * The desktop application and the Safari extension are web pages of their own
 * origin; everything else is this server's own.  Source: the clients'
 * manifest origins (reference §2.1).
 */

#ifndef VAULT_RUN_CORS_H
#define VAULT_RUN_CORS_H

#include "request.h"


/* Adds the headers if the request's Origin is allowed. */
ngx_int_t vault_cors_headers(vault_request_t *vr);

/* 1, and a reply without body, if this is a preflight that is allowed. */
ngx_uint_t vault_cors_preflight(vault_request_t *vr);


#endif
