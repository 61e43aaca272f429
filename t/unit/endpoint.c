/*
 * Names of AWS: the region in a host, and hosts that may be asked for
 * credentials.
 */

#include "check.h"

#include "../../src/aws/endpoint.h"


typedef struct {
    const char  *text;
    const char  *region;              /* NULL: none */
} case_t;

static const case_t  hosts[] = {
    { "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws", "us-east-1" },
    { "abcdefghijklmnopqrstuvwxyz.dsql-gamma.eu-west-2.on.aws", "eu-west-2" },
    { "bucket.s3.eu-west-1.amazonaws.com", "eu-west-1" },
    { "us-east-1.s3.eu-west-1.amazonaws.com", "eu-west-1" },
    { "bucket.s3.dualstack.ap-southeast-2.amazonaws.com", "ap-southeast-2" },
    { "s3-us-west-2.amazonaws.com", "us-west-2" },
    { "s3.us-gov-west-1.amazonaws.com", "us-gov-west-1" },
    { "bucket.s3.cn-north-1.amazonaws.com.cn", "cn-north-1" },
    { "email.eu-central-1.api.aws", "eu-central-1" },
    { "bucket.s3.amazonaws.com", NULL },
    { "s3.amazonaws.com", NULL },
    { "amazonaws.com", NULL },
    { "bucket.s3.eu-west-1.amazonaws.com.example.com", NULL },
    { "s3.eu-west-1.example.com", NULL },
    { "s3.eu-west-1x.amazonaws.com", NULL },
    { "s3.eu--1.amazonaws.com", NULL },
    { "localhost", NULL },
    { "", NULL },
};


static void
test_region_of(ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_str_t   host, region;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        host = check_text(pool, hosts[i].text);
        ngx_str_null(&region);
        rc = vault_aws_region_of(&host, &region);

        CHECK_CASE(rc == (hosts[i].region ? NGX_OK : NGX_DECLINED),
                   hosts[i].text);
        CHECK_STR(&region, hosts[i].region);
    }
}


static void
test_region_check(ngx_pool_t *pool)
{
    ngx_str_t    text;
    ngx_uint_t   i;
    const char  *good[] = { "us-east-1", "auto", "garage", "eu-west-1" };
    const char  *bad[] = { "", "eu-west-1.evil.com/", "EU-WEST-1", "a b",
                           "a\nb", "a-region-name-that-is-far-too-long-1" };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        text = check_text(pool, good[i]);
        CHECK_CASE(vault_aws_region_check(&text) == NGX_OK, good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text = check_text(pool, bad[i]);
        CHECK_CASE(vault_aws_region_check(&text) == NGX_DECLINED, "refused");
    }
}


static void
test_domain(ngx_pool_t *pool)
{
    ngx_str_t    region;
    ngx_uint_t   i;
    static const case_t  domains[] = {
        { "us-east-1", "amazonaws.com" },
        { "us-gov-west-1", "amazonaws.com" },
        { "cn-northwest-1", "amazonaws.com.cn" },
        { "us-iso-east-1", "c2s.ic.gov" },
        { "us-isob-east-1", "sc2s.sgov.gov" },
        { "", "amazonaws.com" },
    };

    for (i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
        region = check_text(pool, domains[i].text);
        CHECK_CASE(strcmp(vault_aws_domain(&region), domains[i].region) == 0,
                   domains[i].text);
    }
}


static void
test_container_check(ngx_pool_t *pool)
{
    ngx_str_t    url;
    ngx_uint_t   i;
    const char  *good[] = {
        "https://example.com/x", "https://example.com:8443/x?y=z",
        "http://localhost/x", "http://LOCALHOST:9000", "http://127.0.0.1/x",
        "http://127.9.9.9:80/x", "http://[::1]:8080/x",
        "http://169.254.170.2/v2/x", "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials", "HTTP://127.0.0.1/",
    };
    const char  *bad[] = {
        "", "http://", "https://", "http:///x", "ftp://127.0.0.1/",
        "//127.0.0.1/", "127.0.0.1", "http://example.com/x",
        "http://127.0.0.1.example.com/", "http://localhost.example.com/",
        "http://localhost@example.com/", "http://127.0.0.1:80@example.com/",
        "https://user@example.com/", "http://example.com\\@127.0.0.1/",
        "http://169.254.169.254/", "http://169.254.170.20/",
        "http://[::2]/", "http://[::1/", "http://[::1]x/", "http://::1/",
        "http://127.1/", "http://2130706433/", "http://0x7f000001/",
        "http://127.0.0.1:80x/", "http://127.0.0.1/ x",
        "http://127.0.0.1/\r\nHost: x", "http://0.0.0.0/",
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        url = check_text(pool, good[i]);
        CHECK_CASE(vault_aws_container_check(&url) == NGX_OK, good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        url = check_text(pool, bad[i]);
        CHECK_CASE(vault_aws_container_check(&url) == NGX_DECLINED,
                   i < 24 ? bad[i] : "refused");
    }
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_region_of(pool);
    test_region_check(pool);
    test_domain(pool);
    test_container_check(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
