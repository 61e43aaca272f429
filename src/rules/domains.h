/*
 * domains - sites that belong together, so that a client offers the item of
 * one on the other: a list that every server has, and the user's own.
 *
 * Owns:   nothing; the global list is constant.
 * Waits:  never.
 */

#ifndef VAULT_RULES_DOMAINS_H
#define VAULT_RULES_DOMAINS_H

#include "../model/user.h"


/*
 * Writes the object "domains" as member `name`, or, with NULL, as the whole
 * answer.  `all`: globals that the user has switched off are there too, marked
 * as excluded, for the settings; else they are left out, for a sync.
 */
void vault_domains_write(vault_writer_t *w, const char *name,
    const vault_user_t *user, ngx_uint_t all);


#endif
