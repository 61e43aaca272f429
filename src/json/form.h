/*
 * form - application/x-www-form-urlencoded bodies, by the same field tables
 * as JSON: OAuth's token endpoint speaks nothing else.
 */

#ifndef VAULT_JSON_FORM_H
#define VAULT_JSON_FORM_H

#include "json.h"


/* Percent signs and plus signs undone; NGX_ERROR without memory. */
ngx_int_t vault_form_unescape(ngx_pool_t *pool, const ngx_str_t *raw,
    ngx_str_t *out);

/*
 * Parses `body` by `shape` into `out`: text and number fields only.  Names are
 * taken in any case, unknown ones ignored, of repeated ones the last counts.
 * NGX_OK; NGX_DECLINED with *err for the first bad or missing field; NGX_ERROR
 * without memory.
 */
ngx_int_t vault_form_parse(ngx_pool_t *pool, const ngx_str_t *body,
    const vault_shape_t *shape, void *out, vault_json_error_t *err);


#endif
