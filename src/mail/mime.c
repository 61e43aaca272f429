/*
 * mime - a message as bytes that any mail server takes.
 *
 * Both parts are quoted-printable: readable in a log or a raw view, and of
 * ASCII and the languages of Europe it makes little more than it was.  In it
 * "=" is followed by a digit, a letter or the end of a line, so that a
 * boundary which begins with "=_" stands in no part (RFC 2045, 6.7).
 */

#include "mime.h"
#include "../json/json.h"


#define LINE      76                  /* the longest, RFC 2045 and 2047 */
#define WORD      12                  /* "=?UTF-8?B?" and "?=" */
#define MESSAGE   2048                /* what is around the texts */
#define DAY       86400000            /* ms */

#define TYPE      "Content-Transfer-Encoding: quoted-printable\r\n\r\n"


/* Addresses */

static ngx_uint_t
is_letter(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9');
}


/* What a local part may hold without quotes; a dot inside as well. */
static ngx_uint_t
is_atom(const ngx_str_t *local)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < local->len; i++) {
        c = local->data[i];

        if (c == '.') {
            if (i == 0 || i + 1 == local->len || local->data[i - 1] == '.') {
                return 0;
            }

        } else if (!is_letter(c) && !memchr("!#$%&'*+-/=?^_`{|}~", c, 19)) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
is_domain(const ngx_str_t *domain)
{
    size_t  i;
    u_char  c;

    if (domain->len == 0 || domain->len > 253) {
        return 0;
    }

    for (i = 0; i < domain->len; i++) {
        c = domain->data[i];

        if (!is_letter(c) && c != '-'
            && (c != '.' || i == 0 || i + 1 == domain->len
                || domain->data[i - 1] == '.'))
        {
            return 0;
        }
    }

    return 1;
}


/* Printable ASCII, spaces included. */
static ngx_uint_t
is_ascii(const ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < ' ' || text->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


static u_char *
put_quoted(u_char *p, const ngx_str_t *text)
{
    size_t  i;

    *p++ = '"';

    for (i = 0; i < text->len; i++) {
        if (text->data[i] == '"' || text->data[i] == '\\') {
            *p++ = '\\';
        }

        *p++ = text->data[i];
    }

    *p++ = '"';

    return p;
}


ngx_int_t
vault_mime_address(ngx_pool_t *pool, const ngx_str_t *address, ngx_str_t *out)
{
    u_char     *p, *at, *data;
    ngx_str_t   local, domain;

    at = address->data + address->len;

    while (at > address->data && *--at != '@') { /* void */ }

    if (address->len == 0 || *at != '@' || at == address->data) {
        return NGX_DECLINED;
    }

    local.data = address->data;
    local.len = at - address->data;
    domain.data = at + 1;
    domain.len = address->len - local.len - 1;

    if (local.len > 128 || !is_ascii(&local) || !is_domain(&domain)) {
        return NGX_DECLINED;
    }

    data = ngx_pnalloc(pool, 2 * local.len + domain.len + 4);
    if (data == NULL) {
        return NGX_ERROR;
    }

    p = is_atom(&local) ? ngx_cpymem(data, local.data, local.len)
                        : put_quoted(data, &local);
    *p++ = '@';
    p = ngx_cpymem(p, domain.data, domain.len);

    out->data = data;
    out->len = p - data;

    return NGX_OK;
}


/* Texts of headers */

static ngx_uint_t
is_header(const ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < ' ' || text->data[i] == 0x7f) {
            return 0;
        }
    }

    return vault_utf8_check(text) == NGX_OK;
}


/* So many of the `most` bytes as are whole characters. */
static size_t
whole(const u_char *data, size_t len, size_t most)
{
    if (len <= most) {
        return len;
    }

    while (most && (data[most] & 0xc0) == 0x80) {
        most--;
    }

    return most;
}


/* RFC 2047; `column` is where the line has come. */
static u_char *
put_words(u_char *p, const ngx_str_t *text, size_t column)
{
    size_t     n;
    ngx_str_t  rest = *text, part, out;

    while (rest.len) {
        n = column + WORD + 8 > LINE ? 0 : (LINE - column - WORD) / 4 * 3;
        n = whole(rest.data, rest.len, n);

        if (n) {
            part.data = rest.data;
            part.len = n;

            p = ngx_cpymem(p, "=?UTF-8?B?", 10);
            out.data = p;
            ngx_encode_base64(&out, &part);
            p += out.len;
            *p++ = '?';
            *p++ = '=';
        }

        rest.data += n;
        rest.len -= n;

        if (rest.len) {
            p = ngx_cpymem(p, "\r\n ", 3);
            column = 1;
        }
    }

    return p;
}


/* As it is, where that is safe and short. */
static u_char *
put_text(u_char *p, const ngx_str_t *text, size_t column)
{
    if (is_ascii(text) && column + text->len <= LINE
        && ngx_strlchr(text->data, text->data + text->len, '=') == NULL
        && (text->len == 0 || (text->data[0] != ' '
                               && text->data[text->len - 1] != ' ')))
    {
        return ngx_cpymem(p, text->data, text->len);
    }

    return put_words(p, text, column);
}


static u_char *
put_from(u_char *p, const ngx_str_t *name, const ngx_str_t *address)
{
    p = ngx_cpymem(p, "From: ", 6);

    if (name->len == 0) {
        return ngx_cpymem(p, address->data, address->len);
    }

    if (is_ascii(name) && name->len <= 32
        && ngx_strlchr(name->data, name->data + name->len, '=') == NULL)
    {
        p = put_quoted(p, name);

    } else {
        p = put_words(p, name, 6);
    }

    return ngx_sprintf(p, "\r\n <%V>", address);
}


/* "Sun, 22 Nov 2026 08:51:47 +0000" */
static u_char *
put_date(u_char *p, int64_t ms)
{
    u_char      text[VAULT_DATE_LEN];
    ngx_uint_t  month;

    static const char  days[] = "ThuFriSatSunMonTueWed";
    static const char  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    (void) vault_date_format(text, ms);
    month = (text[5] - '0') * 10 + text[6] - '0';

    return ngx_sprintf(p, "Date: %*s, %*s %*s %*s %*s +0000\r\n",
                       (size_t) 3, days + ms / DAY % 7 * 3,
                       (size_t) 2, text + 8,
                       (size_t) 3, months + (month - 1) * 3,
                       (size_t) 4, text,
                       (size_t) 8, text + 11);
}


/* Bodies */

/* May this byte stand as it is, at this place of its line? */
static ngx_uint_t
is_plain(const u_char *c, const u_char *end, ngx_uint_t column)
{
    if (*c == ' ' || *c == '\t') {
        return c + 1 < end && c[1] != '\n';
    }

    if (*c == '.' || *c == 'F') {
        return column != 0;           /* ends a mail; ">From" */
    }

    return *c > ' ' && *c < 0x7f && *c != '=';
}


static u_char *
put_body(u_char *p, const ngx_str_t *text)
{
    ngx_uint_t     column, plain;
    const u_char  *c, *end;

    column = 0;
    end = text->data + text->len;

    for (c = text->data; c < end; c++) {

        if (*c == '\n') {
            *p++ = '\r';
            *p++ = '\n';
            column = 0;
            continue;
        }

        if (column + (is_plain(c, end, column) ? 1 : 3) >= LINE) {
            p = ngx_cpymem(p, "=\r\n", 3);
            column = 0;
        }

        plain = is_plain(c, end, column);
        p = plain ? ngx_cpymem(p, c, 1)
                  : ngx_sprintf(p, "=%02Xd", (u_int) *c);
        column += plain ? 1 : 3;
    }

    if (column) {
        p = ngx_cpymem(p, "\r\n", 2);
    }

    return p;
}


static u_char *
put_parts(u_char *p, const vault_mime_t *mime)
{
    p = ngx_sprintf(p, "MIME-Version: 1.0\r\n"
                       "Content-Type: multipart/alternative;\r\n"
                       " boundary=\"=_%V\"\r\n"
                       "\r\n"
                       "--=_%V\r\n"
                       "Content-Type: text/plain; charset=utf-8\r\n" TYPE,
                    &mime->id, &mime->id);
    p = put_body(p, &mime->text);

    p = ngx_sprintf(p, "\r\n--=_%V\r\n"
                       "Content-Type: text/html; charset=utf-8\r\n" TYPE,
                    &mime->id);
    p = put_body(p, &mime->html);

    return ngx_sprintf(p, "\r\n--=_%V--\r\n", &mime->id);
}


static ngx_uint_t
is_sound(const vault_mime_t *mime)
{
    size_t  i;

    for (i = 0; i < mime->id.len; i++) {
        if (!is_letter(mime->id.data[i]) && mime->id.data[i] != '-') {
            return 0;
        }
    }

    return mime->id.len != 0 && mime->id.len <= 60 && mime->date >= 0
           && is_header(&mime->from_name) && is_header(&mime->subject)
           && vault_utf8_check(&mime->text) == NGX_OK
           && vault_utf8_check(&mime->html) == NGX_OK;
}


static ngx_str_t
domain_of(const ngx_str_t *address)
{
    ngx_str_t  domain;

    domain.len = 0;

    while (address->data[address->len - domain.len - 1] != '@') {
        domain.len++;
    }

    domain.data = address->data + address->len - domain.len;

    return domain;
}


ngx_int_t
vault_mime_compose(ngx_pool_t *pool, const vault_mime_t *mime, ngx_str_t *out)
{
    u_char     *p, *data;
    ngx_int_t   rc;
    ngx_str_t   from, to, domain;

    rc = vault_mime_address(pool, &mime->from, &from);

    if (rc == NGX_OK) {
        rc = vault_mime_address(pool, &mime->to, &to);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (!is_sound(mime)) {
        return NGX_DECLINED;
    }

    /* a byte becomes three, and three more for every 73 of those */
    data = ngx_pnalloc(pool, MESSAGE + 4 * (mime->subject.len
                                            + mime->from_name.len
                                            + mime->text.len
                                            + mime->html.len));
    if (data == NULL) {
        return NGX_ERROR;
    }

    domain = domain_of(&from);

    p = put_date(data, mime->date);
    p = put_from(p, &mime->from_name, &from);
    p = ngx_sprintf(p, "\r\nTo: %V\r\nSubject: ", &to);
    p = put_text(p, &mime->subject, 9);
    p = ngx_sprintf(p, "\r\nMessage-ID: <%V@%V>\r\n"
                       "Auto-Submitted: auto-generated\r\n",
                    &mime->id, &domain);
    p = put_parts(p, mime);

    out->data = data;
    out->len = p - data;

    return NGX_OK;
}
