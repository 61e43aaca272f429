/*
 * Urlencoded bodies by a field table.
 */

#include "check.h"
#include "../../src/json/form.h"


typedef struct {
    ngx_str_t  grant;
    ngx_str_t  scope;
    int64_t    type;
} form_t;

static const vault_field_t  fields[] = {
    { "grant_type", VAULT_TEXT, offsetof(form_t, grant), VAULT_REQUIRED, 32 },
    { "scope",      VAULT_TEXT, offsetof(form_t, scope) },
    { "deviceType", VAULT_INT,  offsetof(form_t, type) },
    VAULT_FIELDS_END
};

static const vault_shape_t  shape = VAULT_SHAPE(fields, form_t);


static ngx_int_t
parse(ngx_pool_t *pool, const char *text, form_t *form,
    vault_json_error_t *err)
{
    ngx_str_t  body;

    body.data = (u_char *) text;
    body.len = ngx_strlen(text);

    return vault_form_parse(pool, &body, &shape, form, err);
}


int
main(void)
{
    form_t               form;
    ngx_pool_t          *pool;
    vault_json_error_t   err;

    pool = ngx_create_pool(1024, NULL);

    CHECK_INT(parse(pool, "grant_type=password&scope=api+offline_access"
                          "&devicetype=%39", &form, &err), NGX_OK);
    CHECK_STR(&form.grant, "password");
    CHECK_STR(&form.scope, "api offline_access");
    CHECK_INT(form.type, 9);

    CHECK_INT(parse(pool, "scope=a%2Bb%zz%4&grant_type=x&unknown=1&&=",
                    &form, &err), NGX_OK);
    CHECK_STR(&form.scope, "a+b%zz%4");
    CHECK_INT(form.type, VAULT_NULL);

    CHECK_INT(parse(pool, "grant_type=a&grant_type=b", &form, &err), NGX_OK);
    CHECK_STR(&form.grant, "b");

    CHECK_INT(parse(pool, "", &form, &err), NGX_DECLINED);
    CHECK_STR(&err.field, "grant_type");
    CHECK_INT(parse(pool, "grant_type=", &form, &err), NGX_DECLINED);
    CHECK_INT(parse(pool, "grant_type", &form, &err), NGX_DECLINED);
    CHECK_INT(parse(pool, "grant_type=a&deviceType=nine", &form, &err),
              NGX_DECLINED);
    CHECK_STR(&err.field, "deviceType");
    CHECK_INT(parse(pool, "grant_type=0123456789012345678901234567890123",
                    &form, &err), NGX_DECLINED);
    CHECK_INT(parse(pool, "grant_type=%00", &form, &err), NGX_DECLINED);
    CHECK_INT(parse(pool, "grant_type=%ff", &form, &err), NGX_DECLINED);

    ngx_destroy_pool(pool);

    return check_done();
}
