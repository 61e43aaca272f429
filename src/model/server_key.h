/*
 * server_key - keys that all nodes of one database share.
 *
 * Why:    nodes without a disk, and nodes that nobody hands a key, have one
 *         place in common: the database.  Who reads it could already read and
 *         change all that the key protects.
 * Use:    find; who finds nothing makes one, inserts it, and finds again: of
 *         several who do so at once, one has won.
 * Fails:  as db.h.
 * Waits:  all *await*.
 */

#ifndef VAULT_MODEL_SERVER_KEY_H
#define VAULT_MODEL_SERVER_KEY_H

#include "../db/db.h"


/* 0, or 1 with *value set; wipe it after use. */
ngx_uint_t vault_server_key_find(vault_request_t *vr, const char *name,
    ngx_str_t *value);

/* Leaves one that is there alone. */
void vault_server_key_insert(vault_request_t *vr, const char *name,
    const ngx_str_t *value);


#endif
