/*
 * Devices: the installations of clients that have signed in.  A device that
 * is deleted is signed out.
 */

#include "../run/route.h"
#include "../crypto/crypto.h"
#include "../rules/session.h"


static void  devices_list(vault_request_t *vr);
static void  devices_get(vault_request_t *vr);
static void  devices_get_identifier(vault_request_t *vr);
static void  devices_known(vault_request_t *vr);
static void  devices_set_token(vault_request_t *vr);
static void  devices_clear_token(vault_request_t *vr);
static void  devices_web_push(vault_request_t *vr);
static void  devices_set_keys(vault_request_t *vr);
static void  devices_delete(vault_request_t *vr);


const vault_route_t  vault_devices_routes[] = {
    { GET,    "/api/devices",
      devices_list,           VAULT_USER },
    { GET,    "/api/devices/{uuid}",
      devices_get,            VAULT_USER },
    { GET,    "/api/devices/identifier/{id}",
      devices_get_identifier, VAULT_USER },
    { GET,    "/api/devices/knowndevice",
      devices_known,          VAULT_ANYONE },
    { PUT,    "/api/devices/identifier/{id}/token",
      devices_set_token,      VAULT_USER },
    { POST,   "/api/devices/identifier/{id}/token",
      devices_set_token,      VAULT_USER },
    { PUT,    "/api/devices/identifier/{id}/clear-token",
      devices_clear_token,    VAULT_ANYONE },
    { POST,   "/api/devices/identifier/{id}/clear-token",
      devices_clear_token,    VAULT_ANYONE },
    { PUT,    "/api/devices/identifier/{id}/web-push-auth",
      devices_web_push,       VAULT_USER },
    { POST,   "/api/devices/identifier/{id}/web-push-auth",
      devices_web_push,       VAULT_USER },
    { PUT,    "/api/devices/{id}/keys",
      devices_set_keys,       VAULT_USER },
    { POST,   "/api/devices/{id}/keys",
      devices_set_keys,       VAULT_USER },
    { DELETE, "/api/devices/{uuid}",
      devices_delete,         VAULT_USER },
    { POST,   "/api/devices/{uuid}/deactivate",
      devices_delete,         VAULT_USER },
    VAULT_ROUTE_END
};


#define DEVICE(name, type, member)                                            \
    { name, type, offsetof(vault_device_t, member) }

static const vault_field_t  device_fields[] = {
    DEVICE("id",                 VAULT_TEXT, id),
    DEVICE("name",               VAULT_TEXT, name),
    DEVICE("type",               VAULT_INT,  type),
    DEVICE("identifier",         VAULT_TEXT, identifier),
    DEVICE("creationDate",       VAULT_DATE, created_at),
    DEVICE("lastActivityDate",   VAULT_DATE, seen_at),
    DEVICE("isTrusted",          VAULT_BOOL, trusted),
    DEVICE("encryptedUserKey",   VAULT_TEXT, encrypted_user_key),
    DEVICE("encryptedPublicKey", VAULT_TEXT, encrypted_public_key),
    { "devicePendingAuthRequest", VAULT_CONST, 0, 0, 0, "null" },
    { "object",                   VAULT_CONST, 0, 0, 0, "\"device\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  device_view =
    VAULT_SHAPE(device_fields, vault_device_t);


static const vault_field_t  token_fields[] = {
    { "pushToken", VAULT_TEXT, offsetof(vault_device_t, push_token),
      VAULT_REQUIRED, 1024 },
    VAULT_FIELDS_END
};

static const vault_field_t  keys_fields[] = {
    { "encryptedUserKey",    VAULT_ENC,
      offsetof(vault_device_t, encrypted_user_key), VAULT_REQUIRED, 2000 },
    { "encryptedPublicKey",  VAULT_ENC,
      offsetof(vault_device_t, encrypted_public_key), VAULT_REQUIRED, 2000 },
    { "encryptedPrivateKey", VAULT_ENC,
      offsetof(vault_device_t, encrypted_private_key), VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_shape_t  token_form =
    VAULT_SHAPE(token_fields, vault_device_t);
static const vault_shape_t  keys_form =
    VAULT_SHAPE(keys_fields, vault_device_t);


static void
require_found(vault_request_t *vr, ngx_uint_t found)
{
    if (!found) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }
}


static void
devices_list(vault_request_t *vr)
{
    vault_reply_list(vr, &device_view,
                     vault_device_list(vr, &vault_me(vr)->id));  /* awaits */
}


static void
devices_get(vault_request_t *vr)
{
    vault_reply(vr, &device_view,
                vault_device_get(vr, &vault_me(vr)->id,  /* awaits; 404 */
                                 vault_path_uuid(vr)));
}


static void
devices_get_identifier(vault_request_t *vr)
{
    vault_reply(vr, &device_view,
                vault_device_get_identifier(vr, &vault_me(vr)->id,
                                            vault_path_arg(vr, 0)));
}


/*
 * Asked before a sign-in, so by anybody: an identifier is as good as random,
 * and an unknown account looks like an unknown device.
 */

static void
devices_known(vault_request_t *vr)
{
    ngx_str_t            header, identifier, text, email;
    vault_writer_t      *w;
    vault_json_error_t   err;

    static const vault_field_t  field =
        { "X-Request-Email", VAULT_EMAIL, 0, VAULT_REQUIRED };

    header = vault_header(vr, "X-Request-Email");
    identifier = vault_header(vr, "X-Device-Identifier");

    if (identifier.len == 0 || identifier.len > 128
        || vault_utf8_check(&identifier) != NGX_OK
        || header.len > 512
        || vault_unbase64url(vr->pool, &header, &text) != NGX_OK
        || vault_json_text(vr->pool, &text, &field, &email, &err) != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Please provide an email and device identifier");
    }

    w = vault_writer(vr);
    vault_json_boolean(w, NULL,                       /* awaits */
                       vault_device_is_known(vr, &email, &identifier));
    vault_reply_writer(vr, w);
}


static void
devices_set_token(vault_request_t *vr)
{
    vault_device_t  form;

    vault_json_read(vr, &token_form, &form);

    require_found(vr, vault_device_set_push_token(vr, &vault_me(vr)->id,
                                                  vault_path_arg(vr, 0),
                                                  &form.push_token));
    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* Mobile clients call this after they have signed out. */

static void
devices_clear_token(vault_request_t *vr)
{
    require_found(vr, vault_device_clear_push_token(vr,
                                                    vault_path_arg(vr, 0)));
    vault_reply_empty(vr, NGX_HTTP_OK);
}


/* Clients fall back to their other ways of hearing news. */

static void
devices_web_push(vault_request_t *vr)
{
    (void) vault_device_get_identifier(vr, &vault_me(vr)->id,
                                       vault_path_arg(vr, 0));

    vault_fail(vr, NGX_HTTP_BAD_REQUEST,
               "Web push is not available on this server.");
}


static void
devices_set_keys(vault_request_t *vr)
{
    vault_device_t  form;

    vault_json_read(vr, &keys_form, &form);

    require_found(vr, vault_device_set_keys(vr, &vault_me(vr)->id,
                                            vault_path_arg(vr, 0), &form));

    devices_get_identifier(vr);
}


static void
devices_delete(vault_request_t *vr)
{
    require_found(vr, vault_device_delete(vr, &vault_me(vr)->id,
                                          vault_path_uuid(vr)));
    vault_reply_empty(vr, NGX_HTTP_OK);
}
