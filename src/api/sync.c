/*
 * Sync: everything that a client keeps, in one answer.
 *
 * The guard's query is the only one while nothing has changed; otherwise one
 * round trip more, whatever the size of the vault.
 */

#include "../run/route.h"
#include "../rules/cache.h"
#include "../rules/domains.h"
#include "../rules/profile.h"
#include "../rules/upload.h"
#include "../model/cipher.h"
#include "../model/folder.h"
#include "send_form.h"
#include "view.h"


#define TRIES  4                      /* against changes that never end */


static void  sync_get(vault_request_t *vr);


const vault_route_t  vault_sync_routes[] = {
    { GET, "/api/sync", sync_get, VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_uint_t           domains;     /* are they wanted? */
    vault_cipher_type_e  most;        /* the newest type that it knows */
} sync_t;

typedef struct {
    ngx_array_t         *folders;
    ngx_array_t         *ciphers;
    ngx_array_t         *sends;
} vault_t;


static void  sync_read(vault_request_t *vr, sync_t *sync);
static vault_cipher_type_e  newest_type(vault_request_t *vr);
static void  sync_load(vault_request_t *vr, const sync_t *sync,
    vault_t *vault);
static void  sync_write(vault_request_t *vr, const sync_t *sync);


static void
sync_get(vault_request_t *vr)
{
    sync_t         sync;
    ngx_str_t      key, mark;
    vault_user_t  *me = vault_me(vr);

    sync_read(vr, &sync);

    /* a file that has arrived in a bucket is a change that nobody made here */

    if (vault_upload_settle(vr, me)) {                /* awaits */
        me->revised_at = vault_user_get(vr, &me->id)->revised_at;
    }

    /* revised_at moves with every change; a new stamp may come without one */

    key = vault_printf(vr, "%V%ui%ui", &me->id, sync.domains,
                       (ngx_uint_t) sync.most);
    mark = vault_printf(vr, "%L%V", me->revised_at, &me->security_stamp);

    if (vault_cache_reply(vr, &key, &mark)) {
        return;
    }

    sync_write(vr, &sync);                            /* awaits */

    mark = vault_printf(vr, "%L%V", me->revised_at, &me->security_stamp);
    vault_cache_keep(vr, &key, &mark);
}


static void
sync_read(vault_request_t *vr, sync_t *sync)
{
    ngx_str_t  exclude;

    exclude = vault_query_arg(vr, "excludeDomains");

    sync->domains = !(exclude.len == 4
                      && ngx_strncasecmp(exclude.data, (u_char *) "true", 4)
                         == 0);
    sync->most = newest_type(vr);
}


/* Clients before 2024.12.0 fail on SSH keys; they all name their version. */

static vault_cipher_type_e
newest_type(vault_request_t *vr)
{
    ngx_uint_t  version;

    version = vault_client_version(vr);

    return version && version < 202412 ? VAULT_CIPHER_IDENTITY
                                       : VAULT_CIPHER_SSH_KEY;
}


/*
 * The revision is read last: if it is another than the user's, there was a
 * change in between, of which a part may be here and a part not.
 */

static void
sync_load(vault_request_t *vr, const sync_t *sync, vault_t *vault)
{
    int64_t            revision;
    ngx_uint_t         tries;
    vault_user_t      *me = vault_me(vr);
    vault_db_batch_t  *batch;

    for (tries = 0; tries < TRIES; tries++) {
        batch = vault_db_batch(vr);
        vault_folder_batch(batch, me, &vault->folders);
        vault_cipher_batch(batch, me, sync->most, &vault->ciphers);
        vault_send_batch(batch, me, &vault->sends);
        vault_user_batch_revision(batch, me, &revision);
        vault_db_batch_run(batch);                    /* awaits */

        if (revision == me->revised_at) {
            return;
        }

        *me = *vault_user_get(vr, &me->id);           /* awaits, and folds */
    }
}


static void
sync_write(vault_request_t *vr, const sync_t *sync)
{
    vault_t          vault;
    vault_writer_t  *w;

    sync_load(vr, sync, &vault);                      /* awaits */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');

    vault_profile_write(vr, w, "profile");
    vault_json_rows(w, "folders", &vault_folder_view, vault.folders);
    vault_json_open(w, "collections", '[');
    vault_json_close(w, ']');
    vault_json_rows(w, "ciphers", &vault_cipher_view, vault.ciphers);

    if (sync->domains) {
        vault_domains_write(w, "domains", vault_me(vr), 0);

    } else {
        vault_json_null(w, "domains");
    }

    vault_json_open(w, "policies", '[');
    vault_json_close(w, ']');
    vault_sends_write(vr, w, "sends", vault.sends);
    vault_user_decryption_write(vr, w, "userDecryption");
    vault_json_cstring(w, "object", "sync");

    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}
