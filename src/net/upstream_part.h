/*
 * upstream_part - what the files of net/upstream*.c share, and talk.c.
 *
 * Life of a call: upstream.c finds the addresses; upstream_call.c makes a
 * vault_upstream_op_t in a pool of its own and lets nginx's upstream module run
 * it on a stand-in for a client's request (upstream_standin.c).  Connections
 * come from upstream_peer.c, what is read goes to upstream_parse.c; when the
 * answer is whole the coroutine wakes.
 */

#ifndef VAULT_NET_UPSTREAM_PART_H
#define VAULT_NET_UPSTREAM_PART_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "upstream.h"
#include "../run/await.h"


#define VAULT_UPSTREAM_ADDRESSES  8   /* of a host */
#define VAULT_UPSTREAM_IDLE       16  /* connections kept, of a worker */
#define VAULT_UPSTREAM_SIBLINGS   4
#define VAULT_UPSTREAM_HEAD       (16 * 1024)
#define VAULT_UPSTREAM_BODY       (64 * 1024)

typedef struct {
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;
    u_char                       text[NGX_SOCKADDR_STRLEN];
    ngx_str_t                    name;
} vault_upstream_address_t;

typedef struct {
    vault_upstream_address_t     list[VAULT_UPSTREAM_ADDRESSES];
    ngx_uint_t                   n;
} vault_upstream_addresses_t;

typedef struct {
    ngx_queue_t                  queue;
    vault_upstream_t            *up;
    ngx_connection_t            *connection;
    vault_upstream_address_t     address;
    time_t                       since;    /* by the wall clock */
} vault_upstream_kept_t;

struct vault_upstream_s {
    ngx_str_t                    host;
    in_port_t                    port;
    ngx_ssl_t                   *ssl; /* NULL: plain */
    ngx_uint_t                   literal;  /* the host is an address */
    ngx_uint_t                   trusts_system;  /* no authority is named */
    ngx_str_t                    name;     /* that its certificate has */
    ngx_uint_t                   insecure; /* whatever it has */
    ngx_uint_t                   named;    /* the name was given */

    ngx_http_upstream_conf_t     conf;
    ngx_http_upstream_srv_conf_t  srv;
    void                       **loc_conf;

    /* of a worker */
    vault_upstream_addresses_t   addresses;
    ngx_uint_t                   known;    /* addresses were found */
    time_t                       found;    /* then, by the wall clock */
    ngx_queue_t                  idle;
    ngx_queue_t                  spare;
    vault_upstream_kept_t        kept[VAULT_UPSTREAM_IDLE];
    ngx_ssl_session_t           *session;
    vault_upstream_t            *sibling;  /* the next of them */
};

/* The answer, as far as it has come. */
typedef struct {
    ngx_uint_t                   part;
    ngx_http_status_t            line;
    ngx_http_chunked_t           chunks;
    ngx_array_t                 *headers;  /* of ngx_keyval_t, in the buffer */
    u_char                      *head;     /* where it begins */
    u_char                      *body;
    size_t                       size;     /* of the body, so far */
    off_t                        length;   /* announced; or -1 */
    const char                  *error;
    u_char                      *top;      /* as far as the buffer was used */
    unsigned                     too_large:1;
    unsigned                     bodiless:1;  /* the request was HEAD */
    unsigned                     chunked:1;
    unsigned                     close:1;  /* the peer will close */
    unsigned                     until_close:1;
    unsigned                     whole:1;
} vault_upstream_parse_t;

/* Which connection a request takes; what nginx's peer.data points to. */
typedef struct {
    vault_upstream_t            *up;
    vault_upstream_addresses_t   addresses;
    ngx_uint_t                   next;     /* address to try */
    vault_upstream_address_t     taken;    /* of a kept connection */
    unsigned                     fresh:1;  /* on a new connection only */
    unsigned                     kept:1;   /* it is on a kept one */
} vault_upstream_peer_t;

typedef struct vault_upstream_op_s  vault_upstream_op_t;

/* nginx's upstream module wants a client; it gets this one. */
typedef struct {
    ngx_http_log_ctx_t           ctx;      /* first: nginx writes into it */
    vault_upstream_t            *up;
    ngx_log_t                    log;
    ngx_connection_t             connection;
    ngx_event_t                  read;
    ngx_event_t                  write;
    ngx_http_request_t           main;
    ngx_http_request_t           sub;
    ngx_http_post_subrequest_t   post;
} vault_upstream_standin_t;

struct vault_upstream_op_s {
    vault_upstream_peer_t        peer;     /* first */
    ngx_pool_t                  *pool;     /* of this call alone */
    vault_request_t             *vr;
    const vault_upstream_call_t  *call;
    vault_upstream_standin_t     standin;
    ngx_http_upstream_conf_t     conf;     /* with the call's timeouts */
    ngx_buf_t                   *head;     /* of the request; has secrets */
    ngx_msec_t                   since;    /* the answer's first byte came */
    vault_upstream_parse_t       parse;
    u_char                       error[128];
    unsigned                     silent:1; /* no byte came, in time */
    unsigned                     answering:1;
    unsigned                     finished:1;
};


/* upstream_standin.c: made in op->pool; done() is called on the main stack. */
void vault_upstream_standin(vault_upstream_op_t *op,
    ngx_http_post_subrequest_pt done);
ngx_int_t vault_upstream_standin_conf(ngx_conf_t *cf, vault_upstream_t *up);

/* upstream_name.c: awaits; NGX_ERROR with answer->error. */
ngx_int_t vault_upstream_look_up(vault_request_t *vr, vault_upstream_t *up,
    vault_upstream_addresses_t *addresses, ngx_str_t *error);
ngx_int_t vault_upstream_literal(ngx_pool_t *pool, vault_upstream_t *up);

/* upstream_peer.c */
void vault_upstream_peers(vault_upstream_t *up);
ngx_int_t vault_upstream_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *srv);

/* A connection for pc: NGX_DONE if it is open, NGX_OK if not. */
ngx_int_t vault_upstream_peer_get(ngx_peer_connection_t *pc, void *data);

/* Why a try ends without a whole answer. */
const char *vault_upstream_peer_why(ngx_connection_t *c,
    ngx_http_upstream_t *u);

/* Takes pc's for later, if it is good. */
void vault_upstream_peer_keep(vault_upstream_peer_t *peer,
    ngx_peer_connection_t *pc);

/* upstream_tls.c */
ngx_int_t vault_upstream_tls(ngx_conf_t *cf, vault_upstream_t *up,
    const vault_upstream_tls_t *tls);
void vault_upstream_tls_name(vault_upstream_t *up);
ngx_int_t vault_upstream_tls_expect(ngx_connection_t *c,
    vault_upstream_t *up);
ngx_int_t vault_upstream_tls_begin(ngx_peer_connection_t *pc, void *data);
void vault_upstream_tls_save(ngx_peer_connection_t *pc, void *data);
const char *vault_upstream_tls_error(ngx_connection_t *c);

/* upstream_send.c: the request as a chain; NGX_ERROR if it is malformed. */
ngx_int_t vault_upstream_compose(vault_upstream_op_t *op, ngx_chain_t **out);

/* upstream_parse.c: NGX_OK when whole, NGX_AGAIN, or NGX_ERROR. */
ngx_int_t vault_upstream_parse(vault_upstream_op_t *op,
    ngx_http_request_t *r, ngx_buf_t *b);
ngx_int_t vault_upstream_parse_weigh(vault_upstream_parse_t *p,
    const ngx_keyval_t *header);
ngx_int_t vault_upstream_parse_chunk(vault_upstream_parse_t *p,
    ngx_http_request_t *r, ngx_buf_t *b);
size_t vault_upstream_max(const vault_upstream_call_t *call);

/*
 * upstream_call.c: one attempt, which awaits.  NGX_OK with the answer,
 * NGX_ERROR, or NGX_AGAIN if a kept connection turned out to be closed.
 */
ngx_int_t vault_upstream_attempt(vault_request_t *vr, vault_upstream_t *up,
    const vault_upstream_call_t *call,
    const vault_upstream_addresses_t *addresses, ngx_uint_t fresh,
    vault_http_answer_t *answer);


#endif
