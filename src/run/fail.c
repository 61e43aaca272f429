/*
 * How work ends early, and in which words the client hears of it.
 */

#include "run.h"


/* bitwarden/server ErrorResponseModel; clients read message and the list. */
ngx_int_t
vault_error_body(ngx_pool_t *pool, const ngx_str_t *field,
    const ngx_str_t *message, vault_reply_t *reply)
{
    ngx_str_t       key;
    vault_writer_t  w;

    vault_writer_init(&w, pool);

    vault_json_open(&w, NULL, '{');
    vault_json_string(&w, "message", message);
    vault_json_open(&w, "validationErrors", '{');

    if (field && field->len < 128) {
        key.data = ngx_pnalloc(pool, field->len + 1);
        if (key.data == NULL) {
            return NGX_ERROR;
        }
        (void) ngx_cpystrn(key.data, field->data, field->len + 1);
        vault_json_open(&w, (char *) key.data, '[');

    } else {
        vault_json_open(&w, "", '[');
    }

    vault_json_string(&w, NULL, message);
    vault_json_close(&w, ']');
    vault_json_close(&w, '}');

    vault_json_open(&w, "errorModel", '{');
    vault_json_string(&w, "message", message);
    vault_json_cstring(&w, "object", "error");
    vault_json_close(&w, '}');

    vault_json_cstring(&w, "object", "error");
    vault_json_close(&w, '}');

    if (w.failed) {
        return NGX_ERROR;
    }

    ngx_str_set(&reply->content_type, "application/json");
    reply->body = w.chain;
    reply->size = w.size;

    return NGX_OK;
}


static void
fail_log(vault_request_t *vr, ngx_uint_t status, ngx_str_t *message)
{
    ngx_uint_t    level;
    vault_run_t  *run = vault_run(vr);

    level = status >= 500 ? NGX_LOG_ERR : NGX_LOG_INFO;

    ngx_log_error(level, vr->log, 0, "vault: %s %ui \"%V\"",
                  run->task ? run->name : "answered", status, message);
}


static void fail_with(vault_request_t *vr, ngx_uint_t status,
    const ngx_str_t *field, ngx_str_t *message) __attribute__((noreturn));


static void
fail_with(vault_request_t *vr, ngx_uint_t status, const ngx_str_t *field,
    ngx_str_t *message)
{
    fail_log(vr, status, message);

    ngx_memzero(&vr->reply, sizeof(vault_reply_t));
    vr->reply.status = status;
    (void) vault_error_body(vr->pool, field, message, &vr->reply);

    vault_run_end(vr);
}


void
vault_fail(vault_request_t *vr, ngx_uint_t status, const char *fmt, ...)
{
    u_char      text[512], *last;
    va_list     args;
    ngx_str_t   message;

    va_start(args, fmt);
    last = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    message.data = text;
    message.len = last - text;

    fail_with(vr, status, NULL, &message);
}


void
vault_fail_field(vault_request_t *vr, ngx_str_t *field, ngx_str_t *text)
{
    u_char     buf[512], *last;
    ngx_str_t  message;

    if (field->len) {
        last = ngx_slprintf(buf, buf + sizeof(buf), "The field %V %V.", field,
                            text);
    } else {
        last = ngx_slprintf(buf, buf + sizeof(buf), "The request %V.", text);
    }

    message.data = buf;
    message.len = last - buf;

    fail_with(vr, NGX_HTTP_BAD_REQUEST, field, &message);
}


void
vault_fail_json(vault_request_t *vr, ngx_uint_t status, ngx_str_t *json)
{
    ngx_str_t  text = ngx_string("a refusal in another protocol's shape");

    fail_log(vr, status, &text);

    ngx_memzero(&vr->reply, sizeof(vault_reply_t));
    vault_reply_text(vr, status, "application/json", json);

    vault_run_end(vr);
}
