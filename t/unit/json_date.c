/*
 * json_date - RFC 3339 in and out: every day against the C library, and each
 * form that is or is not a date.
 */

#include "check.h"
#include "../../src/json/json.h"

#include <time.h>


#define SECOND  1000LL
#define DAY     (86400 * SECOND)


static int64_t
parse(const char *s)
{
    int64_t      ms;
    ngx_str_t    text;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, shim_log());
    text = check_text(pool, s);
    ms = 12345;

    if (vault_date_parse(&text, &ms) != NGX_OK) {
        CHECK_CASE(ms == 12345, "untouched on failure");
        ms = VAULT_NULL;
    }

    ngx_destroy_pool(pool);

    return ms;
}


static void
check_format(int64_t ms, const char *want)
{
    u_char     out[VAULT_DATE_LEN + 1];
    ngx_str_t  text;

    out[VAULT_DATE_LEN] = '!';
    text.data = out;
    text.len = vault_date_format(out, ms) - out;

    CHECK_STR(&text, want);
    CHECK(out[VAULT_DATE_LEN] == '!');
}


/* 2024-02-29T12:34:56Z by timegm(), which this does not share code with. */
static void
check_forms(void)
{
    size_t     i;
    struct tm  tm = { 0 };
    int64_t    base;

    static const struct {
        const char  *text;
        int64_t      offset;          /* to base, in ms */
    } good[] = {
        { "2024-02-29T12:34:56Z", 0 },
        { "2024-02-29t12:34:56z", 0 },
        { "2024-02-29 12:34:56Z", 0 },
        { "2024-02-29T12:34:56", 0 },
        { "2024-02-29T12:34:56.1Z", 100 },
        { "2024-02-29T12:34:56.12Z", 120 },
        { "2024-02-29T12:34:56.123Z", 123 },
        { "2024-02-29T12:34:56,123Z", 123 },
        { "2024-02-29T12:34:56.123", 123 },
        { "2024-02-29T12:34:56.1239999Z", 123 },
        { "2024-02-29T12:34:56.1234567Z", 123 },
        { "2024-02-29T12:34:56.00000000000000000000000000000000001Z", 0 },
        { "2024-02-29T12:34:56+00:00", 0 },
        { "2024-02-29T12:34:56-00:00", 0 },
        { "2024-02-29T14:34:56+02:00", 0 },
        { "2024-02-29T07:04:56-05:30", 0 },
        { "2024-02-29T14:34:56.5+0200", 500 },
        { "2024-02-29T14:34:56+02", 0 },
        { "2024-03-01T11:34:56+23:00", 0 },
        { "2024-02-29T12:34Z", -56 * SECOND },
        { "2024-02-29T12:34:60Z", 4 * SECOND },
        { "2024-02-29T23:59:60Z", 41104 * SECOND },
        { "2024-02-29", -45296 * SECOND },
    };

    static const char  *bad[] = {
        "", " ", "now", "2024", "2024-02", "2024-2-29", "24-02-29",
        "2023-02-29T12:34:56Z", "1900-02-29", "2024-00-10", "2024-13-10",
        "2024-01-00", "2024-01-32", "2024-04-31", "0000-01-01",
        "2024-02-29T", "2024-02-29T12", "2024-02-29T12Z", "2024-02-29T12:",
        "2024-02-29T24:00:00Z", "2024-02-29T12:60:00Z",
        "2024-02-29T12:34:61Z", "2024-02-29T12:34:5Z",
        "2024-02-29T12:34:56.Z", "2024-02-29T12:34:56.", "2024-02-29Z",
        "2024-02-29T12:34:56ZZ", "2024-02-29T12:34:56 Z",
        "2024-02-29T12:34:56+", "2024-02-29T12:34:56+2",
        "2024-02-29T12:34:56+24:00", "2024-02-29T12:34:56+02:60",
        "2024-02-29T12:34:56+02:", "2024-02-29T12:34:56+02:0",
        " 2024-02-29T12:34:56Z", "2024-02-29T12:34:56Z ",
        "+2024-02-29T12:34:56Z", "-024-02-29T12:34:56Z",
        "2024/02/29T12:34:56Z", "20240229T123456Z", "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z", "2024-02-29T12:34:56\xc2\xb5Z",
    };

    tm.tm_year = 2024 - 1900;
    tm.tm_mon = 1;
    tm.tm_mday = 29;
    tm.tm_hour = 12;
    tm.tm_min = 34;
    tm.tm_sec = 56;

    base = timegm(&tm) * SECOND;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK_CASE(parse(good[i].text) == base + good[i].offset,
                   good[i].text);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_CASE(parse(bad[i]) == VAULT_NULL, bad[i]);
    }
}


static void
check_nul(void)
{
    int64_t    ms;
    ngx_str_t  text = ngx_string("2024-02-29T12:34:56\0");

    CHECK(vault_date_parse(&text, &ms) == NGX_DECLINED);
}


/* Each day of 10,000 years, there and back. */
static void
check_all_days(void)
{
    u_char      out[VAULT_DATE_LEN + 1];
    char        want[64];
    time_t      t;
    int64_t     ms, first, last;
    ngx_str_t   text;
    struct tm   tm;
    ngx_uint_t  wrong;

    first = parse("0001-01-01");
    last = parse("9999-12-31");
    wrong = 0;

    CHECK_INT((last - first) / DAY + 1, 3652059);

    text.data = out;
    text.len = VAULT_DATE_LEN;

    for (ms = first + 86399999; ms <= last + 86399999; ms += DAY) {

        t = (ms - 86399999) / SECOND;
        gmtime_r(&t, &tm);
        snprintf(want, sizeof(want), "%04d-%02d-%02dT23:59:59.999Z",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);

        vault_date_format(out, ms);

        if (ngx_memcmp(out, want, VAULT_DATE_LEN) != 0
            || vault_date_parse(&text, &t) != NGX_OK || t != ms)
        {
            wrong++;
        }
    }

    CHECK_INT(wrong, 0);
}


int
main(void)
{
    check_forms();
    check_nul();
    check_all_days();

    check_format(0, "1970-01-01T00:00:00.000Z");
    check_format(-1, "1969-12-31T23:59:59.999Z");
    check_format(1706709600123, "2024-01-31T14:00:00.123Z");
    check_format(INT64_MIN, "0001-01-01T00:00:00.000Z");
    check_format(INT64_MAX, "9999-12-31T23:59:59.999Z");

    return check_done();
}
