/*
 * Any JSON as text: what is taken, what is found, how Go would write it.
 */

#include "check.h"

#include "../../src/json/value.h"


static ngx_str_t
text_of(const char *text)
{
    ngx_str_t  out;

    out.data = (u_char *) text;
    out.len = strlen(text);

    return out;
}


static void
check_grammar(void)
{
    size_t      i;
    ngx_str_t   text;
    char        deep[80];

    static const char  *good[] = {
        "{}", " [1, -0.5e+7, \"a\\u00e9\\ud83d\\ude00\\n\"] ", "null", "0",
        "{\"a\":{\"b\":[true,false,null]},\"a\":1}", "\"\"", "1E5"
    };

    static const char  *bad[] = {
        "", " ", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "1.",
        ".5", "+1", "1e", "nul", "truex", "\"\\x\"", "\"\\u12\"", "\"a",
        "\"\\ud83d\"", "\"\\ude00\"", "\"\\u0000\"", "\"\t\"", "[1 2]",
        "{} {}", "\"\xff\"", "'a'", "[", "]", "{\"a\":1,}", "-", "\"\\"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        text = text_of(good[i]);
        CHECK_CASE(vault_value_check(&text) == NGX_OK, good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text = text_of(bad[i]);
        CHECK_CASE(vault_value_check(&text) == NGX_DECLINED, bad[i]);
    }

    memset(deep, '[', 40);
    memset(deep + 40, ']', 40);
    text.data = (u_char *) deep;
    text.len = 80;
    CHECK_CASE(vault_value_check(&text) == NGX_DECLINED, "refused: too deep");
    text.data += 9;
    text.len -= 18;
    CHECK_CASE(vault_value_check(&text) == NGX_OK, "taken: deep enough");
}


static ngx_uint_t
same(const ngx_str_t *a, const char *b)
{
    return a->len == strlen(b) && memcmp(a->data, b, a->len) == 0;
}


static void
check_finding(ngx_pool_t *pool)
{
    ngx_str_t  json, name, value, text;

    json = text_of("{\"a\": 1.10, \"b\\u0062\": \"x\\ty\\u20ac\","
                   " \"a\": [2]}");
    name = text_of("a");
    CHECK_CASE(vault_value_find(pool, &json, &name, &value) == NGX_OK
       && same(&value, "[2]"), "the last of two");

    name = text_of("bb");
    CHECK_CASE(vault_value_find(pool, &json, &name, &value) == NGX_OK
       && vault_value_text(pool, &value, &text) == NGX_OK
       && same(&text, "x\ty\xe2\x82\xac"), "an escaped name, a text");

    name = text_of("c");
    CHECK_CASE(vault_value_find(pool, &json, &name, &value) == NGX_DECLINED,
       "one that is not there");

    json = text_of("[1]");
    CHECK_CASE(vault_value_find(pool, &json, &name, &value) == NGX_DECLINED,
       "in what is no object");
}


static void
check_indent(ngx_pool_t *pool)
{
    ngx_str_t  json, out;

    json = text_of("{\"b\":[1.50,{}],\"a\":\"<&>\\u2028\\/\\\"\",\"c\":[]}");
    CHECK_CASE(vault_value_indent(pool, &json, 0, &out) == NGX_OK
       && same(&out, "{\n  \"a\": \"\\u003c\\u0026\\u003e\\u2028/\\\"\",\n"
                     "  \"b\": [\n    1.50,\n    {}\n  ],\n  \"c\": []\n}"),
       "as Go writes it");

    out.data = NULL;
    json.data = NULL;
    CHECK_CASE(vault_value_indent(pool, &json, 0, &out) == NGX_OK
       && same(&out, "null"), "nothing");
}


int
main(void)
{
    ngx_pool_t  *pool = ngx_create_pool(4096, shim_log());

    check_grammar();
    check_finding(pool);
    check_indent(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
