/*
 * Form bodies: whatever comes, parsing ends, and what it accepted is text.
 */

#include <stdlib.h>

#include "../../src/json/form.h"
#include "../unit/shim.h"


typedef struct {
    ngx_str_t  grant;
    ngx_str_t  user;
    ngx_str_t  device;
    int64_t    type;
} form_t;

static const vault_field_t  fields[] = {
    { "grant_type", VAULT_TEXT,  offsetof(form_t, grant), VAULT_REQUIRED, 64 },
    { "username",   VAULT_EMAIL, offsetof(form_t, user) },
    { "deviceId",   VAULT_UUID,  offsetof(form_t, device) },
    { "deviceType", VAULT_INT,   offsetof(form_t, type) },
    VAULT_FIELDS_END
};

static const vault_shape_t  shape = VAULT_SHAPE(fields, form_t);


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    form_t               form;
    ngx_int_t            rc;
    ngx_str_t            body;
    ngx_pool_t          *pool;
    vault_json_error_t   err;

    pool = ngx_create_pool(1024, NULL);

    body.data = (u_char *) data;
    body.len = size;

    rc = vault_form_parse(pool, &body, &shape, &form, &err);

    if (rc == NGX_OK) {
        if (form.grant.len == 0 || form.grant.len > 64
            || memchr(form.grant.data, '\0', form.grant.len)
            || (form.user.data && vault_email_check(&form.user) != NGX_OK)
            || (form.device.data && vault_uuid_check(&form.device) != NGX_OK))
        {
            abort();
        }

    } else if (rc != NGX_DECLINED || err.field.len == 0) {
        abort();
    }

    ngx_destroy_pool(pool);

    return 0;
}
