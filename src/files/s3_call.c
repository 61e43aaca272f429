/*
 * One request to the bucket: signed, sent, and tried again where that helps.
 *
 * A try that fails by itself (no answer, an overloaded store) is repeated
 * after a pause that grows and is spread; one that fails by our clock or our
 * keys is repeated at once, but only once, with better ones.
 */

#include "s3.h"

#include "../aws/clock.h"
#include "../run/await.h"
#include "s3_xml.h"


#define TRIES      3
#define PAUSE      200                /* ms; doubled by each try */
#define PAUSE_MAX  1000

typedef enum {
    FINE = 0,
    MISSING,
    BUSY,                             /* later it may work */
    CLOCK,                            /* our time was wrong */
    KEYS,                             /* our keys were refused */
    REFUSED
} verdict_e;

/* What S3 says about itself, whatever the status it says it with. */
static const struct {
    const char  *code;
    verdict_e    verdict;
} codes[] = {
    { "SlowDown",              BUSY },
    { "InternalError",         BUSY },
    { "ServiceUnavailable",    BUSY },
    { "RequestTimeout",        BUSY },
    { "OperationAborted",      BUSY },
    { "RequestTimeTooSkewed",  CLOCK },
    { "RequestExpired",        CLOCK },
    { "ExpiredToken",          KEYS },
    { "TokenRefreshRequired",  KEYS },
    { "InvalidToken",          KEYS },
    { "InvalidAccessKeyId",    KEYS },
};


ngx_str_t
vault_s3_path(vault_request_t *vr, vault_s3_t *s3, const ngx_str_t *name)
{
    u_char     *p;
    ngx_str_t   path;

    path.len = s3->place.objects.len + name->len;
    path.data = vault_alloc(vr, path.len);
    p = ngx_cpymem(path.data, s3->place.objects.data, s3->place.objects.len);
    ngx_memcpy(p, name->data, name->len);

    return path;
}


/* The upstream */

ngx_int_t
vault_s3_settle(ngx_conf_t *cf, vault_s3_t *s3, const ngx_str_t *region)
{
    const char  *scheme;

    if (vault_s3_url_place(cf->pool, &s3->url, region, &s3->place)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    scheme = s3->url.tls ? "https://" : "http://";
    s3->origin.data = ngx_pnalloc(cf->pool, s3->place.host.len + 8);
    if (s3->origin.data == NULL) {
        return NGX_ERROR;
    }

    s3->origin.len = ngx_sprintf(s3->origin.data, "%s%V", scheme,
                                 &s3->place.host)
                     - s3->origin.data;

    s3->upstream = vault_upstream_create(cf, &s3->place.address, s3->url.port,
                                         s3->url.tls,
                                         vault_aws_ca_file(s3->aws));

    return s3->upstream ? NGX_OK : NGX_ERROR;
}


/* A region that only the instance knows is asked for by the first request. */
ngx_int_t
vault_s3_open(vault_request_t *vr, vault_s3_t *s3)
{
    ngx_str_t   region;
    ngx_conf_t  cf;

    if (s3->upstream) {
        return NGX_OK;
    }

    if (vault_aws_find_region(vr, &region) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "s3: the bucket's region is not known: add region=… to "
                      "\"vault_files\"");
        return NGX_ERROR;
    }

    if (s3->upstream) {
        return NGX_OK;                /* another was quicker */
    }

    ngx_memzero(&cf, sizeof(ngx_conf_t));
    cf.cycle = (ngx_cycle_t *) ngx_cycle;
    cf.pool = ngx_cycle->pool;        /* as long as the worker lives */
    cf.temp_pool = ngx_cycle->pool;
    cf.log = ngx_cycle->log;

    return vault_s3_settle(&cf, s3, &region);
}


/* Sending */

static ngx_chain_t *
body_of(vault_request_t *vr, const vault_s3_call_t *call)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (call->body.data == NULL
        && (call->bytes == NULL || call->bytes->size == 0))
    {
        return NULL;
    }

    b = vault_calloc(vr, sizeof(ngx_buf_t));
    cl = vault_alloc(vr, sizeof(ngx_chain_t));
    cl->buf = b;
    cl->next = NULL;

    if (call->bytes) {
        b->in_file = 1;
        b->file = call->bytes->file;
        b->file_pos = call->bytes->from;
        b->file_last = call->bytes->from + call->bytes->size;

    } else {
        b->memory = 1;
        b->start = b->pos = call->body.data;
        b->end = b->last = call->body.data + call->body.len;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    return cl;
}


static ngx_int_t
sign(vault_request_t *vr, vault_s3_t *s3, const vault_s3_call_t *call,
    const vault_aws_keys_t *keys, vault_sigv4_signed_t *out)
{
    vault_sigv4_t  request;

    ngx_memzero(&request, sizeof(vault_sigv4_t));

    request.method.data = (u_char *) call->method;
    request.method.len = ngx_strlen(call->method);
    request.host = s3->place.host;
    request.path = call->path;
    request.query = call->query;
    request.nquery = call->nquery;
    request.headers = call->headers;
    request.nheaders = call->nheaders;
    request.region = s3->place.region;
    ngx_str_set(&request.service, "s3");

    if (call->bytes == NULL
        && vault_sigv4_payload(vr->pool, &call->body, &request.payload)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return vault_sigv4_sign(vr->pool, &request, keys, vault_aws_now(), out);
}


static void
ask(vault_request_t *vr, vault_s3_t *s3, const vault_s3_call_t *call,
    const vault_aws_keys_t *keys, vault_http_answer_t *answer)
{
    ngx_uint_t             i, n;
    ngx_keyval_t           headers[VAULT_S3_HEADERS + 4];
    vault_sigv4_signed_t   made;
    vault_upstream_call_t  out;

    ngx_memzero(answer, sizeof(vault_http_answer_t));

    if (sign(vr, s3, call, keys, &made) != NGX_OK) {
        ngx_str_set(&answer->error, "it cannot be signed");
        return;
    }

    n = 0;

    for (i = 0; i < call->nheaders; i++) {
        headers[n++] = call->headers[i];
    }

    for (i = 0; i < made.nheaders; i++) {
        headers[n++] = made.headers[i];
    }

    ngx_memzero(&out, sizeof(vault_upstream_call_t));
    out.method = call->method;
    out.target = made.target;
    out.host = s3->place.host;
    out.headers = headers;
    out.nheaders = n;
    out.body = body_of(vr, call);
    out.size = call->bytes ? call->bytes->size : (off_t) call->body.len;
    out.max = call->max;

    if (vault_upstream_request(vr, s3->upstream, &out, answer) != NGX_OK) {
        answer->status = 0;           /* half an answer is none */
    }
}


/* Answers */

static void
read_answer(vault_request_t *vr, vault_s3_answer_t *answer)
{
    ngx_str_t  rest, error, text;

    answer->status = answer->http.status;
    answer->body = answer->http.body;
    ngx_str_null(&answer->code);
    ngx_str_null(&answer->message);

    if (answer->status < 300) {
        return;
    }

    rest = answer->body;

    if (vault_s3_xml_next(&rest, "Error", &error) != NGX_OK) {
        return;
    }

    if (vault_s3_xml_text(vr->pool, &error, "Code", &text) == NGX_OK) {
        answer->code = vault_http_printable(vr, &text);
    }

    if (vault_s3_xml_text(vr->pool, &error, "Message", &text) == NGX_OK) {
        answer->message = vault_http_printable(vr, &text);
    }
}


static ngx_uint_t
is_head(const vault_s3_call_t *call)
{
    return ngx_strcmp(call->method, "HEAD") == 0;
}


/* HEAD is answered without a text, so some are taken for what they may be. */
static verdict_e
judge_status(const vault_s3_call_t *call, ngx_uint_t status)
{
    switch (status) {

    case 0:                           /* no answer */
    case NGX_HTTP_REQUEST_TIME_OUT:
    case NGX_HTTP_TOO_MANY_REQUESTS:
        return BUSY;

    case NGX_HTTP_NOT_FOUND:
        return is_head(call) ? MISSING : REFUSED;

    case NGX_HTTP_BAD_REQUEST:
        return is_head(call) ? KEYS : REFUSED;

    case NGX_HTTP_FORBIDDEN:
        return is_head(call) ? CLOCK : REFUSED;

    default:
        return status >= 500 ? BUSY : REFUSED;
    }
}


static verdict_e
judge(const vault_s3_call_t *call, const vault_s3_answer_t *answer)
{
    ngx_uint_t  i;

    if (answer->status >= 200 && answer->status < 300) {
        return FINE;
    }

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (answer->code.len == ngx_strlen(codes[i].code)
            && ngx_strncmp(answer->code.data, codes[i].code, answer->code.len)
               == 0)
        {
            return codes[i].verdict;
        }
    }

    return judge_status(call, answer->status);
}


/* What an operator can do about it. */
static const char *
hint(const vault_s3_call_t *call, const vault_s3_answer_t *answer)
{
    if (answer->status == NGX_HTTP_FORBIDDEN && is_head(call)) {
        return "; without s3:ListBucket S3 does not tell a missing object "
               "from a forbidden one";
    }

    if (answer->status >= 300 && answer->status < 400) {
        return "; the bucket is in another region than region=… says";
    }

    return "";
}


static void
complain(vault_request_t *vr, const vault_s3_call_t *call,
    const vault_s3_answer_t *answer, ngx_uint_t tries)
{
    ngx_str_t  id, there;

    if (answer->status == 0) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0, "s3: %s failed %ui times: %V",
                      call->method, tries, &answer->http.error);
        return;
    }

    id = vault_http_header(&answer->http, "x-amz-request-id");
    id = vault_http_printable(vr, &id);
    there = vault_http_header(&answer->http, "x-amz-bucket-region");
    there = vault_http_printable(vr, &there);

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "s3: %s is answered with %ui %V \"%V\", request \"%V\", "
                  "region \"%V\"%s",
                  call->method, answer->status, &answer->code,
                  &answer->message, &id, &there, hint(call, answer));
}


/* Trying again */

static void
pause_before(vault_request_t *vr, ngx_uint_t tries)
{
    ngx_msec_t  pause;

    pause = ngx_min((ngx_msec_t) PAUSE << (tries - 1), PAUSE_MAX);

    /* spread, so that workers that failed together do not come together */
    vault_sleep(vr, pause / 2 + (ngx_msec_t) ngx_random() % (pause / 2 + 1));
}


typedef struct {
    vault_aws_keys_t  *keys;
    ngx_uint_t         tries;
    unsigned           clock:1;       /* what has been mended once */
    unsigned           renewed:1;
} attempt_t;


/* Prepares another try; 0 if there shall be none. */
static ngx_uint_t
again(vault_request_t *vr, attempt_t *attempt, verdict_e verdict,
    const vault_s3_answer_t *answer)
{
    ngx_str_t          date;
    vault_aws_keys_t  *keys;

    if (verdict == BUSY && attempt->tries < TRIES) {
        pause_before(vr, attempt->tries);
        return 1;
    }

    if (verdict == CLOCK && !attempt->clock) {
        attempt->clock = 1;
        date = vault_http_header(&answer->http, "date");
        return vault_aws_clock_correct(&date) == NGX_OK;
    }

    if (verdict == KEYS && !attempt->renewed) {
        attempt->renewed = 1;
        keys = vault_aws_refresh(vr, attempt->keys);
        attempt->keys = keys ? keys : attempt->keys;
        return keys != NULL;
    }

    return 0;
}


ngx_int_t
vault_s3_call(vault_request_t *vr, vault_s3_t *s3,
    const vault_s3_call_t *call, vault_s3_answer_t *answer)
{
    attempt_t  attempt;
    verdict_e  verdict;

    ngx_memzero(answer, sizeof(vault_s3_answer_t));
    ngx_memzero(&attempt, sizeof(attempt_t));

    if (vault_s3_open(vr, s3) != NGX_OK) {
        return NGX_ERROR;
    }

    attempt.keys = vault_aws_find_credentials(vr);
    if (attempt.keys == NULL) {
        return NGX_ERROR;             /* they have been logged */
    }

    do {
        attempt.tries++;
        ask(vr, s3, call, attempt.keys, &answer->http);
        read_answer(vr, answer);
        verdict = judge(call, answer);

        if (verdict == FINE || verdict == MISSING) {
            return verdict == FINE ? NGX_OK : NGX_DECLINED;
        }

    } while (again(vr, &attempt, verdict, answer));

    complain(vr, call, answer, attempt.tries);

    return NGX_ERROR;
}
