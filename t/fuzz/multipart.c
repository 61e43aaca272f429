/*
 * multipart/form-data: whatever comes, parsing ends, and what it gives lies
 * in the body, in order, and is not a boundary.
 */

#include <stdlib.h>

#include "../../src/run/multipart.h"


#define PARTS  4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
inside(const ngx_str_t *text, const ngx_str_t *body)
{
    if (text->data
        && (text->data < body->data
            || text->data + text->len > body->data + body->len))
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    off_t              end;
    size_t             line;
    ngx_int_t          rc;
    ngx_str_t          type, body, boundary;
    ngx_uint_t         i, n;
    const char        *err = NULL;
    vault_part_t       parts[PARTS];
    static ngx_str_t   usual = ngx_string("b");

    /* the first line may be a Content-Type */

    for (line = 0; line < size && data[line] != '\n'; line++) { /* void */ }

    type.data = (u_char *) data;
    type.len = line;
    body.data = type.data + line + (line < size);
    body.len = data + size - body.data;

    if (vault_multipart_boundary(&type, &boundary) != NGX_OK) {
        boundary = usual;

    } else if (boundary.len == 0 || boundary.len > 70) {
        abort();
    }

    n = PARTS;
    rc = vault_multipart_parse(&body, &boundary, parts, &n, &err);

    if (rc != NGX_OK && (rc != NGX_DECLINED || err == NULL)) {
        abort();
    }

    for (i = 0, end = 0; rc == NGX_OK && i < n; i++) {
        inside(&parts[i].name, &body);
        inside(&parts[i].filename, &body);

        if (parts[i].name.data == NULL || parts[i].from < end
            || parts[i].size < 0
            || parts[i].from + parts[i].size > (off_t) body.len)
        {
            abort();
        }

        end = parts[i].from + parts[i].size;
    }

    return 0;
}
