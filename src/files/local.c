/*
 * The folder:
 *
 *   ab/ab01…-…   objects, by the first two characters of their names
 *   tmp/         bodies that are being received, and copies
 *
 * Private to the workers' user.  Everything here takes names that files.c has
 * found to be UUIDs.
 */

#include "local.h"
#include "../run/await.h"
#include "../run/body.h"


static void local_put(vault_request_t *vr, void *data, const ngx_str_t *name,
    const vault_bytes_t *bytes);
static ngx_int_t local_head(vault_request_t *vr, void *data,
    const ngx_str_t *name, off_t *size);
static void local_delete(vault_request_t *vr, void *data,
    const ngx_array_t *names, ngx_array_t *gone);
static ngx_int_t local_check(void *data, ngx_cycle_t *cycle);
static void local_sweep(vault_request_t *vr, void *data, int64_t before);
static void local_send(vault_request_t *vr, void *data,
    const ngx_str_t *name);


static const vault_files_adapter_t  local_adapter = {
    .put = local_put,
    .head = local_head,
    .delete = local_delete,
    .check = local_check,
    .sweep = local_sweep,
    .send = local_send
};

/* Copies that this worker has made: two of one object do not meet. */
static ngx_uint_t  local_copies;


ngx_int_t
vault_files_local_create(ngx_conf_t *cf, const ngx_str_t *url,
    vault_files_t *files)
{
    ngx_str_t       path;
    vault_local_t  *local;

    path.data = url->data + sizeof("file:") - 1;
    path.len = url->len - (sizeof("file:") - 1);

    while (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }

    if (path.len == 0 || (path.len == 1 && path.data[0] == '/')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_files\" must name "
                           "a folder of its own, as in "
                           "\"file:/var/lib/vault/files\"");
        return NGX_ERROR;
    }

    local = ngx_pcalloc(cf->pool, sizeof(vault_local_t));
    if (local == NULL) {
        return NGX_ERROR;
    }

    local->root.len = path.len;
    local->root.data = ngx_pnalloc(cf->pool, path.len + 1);
    if (local->root.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(local->root.data, path.data, path.len + 1);

    if (ngx_conf_full_name(cf->cycle, &local->root, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    local->temp.data = ngx_pnalloc(cf->pool,
                                   local->root.len + sizeof("/tmp"));
    if (local->temp.data == NULL) {
        return NGX_ERROR;
    }

    local->temp.len = ngx_sprintf(local->temp.data, "%V/tmp%Z", &local->root)
                      - local->temp.data - 1;

    files->adapter = &local_adapter;
    files->data = local;
    files->folder = local->temp;

    return NGX_OK;
}


/* nginx has made the folders by now, if it could: see module/settings.c. */
static ngx_int_t
local_check(void *data, ngx_cycle_t *cycle)
{
    vault_local_t    *local = data;
    ngx_file_info_t   fi;

    if (ngx_file_info(local->root.data, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "vault_files: folder \"%V\" cannot be made: make the "
                      "one above it, and let the workers' user own it",
                      &local->root);
        return NGX_ERROR;
    }

    if (!ngx_is_dir(&fi)
        || ngx_file_info(local->temp.data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "vault_files: \"%V\" is not a folder with a folder "
                      "\"tmp\" in it", &local->root);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static vault_local_path_t
local_path(vault_request_t *vr, vault_local_t *local, const ngx_str_t *name)
{
    size_t              len;
    u_char             *p;
    vault_local_path_t  path;

    len = local->root.len + sizeof("/ab/") + name->len;

    path.folder = vault_alloc(vr, len);
    path.file = vault_alloc(vr, len);

    p = ngx_sprintf((u_char *) path.folder, "%V/%*s%Z", &local->root,
                    (size_t) 2, name->data);
    ngx_strlow((u_char *) path.folder + local->root.len,
               (u_char *) path.folder + local->root.len,
               p - (u_char *) path.folder - local->root.len);

    p = ngx_sprintf((u_char *) path.file, "%s/%V%Z", path.folder, name);
    ngx_strlow((u_char *) path.file + local->root.len,
               (u_char *) path.file + local->root.len,
               p - (u_char *) path.file - local->root.len);

    return path;
}


static void
local_put_failed(vault_request_t *vr, vault_local_put_t *put)
{
    ngx_log_error(NGX_LOG_CRIT, vr->log, put->err,
                  "vault: \"%s\" could not be stored: %s failed",
                  put->to.file, put->what);

    if (put->err == NGX_ENOSPC || put->err == EDQUOT) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The server's disk is full.");
    }

    vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
               "The file could not be stored. Please try again later.");
}


static void
local_put(vault_request_t *vr, void *data, const ngx_str_t *name,
    const vault_bytes_t *bytes)
{
    size_t              len;
    vault_local_t      *local = data;
    vault_local_put_t  *put;

    put = vault_calloc(vr, sizeof(vault_local_put_t));
    put->local = local;
    put->to = local_path(vr, local, name);
    put->source = bytes->whole ? (char *) bytes->file->name.data : NULL;
    put->fd = bytes->file->fd;
    put->from = bytes->from;
    put->size = bytes->size;

    len = local->temp.len + name->len + 2 * NGX_INT64_LEN
          + sizeof("/..");
    put->temp = vault_alloc(vr, len);
    (void) ngx_sprintf((u_char *) put->temp, "%V/%V.%P.%ui%Z", &local->temp,
                       name, ngx_pid, local_copies++);

    vault_thread_run(vr, VAULT_THREAD_IO, vault_local_put_work, put);

    if (put->renamed) {
        vault_body_taken(vr, bytes->file);
    }

    if (put->err) {
        local_put_failed(vr, put);
    }
}


/* A client that leaves meanwhile leaves the descriptor to its pool. */
static void
local_look_close(void *data)
{
    vault_local_look_t  *look = data;

    if (look->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(look->fd);
    }
}


static vault_local_look_t *
local_look(vault_request_t *vr, vault_local_t *local, const ngx_str_t *name,
    ngx_uint_t open)
{
    vault_local_look_t  *look;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(vr->pool, sizeof(vault_local_look_t));
    if (cln == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    look = cln->data;
    ngx_memzero(look, sizeof(vault_local_look_t));
    look->fd = NGX_INVALID_FILE;
    look->open = open;
    look->file = local_path(vr, local, name).file;
    cln->handler = local_look_close;

    vault_thread_run(vr, VAULT_THREAD_IO, vault_local_look_work, look);

    if (look->err && look->err != NGX_ENOENT) {
        ngx_log_error(NGX_LOG_CRIT, vr->log, look->err,
                      "vault: \"%s\" cannot be read", look->file);
    }

    return look;
}


static ngx_int_t
local_head(vault_request_t *vr, void *data, const ngx_str_t *name,
    off_t *size)
{
    vault_local_look_t  *look;

    look = local_look(vr, data, name, 0);

    if (look->err) {
        return look->err == NGX_ENOENT ? NGX_DECLINED : NGX_ERROR;
    }

    *size = look->size;

    return NGX_OK;
}


static void
local_send(vault_request_t *vr, void *data, const ngx_str_t *name)
{
    ngx_fd_t             fd;
    vault_local_look_t  *look;

    look = local_look(vr, data, name, 1);

    if (look->err == NGX_ENOENT) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    if (look->err) {
        vault_fail(vr, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "The file cannot be read. Please try again later.");
    }

    fd = look->fd;
    look->fd = NGX_INVALID_FILE;

    vault_reply_file(vr, fd, look->size);
}


static void
local_delete(vault_request_t *vr, void *data, const ngx_array_t *names,
    ngx_array_t *gone)
{
    ngx_str_t             *name = names->elts, *slot;
    ngx_uint_t             i;
    vault_local_delete_t  *work;

    work = vault_calloc(vr, sizeof(vault_local_delete_t));
    work->local = data;
    work->n = names->nelts;
    work->paths = vault_calloc(vr, work->n * sizeof(vault_local_path_t));
    work->errs = vault_calloc(vr, work->n * sizeof(ngx_err_t));

    for (i = 0; i < work->n; i++) {
        work->paths[i] = local_path(vr, data, &name[i]);
    }

    vault_thread_run(vr, VAULT_THREAD_IO, vault_local_delete_work, work);

    for (i = 0; i < work->n; i++) {
        slot = work->errs[i] ? NULL : ngx_array_push(gone);

        if (slot) {
            *slot = name[i];
        }
    }
}


static void
local_sweep(vault_request_t *vr, void *data, int64_t before)
{
    vault_local_sweep_t  *sweep;

    sweep = vault_calloc(vr, sizeof(vault_local_sweep_t));
    sweep->local = data;
    sweep->before = before / 1000;

    vault_thread_run(vr, VAULT_THREAD_IO, vault_local_sweep_work, sweep);

    if (sweep->removed) {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault: %ui half uploads were deleted",
                      sweep->removed);
    }
}
