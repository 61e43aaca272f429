/*
 * The signed-in user's own account: what can be changed without the master
 * password.
 */

#include "../run/route.h"
#include "../rules/keys.h"
#include "../rules/master.h"
#include "../rules/profile.h"
#include "../rules/upload.h"


static void  accounts_profile(vault_request_t *vr);
static void  accounts_rename(vault_request_t *vr);
static void  accounts_avatar(vault_request_t *vr);
static void  accounts_keys(vault_request_t *vr);
static void  accounts_set_keys(vault_request_t *vr);
static void  accounts_set_key_id(vault_request_t *vr);
static void  accounts_revision_date(vault_request_t *vr);
static void  accounts_public_key(vault_request_t *vr);


const vault_route_t  vault_accounts_routes[] = {
    { GET,  "/api/accounts/profile",       accounts_profile,       VAULT_USER },
    { PUT,  "/api/accounts/profile",       accounts_rename,        VAULT_USER },
    { POST, "/api/accounts/profile",       accounts_rename,        VAULT_USER },
    { PUT,  "/api/accounts/avatar",        accounts_avatar,        VAULT_USER },
    { POST, "/api/accounts/avatar",        accounts_avatar,        VAULT_USER },
    { GET,  "/api/accounts/keys",          accounts_keys,          VAULT_USER },
    { POST, "/api/accounts/keys",          accounts_set_keys,      VAULT_USER },
    { POST, "/api/accounts/key-management/user-key-id",
                                           accounts_set_key_id,    VAULT_USER },
    { GET,  "/api/accounts/revision-date", accounts_revision_date, VAULT_USER },
    { GET,  "/api/users/{uuid}/public-key", accounts_public_key,   VAULT_USER },
    VAULT_ROUTE_END
};


static const vault_field_t  name_fields[] = {
    { "name",    VAULT_TEXT, offsetof(vault_user_t, name), 0, 200 },
    { "culture", VAULT_TEXT, offsetof(vault_user_t, culture), 0, 10 },
    VAULT_FIELDS_END
};

static const vault_field_t  avatar_fields[] = {
    { "avatarColor", VAULT_TEXT, offsetof(vault_user_t, avatar_color), 0, 7 },
    VAULT_FIELDS_END
};

static const vault_field_t  key_id_fields[] = {
    { "userKeyId", VAULT_TEXT, offsetof(vault_user_t, user_key_id),
      VAULT_REQUIRED, 32 },
    VAULT_FIELDS_END
};

static const vault_shape_t  name_form = VAULT_SHAPE(name_fields, vault_user_t);
static const vault_shape_t  avatar_form =
    VAULT_SHAPE(avatar_fields, vault_user_t);
static const vault_shape_t  key_id_form =
    VAULT_SHAPE(key_id_fields, vault_user_t);


typedef struct {
    vault_keys_t           keys;
    vault_account_keys_t  *account_keys;
} keys_form_t;

static const vault_field_t  set_keys_fields[] = {
    { "publicKey",           VAULT_BASE64,
      offsetof(keys_form_t, keys.public_key) },
    { "encryptedPrivateKey", VAULT_ENC,
      offsetof(keys_form_t, keys.private_key) },
    { "accountKeys",         VAULT_OBJECT,
      offsetof(keys_form_t, account_keys), 0, 0, &vault_account_keys_form },
    VAULT_FIELDS_END
};

static const vault_shape_t  set_keys_form =
    VAULT_SHAPE(set_keys_fields, keys_form_t);


static const vault_field_t  keys_fields[] = {
    { "key",        VAULT_TEXT,  offsetof(vault_user_t, user_key) },
    { "publicKey",  VAULT_TEXT,  offsetof(vault_user_t, public_key) },
    { "privateKey", VAULT_TEXT,  offsetof(vault_user_t, private_key) },
    { "object",     VAULT_CONST, 0, 0, 0, "\"keys\"" },
    VAULT_FIELDS_END
};

static const vault_field_t  public_key_fields[] = {
    { "userId",    VAULT_TEXT,  offsetof(vault_user_t, id) },
    { "publicKey", VAULT_TEXT,  offsetof(vault_user_t, public_key) },
    { "object",    VAULT_CONST, 0, 0, 0, "\"userKey\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  keys_view = VAULT_SHAPE(keys_fields, vault_user_t);
static const vault_shape_t  public_key_view =
    VAULT_SHAPE(public_key_fields, vault_user_t);


static void
accounts_profile(vault_request_t *vr)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_profile_write(vr, w, NULL);
    vault_reply_writer(vr, w);
}


/* Clients that change the name only do not send the language. */

static void
accounts_rename(vault_request_t *vr)
{
    vault_user_t  form, *me;

    vault_json_read(vr, &name_form, &form);

    me = vault_me(vr);
    me->name = form.name;

    if (form.culture.len) {
        me->culture = form.culture;
    }

    vault_user_set_name(vr, me);                      /* awaits */

    accounts_profile(vr);
}


static ngx_uint_t
is_color(const ngx_str_t *text)
{
    size_t  i;

    if (text->len != 7 || text->data[0] != '#') {
        return 0;
    }

    for (i = 1; i < 7; i++) {
        if (!isxdigit(text->data[i])) {
            return 0;
        }
    }

    return 1;
}


static void
accounts_avatar(vault_request_t *vr)
{
    vault_user_t  form;

    vault_json_read(vr, &avatar_form, &form);

    if (form.avatar_color.len == 0) {
        ngx_str_null(&form.avatar_color);

    } else if (!is_color(&form.avatar_color)) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "A color is \"#\" and six "
                   "hexadecimal digits.");
    }

    vault_me(vr)->avatar_color = form.avatar_color;
    vault_user_set_avatar(vr, vault_me(vr));          /* awaits */

    accounts_profile(vr);
}


static void
accounts_keys(vault_request_t *vr)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_members(w, &keys_view, vault_me(vr));
    vault_account_keys_write(w, "accountKeys", vault_me(vr));
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* Once: what others have encrypted for the old pair could not be read. */

static void
accounts_set_keys(vault_request_t *vr)
{
    vault_user_t  *me;
    vault_keys_t   keys;
    keys_form_t    form;

    vault_json_read(vr, &set_keys_form, &form);
    vault_keys_read(vr, &form.keys, form.account_keys, &keys);

    me = vault_me(vr);
    me->public_key = keys.public_key;
    me->private_key = keys.private_key;

    if (!vault_user_set_keys(vr, me)) {               /* awaits */
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "User has existing keypair");
    }

    accounts_keys(vr);
}


static void
accounts_set_key_id(vault_request_t *vr)
{
    vault_user_t  form;

    vault_json_read(vr, &key_id_form, &form);
    vault_key_id_check(vr, &form.user_key_id);

    vault_me(vr)->user_key_id = form.user_key_id;

    if (!vault_user_set_key_id(vr, vault_me(vr))) {   /* awaits */
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "User key id is already set.");
    }

    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* A bare number: what a client compares before it asks for a whole sync. */

static void
accounts_revision_date(vault_request_t *vr)
{
    vault_user_t    *me = vault_me(vr);
    vault_writer_t  *w;

    if (vault_upload_settle(vr, me)) {                /* awaits */
        me->revised_at = vault_user_get(vr, &me->id)->revised_at;
    }

    w = vault_writer(vr);
    vault_json_integer(w, NULL, me->revised_at);
    vault_reply_writer(vr, w);
}


/* Of anybody, by design: it is what is needed to share with somebody. */

static void
accounts_public_key(vault_request_t *vr)
{
    vault_user_t  *user;

    user = vault_user_get(vr, vault_path_uuid(vr));   /* awaits; 404 */

    if (user->public_key.data == NULL) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    vault_reply(vr, &public_key_view, user);
}
