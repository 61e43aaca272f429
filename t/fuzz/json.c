/*
 * json - any bytes as a body of a shape with every type in it.  What was
 * taken must be written as valid JSON, be taken again, and then look the same.
 */

#include "../unit/shim.h"
#include "../../src/json/json.h"

#include <jansson.h>


#define REQUIRE(cond)  if (!(cond)) { abort(); }

typedef struct {
    ngx_str_t  uri;
    int64_t    match;
} uri_t;

typedef struct {
    ngx_str_t    text, id, email, enc, key, part, parts;
    int64_t      at, count, rank, flag, kind;
    uri_t       *uri;
    ngx_array_t  uris, ids;
} body_t;


static const vault_field_t  uri_fields[] = {
    { "uri", VAULT_ENC, offsetof(uri_t, uri) },
    { "match", VAULT_INT, offsetof(uri_t, match), VAULT_OMIT_NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  uri_shape = VAULT_SHAPE(uri_fields, uri_t);

static const vault_field_t  id_pattern = { NULL, VAULT_UUID, 0 };

static const vault_field_t  count_pattern = { NULL, VAULT_INT, 0 };

static const vault_field_t  row_pattern = {
    NULL, VAULT_ARRAY, 0, 0, 9, &count_pattern
};

static const vault_range_t  rank_range = { 0, 5 };

static const int64_t  kinds[] = { 1, 2, VAULT_NULL };

static const vault_field_t  inner_fields[] = {
    { "t", VAULT_TEXT, 0 },
    { "o", VAULT_OBJECT, 0, 0, 0, &uri_shape },
    { "l", VAULT_LIST, 0, 0, 0, &uri_shape },
    { "f", VAULT_FRAGMENT, 0, VAULT_OMIT_NULL, 0, &uri_shape },
    { "s", VAULT_TEXTS, 0, 0, 0, &id_pattern },
    { "d", VAULT_DATE, 0 },
    { "b", VAULT_BOOL, 0 },
    { "a", VAULT_ARRAY, 0, 0, 9, &row_pattern },
    VAULT_FIELDS_END
};

static const vault_shape_t  inner_shape = { inner_fields, 0 };

static const vault_field_t  outer_fields[] = {
    { "i", VAULT_FRAGMENTS, 0, 0, 0, &inner_shape },
    { "n", VAULT_ENUM, 0, 0, 0, kinds },
    { "e", VAULT_EMAIL, 0 },
    VAULT_FIELDS_END
};

static const vault_shape_t  outer_shape = { outer_fields, 0 };

static const vault_field_t  body_fields[] = {
    { "text", VAULT_TEXT, offsetof(body_t, text), VAULT_OMIT_NULL, 64 },
    { "id", VAULT_UUID, offsetof(body_t, id) },
    { "email", VAULT_EMAIL, offsetof(body_t, email) },
    { "enc", VAULT_ENC, offsetof(body_t, enc) },
    { "key", VAULT_BASE64, offsetof(body_t, key) },
    { "at", VAULT_DATE, offsetof(body_t, at) },
    { "count", VAULT_INT, offsetof(body_t, count) },
    { "rank", VAULT_INT, offsetof(body_t, rank), 0, 0, &rank_range },
    { "flag", VAULT_BOOL, offsetof(body_t, flag) },
    { "kind", VAULT_ENUM, offsetof(body_t, kind), 0, 0, kinds },
    { "uri", VAULT_OBJECT, offsetof(body_t, uri), 0, 0, &uri_shape },
    { "uris", VAULT_LIST, offsetof(body_t, uris), 0, 3, &uri_shape },
    { "ids", VAULT_TEXTS, offsetof(body_t, ids), 0, 3, &id_pattern },
    { "part", VAULT_FRAGMENT, offsetof(body_t, part), 0, 0, &outer_shape },
    { "parts", VAULT_FRAGMENTS, offsetof(body_t, parts), 0, 0, &inner_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  body_shape = VAULT_SHAPE(body_fields, body_t);


/* Read only: the same object as a map of objects and texts. */

typedef struct {
    ngx_array_t  uris;                /* uri_t */
} map_t;

static const vault_field_t  map_fields[] = {
    { "uri", VAULT_MAP, offsetof(map_t, uris), 0, 3, &uri_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  map_shape = VAULT_SHAPE(map_fields, map_t);


static void
check_map(ngx_pool_t *pool, const ngx_str_t *text)
{
    map_t                map;
    ngx_int_t            rc;
    vault_json_error_t   err;

    rc = vault_json_parse(pool, text, &map_shape, &map, &err);

    REQUIRE(rc == NGX_OK
            || (rc == NGX_DECLINED && err.field.len && err.text.len));
    REQUIRE(rc != NGX_OK || map.uris.nelts <= 3);
}


static void
write_body(ngx_pool_t *pool, const body_t *body, ngx_str_t *out)
{
    vault_writer_t  w;

    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &body_shape, body);

    REQUIRE(vault_writer_text(&w, out) == NGX_OK);
}


static void
check_body(ngx_pool_t *pool, const body_t *body)
{
    body_t              again;
    json_t             *tree;
    ngx_str_t           first, second;
    vault_json_error_t  err;

    write_body(pool, body, &first);

    tree = json_loadb((char *) first.data, first.len, 0, NULL);
    REQUIRE(tree);
    json_decref(tree);

    REQUIRE(vault_json_parse(pool, &first, &body_shape, &again, &err)
            == NGX_OK);

    write_body(pool, &again, &second);

    REQUIRE(first.len == second.len
            && memcmp(first.data, second.data, first.len) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    body_t               body;
    ngx_int_t            rc;
    ngx_str_t            text;
    ngx_pool_t          *pool;
    vault_json_error_t   err;

    pool = ngx_create_pool(4096, shim_log());

    text.data = (u_char *) data;
    text.len = size;

    rc = vault_json_parse(pool, &text, &body_shape, &body, &err);

    if (rc == NGX_OK) {
        check_body(pool, &body);

    } else {
        REQUIRE(rc == NGX_DECLINED && err.field.len && err.text.len);
    }

    check_map(pool, &text);

    ngx_destroy_pool(pool);

    return 0;
}
