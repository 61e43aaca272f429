#include "line.h"


static ngx_uint_t
is_line(const ngx_str_t *text, u_char least)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < least || text->data[i] == 0x7f) {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
vault_line_is_name(const ngx_str_t *name)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
            && (c < '0' || c > '9') && c != '-' && c != '_')
        {
            return 0;
        }
    }

    return name->len != 0;
}


ngx_uint_t
vault_line_is_value(const ngx_str_t *value)
{
    return is_line(value, ' ');
}


ngx_uint_t
vault_line_is_target(const ngx_str_t *target)
{
    return is_line(target, '!');
}
