/*
 * base64 and base64url: the vectors of RFC 4648 §10, every text that must be
 * refused, and a round trip of every length.
 */

#include "check.h"

#include "../../src/crypto/crypto.h"


typedef ngx_int_t (*code_pt)(ngx_pool_t *pool, const ngx_str_t *in,
    ngx_str_t *out);

typedef struct {
    const char  *plain;
    const char  *padded;
    const char  *url;
} vector_t;

static const vector_t  vectors[] = {
    { "", "", "" },
    { "f", "Zg==", "Zg" },
    { "fo", "Zm8=", "Zm8" },
    { "foo", "Zm9v", "Zm9v" },
    { "foob", "Zm9vYg==", "Zm9vYg" },
    { "fooba", "Zm9vYmE=", "Zm9vYmE" },
    { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
    { "\xfb\xff\xbf", "+/+/", "-_-_" },
    { "\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l+", "FPucA9l-" },
};


static void
test_vectors(ngx_pool_t *pool)
{
    ngx_str_t        in, out;
    ngx_uint_t       i;
    const vector_t  *v;

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        v = &vectors[i];

        in = check_text(pool, v->plain);
        CHECK_INT(vault_base64(pool, &in, &out), NGX_OK);
        CHECK_STR(&out, v->padded);
        CHECK_INT(vault_base64url(pool, &in, &out), NGX_OK);
        CHECK_STR(&out, v->url);

        in = check_text(pool, v->padded);
        CHECK_INT(vault_unbase64(pool, &in, &out), NGX_OK);
        CHECK_STR(&out, v->plain);

        in = check_text(pool, v->url);
        CHECK_INT(vault_unbase64url(pool, &in, &out), NGX_OK);
        CHECK_STR(&out, v->plain);
    }
}


static const char *const  bad_padded[] = {
    "Z", "Zg", "Zg=", "Zg===", "=", "==", "===", "====", "Z===", "Zm8",
    "Zm9vYg", "Zm9vYg=", "Zg==Zg==", "Zm=v", "=Zg=", "Zh==", "Zm9=", "Zm8=\n",
    "Zm9v\n", " Zm9v", "Zm 9", "-_-_", "Zm9*", "Zm9\x80", "Zm9\xff", "Zg==\r",
    "/===", "Zg=A",
};

static const char *const  bad_url[] = {
    "Z", "Zg==", "Zg=", "Zm8=", "Zh", "Zm9", "Zm9vY", "+/+/", "Zm9v\n", "Zm.v",
    " Zm9", "Zm9\x80", "=", "====",
};


static void
test_refused(ngx_pool_t *pool, code_pt decode, const char *const *bad,
    ngx_uint_t n)
{
    ngx_str_t   in, out;
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        in = check_text(pool, bad[i]);
        out.data = NULL;
        out.len = 42;

        CHECK_CASE(decode(pool, &in, &out) == NGX_DECLINED
                   && out.data == NULL && out.len == 42, "refused");
    }
}


static void
test_nul(ngx_pool_t *pool)
{
    ngx_str_t  in = ngx_string("Zm9\0"), out;

    CHECK_INT(vault_unbase64(pool, &in, &out), NGX_DECLINED);
    CHECK_INT(vault_unbase64url(pool, &in, &out), NGX_DECLINED);
}


static ngx_uint_t
round_trip(ngx_pool_t *pool, ngx_str_t *in, code_pt encode, code_pt decode)
{
    ngx_str_t  text, out;

    return encode(pool, in, &text) == NGX_OK
           && decode(pool, &text, &out) == NGX_OK
           && out.len == in->len && memcmp(out.data, in->data, in->len) == 0;
}


static void
test_round_trips(ngx_pool_t *pool)
{
    ngx_str_t   in;
    ngx_uint_t  i, good;

    good = 0;

    for (i = 0; i < 300; i++) {
        in.len = i;
        in.data = ngx_pnalloc(pool, i);

        if (vault_random(in.data, i) != NGX_OK) {
            break;
        }

        good += round_trip(pool, &in, vault_base64, vault_unbase64)
                && round_trip(pool, &in, vault_base64url, vault_unbase64url);
    }

    CHECK_INT(good, 300);
}


/* Of all texts of two characters, those of one byte and nothing else pass. */
static void
test_all_pairs(ngx_pool_t *pool)
{
    u_char      pair[2];
    ngx_str_t   in, out;
    ngx_uint_t  a, b, good;

    in.data = pair;
    in.len = 2;
    good = 0;

    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            pair[0] = (u_char) a;
            pair[1] = (u_char) b;
            good += vault_unbase64url(pool, &in, &out) == NGX_OK;
        }

        ngx_reset_pool(pool);
    }

    CHECK_INT(good, 256);
}


static void
test_no_memory(ngx_pool_t *pool)
{
    ngx_str_t  in = ngx_string("Zm9v"), out;

    shim_fail_alloc(1);
    CHECK_INT(vault_base64(pool, &in, &out), NGX_ERROR);
    CHECK_INT(vault_unbase64(pool, &in, &out), NGX_ERROR);
    shim_fail_alloc(0);
}


static void
test_hex(void)
{
    u_char  out[9] = "........!", in[4] = { 0x00, 0x9f, 0xa0, 0xff };

    CHECK(vault_hex(out, in, 4) == out + 8);
    CHECK(memcmp(out, "009fa0ff!", 9) == 0);
    CHECK(vault_hex(out, in, 0) == out);
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_vectors(pool);
    test_refused(pool, vault_unbase64, bad_padded,
                 sizeof(bad_padded) / sizeof(char *));
    test_refused(pool, vault_unbase64url, bad_url,
                 sizeof(bad_url) / sizeof(char *));
    test_nul(pool);
    test_round_trips(pool);
    test_all_pairs(pool);
    test_no_memory(pool);
    test_hex();

    ngx_destroy_pool(pool);

    return check_done();
}
