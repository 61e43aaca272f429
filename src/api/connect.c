/*
 * /identity/connect/token: OAuth 2.0 (RFC 6749) as bitwarden/server speaks it.
 * Answers and refusals have OAuth's shape, not the API's; clients compare the
 * texts, so they are what they are.
 */

#include "../run/route.h"
#include "../crypto/crypto.h"
#include "../model/id.h"
#include "../rules/arrival.h"
#include "../rules/limits.h"
#include "../rules/password.h"
#include "../rules/profile.h"
#include "../rules/second.h"
#include "../rules/signup.h"
#include "../rules/token.h"
#include "send_access.h"


/* Most often that a refresh is written down: clients refresh at each sync. */
#define SEEN_EVERY  (3600 * 1000)


typedef struct {
    ngx_str_t  grant;
    ngx_str_t  client_id;
    ngx_str_t  client_secret;
    ngx_str_t  username;
    ngx_str_t  password;
    ngx_str_t  scope;
    ngx_str_t  refresh_token;
    ngx_str_t  device_type;
    ngx_str_t  device_identifier;
    ngx_str_t  device_name;
    ngx_str_t  device_code;
    ngx_str_t  second_provider;
    ngx_str_t  second_code;
    ngx_str_t  second_remember;
} token_form_t;

typedef struct {
    ngx_str_t   name;
    void      (*handler)(vault_request_t *vr, token_form_t *form);
} grant_t;


static void  connect_token(vault_request_t *vr);
static void  grant_password(vault_request_t *vr, token_form_t *form);
static void  grant_refresh(vault_request_t *vr, token_form_t *form);
static void  grant_api_key(vault_request_t *vr, token_form_t *form);
static void  grant_send(vault_request_t *vr, token_form_t *form);


const vault_route_t  vault_connect_routes[] = {
    { POST, "/identity/connect/token", connect_token, VAULT_ANYONE },
    VAULT_ROUTE_END
};


static const grant_t  grants[] = {
    { ngx_string("password"),           grant_password },
    { ngx_string("refresh_token"),      grant_refresh },
    { ngx_string("client_credentials"), grant_api_key },
    { ngx_string("send_access"),        grant_send },
    { ngx_null_string, NULL }
};


#define FORM(name, member, max)                                               \
    { name, VAULT_TEXT, offsetof(token_form_t, member), 0, max }

static const vault_field_t  token_fields[] = {
    FORM("grant_type",       grant,             64),
    FORM("client_id",        client_id,         128),
    FORM("client_secret",    client_secret,     128),
    FORM("username",         username,          256),
    FORM("password",         password,          300),
    FORM("scope",            scope,             256),
    FORM("refresh_token",    refresh_token,     10000),
    FORM("deviceType",       device_type,       32),
    FORM("deviceIdentifier", device_identifier, 128),
    FORM("deviceName",       device_name,       256),
    FORM("newDeviceOtp",     device_code,       64),
    FORM("twoFactorProvider", second_provider,  32),
    FORM("twoFactorToken",   second_code,       10000),
    FORM("twoFactorRemember", second_remember,  32),
    VAULT_FIELDS_END
};

static const vault_shape_t  token_form =
    VAULT_SHAPE(token_fields, token_form_t);


#define ACCOUNT(name, type, member)                                           \
    { name, type, offsetof(vault_user_t, member) }
#define FIXED(name, json)  { name, VAULT_CONST, 0, 0, 0, json }

static const vault_field_t  account_fields[] = {
    ACCOUNT("PrivateKey",     VAULT_TEXT, private_key),
    ACCOUNT("Key",            VAULT_TEXT, user_key),
    ACCOUNT("Kdf",            VAULT_INT,  kdf),
    ACCOUNT("KdfIterations",  VAULT_INT,  kdf_iterations),
    ACCOUNT("KdfMemory",      VAULT_INT,  kdf_memory),
    ACCOUNT("KdfParallelism", VAULT_INT,  kdf_parallelism),
    FIXED("MasterPasswordPolicy", "{\"Object\":\"masterPasswordPolicy\"}"),
    FIXED("ForcePasswordReset", "false"),
    FIXED("ResetMasterPassword", "false"),
    VAULT_FIELDS_END
};

static const vault_shape_t  account_view =
    VAULT_SHAPE(account_fields, vault_user_t);


static ngx_str_t  error_grant = ngx_string("{\"error\":\"invalid_grant\"}");
static ngx_str_t  error_client = ngx_string("{\"error\":\"invalid_client\"}");
static ngx_str_t  error_scope = ngx_string("{\"error\":\"invalid_scope\"}");
static ngx_str_t  error_type =
    ngx_string("{\"error\":\"unsupported_grant_type\"}");

static ngx_str_t  error_password = ngx_string(
    "{\"error\":\"invalid_grant\","
    "\"error_description\":\"invalid_username_or_password\","
    "\"ErrorModel\":{\"Message\":"
    "\"Username or password is incorrect. Try again.\","
    "\"Object\":\"error\"}}");

static ngx_str_t  error_device = ngx_string(
    "{\"error\":\"device_error\","
    "\"error_description\":\"No device information provided.\","
    "\"ErrorModel\":{\"Message\":\"no device information provided\","
    "\"Object\":\"error\"}}");

static ngx_str_t  error_device_new = ngx_string(
    "{\"error\":\"device_error\","
    "\"error_description\":\"New device verification required\","
    "\"ErrorModel\":{\"Message\":\"new device verification required\","
    "\"Object\":\"error\"}}");

static ngx_str_t  error_device_code = ngx_string(
    "{\"error\":\"device_error\","
    "\"error_description\":\"Invalid New Device OTP\","
    "\"ErrorModel\":{\"Message\":\"invalid new device otp\","
    "\"Object\":\"error\"}}");

static ngx_str_t  error_unverified = ngx_string(
    "{\"error\":\"invalid_grant\","
    "\"error_description\":\"email_not_verified\","
    "\"ErrorModel\":{\"Message\":\"Please verify your email address first: "
    "open the link that was sent to you.\","
    "\"Object\":\"error\"}}");


static void
connect_token(vault_request_t *vr)
{
    token_form_t    form;
    const grant_t  *grant;

    vault_form_read(vr, &token_form, &form);

    for (grant = grants; grant->handler; grant++) {
        if (grant->name.len == form.grant.len
            && ngx_memcmp(grant->name.data, form.grant.data, form.grant.len)
               == 0)
        {
            grant->handler(vr, &form);
            return;
        }
    }

    vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_type);
}


/* A word of the scope; clients that send none get everything. */

static ngx_uint_t
scope_has(const ngx_str_t *scope, const char *word)
{
    size_t   len;
    u_char  *p, *last, *end;

    if (scope->len == 0) {
        return 1;
    }

    len = ngx_strlen(word);
    last = scope->data + scope->len;

    for (p = scope->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, ' ');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) == len && ngx_memcmp(p, word, len) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Numbers with spaces around them, and the word that iOS sends. */

static int64_t
device_type(vault_request_t *vr, const ngx_str_t *text)
{
    int64_t             type;
    vault_json_error_t  err;

    static const vault_range_t  range = { 0, 255 };
    static const vault_field_t  field =
        { "deviceType", VAULT_INT, 0, 0, 0, &range };

    if (vault_json_text(vr->pool, text, &field, &type, &err) == NGX_OK) {
        return type;
    }

    if (text->len == 3 && ngx_strncasecmp(text->data, (u_char *) "ios", 3)
                          == 0)
    {
        return VAULT_DEVICE_IOS;
    }

    return VAULT_DEVICE_UNKNOWN;
}


static void
require_device(vault_request_t *vr, token_form_t *form)
{
    if (form->device_identifier.len == 0 || form->device_type.len == 0) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_device);
    }

    if (!scope_has(&form->scope, "api")) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_scope);
    }
}


static void
token_write(vault_request_t *vr, vault_writer_t *w,
    const vault_session_t *session, const ngx_str_t *client_id,
    const ngx_str_t *refresh)
{
    ngx_str_t  access;

    access = vault_token_access(vr, session, client_id, refresh != NULL);

    vault_json_string(w, "access_token", &access);
    vault_json_integer(w, "expires_in", vr->conf->access_life);
    vault_json_cstring(w, "token_type", "Bearer");

    if (refresh) {
        vault_json_string(w, "refresh_token", refresh);
        vault_json_cstring(w, "scope", "api offline_access");

    } else {
        vault_json_cstring(w, "scope", "api");
    }
}


/* The user has proved to be the one: the device gets its tokens. */

static void
sign_in(vault_request_t *vr, const vault_arrival_t *arrival,
    token_form_t *form, ngx_uint_t offline, const ngx_str_t *remember)
{
    vault_user_t     *user = arrival->user;
    ngx_str_t         refresh;
    vault_writer_t   *w;
    vault_session_t   session;

    ngx_memzero(&session, sizeof(vault_session_t));

    session.user = *user;
    session.device.id = vault_id_create(vr);
    session.device.user_id = user->id;
    session.device.identifier = form->device_identifier;
    session.device.type = device_type(vr, &form->device_type);
    session.device.name = form->device_name;
    session.device.refresh_expires_at = VAULT_NULL;
    session.device.created_at = vault_now();
    session.device.seen_at = session.device.created_at;

    if (session.device.name.len == 0) {
        ngx_str_set(&session.device.name, "unknown");
    }

    if (offline) {
        refresh = vault_token_refresh(vr, user, &session.device);
    }

    vault_arrival_save(vr, arrival, &session.device); /* awaits */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    token_write(vr, w, &session, &form->client_id, offline ? &refresh : NULL);
    vault_json_boolean(w, "unofficialServer", 1);

    if (remember && remember->data) {
        vault_json_string(w, "TwoFactorToken", remember);
    }

    vault_json_members(w, &account_view, user);
    vault_account_keys_write(w, "AccountKeys", user);
    vault_decryption_options_write(w, "UserDecryptionOptions", user);
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* Where addresses must be proved, nobody gets in before. */

static void
require_verified(vault_request_t *vr, const vault_user_t *user)
{
    if (!user->email_verified && vault_signup_verifies(vr)) {
        (void) vault_signup_send_link(vr, user);      /* awaits */
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_unverified);
    }
}


/* A code by mail, from a device that is new. */

static void
require_device_code(vault_request_t *vr, const vault_arrival_t *arrival,
    const ngx_str_t *code)
{
    if (!vault_arrival_needs_code(arrival)) {
        return;
    }

    if (code->data == NULL) {
        vault_arrival_send_code(vr, arrival->user,    /* awaits */
                                &arrival->identifier);
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_device_new);
    }

    if (!vault_arrival_take_code(vr, arrival, code)) {           /* awaits */
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_device_code);
    }
}


static void
grant_password(vault_request_t *vr, token_form_t *form)
{
    ngx_str_t               email, remember;
    vault_user_t           *user;
    vault_arrival_t         arrival;
    vault_json_error_t      err;
    vault_second_answer_t   second;

    static const vault_field_t  email_field = { "username", VAULT_EMAIL };

    require_device(vr, form);

    /* what is no address cannot have an account, but takes its time too */

    user = NULL;
    email = form->username;

    if (vault_json_text(vr->pool, &form->username, &email_field, &email, &err)
        == NGX_OK && email.data)
    {
        user = vault_user_find_email(vr, &email);     /* awaits */
    }

    if (!vault_password_check(vr, &email, user, &form->password)) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_password);
    }

    vault_password_raise(vr, user, &form->password);             /* awaits */

    require_verified(vr, user);                       /* awaits */

    second.provider = form->second_provider;
    second.code = form->second_code;
    second.remember = form->second_remember;
    second.device = form->device_identifier;
    second.device_type = device_type(vr, &form->device_type);

    remember = vault_second_require(vr, user, &second);          /* awaits */

    vault_arrival(vr, user, &form->device_identifier, &arrival); /* awaits */
    require_device_code(vr, &arrival, &form->device_code);       /* awaits */

    sign_in(vr, &arrival, form, scope_has(&form->scope, "offline_access"),
            &remember);
}


/*
 * The token stays the same while it lives: two processes of one client may
 * refresh at the same time.
 */

static void
grant_refresh(vault_request_t *vr, token_form_t *form)
{
    int64_t           now, life;
    ngx_str_t         hash;
    vault_writer_t   *w;
    vault_device_t   *device;
    vault_session_t  *session;

    hash = vault_token_hash(vr, &form->refresh_token);
    session = vault_session_find_refresh(vr, &hash);             /* awaits */

    if (session == NULL) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_grant);
    }

    now = vault_now();
    life = (int64_t) vr->conf->refresh_life * 1000;
    device = &session->device;

    if (now - device->seen_at >= ngx_min(SEEN_EVERY, life / 8)) {
        device->seen_at = now;
        device->refresh_expires_at = now + life;
        vault_device_extend(vr, device);              /* awaits */
    }

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    token_write(vr, w, session, &form->client_id, &form->refresh_token);
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* client_id is "user.<UUID>"; those of organizations come later. */

static void
grant_api_key(vault_request_t *vr, token_form_t *form)
{
    ngx_str_t         id;
    vault_user_t     *user;
    vault_arrival_t   arrival;

    static const size_t  prefix = sizeof("user.") - 1;

    require_device(vr, form);

    user = NULL;
    id = form->client_id;

    if (id.len > prefix && ngx_strncmp(id.data, "user.", prefix) == 0) {
        id.data += prefix;
        id.len -= prefix;
        ngx_strlow(id.data, id.data, id.len);
    }

    vault_password_require_may(vr, &id);

    if (id.data != form->client_id.data) {
        user = vault_user_find(vr, &id);              /* awaits */
    }

    if (user == NULL || !vault_equal(&form->client_secret, &user->api_key)) {
        vault_limits_failed(vr, &id);
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &error_client);
    }

    vault_limits_passed(vr, &id);

    require_verified(vr, user);                       /* awaits */
    vault_arrival(vr, user, &form->device_identifier, &arrival); /* awaits */

    sign_in(vr, &arrival, form, 0, NULL);
}


/* Nobody signs in: it is a stranger's token for one Send. */

static void
grant_send(vault_request_t *vr, token_form_t *form)
{
    vault_send_grant(vr);
}
