/*
 * random - what nobody shall guess.
 */

#include "crypto.h"

#include <openssl/err.h>
#include <openssl/rand.h>


#define LETTERS      62
#define LETTER_LIMIT (256 / LETTERS * LETTERS)


ngx_int_t
vault_random(u_char *out, size_t len)
{
    if (len > INT_MAX || RAND_bytes(out, (int) len) != 1) {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
vault_uuid_create(u_char out[VAULT_UUID_LEN])
{
    u_char      b[16], *p;
    ngx_uint_t  i;

    if (vault_random(b, sizeof(b)) != NGX_OK) {
        return NGX_ERROR;
    }

    b[6] = (u_char) ((b[6] & 0x0f) | 0x40);    /* version 4 */
    b[8] = (u_char) ((b[8] & 0x3f) | 0x80);    /* the variant of RFC 9562 */

    for (p = out, i = 0; i < sizeof(b); i++) {

        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }

        p = vault_hex(p, &b[i], 1);
    }

    return NGX_OK;
}


ngx_int_t
vault_random_text(u_char *out, size_t n)
{
    size_t               i;
    u_char               b[64], *p, *last;
    static const u_char  letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz";

    for (p = out, last = out + n; p < last; /* void */ ) {

        if (vault_random(b, sizeof(b)) != NGX_OK) {
            vault_wipe(out, n);
            return NGX_ERROR;
        }

        for (i = 0; i < sizeof(b) && p < last; i++) {

            /* a remainder of all 256 would favour the first letters */

            if (b[i] < LETTER_LIMIT) {
                *p++ = letters[b[i] % LETTERS];
            }
        }
    }

    vault_wipe(b, sizeof(b));

    return NGX_OK;
}
