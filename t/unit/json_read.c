/*
 * json_read - bodies and form parameters into structs: each type, each error,
 * nesting, names, limits.
 */

#include "check.h"
#include "../../src/json/json.h"


#define ENC  "2.AAECAwQFBgcICQoLDA0ODw==|MDEyMzQ1Njc4OWFiY2RlZg==|"          \
             "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

typedef struct {
    ngx_str_t    uri;
    int64_t      match;
} uri_t;

typedef struct {
    ngx_str_t    password;
    ngx_array_t  uris;                /* uri_t */
} login_t;

typedef struct {
    ngx_str_t    text, small, needed;
    ngx_str_t    id, email, enc, key;
    int64_t      at, count, rank, flag, kind;
    login_t     *login;
    ngx_array_t  logins;              /* login_t */
    ngx_array_t  ids;                 /* ngx_str_t */
    ngx_array_t  names;               /* ngx_str_t */
    ngx_array_t  files;               /* file_t */
    ngx_str_t    raw;
} all_t;


static const vault_field_t  uri_fields[] = {
    { "uri", VAULT_ENC, offsetof(uri_t, uri), VAULT_REQUIRED },
    { "match", VAULT_INT, offsetof(uri_t, match) },
    VAULT_FIELDS_END
};

static const vault_shape_t  uri_shape = VAULT_SHAPE(uri_fields, uri_t);

static const vault_field_t  login_fields[] = {
    { "password", VAULT_ENC, offsetof(login_t, password) },
    { "uris", VAULT_LIST, offsetof(login_t, uris), 0, 2, &uri_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  login_shape = VAULT_SHAPE(login_fields, login_t);

typedef struct {
    int64_t    n;
    ngx_str_t  enc;
    ngx_str_t  name;
} file_t;

static const vault_field_t  file_fields[] = {
    { "", VAULT_TEXT, offsetof(file_t, name), 0, 8 },
    { "enc", VAULT_ENC, offsetof(file_t, enc) },
    { "n", VAULT_INT, offsetof(file_t, n) },
    VAULT_FIELDS_END
};

static const vault_shape_t  file_shape = VAULT_SHAPE(file_fields, file_t);

static const vault_range_t  rank_range = { -2, 5 };

static const int64_t  kinds[] = { 1, 2, 40, VAULT_NULL };

static const vault_field_t  id_pattern = { NULL, VAULT_UUID, 0 };

static const vault_field_t  name_pattern = { NULL, VAULT_TEXT, 0, 0, 3 };

static const vault_field_t  all_fields[] = {
    { "text", VAULT_TEXT, offsetof(all_t, text) },
    { "small", VAULT_TEXT, offsetof(all_t, small), 0, 5 },
    { "needed", VAULT_TEXT, offsetof(all_t, needed), VAULT_REQUIRED },
    { "id", VAULT_UUID, offsetof(all_t, id) },
    { "email", VAULT_EMAIL, offsetof(all_t, email) },
    { "enc", VAULT_ENC, offsetof(all_t, enc) },
    { "key", VAULT_BASE64, offsetof(all_t, key) },
    { "at", VAULT_DATE, offsetof(all_t, at) },
    { "count", VAULT_INT, offsetof(all_t, count) },
    { "rank", VAULT_INT, offsetof(all_t, rank), 0, 0, &rank_range },
    { "flag", VAULT_BOOL, offsetof(all_t, flag) },
    { "kind", VAULT_ENUM, offsetof(all_t, kind), 0, 0, kinds },
    { "login", VAULT_OBJECT, offsetof(all_t, login), 0, 0, &login_shape },
    { "logins", VAULT_LIST, offsetof(all_t, logins), 0, 0, &login_shape },
    { "ids", VAULT_TEXTS, offsetof(all_t, ids), 0, 2, &id_pattern },
    { "names", VAULT_TEXTS, offsetof(all_t, names), 0, 0, &name_pattern },
    { "files", VAULT_MAP, offsetof(all_t, files), 0, 3, &file_shape },
    { "raw", VAULT_RAW, offsetof(all_t, raw) },
    { "object", VAULT_CONST, 0, 0, 0, "\"all\"" },
    VAULT_FIELDS_END
};

static const vault_shape_t  all_shape = VAULT_SHAPE(all_fields, all_t);

static ngx_pool_t          *pool;
static vault_json_error_t   err;
static all_t                all;


static ngx_int_t
parse(const char *json)
{
    ngx_str_t  text;

    text = check_text(pool, json);
    memset(&all, 0xaa, sizeof(all));
    ngx_memzero(&err, sizeof(err));

    return vault_json_parse(pool, &text, &all_shape, &all, &err);
}


/* The body is refused; with this field and this text. */
static void
check_error(const char *json, const char *field, const char *text)
{
    CHECK_CASE(parse(json) == NGX_DECLINED, json);
    CHECK_STR(&err.field, field);
    CHECK_STR(&err.text, text);
}


/* {"needed":"x",<members>} is taken. */
static void
check_good(const char *members)
{
    char  json[1000];

    snprintf(json, sizeof(json), "{\"needed\":\"x\",%s}", members);

    if (!CHECK_CASE(parse(json) == NGX_OK, members)) {
        printf("# %.*s %.*s\n", (int) err.field.len, err.field.data,
               (int) err.text.len, err.text.data);
    }
}


static void
check_bad(const char *members, const char *field, const char *text)
{
    char  json[1000];

    snprintf(json, sizeof(json), "{\"needed\":\"x\",%s}", members);
    check_error(json, field, text);
}


static void
check_absent(void)
{
    CHECK_INT(parse("{\"needed\":\"x\"}"), NGX_OK);

    CHECK_STR(&all.needed, "x");
    CHECK_STR(&all.text, NULL);
    CHECK_STR(&all.id, NULL);
    CHECK_STR(&all.email, NULL);
    CHECK_STR(&all.enc, NULL);
    CHECK_STR(&all.key, NULL);
    CHECK_INT(all.at, VAULT_NULL);
    CHECK_INT(all.count, VAULT_NULL);
    CHECK_INT(all.rank, VAULT_NULL);
    CHECK_INT(all.flag, VAULT_NULL);
    CHECK_INT(all.kind, VAULT_NULL);
    CHECK(all.login == NULL);
    CHECK(all.logins.elts == NULL);
    CHECK(all.ids.elts == NULL);

    check_good("\"text\":null,\"id\":null,\"email\":null,\"enc\":null,"
               "\"key\":null,\"at\":null,\"count\":null,\"flag\":null,"
               "\"kind\":null,\"login\":null,\"logins\":null,\"ids\":null");
    CHECK_STR(&all.text, NULL);
    CHECK_STR(&all.enc, NULL);
    CHECK_INT(all.count, VAULT_NULL);
    CHECK_INT(all.kind, VAULT_NULL);
    CHECK(all.login == NULL);
    CHECK(all.logins.elts == NULL);

    /* an empty text is null, but for VAULT_TEXT */

    check_good("\"text\":\"\",\"id\":\"\",\"email\":\" \",\"enc\":\"\","
               "\"key\":\"\",\"at\":\"\",\"count\":\"\"");
    CHECK_STR(&all.text, "");
    CHECK_STR(&all.id, NULL);
    CHECK_STR(&all.email, NULL);
    CHECK_STR(&all.enc, NULL);
    CHECK_STR(&all.key, NULL);
    CHECK_INT(all.at, VAULT_NULL);
    CHECK_INT(all.count, VAULT_NULL);

    check_error("{}", "needed", "is required");
    check_error("{\"needed\":null}", "needed", "is required");
    check_error("{\"needed\":\"\"}", "needed", "is required");
}


static void
check_texts(void)
{
    check_good("\"text\":\"a\\u00e4\\ud83d\\ude00\\n\\\"\\\\\\/\\u0001\"");
    CHECK_STR(&all.text, "a\xc3\xa4\xf0\x9f\x98\x80\n\"\\/\x01");

    check_good("\"small\":\"12345\"");
    CHECK_STR(&all.small, "12345");
    check_bad("\"small\":\"123456\"", "small", "is longer than 5 bytes");
    check_bad("\"small\":\"\\u00e4\\u00e4\\u00e4\"", "small",
              "is longer than 5 bytes");
    check_bad("\"text\":7", "text", "is not a text");
    check_bad("\"text\":true", "text", "is not a text");
    check_bad("\"text\":{}", "text", "is not a text");
    check_bad("\"text\":[\"a\"]", "text", "is not a text");

    check_good("\"id\":\"0123ABCD-EF01-4567-89AB-CDEFabcdef12\"");
    CHECK_STR(&all.id, "0123abcd-ef01-4567-89ab-cdefabcdef12");
    check_bad("\"id\":\"0123ABCDEF01456789ABCDEFabcdef12\"", "id",
              "is not a UUID");

    check_good("\"email\":\" Alice@Example.COM\\n\"");
    CHECK_STR(&all.email, "alice@example.com");
    check_bad("\"email\":\"alice\"", "email", "is not an e-mail address");

    check_good("\"enc\":\"" ENC "\"");
    CHECK_STR(&all.enc, ENC);
    check_bad("\"enc\":\"hunter2\"", "enc", "is not an encrypted string");

    check_good("\"key\":\"AAE=\"");
    CHECK_STR(&all.key, "AAE=");
    check_bad("\"key\":\"AAE\"", "key", "is not base64");
    check_bad("\"key\":\"AA-_\"", "key", "is not base64");
}


static void
check_numbers(void)
{
    check_good("\"at\":\"2026-01-31T12:00:00.1234567+01:00\"");
    CHECK_INT(all.at, 1769857200123);
    check_bad("\"at\":\"yesterday\"", "at", "is not a date");
    check_bad("\"at\":1769857200123", "at", "is not a text");

    check_good("\"count\":0");
    CHECK_INT(all.count, 0);
    check_good("\"count\":-17");
    CHECK_INT(all.count, -17);
    check_good("\"count\":9223372036854775807");
    CHECK_INT(all.count, INT64_MAX);
    check_good("\"count\":\"42\"");
    CHECK_INT(all.count, 42);
    check_bad("\"count\":\"4 2\"", "count", "is not a number");
    check_bad("\"count\":1.5", "count", "is not a number");
    check_bad("\"count\":1e3", "count", "is not a number");
    check_bad("\"count\":true", "count", "is not a number");
    check_bad("\"count\":[]", "count", "is not a number");
    check_bad("\"count\":-9223372036854775808", "count", "is not a number");

    check_good("\"rank\":-2");
    CHECK_INT(all.rank, -2);
    check_good("\"rank\":5");
    check_bad("\"rank\":6", "rank", "is not between -2 and 5");
    check_bad("\"rank\":-3", "rank", "is not between -2 and 5");

    check_good("\"flag\":true");
    CHECK_INT(all.flag, 1);
    check_good("\"flag\":false");
    CHECK_INT(all.flag, 0);
    check_bad("\"flag\":1", "flag", "is not true or false");
    check_bad("\"flag\":\"true\"", "flag", "is not true or false");

    check_good("\"kind\":40");
    CHECK_INT(all.kind, 40);
    check_good("\"kind\":\"2\"");
    CHECK_INT(all.kind, 2);
    check_bad("\"kind\":3", "kind", "is not an allowed value");
    check_bad("\"kind\":-9223372036854775808", "kind",
              "is not an allowed value");
    check_bad("\"kind\":{}", "kind", "is not a number");
}


static void
check_nested(void)
{
    uri_t    *uri;
    login_t  *login;

    check_good("\"login\":{\"uris\":[{\"uri\":\"" ENC "\",\"match\":3}]}");
    CHECK_STR(&all.login->password, NULL);
    CHECK_INT(all.login->uris.nelts, 1);
    uri = all.login->uris.elts;
    CHECK_STR(&uri->uri, ENC);
    CHECK_INT(uri->match, 3);

    check_good("\"login\":{\"uris\":[]}");
    CHECK(all.login->uris.elts != NULL);
    CHECK_INT(all.login->uris.nelts, 0);

    check_good("\"logins\":[{},{\"password\":\"" ENC "\"},{\"uris\":null}]");
    CHECK_INT(all.logins.nelts, 3);
    login = all.logins.elts;
    CHECK_STR(&login[0].password, NULL);
    CHECK_STR(&login[1].password, ENC);
    CHECK(login[2].uris.elts == NULL);

    check_bad("\"login\":[]", "login", "is not an object");
    check_bad("\"logins\":{}", "logins", "is not a list");
    check_bad("\"logins\":[{},null]", "logins[1]", "is not an object");
    check_bad("\"logins\":[{},{},{\"password\":\"x\"}]",
              "logins[2].password", "is not an encrypted string");
    check_bad("\"logins\":[{\"uris\":[{\"uri\":\"" ENC "\"},{}]}]",
              "logins[0].uris[1].uri", "is required");
    check_bad("\"login\":{\"uris\":[{},{},{}]}", "login.uris",
              "has more than 2 items");

    /* the place is right after a nested value that was good */

    check_bad("\"login\":{\"uris\":[]},\"ids\":7", "ids", "is not a list");
}


static void
check_maps(void)
{
    file_t  *file;

    check_good("\"files\":{\"a\":{\"enc\":\"" ENC "\",\"N\":5,\"\":\"x\"},"
               "\"\":\"" ENC "\",\"c\":{}}");
    CHECK_INT(all.files.nelts, 3);
    file = all.files.elts;
    CHECK_STR(&file[0].name, "a");
    CHECK_STR(&file[0].enc, ENC);
    CHECK_INT(file[0].n, 5);
    CHECK_STR(&file[1].name, "");
    CHECK_STR(&file[1].enc, ENC);
    CHECK_INT(file[1].n, VAULT_NULL);
    CHECK_STR(&file[2].name, "c");
    CHECK_STR(&file[2].enc, NULL);
    CHECK_INT(file[2].n, VAULT_NULL);

    check_good("\"files\":{\"a\":{\"n\":1},\"a\":{\"n\":2}}");
    CHECK_INT(all.files.nelts, 1);
    file = all.files.elts;
    CHECK_INT(file[0].n, 2);

    check_good("\"files\":{}");
    CHECK(all.files.elts != NULL);
    CHECK_INT(all.files.nelts, 0);

    check_good("\"files\":null");
    CHECK(all.files.elts == NULL);

    check_bad("\"files\":[]", "files", "is not an object");
    check_bad("\"files\":\"a\"", "files", "is not an object");
    check_bad("\"files\":{\"a\":null}", "files[0]", "is not an object");
    check_bad("\"files\":{\"a\":{},\"b\":[]}", "files[1]",
              "is not an object");
    check_bad("\"files\":{\"a\":{},\"b\":{\"enc\":\"x\"}}", "files[1].enc",
              "is not an encrypted string");
    check_bad("\"files\":{\"a\":\"x\"}", "files[0]",
              "is not an encrypted string");
    check_bad("\"files\":{\"123456789\":{}}", "files[0]",
              "is longer than 8 bytes");
    check_bad("\"files\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{}}", "files",
              "has more than 3 items");
    check_bad("\"files\":{\"a\":{}},\"ids\":7", "ids", "is not a list");
}


static void
check_text_lists(void)
{
    ngx_str_t  *text;

    check_good("\"ids\":[\"0123ABCD-EF01-4567-89AB-CDEFabcdef12\"]");
    CHECK_INT(all.ids.nelts, 1);
    text = all.ids.elts;
    CHECK_STR(text, "0123abcd-ef01-4567-89ab-cdefabcdef12");

    check_good("\"ids\":[]");
    CHECK(all.ids.elts != NULL);
    CHECK_INT(all.ids.nelts, 0);

    check_good("\"names\":[\"a\",\"\",\"abc\"]");
    text = all.names.elts;
    CHECK_INT(all.names.nelts, 3);
    CHECK_STR(&text[1], "");
    CHECK_STR(&text[2], "abc");

    check_bad("\"ids\":\"x\"", "ids", "is not a list");
    check_bad("\"ids\":[\"x\"]", "ids[0]", "is not a UUID");
    check_bad("\"ids\":[null]", "ids[0]", "is required");
    check_bad("\"ids\":[\"\"]", "ids[0]", "is required");
    check_bad("\"ids\":[1,2,3]", "ids", "has more than 2 items");
    check_bad("\"names\":[\"abc\",\"abcd\"]", "names[1]",
              "is longer than 3 bytes");
}


static void
check_names(void)
{
    CHECK_INT(parse("{\"Needed\":\"x\",\"Login\":{\"Uris\":[]},\"Count\":1}"),
              NGX_OK);
    CHECK_STR(&all.needed, "x");
    CHECK_INT(all.login->uris.nelts, 0);
    CHECK_INT(all.count, 1);

    /* as given comes first, whatever the order */

    check_good("\"Count\":1,\"count\":2,\"COUNT\":3");
    CHECK_INT(all.count, 2);

    /* unknown ones, and those that only answers have */

    check_good("\"other\":[{\"x\":1.5}],\"nEEded\":7,\"\":null,\"raw\":\"x\","
               "\"object\":1");
    CHECK_STR(&all.raw, NULL);

    /* an error tells the name of the table */

    check_error("{\"needed\":\"x\",\"Count\":\"x\"}", "count",
                "is not a number");
}


static void
check_syntax(void)
{
    size_t              i;
    char                text[64];
    static const char  *bad[] = {
        "{", "}", "{]", "[}", "\"", "\"abc", "{\"needed\":\"x\"",
        "{\"needed\":\"x\"}}", "{\"needed\":\"x\"} x", "{needed:\"x\"}",
        "{'needed':'x'}", "{\"needed\":\"x\",}", "{\"needed\":\"\\x\"}",
        "{\"needed\":\"\\\"}", "nul", "\xef\xbb\xbf{}", "{\"a\":01}",
        "{\"needed\":\"a\tb\"}", "{\"a\":1e999}", " ", "7", "null",
        "{\"needed\":\"\\u0000\"}", "{\"needed\":\"\\ud800\"}",
        "{\"needed\":\"\xff\"}", "{\"needed\":\"\xc0\x80\"}",
        "{\"needed\":\"\xed\xa0\x80\"}", "{\"\xff\":1}",
        "{\"\\u0000\":1}", "{\"a\":99999999999999999999}",
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_CASE(parse(bad[i]) == NGX_DECLINED, bad[i]);
        CHECK_STR(&err.field, "body");

        snprintf(text, sizeof(text), "%.*s", 17, (char *) err.text.data);
        CHECK_CASE(strcmp(text, "is not valid JSON") == 0, text);
    }

    check_error("", "body", "is empty");
    check_error("[]", "body", "is not an object");
    check_error("[{\"needed\":\"x\"}]", "body", "is not an object");

    /* the text of an error never quotes the body */

    check_error("{\"needed\":hunter2}", "body",
                "is not valid JSON (near byte 16)");
}


static void
check_nul(void)
{
    ngx_str_t  raw = ngx_string("{\"needed\":\"x\0y\"}");
    ngx_str_t  tail = ngx_string("{\"needed\":\"x\"}\0");

    CHECK(vault_json_parse(pool, &raw, &all_shape, &all, &err)
          == NGX_DECLINED);
    CHECK(vault_json_parse(pool, &tail, &all_shape, &all, &err)
          == NGX_DECLINED);
}


static ngx_int_t
parse_nested(ngx_uint_t depth, const char *open, const char *close)
{
    char        *json, *p;
    ngx_uint_t   i;

    json = ngx_palloc(pool, 64 + depth * (strlen(open) + strlen(close)));
    p = json + sprintf(json, "{\"needed\":\"x\",\"other\":");

    for (i = 0; i < depth; i++) {
        p += sprintf(p, "%s", open);
    }

    p += sprintf(p, "1");

    for (i = 0; i < depth; i++) {
        p += sprintf(p, "%s", close);
    }

    sprintf(p, "}");

    return parse(json);
}


static void
check_limits(void)
{
    u_char      *p;
    size_t       i, n;
    ngx_str_t    text;

    CHECK(parse_nested(VAULT_JSON_MAX_DEPTH - 1, "[", "]") == NGX_OK);
    CHECK(parse_nested(VAULT_JSON_MAX_DEPTH, "[", "]") == NGX_DECLINED);
    CHECK_STR(&err.field, "body");
    CHECK_STR(&err.text, "is nested too deeply");
    CHECK(parse_nested(VAULT_JSON_MAX_DEPTH - 1, "{\"a\":", "}") == NGX_OK);
    CHECK(parse_nested(VAULT_JSON_MAX_DEPTH, "{\"a\":", "}") == NGX_DECLINED);
    CHECK(parse_nested(100000, "[", "]") == NGX_DECLINED);
    CHECK_STR(&err.text, "is nested too deeply");

    /* brackets in strings do not count, whatever is escaped before */

    check_good("\"text\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");
    check_good("\"text\":\"\\\\\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");
    CHECK_CASE(parse("{\"needed\":\"\\\\\",\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                     "[[[[[[[[[[[[[\\\"") == NGX_DECLINED, "even backslashes");
    CHECK_STR(&err.text, "is nested too deeply");

    /* containers: 1,000 of any size, more only if they have content */

    n = 100000;
    text.data = ngx_pnalloc(pool, 64 + 21 * n);

    p = ngx_sprintf(text.data, "{\"needed\":\"x\",\"a\":[1");

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, ",{}", 3);
    }

    p = ngx_cpymem(p, "]}", 2);
    text.len = p - text.data;
    CHECK(vault_json_parse(pool, &text, &all_shape, &all, &err)
          == NGX_DECLINED);
    CHECK_STR(&err.text, "has too many objects and lists");

    p = ngx_sprintf(text.data, "{\"needed\":\"x\",\"a\":[1");

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, ",{\"key\":0,\"value\":0}", 20);
    }

    p = ngx_cpymem(p, "]}", 2);
    text.len = p - text.data;
    CHECK(vault_json_parse(pool, &text, &all_shape, &all, &err) == NGX_OK);

    /* values: 100,000 of any size, more only if they have content */

    p = ngx_sprintf(text.data, "{\"needed\":\"x\",\"a\":[1");

    for (i = 0; i < n - 1; i++) {
        p = ngx_cpymem(p, ",1", 2);
    }

    text.len = ngx_cpymem(p, "]}", 2) - text.data;
    CHECK(vault_json_parse(pool, &text, &all_shape, &all, &err) == NGX_OK);

    p = ngx_cpymem(p, ",1,1,1]}", 8);
    text.len = p - text.data;
    CHECK(vault_json_parse(pool, &text, &all_shape, &all, &err)
          == NGX_DECLINED);
    CHECK_STR(&err.text, "has too many values");
}


static void
check_huge(void)
{
    u_char                *p;
    size_t                 len;
    ngx_str_t              text, out;
    vault_shape_t          shape;
    static vault_field_t   fields[] = {
        { "text", VAULT_TEXT, 0, 0, 20000000 },
        VAULT_FIELDS_END
    };

    shape.fields = fields;
    shape.size = sizeof(ngx_str_t);

    len = 10000000;
    text.data = ngx_pnalloc(pool, len + 64);
    p = ngx_cpymem(text.data, "{\"text\":\"", 9);
    ngx_memset(p, 'a', len);
    p = ngx_cpymem(p + len, "\"}", 2);
    text.len = p - text.data;

    CHECK(vault_json_parse(pool, &text, &shape, &out, &err) == NGX_OK);
    CHECK_INT(out.len, len);
    CHECK(out.data[0] == 'a' && out.data[len - 1] == 'a');

    fields[0].max = 0;
    CHECK(vault_json_parse(pool, &text, &shape, &out, &err) == NGX_DECLINED);
    CHECK_STR(&err.field, "text");
    CHECK_STR(&err.text, "is longer than 10000 bytes");
}


static ngx_int_t
read_text(const char *name, const char *s, void *slot)
{
    ngx_str_t             text;
    const vault_field_t  *field;

    text = check_text(pool, s);
    ngx_memzero(&err, sizeof(err));

    for (field = all_fields; strcmp(field->name, name) != 0; field++) {
        /* void */
    }

    return vault_json_text(pool, &text, field, slot, &err);
}


static void
check_parameters(void)
{
    int64_t    n;
    ngx_str_t  s;

    CHECK(read_text("text", "a b", &s) == NGX_OK);
    CHECK_STR(&s, "a b");
    CHECK(read_text("text", "", &s) == NGX_OK);
    CHECK_STR(&s, "");
    CHECK(read_text("needed", "", &s) == NGX_DECLINED);
    CHECK_STR(&err.field, "needed");
    CHECK_STR(&err.text, "is required");
    CHECK(read_text("id", "", &s) == NGX_OK);
    CHECK_STR(&s, NULL);
    CHECK(read_text("id", "0123ABCD-EF01-4567-89AB-CDEFabcdef12", &s)
          == NGX_OK);
    CHECK_STR(&s, "0123abcd-ef01-4567-89ab-cdefabcdef12");
    CHECK(read_text("small", "123456", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", &s)
          == NGX_OK);
    CHECK(read_text("text", "\xc3", &s) == NGX_DECLINED);
    CHECK_STR(&err.text, "is not UTF-8 text");
    CHECK(read_text("text", "\xc0\x80", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xe0\x9f\xbf", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xed\xa0\x80", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xf0\x8f\xbf\xbf", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xf4\x90\x80\x80", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xf0\x9f\x98", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xf0\x9f\x98\x20", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\x80", &s) == NGX_DECLINED);
    CHECK(read_text("text", "\xff", &s) == NGX_DECLINED);

    s.data = (u_char *) "a\0b";
    s.len = 3;
    CHECK(vault_json_text(pool, &s, &all_fields[0], &s, &err)
          == NGX_DECLINED);

    ngx_str_null(&s);
    CHECK(vault_json_text(pool, &s, &all_fields[0], &s, &err) == NGX_OK);
    CHECK_STR(&s, NULL);
    CHECK(vault_json_text(pool, &s, &all_fields[2], &s, &err)
          == NGX_DECLINED);
    CHECK_STR(&err.text, "is required");

    CHECK(read_text("count", " 17 ", &n) == NGX_OK);
    CHECK_INT(n, 17);
    CHECK(read_text("count", "-0", &n) == NGX_OK);
    CHECK_INT(n, 0);
    CHECK(read_text("count", "-9223372036854775807", &n) == NGX_OK);
    CHECK_INT(n, -INT64_MAX);
    CHECK(read_text("count", "9223372036854775808", &n) == NGX_DECLINED);
    CHECK(read_text("count", "-9223372036854775808", &n) == NGX_DECLINED);
    CHECK(read_text("count", "1.0", &n) == NGX_DECLINED);
    CHECK(read_text("count", "+1", &n) == NGX_DECLINED);
    CHECK(read_text("count", "-", &n) == NGX_DECLINED);
    CHECK(read_text("count", "0x10", &n) == NGX_DECLINED);
    CHECK(read_text("count", " ", &n) == NGX_OK);
    CHECK_INT(n, VAULT_NULL);
    CHECK(read_text("rank", "6", &n) == NGX_DECLINED);
    CHECK(read_text("kind", "2", &n) == NGX_OK);
    CHECK(read_text("kind", "3", &n) == NGX_DECLINED);
    CHECK(read_text("flag", "True", &n) == NGX_OK);
    CHECK_INT(n, 1);
    CHECK(read_text("flag", "0", &n) == NGX_OK);
    CHECK_INT(n, 0);
    CHECK(read_text("flag", "yes", &n) == NGX_DECLINED);
    CHECK(read_text("at", "2026-01-31T12:00:00Z", &n) == NGX_OK);
    CHECK_INT(n, 1769860800000);

    CHECK(read_text("login", "{}", &n) == NGX_DECLINED);
    CHECK_STR(&err.text, "cannot be given as a text");
}


/* A lack of memory, at each allocation in turn, is told and nothing else. */
static void
check_no_memory(void)
{
    ngx_int_t   rc;
    ngx_str_t   text;
    ngx_uint_t  n, wrong;

    text = check_text(pool,
                      "{\"needed\":\"x\",\"email\":\"alice@example.com\","
                      "\"logins\":[{\"uris\":[{\"uri\":\"" ENC "\"}]}],"
                      "\"login\":{},\"names\":[\"a\"]}");
    wrong = 0;

    for (n = 1; n < 1000; n++) {
        shim_fail_alloc(n);
        rc = vault_json_parse(pool, &text, &all_shape, &all, &err);
        shim_fail_alloc(0);

        if (rc == NGX_OK) {
            break;
        }

        wrong += (rc != NGX_ERROR);
    }

    CHECK(n > 5 && n < 1000);
    CHECK_INT(wrong, 0);

    text.len = 5;

    for (n = 1; n < 1000; n++) {
        shim_fail_alloc(n);
        rc = vault_json_parse(pool, &text, &all_shape, &all, &err);
        shim_fail_alloc(0);

        if (rc == NGX_DECLINED) {
            break;
        }

        wrong += (rc != NGX_ERROR);
    }

    CHECK_INT(n, 3);
    CHECK_INT(wrong, 0);
}


int
main(void)
{
    pool = ngx_create_pool(4096, shim_log());

    check_absent();
    check_texts();
    check_numbers();
    check_nested();
    check_maps();
    check_text_lists();
    check_names();
    check_syntax();
    check_nul();
    check_limits();
    check_huge();
    check_parameters();
    check_no_memory();

    ngx_destroy_pool(pool);

    return check_done();
}
