/*
 * second - the second step of a login.
 *
 * Why:    whoever has set one up proves two things: the master password, and
 *         that he has his app, his mailbox or his key at hand.
 * Use:    vault_second_require() once the password was right.
 * Fails:  400 in OAuth's shape, as clients know it; 429 after too many wrong
 *         codes.
 * Waits:  all but the last two groups await.
 *
 * What can be a second step is a table of providers, each in a file of its
 * own: second_totp.c is the smallest.
 */

#ifndef VAULT_RULES_SECOND_H
#define VAULT_RULES_SECOND_H

#include "../model/two_factor.h"


typedef struct {
    int64_t   type;                   /* VAULT_SECOND_… */

    /* What a client needs to ask for the code, as a value of
       TwoFactorProviders2; or NULL: nothing. */
    void      (*challenge)(vault_request_t *vr, vault_writer_t *w,
                  const char *name, const vault_two_factor_t *row);

    /* 1 if the code is right, and was not used before. */
    ngx_uint_t (*check)(vault_request_t *vr, const vault_user_t *user,
                  const vault_two_factor_t *row, const ngx_str_t *code);

    /* A client so old that it waits for the code unasked; or NULL. */
    void      (*start)(vault_request_t *vr, const vault_user_t *user,
                  const vault_two_factor_t *row);
} vault_second_provider_t;

extern const vault_second_provider_t  vault_second_totp;
extern const vault_second_provider_t  vault_second_email;

/* NULL for what cannot be set up. */
const vault_second_provider_t *vault_second_provider(int64_t type);


/* What a client says in a login. */
typedef struct {
    ngx_str_t  provider;              /* a number; empty: not asked yet */
    ngx_str_t  code;
    ngx_str_t  remember;              /* "1": do not ask this device again */
    ngx_str_t  device;                /* its identifier */
    int64_t    device_type;
} vault_second_answer_t;

/*
 * Returns if no second step is needed or this one was right.  Else it asks
 * for one, or refuses.  The token by which the device need not be asked again
 * for 30 days; data NULL if it is not to have one.
 */
ngx_str_t vault_second_require(vault_request_t *vr, const vault_user_t *user,
    const vault_second_answer_t *answer);

/*
 * 1 if it is the recovery code; then nothing but the password is asked from
 * now on, and the user is told by mail.
 */
ngx_uint_t vault_second_recover(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *code);

/*
 * second_notice.c: to be told of a login that stops here, unless it goes on
 * within minutes.
 */
void vault_second_notice(vault_request_t *vr, const vault_user_t *user,
    const vault_second_answer_t *answer);
void vault_second_notice_end(vault_request_t *vr, const vault_user_t *user,
    const vault_second_answer_t *answer);

/* 160 random bits, as 32 letters and digits that look unlike each other: for
   an app in capitals, as a recovery code in small letters. */
ngx_str_t vault_second_key(vault_request_t *vr);
ngx_str_t vault_second_recovery_code(vault_request_t *vr);


/* second_email.c: to prove an address, and to log in. */
void vault_second_mail_setup(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *to);
ngx_uint_t vault_second_mail_setup_check(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *to, const ngx_str_t *code);
void vault_second_mail_login(vault_request_t *vr, const vault_user_t *user,
    const vault_two_factor_t *row);


/*
 * second_token.c: proofs that hold for a while, end with the security stamp
 * and are good for one thing each, for the user, and for `what`: a device, or
 * what is being set up.
 */
typedef struct {
    const char  *issuer;
    time_t       life;
} vault_second_proof_t;

extern const vault_second_proof_t  vault_second_remembered;  /* device */
extern const vault_second_proof_t  vault_second_verified;    /* set up */
extern const vault_second_proof_t  vault_second_mailing;     /* "" */

ngx_str_t vault_second_prove(vault_request_t *vr, const vault_user_t *user,
    const vault_second_proof_t *proof, const ngx_str_t *what);
ngx_uint_t vault_second_proved(vault_request_t *vr, const vault_user_t *user,
    const vault_second_proof_t *proof, const ngx_str_t *what,
    const ngx_str_t *token);


#endif
