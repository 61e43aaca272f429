/*
 * multipart - finds the parts of a multipart/form-data body (RFC 7578).
 *
 * Why:    older clients send a file beside its fields in one body.
 * Use:    vault_body_parts() of body.h, which runs it over a body in a file.
 * Owns:   nothing: everything given is a slice of what was given.
 * Fails:  NGX_DECLINED with *err saying what is wrong.
 * Waits:  never; a pure function, as fast as memmem().
 */

#ifndef VAULT_RUN_MULTIPART_H
#define VAULT_RUN_MULTIPART_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t  name;                  /* as sent, quotes taken off */
    ngx_str_t  filename;              /* data NULL: the part is a field */
    off_t      from;                  /* in the body */
    off_t      size;
} vault_part_t;


/* The boundary that the header Content-Type names. */
ngx_int_t vault_multipart_boundary(const ngx_str_t *type,
    ngx_str_t *boundary);

/* At most *n parts, and how many there were; more are refused. */
ngx_int_t vault_multipart_parse(const ngx_str_t *body,
    const ngx_str_t *boundary, vault_part_t *parts, ngx_uint_t *n,
    const char **err);


#endif
