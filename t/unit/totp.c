/*
 * Codes of authenticator apps by the vectors of RFC 4226 appendix D and RFC
 * 6238 appendix B, base32 by those of RFC 4648 §10.
 */

#include "check.h"

#include "../../src/crypto/totp.h"


static ngx_str_t  key = ngx_string("12345678901234567890");


static void
test_counters(void)
{
    u_char      out[VAULT_TOTP_DIGITS];
    ngx_uint_t  i;

    static const char *const  codes[] = {
        "755224", "287082", "359152", "969429", "338314",
        "254676", "287922", "162583", "399871", "520489"
    };

    for (i = 0; i < 10; i++) {
        CHECK_CASE(vault_totp_code(&key, (int64_t) i, 6, out) == NGX_OK
                   && memcmp(out, codes[i], 6) == 0, codes[i]);
    }
}


static void
test_times(void)
{
    u_char      out[8];
    ngx_uint_t  i;

    static const struct {
        int64_t      time;
        const char  *code;
    } cases[] = {
        { 59,          "94287082" },
        { 1111111109,  "07081804" },
        { 1111111111,  "14050471" },
        { 1234567890,  "89005924" },
        { 2000000000,  "69279037" },
        { 20000000000, "65353130" }
    };

    for (i = 0; i < 6; i++) {
        CHECK_CASE(vault_totp_code(&key, cases[i].time / VAULT_TOTP_STEP, 8,
                                   out) == NGX_OK
                   && memcmp(out, cases[i].code, 8) == 0, cases[i].code);
    }
}


static int64_t
step_of(const char *code, time_t now)
{
    int64_t    step;
    ngx_str_t  text;

    text.data = (u_char *) code;
    text.len = strlen(code);
    step = -7;

    return vault_totp_check(&key, &text, now, &step) == NGX_OK ? step
           : step == -7 ? -1 : -2;
}


static void
test_check(void)
{
    /* 287082 is the code of step 1, from 30 to 59 */

    CHECK_INT(step_of("287082", 30), 1);
    CHECK_INT(step_of("287082", 59), 1);
    CHECK_INT(step_of("287082", 0), 1);
    CHECK_INT(step_of("287082", 89), 1);
    CHECK_INT(step_of("287082", 90), -1);
    CHECK_INT(step_of("755224", 0), 0);
    CHECK_INT(step_of("755224", 60), -1);

    CHECK_INT(step_of(" 287 082 ", 59), 1);
    CHECK_INT(step_of("287083", 59), -1);
    CHECK_INT(step_of("28708", 59), -1);
    CHECK_INT(step_of("2870820", 59), -1);
    CHECK_INT(step_of("28708a", 59), -1);
    CHECK_INT(step_of("", 59), -1);
}


static void
test_refused(void)
{
    u_char            out[8];
    static ngx_str_t  none = ngx_string("");

    CHECK_INT(vault_totp_code(&none, 1, 6, out), NGX_DECLINED);
    CHECK_INT(vault_totp_code(&key, -1, 6, out), NGX_DECLINED);
    CHECK_INT(vault_totp_code(&key, 1, 5, out), NGX_DECLINED);
    CHECK_INT(vault_totp_code(&key, 1, 9, out), NGX_DECLINED);
}


static void
test_base32(ngx_pool_t *pool)
{
    ngx_str_t   in, out, back;
    ngx_uint_t  i;

    static const struct {
        const char  *plain;
        const char  *coded;
        const char  *padded;
    } cases[] = {
        { "", "", "" },
        { "f", "MY", "MY======" },
        { "fo", "MZXQ", "MZXQ====" },
        { "foo", "MZXW6", "MZXW6===" },
        { "foob", "MZXW6YQ", "MZXW6YQ=" },
        { "fooba", "MZXW6YTB", "mzxw6ytb" },
        { "foobar", "MZXW6YTBOI", "MZXW6YTBOI======" }
    };

    static const char *const  bad[] = {
        "M", "MZX", "MZXW6Y", "MZ", "1Y", "8Y", "M Y", "MY=A", "MY=======",
        "M\xc3", "MZXW6YTBO"
    };

    for (i = 0; i < 7; i++) {
        in = check_text(pool, cases[i].plain);
        CHECK_INT(vault_base32(pool, &in, &out), NGX_OK);
        CHECK_STR(&out, cases[i].coded);

        in = check_text(pool, cases[i].padded);
        CHECK_INT(vault_unbase32(pool, &in, &back), NGX_OK);
        CHECK_STR(&back, cases[i].plain);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        in = check_text(pool, bad[i]);
        CHECK_CASE(vault_unbase32(pool, &in, &back) == NGX_DECLINED, bad[i]);
    }
}


int
main(void)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());

    test_counters();
    test_times();
    test_check();
    test_refused();
    test_base32(pool);

    ngx_destroy_pool(pool);

    return check_done();
}
