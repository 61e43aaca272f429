/*
 * file - a text that is there whole or not at all.
 *
 * Why:    who reads a secret must never see half of it, nor an old one with
 *         new permissions.
 * Use:    vault_agent_write().
 * Owns:   nothing; a file that failed is removed.
 * Fails:  NGX_ERROR with *err and the step that failed.
 * Waits:  vault_agent_write() awaits: a thread does it.
 */

#ifndef VAULT_AGENT_FILE_H
#define VAULT_AGENT_FILE_H

#include "../run/await.h"


typedef struct {
    const char  *path;                /* ends with NUL */
    ngx_str_t    text;
    mode_t       mode;

    ngx_uint_t   changed;             /* the file was another before */
    ngx_err_t    err;
    const char  *step;                /* "create a file in the folder of" */
} vault_agent_file_t;

/*
 * Beside it, then renamed; its folder is made if it is missing.  What is there
 * already is left alone.
 */
ngx_int_t vault_agent_write(vault_request_t *vr, vault_agent_file_t *file);


#endif
