/*
 * talk - a conversation in lines with another server, from a coroutine.
 *
 * Why:    SMTP goes back and forth; in a coroutine that reads top to bottom.
 *         libcurl would hold up the event loop while it waits for a mail
 *         server's last word.
 * Use:    vault_talk_open(), vault_talk_write() and vault_talk_line(),
 *         vault_talk_secure() for TLS, vault_talk_close().
 * Owns:   a connection, closed when the request ends at the latest.
 * Fails:  NGX_ERROR (NULL) with talk->error; then only closing is left.
 * Waits:  all but closing await, each for at most talk->silence ms, and none
 *         longer than until talk->end.
 */

#ifndef VAULT_NET_TALK_H
#define VAULT_NET_TALK_H

#include "upstream.h"


#define VAULT_TALK_LINE  2048         /* the longest */

typedef struct {
    vault_request_t   *vr;
    vault_upstream_t  *up;
    ngx_msec_t         silence;
    ngx_msec_t         end;           /* as ngx_current_msec */
    ngx_str_t          error;         /* for the log; names no secret */

    ngx_connection_t  *connection;
    vault_defer_t     *defer;
    u_char            *buffer;
    size_t             len;           /* bytes in it */
    size_t             taken;         /* of those, the line handed out last */
    unsigned           waiting:1;
    unsigned           shaken:1;      /* the handshake has ended */
} vault_talk_t;


/*
 * `up` says where; its TLS is used by vault_talk_secure() alone.  The
 * conversation ends after `total` ms.  NULL with *error.
 */
vault_talk_t *vault_talk_open(vault_request_t *vr, vault_upstream_t *up,
    ngx_msec_t connect, ngx_msec_t total, ngx_str_t *error);

/* What came before and was not read must not pass for the secure part. */
ngx_int_t vault_talk_secure(vault_talk_t *talk);

ngx_int_t vault_talk_write(vault_talk_t *talk, const ngx_str_t *bytes);

/* Without its end; good until the next one is read. */
ngx_int_t vault_talk_line(vault_talk_t *talk, ngx_str_t *line);

void vault_talk_close(vault_talk_t *talk);


#endif
