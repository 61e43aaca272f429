#include "http.h"
#include "http_loop.h"
#include "line.h"

#include "../crypto/crypto.h"
#include "../run/await.h"


#define MAX_HEADERS  64               /* of an answer; more are left out */
#define MAX_HEAD     (16 * 1024)
#define MAX_PRINT    200

typedef struct {
    vault_http_transfer_t   transfer; /* first: done() gets this */
    vault_request_t        *vr;
    const vault_http_call_t  *call;
    vault_http_answer_t    *answer;
    struct curl_slist      *headers;
    size_t                  head;     /* bytes of headers so far */
    size_t                  room;     /* bytes that body.data has */
    ngx_uint_t              result;   /* CURLcode */
    unsigned                over:1;   /* the answer was too large */
    char                    error[CURL_ERROR_SIZE];
} op_t;


/* What the answer's bytes go through */

static void
wipe_body(void *data)
{
    ngx_str_t  *body = data;

    vault_wipe(body->data, body->len);
}


static size_t
max_body(const op_t *op)
{
    return op->call->max ? op->call->max : VAULT_HTTP_BODY;
}


/* A larger place for the body; the old one is wiped. */
static ngx_int_t
grow(op_t *op, size_t len)
{
    u_char     *p;
    size_t      room;
    ngx_str_t  *body = &op->answer->body;

    room = ngx_min(ngx_max(2 * op->room, len), max_body(op));
    room = ngx_max(room, ngx_min(4096, max_body(op)));

    p = ngx_pnalloc(op->vr->pool, room);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (body->len) {
        ngx_memcpy(p, body->data, body->len);
        vault_wipe(body->data, body->len);
    }

    body->data = p;
    op->room = room;

    return NGX_OK;
}


static size_t
on_body(char *bytes, size_t one, size_t len, void *data)
{
    op_t       *op = data;
    ngx_str_t  *body = &op->answer->body;

    if (len > max_body(op) - body->len) {
        op->over = 1;
        return 0;
    }

    if (len > op->room - body->len && grow(op, body->len + len) != NGX_OK) {
        return 0;
    }

    ngx_memcpy(body->data + body->len, bytes, len);
    body->len += len;

    return len;
}


static void
add_header(op_t *op, u_char *line, size_t len)
{
    u_char        *colon, *end = line + len;
    ngx_keyval_t  *pair;

    while (end > line && (end[-1] == '\n' || end[-1] == '\r'
                          || end[-1] == ' '))
    {
        end--;
    }

    colon = ngx_strlchr(line, end, ':');
    if (colon == NULL) {
        return;
    }

    pair = ngx_array_push(op->answer->headers);
    if (pair == NULL) {
        return;
    }

    pair->key.data = line;
    pair->key.len = colon - line;

    do {
        colon++;
    } while (colon < end && *colon == ' ');

    pair->value.data = colon;
    pair->value.len = end - colon;
}


static size_t
on_header(char *bytes, size_t one, size_t len, void *data)
{
    op_t    *op = data;
    u_char  *line;

    if (len >= 5 && ngx_strncmp(bytes, "HTTP/", 5) == 0) {
        op->answer->headers->nelts = 0;       /* after "100 Continue" */
        return len;
    }

    op->head += len;

    if (op->head > MAX_HEAD || op->answer->headers->nelts >= MAX_HEADERS) {
        op->over = 1;
        return 0;
    }

    line = ngx_pnalloc(op->vr->pool, len + 1);
    if (line == NULL) {
        return 0;
    }

    ngx_memcpy(line, bytes, len);
    add_header(op, line, len);

    return len;
}


ngx_str_t
vault_http_printable(vault_request_t *vr, const ngx_str_t *text)
{
    size_t     i;
    ngx_str_t  out;

    out.len = ngx_min(text->len, MAX_PRINT);
    out.data = vault_alloc(vr, out.len + 1);

    for (i = 0; i < out.len; i++) {
        out.data[i] = text->data[i] < ' ' || text->data[i] >= 0x7f
                      || text->data[i] == '"'
                      ? '.' : text->data[i];
    }

    return out;
}


ngx_str_t
vault_http_header(const vault_http_answer_t *answer, const char *name)
{
    size_t         len = ngx_strlen(name);
    ngx_str_t      none = ngx_null_string;
    ngx_uint_t     i;
    ngx_keyval_t  *pair;

    if (answer->headers) {
        pair = answer->headers->elts;

        for (i = 0; i < answer->headers->nelts; i++) {
            if (pair[i].key.len == len
                && ngx_strncasecmp(pair[i].key.data, (u_char *) name, len)
                   == 0)
            {
                return pair[i].value;
            }
        }
    }

    return none;
}


/* The call, checked: what goes into a line of a request stays in it */

static ngx_uint_t
is_sound(const vault_http_call_t *call)
{
    ngx_uint_t  i;

    for (i = 0; i < call->nheaders; i++) {
        if (!vault_line_is_name(&call->headers[i].key)
            || !vault_line_is_value(&call->headers[i].value))
        {
            return 0;
        }
    }

    return call->url.len != 0 && vault_line_is_target(&call->url);
}


static ngx_int_t
push_header(op_t *op, const char *line)
{
    struct curl_slist  *list;

    list = curl_slist_append(op->headers, line);
    if (list == NULL) {
        return NGX_ERROR;
    }

    op->headers = list;

    return NGX_OK;
}


/* "Name: value", or "Name;", which is how libcurl spells an empty value. */
static ngx_int_t
make_headers(op_t *op)
{
    u_char              *line;
    ngx_uint_t           i, typed;
    const ngx_keyval_t  *pair;

    typed = 0;

    for (i = 0; i < op->call->nheaders; i++) {
        pair = &op->call->headers[i];

        line = ngx_pnalloc(op->vr->pool,
                           pair->key.len + pair->value.len + 3);
        if (line == NULL) {
            return NGX_ERROR;
        }

        if (pair->value.len) {
            (void) ngx_sprintf(line, "%V: %V%Z", &pair->key, &pair->value);

        } else {
            (void) ngx_sprintf(line, "%V;%Z", &pair->key);
        }

        typed |= ngx_strncasecmp(line, (u_char *) "Content-Type:", 13) == 0;

        if (push_header(op, (char *) line) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* what libcurl would add by itself */
    if (push_header(op, "Expect:") != NGX_OK) {
        return NGX_ERROR;
    }

    return typed ? NGX_OK : push_header(op, "Content-Type:");
}


static ngx_int_t
set_method(op_t *op)
{
    CURL                     *easy = op->transfer.easy;
    const vault_http_call_t  *call = op->call;

    if (ngx_strcmp(call->method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }

    if (call->body.data == NULL && ngx_strcmp(call->method, "GET") == 0) {
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }

    return curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                            call->body.data ? (char *) call->body.data : "")
           || curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t) call->body.len)
           || curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}


static ngx_int_t
set_limits(op_t *op)
{
    CURL                     *easy = op->transfer.easy;
    const vault_http_call_t  *call = op->call;

    /*
     * Without QUICK_EXIT, giving up would wait for a thread that looks a name
     * up; with a path of certificates, libcurl would read them all each time.
     */

    return
#if (LIBCURL_VERSION_NUM >= 0x075700)
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) ||
#endif
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L)
           || curl_easy_setopt(easy, CURLOPT_CAPATH, NULL)
           || (call->ca_file
               && curl_easy_setopt(easy, CURLOPT_CAINFO, call->ca_file))
           || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https")
           || curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L)
           || curl_easy_setopt(easy, CURLOPT_PROXY, "")
           || curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                               (long) CURL_HTTP_VERSION_1_1)
           || curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                               (long) (call->connect ? call->connect
                                                     : VAULT_HTTP_CONNECT))
           || curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                               (long) (call->total ? call->total
                                                   : VAULT_HTTP_TOTAL));
}


static ngx_int_t
set_callbacks(op_t *op)
{
    CURL  *easy = op->transfer.easy;

    return curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, op->error)
           || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body)
           || curl_easy_setopt(easy, CURLOPT_WRITEDATA, op)
           || curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header)
           || curl_easy_setopt(easy, CURLOPT_HEADERDATA, op)
           || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, op->headers);
}


/* Doing it */

static void
drop_headers(op_t *op)
{
    curl_slist_free_all(op->headers);
    op->headers = NULL;
}


static void
on_done(vault_http_transfer_t *transfer, CURLcode code)
{
    long   status;
    op_t  *op = (op_t *) transfer;

    op->result = code;

    if (code == CURLE_OK
        && curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status)
           == CURLE_OK)
    {
        op->answer->status = status;
    }

    drop_headers(op);
    vault_wake(op->vr);
}


static void
on_cancel(void *data)
{
    op_t  *op = data;

    vault_http_loop_remove(&op->transfer);
    drop_headers(op);
}


static ngx_int_t
begin(op_t *op)
{
    char  *url;

    url = ngx_pnalloc(op->vr->pool, op->call->url.len + 1);
    op->transfer.easy = curl_easy_init();

    if (url == NULL || op->transfer.easy == NULL) {
        goto failed;
    }

    (void) ngx_cpystrn((u_char *) url, op->call->url.data,
                       op->call->url.len + 1);

    if (make_headers(op) != NGX_OK
        || curl_easy_setopt(op->transfer.easy, CURLOPT_URL, url)
        || set_method(op) || set_limits(op) || set_callbacks(op))
    {
        goto failed;
    }

    if (vault_http_loop_add(&op->transfer) == NGX_OK) {
        return NGX_OK;
    }

failed:

    if (op->transfer.easy) {
        curl_easy_cleanup(op->transfer.easy);
        op->transfer.easy = NULL;
    }

    drop_headers(op);

    return NGX_ERROR;
}


static ngx_int_t
give_up(op_t *op, const char *why)
{
    op->answer->status = 0;
    op->answer->error = vault_printf(op->vr, "%s", why);

    return NGX_ERROR;
}


static ngx_int_t
finish(op_t *op)
{
    if (op->over) {
        return give_up(op, "the answer is too large");
    }

    if (op->answer->status == 0) {
        return give_up(op, op->error[0]
                           ? op->error : curl_easy_strerror(op->result));
    }

    return NGX_OK;
}


ngx_int_t
vault_http_request(vault_request_t *vr, const vault_http_call_t *call,
    vault_http_answer_t *answer)
{
    op_t                *op;
    ngx_msec_t           total;
    ngx_pool_cleanup_t  *cln;

    ngx_memzero(answer, sizeof(vault_http_answer_t));

    op = vault_calloc(vr, sizeof(op_t));
    op->vr = vr;
    op->call = call;
    op->transfer.done = on_done;

    /* in the pool, for the body is wiped with it */
    op->answer = vault_calloc(vr, sizeof(vault_http_answer_t));
    op->answer->headers = ngx_array_create(vr->pool, 16,
                                           sizeof(ngx_keyval_t));
    cln = ngx_pool_cleanup_add(vr->pool, 0);

    if (op->answer->headers == NULL || cln == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    cln->handler = wipe_body;
    cln->data = &op->answer->body;

    if (!is_sound(call)) {
        (void) give_up(op, "the request is malformed");

    } else if (begin(op) != NGX_OK) {
        (void) give_up(op, "the request cannot be started");

    } else {
        total = call->total ? call->total : VAULT_HTTP_TOTAL;

        /* libcurl's own timeout comes first */
        if (vault_wait(vr, total + 1000, on_cancel, op) != NGX_OK) {
            (void) give_up(op, "timed out");

        } else {
            (void) finish(op);
        }
    }

    *answer = *op->answer;

    return answer->status ? NGX_OK : NGX_ERROR;
}
