/*
 * signing - the key that makes tokens, links and codes this vault's own, where
 * it is kept in the database: "vault_jwt_key database".
 *
 * Why:    on Lambda there is no disk, there are many short-lived processes,
 *         and a key handed to them would have to lie in a template, in an
 *         environment that whoever may look at the function reads, or in one
 *         more service that is asked at each cold start.  The database is
 *         asked anyway.
 * Use:    vault_signing_share() while the configuration is read;
 *         vault_signing_key() wherever a key is needed.
 * Owns:   the key lives as long as the process; a restored database is read
 *         again by new processes only.
 * Fails:  503 as db.h, while there is no database.
 * Waits:  vault_signing_key() *awaits* until the worker has its key, and never
 *         after that.
 *
 * The first worker that finds none makes it, in a thread, and inserts it if
 * nobody was quicker; then all take what is there.
 */

#ifndef VAULT_RULES_SIGNING_H
#define VAULT_RULES_SIGNING_H

#include "../crypto/jwt.h"
#include "../run/request.h"


/* The key of `conf` comes from its database. */
ngx_int_t vault_signing_share(ngx_pool_t *pool, vault_conf_t *conf);

vault_keyring_t *vault_signing_key(vault_request_t *vr);


#endif
