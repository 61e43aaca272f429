/*
 * upstream_pass_part - what upstream_pass.c and upstream_pass_answer.c share.
 */

#ifndef VAULT_NET_UPSTREAM_PASS_PART_H
#define VAULT_NET_UPSTREAM_PASS_PART_H

#include "upstream_part.h"
#include "upstream_pass.h"


typedef struct {
    vault_upstream_peer_t      peer;  /* first */
    vault_upstream_pass_t     *pass;
    ngx_http_upstream_conf_t   conf;
    ngx_buf_t                 *head;  /* of the request; has secrets */
    vault_upstream_parse_t     parse; /* of the answer's head */
    ngx_msec_t                 rest;  /* before the next try */
    ngx_event_t                timer;

    /* While there is nobody to be connected to, nginx waits for this one. */
    ngx_connection_t           bench;
    ngx_event_t                read;
    ngx_event_t                write;
    ngx_log_t                  silent;
    ngx_sockaddr_t             nowhere;
    ngx_str_t                  name;

    unsigned                   sitting:1;  /* on the bench */
    unsigned                   asking:1;   /* ready() has said NGX_AGAIN */
    unsigned                   again:1;    /* judge() has said NGX_AGAIN */
} vault_upstream_passing_t;


/* upstream_pass_answer.c */
ngx_int_t vault_upstream_passing_begin(vault_upstream_passing_t *own);
ngx_int_t vault_upstream_passing_head(ngx_http_request_t *r);
ngx_int_t vault_upstream_passing_init(void *data);
ngx_int_t vault_upstream_passing_body(void *data, ssize_t bytes);

/* The whole answer lies in the buffer, nothing else does. */
ngx_uint_t vault_upstream_passing_whole(vault_upstream_passing_t *own);


#endif
