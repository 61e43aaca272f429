/*
 * line - may this text stand in the head of a request?
 *
 * Why:    a line break or a space in the wrong place would start a header or a
 *         request of its own.
 */

#ifndef VAULT_NET_LINE_H
#define VAULT_NET_LINE_H

#include <ngx_config.h>
#include <ngx_core.h>


ngx_uint_t vault_line_is_name(const ngx_str_t *name);
ngx_uint_t vault_line_is_value(const ngx_str_t *value);

/* A target, a URL or a host: not even a space. */
ngx_uint_t vault_line_is_target(const ngx_str_t *target);


#endif
