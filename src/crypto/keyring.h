/*
 * keyring - the inside of a keyring, for the files of crypto/ alone.
 *
 * Why:    tokens and key files need the key itself; nobody else does.
 * Use:    jwt.h is what the rest of the house includes.
 * Owns:   the key is freed and the MAC's wiped when their pool goes.
 * Fails:  NGX_ERROR when OpenSSL refuses, its error queue emptied.
 * Waits:  never.
 */

#ifndef VAULT_CRYPTO_KEYRING_H
#define VAULT_CRYPTO_KEYRING_H

#include "crypto.h"
#include "jwt.h"

#include <openssl/evp.h>


/*
 * Clients send the same token with each request, and checking its signature
 * costs more than all else of a small answer.  So the digests of tokens whose
 * signature was right are remembered, by each process for itself: one in each
 * slot, the newer one stays.
 */
#define VAULT_KEYRING_SEEN  1024      /* a power of two; 32 KiB */

struct vault_keyring_s {
    EVP_PKEY  *key;                   /* RSA with its private half */
    size_t     signature_len;
    u_char     mac_key[VAULT_SHA256_LEN];
    u_char     seen[VAULT_KEYRING_SEEN][VAULT_SHA256_LEN];
};


/* `signature` takes keyring->signature_len bytes. */
ngx_int_t vault_keyring_sign(vault_keyring_t *keyring, const ngx_str_t *text,
    u_char *signature);

/* NGX_OK or NGX_DECLINED. */
ngx_int_t vault_keyring_verify(vault_keyring_t *keyring,
    const ngx_str_t *text, const ngx_str_t *signature);


#endif
