/*
 * Sends, for those who receive them: with a token of the grant send_access
 * (clients since 2026), or with the id in each request, as before.
 *
 * What may not be had is "not found", whatever the reason.  A text is counted
 * when it is read, a file when it is asked for.
 */

#include "../run/route.h"
#include "../rules/send.h"
#include "../rules/upload.h"
#include "send_access.h"
#include "send_form.h"


static void  access_read(vault_request_t *vr);
static void  access_file(vault_request_t *vr);
static void  access_read_by_id(vault_request_t *vr);
static void  access_file_by_id(vault_request_t *vr);


/* Strangers have no more to say than a password. */
#define BODY_MAX  8192

const vault_route_t  vault_send_access_routes[] = {
    { POST, "/api/sends/access",
      access_read,       VAULT_SEND,   BODY_MAX },
    { POST, "/api/sends/access/file/{id}",
      access_file,       VAULT_SEND,   BODY_MAX },
    { POST, "/api/sends/access/{id}",
      access_read_by_id, VAULT_ANYONE, BODY_MAX },
    { POST, "/api/sends/{id}/access/file/{id}",
      access_file_by_id, VAULT_ANYONE, BODY_MAX },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t  client_id;
    ngx_str_t  scope;
    ngx_str_t  send_id;
    ngx_str_t  secret;
} grant_form_t;

typedef struct {
    ngx_str_t  secret;
} access_form_t;

#define GRANT(name, member, max)                                              \
    { name, VAULT_TEXT, offsetof(grant_form_t, member), 0, max }

static const vault_field_t  grant_fields[] = {
    GRANT("client_id",         client_id, 128),
    GRANT("scope",             scope,     256),
    GRANT("send_id",           send_id,   128),
    GRANT("password_hash_b64", secret,    VAULT_SEND_SECRET_MAX),
    VAULT_FIELDS_END
};

static const vault_field_t  access_fields[] = {
    { "password", VAULT_TEXT, offsetof(access_form_t, secret), 0,
      VAULT_SEND_SECRET_MAX },
    VAULT_FIELDS_END
};

static const vault_shape_t  grant_form =
    VAULT_SHAPE(grant_fields, grant_form_t);
static const vault_shape_t  access_form =
    VAULT_SHAPE(access_fields, access_form_t);


#define VIEW(name, type, member)                                              \
    { name, type, offsetof(vault_send_t, member) }

static const vault_field_t  view_fields[] = {
    VIEW("type",           VAULT_INT,  type),
    VIEW("name",           VAULT_TEXT, name),
    VIEW("expirationDate", VAULT_DATE, expires_at),
    { "object",            VAULT_CONST, 0, 0, 0, "\"send-access\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  access_view =
    VAULT_SHAPE(view_fields, vault_send_t);


#define SCOPE  "api.send.access"

/* Clients and their libraries compare these: SendAccessConstants.cs. */

#define REFUSAL(error, type, text)                                            \
    ngx_string("{\"error\":\"" error "\","                                    \
               "\"error_description\":\"" text "\","                          \
               "\"send_access_error_type\":\"" type "\"}")

static ngx_str_t  id_missing = REFUSAL("invalid_request",
    "send_id_required", "send_id is required.");
static ngx_str_t  id_wrong = REFUSAL("invalid_grant",
    "send_id_invalid", "send_id is invalid.");
static ngx_str_t  secret_missing = REFUSAL("invalid_request",
    "password_hash_b64_required", "password_hash_b64 is required.");
static ngx_str_t  secret_wrong = REFUSAL("invalid_grant",
    "password_hash_b64_invalid", "password_hash_b64 is invalid.");
static ngx_str_t  client_wrong = ngx_string("{\"error\":\"invalid_client\"}");
static ngx_str_t  scope_wrong = ngx_string("{\"error\":\"invalid_scope\"}");


static ngx_uint_t  text_is(const ngx_str_t *text, const char *word);
static vault_send_t  *access_by_id(vault_request_t *vr);
static void  access_count(vault_request_t *vr, const vault_send_t *send);
static void  text_or_file(vault_request_t *vr, const vault_send_t *send);
static void  file_link(vault_request_t *vr, const vault_send_t *send,
    const ngx_str_t *file_id);


void
vault_send_grant(vault_request_t *vr)
{
    ngx_str_t        id, token;
    grant_form_t     form;
    vault_send_t    *send;
    vault_writer_t  *w;

    vault_form_read(vr, &grant_form, &form);

    if (!text_is(&form.client_id, "send")) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &client_wrong);
    }

    if (form.scope.len && !text_is(&form.scope, SCOPE)) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &scope_wrong);
    }

    if (form.send_id.len == 0) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &id_missing);
    }

    send = NULL;

    if (vault_send_id(vr, &form.send_id, &id) == NGX_OK) {
        send = vault_send_find_open(vr, &id);         /* awaits */
    }

    if (send == NULL) {
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &id_wrong);
    }

    switch (vault_send_prove(vr, send, &form.secret)) {          /* awaits */

    case VAULT_SEND_SECRET_MISSING:
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &secret_missing);

    case VAULT_SEND_SECRET_WRONG:
        vault_fail_json(vr, NGX_HTTP_BAD_REQUEST, &secret_wrong);

    case VAULT_SEND_PROVEN:
        break;
    }

    token = vault_send_token(vr, send);

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_string(w, "access_token", &token);
    vault_json_integer(w, "expires_in", VAULT_SEND_LIFE);
    vault_json_cstring(w, "token_type", "Bearer");
    vault_json_cstring(w, "scope", SCOPE);
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


static ngx_uint_t
text_is(const ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_memcmp(text->data, word, text->len) == 0;
}


static void
access_read(vault_request_t *vr)
{
    if (!vault_send_may_access(vr, vr->send)) {       /* awaits */
        vault_fail(vr, VAULT_MISSING);
    }

    text_or_file(vr, vr->send);                       /* awaits; 404 */
}


static void
access_file(vault_request_t *vr)
{
    if (!vault_send_may_access(vr, vr->send)) {       /* awaits */
        vault_fail(vr, VAULT_MISSING);
    }

    file_link(vr, vr->send, vault_path_arg(vr, 0));   /* awaits; 404 */
}


static void
access_read_by_id(vault_request_t *vr)
{
    text_or_file(vr, access_by_id(vr));               /* awaits; 404 */
}


static void
access_file_by_id(vault_request_t *vr)
{
    file_link(vr, access_by_id(vr),                   /* awaits; 404 */
              vault_path_arg(vr, 1));
}


/*
 * The Send that the path names, by one who has its password.  A 401 makes the
 * receiver's page ask for it, 400 say that it was wrong; nobody is signed in
 * there who could be signed out.
 */

static vault_send_t *
access_by_id(vault_request_t *vr)
{
    ngx_str_t       id;
    vault_send_t   *send;
    access_form_t   form;

    vault_json_read(vr, &access_form, &form);

    send = NULL;

    if (vault_send_id(vr, vault_path_arg(vr, 0), &id) == NGX_OK) {
        send = vault_send_find_open(vr, &id);         /* awaits */
    }

    if (send == NULL) {
        vault_fail(vr, VAULT_MISSING);
    }

    switch (vault_send_prove(vr, send, &form.secret)) {          /* awaits */

    case VAULT_SEND_SECRET_MISSING:
        vault_fail(vr, NGX_HTTP_UNAUTHORIZED, "Password not provided.");

    case VAULT_SEND_SECRET_WRONG:
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "Invalid password.");

    case VAULT_SEND_PROVEN:
        break;
    }

    return send;
}


static void
text_or_file(vault_request_t *vr, const vault_send_t *send)
{
    ngx_str_t        access_id;
    vault_writer_t  *w;

    if (send->type == VAULT_SEND_TEXT) {
        access_count(vr, send);                       /* awaits; 404 */
    }

    access_id = vault_send_access_id(vr, &send->id);

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_string(w, "id", &access_id);
    vault_json_members(w, &access_view, send);
    vault_json_integer(w, "authType", vault_send_auth(send));
    vault_send_data_write(w, send);

    if (send->hide_email) {
        vault_json_null(w, "creatorIdentifier");

    } else {
        vault_json_string(w, "creatorIdentifier", &send->email);
    }

    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


/* The link is made before the access is counted: it may be what fails. */

static void
file_link(vault_request_t *vr, const vault_send_t *send,
    const ngx_str_t *file_id)
{
    ngx_str_t        url;
    vault_file_t    *file;
    vault_writer_t  *w;

    if (send->type != VAULT_SEND_FILE
        || ngx_memn2cmp(file_id->data, send->file_id.data, file_id->len,
                        send->file_id.len)
           != 0)
    {
        vault_fail(vr, VAULT_MISSING);
    }

    file = vault_file_find_any(vr, file_id);          /* awaits */

    if (file == NULL || file->state != VAULT_FILE_READY) {
        vault_fail(vr, VAULT_MISSING);
    }

    url = vault_upload_link(vr, file);                /* awaits */
    access_count(vr, send);                           /* awaits; 404 */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_string(w, "id", file_id);
    vault_json_string(w, "url", &url);
    vault_json_cstring(w, "object", "send-fileDownload");
    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


static void
access_count(vault_request_t *vr, const vault_send_t *send)
{
    if (!vault_send_count(vr, send)) {                /* awaits */
        vault_fail(vr, VAULT_MISSING);
    }
}
