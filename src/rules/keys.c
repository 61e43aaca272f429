#include "keys.h"
#include "../crypto/spki.h"


/* That an object is there, whatever it holds. */

typedef struct {
    u_char  unused;
} presence_t;

static const vault_field_t  presence_fields[] = {
    VAULT_FIELDS_END
};

static const vault_shape_t  presence_form =
    VAULT_SHAPE(presence_fields, presence_t);


static const vault_field_t  keys_fields[] = {
    { "publicKey", VAULT_BASE64, offsetof(vault_keys_t, public_key) },
    { "encryptedPrivateKey", VAULT_ENC, offsetof(vault_keys_t, private_key) },
    VAULT_FIELDS_END
};

static const vault_field_t  pair_fields[] = {
    { "publicKey",         VAULT_BASE64, offsetof(vault_keys_t, public_key) },
    { "wrappedPrivateKey", VAULT_ENC,    offsetof(vault_keys_t, private_key) },
    VAULT_FIELDS_END
};

static const vault_shape_t  pair_form =
    VAULT_SHAPE(pair_fields, vault_keys_t);


static const vault_field_t  account_keys_fields[] = {
    { "accountPublicKey", VAULT_BASE64,
      offsetof(vault_account_keys_t, plain.public_key) },
    { "userKeyEncryptedAccountPrivateKey", VAULT_ENC,
      offsetof(vault_account_keys_t, plain.private_key) },
    { "publicKeyEncryptionKeyPair", VAULT_OBJECT,
      offsetof(vault_account_keys_t, pair), 0, 0, &pair_form },
    { "signatureKeyPair", VAULT_OBJECT,
      offsetof(vault_account_keys_t, signature), 0, 0, &presence_form },
    VAULT_FIELDS_END
};

const vault_shape_t  vault_keys_form =
    VAULT_SHAPE(keys_fields, vault_keys_t);
const vault_shape_t  vault_account_keys_form =
    VAULT_SHAPE(account_keys_fields, vault_account_keys_t);


void
vault_keys_read(vault_request_t *vr, const vault_keys_t *keys,
    const vault_account_keys_t *account_keys, vault_keys_t *out)
{
    if (account_keys && account_keys->signature) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "This server does not support signature keys.");
    }

    if (account_keys) {
        keys = account_keys->pair ? account_keys->pair : &account_keys->plain;
    }

    if (keys == NULL || keys->public_key.data == NULL
        || keys->private_key.data == NULL)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The account keys are missing.");
    }

    if (vault_spki_check(vr->pool, &keys->public_key) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The public key is not an RSA key.");
    }

    if (ngx_strncmp(keys->private_key.data, "2.", 2) != 0) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The private key is not encrypted by a user key.");
    }

    *out = *keys;
}
