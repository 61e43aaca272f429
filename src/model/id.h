/*
 * id - keys of rows: UUIDs made here, never by the database.
 */

#ifndef VAULT_MODEL_ID_H
#define VAULT_MODEL_ID_H

#include "../run/request.h"


/* A new random UUID in pool memory.  500 without randomness. */
ngx_str_t vault_id_create(vault_request_t *vr);

/* The list of one, for what takes many by one statement; points to `id`. */
ngx_array_t vault_id_list(const ngx_str_t *id);


#endif
