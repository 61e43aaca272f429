/*
 * body - what run/ knows of a body before it is read, and bodies that are
 * files: routes with VAULT_BODY_FILE.
 *
 * Why:    a file of 256 MB goes from the socket to a file, as nginx's own PUT
 *         does it, and is renamed into its place; it is never in memory.
 * Use:    vault_body_file() for a raw body, vault_body_parts() for
 *         multipart/form-data.
 * Owns:   the file is deleted with the request, unless vault_body_taken().
 * Fails:  400 for a body that is not what its header says.
 * Waits:  vault_body_parts() and vault_body_text() await.
 */

#ifndef VAULT_RUN_BODY_H
#define VAULT_RUN_BODY_H

#include "multipart.h"
#include "route.h"


#define VAULT_BODY_OVERHEAD  (64 * 1024)  /* of multipart around one file */
#define VAULT_BODY_PARTS     8

typedef struct {
    vault_part_t   list[VAULT_BODY_PARTS];
    ngx_uint_t     n;
    ngx_file_t    *file;
} vault_parts_t;


/* Most bytes that the route takes. */
off_t vault_body_limit(vault_request_t *vr);

/* Does the request say that it has a body? */
ngx_uint_t vault_body_announced(vault_request_t *vr);

/*
 * Says to nginx how the body is to be read: 0, or 503 and why if there is no
 * room for it.
 */
ngx_uint_t vault_body_prepare(vault_request_t *vr, const char **message);

/* The file that the body lies in, and its size; 400 if there is none. */
ngx_file_t *vault_body_file(vault_request_t *vr, off_t *size);

/* The file has got another name: it stays. */
void vault_body_taken(vault_request_t *vr, ngx_file_t *file);

/* The parts of multipart/form-data. */
vault_parts_t *vault_body_parts(vault_request_t *vr);

/* The first part of that name; NULL if there is none. */
vault_part_t *vault_body_part(vault_parts_t *parts, const char *name);

/* What a field says, of at most `max` bytes. */
ngx_str_t vault_body_text(vault_request_t *vr, vault_parts_t *parts,
    const vault_part_t *part, size_t max);


#endif
