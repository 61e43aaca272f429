/*
 * id - keys of rows: UUIDs made here, never by the database.
 */

#include "id.h"
#include "../crypto/crypto.h"


ngx_str_t
vault_id_create(vault_request_t *vr)
{
    ngx_str_t  id;

    id.len = VAULT_UUID_LEN;
    id.data = vault_alloc(vr, VAULT_UUID_LEN);

    if (vault_uuid_create(id.data) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "The server has no randomness.");
    }

    return id;
}


ngx_array_t
vault_id_list(const ngx_str_t *id)
{
    ngx_array_t  ids;

    ngx_memzero(&ids, sizeof(ngx_array_t));

    ids.elts = (void *) id;
    ids.nelts = 1;
    ids.size = sizeof(ngx_str_t);

    return ids;
}
