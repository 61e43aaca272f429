#include "profile.h"


#define USER(name, type, member)                                              \
    { name, type, offsetof(vault_user_t, member), 0, 0, NULL }
#define FIXED(name, json)  { name, VAULT_CONST, 0, 0, 0, json }


static const vault_field_t  profile_fields[] = {
    USER("id", VAULT_UUID, id),
    USER("name", VAULT_TEXT, name),
    USER("email", VAULT_EMAIL, email),
    USER("emailVerified", VAULT_BOOL, email_verified),
    FIXED("premium", "true"),
    FIXED("premiumFromOrganization", "false"),
    USER("culture", VAULT_TEXT, culture),
    USER("twoFactorEnabled", VAULT_BOOL, two_step),
    USER("key", VAULT_ENC, user_key),
    USER("privateKey", VAULT_ENC, private_key),
    USER("securityStamp", VAULT_TEXT, security_stamp),
    FIXED("forcePasswordReset", "false"),
    FIXED("usesKeyConnector", "false"),
    USER("avatarColor", VAULT_TEXT, avatar_color),
    USER("creationDate", VAULT_DATE, created_at),
    USER("verifyDevices", VAULT_BOOL, verify_devices),
    FIXED("organizations", "[]"),
    FIXED("providers", "[]"),
    FIXED("providerOrganizations", "[]"),
    FIXED("object", "\"profile\""),
    VAULT_FIELDS_END
};

static const vault_field_t  key_pair_fields[] = {
    USER("publicKey", VAULT_BASE64, public_key),
    USER("wrappedPrivateKey", VAULT_ENC, private_key),
    FIXED("signedPublicKey", "null"),
    FIXED("object", "\"publicKeyEncryptionKeyPair\""),
    VAULT_FIELDS_END
};

static const vault_field_t  kdf_fields[] = {
    USER("kdfType", VAULT_INT, kdf),
    USER("iterations", VAULT_INT, kdf_iterations),
    USER("memory", VAULT_INT, kdf_memory),
    USER("parallelism", VAULT_INT, kdf_parallelism),
    VAULT_FIELDS_END
};

/* The wrapped key has two names: each kind of client knows one of them. */

static const vault_field_t  unlock_fields[] = {
    USER("salt", VAULT_TEXT, master_salt),
    USER("masterKeyEncryptedUserKey", VAULT_ENC, user_key),
    USER("masterKeyWrappedUserKey", VAULT_ENC, user_key),
    USER("containedKeyId", VAULT_TEXT, user_key_id),
    VAULT_FIELDS_END
};

/* The same two as the sign-in writes them, where a first letter is large. */

static const vault_field_t  pascal_kdf_fields[] = {
    USER("KdfType", VAULT_INT, kdf),
    USER("Iterations", VAULT_INT, kdf_iterations),
    USER("Memory", VAULT_INT, kdf_memory),
    USER("Parallelism", VAULT_INT, kdf_parallelism),
    VAULT_FIELDS_END
};

static const vault_field_t  pascal_unlock_fields[] = {
    USER("Salt", VAULT_TEXT, master_salt),
    USER("MasterKeyEncryptedUserKey", VAULT_ENC, user_key),
    USER("MasterKeyWrappedUserKey", VAULT_ENC, user_key),
    USER("ContainedKeyId", VAULT_TEXT, user_key_id),
    VAULT_FIELDS_END
};

static const vault_shape_t  profile_view =
    VAULT_SHAPE(profile_fields, vault_user_t);
static const vault_shape_t  key_pair_view =
    VAULT_SHAPE(key_pair_fields, vault_user_t);
const vault_shape_t  vault_kdf_view = VAULT_SHAPE(kdf_fields, vault_user_t);
static const vault_shape_t  unlock_view =
    VAULT_SHAPE(unlock_fields, vault_user_t);
static const vault_shape_t  pascal_kdf_view =
    VAULT_SHAPE(pascal_kdf_fields, vault_user_t);
static const vault_shape_t  pascal_unlock_view =
    VAULT_SHAPE(pascal_unlock_fields, vault_user_t);


void
vault_profile_write(vault_request_t *vr, vault_writer_t *w, const char *name)
{
    const vault_user_t  *user;

    user = vault_me(vr);

    vault_json_open(w, name, '{');
    vault_json_members(w, &profile_view, user);
    vault_account_keys_write(w, "accountKeys", user);
    vault_json_close(w, '}');
}


void
vault_account_keys_write(vault_writer_t *w, const char *name,
    const vault_user_t *user)
{
    if (user->private_key.data == NULL) {
        vault_json_null(w, name);
        return;
    }

    vault_json_open(w, name, '{');
    vault_json_object(w, "publicKeyEncryptionKeyPair", &key_pair_view, user);
    vault_json_null(w, "signatureKeyPair");
    vault_json_null(w, "securityState");
    vault_json_cstring(w, "object", "privateKeys");
    vault_json_close(w, '}');
}


void
vault_user_decryption_write(vault_request_t *vr, vault_writer_t *w,
    const char *name)
{
    const vault_user_t  *user;

    user = vault_me(vr);

    vault_json_open(w, name, '{');

    vault_json_open(w, "masterPasswordUnlock", '{');
    vault_json_object(w, "kdf", &vault_kdf_view, user);
    vault_json_members(w, &unlock_view, user);
    vault_json_close(w, '}');

    vault_json_null(w, "webAuthnPrfOptions");
    vault_json_null(w, "v2UpgradeToken");
    vault_json_string(w, "userKeyId", &user->user_key_id);

    vault_json_close(w, '}');
}


void
vault_decryption_options_write(vault_writer_t *w, const char *name,
    const vault_user_t *user)
{
    vault_json_open(w, name, '{');
    vault_json_boolean(w, "HasMasterPassword", 1);

    vault_json_open(w, "MasterPasswordUnlock", '{');
    vault_json_object(w, "Kdf", &pascal_kdf_view, user);
    vault_json_members(w, &pascal_unlock_view, user);
    vault_json_close(w, '}');

    vault_json_cstring(w, "Object", "userDecryptionOptions");
    vault_json_close(w, '}');
}
