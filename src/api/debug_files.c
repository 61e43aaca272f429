/*
 * Endpoints for the tests of files/, in debug builds only: the port's own
 * calls, without the rows and the rules that real endpoints put before them.
 */

#include "../files/files.h"
#include "../run/body.h"
#include "api.h"

#include <time.h>

#if (VAULT_DEBUG)

#define NAMES_MAX  5000


static void files_put(vault_request_t *vr);
static void files_head(vault_request_t *vr);
static void files_link(vault_request_t *vr);
static void files_delete(vault_request_t *vr);


const vault_route_t  vault_debug_files_routes[] = {
    { PUT,  "/api/debug/files/{uuid}",      files_put,    VAULT_ANYONE, 0,
      VAULT_BODY_FILE },
    { GET,  "/api/debug/files/{uuid}",      files_head,   VAULT_ANYONE },
    { GET,  "/api/debug/files/{uuid}/link", files_link,   VAULT_ANYONE },
    { POST, "/api/debug/files/delete",      files_delete, VAULT_ANYONE },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_array_t  ids;
} names_form_t;

static const vault_field_t  names_id = { "id", VAULT_UUID };

static const vault_field_t  names_fields[] = {
    { "ids", VAULT_TEXTS, offsetof(names_form_t, ids), VAULT_REQUIRED,
      NAMES_MAX, &names_id },
    VAULT_FIELDS_END
};

static const vault_shape_t  names_form = VAULT_SHAPE(names_fields,
                                                     names_form_t);


static ngx_int_t
files_number(vault_request_t *vr, const char *name)
{
    ngx_str_t  arg;

    arg = vault_query_arg(vr, name);

    return ngx_atoi(arg.data, arg.len);
}


/* ?skip=: leaves out so many bytes at the beginning of the body. */
static void
files_put(vault_request_t *vr)
{
    off_t          size;
    ngx_int_t      skip;
    vault_bytes_t  bytes;

    skip = files_number(vr, "skip");

    bytes.file = vault_body_file(vr, &size);
    bytes.from = skip > 0 ? skip : 0;
    bytes.size = size - bytes.from;
    bytes.whole = 0;

    vault_files_put(vr, vault_path_uuid(vr), &bytes);     /* awaits; 503 */
    vault_reply_empty(vr, NGX_HTTP_OK);
}


static void
files_head(vault_request_t *vr)
{
    off_t            size;
    ngx_int_t        rc;
    vault_writer_t  *w;

    size = -1;
    rc = vault_files_head(vr, vault_path_uuid(vr), &size);    /* awaits */

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_integer(w, "rc", rc);
    vault_json_integer(w, "size", size);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}


/* ?op=put|get&n=: makes n of them, and says what one costs. */
static void
files_link(vault_request_t *vr)
{
    ngx_int_t         i, n;
    ngx_str_t         op, url;
    ngx_uint_t        put;
    vault_writer_t   *w;
    struct timespec   from, to;

    op = vault_query_arg(vr, "op");
    n = files_number(vr, "n");
    put = op.len == 3 && ngx_strncmp(op.data, "put", 3) == 0;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);

    for (i = 0; i < n; i++) {
        url = put ? vault_files_put_link(vr, vault_path_uuid(vr), 300)
                  : vault_files_get_link(vr, vault_path_uuid(vr), 300);
    }

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);

    if (n < 1) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "How many?");
    }

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_string(w, "url", &url);
    vault_json_integer(w, "ns", ((to.tv_sec - from.tv_sec) * 1000000000
                                 + to.tv_nsec - from.tv_nsec) / n);
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}


static void
files_delete(vault_request_t *vr)
{
    ngx_str_t       *name;
    ngx_uint_t       i;
    ngx_array_t      gone;
    names_form_t     form;
    vault_writer_t  *w;

    vault_json_read(vr, &names_form, &form);

    if (ngx_array_init(&gone, vr->pool, 16, sizeof(ngx_str_t)) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    vault_files_delete(vr, &form.ids, &gone);             /* awaits */

    name = gone.elts;
    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');
    vault_json_open(w, "gone", '[');

    for (i = 0; i < gone.nelts; i++) {
        vault_json_string(w, NULL, &name[i]);
    }

    vault_json_close(w, ']');
    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}

#endif
