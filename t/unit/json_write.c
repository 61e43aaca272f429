/*
 * json_write - structs into answers: escaping, commas, null, buffers; and
 * fragments, which are read and written.
 */

#include "check.h"
#include "../../src/json/json.h"


#define ENC  "2.AAECAwQFBgcICQoLDA0ODw==|MDEyMzQ1Njc4OWFiY2RlZg==|"          \
             "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static ngx_pool_t  *pool;


static void
check_written(vault_writer_t *w, const char *want)
{
    ngx_str_t     text;
    ngx_chain_t  *cl;

    CHECK(vault_writer_text(w, &text) == NGX_OK);
    CHECK_STR(&text, want);
    CHECK_INT(w->size, text.len);

    for (cl = w->chain; cl; cl = cl->next) {
        CHECK(cl->buf->last > cl->buf->pos);
        CHECK((cl->next == NULL) == (cl == w->last));
    }
}


static void
check_string(const char *s, size_t len, const char *want)
{
    ngx_str_t       text;
    vault_writer_t  w;

    text.data = (u_char *) s;
    text.len = len;

    vault_writer_init(&w, pool);
    vault_json_string(&w, NULL, &text);
    check_written(&w, want);
}


static void
check_strings(void)
{
    check_string(NULL, 0, "null");
    check_string("", 0, "\"\"");
    check_string("abc", 3, "\"abc\"");
    check_string("\"", 1, "\"\\\"\"");
    check_string("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    check_string("\n\r\t\b\f", 5, "\"\\n\\r\\t\\u0008\\u000c\"");
    check_string("\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"");
    check_string("\xc3\xa4\xe2\x80\xa8<>&'", 9,
                 "\"\xc3\xa4\xe2\x80\xa8<>&'\"");
}


static void
check_values(void)
{
    ngx_str_t       raw = ngx_string("[1, 2]");
    ngx_str_t       none = ngx_null_string;
    vault_writer_t  w;

    vault_writer_init(&w, pool);
    CHECK(w.chain == NULL);
    check_written(&w, "");

    vault_json_open(&w, NULL, '{');
    vault_json_integer(&w, "a", 0);
    vault_json_integer(&w, "b", -INT64_MAX);
    vault_json_integer(&w, "c", INT64_MAX);
    vault_json_integer(&w, "d", VAULT_NULL);
    vault_json_boolean(&w, "e", 1);
    vault_json_boolean(&w, "f", 0);
    vault_json_boolean(&w, "g", VAULT_NULL);
    vault_json_null(&w, "h");
    vault_json_cstring(&w, "i", "x\"");
    vault_json_cstring(&w, "j", NULL);
    vault_json_open(&w, "k", '[');
    vault_json_integer(&w, NULL, 1);
    vault_json_open(&w, NULL, '{');
    vault_json_close(&w, '}');
    vault_json_open(&w, NULL, '[');
    vault_json_close(&w, ']');
    vault_json_cstring(&w, NULL, "y");
    vault_json_close(&w, ']');
    vault_json_raw(&w, "l", &raw);
    vault_json_raw(&w, "m", &none);
    vault_json_close(&w, '}');

    check_written(&w, "{\"a\":0,\"b\":-9223372036854775807,"
                  "\"c\":9223372036854775807,\"d\":null,\"e\":true,"
                  "\"f\":false,\"g\":null,\"h\":null,\"i\":\"x\\\"\","
                  "\"j\":null,\"k\":[1,{},[],\"y\"],\"l\":[1, 2],"
                  "\"m\":null}");
}


/* Shapes */

typedef struct {
    ngx_str_t    name;
    int64_t      size;
} item_t;

typedef struct {
    ngx_str_t    text, gone, kept, raw, members;
    int64_t      at, flag, kind, none;
    item_t      *item;
    ngx_array_t  items, texts;
} view_t;

static const vault_field_t  item_fields[] = {
    { "name", VAULT_TEXT, offsetof(item_t, name) },
    { "size", VAULT_INT, offsetof(item_t, size), VAULT_OMIT_NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  item_shape = VAULT_SHAPE(item_fields, item_t);

static const vault_field_t  text_pattern = { NULL, VAULT_TEXT };

static const vault_field_t  view_fields[] = {
    { "text", VAULT_ENC, offsetof(view_t, text) },
    { "gone", VAULT_UUID, offsetof(view_t, gone), VAULT_OMIT_NULL },
    { "kept", VAULT_EMAIL, offsetof(view_t, kept) },
    { NULL, VAULT_MEMBERS, offsetof(view_t, members) },
    { "raw", VAULT_RAW, offsetof(view_t, raw) },
    { "at", VAULT_DATE, offsetof(view_t, at) },
    { "flag", VAULT_BOOL, offsetof(view_t, flag) },
    { "kind", VAULT_ENUM, offsetof(view_t, kind) },
    { "none", VAULT_INT, offsetof(view_t, none) },
    { "item", VAULT_OBJECT, offsetof(view_t, item), 0, 0, &item_shape },
    { "items", VAULT_LIST, offsetof(view_t, items), 0, 0, &item_shape },
    { "texts", VAULT_TEXTS, offsetof(view_t, texts), 0, 0, &text_pattern },
    { "object", VAULT_CONST, 0, 0, 0, "\"view\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  view_shape = VAULT_SHAPE(view_fields, view_t);


static void
check_shapes(void)
{
    item_t          items[2];
    view_t          view;
    ngx_str_t       texts[2] = { ngx_string("a"), ngx_null_string };
    vault_writer_t  w;

    vault_json_init(&view_shape, &view);

    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &view_shape, &view);
    check_written(&w, "{\"text\":null,\"kept\":null,\"raw\":null,"
                  "\"at\":null,\"flag\":null,\"kind\":null,\"none\":null,"
                  "\"item\":null,\"items\":null,\"texts\":null,"
                  "\"object\":\"view\"}");

    ngx_str_set(&items[0].name, "n");
    items[0].size = 7;
    ngx_str_null(&items[1].name);
    items[1].size = VAULT_NULL;

    ngx_str_set(&view.text, "t");
    ngx_str_set(&view.gone, "g");
    ngx_str_set(&view.raw, "[{}]");
    ngx_str_set(&view.members, "{\"login\":{},\"key\":null}");
    view.at = 0;
    view.flag = 1;
    view.kind = 3;
    view.item = &items[0];
    view.items.elts = items;
    view.items.nelts = 2;
    view.texts.elts = texts;
    view.texts.nelts = 2;

    vault_writer_init(&w, pool);
    vault_json_open(&w, NULL, '{');
    vault_json_members(&w, &view_shape, &view);
    vault_json_object(&w, "nothing", &view_shape, NULL);
    vault_json_rows(&w, "rows", &item_shape, &view.items);
    view.items.nelts = 0;
    vault_json_rows(&w, "empty", &item_shape, &view.items);
    vault_json_close(&w, '}');
    check_written(&w, "{\"text\":\"t\",\"gone\":\"g\",\"kept\":null,"
                  "\"login\":{},\"key\":null,\"raw\":[{}],"
                  "\"at\":\"1970-01-01T00:00:00.000Z\",\"flag\":true,"
                  "\"kind\":3,\"none\":null,\"item\":{\"name\":\"n\","
                  "\"size\":7},\"items\":[{\"name\":\"n\",\"size\":7},"
                  "{\"name\":null}],\"texts\":[\"a\",null],"
                  "\"object\":\"view\",\"nothing\":null,\"rows\":["
                  "{\"name\":\"n\",\"size\":7},{\"name\":null}],"
                  "\"empty\":[]}");
}


static void
check_members(void)
{
    ngx_str_t             members;
    vault_writer_t        w;
    const vault_field_t   fields[] = {
        { NULL, VAULT_MEMBERS, 0 },
        { "z", VAULT_CONST, 0, 0, 0, "1" },
        VAULT_FIELDS_END
    };
    const vault_shape_t   shape = { fields, sizeof(ngx_str_t) };

    ngx_str_set(&members, "{}");
    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &shape, &members);
    check_written(&w, "{\"z\":1}");

    ngx_str_set(&members, "{\"a\":0}");
    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &shape, &members);
    check_written(&w, "{\"a\":0,\"z\":1}");

    ngx_str_null(&members);
    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &shape, &members);
    check_written(&w, "{\"z\":1}");

    /* what is no object would break the answer */

    ngx_str_set(&members, "[1]");
    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &shape, &members);
    CHECK(w.failed);
}


static void
check_buffers(void)
{
    u_char          *p;
    size_t           i, size, largest, buffers;
    ngx_str_t        big, text;
    ngx_chain_t     *cl;
    vault_writer_t   w;

    big.len = 1000000;
    big.data = ngx_pnalloc(pool, big.len);
    ngx_memset(big.data, 'a', big.len);
    big.data[500000] = '"';

    vault_writer_init(&w, pool);
    vault_json_open(&w, NULL, '[');

    for (i = 0; i < 3; i++) {
        vault_json_string(&w, NULL, &big);
        vault_json_raw(&w, NULL, &big);
    }

    vault_json_close(&w, ']');

    CHECK(!w.failed);
    CHECK_INT(w.size, 6 * 1000000 + 3 * 3 + 2 + 5);

    size = 0;
    largest = 0;
    buffers = 0;

    for (cl = w.chain; cl; cl = cl->next) {
        size += cl->buf->last - cl->buf->pos;
        largest = ngx_max(largest, (size_t) (cl->buf->end - cl->buf->start));
        buffers++;
    }

    CHECK_INT(size, w.size);
    CHECK_INT(largest, 65536);
    CHECK(w.chain->buf->end - w.chain->buf->start == 1024);
    CHECK(buffers < 100);

    CHECK(vault_writer_text(&w, &text) == NGX_OK);
    p = text.data + 1 + 1 + 500000;
    CHECK(ngx_memcmp(p - 1, "a\\\"a", 4) == 0);

    /* every length around the border of the first buffers */

    for (i = 1000; i < 1050; i++) {
        vault_writer_init(&w, pool);
        big.len = i;
        vault_json_string(&w, NULL, &big);
        CHECK(vault_writer_text(&w, &text) == NGX_OK);
        CHECK(text.len == i + 2 && text.data[i + 1] == '"');
    }
}


static void
check_bounds(void)
{
    ngx_str_t       text;
    ngx_uint_t      n;
    vault_writer_t  w;

    vault_writer_init(&w, pool);
    w.max = 10;
    vault_json_cstring(&w, NULL, "12345678");
    CHECK(!w.failed);
    CHECK_INT(w.size, 10);
    vault_json_null(&w, NULL);
    CHECK(w.failed);
    CHECK(w.size <= 10);
    CHECK(vault_writer_text(&w, &text) == NGX_ERROR);

    for (n = 1; n < 4; n++) {
        vault_writer_init(&w, pool);
        shim_fail_alloc(n);
        vault_json_null(&w, NULL);
        shim_fail_alloc(0);
        CHECK(w.failed);

        vault_json_null(&w, NULL);
        CHECK(w.failed);
        CHECK(vault_writer_text(&w, &text) == NGX_ERROR);
    }
}


/* Fragments: no struct stands behind these shapes. */

static const vault_field_t  passkey_fields[] = {
    { "credentialId", VAULT_ENC, 0, VAULT_REQUIRED },
    { "creationDate", VAULT_DATE, 0, VAULT_REQUIRED },
    VAULT_FIELDS_END
};

static const vault_shape_t  passkey_shape = { passkey_fields, 0 };

static const vault_field_t  number_pattern = { NULL, VAULT_INT };
static const vault_field_t  id_pattern = { NULL, VAULT_UUID };

static const vault_field_t  row_pattern = {
    NULL, VAULT_ARRAY, 0, 0, 3, &number_pattern
};

static const vault_field_t  login_fields[] = {
    { "username", VAULT_ENC, 0 },
    { "uris", VAULT_LIST, 0, 0, 2, &item_shape },
    { "passkeys", VAULT_FRAGMENTS, 0, 0, 0, &passkey_shape },
    { "autofill", VAULT_BOOL, 0 },
    { "tags", VAULT_TEXTS, 0, 0, 2, &text_pattern },
    { "extra", VAULT_OBJECT, 0, VAULT_OMIT_NULL, 0, &item_shape },
    { "email", VAULT_EMAIL, 0, VAULT_OMIT_NULL },
    { "note", VAULT_FRAGMENT, 0, 0, 0, &item_shape },
    { "rows", VAULT_ARRAY, 0, VAULT_OMIT_NULL, 0, &row_pattern },
    { "ids", VAULT_TEXTS, 0, VAULT_OMIT_NULL, 0, &id_pattern },
    { "object", VAULT_CONST, 0, 0, 0, "\"login\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  login_shape = { login_fields, 0 };

typedef struct {
    ngx_str_t  login, logins;
} cipher_t;

static const vault_field_t  cipher_fields[] = {
    { "login", VAULT_FRAGMENT, offsetof(cipher_t, login), 0, 0, &login_shape },
    { "logins", VAULT_FRAGMENTS, offsetof(cipher_t, logins), 0, 3,
      &passkey_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  cipher_shape = VAULT_SHAPE(cipher_fields, cipher_t);

static cipher_t             cipher;
static vault_json_error_t   err;


static ngx_int_t
read_cipher(const char *json)
{
    ngx_str_t  text;

    text = check_text(pool, json);

    return vault_json_parse(pool, &text, &cipher_shape, &cipher, &err);
}


static void
check_bad(const char *json, const char *field, const char *text)
{
    CHECK_CASE(read_cipher(json) == NGX_DECLINED, json);
    CHECK_STR(&err.field, field);
    CHECK_STR(&err.text, text);
}


static void
check_fragments(void)
{
    ngx_str_t       first, second;
    vault_writer_t  w;

    CHECK(read_cipher("{}") == NGX_OK);
    CHECK_STR(&cipher.login, NULL);
    CHECK_STR(&cipher.logins, NULL);

    CHECK(read_cipher("{\"login\":{},\"logins\":[]}") == NGX_OK);
    CHECK_STR(&cipher.login, "{\"username\":null,\"uris\":null,"
              "\"passkeys\":null,\"autofill\":null,\"tags\":null,"
              "\"note\":null}");
    CHECK_STR(&cipher.logins, "[]");

    /* order, case of names, spaces, unknown names and dates: one form */

    CHECK(read_cipher(" { \"Logins\" : [ { \"creationDate\" : "
                      "\"2026-01-31T13:00:00.5+01:00\" , \"x\" : [ ] , "
                      "\"CredentialId\" : \"" ENC "\" } ] , \"login\" : { "
                      "\"note\": {\"Size\": 3, \"name\": \"\\u0022\\/\"}, "
                      "\"tags\": [\"a\", \"\"], \"Autofill\": false, "
                      "\"passkeys\": [], \"email\": \" A@B.c\", "
                      "\"uris\": [{}, {\"name\":\"\\u00e4\"}], "
                      "\"username\": \"\" } } ")
          == NGX_OK);
    CHECK_STR(&cipher.logins, "[{\"credentialId\":\"" ENC "\","
              "\"creationDate\":\"2026-01-31T12:00:00.500Z\"}]");
    CHECK_STR(&cipher.login, "{\"username\":null,\"uris\":[{\"name\":null},"
              "{\"name\":\"\xc3\xa4\"}],\"passkeys\":[],\"autofill\":false,"
              "\"tags\":[\"a\",\"\"],\"email\":\"a@b.c\","
              "\"note\":{\"name\":\"\\\"/\",\"size\":3}}");

    /* written, it reads as the same */

    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &cipher_shape, &cipher);
    CHECK(vault_writer_text(&w, &first) == NGX_OK);

    CHECK(vault_json_parse(pool, &first, &cipher_shape, &cipher, &err)
          == NGX_OK);
    vault_writer_init(&w, pool);
    vault_json_object(&w, NULL, &cipher_shape, &cipher);
    CHECK(vault_writer_text(&w, &second) == NGX_OK);
    CHECK(first.len == second.len
          && ngx_memcmp(first.data, second.data, first.len) == 0);

    /* lists of anything, and no hole in any of them */

    CHECK(read_cipher("{\"login\":{\"rows\":[[],[1,\"2\",-3]],\"ids\":[]}}")
          == NGX_OK);
    CHECK_STR(&cipher.login, "{\"username\":null,\"uris\":null,"
              "\"passkeys\":null,\"autofill\":null,\"tags\":null,"
              "\"note\":null,\"rows\":[[],[1,2,-3]],\"ids\":[]}");

    check_bad("{\"login\":{\"rows\":[[],7]}}", "login.rows[1]",
              "is not a list");
    check_bad("{\"login\":{\"rows\":[[],null]}}", "login.rows[1]",
              "is not a list");
    check_bad("{\"login\":{\"rows\":[[],[1,null]]}}", "login.rows[1][1]",
              "is required");
    check_bad("{\"login\":{\"rows\":[[],[1,2,3,4]]}}", "login.rows[1]",
              "has more than 3 items");
    check_bad("{\"login\":{\"ids\":[\"\"]}}", "login.ids[0]",
              "is required");
    check_bad("{\"login\":{\"ids\":[null]}}", "login.ids[0]",
              "is required");

    check_bad("{\"login\":[]}", "login", "is not an object");
    check_bad("{\"login\":\"{}\"}", "login", "is not an object");
    check_bad("{\"logins\":{}}", "logins", "is not a list");
    check_bad("{\"logins\":[null]}", "logins[0]", "is not an object");
    check_bad("{\"logins\":[{},{},{},{}]}", "logins",
              "has more than 3 items");
    check_bad("{\"login\":{\"username\":\"bob\"}}", "login.username",
              "is not an encrypted string");
    check_bad("{\"login\":{\"uris\":[{},{\"size\":\"big\"}]}}",
              "login.uris[1].size", "is not a number");
    check_bad("{\"login\":{\"uris\":[{},{},{}]}}", "login.uris",
              "has more than 2 items");
    check_bad("{\"login\":{\"tags\":[\"a\",7]}}", "login.tags[1]",
              "is not a text");
    check_bad("{\"login\":{\"tags\":[],\"note\":7}}", "login.note",
              "is not an object");
    check_bad("{\"login\":{\"passkeys\":[{\"credentialId\":\"" ENC "\"}]}}",
              "login.passkeys[0].creationDate", "is required");
}


/* A fragment longer than the largest buffer, then a small one. */
static void
check_long_fragment(void)
{
    char    *json, *p;
    size_t   i;

    json = ngx_palloc(pool, 300000);
    p = json + sprintf(json, "{\"login\":{\"tags\":[\"");

    for (i = 0; i < 9000; i++) {
        p += sprintf(p, "\\u0001");
    }

    p += sprintf(p, "\",\"");

    for (i = 0; i < 9000; i++) {
        p += sprintf(p, "\\u0002");
    }

    sprintf(p, "\"]},\"logins\":[]}");

    CHECK(read_cipher(json) == NGX_OK);
    CHECK_INT(cipher.login.len, strlen("{\"username\":null,\"uris\":null,"
              "\"passkeys\":null,\"autofill\":null,\"tags\":[\"\",\"\"],"
              "\"note\":null}") + 2 * 6 * 9000);
    CHECK(cipher.login.data[cipher.login.len - 1] == '}');
    CHECK_STR(&cipher.logins, "[]");
}


int
main(void)
{
    pool = ngx_create_pool(4096, shim_log());

    check_strings();
    check_values();
    check_shapes();
    check_members();
    check_buffers();
    check_bounds();
    check_fragments();
    check_long_fragment();

    ngx_destroy_pool(pool);

    return check_done();
}
