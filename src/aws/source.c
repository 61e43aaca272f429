/*
 * What the sources have in common: a file, an answer, three tries.
 */

#include "../crypto/crypto.h"
#include "../run/await.h"
#include "source.h"


#define TRIES  3
#define PAUSE  100                    /* ms before the second; then double */

typedef struct {
    const char  *path;
    u_char      *data;
    ssize_t      len;
    ngx_err_t    err;
} file_t;


static void
read_work(void *data, ngx_log_t *log)
{
    file_t    *file = data;
    ssize_t    n;
    ngx_fd_t   fd;

    fd = ngx_open_file(file->path, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        file->err = ngx_errno;
        return;
    }

    do {
        n = ngx_read_fd(fd, file->data + file->len,
                        VAULT_AWS_FILE - file->len);
        if (n > 0) {
            file->len += n;
        }
    } while (n > 0 && file->len < VAULT_AWS_FILE);

    if (n != 0) {
        file->err = n == -1 ? ngx_errno : EFBIG;
    }

    (void) ngx_close_file(fd);
}


static void
wipe_file(void *data)
{
    file_t  *file = data;

    vault_wipe(file->data, file->len);
}


ngx_int_t
vault_aws_read_whole(vault_request_t *vr, const ngx_str_t *path,
    ngx_str_t *text, ngx_err_t *err)
{
    file_t              *file;
    ngx_pool_cleanup_t  *cln;

    file = vault_calloc(vr, sizeof(file_t));
    file->data = vault_alloc(vr, VAULT_AWS_FILE);
    file->path = (const char *) path->data;

    cln = ngx_pool_cleanup_add(vr->pool, 0);
    if (cln == NULL) {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.");
    }

    cln->handler = wipe_file;
    cln->data = file;

    vault_thread_run(vr, VAULT_THREAD_IO, read_work, file);

    *err = file->err;

    if (file->err) {
        return file->err == NGX_ENOENT || file->err == NGX_ENOTDIR
               ? NGX_DECLINED : NGX_ERROR;
    }

    text->data = file->data;
    text->len = file->len;

    return NGX_OK;
}


ngx_int_t
vault_aws_read_file(vault_request_t *vr, const ngx_str_t *path,
    ngx_str_t *text, ngx_err_t *err)
{
    ngx_int_t  rc;

    rc = vault_aws_read_whole(vr, path, text, err);

    if (rc != NGX_OK) {
        return rc;
    }

    while (text->len && text->data[text->len - 1] <= ' ') {
        text->len--;
    }

    while (text->len && *text->data <= ' ') {
        text->data++;
        text->len--;
    }

    return NGX_OK;
}


ngx_int_t
vault_aws_fetch(vault_request_t *vr, const vault_http_call_t *call,
    const char *whom, vault_http_answer_t *answer)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    for (n = 1; /* void */ ; n++) {

        rc = vault_http_request(vr, call, answer);

        if (rc == NGX_OK && answer->status < 500 && answer->status != 429) {
            return NGX_OK;
        }

        if (n == TRIES) {
            break;
        }

        vault_sleep(vr, PAUSE << (n - 1));
    }

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: %s answers %ui", whom,
                      answer->status);
    } else {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: %s: %V", whom, &answer->error);
    }

    return NGX_ERROR;
}


typedef struct {
    ngx_str_t  access_key;
    ngx_str_t  secret_key;
    ngx_str_t  token;
    int64_t    expiration;
} answer_t;

static const vault_field_t  answer_fields[] = {
    { "accessKeyId",     VAULT_TEXT, offsetof(answer_t, access_key),
      VAULT_REQUIRED, 256 },
    { "secretAccessKey", VAULT_TEXT, offsetof(answer_t, secret_key),
      VAULT_REQUIRED, 256 },
    { "token",           VAULT_TEXT, offsetof(answer_t, token), 0, 16384 },
    { "expiration",      VAULT_DATE, offsetof(answer_t, expiration) },
    VAULT_FIELDS_END
};

static const vault_shape_t  answer_shape = VAULT_SHAPE(answer_fields,
                                                       answer_t);


ngx_int_t
vault_aws_read_keys(vault_request_t *vr, const vault_http_answer_t *answer,
    const char *whom, vault_aws_keys_t *keys)
{
    answer_t            form;
    vault_json_error_t  err;

    if (answer->status != NGX_HTTP_OK) {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: %s answers %ui", whom,
                      answer->status);
        return NGX_ERROR;
    }

    if (vault_json_parse(vr->pool, &answer->body, &answer_shape, &form, &err)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                      "credentials of AWS: %s does not answer with keys",
                      whom);
        return NGX_ERROR;
    }

    keys->access_key = form.access_key;
    keys->secret_key = vault_secret(vr, &form.secret_key);
    keys->session_token = form.token;
    keys->expires_at = form.expiration == VAULT_NULL ? 0 : form.expiration;

    vault_wipe(form.secret_key.data, form.secret_key.len);

    return NGX_OK;
}
