/*
 * clock - the time as AWS sees it.
 *
 * Why:    a signature is refused when its time is 15 minutes off; a server
 *         whose clock is wrong can still learn the difference from an answer.
 * Use:    vault_aws_now() for signing.  After an answer RequestTimeTooSkewed,
 *         RequestExpired or "Signature expired": vault_aws_clock_correct() and,
 *         if it says NGX_OK, once more.
 * Owns:   one correction a worker.
 * Waits:  never.
 */

#ifndef VAULT_AWS_CLOCK_H
#define VAULT_AWS_CLOCK_H

#include <ngx_config.h>
#include <ngx_core.h>


/* Milliseconds since 1970. */
int64_t vault_aws_now(void);

/*
 * Takes over the time of an answer's Date header.  NGX_OK if that changed the
 * correction so much that another try is worth it, else NGX_DECLINED.
 */
ngx_int_t vault_aws_clock_correct(const ngx_str_t *date);

/* The correction in ms. */
int64_t vault_aws_clock_skew(void);


#endif
