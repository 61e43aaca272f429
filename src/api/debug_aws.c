/*
 * Endpoints for the tests of net/ and aws/, in debug builds only: what they
 * would do for a file or a mail, without one.  No answer has a secret in it.
 */

#include "../aws/clock.h"
#include "../aws/credentials.h"
#include "../net/http.h"
#include "api.h"

#if (VAULT_DEBUG)

static void aws_credentials(vault_request_t *vr);
static void aws_presign(vault_request_t *vr);
static void aws_region(vault_request_t *vr);
static void aws_clock(vault_request_t *vr);
static void aws_http(vault_request_t *vr);


const vault_route_t  vault_debug_aws_routes[] = {
    { GET,  "/api/debug/aws/credentials", aws_credentials, VAULT_ANYONE },
    { GET,  "/api/debug/aws/presign",     aws_presign,     VAULT_ANYONE },
    { GET,  "/api/debug/aws/region",      aws_region,      VAULT_ANYONE },
    { POST, "/api/debug/aws/clock",       aws_clock,       VAULT_ANYONE },
    { POST, "/api/debug/http",            aws_http,        VAULT_ANYONE },
    VAULT_ROUTE_END
};


static void
aws_credentials(vault_request_t *vr)
{
    vault_writer_t    *w;
    vault_aws_keys_t  *keys;

    keys = vault_aws_credentials(vr);         /* awaits; 503 */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_string(w, "accessKeyId", &keys->access_key);
    vault_json_integer(w, "expiresAt", keys->expires_at);
    vault_json_boolean(w, "temporary", keys->session_token.len != 0);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}


/* A URL for an upload as a client gets it: ?path=&method=&sv= */
static void
aws_presign(vault_request_t *vr)
{
    ngx_str_t          target;
    ngx_keyval_t       query;
    vault_sigv4_t      request;
    vault_aws_keys_t  *keys;

    keys = vault_aws_credentials(vr);         /* awaits; 503 */

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.host, "bucket.s3.eu-west-1.amazonaws.com");
    ngx_str_set(&request.service, "s3");
    ngx_str_set(&query.key, "sv");

    request.method = vault_query_arg(vr, "method");
    request.path = vault_query_arg(vr, "path");
    request.region = vault_aws_region(vr);    /* awaits; 503 */
    query.value = vault_query_arg(vr, "sv");
    request.query = &query;
    request.nquery = query.value.len ? 1 : 0;

    if (vault_sigv4_presign(vr->pool, &request, keys, vault_aws_now(), 300,
                            &target)
        != NGX_OK)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "This cannot be signed.");
    }

    target = vault_printf(vr, "https://%V%V", &request.host, &target);
    vault_reply_text(vr, NGX_HTTP_OK, "text/plain", &target);
}


static void
aws_region(vault_request_t *vr)
{
    ngx_str_t  region;

    region = vault_aws_region(vr);            /* awaits; 503 */
    vault_reply_text(vr, NGX_HTTP_OK, "text/plain", &region);
}


/* ?date=: corrects the clock by that; the skew in seconds, and if it tries
 * once more. */
static void
aws_clock(vault_request_t *vr)
{
    ngx_int_t        rc;
    ngx_str_t        date;
    vault_writer_t  *w;

    date = vault_query_arg(vr, "date");
    rc = vault_aws_clock_correct(&date);

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_boolean(w, "again", rc == NGX_OK);
    vault_json_integer(w, "skew", vault_aws_clock_skew() / 1000);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}


/* ?url=&method=&header=&max=&total=: the body is sent on, if there is one. */
static void
aws_http(vault_request_t *vr)
{
    ngx_int_t            n;
    ngx_str_t            arg, type;
    ngx_keyval_t         header;
    vault_writer_t      *w;
    vault_http_call_t    call;
    vault_http_answer_t  answer;

    ngx_memzero(&call, sizeof(vault_http_call_t));

    call.url = vault_query_arg(vr, "url");
    arg = vault_query_arg(vr, "method");
    arg = vault_printf(vr, "%V%Z", &arg);
    call.method = (char *) arg.data;

    ngx_str_set(&header.key, "X-Test");
    header.value = vault_query_arg(vr, "header");
    call.headers = &header;
    call.nheaders = header.value.data ? 1 : 0;

    arg = vault_body(vr);
    if (arg.len) {
        call.body = arg;
    }

    arg = vault_query_arg(vr, "max");
    n = ngx_atoi(arg.data, arg.len);
    call.max = n > 0 ? (size_t) n : 0;

    arg = vault_query_arg(vr, "total");
    n = ngx_atoi(arg.data, arg.len);
    call.total = n > 0 ? (ngx_msec_t) n : 0;

    (void) vault_http_request(vr, &call, &answer);   /* awaits */
    type = vault_http_header(&answer, "content-type");

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_integer(w, "status", answer.status);
    vault_json_string(w, "type", &type);
    vault_json_string(w, "body", &answer.body);
    vault_json_string(w, "error", &answer.error);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}

#endif
