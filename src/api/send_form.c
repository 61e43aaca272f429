/*
 * send_form - a Send as its owner's clients send and read it.
 *
 * Members and words: bitwarden/server SendRequestModel.cs,
 * SendResponseModel.cs.  Its bounds are 1,000 for all texts; notes and texts
 * may be longer here, as other servers took them.
 */

#include "send_form.h"
#include "../rules/send.h"


#define DAY  (24 * 3600 * 1000LL)

typedef enum {
    AUTH_EMAIL = 0,
    AUTH_PASSWORD,
    AUTH_NONE
} auth_e;


/*
 * Clients want to know whether there is a password, and send back what they
 * read where they mean the one that is set.  It is no hash of anything.
 */

static ngx_str_t  password_mark = ngx_string("YSBwYXNzd29yZCBpcyBzZXQ=");


static const int64_t  types[] = {
    VAULT_SEND_TEXT, VAULT_SEND_FILE, VAULT_NULL
};
static const int64_t  auths[] = {
    AUTH_EMAIL, AUTH_PASSWORD, AUTH_NONE, VAULT_NULL
};
static const vault_range_t  access_range = { 1, 2147483647 };
static const vault_range_t  size_range = { 0, INT64_MAX };

static const vault_field_t  text_fields[] = {
    { "text", VAULT_ENC, offsetof(vault_send_text_t, text), VAULT_REQUIRED,
      10000 },
    { "hidden", VAULT_BOOL, offsetof(vault_send_text_t, hidden) },
    VAULT_FIELDS_END
};

static const vault_field_t  file_fields[] = {
    { "fileName", VAULT_ENC, offsetof(vault_send_file_t, name), 0, 1000 },
    VAULT_FIELDS_END
};

static const vault_shape_t  text_shape =
    VAULT_SHAPE(text_fields, vault_send_text_t);
static const vault_shape_t  file_shape =
    VAULT_SHAPE(file_fields, vault_send_file_t);


#define SLOT(member)  offsetof(vault_send_form_t, member)

static const vault_field_t  form_fields[] = {
    { "type", VAULT_ENUM, SLOT(type), VAULT_REQUIRED, 0, types },
    { "authType", VAULT_ENUM, SLOT(auth), 0, 0, auths },
    { "fileLength", VAULT_INT, SLOT(size), 0, 0, &size_range },
    { "name", VAULT_ENC, SLOT(name), 0, 1000 },
    { "notes", VAULT_ENC, SLOT(notes), 0, 10000 },
    { "key", VAULT_ENC, SLOT(key), VAULT_REQUIRED, 1000 },
    { "password", VAULT_TEXT, SLOT(password), 0, VAULT_SEND_SECRET_MAX },
    { "emails", VAULT_TEXT, SLOT(emails), 0, 4000 },
    { "maxAccessCount", VAULT_INT, SLOT(max_accesses), 0, 0, &access_range },
    { "expirationDate", VAULT_DATE, SLOT(expires_at) },
    { "deletionDate", VAULT_DATE, SLOT(deletes_at), VAULT_REQUIRED },
    { "disabled", VAULT_BOOL, SLOT(disabled) },
    { "hideEmail", VAULT_BOOL, SLOT(hide_email) },
    { "text", VAULT_OBJECT, SLOT(text), 0, 0, &text_shape },
    { "file", VAULT_OBJECT, SLOT(file), 0, 0, &file_shape },
    VAULT_FIELDS_END
};

const vault_shape_t  vault_send_form =
    VAULT_SHAPE(form_fields, vault_send_form_t);


#define VIEW(name, type, member)                                              \
    { name, type, offsetof(vault_send_t, member) }

static const vault_field_t  view_fields[] = {
    VIEW("id", VAULT_TEXT, id),
    VIEW("type", VAULT_INT, type),
    VIEW("name", VAULT_TEXT, name),
    VIEW("notes", VAULT_TEXT, notes),
    VIEW("key", VAULT_TEXT, key),
    VIEW("maxAccessCount", VAULT_INT, max_accesses),
    VIEW("accessCount", VAULT_INT, accesses),
    VIEW("disabled", VAULT_BOOL, disabled),
    VIEW("hideEmail", VAULT_BOOL, hide_email),
    VIEW("revisionDate", VAULT_DATE, revised_at),
    VIEW("expirationDate", VAULT_DATE, expires_at),
    VIEW("deletionDate", VAULT_DATE, deletes_at),
    { "emails", VAULT_CONST, 0, 0, 0, "null" },
    { "object", VAULT_CONST, 0, 0, 0, "\"send\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  send_view = VAULT_SHAPE(view_fields, vault_send_t);

static const vault_field_t  data_fields[] = {
    { "id", VAULT_TEXT, offsetof(vault_file_t, id) },
    { "fileName", VAULT_TEXT, offsetof(vault_file_t, name) },
    { "sizeName", VAULT_TEXT, offsetof(vault_file_t, size_name) },
    VAULT_FIELDS_END
};

static const vault_shape_t  file_data = VAULT_SHAPE(data_fields, vault_file_t);


static void  check_dates(vault_request_t *vr, const vault_send_form_t *form);
static ngx_uint_t  apply_password(vault_request_t *vr,
    const vault_send_form_t *form, const vault_send_t *old,
    vault_send_t *send);
static ngx_str_t  text_data(vault_request_t *vr,
    const vault_send_text_t *text);


void
vault_send_form_check(vault_request_t *vr, vault_send_form_t *form)
{
    if (form->auth == AUTH_EMAIL || form->emails.len) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Sends with e-mail verification are not available on this "
                   "server. Use a password.");
    }

    if (form->type == VAULT_SEND_TEXT && form->text == NULL) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Text is required for text sends.");
    }

    check_dates(vr, form);

    if (form->disabled == VAULT_NULL) {
        form->disabled = 0;
    }

    if (form->hide_email == VAULT_NULL) {
        form->hide_email = 0;
    }

    if (form->text && form->text->hidden == VAULT_NULL) {
        form->text->hidden = 0;
    }
}


static void
check_dates(vault_request_t *vr, const vault_send_form_t *form)
{
    int64_t  now;

    now = vault_now();

    if (form->deletes_at <= now) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "You cannot have a Send with a deletion date in the past. "
                   "Adjust the deletion date and try again.");
    }

    if (form->deletes_at > now + VAULT_SEND_DAYS * DAY) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "You cannot have a Send with a deletion date that far "
                   "into the future. Adjust the Deletion Date to a value "
                   "less than 31 days from now and try again.");
    }

    if (form->expires_at == VAULT_NULL) {
        return;
    }

    if (form->expires_at <= now) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "You cannot have a Send with an expiration date in the "
                   "past. Adjust the expiration date and try again.");
    }

    if (form->expires_at > form->deletes_at) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "You cannot have a Send with an expiration date greater "
                   "than the deletion date. Adjust the expiration date and "
                   "try again.");
    }
}


ngx_uint_t
vault_send_form_apply(vault_request_t *vr, const vault_send_form_t *form,
    const vault_send_t *old, vault_send_t *send)
{
    send->type = form->type;
    send->name = form->name;
    send->notes = form->notes;
    send->key = form->key;
    send->max_accesses = form->max_accesses;
    send->expires_at = form->expires_at;
    send->deletes_at = form->deletes_at;
    send->disabled = form->disabled;
    send->hide_email = form->hide_email;

    if (form->type == VAULT_SEND_TEXT) {
        send->data = text_data(vr, form->text);
    }

    return apply_password(vr, form, old, send);
}


/*
 * A client that says nothing about the password means the one that is set; so
 * does one that says that there is one and sends none, or what it has read.
 */

static ngx_uint_t
apply_password(vault_request_t *vr, const vault_send_form_t *form,
    const vault_send_t *old, vault_send_t *send)
{
    ngx_str_t   secret;
    ngx_uint_t  is_set;

    is_set = old && old->password_hash.data;
    secret = form->password;

    if (secret.len == password_mark.len
        && ngx_memcmp(secret.data, password_mark.data, secret.len) == 0)
    {
        ngx_str_null(&secret);
    }

    if (form->auth == AUTH_NONE) {
        ngx_str_null(&secret);

    } else if (secret.len == 0 && is_set) {
        return 1;

    } else if (secret.len == 0 && form->auth == AUTH_PASSWORD) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "A Send that asks for a password needs one.");
    }

    vault_send_set_password(vr, send, &secret);       /* awaits */

    return 0;
}


static ngx_str_t
text_data(vault_request_t *vr, const vault_send_text_t *text)
{
    vault_writer_t  w;

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_string(&w, "text", &text->text);
    vault_json_boolean(&w, "hidden", text->hidden);
    vault_json_close(&w, '}');

    return vault_written(vr, &w);
}


/* Mobile clients read the size as a text. */

ngx_str_t
vault_send_file_data(vault_request_t *vr, const vault_file_t *file)
{
    ngx_str_t       size;
    vault_writer_t  w;

    size = vault_printf(vr, "%L", file->size);

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_members(&w, &file_data, file);
    vault_json_string(&w, "size", &size);
    vault_json_close(&w, '}');

    return vault_written(vr, &w);
}


int64_t
vault_send_auth(const vault_send_t *send)
{
    return send->password_hash.data ? AUTH_PASSWORD : AUTH_NONE;
}


void
vault_send_data_write(vault_writer_t *w, const vault_send_t *send)
{
    if (send->type == VAULT_SEND_TEXT) {
        vault_json_raw(w, "text", &send->data);
        vault_json_null(w, "file");

    } else {
        vault_json_raw(w, "file", &send->data);
        vault_json_null(w, "text");
    }
}


void
vault_send_write(vault_request_t *vr, vault_writer_t *w, const char *name,
    const vault_send_t *send)
{
    ngx_str_t  access_id;

    access_id = vault_send_access_id(vr, &send->id);

    vault_json_open(w, name, '{');
    vault_json_members(w, &send_view, send);
    vault_json_string(w, "accessId", &access_id);
    vault_json_integer(w, "authType", vault_send_auth(send));

    if (send->password_hash.data) {
        vault_json_string(w, "password", &password_mark);

    } else {
        vault_json_null(w, "password");
    }

    vault_send_data_write(w, send);
    vault_json_close(w, '}');
}


void
vault_sends_write(vault_request_t *vr, vault_writer_t *w, const char *name,
    const ngx_array_t *sends)
{
    ngx_uint_t     i;
    vault_send_t  *send;

    send = sends->elts;

    vault_json_open(w, name, '[');

    for (i = 0; i < sends->nelts; i++) {
        vault_send_write(vr, w, NULL, &send[i]);
    }

    vault_json_close(w, ']');
}
