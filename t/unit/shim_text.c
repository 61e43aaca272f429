/*
 * shim_text - nginx's string functions for programs without nginx; see
 * shim.h.  The format language is the one that nginx documents beside
 * ngx_sprintf().
 */

#include "shim.h"


typedef struct {
    u_char   *pos;
    u_char   *last;
} out_t;

typedef struct {
    unsigned    zero:1;               /* pad with zeros */
    unsigned    is_unsigned:1;
    unsigned    hex:1;
    unsigned    upper:1;
    unsigned    has_len:1;            /* "*" */
    size_t      len;
    ngx_uint_t  width;
    ngx_uint_t  fraction;
} spec_t;


static void
out_char(out_t *out, u_char c)
{
    if (out->pos < out->last) {
        *out->pos++ = c;
    }
}


static void
out_bytes(out_t *out, const u_char *p, size_t len)
{
    while (len--) {
        out_char(out, *p++);
    }
}


static void
out_number(out_t *out, uint64_t n, ngx_uint_t negative, spec_t *spec)
{
    u_char       digits[24], *p;
    ngx_uint_t   len, base;
    const char  *set;

    set = spec->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    base = spec->hex ? 16 : 10;
    p = digits + sizeof(digits);

    do {
        *--p = (u_char) set[n % base];
        n /= base;
    } while (n);

    if (negative) {
        out_char(out, '-');
    }

    len = (ngx_uint_t) (digits + sizeof(digits) - p);

    for ( /* void */ ; len < spec->width; len++) {
        out_char(out, spec->zero ? '0' : ' ');
    }

    out_bytes(out, p, (size_t) (digits + sizeof(digits) - p));
}


static void
out_integer(out_t *out, int64_t n, spec_t *spec)
{
    if (n < 0 && !spec->is_unsigned) {
        out_number(out, -(uint64_t) n, 1, spec);
        return;
    }

    out_number(out, (uint64_t) n, 0, spec);
}


static void
out_string(out_t *out, const u_char *p, spec_t *spec)
{
    size_t  i;

    if (!spec->has_len) {
        out_bytes(out, p, strlen((const char *) p));
        return;
    }

    if (!spec->hex) {
        out_bytes(out, p, spec->len);
        return;
    }

    spec->width = 2;
    spec->zero = 1;

    for (i = 0; i < spec->len; i++) {
        out_number(out, p[i], 0, spec);
    }
}


static const char *
parse_spec(const char *fmt, spec_t *spec)
{
    memset(spec, 0, sizeof(spec_t));

    spec->zero = (*fmt == '0');

    while (*fmt >= '0' && *fmt <= '9') {
        spec->width = spec->width * 10 + (ngx_uint_t) (*fmt++ - '0');
    }

    for ( ;; ) {

        switch (*fmt) {

        case 'u':
            spec->is_unsigned = 1;
            break;

        case 'X':
            spec->upper = 1;
            /* fall through */

        case 'x':
            spec->hex = 1;
            spec->is_unsigned = 1;
            break;

        case 'm':
            break;

        case '*':
            spec->has_len = 1;
            break;

        case '.':
            while (fmt[1] >= '0' && fmt[1] <= '9') {
                spec->fraction = spec->fraction * 10
                                 + (ngx_uint_t) (*++fmt - '0');
            }
            break;

        default:
            return fmt;
        }

        fmt++;
    }
}


/* The integers: 1 if `type` was one of them. */
static ngx_uint_t
format_integer(out_t *out, char type, spec_t *spec, va_list *args)
{
    switch (type) {

    case 'd':
        if (spec->is_unsigned) {
            out_integer(out, (int64_t) va_arg(*args, u_int), spec);
            return 1;
        }

        out_integer(out, va_arg(*args, int), spec);
        return 1;

    case 'D':
        if (spec->is_unsigned) {
            out_integer(out, (int64_t) va_arg(*args, uint32_t), spec);
            return 1;
        }

        out_integer(out, va_arg(*args, int32_t), spec);
        return 1;

    case 'l':
    case 'L':
    case 'O':
    case 'T':
    case 'A':
    case 'i':
    case 'z':
        /* all 64 bits wide wherever this is tested */
        out_integer(out, va_arg(*args, int64_t), spec);
        return 1;

    case 'P':
        out_integer(out, va_arg(*args, ngx_pid_t), spec);
        return 1;

    case 'M':
        spec->is_unsigned = 1;
        out_integer(out, (int64_t) va_arg(*args, ngx_msec_t), spec);
        return 1;

    case 'p':
        spec->hex = 1;
        spec->upper = 1;
        spec->zero = 1;
        spec->width = 2 * sizeof(void *);
        out_number(out, (uintptr_t) va_arg(*args, void *), 0, spec);
        return 1;

    default:
        return 0;
    }
}


static void
format_double(out_t *out, double f, spec_t *spec)
{
    char  text[400];
    int   n;

    n = snprintf(text, sizeof(text), "%*.*f", (int) spec->width,
                 (int) spec->fraction, f);
    out_bytes(out, (u_char *) text, (size_t) n);
}


static void
format_other(out_t *out, char type, spec_t *spec, va_list *args)
{
    ngx_str_t                  *s;
    ngx_variable_value_t       *v;

    switch (type) {

    case 'V':
        s = va_arg(*args, ngx_str_t *);
        out_bytes(out, s->data, s->len);
        return;

    case 'v':
        v = va_arg(*args, ngx_variable_value_t *);
        out_bytes(out, v->data, v->len);
        return;

    case 's':
        out_string(out, va_arg(*args, u_char *), spec);
        return;

    case 'f':
        format_double(out, va_arg(*args, double), spec);
        return;

    case 'c':
        out_char(out, (u_char) (va_arg(*args, int) & 0xff));
        return;

    case 'Z':
        out_char(out, '\0');
        return;

    case 'N':
        out_char(out, LF);
        return;

    case '%':
        out_char(out, '%');
        return;

    default:
        fprintf(stderr, "the shim does not know %%%c\n", type);
        abort();
    }
}


u_char *
ngx_vslprintf(u_char *buf, u_char *last, const char *fmt, va_list args)
{
    out_t    out;
    spec_t   spec;
    va_list  copy;

    out.pos = buf;
    out.last = last;

    va_copy(copy, args);

    for ( /* void */ ; *fmt && out.pos < out.last; fmt++) {

        if (*fmt != '%') {
            out_char(&out, (u_char) *fmt);
            continue;
        }

        fmt = parse_spec(fmt + 1, &spec);

        if (spec.has_len) {
            spec.len = va_arg(copy, size_t);
        }

        if (!format_integer(&out, *fmt, &spec, &copy)) {
            format_other(&out, *fmt, &spec, &copy);
        }
    }

    va_end(copy);

    return out.pos;
}


u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, (u_char *) UINTPTR_MAX, fmt, args);
    va_end(args);

    return p;
}


u_char *
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, buf + max, fmt, args);
    va_end(args);

    return p;
}


u_char *
ngx_slprintf(u_char *buf, u_char *last, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, last, fmt, args);
    va_end(args);

    return p;
}


u_char *
ngx_cpystrn(u_char *dst, u_char *src, size_t n)
{
    if (n == 0) {
        return dst;
    }

    for ( /* void */ ; --n && *src; dst++, src++) {
        *dst = *src;
    }

    *dst = '\0';

    return dst;
}


void
ngx_strlow(u_char *dst, u_char *src, size_t n)
{
    for ( /* void */ ; n; n--) {
        *dst++ = ngx_tolower(*src);
        src++;
    }
}


ngx_int_t
ngx_strcasecmp(u_char *s1, u_char *s2)
{
    return ngx_strncasecmp(s1, s2, SIZE_MAX);
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    u_char  a, b;

    for ( /* void */ ; n; n--, s1++, s2++) {
        a = ngx_tolower(*s1);
        b = ngx_tolower(*s2);

        if (a != b) {
            return (ngx_int_t) a - (ngx_int_t) b;
        }

        if (a == '\0') {
            return 0;
        }
    }

    return 0;
}


ngx_int_t
ngx_memn2cmp(u_char *s1, u_char *s2, size_t n1, size_t n2)
{
    int  rc;

    rc = memcmp(s1, s2, ngx_min(n1, n2));

    if (rc == 0 && n1 != n2) {
        return n1 < n2 ? -1 : 1;
    }

    return rc;
}


static ngx_int_t
read_number(u_char *line, size_t n, ngx_int_t base)
{
    int64_t  value, digit;

    if (n == 0) {
        return NGX_ERROR;
    }

    for (value = 0; n; n--, line++) {

        if (*line >= '0' && *line <= '9') {
            digit = *line - '0';

        } else if (base == 16 && (*line | 0x20) >= 'a'
                   && (*line | 0x20) <= 'f')
        {
            digit = (*line | 0x20) - 'a' + 10;

        } else {
            return NGX_ERROR;
        }

        if (value > (NGX_MAX_INT_T_VALUE - digit) / base) {
            return NGX_ERROR;
        }

        value = value * base + digit;
    }

    return (ngx_int_t) value;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    return read_number(line, n, 10);
}


ssize_t
ngx_atosz(u_char *line, size_t n)
{
    return read_number(line, n, 10);
}


off_t
ngx_atoof(u_char *line, size_t n)
{
    return read_number(line, n, 10);
}


time_t
ngx_atotm(u_char *line, size_t n)
{
    return read_number(line, n, 10);
}


ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    return read_number(line, n, 16);
}


u_char *
ngx_hex_dump(u_char *dst, u_char *src, size_t len)
{
    while (len--) {
        dst = ngx_sprintf(dst, "%02xd", *src++);
    }

    return dst;
}


void
ngx_encode_base64(ngx_str_t *dst, ngx_str_t *src)
{
    size_t         i;
    u_char        *p = dst->data;
    uint32_t       bits;
    const u_char  *s = src->data;

    static const char  set[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (i = 0; i < src->len; i += 3) {
        bits = (uint32_t) s[i] << 16
               | (uint32_t) (i + 1 < src->len ? s[i + 1] : 0) << 8
               | (i + 2 < src->len ? s[i + 2] : 0);

        *p++ = set[bits >> 18];
        *p++ = set[bits >> 12 & 63];
        *p++ = i + 1 < src->len ? set[bits >> 6 & 63] : '=';
        *p++ = i + 2 < src->len ? set[bits & 63] : '=';
    }

    dst->len = p - dst->data;
}
