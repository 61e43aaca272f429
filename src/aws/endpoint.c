#include "endpoint.h"


static ngx_uint_t
ends_with(const ngx_str_t *text, const char *end)
{
    size_t  len = ngx_strlen(end);

    return text->len > len
           && ngx_strncasecmp(text->data + text->len - len, (u_char *) end,
                              len)
              == 0;
}


static ngx_uint_t
begins_with(const ngx_str_t *text, const char *start)
{
    size_t  len = ngx_strlen(start);

    return text->len >= len
           && ngx_strncasecmp(text->data, (u_char *) start, len) == 0;
}


static ngx_uint_t
is_letter(u_char c)
{
    return c >= 'a' && c <= 'z';
}


static ngx_uint_t
is_digit(u_char c)
{
    return c >= '0' && c <= '9';
}


/* Like "us-east-1" or "us-gov-west-1": letters, words, a number. */
static ngx_uint_t
is_region(const u_char *p, const u_char *end)
{
    ngx_uint_t  words;

    if (end - p < 6 || !is_letter(p[0]) || !is_letter(p[1])) {
        return 0;
    }

    for (words = 0; p < end; words++) {

        if (is_digit(*p)) {
            while (p < end && is_digit(*p)) {
                p++;
            }

            return p == end && words >= 2;
        }

        while (p < end && is_letter(*p)) {
            p++;
        }

        if (p == end || *p != '-') {
            return 0;
        }

        p++;
    }

    return 0;
}


ngx_int_t
vault_aws_region_of(const ngx_str_t *host, ngx_str_t *region)
{
    u_char  *p, *end, *start;

    if (!ends_with(host, ".amazonaws.com")
        && !ends_with(host, ".amazonaws.com.cn")
        && !ends_with(host, ".on.aws") && !ends_with(host, ".api.aws"))
    {
        return NGX_DECLINED;
    }

    /* from the right: a bucket may be called like a region */

    start = host->data;
    end = start + host->len;

    while (end > start) {

        for (p = end; p > start && p[-1] != '.'; p--) { /* void */ }

        if (end - p > 3 && ngx_strncmp(p, "s3-", 3) == 0
            && is_region(p + 3, end))
        {
            p += 3;                   /* "s3-us-west-2", as it used to be */
        }

        if (is_region(p, end)) {
            region->data = p;
            region->len = end - p;
            return NGX_OK;
        }

        end = p > start ? p - 1 : start;
    }

    return NGX_DECLINED;
}


ngx_int_t
vault_aws_region_check(const ngx_str_t *region)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < region->len; i++) {
        c = region->data[i];

        if (!is_letter(c) && !is_digit(c) && c != '-') {
            return NGX_DECLINED;
        }
    }

    return region->len > 0 && region->len <= 32 ? NGX_OK : NGX_DECLINED;
}


const char *
vault_aws_domain(const ngx_str_t *region)
{
    ngx_uint_t  i;
    static const struct {
        const char  *prefix;
        const char  *domain;
    } partitions[] = {
        { "cn-",       "amazonaws.com.cn" },
        { "us-isob-",  "sc2s.sgov.gov" },
        { "us-isof-",  "csp.hci.ic.gov" },
        { "us-iso-",   "c2s.ic.gov" },
        { "eu-isoe-",  "cloud.adc-e.uk" },
        { "eusc-",     "amazonaws.eu" },
    };

    for (i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++) {
        if (begins_with(region, partitions[i].prefix)) {
            return partitions[i].domain;
        }
    }

    return "amazonaws.com";
}


/* The host of "host[:port]" or "[v6][:port]"; no other form is taken. */
static ngx_int_t
host_of(const ngx_str_t *authority, ngx_str_t *host)
{
    u_char  *p, *end;

    p = authority->data;
    end = p + authority->len;

    *host = *authority;

    if (p < end && *p == '[') {
        while (p < end && *p != ']') {
            p++;
        }

        if (p == end) {
            return NGX_DECLINED;
        }

        host->len = ++p - authority->data;

    } else {
        while (p < end && *p != ':') {
            p++;
        }

        host->len = p - authority->data;
    }

    if (p < end && *p++ != ':') {
        return NGX_DECLINED;
    }

    while (p < end && is_digit(*p)) {
        p++;
    }

    return p == end && host->len ? NGX_OK : NGX_DECLINED;
}


/* 127.x.x.x, in this spelling only. */
static ngx_uint_t
is_loopback(const ngx_str_t *host)
{
    u_char      *p, *end;
    ngx_uint_t   value, dots;

    p = host->data;
    end = p + host->len;
    value = 0;

    if (!begins_with(host, "127.")) {
        return 0;
    }

    for (dots = 0; p < end; p++) {

        if (*p == '.' && p + 1 < end && is_digit(p[1])) {
            dots++;
            value = 0;

        } else if (is_digit(*p)) {
            value = value * 10 + (*p - '0');

            if (value > 255) {
                return 0;
            }

        } else {
            return 0;
        }
    }

    return dots == 3;
}


static ngx_int_t
check_plain_host(const ngx_str_t *host)
{
    ngx_uint_t          i;
    static const char  *known[] = {
        "localhost", "[::1]", "169.254.170.2", "169.254.170.23",
        "[fd00:ec2::23]"
    };

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (host->len == ngx_strlen(known[i])
            && ngx_strncasecmp(host->data, (u_char *) known[i], host->len)
               == 0)
        {
            return NGX_OK;
        }
    }

    return is_loopback(host) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
vault_aws_container_check(const ngx_str_t *url)
{
    size_t      i, skip;
    ngx_str_t   authority, host;

    for (i = 0; i < url->len; i++) {
        if (url->data[i] <= ' ' || url->data[i] >= 0x7f
            || url->data[i] == '\\')
        {
            return NGX_DECLINED;
        }
    }

    skip = begins_with(url, "https://") ? 8
           : begins_with(url, "http://") ? 7 : 0;
    if (skip == 0) {
        return NGX_DECLINED;
    }

    authority.data = url->data + skip;
    authority.len = 0;

    for (i = skip; i < url->len; i++, authority.len++) {
        if (ngx_strchr("/?#", url->data[i])) {
            break;
        }
    }

    if (host_of(&authority, &host) != NGX_OK
        || ngx_strlchr(authority.data, authority.data + authority.len, '@'))
    {
        return NGX_DECLINED;
    }

    return skip == 8 ? NGX_OK : check_plain_host(&host);
}
