/*
 * request - one unit of work and what it may do: read its input, fail, reply.
 *
 * Why:    an endpoint, a rule and a model all get the same "vr" and read top
 *         to bottom; no return code is handed up.
 * Use:    vault_fail() ends the work from any depth; vault_reply_*() fill the
 *         answer, which the driver sends when the endpoint has returned.
 * Owns:   everything lives in vr->pool until the answer has been sent.
 *         What is not pool memory is tied to it with vault_defer() or
 *         ngx_pool_cleanup_add() by the function that acquires it.
 * Fails:  never returns NULL; a lack of memory ends the request with 500.
 * Waits:  only functions that say "awaits".
 * See:    api/folders.c for the smallest complete resource.
 */

#ifndef VAULT_RUN_REQUEST_H
#define VAULT_RUN_REQUEST_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf.h"
#include "../json/json.h"


#define VAULT_PATH_ARGS  4

typedef struct vault_route_s    vault_route_t;
typedef struct vault_co_s       vault_co_t;
typedef struct vault_defer_s    vault_defer_t;
typedef struct vault_session_s  vault_session_t;
typedef struct vault_send_s     vault_send_t;
typedef struct vault_tx_s       vault_tx_t;

typedef void (*vault_defer_pt)(void *data);

typedef struct {
    ngx_uint_t        status;         /* 0: nothing was replied */
    ngx_str_t         content_type;
    ngx_chain_t      *body;           /* NULL: no body */
    off_t             size;
    ngx_uint_t        ranges;         /* may the client ask for a part? */
} vault_reply_t;

typedef struct vault_request_s {
    ngx_http_request_t   *http;       /* NULL in a task without a client */
    ngx_pool_t           *pool;
    ngx_log_t            *log;
    vault_conf_t         *conf;

    const vault_route_t  *route;
    ngx_str_t             path_args[VAULT_PATH_ARGS];  /* checked, lower case
                                         where the route says {uuid} */

    vault_session_t      *session;    /* set by the guard; NULL for nobody */
    vault_send_t         *send;       /* set by the guard of its receivers */
    vault_tx_t           *tx;         /* the open transaction; or NULL */
    vault_reply_t         reply;
    unsigned              admit_later:1;  /* admit() could not tell yet */

    vault_co_t           *co;         /* the rest belongs to run/ */
    void                 *run;
} vault_request_t;


/*
 * Ends the request with `status` and the API's error object, whose message
 * is formatted as by ngx_sprintf.  An open transaction is rolled back, what
 * was deferred is run.  5xx are logged with the request, 4xx at info.
 * Never use 401 or 403 for a lack of permission: clients sign out on them.
 * Source of the shape: bitwarden/server ErrorResponseModel.
 */
void vault_fail(vault_request_t *vr, ngx_uint_t status, const char *fmt, ...)
    __attribute__((noreturn, cold));

/* The same with a complete JSON text as its body: for OAuth's error shape. */
void vault_fail_json(vault_request_t *vr, ngx_uint_t status, ngx_str_t *json)
    __attribute__((noreturn, cold));

/* The same for a form: 400 with the field and what is wrong with it. */
void vault_fail_field(vault_request_t *vr, ngx_str_t *field, ngx_str_t *text)
    __attribute__((noreturn, cold));


/* Pool memory; ends the request with 500 where there is none. */
void *vault_alloc(vault_request_t *vr, size_t size);
void *vault_calloc(vault_request_t *vr, size_t size);

/* A text in pool memory, formatted as by ngx_sprintf. */
ngx_str_t vault_printf(vault_request_t *vr, const char *fmt, ...);

/* A copy whose bytes are wiped when the pool goes. */
ngx_str_t vault_secret(vault_request_t *vr, const ngx_str_t *text);

/*
 * Calls handler(data) on the main stack when the work ends, however it ends:
 * last deferred first, before the answer is sent.  It must not wait nor fail.
 * vault_undefer() calls it off.
 */
vault_defer_t *vault_defer(vault_request_t *vr, vault_defer_pt handler,
    void *data);
void vault_undefer(vault_defer_t *defer);


/* The n-th {..} of the route, from 0. */
ngx_str_t *vault_path_arg(vault_request_t *vr, ngx_uint_t n);
#define vault_path_uuid(vr)  vault_path_arg(vr, 0)

/*
 * The parameter `name` of the query string, unescaped; an empty string with
 * data NULL if it is absent.
 */
ngx_str_t vault_query_arg(vault_request_t *vr, const char *name);

/* The request header `name` (any case), data NULL if absent. */
ngx_str_t vault_header(vault_request_t *vr, const char *name);

/* The whole body as one text; awaits if it lies in a file. */
ngx_str_t vault_body(vault_request_t *vr);

/*
 * Parses the body by `shape` into `form`, a struct of shape->size bytes.
 * Fails with 400 that names the field.  Awaits (large bodies are parsed in a
 * thread).
 */
void vault_json_read(vault_request_t *vr, const vault_shape_t *shape,
    void *form);

/* The same for a text that came in some other way. */
void vault_json_read_text(vault_request_t *vr, const ngx_str_t *text,
    const vault_shape_t *shape, void *form);

/*
 * The fields of an application/x-www-form-urlencoded body by the same kind
 * of table: text fields and numbers only.
 */
void vault_form_read(vault_request_t *vr, const vault_shape_t *shape,
    void *form);

/* The address of the client, as nginx (and its realip module) knows it. */
ngx_str_t *vault_client_address(vault_request_t *vr);

/* Year and month of the client's version, such as 202609; 0: not told. */
ngx_uint_t vault_client_version(vault_request_t *vr);

/* "https://host[:port]" that clients use for this server. */
ngx_str_t vault_origin(vault_request_t *vr);


/*
 * Answers: 200 unless said.  The last one wins.
 *   vault_reply          `row` by `view`.
 *   vault_reply_list     {"data":[…],"object":"list","continuationToken":null}
 *                        of n rows; `rows` is an array of view->size structs.
 *   vault_reply_writer   what was written to a writer from vault_writer().
 *   vault_reply_empty    no body.
 *   vault_reply_text     `text` as it is.
 *   vault_reply_file     the first `size` bytes of `fd`, to be saved, never
 *                        shown; ranges allowed.  Takes fd, also if it fails.
 */
void vault_reply(vault_request_t *vr, const vault_shape_t *view,
    const void *row);
void vault_reply_list(vault_request_t *vr, const vault_shape_t *view,
    const ngx_array_t *rows);
void vault_reply_empty(vault_request_t *vr, ngx_uint_t status);
void vault_reply_text(vault_request_t *vr, ngx_uint_t status,
    const char *content_type, ngx_str_t *text);
void vault_reply_file(vault_request_t *vr, ngx_fd_t fd, off_t size);
vault_writer_t *vault_writer(vault_request_t *vr);
void vault_reply_writer(vault_request_t *vr, vault_writer_t *w);

/* What was written as one text, for other uses than an answer. */
ngx_str_t vault_written(vault_request_t *vr, vault_writer_t *w);

/*
 * Adds a header to the answer; both strings must outlive the request.  The
 * second form is for who has no coroutine: NGX_ERROR without memory.
 */
void vault_reply_header(vault_request_t *vr, const char *name,
    const ngx_str_t *value);
ngx_int_t vault_add_header(ngx_http_request_t *r, const char *name,
    const ngx_str_t *value);


/* Milliseconds since 1970, by the wall clock, now. */
int64_t vault_now(void);


#endif
