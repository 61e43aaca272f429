/*
 * s3_xml: whatever a store answers, what is found lies within the answer, each
 * element behind the one before, and no text is longer than its element.
 */

#include "shim.h"

#include "../../src/files/s3_xml.h"


static void
check_element(ngx_pool_t *pool, const ngx_str_t *element)
{
    ngx_str_t  text;

    if (vault_s3_xml_text(pool, element, "Key", &text) == NGX_OK
        && text.len > element->len)
    {
        abort();
    }

    (void) vault_s3_xml_text(pool, element, "Code", &text);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char       *end;
    ngx_str_t     rest, inside;
    ngx_uint_t    i;
    ngx_pool_t   *pool;
    const char   *names[] = { "Deleted", "Error", "Key" };

    pool = ngx_create_pool(4096, shim_log());
    end = (u_char *) data + size;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        rest.data = (u_char *) data;
        rest.len = size;

        while (vault_s3_xml_next(&rest, names[i], &inside) == NGX_OK) {
            if (inside.data < data || inside.data + inside.len > rest.data
                || rest.data + rest.len != end)
            {
                abort();
            }

            check_element(pool, &inside);
        }
    }

    ngx_destroy_pool(pool);

    return 0;
}
