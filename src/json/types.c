/*
 * types - the type table: what each field type takes, and how it is written.
 */

#include "type.h"


#define TEXT_MAX   10000
#define ITEMS_MAX  1000


static ngx_str_t
trim(const ngx_str_t *text)
{
    ngx_str_t  s;

    s = *text;

    while (s.len && s.data[0] <= ' ') {
        s.data++;
        s.len--;
    }

    while (s.len && s.data[s.len - 1] <= ' ') {
        s.len--;
    }

    return s;
}


static ngx_int_t
keep(vault_reader_t *rd, const ngx_str_t *text, ngx_str_t *out)
{
    if (rd->borrow) {
        *out = *text;
        return NGX_OK;
    }

    out->data = ngx_pnalloc(rd->pool, text->len);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(out->data, text->data, text->len);
    out->len = text->len;

    return NGX_OK;
}


static ngx_int_t
keep_lower(vault_reader_t *rd, const ngx_str_t *text, ngx_str_t *out)
{
    out->data = ngx_pnalloc(rd->pool, text->len);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(out->data, text->data, text->len);
    out->len = text->len;

    return NGX_OK;
}


/* Texts */

static ngx_int_t
text_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    return keep(rd, text, slot);
}


static ngx_int_t
uuid_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    if (vault_uuid_check(text) != NGX_OK) {
        return vault_reader_fail(rd, "is not a UUID");
    }

    return keep_lower(rd, text, slot);
}


static ngx_int_t
email_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    ngx_str_t  email;

    email = trim(text);

    if (email.len == 0) {
        return vault_field_null(rd, field, slot);
    }

    if (vault_email_check(&email) != NGX_OK) {
        return vault_reader_fail(rd, "is not an e-mail address");
    }

    return keep_lower(rd, &email, slot);
}


static ngx_int_t
enc_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    if (vault_enc_check(text) != NGX_OK) {
        return vault_reader_fail(rd, "is not an encrypted string");
    }

    return keep(rd, text, slot);
}


static ngx_int_t
base64_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    if (vault_base64_size(text->data, text->len) == NGX_ERROR) {
        return vault_reader_fail(rd, "is not base64");
    }

    return keep(rd, text, slot);
}


static ngx_int_t
text_value(vault_reader_t *rd, const vault_field_t *field, json_t *value,
    void *slot)
{
    ngx_str_t  text;

    if (!json_is_string(value)) {
        return vault_reader_fail(rd, "is not a text");
    }

    text.data = (u_char *) json_string_value(value);
    text.len = json_string_length(value);

    return vault_field_text(rd, field, &text, slot);
}


static void
text_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_json_string(w, name, slot);
}


/* Numbers */

static ngx_int_t
date_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    if (vault_date_parse(text, slot) != NGX_OK) {
        return vault_reader_fail(rd, "is not a date");
    }

    return NGX_OK;
}


static void
date_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    u_char     date[VAULT_DATE_LEN];
    ngx_str_t  text = { VAULT_DATE_LEN, date };

    vault_date_format(date, *(const int64_t *) slot);
    vault_json_string(w, name, &text);
}


static ngx_int_t
int_number(vault_reader_t *rd, const vault_field_t *field, int64_t n,
    int64_t *slot)
{
    const vault_range_t  *range;

    range = field->arg;

    if (n == VAULT_NULL) {
        return vault_reader_fail(rd, "is not a number");
    }

    if (range && (n < range->min || n > range->max)) {
        return vault_reader_fail(rd, "is not between %L and %L", range->min,
                                 range->max);
    }

    *slot = n;

    return NGX_OK;
}


static ngx_int_t
enum_number(vault_reader_t *rd, const vault_field_t *field, int64_t n,
    int64_t *slot)
{
    const int64_t  *allowed;

    for (allowed = field->arg; *allowed != VAULT_NULL; allowed++) {

        if (n == *allowed) {
            *slot = n;
            return NGX_OK;
        }
    }

    return vault_reader_fail(rd, "is not an allowed value");
}


/* Decimal text; VAULT_NULL, which is no number to a client, if it is none. */
static int64_t
decimal(const ngx_str_t *text)
{
    int64_t        n, digit, sign;
    const u_char  *p, *end;

    p = text->data;
    end = p + text->len;
    sign = 1;

    if (p < end && *p == '-') {
        sign = -1;
        p++;
    }

    if (p == end) {
        return VAULT_NULL;
    }

    for (n = 0; p < end; p++) {

        if (*p < '0' || *p > '9') {
            return VAULT_NULL;
        }

        digit = *p - '0';

        if (n > (INT64_MAX - digit) / 10) {
            return VAULT_NULL;
        }

        n = n * 10 + digit;
    }

    return sign * n;
}


static ngx_int_t
number_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    int64_t    n;
    ngx_str_t  s;

    s = trim(text);

    if (s.len == 0) {
        return vault_field_null(rd, field, slot);
    }

    n = decimal(&s);

    if (n == VAULT_NULL) {
        return vault_reader_fail(rd, "is not a number");
    }

    return field->type->number(rd, field, n, slot);
}


/* .NET takes a number in quotes, and clients of its make use of it. */
static ngx_int_t
number_value(vault_reader_t *rd, const vault_field_t *field, json_t *value,
    void *slot)
{
    if (json_is_string(value)) {
        return text_value(rd, field, value, slot);
    }

    if (!json_is_integer(value)) {
        return vault_reader_fail(rd, "is not a number");
    }

    return field->type->number(rd, field, json_integer_value(value), slot);
}


static void
number_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_json_integer(w, name, *(const int64_t *) slot);
}


static ngx_int_t
bool_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    ngx_str_t  s;

    s = trim(text);

    if (s.len == 0) {
        return vault_field_null(rd, field, slot);
    }

    if ((s.len == 1 && s.data[0] == '1')
        || (s.len == 4 && ngx_strncasecmp(s.data, (u_char *) "true", 4) == 0))
    {
        *(int64_t *) slot = 1;
        return NGX_OK;
    }

    if ((s.len == 1 && s.data[0] == '0')
        || (s.len == 5 && ngx_strncasecmp(s.data, (u_char *) "false", 5) == 0))
    {
        *(int64_t *) slot = 0;
        return NGX_OK;
    }

    return vault_reader_fail(rd, "is not true or false");
}


static ngx_int_t
bool_value(vault_reader_t *rd, const vault_field_t *field, json_t *value,
    void *slot)
{
    if (!json_is_boolean(value)) {
        return vault_reader_fail(rd, "is not true or false");
    }

    *(int64_t *) slot = json_is_true(value);

    return NGX_OK;
}


static void
bool_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_json_boolean(w, name, *(const int64_t *) slot);
}


/* Containers and ready JSON */

static void
object_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_json_object(w, name, field->arg, *(void *const *) slot);
}


static void
list_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_json_rows(w, name, field->arg, slot);
}


static void
raw_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_json_raw(w, name, slot);
}


static void
const_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    ngx_str_t  json;

    json.data = (u_char *) field->arg;
    json.len = ngx_strlen(field->arg);

    vault_json_raw(w, name, &json);
}


static void
members_write(vault_writer_t *w, const char *name, const vault_field_t *field,
    const void *slot)
{
    vault_writer_splice(w, slot);
}


/* The table */

const vault_type_t  vault_type_text = {
    .slot = VAULT_SLOT_TEXT,
    .max = TEXT_MAX,
    .text = text_text,
    .value = text_value,
    .copy = vault_scalar_copy,
    .write = text_write,
};

const vault_type_t  vault_type_uuid = {
    .slot = VAULT_SLOT_TEXT,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = uuid_text,
    .value = text_value,
    .copy = vault_scalar_copy,
    .write = text_write,
};

const vault_type_t  vault_type_email = {
    .slot = VAULT_SLOT_TEXT,
    .max = VAULT_EMAIL_MAX_LEN,
    .empty_null = 1,
    .text = email_text,
    .value = text_value,
    .copy = vault_scalar_copy,
    .write = text_write,
};

const vault_type_t  vault_type_enc = {
    .slot = VAULT_SLOT_TEXT,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = enc_text,
    .value = text_value,
    .copy = vault_scalar_copy,
    .write = text_write,
};

const vault_type_t  vault_type_base64 = {
    .slot = VAULT_SLOT_TEXT,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = base64_text,
    .value = text_value,
    .copy = vault_scalar_copy,
    .write = text_write,
};

const vault_type_t  vault_type_date = {
    .slot = VAULT_SLOT_NUMBER,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = date_text,
    .value = text_value,
    .copy = vault_scalar_copy,
    .write = date_write,
};

const vault_type_t  vault_type_int = {
    .slot = VAULT_SLOT_NUMBER,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = number_text,
    .number = int_number,
    .value = number_value,
    .copy = vault_scalar_copy,
    .write = number_write,
};

const vault_type_t  vault_type_enum = {
    .slot = VAULT_SLOT_NUMBER,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = number_text,
    .number = enum_number,
    .value = number_value,
    .copy = vault_scalar_copy,
    .write = number_write,
};

const vault_type_t  vault_type_bool = {
    .slot = VAULT_SLOT_NUMBER,
    .max = TEXT_MAX,
    .empty_null = 1,
    .text = bool_text,
    .value = bool_value,
    .copy = vault_scalar_copy,
    .write = bool_write,
};

const vault_type_t  vault_type_object = {
    .slot = VAULT_SLOT_POINTER,
    .value = vault_object_read,
    .copy = vault_object_copy,
    .write = object_write,
};

const vault_type_t  vault_type_list = {
    .slot = VAULT_SLOT_ARRAY,
    .max = ITEMS_MAX,
    .value = vault_list_read,
    .copy = vault_list_copy,
    .write = list_write,
};

const vault_type_t  vault_type_map = {
    .slot = VAULT_SLOT_ARRAY,
    .max = ITEMS_MAX,
    .value = vault_map_read,
};

const vault_type_t  vault_type_texts = {
    .slot = VAULT_SLOT_ARRAY,
    .max = ITEMS_MAX,
    .value = vault_texts_read,
    .copy = vault_array_copy,
    .write = vault_texts_write,
};

const vault_type_t  vault_type_fragment = {
    .slot = VAULT_SLOT_TEXT,
    .value = vault_fragment_read,
    .copy = vault_object_copy,
    .write = raw_write,
};

const vault_type_t  vault_type_fragments = {
    .slot = VAULT_SLOT_TEXT,
    .max = ITEMS_MAX,
    .value = vault_fragment_read,
    .copy = vault_list_copy,
    .write = raw_write,
};

const vault_type_t  vault_type_array = {
    .slot = VAULT_SLOT_TEXT,
    .max = ITEMS_MAX,
    .value = vault_fragment_read,
    .copy = vault_array_copy,
    .write = raw_write,
};

const vault_type_t  vault_type_raw = {
    .slot = VAULT_SLOT_TEXT,
    .write = raw_write,
};

const vault_type_t  vault_type_const = {
    .slot = VAULT_SLOT_NONE,
    .write = const_write,
};

const vault_type_t  vault_type_members = {
    .slot = VAULT_SLOT_NONE,
    .write = members_write,
};
