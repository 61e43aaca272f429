/*
 * s3_url: any URL is taken or refused with words; what is taken gives a place
 * whose host and path can stand in a request.
 */

#include "shim.h"

#include "../../src/files/s3_url.h"


static void
check_plain(const ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] <= ' ' || text->data[i] >= 0x7f
            || strchr("\"'<>&%?#@\\", text->data[i]))
        {
            abort();
        }
    }

    if (text->len == 0) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t          rc;
    ngx_str_t          text, error, region = ngx_string("eu-west-1");
    ngx_pool_t        *pool;
    vault_s3_url_t     url;
    vault_s3_place_t   place;

    pool = ngx_create_pool(4096, shim_log());
    text.data = (u_char *) data;
    text.len = size;
    ngx_str_null(&error);

    rc = vault_s3_url_parse(pool, &text, &url, &error);

    if (rc == NGX_DECLINED) {
        if (error.len == 0) {
            abort();
        }

    } else if (rc != NGX_OK
               || vault_s3_url_place(pool, &url, &region, &place) != NGX_OK)
    {
        abort();

    } else {
        check_plain(&place.address);
        check_plain(&place.host);
        check_plain(&place.bucket);
        check_plain(&place.objects);
    }

    ngx_destroy_pool(pool);

    return 0;
}
