/*
 * keys - a user's key pair, in the two forms in which clients send it.
 *
 * Fails:  400 for a public key that is none, a private key that is not
 *         wrapped by the user key, and for the signature keys of accounts of
 *         a second generation, which this server does not keep yet.
 * Waits:  never.
 */

#ifndef VAULT_RULES_KEYS_H
#define VAULT_RULES_KEYS_H

#include "session.h"


typedef struct {
    ngx_str_t   public_key;           /* base64 SPKI */
    ngx_str_t   private_key;          /* EncString */
} vault_keys_t;

typedef struct {
    vault_keys_t   plain;             /* its first form */
    vault_keys_t  *pair;              /* its second */
    void          *signature;         /* that there is one, no more */
} vault_account_keys_t;

/* {publicKey, encryptedPrivateKey} */
extern const vault_shape_t  vault_keys_form;

/* {accountPublicKey, userKeyEncryptedAccountPrivateKey,
    publicKeyEncryptionKeyPair, signatureKeyPair, …} */
extern const vault_shape_t  vault_account_keys_form;


/* The checked pair of whichever is there; 400 if none is. */
void vault_keys_read(vault_request_t *vr, const vault_keys_t *keys,
    const vault_account_keys_t *account_keys, vault_keys_t *out);


#endif
