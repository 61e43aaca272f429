/*
 * value - any JSON as the text that it is: looked into, listed, set in lines.
 *
 * Why:    a secret of somebody else's has no shape that we know, and its
 *         numbers must stay as they were written.
 * Use:    vault_value_check() once; what is found in a checked text is again
 *         one.
 * Owns:   what is found points into the text; made texts live in the pool.
 * Fails:  NGX_DECLINED for what is no JSON, or not there; NGX_ERROR: memory.
 * Waits:  never; a pure leaf.
 */

#ifndef VAULT_JSON_VALUE_H
#define VAULT_JSON_VALUE_H

#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Whether it is one value of RFC 8259, no deeper than 32, in UTF-8 without
 * NUL.  The spaces around it are left out of the text.
 */
ngx_int_t vault_value_check(ngx_str_t *json);

/* The first character says the kind: { [ " t f n - 0…9. */
#define vault_value_is(json, kind)  (*(json)->data == (kind))

/* The value of an object's member; of equal names the last. */
ngx_int_t vault_value_find(ngx_pool_t *pool, const ngx_str_t *object,
    const ngx_str_t *name, ngx_str_t *value);

/* All members, sorted by name: key is the name's text, value is JSON. */
ngx_int_t vault_value_members(ngx_pool_t *pool, const ngx_str_t *object,
    ngx_array_t **members);

/*
 * The first item of what is left of a list, which begins after its bracket;
 * `rest` moves on behind it.  NGX_DECLINED at the end.
 */
ngx_int_t vault_value_item(ngx_str_t *rest, ngx_str_t *item);

/* A string's text; of anything else the JSON. */
ngx_int_t vault_value_text(ngx_pool_t *pool, const ngx_str_t *value,
    ngx_str_t *text);

/*
 * In lines, each level two spaces further in, members sorted, as Go's
 * json.MarshalIndent does; `depth` levels in already.  Data NULL gives null.
 */
ngx_int_t vault_value_indent(ngx_pool_t *pool, const ngx_str_t *value,
    ngx_uint_t depth, ngx_str_t *out);

/* A text as a JSON string, escaped as Go does. */
ngx_int_t vault_value_quote(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_str_t *out);


#endif
