#include "clock.h"

#include "../run/request.h"


#define WORTH_IT  (60 * 1000)         /* ms; AWS forgives 15 minutes */

static int64_t  clock_skew;


int64_t
vault_aws_now(void)
{
    return vault_now() + clock_skew;
}


int64_t
vault_aws_clock_skew(void)
{
    return clock_skew;
}


ngx_int_t
vault_aws_clock_correct(const ngx_str_t *date)
{
    time_t   time;
    int64_t  skew, change;

    if (date->len == 0) {
        return NGX_DECLINED;
    }

    time = ngx_parse_http_time(date->data, date->len);
    if (time == NGX_ERROR) {
        return NGX_DECLINED;
    }

    skew = (int64_t) time * 1000 - vault_now();
    change = skew - clock_skew;

    if (change > -WORTH_IT && change < WORTH_IT) {
        return NGX_DECLINED;
    }

    clock_skew = skew;

    return NGX_OK;
}
