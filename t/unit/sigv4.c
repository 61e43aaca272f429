/*
 * Signatures against AWS's published examples: the S3 API reference
 * (sig-v4-header-based-auth, sigv4-query-string-auth), the IAM example of the
 * general reference, and tokens of DSQL as its SDK makes them.
 */

#include "check.h"

#include "../../src/aws/sigv4.h"

#include <time.h>


#define DAY_2013   1369353600000      /* 2013-05-24T00:00:00Z */
#define TIME_2015  1440938160000      /* 2015-08-30T12:36:00Z */
#define TIME_2026  1795316400000      /* 2026-11-22T03:00:00Z */

#define NO_BODY                                                              \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const vault_aws_keys_t  s3_keys = {
    ngx_string("AKIAIOSFODNN7EXAMPLE"),
    ngx_string("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ngx_null_string, 0
};

static const vault_aws_keys_t  iam_keys = {
    ngx_string("AKIDEXAMPLE"),
    ngx_string("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ngx_null_string, 0
};


static vault_sigv4_t
s3_request(const char *method, const char *path)
{
    vault_sigv4_t  request;

    memset(&request, 0, sizeof(request));

    request.method.data = (u_char *) method;
    request.method.len = strlen(method);
    request.path.data = (u_char *) path;
    request.path.len = strlen(path);
    ngx_str_set(&request.host, "examplebucket.s3.amazonaws.com");
    ngx_str_set(&request.region, "us-east-1");
    ngx_str_set(&request.service, "s3");

    return request;
}


static ngx_str_t *
find(vault_sigv4_signed_t *out, const char *name)
{
    ngx_uint_t         i;
    static ngx_str_t   none;

    for (i = 0; i < out->nheaders; i++) {
        if (out->headers[i].key.len == strlen(name)
            && memcmp(out->headers[i].key.data, name, strlen(name)) == 0)
        {
            return &out->headers[i].value;
        }
    }

    return &none;
}


/* S3 API reference, "Examples: Signature Calculations" */

static void
test_s3_get(ngx_pool_t *pool)
{
    vault_sigv4_t         request = s3_request("GET", "/test.txt");
    ngx_keyval_t          range = { ngx_string("Range"),
                                    ngx_string("bytes=0-9") };
    vault_sigv4_signed_t  out;

    request.headers = &range;
    request.nheaders = 1;
    ngx_str_set(&request.payload, NO_BODY);

    CHECK_INT(vault_sigv4_sign(pool, &request, &s3_keys, DAY_2013, &out),
              NGX_OK);
    CHECK_INT(out.nheaders, 3);
    CHECK_STR(&out.target, "/test.txt");
    CHECK_STR(find(&out, "X-Amz-Date"), "20130524T000000Z");
    CHECK_STR(find(&out, "X-Amz-Content-Sha256"), NO_BODY);
    CHECK_STR(find(&out, "Authorization"),
              "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
              "us-east-1/s3/aws4_request, SignedHeaders=host;range;"
              "x-amz-content-sha256;x-amz-date, Signature="
              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036b"
              "db41");
}


static void
test_s3_put(ngx_pool_t *pool)
{
    vault_sigv4_t         request = s3_request("PUT", "/test$file.text");
    ngx_str_t             body = ngx_string("Welcome to Amazon S3.");
    ngx_keyval_t          headers[] = {
        { ngx_string("x-amz-storage-class"),
          ngx_string("REDUCED_REDUNDANCY") },
        { ngx_string("Date"), ngx_string("Fri, 24 May 2013 00:00:00 GMT") },
    };
    vault_sigv4_signed_t  out;

    request.headers = headers;
    request.nheaders = 2;

    CHECK_INT(vault_sigv4_payload(pool, &body, &request.payload), NGX_OK);
    CHECK_STR(&request.payload, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e"
                                "99e42034a8b803f8b072");

    CHECK_INT(vault_sigv4_sign(pool, &request, &s3_keys, DAY_2013, &out),
              NGX_OK);
    CHECK_STR(&out.target, "/test%24file.text");
    CHECK_STR(find(&out, "Authorization"),
              "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
              "us-east-1/s3/aws4_request, SignedHeaders=date;host;"
              "x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature="
              "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece1"
              "08bd");
}


static void
signature_of(ngx_pool_t *pool, const vault_sigv4_t *request,
    const char *signature, const char *target)
{
    ngx_str_t             *value, tail;
    vault_sigv4_signed_t   out;

    CHECK_INT(vault_sigv4_sign(pool, request, &s3_keys, DAY_2013, &out),
              NGX_OK);
    CHECK_STR(&out.target, target);

    value = find(&out, "Authorization");
    tail.data = value->data + value->len - 64;
    tail.len = 64;
    CHECK_STR(&tail, signature);
}


static void
test_s3_query(ngx_pool_t *pool)
{
    vault_sigv4_t  request = s3_request("GET", "");
    ngx_keyval_t   lifecycle = { ngx_string("lifecycle"), ngx_null_string };
    ngx_keyval_t   list[] = {
        { ngx_string("prefix"), ngx_string("J") },
        { ngx_string("max-keys"), ngx_string("2") },
    };

    ngx_str_set(&request.payload, NO_BODY);

    request.query = &lifecycle;
    request.nquery = 1;
    signature_of(pool, &request, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f"
                                 "91ac7a200a0136783543", "/?lifecycle=");

    request.query = list;
    request.nquery = 2;
    signature_of(pool, &request, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59d"
                                 "b6670ed5711ef69dc6f7",
                 "/?max-keys=2&prefix=J");
}


static void
test_s3_presigned(ngx_pool_t *pool)
{
    ngx_str_t      target;
    vault_sigv4_t  request = s3_request("GET", "/test.txt");

    CHECK_INT(vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 86400,
                                  &target), NGX_OK);
    CHECK_STR(&target,
              "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
              "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
              "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
              "&X-Amz-SignedHeaders=host&X-Amz-Signature="
              "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604"
              "d404");
}


/* "Examples of how to derive a signing key", and its ListUsers request */
static void
test_iam(ngx_pool_t *pool)
{
    vault_sigv4_t         request;
    ngx_keyval_t          type = {
        ngx_string("Content-Type"),
        ngx_string("  application/x-www-form-urlencoded;   charset=utf-8 ")
    };
    ngx_keyval_t          query[] = {
        { ngx_string("Version"), ngx_string("2010-05-08") },
        { ngx_string("Action"), ngx_string("ListUsers") },
    };
    vault_sigv4_signed_t  out;

    memset(&request, 0, sizeof(request));
    ngx_str_set(&request.method, "GET");
    ngx_str_set(&request.host, "iam.amazonaws.com");
    ngx_str_set(&request.region, "us-east-1");
    ngx_str_set(&request.service, "iam");
    request.headers = &type;
    request.nheaders = 1;
    request.query = query;
    request.nquery = 2;

    CHECK_INT(vault_sigv4_sign(pool, &request, &iam_keys, TIME_2015, &out),
              NGX_OK);
    CHECK_INT(out.nheaders, 2);
    CHECK_STR(&out.target, "/?Action=ListUsers&Version=2010-05-08");
    CHECK_STR(find(&out, "Authorization"),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/"
              "aws4_request, SignedHeaders=content-type;host;x-amz-date, "
              "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5"
              "924a6f2b5d7");
}


typedef struct {
    const char  *action;
    const char  *token;
    const char  *signature;
} dsql_case_t;

static const dsql_case_t  dsql_cases[] = {
    { "DbConnectAdmin", "",
      "3b746a3e98aade6c675036269ceb312bd13dae47254b133c16ef718435656e6c" },
    { "DbConnect", "",
      "ad2808705fc3202075d9fd97cacfcc9e0b3fed5b29ec2215de44b00647cace96" },
    { "DbConnectAdmin", "tok/en+==",
      "d74c86c5c600982800812ee79a1f88245a922a4ec60333e1a92bfa3e90551fef" },
    { "DbConnect", "tok/en+==",
      "100c0ad4b5d4ed619cd51e52bcfe3dc12cece3ef52023ec831ab7116e987fe74" },
};


static void
test_dsql(ngx_pool_t *pool)
{
    ngx_str_t          target;
    ngx_uint_t         i;
    ngx_keyval_t       action = { ngx_string("Action"), ngx_null_string };
    vault_sigv4_t      request;
    vault_aws_keys_t   keys = iam_keys;

    memset(&request, 0, sizeof(request));
    ngx_str_set(&request.method, "GET");
    ngx_str_set(&request.host,
                "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws");
    ngx_str_set(&request.region, "us-east-1");
    ngx_str_set(&request.service, "dsql");
    request.query = &action;
    request.nquery = 1;

    for (i = 0; i < sizeof(dsql_cases) / sizeof(dsql_cases[0]); i++) {
        action.value = check_text(pool, dsql_cases[i].action);
        keys.session_token = check_text(pool, dsql_cases[i].token);

        CHECK_INT(vault_sigv4_presign(pool, &request, &keys, TIME_2026, 900,
                                      &target), NGX_OK);

        target.data += target.len - 64;
        target.len = 64;
        CHECK_STR(&target, dsql_cases[i].signature);
    }
}


/*
 * What a client adds to the URL of an upload, and odd names: no vector is
 * published, so these hold the spelling, not the signature.
 */
static void
test_spelling(ngx_pool_t *pool)
{
    ngx_str_t          target;
    ngx_keyval_t       query[] = {
        { ngx_string("sv"), ngx_string("2021-08-06") },
        { ngx_string("x-amz-storage-class"),
          ngx_string("INTELLIGENT_TIERING") },
        { ngx_string("a b"), ngx_string("~ü/+&=") },
    };
    vault_sigv4_t      request = s3_request("PUT", "/a b/ü%2F+/../c");
    vault_aws_keys_t   keys = s3_keys;

    request.query = query;
    request.nquery = 3;
    ngx_str_set(&keys.session_token, "tok/en+==");

    CHECK_INT(vault_sigv4_presign(pool, &request, &keys, DAY_2013, 300,
                                  &target), NGX_OK);

    target.len -= 64;
    CHECK_STR(&target,
              "/a%20b/%C3%BC%252F%2B/../c?X-Amz-Algorithm=AWS4-HMAC-SHA256"
              "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"
              "%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
              "&X-Amz-Expires=300&X-Amz-Security-Token=tok%2Fen%2B%3D%3D"
              "&X-Amz-SignedHeaders=host&a%20b=~%C3%BC%2F%2B%26%3D"
              "&sv=2021-08-06&x-amz-storage-class=INTELLIGENT_TIERING"
              "&X-Amz-Signature=");
}


static void
test_token_header(ngx_pool_t *pool)
{
    const char            *names = "host;x-amz-content-sha256;x-amz-date;"
                                   "x-amz-security-token,";
    vault_sigv4_t          request = s3_request("GET", "/test.txt");
    vault_aws_keys_t       keys = s3_keys;
    vault_sigv4_signed_t   out;

    ngx_str_set(&keys.session_token, "tok/en+==");

    CHECK_INT(vault_sigv4_sign(pool, &request, &keys, DAY_2013, &out),
              NGX_OK);
    CHECK_INT(out.nheaders, 4);
    CHECK_STR(find(&out, "X-Amz-Content-Sha256"), "UNSIGNED-PAYLOAD");
    CHECK_STR(find(&out, "X-Amz-Security-Token"), "tok/en+==");
    CHECK(memmem(find(&out, "Authorization")->data,
                 find(&out, "Authorization")->len, names, strlen(names))
          != NULL);
}


/* The key of a day is kept, and must not outlive the day or the secret. */
static void
test_kept_keys(ngx_pool_t *pool)
{
    ngx_str_t          first, target;
    ngx_uint_t         i;
    vault_sigv4_t      request = s3_request("GET", "/test.txt");
    vault_aws_keys_t   other = s3_keys;

    (void) vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 60,
                               &first);

    ngx_str_set(&other.secret_key, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEX");
    (void) vault_sigv4_presign(pool, &request, &other, DAY_2013, 60, &target);
    CHECK(memcmp(first.data, target.data, first.len) != 0);

    for (i = 0; i < 20; i++) {        /* more days than are kept */
        CHECK_INT(vault_sigv4_presign(pool, &request, &s3_keys,
                                      DAY_2013 + i * 86400000, 60, &target),
                  NGX_OK);
    }

    (void) vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 60,
                               &target);
    CHECK(first.len == target.len
          && memcmp(first.data, target.data, first.len) == 0);

    vault_sigv4_forget();
    (void) vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 60,
                               &target);
    CHECK(memcmp(first.data, target.data, first.len) == 0);
}


static ngx_int_t
sign_with(ngx_pool_t *pool, const char *name, const char *value)
{
    ngx_keyval_t           header;
    vault_sigv4_t          request = s3_request("GET", "/");
    vault_sigv4_signed_t   out;

    header.key = check_text(pool, name);
    header.value = check_text(pool, value);
    request.headers = &header;
    request.nheaders = 1;

    return vault_sigv4_sign(pool, &request, &s3_keys, DAY_2013, &out);
}


static void
test_refusals(ngx_pool_t *pool)
{
    ngx_str_t              target;
    ngx_keyval_t           many[VAULT_SIGV4_PAIRS + 1];
    vault_sigv4_t          request = s3_request("GET", "/test.txt");
    vault_aws_keys_t       none = s3_keys;
    vault_sigv4_signed_t   out;

    CHECK_INT(sign_with(pool, "x-a", "b"), NGX_OK);
    CHECK_INT(sign_with(pool, "x-a", "b\r\nc: d"), NGX_DECLINED);
    CHECK_INT(sign_with(pool, "x-a\n", "b"), NGX_DECLINED);
    CHECK_INT(sign_with(pool, "", "b"), NGX_DECLINED);
    CHECK_INT(sign_with(pool, "HOST", "b"), NGX_DECLINED);

    CHECK_INT(vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 0,
                                  &target), NGX_DECLINED);
    CHECK_INT(vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 604801,
                                  &target), NGX_DECLINED);

    memset(many, 0, sizeof(many));
    request.query = many;
    request.nquery = VAULT_SIGV4_PAIRS + 1;
    CHECK_INT(vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 60,
                                  &target), NGX_DECLINED);

    request = s3_request("GET", "test.txt");
    CHECK_INT(vault_sigv4_sign(pool, &request, &s3_keys, DAY_2013, &out),
              NGX_DECLINED);

    request = s3_request("GET", "/test.txt");
    ngx_str_null(&none.secret_key);
    CHECK_INT(vault_sigv4_sign(pool, &request, &none, DAY_2013, &out),
              NGX_DECLINED);
}


/* Each allocation fails once. */
static void
test_memory(ngx_pool_t *pool)
{
    ngx_int_t              rc;
    ngx_str_t              target;
    ngx_uint_t             i;
    vault_sigv4_t          request = s3_request("GET", "/test.txt");
    vault_sigv4_signed_t   out;

    for (i = 1, rc = NGX_ERROR; rc != NGX_OK && i < 200; i++) {
        vault_sigv4_forget();
        shim_fail_alloc(i);
        rc = vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 60,
                                 &target);
        shim_fail_alloc(0);

        if (rc != NGX_ERROR && rc != NGX_OK) {
            break;
        }
    }

    CHECK(rc == NGX_OK && i > 20);

    for (i = 1, rc = NGX_ERROR; rc != NGX_OK && i < 200; i++) {
        shim_fail_alloc(i);
        rc = vault_sigv4_sign(pool, &request, &s3_keys, DAY_2013, &out);
        shim_fail_alloc(0);
    }

    CHECK(rc == NGX_OK && i > 10);
}


/* Not a check under sanitizers: it only says how long one takes. */
static void
measure(void)
{
    int               i;
    clock_t           start;
    ngx_str_t         target;
    ngx_pool_t       *pool;
    vault_sigv4_t     request = s3_request("GET", "/test.txt");

    start = clock();

    for (i = 0; i < 2000; i++) {
        pool = ngx_create_pool(4096, shim_log());
        (void) vault_sigv4_presign(pool, &request, &s3_keys, DAY_2013, 300,
                                   &target);
        ngx_destroy_pool(pool);
    }

    printf("# %.1f us a presigned URL\n",
           1e6 * (double) (clock() - start) / CLOCKS_PER_SEC / 2000);
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_s3_get(pool);
    test_s3_put(pool);
    test_s3_query(pool);
    test_s3_presigned(pool);
    test_iam(pool);
    test_dsql(pool);
    test_spelling(pool);
    test_token_header(pool);
    test_kept_keys(pool);
    test_refusals(pool);
    test_memory(pool);
    measure();

    ngx_destroy_pool(pool);

    return check_done();
}
