/*
 * enc - Bitwarden's EncString: "type.part|part|part", each part base64.
 *
 * Lengths are checked where they are known, since one malformed EncString can
 * blank a whole vault in a client (dani-garcia/vaultwarden#7333).  Source:
 * bitwarden/server EncryptedStringAttribute, since #8328.  Without a header
 * it is type 1 if there are three parts, else type 0.
 */

#include "type.h"


#define ENC_TYPES  8
#define ENC_PARTS  3

typedef enum {
    PART_NONE = 0,
    PART_IV,                          /* 16 bytes */
    PART_BLOCKS,                      /* AES-CBC: whole blocks */
    PART_MAC,                         /* HMAC-SHA256: 32 bytes */
    PART_ANY
} part_e;


static const part_e  layouts[ENC_TYPES][ENC_PARTS + 1] = {
    { PART_IV, PART_BLOCKS },             /* 0 AES-256-CBC */
    { PART_IV, PART_BLOCKS, PART_MAC },   /* 1 AES-128-CBC, HMAC-SHA256 */
    { PART_IV, PART_BLOCKS, PART_MAC },   /* 2 AES-256-CBC, HMAC-SHA256 */
    { PART_ANY },                         /* 3 RSA-2048-OAEP-SHA256 */
    { PART_ANY },                         /* 4 RSA-2048-OAEP-SHA1 */
    { PART_ANY, PART_ANY },               /* 5 as 3, and a MAC */
    { PART_ANY, PART_ANY },               /* 6 as 4, and a MAC */
    { PART_ANY },                         /* 7 COSE Encrypt0 */
};


static ngx_uint_t
part_is_valid(part_e part, const u_char *text, size_t len)
{
    ssize_t  size;

    size = vault_base64_size(text, len);

    if (size <= 0) {
        return 0;
    }

    switch (part) {

    case PART_IV:
        return size == 16;

    case PART_BLOCKS:
        return size % 16 == 0;

    case PART_MAC:
        return size == 32;

    default:
        return 1;
    }
}


/* The layout by the header, which *p is moved past. */
static const part_e *
layout_find(const u_char **p, const u_char *end)
{
    u_char         type;
    const u_char  *bar;

    if (end - *p >= 2 && (*p)[1] == '.') {
        type = (*p)[0] - '0';
        *p += 2;

        return type < ENC_TYPES ? layouts[type] : NULL;
    }

    bar = memchr(*p, '|', end - *p);

    if (bar && memchr(bar + 1, '|', end - bar - 1)) {
        return layouts[1];
    }

    return layouts[0];
}


ngx_int_t
vault_enc_check(const ngx_str_t *text)
{
    const part_e  *part;
    const u_char  *p, *end, *bar;

    if (text->len == 0) {
        return NGX_DECLINED;
    }

    p = text->data;
    end = p + text->len;

    part = layout_find(&p, end);
    if (part == NULL) {
        return NGX_DECLINED;
    }

    for ( ;; ) {

        bar = memchr(p, '|', end - p);

        if (!part_is_valid(*part, p, (bar ? bar : end) - p)) {
            return NGX_DECLINED;
        }

        part++;

        /* as many bars as there are parts to come */

        if (bar == NULL || *part == PART_NONE) {
            return (bar == NULL && *part == PART_NONE) ? NGX_OK
                                                       : NGX_DECLINED;
        }

        p = bar + 1;
    }
}
