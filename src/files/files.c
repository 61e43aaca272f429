/*
 * The port: chooses an adapter by the URL, and lets no name through that is
 * not a UUID.
 */

#include "adapter.h"


static ngx_uint_t
has_scheme(const ngx_str_t *url, const char *scheme)
{
    size_t  len = ngx_strlen(scheme);

    return url->len >= len && ngx_strncmp(url->data, scheme, len) == 0;
}


vault_files_t *
vault_files_create(ngx_conf_t *cf, const ngx_str_t *url, vault_aws_t *aws)
{
    vault_files_t  *files;

    files = ngx_pcalloc(cf->pool, sizeof(vault_files_t));
    if (files == NULL) {
        return NULL;
    }

    if (has_scheme(url, "file:")) {
        return vault_files_local_create(cf, url, files) == NGX_OK ? files
                                                                  : NULL;
    }

    if (has_scheme(url, "s3://")) {
        return vault_files_s3_create(cf, url, aws, files) == NGX_OK ? files
                                                                    : NULL;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_files\" must be like "
                       "\"file:/var/lib/vault/files\" or "
                       "\"s3://bucket/prefix?region=eu-west-1\", not \"%V\"",
                       url);
    return NULL;
}


ngx_int_t
vault_files_check(vault_files_t *files, ngx_cycle_t *cycle)
{
    return files->adapter->check
           ? files->adapter->check(files->data, cycle) : NGX_OK;
}


void
vault_files_stop(vault_files_t *files)
{
    if (files->adapter->stop) {
        files->adapter->stop(files->data);
    }
}


ngx_str_t
vault_files_folder(vault_files_t *files)
{
    return files->folder;
}


ngx_uint_t
vault_files_is_bucket(vault_files_t *files)
{
    return files->adapter->put_link != NULL;
}


ngx_int_t
vault_files_place(vault_files_t *files, vault_files_place_t *place)
{
    return files->adapter->place ? files->adapter->place(files->data, place)
                                 : NGX_DECLINED;
}


/* Ids come from rows and routes, which know UUIDs only: this is the last wall
   before a path. */
static void
require_name(vault_request_t *vr, const ngx_str_t *name)
{
    if (vault_uuid_check(name) != NGX_OK) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }
}


void
vault_files_put(vault_request_t *vr, const ngx_str_t *name,
    const vault_bytes_t *bytes)
{
    vault_files_t  *files = vr->conf->files;

    require_name(vr, name);
    files->adapter->put(vr, files->data, name, bytes);
}


ngx_int_t
vault_files_head(vault_request_t *vr, const ngx_str_t *name, off_t *size)
{
    vault_files_t  *files = vr->conf->files;

    require_name(vr, name);

    return files->adapter->head(vr, files->data, name, size);
}


void
vault_files_delete(vault_request_t *vr, const ngx_array_t *names,
    ngx_array_t *gone)
{
    ngx_str_t      *name = names->elts;
    ngx_uint_t      i;
    vault_files_t  *files = vr->conf->files;

    for (i = 0; i < names->nelts; i++) {
        require_name(vr, &name[i]);
    }

    if (names->nelts) {
        files->adapter->delete(vr, files->data, names, gone);
    }
}


void
vault_files_sweep(vault_request_t *vr, int64_t before)
{
    vault_files_t  *files = vr->conf->files;

    if (files->adapter->sweep) {
        files->adapter->sweep(vr, files->data, before);
    }
}


void
vault_files_send(vault_request_t *vr, const ngx_str_t *name)
{
    vault_files_t  *files = vr->conf->files;

    require_name(vr, name);

    if (files->adapter->send == NULL) {
        vault_fail(vr, NGX_HTTP_NOT_FOUND, "Resource not found.");
    }

    files->adapter->send(vr, files->data, name);
}


ngx_str_t
vault_files_put_link(vault_request_t *vr, const ngx_str_t *name, time_t life)
{
    vault_files_t  *files = vr->conf->files;

    require_name(vr, name);

    return files->adapter->put_link(vr, files->data, name, life);
}


ngx_str_t
vault_files_get_link(vault_request_t *vr, const ngx_str_t *name, time_t life)
{
    vault_files_t  *files = vr->conf->files;

    require_name(vr, name);

    return files->adapter->get_link(vr, files->data, name, life);
}
