/*
 * mime - a message as bytes that any mail server takes.
 *
 * Why:    SMTP and SES both want the finished message, and what stands in its
 *         headers comes in part from users: nothing of that may end a line.
 * Use:    vault_mime_compose(); vault_mime_address() for the envelope.
 * Owns:   results live in the pool.
 * Fails:  NGX_DECLINED for a control character in a header, for text that is
 *         not UTF-8, and for addresses that need SMTPUTF8; NGX_ERROR for
 *         memory.  Outputs untouched then.
 * Waits:  never; a pure leaf.
 *
 * Sources: RFC 5322 (headers), 2045-2047 (MIME, encoded words), 3834
 * (Auto-Submitted).  Every byte is 7-bit, every line at most 76 characters but
 * for an address that is longer itself.
 */

#ifndef VAULT_MAIL_MIME_H
#define VAULT_MAIL_MIME_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t  id;                    /* letters, digits, "-"; the same each
                                         time that the message is sent */
    int64_t    date;                  /* ms since 1970 */
    ngx_str_t  from_name;             /* may be empty */
    ngx_str_t  from;
    ngx_str_t  to;
    ngx_str_t  subject;
    ngx_str_t  text;                  /* UTF-8; lines end with LF */
    ngx_str_t  html;
} vault_mime_t;

ngx_int_t vault_mime_compose(ngx_pool_t *pool, const vault_mime_t *mime,
    ngx_str_t *out);

/*
 * An address as protocols write it: its local part in quotes where it needs
 * them.
 */
ngx_int_t vault_mime_address(ngx_pool_t *pool, const ngx_str_t *address,
    ngx_str_t *out);


#endif
