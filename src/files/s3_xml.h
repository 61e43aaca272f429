/*
 * s3_xml - the little XML that S3 speaks: a list of keys, an error.
 *
 * Use:    vault_s3_xml_delete() writes the body of DeleteObjects.
 *         vault_s3_xml_next() finds one element after the other, inside of
 *         each of which it finds others; vault_s3_xml_text() is for leaves.
 * Owns:   elements are parts of the text that was given.
 * Fails:  NGX_DECLINED if there is no (complete) element, NGX_ERROR for
 *         memory.
 * Waits:  never; pure functions.
 *
 * Not a parser of XML: elements are found by name at any depth, one name is
 * not expected within itself, and there are neither prefixes of namespaces nor
 * CDATA in S3's answers.
 */

#ifndef VAULT_FILES_S3_XML_H
#define VAULT_FILES_S3_XML_H

#include <ngx_config.h>
#include <ngx_core.h>


/* `n` names (of ngx_str_t) below a prefix; none has a character to escape. */
ngx_int_t vault_s3_xml_delete(ngx_pool_t *pool, const ngx_str_t *prefix,
    const ngx_str_t *names, ngx_uint_t n, ngx_str_t *out);

/* The inside of the next element in *rest, which moves behind it. */
ngx_int_t vault_s3_xml_next(ngx_str_t *rest, const char *name,
    ngx_str_t *inside);

/* The text of the first element of that name, without entities. */
ngx_int_t vault_s3_xml_text(ngx_pool_t *pool, const ngx_str_t *xml,
    const char *name, ngx_str_t *text);


#endif
