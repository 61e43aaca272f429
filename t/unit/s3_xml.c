/*
 * The XML of S3, by the examples of its API reference (DeleteObjects, REST
 * error responses) and by what is not XML at all.
 */

#include "check.h"

#include "../../src/files/s3_xml.h"


#define RESULT                                                               \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                           \
    "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"     \
    "  <Deleted>\n    <Key>sample1.txt</Key>\n  </Deleted>\n"                \
    "  <Error>\n    <Key>sample2.txt</Key>\n    <Code>AccessDenied</Code>\n" \
    "    <Message>Access Denied</Message>\n  </Error>\n"                     \
    "  <Deleted><Key>a&amp;b/&#x63;&#100;&#xFC;</Key></Deleted>\n"           \
    "</DeleteResult>"


static void
test_delete(ngx_pool_t *pool)
{
    ngx_str_t  out, prefix = ngx_string("p/");
    ngx_str_t  names[] = { ngx_string("one"), ngx_string("two") };

    CHECK_INT(vault_s3_xml_delete(pool, &prefix, names, 2, &out), NGX_OK);
    CHECK_STR(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
              "<Quiet>false</Quiet><Object><Key>p/one</Key></Object>"
              "<Object><Key>p/two</Key></Object></Delete>");

    shim_fail_alloc(1);
    CHECK_INT(vault_s3_xml_delete(pool, &prefix, names, 2, &out), NGX_ERROR);
    shim_fail_alloc(0);
}


static void
test_result(ngx_pool_t *pool)
{
    ngx_str_t  xml, result, rest, inside, text;

    xml = check_text(pool, RESULT);

    CHECK_INT(vault_s3_xml_next(&xml, "DeleteResult", &result), NGX_OK);
    CHECK_INT(xml.len, 0);

    rest = result;
    CHECK_INT(vault_s3_xml_next(&rest, "Deleted", &inside), NGX_OK);
    CHECK_INT(vault_s3_xml_text(pool, &inside, "Key", &text), NGX_OK);
    CHECK_STR(&text, "sample1.txt");
    CHECK_INT(vault_s3_xml_text(pool, &inside, "Code", &text), NGX_DECLINED);
    CHECK_INT(vault_s3_xml_next(&rest, "Deleted", &inside), NGX_OK);
    CHECK_INT(vault_s3_xml_text(pool, &inside, "Key", &text), NGX_OK);
    CHECK_STR(&text, "a&b/cd\xc3\xbc");
    CHECK_INT(vault_s3_xml_next(&rest, "Deleted", &inside), NGX_DECLINED);

    rest = result;
    CHECK_INT(vault_s3_xml_next(&rest, "Error", &inside), NGX_OK);
    CHECK_INT(vault_s3_xml_text(pool, &inside, "Key", &text), NGX_OK);
    CHECK_STR(&text, "sample2.txt");
    CHECK_INT(vault_s3_xml_text(pool, &inside, "Code", &text), NGX_OK);
    CHECK_STR(&text, "AccessDenied");
    CHECK_INT(vault_s3_xml_next(&rest, "Error", &inside), NGX_DECLINED);
}


typedef struct {
    const char  *xml;
    const char  *text;                /* of the first <Key>; NULL: none */
} case_t;

static const case_t  cases[] = {
    { "<Key>a</Key>", "a" },
    { "<Key></Key>", "" },
    { "<Key/>", "" },
    { "<Key />x", "" },
    { "<Key a=\"/>\">b</Key>", "b" },
    { "<Key a='>'\t>b</Key >", "b" },
    { "<Keys>x</Keys><Key>a</Key>", "a" },
    { "<!-- <Key>x</Key> --><Key>a</Key>", "a" },
    { "<!--><Key>x</Key>--><Key>a</Key>", "a" },
    { "<Key>a<!-- </Key> -->b</Key>", "a<!-- </Key> -->b" },
    { "<K><Key>a</Key></K>", "a" },
    { "<Key>&lt;&gt;&amp;&quot;&apos;</Key>", "<>&\"'" },
    { "<Key>&amp;lt;</Key>", "&lt;" },
    { "<Key>&#65;&#x42;&#x20ac;&#x1F600;</Key>",
      "AB\xe2\x82\xac\xf0\x9f\x98\x80" },
    { "<Key>&#0;&#xD800;&#x110000;&#;&#x;&nbsp;&;&</Key>",
      "&#0;&#xD800;&#x110000;&#;&#x;&nbsp;&;&" },
    { "<Key>&#99999999999999999999;</Key>", "&#99999999999999999999;" },
    { "", NULL },
    { "<", NULL },
    { "<Key", NULL },
    { "<Key>", NULL },
    { "<Key>a", NULL },
    { "<Key>a</Ke", NULL },
    { "<Key>a</Key", NULL },
    { "<Key>a</Keys>", NULL },
    { "<Key a=\">a</Key>", NULL },
    { "<!-- <Key>a</Key>", NULL },
    { "<!--", NULL },
    { "</Key>a<Key>", NULL },
    { "<key>a</key>", NULL },
    { "Service Unavailable", NULL },
    { "{\"Key\": \"a\"}", NULL },
};


static void
test_cases(ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_str_t   xml, text;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        xml = check_text(pool, cases[i].xml);
        ngx_str_null(&text);
        rc = vault_s3_xml_text(pool, &xml, "Key", &text);

        CHECK_CASE(rc == (cases[i].text ? NGX_OK : NGX_DECLINED),
                   cases[i].xml);
        CHECK_STR(&text, cases[i].text);
    }
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_delete(pool);
    test_result(pool);
    test_cases(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
