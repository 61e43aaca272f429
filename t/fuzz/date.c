/*
 * date - any bytes as a date; what is one is written in 24 characters that
 * mean the same.  The first eight bytes are tried as milliseconds too.
 */

#include "../unit/shim.h"
#include "../../src/json/json.h"


#define REQUIRE(cond)  if (!(cond)) { abort(); }


static int64_t
there_and_back(int64_t ms)
{
    u_char     out[VAULT_DATE_LEN];
    int64_t    again;
    ngx_str_t  text;

    text.data = out;
    text.len = vault_date_format(out, ms) - out;

    REQUIRE(text.len == VAULT_DATE_LEN);
    REQUIRE(vault_date_parse(&text, &again) == NGX_OK);

    return again;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t    ms;
    ngx_str_t  text;

    text.data = (u_char *) data;
    text.len = size;

    if (vault_date_parse(&text, &ms) == NGX_OK) {
        REQUIRE(there_and_back(ms) == ms);
    }

    if (size >= sizeof(ms)) {
        memcpy(&ms, data, sizeof(ms));
        REQUIRE(there_and_back(there_and_back(ms)) == there_and_back(ms));
    }

    return 0;
}
