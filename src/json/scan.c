/*
 * scan - a look at a body before jansson gets it.
 *
 * jansson recurses, 80 bytes of stack and more a level, and makes about 300
 * bytes of memory from the two bytes "{}".  Neither can be bounded by its
 * interface, so depth and the number of containers are counted here.  A value
 * costs some 90 bytes, however short it is, so commas are counted too.
 */

#include "type.h"


/* An object of a real client has a dozen names; the shortest that is sent in
   thousands is {"key":0,"value":0}. */
#define SCAN_FREE_CONTAINERS      1000
#define SCAN_BYTES_PER_CONTAINER  16
#define SCAN_MAX_CONTAINERS       2000000   /* 100,000 items have half of it */

#define SCAN_FREE_VALUES          100000
#define SCAN_BYTES_PER_VALUE      8         /* the shortest: "ab":"c", */
#define SCAN_MAX_VALUES           6000000


/* The closing quote of the string that starts at p; `end` if there is none. */
static const u_char *
scan_string(const u_char *p, const u_char *end)
{
    const u_char  *quote, *b;

    for ( ;; p = quote + 1) {

        quote = memchr(p, '"', end - p);
        if (quote == NULL) {
            return end;
        }

        for (b = quote; b > p && b[-1] == '\\'; b--) { /* void */ }

        if ((quote - b) % 2 == 0) {
            return quote;
        }
    }
}


/* More than n of any size, and too many for so many bytes or at all? */

static ngx_uint_t
scan_crowded(size_t n, size_t len, size_t free, size_t bytes, size_t max)
{
    return n > free && (len / n < bytes || n > max);
}


ngx_int_t
vault_scan_check(vault_reader_t *rd, const ngx_str_t *text)
{
    size_t         depth, containers, values;
    const u_char  *p, *end;

    depth = 0;
    containers = 0;
    values = 0;
    end = text->data + text->len;

    for (p = text->data; p < end; p++) {

        switch (*p) {

        case '"':
            p = scan_string(p + 1, end);
            break;

        case '{':
        case '[':
            containers++;

            if (++depth > VAULT_JSON_MAX_DEPTH) {
                return vault_reader_fail(rd, "is nested too deeply");
            }

            break;

        case ',':
            values++;
            break;

        case '}':
        case ']':
            if (depth) {
                depth--;
            }

            break;
        }
    }

    if (scan_crowded(containers, text->len, SCAN_FREE_CONTAINERS,
                     SCAN_BYTES_PER_CONTAINER, SCAN_MAX_CONTAINERS))
    {
        return vault_reader_fail(rd, "has too many objects and lists");
    }

    if (scan_crowded(values, text->len, SCAN_FREE_VALUES,
                     SCAN_BYTES_PER_VALUE, SCAN_MAX_VALUES))
    {
        return vault_reader_fail(rd, "has too many values");
    }

    return NGX_OK;
}
