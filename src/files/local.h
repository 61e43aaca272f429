/*
 * local - the folder: what its two files share.
 *
 * Why:    local.c asks, on the event loop; local_disk.c works, in threads.
 * Use:    a work struct is filled in, given to a thread, and read after it.
 * Owns:   descriptors that the work opened belong to it until it gives them.
 * Fails:  with the errno in ->err, 0 if all went well.
 * Waits:  local_disk.c's functions block: threads only.
 */

#ifndef VAULT_FILES_LOCAL_H
#define VAULT_FILES_LOCAL_H

#include "adapter.h"


typedef struct {
    ngx_str_t    root;                /* the folder, NUL-terminated */
    ngx_str_t    temp;                /* below it: what is not finished */
} vault_local_t;

/* Where an object is: "root/ab/abcdef…". */
typedef struct {
    char        *folder;
    char        *file;
} vault_local_path_t;

typedef struct {
    vault_local_t       *local;
    vault_local_path_t   to;
    char                *temp;        /* name for a copy */
    char                *source;      /* to be renamed; NULL: to be copied */
    ngx_fd_t             fd;
    off_t                from;
    off_t                size;
    ngx_err_t            err;
    const char          *what;        /* the call that failed */
    unsigned             renamed:1;   /* source is gone */
} vault_local_put_t;

typedef struct {
    char                *file;
    ngx_fd_t             fd;          /* NGX_INVALID_FILE: do not open */
    ngx_uint_t           open;
    off_t                size;
    ngx_err_t            err;
} vault_local_look_t;

typedef struct {
    vault_local_t       *local;
    vault_local_path_t  *paths;
    ngx_err_t           *errs;        /* 0: it is gone */
    ngx_uint_t           n;
} vault_local_delete_t;

typedef struct {
    vault_local_t       *local;
    time_t               before;
    ngx_uint_t           removed;
} vault_local_sweep_t;


void vault_local_put_work(void *data, ngx_log_t *log);
void vault_local_look_work(void *data, ngx_log_t *log);
void vault_local_delete_work(void *data, ngx_log_t *log);
void vault_local_sweep_work(void *data, ngx_log_t *log);


#endif
