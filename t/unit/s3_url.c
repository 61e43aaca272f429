/*
 * URLs of buckets: what they mean, what is wrong with them, and the hosts and
 * paths that follow.
 */

#include "check.h"

#include "../../src/files/s3_url.h"


typedef struct {
    const char  *url;
    const char  *region;              /* of the place */
    const char  *address;
    const char  *host;
    const char  *bucket;
    const char  *objects;
} place_t;

static const place_t  places[] = {
    { "s3://files", "eu-west-1", "files.s3.eu-west-1.amazonaws.com",
      "files.s3.eu-west-1.amazonaws.com", "/", "/" },
    { "s3://files/", "us-gov-west-1", "files.s3.us-gov-west-1.amazonaws.com",
      "files.s3.us-gov-west-1.amazonaws.com", "/", "/" },
    { "s3://files/a/b?region=cn-north-1", "cn-north-1",
      "files.s3.cn-north-1.amazonaws.com.cn",
      "files.s3.cn-north-1.amazonaws.com.cn", "/", "/a/b/" },
    { "s3://my.files/a/", "eu-west-1", "s3.eu-west-1.amazonaws.com",
      "s3.eu-west-1.amazonaws.com", "/my.files", "/my.files/a/" },
    { "s3://files?path_style=on", "eu-west-1", "s3.eu-west-1.amazonaws.com",
      "s3.eu-west-1.amazonaws.com", "/files", "/files/" },
    { "s3://files/a?endpoint=https://s3.example.com", "us-east-1",
      "s3.example.com", "s3.example.com", "/files", "/files/a/" },
    { "s3://files?endpoint=https://s3.example.com:443/&path_style=off",
      "us-east-1", "files.s3.example.com", "files.s3.example.com", "/", "/" },
    { "s3://files?path_style=off&endpoint=https://s3.example.com:9443",
      "us-east-1", "files.s3.example.com", "files.s3.example.com:9443", "/",
      "/" },
    { "s3://files?endpoint=http://127.0.0.1:9000", "garage", "127.0.0.1",
      "127.0.0.1:9000", "/files", "/files/" },
    { "s3://files?endpoint=http://[::1]:9000", "garage", "::1", "[::1]:9000",
      "/files", "/files/" },
    { "s3://files?endpoint=http://[::1]", "garage", "::1", "[::1]",
      "/files", "/files/" },
};


static void
test_places(ngx_pool_t *pool)
{
    ngx_str_t         text, region, error;
    ngx_uint_t        i;
    vault_s3_url_t    url;
    vault_s3_place_t  place;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        text = check_text(pool, places[i].url);
        region = check_text(pool, places[i].region);
        ngx_str_null(&error);

        CHECK_CASE(vault_s3_url_parse(pool, &text, &url, &error) == NGX_OK,
                   places[i].url);
        CHECK_STR(&error, NULL);
        CHECK_INT(vault_s3_url_place(pool, &url, &region, &place), NGX_OK);
        CHECK_STR(&place.region, places[i].region);
        CHECK_STR(&place.address, places[i].address);
        CHECK_STR(&place.host, places[i].host);
        CHECK_STR(&place.bucket, places[i].bucket);
        CHECK_STR(&place.objects, places[i].objects);
    }
}


static void
test_options(ngx_pool_t *pool)
{
    ngx_str_t       text, error;
    vault_s3_url_t  url;

    text = check_text(pool, "s3://files-1/a~b/c_d.e?region=eu-west-1"
                            "&storage_class=INTELLIGENT_TIERING&sse=aws:kms"
                            "&kms_key=arn:aws:kms:eu-west-1:123456789012:key/"
                            "1234abcd-12ab-34cd-56ef-1234567890ab");

    CHECK_INT(vault_s3_url_parse(pool, &text, &url, &error), NGX_OK);
    CHECK_STR(&url.bucket, "files-1");
    CHECK_STR(&url.prefix, "a~b/c_d.e/");
    CHECK_STR(&url.region, "eu-west-1");
    CHECK_STR(&url.storage_class, "INTELLIGENT_TIERING");
    CHECK_STR(&url.sse, "aws:kms");
    CHECK_STR(&url.kms_key, "arn:aws:kms:eu-west-1:123456789012:key/"
                            "1234abcd-12ab-34cd-56ef-1234567890ab");
    CHECK_INT(url.tls, 1);
    CHECK_INT(url.port, 443);
    CHECK_INT(url.host.len, 0);
    CHECK_INT(url.path_style, 0);

    text = check_text(pool, "s3://files?endpoint=http://localhost"
                            "&storage_class=COLD&sse=AES256");

    CHECK_INT(vault_s3_url_parse(pool, &text, &url, &error), NGX_OK);
    CHECK_INT(url.tls, 0);
    CHECK_INT(url.port, 80);
    CHECK_INT(url.loopback, 1);
    CHECK_STR(&url.storage_class, "COLD");

    text = check_text(pool, "s3://files?endpoint=http://127.0.0.1.example.com");

    CHECK_INT(vault_s3_url_parse(pool, &text, &url, &error), NGX_OK);
    CHECK_INT(url.loopback, 0);
}


typedef struct {
    const char  *url;
    const char  *error;               /* its beginning */
} bad_t;

#define LONG_NAME  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_PART  LONG_NAME LONG_NAME LONG_NAME LONG_NAME "/"

static const bad_t  bad[] = {
    { "s3:/files", "does not begin with s3://" },
    { "S3://files", "does not begin with s3://" },
    { "s3://", "\"\" is not the name of a bucket" },
    { "s3://?region=eu-west-1", "\"\" is not the name of a bucket" },
    { "s3:///files", "\"\" is not the name of a bucket" },
    { "s3://ab", "\"ab\" is not the name of a bucket" },
    { "s3://" LONG_NAME LONG_NAME, "\"" LONG_NAME LONG_NAME "\" is not" },
    { "s3://Files", "\"Files\" is not the name of a bucket" },
    { "s3://my_files", "\"my_files\" is not the name of a bucket" },
    { "s3://-files", "\"-files\" is not the name of a bucket" },
    { "s3://files-", "\"files-\" is not the name of a bucket" },
    { "s3://.files", "\".files\" is not the name of a bucket" },
    { "s3://my..files", "\"my..files\" is not the name of a bucket" },
    { "s3://my.-files", "\"my.-files\" is not the name of a bucket" },
    { "s3://192.168.5.4", "\"192.168.5.4\" is not the name of a bucket" },
    { "s3://xn--files", "\"xn--files\" is not the name of a bucket" },
    { "s3://files@host", "\"files@host\" is not the name of a bucket" },
    { "s3://files:80", "\"files:80\" is not the name of a bucket" },
    { "s3://files--x-s3", "\"files--x-s3\" is a directory bucket" },
    { "s3://files/a//b", "the prefix \"a//b\" has an empty part" },
    { "s3://files//", "the prefix \"/\" has an empty part" },
    { "s3://files/../a", "the prefix \"../a\" has an empty part" },
    { "s3://files/a/.", "the prefix \"a/.\" has an empty part" },
    { "s3://files/a%20b", "the prefix \"a%20b\" may have" },
    { "s3://files/a b", "the prefix \"a b\" may have" },
    { "s3://files/\xc3\xbc", "the prefix \"\xc3\xbc\" may have" },
    { "s3://files/" LONG_PART LONG_PART LONG_PART LONG_PART,
      "the prefix \"" LONG_NAME },
    { "s3://files?regoin=eu-west-1", "unknown option \"regoin\"" },
    { "s3://files?", NULL },
    { "s3://files?&", "unknown option \"\"" },
    { "s3://files?region", "\"\" is not the name of a region" },
    { "s3://files?region=", "\"\" is not the name of a region" },
    { "s3://files?region=EU", "\"EU\" is not the name of a region" },
    { "s3://files?region=eu.west", "\"eu.west\" is not the name" },
    { "s3://files?region=eu-west-1&region=eu-west-1",
      "the option \"region\" is there twice" },
    { "s3://files?endpoint=s3.example.com",
      "the endpoint \"s3.example.com\" does not begin" },
    { "s3://files?endpoint=ftp://s3.example.com", "the endpoint \"ftp:" },
    { "s3://files?endpoint=https://", "the endpoint \"https://\" is not like" },
    { "s3://files?endpoint=https:///", "the endpoint \"https:///\" is" },
    { "s3://files?endpoint=https://a/b", "the endpoint \"https://a/b\" is" },
    { "s3://files?endpoint=https://a@b", "the endpoint \"https://a@b\" is" },
    { "s3://files?endpoint=https://a:", "the endpoint \"https://a:\" is" },
    { "s3://files?endpoint=https://a:0", "the endpoint \"https://a:0\" is" },
    { "s3://files?endpoint=https://a:65536", "the endpoint \"https://a:65536" },
    { "s3://files?endpoint=https://a:1x", "the endpoint \"https://a:1x\" is" },
    { "s3://files?endpoint=https://[::1", "the endpoint \"https://[::1\"" },
    { "s3://files?endpoint=https://[::1]x", "the endpoint \"https://[::1]x\"" },
    { "s3://files?endpoint=https://[x]", "the endpoint \"https://[x]\" is" },
    { "s3://files?endpoint=https://[]", "the endpoint \"https://[]\" is" },
    { "s3://files?endpoint=https://[", "the endpoint \"https://[\" is" },
    { "s3://files?endpoint=https://::1", "the endpoint \"https://::1\" is" },
    { "s3://files?path_style=yes", "path_style is \"on\" or \"off\"" },
    { "s3://my.files?path_style=off", "\"my.files\" has dots" },
    { "s3://files?endpoint=http://127.0.0.1&path_style=off",
      "the endpoint \"127.0.0.1\" is an address" },
    { "s3://files?endpoint=http://[::1]&path_style=off",
      "the endpoint \"::1\" is an address" },
    { "s3://files?storage_class=", "\"\" is not a storage class" },
    { "s3://files?storage_class=standard", "\"standard\" is not a storage" },
    { "s3://files?storage_class=COLD", "\"COLD\" is not a storage class of" },
    { "s3://files?storage_class=GLACIER", "what is stored as \"GLACIER\"" },
    { "s3://files?sse=on", "sse is AES256, aws:kms or aws:kms:dsse, not" },
    { "s3://files?sse=AES256&kms_key=1234", "the key \"1234\" needs" },
    { "s3://files?kms_key=1234", "the key \"1234\" needs sse=aws:kms" },
    { "s3://files?sse=aws:kms&kms_key=a\nb", "\"a\nb\" is not the id" },
};


static void
test_mistakes(ngx_pool_t *pool)
{
    size_t          len;
    ngx_int_t       rc;
    ngx_str_t       text, error;
    ngx_uint_t      i;
    vault_s3_url_t  url;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text = check_text(pool, bad[i].url);
        ngx_str_null(&error);
        rc = vault_s3_url_parse(pool, &text, &url, &error);

        if (bad[i].error == NULL) {
            CHECK_CASE(rc == NGX_OK, "an empty list of options");
            continue;
        }

        len = strlen(bad[i].error);

        if (!CHECK_CASE(rc == NGX_DECLINED && error.len >= len
                        && memcmp(error.data, bad[i].error, len) == 0,
                        "a mistake is named"))
        {
            printf("# %s: %.*s\n", bad[i].url, (int) error.len, error.data);
        }
    }
}


static void
test_memory(ngx_pool_t *pool)
{
    ngx_str_t         text, region, error;
    ngx_uint_t        i;
    vault_s3_url_t    url;
    vault_s3_place_t  place;

    text = check_text(pool, "s3://files/a?endpoint=http://localhost:9000");
    region = check_text(pool, "eu-west-1");

    for (i = 1; i < 10; i++) {
        shim_fail_alloc(i);

        if (vault_s3_url_parse(pool, &text, &url, &error) == NGX_OK
            && vault_s3_url_place(pool, &url, &region, &place) == NGX_OK)
        {
            break;
        }
    }

    shim_fail_alloc(0);
    CHECK_INT(i, 7);
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_places(pool);
    test_options(pool);
    test_mistakes(pool);
    test_memory(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
