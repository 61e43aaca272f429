/*
 * multipart/form-data, as RFC 7578 and 2046 have it, without what nobody
 * sends: parts in parts, transfer encodings, header lines that are folded.
 */

#include "multipart.h"


#define BOUNDARY_MAX  70              /* RFC 2046 §5.1.1 */
#define HEADERS_MAX   4096            /* bytes of one part's */

typedef struct {
    u_char      *p;                   /* what is not read yet */
    u_char      *end;
    ngx_str_t    delimiter;           /* CR LF, two dashes and the boundary */
    u_char       buf[BOUNDARY_MAX + 4];
    const char  *err;
} reader_t;


static u_char *
skip_blanks(u_char *p, u_char *end)
{
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


/*
 * A parameter's value, quoted or not, from `p` on, just after its "=".  A
 * backslash escapes quotes only: browsers send "C:\file" as it is.
 */
static u_char *
parameter_value(u_char *p, u_char *end, ngx_str_t *value)
{
    if (p < end && *p == '"') {
        value->data = ++p;

        while (p < end && *p != '"') {
            p += *p == '\\' && end - p > 1 && p[1] == '"' ? 2 : 1;
        }

        if (p == end) {
            return NULL;
        }

        value->len = p - value->data;
        return p + 1;
    }

    value->data = p;

    while (p < end && *p != ';' && *p != ' ' && *p != '\t') {
        p++;
    }

    value->len = p - value->data;

    return p;
}


/* Of "type; name=value; …": data NULL if there is none of that name. */
static ngx_int_t
parameter(const ngx_str_t *line, const char *name, ngx_str_t *value)
{
    size_t      len;
    u_char     *p, *end, *key;
    ngx_str_t   text;

    ngx_str_null(value);

    len = ngx_strlen(name);
    end = line->data + line->len;
    p = ngx_strlchr(line->data, end, ';');

    while (p) {
        key = skip_blanks(p + 1, end);

        for (p = key; p < end && *p != '=' && *p != ';'; p++) { /* void */ }

        if (p < end && *p == '=') {
            text.len = p - key;

            p = parameter_value(p + 1, end, value);
            if (p == NULL) {
                return NGX_DECLINED;
            }

            if (text.len == len
                && ngx_strncasecmp(key, (u_char *) name, len) == 0)
            {
                return NGX_OK;
            }

            ngx_str_null(value);
        }

        p = ngx_strlchr(p, end, ';');
    }

    return NGX_OK;
}


/* Whether the line begins with `text`, in any case. */
static ngx_uint_t
begins(const ngx_str_t *line, const char *text)
{
    size_t  len = ngx_strlen(text);

    return line->len >= len
           && ngx_strncasecmp(line->data, (u_char *) text, len) == 0;
}


ngx_int_t
vault_multipart_boundary(const ngx_str_t *type, ngx_str_t *boundary)
{
    u_char     *p, *end;
    ngx_str_t   rest;

    if (!begins(type, "multipart/form-data")) {
        return NGX_DECLINED;
    }

    rest.data = type->data + sizeof("multipart/form-data") - 1;
    rest.len = type->len - (sizeof("multipart/form-data") - 1);

    end = rest.data + rest.len;
    p = skip_blanks(rest.data, end);

    if (p == end || *p != ';'
        || parameter(&rest, "boundary", boundary) != NGX_OK
        || boundary->len == 0 || boundary->len > BOUNDARY_MAX)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
refuse(reader_t *reader, const char *err)
{
    reader->err = err;

    return NGX_DECLINED;
}


/*
 * The rest of a delimiter's line: NGX_OK if a part follows, NGX_DONE after the
 * last one.
 */
static ngx_int_t
delimiter_end(reader_t *reader)
{
    u_char  *p = reader->p;

    if (reader->end - p >= 2 && p[0] == '-' && p[1] == '-') {
        return NGX_DONE;
    }

    p = skip_blanks(p, reader->end);

    if (reader->end - p < 2 || p[0] != '\r' || p[1] != '\n') {
        return refuse(reader, "has a boundary that does not end its line");
    }

    reader->p = p + 2;

    return NGX_OK;
}


/* To the first delimiter, which may be the very beginning. */
static ngx_int_t
first_delimiter(reader_t *reader)
{
    u_char     *p;
    ngx_str_t  *delimiter = &reader->delimiter;

    if ((size_t) (reader->end - reader->p) >= delimiter->len - 2
        && ngx_memcmp(reader->p, delimiter->data + 2, delimiter->len - 2) == 0)
    {
        reader->p += delimiter->len - 2;
        return delimiter_end(reader);
    }

    p = memmem(reader->p, reader->end - reader->p, delimiter->data,
               delimiter->len);

    if (p == NULL) {
        return refuse(reader, "lacks the boundary that its header names");
    }

    reader->p = p + delimiter->len;

    return delimiter_end(reader);
}


/* Only what leaves the bytes as they are. */
static ngx_uint_t
part_encoding(const ngx_str_t *line)
{
    u_char     *end = line->data + line->len;
    ngx_str_t   value;

    value.data = skip_blanks(line->data
                             + sizeof("content-transfer-encoding:") - 1, end);
    value.len = end - value.data;

    return begins(&value, "binary") || begins(&value, "8bit")
           || begins(&value, "7bit");
}


static ngx_int_t
part_header(reader_t *reader, const ngx_str_t *line, vault_part_t *part)
{
    if (begins(line, "content-transfer-encoding:")) {
        return part_encoding(line)
               ? NGX_OK : refuse(reader, "has a part in another encoding");
    }

    if (!begins(line, "content-disposition:")) {
        return NGX_OK;
    }

    if (parameter(line, "name", &part->name) != NGX_OK
        || parameter(line, "filename", &part->filename) != NGX_OK)
    {
        return refuse(reader, "has a part whose name lacks its last quote");
    }

    return NGX_OK;
}


/* Header lines, up to the empty one. */
static ngx_int_t
part_headers(reader_t *reader, vault_part_t *part)
{
    u_char     *p, *last;
    ngx_str_t   line;

    last = reader->p + ngx_min(reader->end - reader->p, HEADERS_MAX);

    for ( ;; ) {
        p = memmem(reader->p, last - reader->p, "\r\n", 2);

        if (p == NULL) {
            return refuse(reader, "has a part whose headers do not end");
        }

        line.data = reader->p;
        line.len = p - reader->p;
        reader->p = p + 2;

        if (line.len == 0) {
            return part->name.data
                   ? NGX_OK : refuse(reader, "has a part without a name");
        }

        if (part_header(reader, &line, part) != NGX_OK) {
            return NGX_DECLINED;
        }
    }
}


/* One part, and the delimiter behind it. */
static ngx_int_t
part(reader_t *reader, const u_char *start, vault_part_t *out)
{
    u_char  *p;

    ngx_memzero(out, sizeof(vault_part_t));

    if (part_headers(reader, out) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* the line end of the last header may be that of the delimiter */

    p = memmem(reader->p - 2, reader->end - reader->p + 2,
               reader->delimiter.data, reader->delimiter.len);

    if (p == NULL) {
        return refuse(reader, "ends before its last boundary");
    }

    out->from = reader->p - start;
    out->size = p > reader->p ? p - reader->p : 0;

    reader->p = p + reader->delimiter.len;

    return delimiter_end(reader);
}


ngx_int_t
vault_multipart_parse(const ngx_str_t *body, const ngx_str_t *boundary,
    vault_part_t *parts, ngx_uint_t *n, const char **err)
{
    u_char      *p;
    reader_t     reader;
    ngx_int_t    rc;
    ngx_uint_t   max = *n;

    reader.p = body->data;
    reader.end = body->data + body->len;
    reader.err = "is not what its header says";

    p = ngx_cpymem(reader.buf, "\r\n--", 4);
    p = ngx_cpymem(p, boundary->data, ngx_min(boundary->len, BOUNDARY_MAX));

    reader.delimiter.data = reader.buf;
    reader.delimiter.len = p - reader.buf;

    *n = 0;
    rc = body->len ? first_delimiter(&reader) : refuse(&reader, "is empty");

    while (rc == NGX_OK && *n < max) {
        rc = part(&reader, body->data, &parts[*n]);

        if (rc != NGX_DECLINED) {
            (*n)++;
        }
    }

    if (rc == NGX_OK) {
        rc = refuse(&reader, "has too many parts");
    }

    *err = reader.err;

    return rc == NGX_DONE ? NGX_OK : NGX_DECLINED;
}
