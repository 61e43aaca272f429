/*
 * Bodies that nginx writes to files, and how much of a body it takes at all.
 */

#include <ngx_config.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "body.h"
#include "run.h"


#define NAMES_MAX  8192               /* bytes of the names of all parts */

typedef struct {
    ngx_fd_t        fd;
    size_t          size;
    ngx_str_t       boundary;
    vault_parts_t  *parts;
    u_char         *names;
    const char     *err;
    ngx_int_t       rc;
} parts_work_t;

typedef struct {
    ngx_fd_t        fd;
    off_t           from;
    ngx_str_t       text;
    ngx_int_t       rc;
} text_work_t;

/* A body that is being received, or that is not stored yet. */
typedef struct {
    ngx_queue_t          queue;
    ngx_http_request_t  *http;
    off_t                size;
} coming_t;


/* Per worker; bounded by its connections. */
static ngx_queue_t  body_coming;


off_t
vault_body_limit(vault_request_t *vr)
{
    if (vr->route->options & VAULT_BODY_FILE) {
        return vr->conf->file_max + VAULT_BODY_OVERHEAD;
    }

    return vr->route->body ? vr->route->body : VAULT_BODY_DEFAULT;
}


ngx_uint_t
vault_body_announced(vault_request_t *vr)
{
    return vr->http->headers_in.content_length_n > 0
           || vr->http->headers_in.chunked;
}


static void
coming_end(void *data)
{
    coming_t  *coming = data;

    ngx_queue_remove(&coming->queue);
}


/* What other bodies of this worker still want of the disk. */
static off_t
coming_bytes(void)
{
    off_t                     sum;
    coming_t                 *coming;
    ngx_queue_t              *q;
    ngx_http_request_body_t  *rb;

    sum = 0;

    for (q = ngx_queue_head(&body_coming);
         q != ngx_queue_sentinel(&body_coming);
         q = ngx_queue_next(q))
    {
        coming = ngx_queue_data(q, coming_t, queue);
        rb = coming->http->request_body;

        sum += coming->size;

        if (rb && rb->temp_file) {
            sum -= rb->temp_file->file.offset;
        }
    }

    return sum;
}


/*
 * nginx would find out that the disk is full when the client has sent half of
 * its file, and would say so in HTML.
 */
static ngx_uint_t
has_room(vault_request_t *vr, off_t size)
{
    struct statvfs             fs;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(vr->http, ngx_http_core_module);

    if (statvfs((char *) clcf->client_body_temp_path->name.data, &fs) == -1) {
        return 1;                     /* nginx says what is wrong with it */
    }

    return (uint64_t) fs.f_bavail * fs.f_frsize
           >= (uint64_t) (size + coming_bytes());
}


/* nginx writes the body to a file that goes with the request. */
static ngx_int_t
receive_file(ngx_http_request_t *r)
{
    coming_t            *coming;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(coming_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    coming = cln->data;
    coming->http = r;
    coming->size = r->headers_in.content_length_n;

    ngx_queue_insert_tail(&body_coming, &coming->queue);
    cln->handler = coming_end;

    r->request_body_in_file_only = 1;
    r->request_body_in_persistent_file = 1;
    r->request_body_in_clean_file = 1;
    r->request_body_file_log_level = 0;

    return NGX_OK;
}


/*
 * Files make nginx's own limit a large one.  A body that does not announce its
 * size has no other limit while it is read, so it gets that of the largest
 * route that is no file's, in a copy of nginx's settings for this request.
 */
static ngx_int_t
bound_chunks(ngx_http_request_t *r)
{
    void                      **confs;
    ngx_http_core_loc_conf_t   *clcf, *copy;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->client_max_body_size
        && clcf->client_max_body_size <= VAULT_BODY_BULK)
    {
        return NGX_OK;
    }

    confs = ngx_palloc(r->pool, ngx_http_max_module * sizeof(void *));
    copy = ngx_palloc(r->pool, sizeof(ngx_http_core_loc_conf_t));

    if (confs == NULL || copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(confs, r->loc_conf, ngx_http_max_module * sizeof(void *));

    *copy = *clcf;
    copy->client_max_body_size = VAULT_BODY_BULK;
    confs[ngx_http_core_module.ctx_index] = copy;

    r->loc_conf = confs;

    return NGX_OK;
}


ngx_uint_t
vault_body_prepare(vault_request_t *vr, const char **message)
{
    off_t                size;
    ngx_int_t            rc;
    ngx_http_request_t  *r = vr->http;

    rc = NGX_OK;
    size = r->headers_in.content_length_n;

    if (body_coming.next == NULL) {
        ngx_queue_init(&body_coming);
    }

    if (vr->route->options & VAULT_BODY_FILE) {

        if (!has_room(vr, size)) {
            ngx_log_error(NGX_LOG_CRIT, vr->log, 0, "vault: the disk has no "
                          "room for a file of %O bytes", size);
            *message = "The server's disk is full.";
            return NGX_HTTP_SERVICE_UNAVAILABLE;
        }

        rc = receive_file(r);

    } else if (r->headers_in.chunked) {
        rc = bound_chunks(r);
    }

    if (rc != NGX_OK) {
        *message = "Out of memory.";
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return 0;
}


ngx_file_t *
vault_body_file(vault_request_t *vr, off_t *size)
{
    ngx_http_request_body_t  *rb;

    rb = vr->http->request_body;

    if (rb == NULL || rb->temp_file == NULL
        || rb->temp_file->file.offset <= 0)
    {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The request has no body.");
    }

    *size = rb->temp_file->file.offset;

    return &rb->temp_file->file;
}


void
vault_body_taken(vault_request_t *vr, ngx_file_t *file)
{
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;

    for (cln = vr->pool->cleanup; cln; cln = cln->next) {
        clnf = cln->data;

        if (cln->handler == ngx_pool_delete_file && clnf->fd == file->fd) {
            cln->handler = ngx_pool_cleanup_file;
        }
    }
}


/* The names lie in the mapping, which goes. */
static ngx_int_t
keep_name(parts_work_t *work, size_t *used, ngx_str_t *name)
{
    u_char  *p = work->names + *used;

    if (name->data == NULL) {
        return NGX_OK;
    }

    if (name->len > NAMES_MAX - *used) {
        work->err = "has names that are too long";
        return NGX_DECLINED;
    }

    ngx_memcpy(p, name->data, name->len);
    name->data = p;
    *used += name->len;

    return NGX_OK;
}


static void
parts_find(parts_work_t *work, const ngx_str_t *body)
{
    size_t          used;
    ngx_uint_t      i;
    vault_parts_t  *parts = work->parts;

    parts->n = VAULT_BODY_PARTS;
    work->rc = vault_multipart_parse(body, &work->boundary, parts->list,
                                     &parts->n, &work->err);

    for (i = 0, used = 0; work->rc == NGX_OK && i < parts->n; i++) {
        work->rc = keep_name(work, &used, &parts->list[i].name);

        if (work->rc == NGX_OK) {
            work->rc = keep_name(work, &used, &parts->list[i].filename);
        }
    }
}


/* The file is this request's own, so that nobody makes it shorter. */
static void
parts_work(void *data, ngx_log_t *log)
{
    ngx_str_t      body;
    parts_work_t  *work = data;

    body.len = work->size;
    body.data = mmap(NULL, work->size, PROT_READ, MAP_PRIVATE, work->fd, 0);

    if (body.data == MAP_FAILED) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "mmap() of a request body failed");
        work->rc = NGX_ERROR;
        return;
    }

    (void) madvise(body.data, body.len, MADV_SEQUENTIAL);

    parts_find(work, &body);

    if (munmap(body.data, body.len) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno, "munmap() failed");
    }
}


vault_parts_t *
vault_body_parts(vault_request_t *vr)
{
    off_t          size;
    ngx_str_t      type;
    parts_work_t  *work;

    work = vault_calloc(vr, sizeof(parts_work_t));
    work->parts = vault_calloc(vr, sizeof(vault_parts_t));
    work->names = vault_alloc(vr, NAMES_MAX);

    type = vault_header(vr, "Content-Type");

    if (vault_multipart_boundary(&type, &work->boundary) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "The request must be multipart/form-data.");
    }

    work->parts->file = vault_body_file(vr, &size);
    work->fd = work->parts->file->fd;
    work->size = size;

    vault_thread_run(vr, VAULT_THREAD_IO, parts_work, work);

    if (work->rc == NGX_DECLINED) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The request %s.", work->err);
    }

    if (work->rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "The request could not be read.");
    }

    return work->parts;
}


vault_part_t *
vault_body_part(vault_parts_t *parts, const char *name)
{
    size_t      len = ngx_strlen(name);
    ngx_uint_t  i;

    for (i = 0; i < parts->n; i++) {
        if (parts->list[i].name.len == len
            && ngx_memcmp(parts->list[i].name.data, name, len) == 0)
        {
            return &parts->list[i];
        }
    }

    return NULL;
}


static void
text_work(void *data, ngx_log_t *log)
{
    ssize_t       n;
    text_work_t  *work = data;

    n = pread(work->fd, work->text.data, work->text.len, work->from);

    if (n != (ssize_t) work->text.len) {
        ngx_log_error(NGX_LOG_CRIT, log, n == -1 ? ngx_errno : 0,
                      "reading a request body from its file failed");
        work->rc = NGX_ERROR;
    }
}


ngx_str_t
vault_body_text(vault_request_t *vr, vault_parts_t *parts,
    const vault_part_t *part, size_t max)
{
    text_work_t  *work;

    if (part->size > (off_t) max) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The field %V is too long.",
                   &part->name);
    }

    work = vault_calloc(vr, sizeof(text_work_t));
    work->fd = parts->file->fd;
    work->from = part->from;
    work->text.len = part->size;
    work->text.data = vault_alloc(vr, part->size);

    if (part->size) {
        vault_thread_run(vr, VAULT_THREAD_IO, text_work, work);
    }

    if (work->rc != NGX_OK) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "The request could not be read.");
    }

    return work->text;
}
