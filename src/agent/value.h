/*
 * value - "vault://PATH#KEY", a secret of the configuration's own.
 *
 * Why:    our own server's secrets come from the Vault too, and then no file
 *         of its configuration has any.
 * Use:    vault_agent_value_now() while the configuration is read; then the
 *         secret that it gives is watched like one in a file.
 * Owns:   the value lives in the cycle's pool, as any secret of a directive;
 *         what else was read is wiped when the configuration has been.
 * Fails:  NGX_ERROR after having logged why.
 * Waits:  it blocks while the configuration is read; workers never wait.
 *
 * The token that is fetched for it is the one that the workers begin with.  A
 * path is read once, for all values of it: credentials are made for each read,
 * and a user has the password of the same one.
 */

#ifndef VAULT_AGENT_VALUE_H
#define VAULT_AGENT_VALUE_H

#include "secret.h"


#define VAULT_AGENT_VALUE  16384      /* bytes of the longest */

/* What has been read of one path. */
typedef struct vault_agent_read_s  vault_agent_read_t;

/*
 * `secret` has its agent, path and key; it gets the lease, and the digest that
 * tells whether the value has changed.  *reads begins as NULL with each
 * configuration, whose main part it is in.
 */
ngx_int_t vault_agent_value_now(ngx_conf_t *cf, vault_agent_read_t **reads,
    vault_agent_secret_t *secret, ngx_str_t *value);


#endif
