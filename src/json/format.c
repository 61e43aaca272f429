/*
 * format - texts that must look a certain way: UTF-8, base64, UUID, e-mail.
 */

#include "type.h"


/* Unicode 15, table 3-7: the range of the second byte is what excludes overlong
   forms, surrogates and everything beyond U+10FFFF. */
static const struct {
    u_char  first_min, first_max;
    u_char  second_min, second_max;
    size_t  len;
} sequences[] = {
    { 0xc2, 0xdf, 0x80, 0xbf, 2 },
    { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
    { 0xe1, 0xec, 0x80, 0xbf, 3 },
    { 0xed, 0xed, 0x80, 0x9f, 3 },
    { 0xee, 0xef, 0x80, 0xbf, 3 },
    { 0xf0, 0xf0, 0x90, 0xbf, 4 },
    { 0xf1, 0xf3, 0x80, 0xbf, 4 },
    { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};


/* The length of the sequence at p; 0 if it is none. */
static size_t
utf8_sequence(const u_char *p, size_t len)
{
    size_t  i, n;

    for (i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        if (*p >= sequences[i].first_min && *p <= sequences[i].first_max) {
            break;
        }
    }

    if (i == sizeof(sequences) / sizeof(sequences[0])) {
        return 0;
    }

    n = sequences[i].len;

    if (len < n || p[1] < sequences[i].second_min
        || p[1] > sequences[i].second_max)
    {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


ngx_int_t
vault_utf8_check(const ngx_str_t *text)
{
    size_t         n;
    const u_char  *p, *end;

    end = text->data + text->len;

    for (p = text->data; p < end; p += n) {

        n = (*p > 0 && *p < 0x80) ? 1 : utf8_sequence(p, end - p);

        if (n == 0) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
is_base64(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '+' || c == '/';
}


/*
 * Bits that padding leaves unused may be set: Bitwarden clients of some years
 * did so, and its server takes them (EncryptedStringAttribute).
 */
ssize_t
vault_base64_size(const u_char *text, size_t len)
{
    size_t  i, padding;

    if (len % 4) {
        return NGX_ERROR;
    }

    padding = 0;

    while (padding < 2 && padding < len && text[len - padding - 1] == '=') {
        padding++;
    }

    for (i = 0; i < len - padding; i++) {
        if (!is_base64(text[i])) {
            return NGX_ERROR;
        }
    }

    return len / 4 * 3 - padding;
}


static ngx_uint_t
is_hex(u_char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
           || (c >= 'A' && c <= 'F');
}


ngx_int_t
vault_uuid_check(const ngx_str_t *text)
{
    size_t       i;
    static char  layout[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (text->len != sizeof(layout) - 1) {
        return NGX_DECLINED;
    }

    for (i = 0; i < text->len; i++) {

        if (layout[i] == '-' ? text->data[i] != '-' : !is_hex(text->data[i])) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Spaces, controls and <>() would let an address become a mail header. */
static ngx_uint_t
is_email(u_char c)
{
    return c > ' ' && c != 0x7f && c != '<' && c != '>' && c != '('
           && c != ')';
}


ngx_int_t
vault_email_check(const ngx_str_t *text)
{
    size_t   i;
    u_char  *at;

    if (text->len > VAULT_EMAIL_MAX_LEN) {
        return NGX_DECLINED;
    }

    at = NULL;

    for (i = 0; i < text->len; i++) {

        if (!is_email(text->data[i])) {
            return NGX_DECLINED;
        }

        if (text->data[i] == '@') {

            if (at) {
                return NGX_DECLINED;
            }

            at = &text->data[i];
        }
    }

    if (at == NULL || at == text->data || at == text->data + text->len - 1) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}
