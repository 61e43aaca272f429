#include "s3_xml.h"


#define HEAD                                                                 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                           \
    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"             \
    "<Quiet>false</Quiet>"
#define BEFORE  "<Object><Key>"
#define AFTER   "</Key></Object>"
#define TAIL    "</Delete>"

#define ENTITY_MAX  10                /* "&#1114111;" */


ngx_int_t
vault_s3_xml_delete(ngx_pool_t *pool, const ngx_str_t *prefix,
    const ngx_str_t *names, ngx_uint_t n, ngx_str_t *out)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = sizeof(HEAD TAIL) - 1;

    for (i = 0; i < n; i++) {
        len += sizeof(BEFORE AFTER) - 1 + prefix->len + names[i].len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    p = ngx_cpymem(p, HEAD, sizeof(HEAD) - 1);

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, BEFORE, sizeof(BEFORE) - 1);
        p = ngx_cpymem(p, prefix->data, prefix->len);
        p = ngx_cpymem(p, names[i].data, names[i].len);
        p = ngx_cpymem(p, AFTER, sizeof(AFTER) - 1);
    }

    p = ngx_cpymem(p, TAIL, sizeof(TAIL) - 1);
    out->len = p - out->data;

    return NGX_OK;
}


/* Tags */

/* Behind the ">" of the tag that begins at p, or NULL. */
static u_char *
skip_tag(u_char *p, u_char *end)
{
    u_char  quote;

    quote = 0;

    for (p++; p < end; p++) {

        if (quote) {
            quote = *p == quote ? 0 : quote;

        } else if (*p == '"' || *p == '\'') {
            quote = *p;

        } else if (*p == '>') {
            return p + 1;
        }
    }

    return NULL;
}


/* Behind "-->"; NULL if there is none. */
static u_char *
skip_comment(u_char *p, u_char *end)
{
    for (p += 4; end - p >= 3; p++) {
        if (p[0] == '-' && p[1] == '-' && p[2] == '>') {
            return p + 3;
        }
    }

    return NULL;
}


/* Whether the tag at p, "<name" or "</name", has this name. */
static ngx_uint_t
is_tag(const u_char *p, const u_char *end, const char *name,
    ngx_uint_t closing)
{
    size_t  len = ngx_strlen(name);

    p += 1 + closing;

    return end - p > (ssize_t) len && ngx_memcmp(p, name, len) == 0
           && (p[len] == '>' || p[len] == '/' || p[len] == ' '
               || p[len] == '\n' || p[len] == '\r' || p[len] == '\t');
}


/* The next tag of this name from p on, and where it ends; NULL if none. */
static u_char *
find_tag(u_char *p, u_char *end, const char *name, ngx_uint_t closing,
    u_char **behind)
{
    u_char  *tag;

    while (p < end) {
        tag = ngx_strlchr(p, end, '<');
        if (tag == NULL || end - tag < 2) {
            return NULL;
        }

        p = end - tag >= 4 && ngx_memcmp(tag, "<!--", 4) == 0
            ? skip_comment(tag, end) : skip_tag(tag, end);
        if (p == NULL) {
            return NULL;
        }

        if ((tag[1] == '/') == closing && is_tag(tag, end, name, closing)) {
            *behind = p;
            return tag;
        }
    }

    return NULL;
}


ngx_int_t
vault_s3_xml_next(ngx_str_t *rest, const char *name, ngx_str_t *inside)
{
    u_char  *start, *close, *behind, *end;

    end = rest->data + rest->len;

    if (rest->len == 0
        || find_tag(rest->data, end, name, 0, &start) == NULL)
    {
        return NGX_DECLINED;
    }

    if (start[-2] == '/') {           /* "<name/>" */
        close = start;
        behind = start;

    } else {
        close = find_tag(start, end, name, 1, &behind);
        if (close == NULL) {
            return NGX_DECLINED;
        }
    }

    inside->data = start;
    inside->len = close - start;

    rest->data = behind;
    rest->len = end - behind;

    return NGX_OK;
}


/* Text */

static u_char *
write_utf8(u_char *p, uint32_t c)
{
    if (c < 0x80) {
        *p++ = (u_char) c;
        return p;
    }

    if (c < 0x800) {
        *p++ = (u_char) (0xc0 | (c >> 6));

    } else {
        if (c < 0x10000) {
            *p++ = (u_char) (0xe0 | (c >> 12));

        } else {
            *p++ = (u_char) (0xf0 | (c >> 18));
            *p++ = (u_char) (0x80 | ((c >> 12) & 0x3f));
        }

        *p++ = (u_char) (0x80 | ((c >> 6) & 0x3f));
    }

    *p++ = (u_char) (0x80 | (c & 0x3f));

    return p;
}


/* The digits of "&#65;" or "&#x41;"; 0 if they are none. */
static uint32_t
read_number(const u_char *p, const u_char *end)
{
    ngx_int_t  n;

    if (p < end && *p == 'x') {
        n = ngx_hextoi((u_char *) p + 1, end - p - 1);

    } else {
        n = ngx_atoi((u_char *) p, end - p);
    }

    return n > 0 && n <= 0x10ffff && (n < 0xd800 || n > 0xdfff)
           ? (uint32_t) n : 0;
}


/* The character of "&name;", from behind "&" to ";"; 0 if unknown. */
static uint32_t
read_entity(const u_char *p, const u_char *end)
{
    size_t      len = end - p;
    ngx_uint_t  i;
    static const struct {
        ngx_str_t  name;
        u_char     c;
    } known[] = {
        { ngx_string("amp"), '&' },
        { ngx_string("lt"), '<' },
        { ngx_string("gt"), '>' },
        { ngx_string("quot"), '"' },
        { ngx_string("apos"), '\'' },
    };

    if (len > 1 && *p == '#') {
        return read_number(p + 1, end);
    }

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].name.len == len
            && ngx_memcmp(known[i].name.data, p, len) == 0)
        {
            return known[i].c;
        }
    }

    return 0;
}


/* What is no entity stays as it is; a text never grows. */
static u_char *
write_plain(u_char *out, const u_char *p, const u_char *end)
{
    uint32_t       c;
    const u_char  *semicolon;

    while (p < end) {

        if (*p != '&') {
            *out++ = *p++;
            continue;
        }

        semicolon = ngx_strlchr((u_char *) p, (u_char *) end, ';');
        c = semicolon && semicolon - p < ENTITY_MAX
            ? read_entity(p + 1, semicolon) : 0;

        if (c) {
            out = write_utf8(out, c);
            p = semicolon + 1;

        } else {
            *out++ = *p++;
        }
    }

    return out;
}


ngx_int_t
vault_s3_xml_text(ngx_pool_t *pool, const ngx_str_t *xml, const char *name,
    ngx_str_t *text)
{
    ngx_int_t   rc;
    ngx_str_t   rest, inside;

    rest = *xml;

    rc = vault_s3_xml_next(&rest, name, &inside);
    if (rc != NGX_OK) {
        return rc;
    }

    text->data = ngx_pnalloc(pool, inside.len + 1);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = write_plain(text->data, inside.data, inside.data + inside.len)
                - text->data;

    return NGX_OK;
}
