/*
 * send - a text or a file that whoever has its link may read for a while.
 * All its texts are encrypted under a key of its own, which is in the link.
 *
 * Every function for its owner has the owner in its WHERE; those for receivers
 * take the id alone, which is as good as the link.
 *
 * A Send whose file is only promised (model/file.h) is not there for anybody,
 * but for the one who uploads it.  All functions without a change await.
 */

#ifndef VAULT_MODEL_SEND_H
#define VAULT_MODEL_SEND_H

#include "change.h"


#define VAULT_SEND_MAX   10000        /* of one user */
#define VAULT_SEND_DAYS  31           /* that it may live */

typedef enum {
    VAULT_SEND_TEXT = 0,
    VAULT_SEND_FILE
} vault_send_type_e;

struct vault_send_s {
    ngx_str_t  id;                    /* UUID */
    ngx_str_t  user_id;
    int64_t    type;                  /* vault_send_type_e */
    ngx_str_t  name;                  /* EncString; or null */
    ngx_str_t  notes;                 /* EncString; or null */
    ngx_str_t  data;                  /* JSON: {"text","hidden"} or
                                         {"id","fileName","size","sizeName"} */
    ngx_str_t  key;                   /* EncString, under the user key */
    ngx_str_t  password_hash;         /* rules/password.h; null: none */
    ngx_str_t  password_salt;
    int64_t    password_rounds;
    int64_t    max_accesses;          /* null: any number */
    int64_t    accesses;
    int64_t    disabled;
    int64_t    hide_email;
    int64_t    created_at;
    int64_t    revised_at;
    int64_t    expires_at;            /* null: when it is deleted */
    int64_t    deletes_at;

    ngx_str_t  email;                 /* of its owner, and */
    ngx_str_t  file_id;               /* its file, unless that is doomed: */
    int64_t    file_state;            /* of vault_send_find_any() only */
};


/* All Sends of a user, in no particular order. */
ngx_array_t *vault_send_list(vault_request_t *vr, const vault_user_t *user);
void vault_send_batch(vault_db_batch_t *batch, const vault_user_t *user,
    ngx_array_t **sends);

/* 404 if the user has none of this id. */
vault_send_t *vault_send_get(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id);

/* The same with one whose file is still to come. */
vault_send_t *vault_send_get_promised(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *id);

/*
 * Adds a new one to a change: all members but owner, accesses and times, which
 * it gets.  400 beyond the maximum.
 */
void vault_send_insert(vault_change_t *change, vault_send_t *send);

/*
 * send: its id and all that can be edited; gets the rest.  Its file and, if
 * `keep`, its password stay as they are.  404.
 */
void vault_send_update(vault_request_t *vr, const vault_user_t *user,
    vault_send_t *send, ngx_uint_t keep);

/* Nobody is asked for a password any more.  404; else as it is now. */
vault_send_t *vault_send_delete_password(vault_request_t *vr,
    const vault_user_t *user, const ngx_str_t *id);

/* With its file; also one that is still to come.  404. */
void vault_send_delete(vault_request_t *vr, const vault_user_t *user,
    const ngx_str_t *id);

/*
 * A key rotation: rows is a JSON array of {"id","key"}; those that are the
 * user's are updated.  What is still to come is forgotten: its uploader has
 * the old key.
 */
void vault_send_update_rows(vault_change_t *change, const ngx_str_t *rows,
    int64_t *updated);


/* For receivers, whoever owns it; NULL if there is none. */
vault_send_t *vault_send_find_any(vault_request_t *vr, const ngx_str_t *id);

/*
 * Counts an access, unless it has expired, was disabled or deleted, or has
 * been accessed as often as it may; 0 then.  However many come at once, the
 * maximum is never exceeded.  Its owner's revision moves.
 */
ngx_uint_t vault_send_count(vault_request_t *vr, const vault_send_t *send);


#endif
