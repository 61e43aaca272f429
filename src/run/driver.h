/*
 * driver - nginx's side of a request: takes it, runs its endpoint on a
 * coroutine, sends what was replied, and cleans up.  For the root file.
 */

#ifndef VAULT_RUN_DRIVER_H
#define VAULT_RUN_DRIVER_H

#include "request.h"
#include "route.h"


/*
 * The content handler: NGX_DONE when the request was taken, NGX_DECLINED when
 * its path belongs to no route and lies outside the API, so that nginx may
 * serve a file.
 */
ngx_int_t vault_driver_handle(ngx_http_request_t *r, vault_conf_t *conf);

/*
 * In a worker that exits: ends the tasks that wait, so that what they hold (a
 * connection that is being made, say) is closed.
 */
void vault_driver_stop(void);

/* Requests refused because no coroutine was free, since the worker's start. */
ngx_uint_t vault_driver_refused(void);


#endif
