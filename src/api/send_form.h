/*
 * send_form - a Send as its owner's clients send and read it.
 *
 * Why:    text and file, creation and edit, JSON and a part of multipart all
 *         go through one table, so that no stored Send can break a sync.
 * Use:    vault_send_form in vault_json_read(), vault_send_form_check(), then
 *         vault_send_form_apply(); vault_send_write() for an answer.
 * Fails:  400 with the words of the official server.
 * Waits:  vault_send_form_apply() awaits where there is a password.
 */

#ifndef VAULT_API_SEND_FORM_H
#define VAULT_API_SEND_FORM_H

#include "../model/file.h"
#include "../model/send.h"


typedef struct {
    ngx_str_t          text;          /* EncString */
    int64_t            hidden;
} vault_send_text_t;

typedef struct {
    ngx_str_t          name;          /* EncString */
} vault_send_file_t;

typedef struct {
    int64_t            type;
    int64_t            auth;
    int64_t            size;          /* of the file, encrypted */
    ngx_str_t          name;
    ngx_str_t          notes;
    ngx_str_t          key;
    ngx_str_t          password;
    ngx_str_t          emails;
    int64_t            max_accesses;
    int64_t            expires_at;
    int64_t            deletes_at;
    int64_t            disabled;
    int64_t            hide_email;
    vault_send_text_t  *text;
    vault_send_file_t  *file;
} vault_send_form_t;

extern const vault_shape_t  vault_send_form;

/* 400 for dates, ways to prove and members that do not go together. */
void vault_send_form_check(vault_request_t *vr, vault_send_form_t *form);

/*
 * All that can be edited, into *send, but for the data of a file.  password
 * of `old` (NULL: none) decides what an absent one means: 1 if it is kept.
 */
ngx_uint_t vault_send_form_apply(vault_request_t *vr,
    const vault_send_form_t *form, const vault_send_t *old,
    vault_send_t *send);

/* What is stored and read of a file that was promised. */
ngx_str_t vault_send_file_data(vault_request_t *vr, const vault_file_t *file);


/* name NULL: in a list, or the whole answer. */
void vault_send_write(vault_request_t *vr, vault_writer_t *w,
    const char *name, const vault_send_t *send);
void vault_sends_write(vault_request_t *vr, vault_writer_t *w,
    const char *name, const ngx_array_t *sends);

/* "text" or "file", and null for the other. */
void vault_send_data_write(vault_writer_t *w, const vault_send_t *send);


/* 0 e-mail, 1 password, 2 none */
int64_t vault_send_auth(const vault_send_t *send);


#endif
