/*
 * date - RFC 3339 to and from milliseconds since 1970.
 *
 * Taken as well is what .NET clients send: no zone (then UTC), seven digits
 * of a fraction, a date alone.  A leap second is the second after it.
 */

#include "type.h"


#define DAY_MS  (24 * 3600 * 1000LL)

/* 0001-01-01T00:00:00.000 and 9999-12-31T23:59:59.999 */
#define DATE_MIN       (-719162LL * DAY_MS)
#define DATE_MAX       (2932897LL * DAY_MS - 1)
#define DAYS_TO_1970   719162
#define DAYS_OF_400Y   146097

typedef struct {
    const u_char  *p;
    const u_char  *end;
} cursor_t;


static const uint16_t  days_before[2][13] = {
    { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 },
    { 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366 },
};


static ngx_uint_t
is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}


/* Since the first day of year 1. */
static int64_t
days_before_year(int64_t year)
{
    year--;

    return year * 365 + year / 4 - year / 100 + year / 400;
}


/* The next byte if it is one of `set`, else 0. */
static u_char
take(cursor_t *c, const char *set)
{
    if (c->p == c->end || *c->p == '\0' || ngx_strchr(set, *c->p) == NULL) {
        return 0;
    }

    return *c->p++;
}


static ngx_int_t
take_number(cursor_t *c, size_t digits, int64_t min, int64_t max, int64_t *out)
{
    int64_t  n;

    for (n = 0; digits; digits--) {

        if (c->p == c->end || *c->p < '0' || *c->p > '9') {
            return NGX_DECLINED;
        }

        n = n * 10 + (*c->p++ - '0');
    }

    if (n < min || n > max) {
        return NGX_DECLINED;
    }

    *out = n;

    return NGX_OK;
}


static ngx_int_t
take_date(cursor_t *c, int64_t *ms)
{
    int64_t          year, month, day;
    const uint16_t  *days;

    if (take_number(c, 4, 1, 9999, &year) != NGX_OK
        || !take(c, "-")
        || take_number(c, 2, 1, 12, &month) != NGX_OK
        || !take(c, "-")
        || take_number(c, 2, 1, 31, &day) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    days = days_before[is_leap(year)];

    if (day > days[month] - days[month - 1]) {
        return NGX_DECLINED;
    }

    *ms = (days_before_year(year) + days[month - 1] + day - 1 - DAYS_TO_1970)
          * DAY_MS;

    return NGX_OK;
}


/* Any number of digits, of which three count. */
static ngx_int_t
take_fraction(cursor_t *c, int64_t *ms)
{
    int64_t        unit;
    const u_char  *start;

    start = c->p;

    for (unit = 100; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        *ms += unit * (*c->p - '0');
        unit /= 10;
    }

    return c->p > start ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
take_time(cursor_t *c, int64_t *ms)
{
    int64_t  hour, minute, second;

    if (take_number(c, 2, 0, 23, &hour) != NGX_OK
        || !take(c, ":")
        || take_number(c, 2, 0, 59, &minute) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    *ms += (hour * 60 + minute) * 60000;

    if (!take(c, ":")) {
        return NGX_OK;
    }

    if (take_number(c, 2, 0, 60, &second) != NGX_OK) {
        return NGX_DECLINED;
    }

    *ms += second * 1000;

    return take(c, ".,") ? take_fraction(c, ms) : NGX_OK;
}


static ngx_int_t
take_zone(cursor_t *c, int64_t *ms)
{
    u_char   sign;
    int64_t  hour, minute;

    if (c->p == c->end || take(c, "Zz")) {
        return NGX_OK;
    }

    sign = take(c, "+-");
    minute = 0;

    if (sign == 0 || take_number(c, 2, 0, 23, &hour) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (c->p < c->end) {
        (void) take(c, ":");

        if (take_number(c, 2, 0, 59, &minute) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    minute += hour * 60;
    *ms += (sign == '+' ? -minute : minute) * 60000;

    return NGX_OK;
}


ngx_int_t
vault_date_parse(const ngx_str_t *text, int64_t *ms)
{
    int64_t   t;
    cursor_t  c;

    c.p = text->data;
    c.end = text->data + text->len;

    if (take_date(&c, &t) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (take(&c, "Tt ")
        && (take_time(&c, &t) != NGX_OK || take_zone(&c, &t) != NGX_OK))
    {
        return NGX_DECLINED;
    }

    if (c.p != c.end || t < DATE_MIN || t > DATE_MAX) {
        return NGX_DECLINED;
    }

    *ms = t;

    return NGX_OK;
}


static u_char *
put_number(u_char *p, int64_t n, size_t digits, u_char after)
{
    size_t  i;

    for (i = digits; i; i--) {
        p[i - 1] = '0' + n % 10;
        n /= 10;
    }

    p[digits] = after;

    return p + digits + 1;
}


/* What no client could send is written as the nearest date that exists. */
u_char *
vault_date_format(u_char *out, int64_t ms)
{
    int64_t          days, year, month;
    const uint16_t  *before;

    ms = ngx_max(ms, DATE_MIN);
    ms = ngx_min(ms, DATE_MAX) - DATE_MIN;

    days = ms / DAY_MS;
    ms %= DAY_MS;

    /* leap days are not spread evenly: this can be one too low */

    year = days * 400 / DAYS_OF_400Y + 1;

    if (days_before_year(year + 1) <= days) {
        year++;
    }

    days -= days_before_year(year);
    before = days_before[is_leap(year)];

    for (month = 1; before[month] <= days; month++) { /* void */ }

    out = put_number(out, year, 4, '-');
    out = put_number(out, month, 2, '-');
    out = put_number(out, days - before[month - 1] + 1, 2, 'T');
    out = put_number(out, ms / 3600000, 2, ':');
    out = put_number(out, ms / 60000 % 60, 2, ':');
    out = put_number(out, ms / 1000 % 60, 2, '.');

    return put_number(out, ms % 1000, 3, 'Z');
}
