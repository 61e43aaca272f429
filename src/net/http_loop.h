/*
 * http_loop - libcurl's transfers on nginx's event loop, for http.c alone.
 */

#ifndef VAULT_NET_HTTP_LOOP_H
#define VAULT_NET_HTTP_LOOP_H

#include <ngx_config.h>
#include <ngx_core.h>

#include <curl/curl.h>


typedef struct vault_http_transfer_s  vault_http_transfer_t;

struct vault_http_transfer_s {
    ngx_queue_t           queue;
    CURL                 *easy;       /* NULL: is over */
    void                (*done)(vault_http_transfer_t *transfer,
                                CURLcode code);
};


/* Starts; done() is called on the main stack, easy still being there. */
ngx_int_t vault_http_loop_add(vault_http_transfer_t *transfer);

/* Ends it without done(), easy included. */
void vault_http_loop_remove(vault_http_transfer_t *transfer);


#endif
