/*
 * The store of a vault, and how nginx receives what is meant for it.
 */

#include "module.h"
#include "../db/db.h"
#include "../files/files.h"
#include "../run/body.h"


#define BODY_BUFFER  (128 * 1024)     /* only what a request needs of it */


/* Beside a SQLite database, so that one folder is the whole vault. */
static ngx_int_t
default_files(ngx_conf_t *cf, vault_srv_conf_t *scf)
{
    ngx_str_t  folder;

    if (scf->files.len) {
        return NGX_OK;
    }

    folder = vault_db_folder(scf->vault.db);
    if (folder.len == 0) {
        ngx_str_set(&folder, "/var/lib/vault");
    }

    scf->files.data = ngx_pnalloc(cf->pool,
                                  folder.len + sizeof("file:/files"));
    if (scf->files.data == NULL) {
        return NGX_ERROR;
    }

    scf->files.len = ngx_sprintf(scf->files.data, "file:%V/files%Z", &folder)
                     - scf->files.data - 1;

    return NGX_OK;
}


/*
 * nginx makes the folders that it knows of when it starts, and gives them to
 * the workers' user.
 */
static ngx_path_t *
add_path(ngx_conf_t *cf, const u_char *name, size_t len)
{
    ngx_path_t  *path;

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NULL;
    }

    path->name.len = len;
    path->name.data = ngx_pnalloc(cf->pool, len + 1);
    if (path->name.data == NULL) {
        return NULL;
    }

    (void) ngx_cpystrn(path->name.data, (u_char *) name, len + 1);

    return ngx_add_path(cf, &path) == NGX_OK ? path : NULL;
}


static u_char *
last_slash(u_char *data, u_char *end)
{
    while (end > data && *--end != '/') { /* void */ }

    return end;
}


/*
 * The folder and the one for bodies in it.  Where the one above is missing,
 * vault_files_check() says so in better words than nginx.
 */
static ngx_int_t
add_folder(ngx_conf_t *cf, vault_srv_conf_t *scf, const ngx_str_t *folder)
{
    u_char           *above, *root;
    ngx_file_info_t   fi;

    root = last_slash(folder->data, folder->data + folder->len);
    above = last_slash(folder->data, root);

    if (above > folder->data) {
        *above = '\0';

        if (ngx_file_info(folder->data, &fi) == NGX_FILE_ERROR) {
            *above = '/';
            return NGX_OK;
        }

        *above = '/';
    }

    *root = '\0';

    if (ngx_file_info(folder->data, &fi) != NGX_FILE_ERROR
        && !ngx_is_dir(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_files\": \"%s\" is "
                           "not a folder", folder->data);
        return NGX_ERROR;
    }

    *root = '/';

    if (add_path(cf, folder->data, root - folder->data) == NULL) {
        return NGX_ERROR;
    }

    scf->temp = add_path(cf, folder->data, folder->len);

    return scf->temp ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
create_files(ngx_conf_t *cf, vault_main_conf_t *mcf, vault_srv_conf_t *scf)
{
    ngx_str_t           folder;
    ngx_uint_t          i;
    vault_srv_conf_t  **other = mcf->vaults.elts;

    for (i = 0; i < mcf->vaults.nelts; i++) {
        if (other[i]->files.len == scf->files.len
            && ngx_memcmp(other[i]->files.data, scf->files.data,
                          scf->files.len) == 0)
        {
            scf->vault.files = other[i]->vault.files;
            scf->temp = other[i]->temp;
            return NGX_OK;
        }

        /* jobs would look for the files of the one in the other's store */

        if (other[i]->vault.db == scf->vault.db) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"vault_files\" must be "
                               "the same in all servers of a database, not "
                               "\"%V\" and \"%V\"", &other[i]->files,
                               &scf->files);
            return NGX_ERROR;
        }
    }

    scf->vault.files = vault_files_create(cf, &scf->files, mcf->aws);
    if (scf->vault.files == NULL) {
        return NGX_ERROR;
    }

    folder = vault_files_folder(scf->vault.files);

    return folder.len ? add_folder(cf, scf, &folder) : NGX_OK;
}


ngx_int_t
vault_attach_files(ngx_conf_t *cf, vault_main_conf_t *mcf,
    vault_srv_conf_t *scf)
{
    ngx_uint_t  bucket;

    if (default_files(cf, scf) != NGX_OK
        || create_files(cf, mcf, scf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    bucket = scf->upload == VAULT_UPLOAD_SET_PRESIGNED
             || (scf->upload == VAULT_UPLOAD_SET_AUTO
                 && scf->vault.lambda);

    if (scf->upload == VAULT_UPLOAD_SET_DIRECT) {
        scf->vault.upload = VAULT_UPLOAD_DIRECT;

    } else if (bucket && vault_files_is_bucket(scf->vault.files)) {
        scf->vault.upload = VAULT_UPLOAD_BUCKET;

    } else {
        scf->vault.upload = VAULT_UPLOAD_OWN;
    }

    return NGX_OK;
}


ngx_int_t
vault_set_bodies(ngx_conf_t *cf, vault_srv_conf_t *scf,
    ngx_http_core_loc_conf_t *clcf)
{
    off_t  most;

    most = ngx_max(VAULT_BODY_BULK,
                   scf->vault.file_max + VAULT_BODY_OVERHEAD);

    /* every route has its own limit; nginx's default would come before it */

    if (clcf->client_max_body_size == 1024 * 1024) {
        clcf->client_max_body_size = most;
    }

    if (clcf->client_max_body_size && clcf->client_max_body_size < most) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "\"client_max_body_size\" is "
                           "below what a vault takes, which limits each "
                           "request by itself: leave it out, or make it %O",
                           most);
    }

    /* a file comes in fewer and larger steps, at half the cost */

    if (clcf->client_body_buffer_size == 2 * (size_t) ngx_pagesize) {
        clcf->client_body_buffer_size = BODY_BUFFER;
    }

    /* a path of nginx's own choice: the user's stays */

    if (scf->temp && clcf->client_body_temp_path->conf_file == NULL) {
        clcf->client_body_temp_path = scf->temp;
    }

    return NGX_OK;
}
