/*
 * enc - any bytes as an EncString, UUID, e-mail address and as every field
 * type that a form can have.  A text that is taken is UTF-8 of the length
 * that is allowed; an EncString is base64, bars, and a type of one digit.
 */

#include "../unit/shim.h"
#include "../../src/json/json.h"


#define REQUIRE(cond)  if (!(cond)) { abort(); }


static const int64_t        kinds[] = { 1, 2, VAULT_NULL };
static const vault_range_t  range = { -5, 5 };

static const vault_field_t  fields[] = {
    { "text", VAULT_TEXT, 0, 0, 100 },
    { "uuid", VAULT_UUID },
    { "email", VAULT_EMAIL },
    { "enc", VAULT_ENC, 0, VAULT_REQUIRED },
    { "base64", VAULT_BASE64 },
    { "date", VAULT_DATE },
    { "int", VAULT_INT, 0, 0, 0, &range },
    { "bool", VAULT_BOOL },
    { "enum", VAULT_ENUM, 0, 0, 0, kinds },
    VAULT_FIELDS_END
};


static void
check_enc(const ngx_str_t *text)
{
    size_t      i;
    ngx_uint_t  bars;

    bars = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '|') {
            bars++;
            continue;
        }

        if (text->data[i] == '.') {
            REQUIRE(i == 1 && text->data[0] >= '0' && text->data[0] <= '7');
            continue;
        }

        REQUIRE(text->data[i] != '\0'
                && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                          "uvwxyz0123456789+/=", text->data[i]));
    }

    REQUIRE(bars <= 2 && text->len >= 4);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t             rc;
    ngx_str_t             text;
    ngx_pool_t           *pool;
    vault_json_error_t    err;
    const vault_field_t  *field;

    union {
        ngx_str_t         text;
        int64_t           number;
    } slot;

    pool = ngx_create_pool(4096, shim_log());

    text.data = (u_char *) data;
    text.len = size;

    if (vault_enc_check(&text) == NGX_OK) {
        check_enc(&text);
    }

    (void) vault_uuid_check(&text);
    (void) vault_email_check(&text);

    for (field = fields; field->name; field++) {

        rc = vault_json_text(pool, &text, field, &slot, &err);

        REQUIRE(rc == NGX_OK || (rc == NGX_DECLINED && err.text.len));

        if (rc == NGX_OK && field->type == VAULT_ENC) {
            REQUIRE(vault_enc_check(&slot.text) == NGX_OK);
        }

        if (rc == NGX_OK && field->type == VAULT_INT) {
            REQUIRE(slot.number == VAULT_NULL
                    || (slot.number >= -5 && slot.number <= 5));
        }
    }

    ngx_destroy_pool(pool);

    return 0;
}
