/*
 * adapter - what files.c asks of a kind of store.  Known to files/ only.
 *
 * Why:    a folder and a bucket differ in everything but these few calls.
 * Use:    each adapter has one create function, which files.c knows by the
 *         beginning of the URL; it fills in its table and its own data.
 * Owns:   data lives as long as the configuration.
 * Fails:  as files.h says of the call of the same name.  Names are UUIDs,
 *         checked by files.c.
 * Waits:  all calls that take a request await.
 */

#ifndef VAULT_FILES_ADAPTER_H
#define VAULT_FILES_ADAPTER_H

#include "files.h"


typedef struct {
    void (*put)(vault_request_t *vr, void *data, const ngx_str_t *name,
        const vault_bytes_t *bytes);
    ngx_int_t (*head)(vault_request_t *vr, void *data, const ngx_str_t *name,
        off_t *size);
    void (*delete)(vault_request_t *vr, void *data, const ngx_array_t *names,
        ngx_array_t *gone);

    /* What follows may be left out. */

    ngx_int_t (*check)(void *data, ngx_cycle_t *cycle);
    void (*stop)(void *data);

    /* A folder has these … */
    void (*sweep)(vault_request_t *vr, void *data, int64_t before);
    void (*send)(vault_request_t *vr, void *data, const ngx_str_t *name);

    /* … and a bucket these. */
    ngx_int_t (*place)(void *data, vault_files_place_t *place);
    ngx_str_t (*put_link)(vault_request_t *vr, void *data,
        const ngx_str_t *name, time_t life);
    ngx_str_t (*get_link)(vault_request_t *vr, void *data,
        const ngx_str_t *name, time_t life);
} vault_files_adapter_t;

struct vault_files_s {
    const vault_files_adapter_t  *adapter;
    void                         *data;
    ngx_str_t                     folder;  /* where bodies are received so that
                                              storing is a rename; or empty */
};


/*
 * While the configuration is read: fill in all of *files.  `url` is the whole
 * of it, with its scheme.  NGX_ERROR after having logged what is wrong with
 * ngx_conf_log_error().
 */
ngx_int_t vault_files_local_create(ngx_conf_t *cf, const ngx_str_t *url,
    vault_files_t *files);
ngx_int_t vault_files_s3_create(ngx_conf_t *cf, const ngx_str_t *url,
    vault_aws_t *aws, vault_files_t *files);


#endif
