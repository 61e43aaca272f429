/*
 * cipher_form - an item as clients send it.
 *
 * Members and their bounds: bitwarden/server CipherRequestModel.cs and the
 * models that it names.
 */

#include "cipher_form.h"
#include "../rules/session.h"
#include "../run/await.h"


#define FORM_LISTS   1000             /* URIs, passkeys, fields of one item */
#define FORM_THREAD  100              /* from so many items on */

#define ENC(name, max)  { name, VAULT_ENC, 0, 0, max }


/* Fragments: their members have no slot, so no offset. */

static const vault_range_t  linked_range = { 0, 65535 };
static const int64_t  uri_matches[] = { 0, 1, 2, 3, 4, 5, VAULT_NULL };
static const int64_t  field_types[] = { 0, 1, 2, 3, VAULT_NULL };
static const int64_t  note_types[] = { 0, VAULT_NULL };
static const int64_t  reprompts[] = { 0, 1, VAULT_NULL };

static const int64_t  types[] = {
    VAULT_CIPHER_LOGIN, VAULT_CIPHER_NOTE, VAULT_CIPHER_CARD,
    VAULT_CIPHER_IDENTITY, VAULT_CIPHER_SSH_KEY, VAULT_NULL
};

static const vault_field_t  uri_fields[] = {
    ENC("uri", 10000),
    ENC("uriChecksum", 10000),
    { "match", VAULT_ENUM, 0, 0, 0, uri_matches },
    VAULT_FIELDS_END
};

static const vault_field_t  passkey_fields[] = {
    ENC("credentialId", 1000),
    ENC("keyType", 1000),
    ENC("keyAlgorithm", 1000),
    ENC("keyCurve", 1000),
    ENC("keyValue", 1000),
    ENC("rpId", 1000),
    ENC("rpName", 1000),
    ENC("userHandle", 1000),
    ENC("userName", 1000),
    ENC("userDisplayName", 1000),
    ENC("counter", 1000),
    ENC("discoverable", 1000),
    { "creationDate", VAULT_DATE, 0, VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_shape_t  uri_shape = { uri_fields, 0 };
static const vault_shape_t  passkey_shape = { passkey_fields, 0 };

static const vault_field_t  login_fields[] = {
    ENC("uri", 10000),
    { "uris", VAULT_FRAGMENTS, 0, 0, FORM_LISTS, &uri_shape },
    ENC("username", 1000),
    ENC("password", 5000),
    { "passwordRevisionDate", VAULT_DATE },
    ENC("totp", 1000),
    { "autofillOnPageLoad", VAULT_BOOL },
    { "fido2Credentials", VAULT_FRAGMENTS, 0, 0, FORM_LISTS, &passkey_shape },
    VAULT_FIELDS_END
};

static const vault_field_t  card_fields[] = {
    ENC("cardholderName", 1000),
    ENC("brand", 1000),
    ENC("number", 1000),
    ENC("expMonth", 1000),
    ENC("expYear", 1000),
    ENC("code", 1000),
    VAULT_FIELDS_END
};

static const vault_field_t  identity_fields[] = {
    ENC("title", 1000),
    ENC("firstName", 1000),
    ENC("middleName", 1000),
    ENC("lastName", 1000),
    ENC("address1", 1000),
    ENC("address2", 1000),
    ENC("address3", 1000),
    ENC("city", 1000),
    ENC("state", 1000),
    ENC("postalCode", 1000),
    ENC("country", 1000),
    ENC("company", 1000),
    ENC("email", 1000),
    ENC("phone", 1000),
    ENC("ssn", 1000),
    ENC("username", 1000),
    ENC("passportNumber", 1000),
    ENC("licenseNumber", 1000),
    VAULT_FIELDS_END
};

static const vault_field_t  note_fields[] = {
    { "type", VAULT_ENUM, 0, VAULT_REQUIRED, 0, note_types },
    VAULT_FIELDS_END
};

static const vault_field_t  ssh_key_fields[] = {
    ENC("privateKey", 5000),
    ENC("publicKey", 5000),
    ENC("keyFingerprint", 1000),
    VAULT_FIELDS_END
};

static const vault_field_t  field_fields[] = {
    { "type", VAULT_ENUM, 0, VAULT_REQUIRED, 0, field_types },
    ENC("name", 1000),
    ENC("value", 5000),
    { "linkedId", VAULT_INT, 0, 0, 0, &linked_range },
    VAULT_FIELDS_END
};

static const vault_field_t  history_fields[] = {
    { "password", VAULT_ENC, 0, VAULT_REQUIRED, 5000 },
    { "lastUsedDate", VAULT_DATE, 0, VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_shape_t  login_shape = { login_fields, 0 };
static const vault_shape_t  card_shape = { card_fields, 0 };
static const vault_shape_t  identity_shape = { identity_fields, 0 };
static const vault_shape_t  note_shape = { note_fields, 0 };
static const vault_shape_t  ssh_key_shape = { ssh_key_fields, 0 };
static const vault_shape_t  field_shape = { field_fields, 0 };
static const vault_shape_t  history_shape = { history_fields, 0 };


/* {"id": {"fileName": …, "key": …}}, or of older clients {"id": fileName}. */

static const vault_field_t  file_fields[] = {
    { "", VAULT_TEXT, offsetof(vault_file_t, id), 0, 128 },
    { "fileName", VAULT_ENC, offsetof(vault_file_t, name), 0,
      VAULT_FILE_MAX_NAME },
    { "key", VAULT_ENC, offsetof(vault_file_t, key), 0, VAULT_FILE_MAX_NAME },
    VAULT_FIELDS_END
};

static const vault_shape_t  file_shape =
    VAULT_SHAPE(file_fields, vault_file_t);


#define SLOT(member)  offsetof(vault_cipher_form_t, member)

static const vault_field_t  form_fields[] = {
    { "id", VAULT_UUID, SLOT(id) },
    { "type", VAULT_ENUM, SLOT(type), VAULT_REQUIRED, 0, types },
    { "organizationId", VAULT_UUID, SLOT(organization_id) },
    { "folderId", VAULT_UUID, SLOT(folder_id) },
    { "favorite", VAULT_BOOL, SLOT(favorite) },
    { "archivedDate", VAULT_DATE, SLOT(archived_at) },
    { "lastKnownRevisionDate", VAULT_DATE, SLOT(known) },
    { "encryptedFor", VAULT_UUID, SLOT(encrypted_for) },
    { "encryptedByKeyId", VAULT_TEXT, SLOT(encrypted_by), 0, 64 },
    { "name", VAULT_ENC, SLOT(name), VAULT_REQUIRED, 1000 },
    { "notes", VAULT_ENC, SLOT(notes), 0, 10000 },
    { "key", VAULT_ENC, SLOT(key), 0, 1000 },
    { "reprompt", VAULT_ENUM, SLOT(reprompt), 0, 0, reprompts },
    { "login", VAULT_FRAGMENT, SLOT(login), 0, 0, &login_shape },
    { "card", VAULT_FRAGMENT, SLOT(card), 0, 0, &card_shape },
    { "identity", VAULT_FRAGMENT, SLOT(identity), 0, 0, &identity_shape },
    { "secureNote", VAULT_FRAGMENT, SLOT(note), 0, 0, &note_shape },
    { "sshKey", VAULT_FRAGMENT, SLOT(ssh_key), 0, 0, &ssh_key_shape },
    { "fields", VAULT_FRAGMENTS, SLOT(fields), 0, FORM_LISTS, &field_shape },
    { "passwordHistory", VAULT_FRAGMENTS, SLOT(history), 0, FORM_LISTS,
      &history_shape },
    { "attachments2", VAULT_MAP, SLOT(files), 0, 0, &file_shape },
    { "attachments", VAULT_MAP, SLOT(file_names), 0, 0, &file_shape },
    VAULT_FIELDS_END
};

const vault_shape_t  vault_cipher_form =
    VAULT_SHAPE(form_fields, vault_cipher_form_t);

/* What is stored as it is, and copied into every answer. */

static const vault_field_t  data_fields[] = {
    { "name", VAULT_TEXT, SLOT(name) },
    { "notes", VAULT_TEXT, SLOT(notes) },
    { "login", VAULT_RAW, SLOT(login) },
    { "card", VAULT_RAW, SLOT(card) },
    { "identity", VAULT_RAW, SLOT(identity) },
    { "secureNote", VAULT_RAW, SLOT(note) },
    { "sshKey", VAULT_RAW, SLOT(ssh_key) },
    { "fields", VAULT_RAW, SLOT(fields) },
    { "passwordHistory", VAULT_RAW, SLOT(history) },
    { "reprompt", VAULT_INT, SLOT(reprompt) },
    { "key", VAULT_TEXT, SLOT(key) },
    VAULT_FIELDS_END
};

static const vault_shape_t  data_shape =
    VAULT_SHAPE(data_fields, vault_cipher_form_t);

/* A row for the database, but for its last member, "data". */

static const vault_field_t  row_fields[] = {
    { "id", VAULT_TEXT, SLOT(id) },
    { "folder", VAULT_TEXT, SLOT(folder_id) },
    { "type", VAULT_INT, SLOT(type) },
    { "favorite", VAULT_INT, SLOT(favorite) },
    { "archived", VAULT_INT, SLOT(archived_at) },
    VAULT_FIELDS_END
};

static const vault_shape_t  row_shape =
    VAULT_SHAPE(row_fields, vault_cipher_form_t);


/* Which part belongs to which type. */

static const struct {
    int64_t     type;
    size_t      slot;
    ngx_str_t   name;
} parts[] = {
    { VAULT_CIPHER_LOGIN, SLOT(login), ngx_string("login") },
    { VAULT_CIPHER_NOTE, SLOT(note), ngx_string("secureNote") },
    { VAULT_CIPHER_CARD, SLOT(card), ngx_string("card") },
    { VAULT_CIPHER_IDENTITY, SLOT(identity), ngx_string("identity") },
    { VAULT_CIPHER_SSH_KEY, SLOT(ssh_key), ngx_string("sshKey") },
};

typedef struct {
    const vault_cipher_form_t  *forms;
    ngx_uint_t                  n;
    ngx_pool_t                 *pool;
    ngx_str_t                   rows;
    ngx_int_t                   rc;
} rows_t;


static void  check_encryption(vault_request_t *vr,
    const vault_cipher_form_t *form);
static void  check_parts(vault_request_t *vr, vault_cipher_form_t *form);
static void  files_write(vault_writer_t *w, const ngx_str_t *cipher_id,
    const ngx_array_t *files, ngx_uint_t keep);
static void  rows_write(void *data, ngx_log_t *log);
static void  rows_pool_destroy(void *data);


void
vault_cipher_form_check(vault_request_t *vr, vault_cipher_form_t *form)
{
    if (form->organization_id.data) {
        vault_fail(vr, VAULT_MISSING);
    }

    check_encryption(vr, form);
    check_parts(vr, form);

    if (form->favorite == VAULT_NULL) {
        form->favorite = 0;
    }

    if (form->reprompt == VAULT_NULL) {
        form->reprompt = 0;
    }
}


/* An item under another key could never be read again. */

static void
check_encryption(vault_request_t *vr, const vault_cipher_form_t *form)
{
    const ngx_str_t  *key_id = &vault_me(vr)->user_key_id;

    if (form->encrypted_for.data
        && ngx_memn2cmp(form->encrypted_for.data, vault_me(vr)->id.data,
                        form->encrypted_for.len, vault_me(vr)->id.len)
           != 0)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Cipher was not encrypted for the current user. "
                   "Please try again.");
    }

    if (form->encrypted_by.len && key_id->len
        && (form->encrypted_by.len != key_id->len
            || ngx_strncasecmp(form->encrypted_by.data, key_id->data,
                               key_id->len)
               != 0))
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "Cipher was not encrypted with the current user key. "
                   "Please try again.");
    }
}


static void
check_parts(vault_request_t *vr, vault_cipher_form_t *form)
{
    size_t            size;
    ngx_str_t        *part, required;
    ngx_uint_t        i;

    size = form->fields.len + form->history.len;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        part = (ngx_str_t *) ((u_char *) form + parts[i].slot);

        if (parts[i].type != form->type) {
            ngx_str_null(part);
            continue;
        }

        if (part->data == NULL) {
            ngx_str_set(&required, "is required");
            vault_fail_field(vr, (ngx_str_t *) &parts[i].name, &required);
        }

        size += part->len;
    }

    if (size > VAULT_CIPHER_MAX_DATA) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "An item is larger than %d bytes.", VAULT_CIPHER_MAX_DATA);
    }
}


void
vault_cipher_form_row(vault_request_t *vr, const vault_cipher_form_t *form,
    vault_cipher_t *cipher)
{
    vault_writer_t  w;

    ngx_memzero(cipher, sizeof(vault_cipher_t));

    cipher->type = form->type;
    cipher->folder_id = form->folder_id;
    cipher->favorite = form->favorite;
    cipher->archived_at = form->archived_at;
    cipher->deleted_at = VAULT_NULL;

    vault_writer_init(&w, vr->pool);
    vault_json_object(&w, NULL, &data_shape, form);

    cipher->data = vault_written(vr, &w);
}


ngx_str_t
vault_cipher_form_rows(vault_request_t *vr, const vault_cipher_form_t *forms,
    ngx_uint_t n)
{
    rows_t              *rows;
    ngx_pool_cleanup_t  *cln;

    rows = vault_calloc(vr, sizeof(rows_t));
    rows->forms = forms;
    rows->n = n;

    /* the request's own pool is not for a thread */

    cln = ngx_pool_cleanup_add(vr->pool, 0);
    rows->pool = ngx_create_pool(16384, vr->log);

    if (cln == NULL || rows->pool == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    cln->handler = rows_pool_destroy;
    cln->data = rows->pool;

    if (n < FORM_THREAD) {
        rows_write(rows, vr->log);

    } else {
        vault_thread_run(vr, VAULT_THREAD_IO, rows_write, rows);
    }

    if (rows->rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    return rows->rows;
}


void
vault_cipher_form_stage(vault_stage_t *stage, vault_stage_kind_e kind,
    const vault_cipher_form_t *forms, ngx_uint_t n)
{
    ngx_str_t   rows;
    ngx_uint_t  i, some;

    for (i = 0; i < n; i += some) {
        some = ngx_min(n - i, VAULT_STAGE_ROWS);
        rows = vault_cipher_form_rows(stage->vr, &forms[i], some);

        while (rows.len > VAULT_STAGE_BYTES && some > 1) {
            some = (some + 1) / 2;
            rows = vault_cipher_form_rows(stage->vr, &forms[i], some);
        }

        vault_stage_add(stage, kind, &rows);
    }
}


ngx_str_t
vault_cipher_form_files(vault_request_t *vr, const vault_cipher_form_t *forms,
    ngx_uint_t n)
{
    ngx_str_t       text;
    ngx_uint_t      i;
    vault_writer_t  w;

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '[');

    for (i = 0; i < n; i++) {
        if (forms[i].files.nelts) {
            files_write(&w, &forms[i].id, &forms[i].files, 0);

        } else {
            files_write(&w, &forms[i].id, &forms[i].file_names, 1);
        }
    }

    if (w.size == 1) {
        ngx_str_null(&text);
        return text;
    }

    vault_json_close(&w, ']');

    return vault_written(vr, &w);
}


static void
files_write(vault_writer_t *w, const ngx_str_t *cipher_id,
    const ngx_array_t *files, ngx_uint_t keep)
{
    ngx_uint_t           i;
    const vault_file_t  *file = files->elts;

    for (i = 0; i < files->nelts; i++) {
        vault_json_open(w, NULL, '{');
        vault_json_string(w, "id", &file[i].id);
        vault_json_string(w, "cipher", cipher_id);
        vault_json_string(w, "name", &file[i].name);
        vault_json_string(w, "key", &file[i].key);
        vault_json_integer(w, "keep", keep);
        vault_json_close(w, '}');
    }
}


static void
rows_write(void *data, ngx_log_t *log)
{
    rows_t  *rows = data;

    ngx_str_t        text;
    ngx_uint_t       i;
    ngx_pool_t      *scratch;
    vault_writer_t   w, part;

    scratch = ngx_create_pool(4096, log);
    if (scratch == NULL) {
        rows->rc = NGX_ERROR;
        return;
    }

    vault_writer_init(&w, rows->pool);
    vault_json_open(&w, NULL, '[');

    for (i = 0; i < rows->n; i++) {
        vault_writer_init(&part, scratch);
        vault_json_object(&part, NULL, &data_shape, &rows->forms[i]);

        if (vault_writer_text(&part, &text) != NGX_OK) {
            w.failed = 1;
            break;
        }

        vault_json_open(&w, NULL, '{');
        vault_json_members(&w, &row_shape, &rows->forms[i]);
        vault_json_string(&w, "data", &text);
        vault_json_close(&w, '}');

        ngx_reset_pool(scratch);
    }

    vault_json_close(&w, ']');
    ngx_destroy_pool(scratch);

    rows->rc = vault_writer_text(&w, &rows->rows);
}


static void
rows_pool_destroy(void *data)
{
    ngx_destroy_pool(data);
}
