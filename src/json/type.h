/*
 * type - what an entry of the type table can do; private to json/.
 *
 * Why:    read.c, fragment.c and view.c walk shapes and know no type; types.c
 *         knows every type and walks nothing.  A new type is one entry there.
 * Use:    the functions of field->type, after null has been dealt with.
 * Owns:   nothing; json_t is borrowed from vault_json_parse().
 * Fails:  vault_reader_fail(), whose NGX_DECLINED is handed up as it is.
 * Waits:  never.
 */

#ifndef VAULT_JSON_TYPE_H
#define VAULT_JSON_TYPE_H

#include <ngx_config.h>
#include <jansson.h>

#include "json.h"


/* Where in the body the reader is: a chain on the C stack, for errors. */
typedef struct vault_place_s  vault_place_t;

struct vault_place_s {
    const vault_place_t  *up;
    const char           *name;       /* NULL: an item of a list */
    size_t                index;
};

typedef struct {
    ngx_pool_t           *pool;
    vault_json_error_t   *err;
    const vault_place_t  *place;
    vault_writer_t        scratch;    /* of fragments, used again and again */
    unsigned              borrow:1;   /* texts need not outlive the tree */
} vault_reader_t;

/* The C types of json.h; what tells null, and how long a slot is. */
typedef enum {
    VAULT_SLOT_NONE = 0,              /* never null */
    VAULT_SLOT_TEXT,
    VAULT_SLOT_NUMBER,
    VAULT_SLOT_POINTER,
    VAULT_SLOT_ARRAY
} vault_slot_e;

typedef union {
    ngx_str_t    text;
    int64_t      number;
    void        *pointer;
    ngx_array_t  array;
} vault_slot_t;

/*
 * `text` and `value` see neither null nor an over-long text; `text` may
 * still find that nothing is left and answer with vault_field_null().
 * `write` sees null.  `name` is apart from the field because an item of a
 * list has none.
 */
struct vault_type_s {
    vault_slot_e   slot;
    size_t         max;               /* where the field has none */
    ngx_uint_t     empty_null;        /* "" counts as null */

    /* a form parameter or a JSON string -> slot; NULL: cannot be text */
    ngx_int_t    (*text)(vault_reader_t *rd, const vault_field_t *field,
                         const ngx_str_t *text, void *slot);

    /* a number -> slot, for the types whose text and JSON are numbers */
    ngx_int_t    (*number)(vault_reader_t *rd, const vault_field_t *field,
                           int64_t n, int64_t *slot);

    /* JSON -> slot; NULL: out only */
    ngx_int_t    (*value)(vault_reader_t *rd, const vault_field_t *field,
                          json_t *value, void *slot);

    /* JSON -> normalised JSON, inside a fragment */
    ngx_int_t    (*copy)(vault_reader_t *rd, vault_writer_t *w,
                         const char *name, const vault_field_t *field,
                         json_t *value);

    /* slot -> JSON */
    void         (*write)(vault_writer_t *w, const char *name,
                          const vault_field_t *field, const void *slot);
};


/* read.c */

/* Fills the error with the place and a text as by ngx_sprintf. */
ngx_int_t vault_reader_fail(vault_reader_t *rd, const char *fmt, ...)
    __attribute__((cold));

/* Stores null; fails if the field is required. */
ngx_int_t vault_field_null(vault_reader_t *rd, const vault_field_t *field,
    void *slot);

/* `value` may be NULL or null. */
ngx_int_t vault_field_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot);

/* Length and emptiness, then the type's own `text`. */
ngx_int_t vault_field_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot);

/* The property `name` or `Name`; NULL if absent. */
json_t *vault_object_find(json_t *object, const char *name);

ngx_int_t vault_object_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot);
ngx_int_t vault_list_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot);
ngx_int_t vault_map_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot);
ngx_int_t vault_texts_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot);

/* Fails unless `value` is a list that the field has room for. */
ngx_int_t vault_list_check(vault_reader_t *rd, const vault_field_t *field,
    json_t *value);

/* The bound of a field: its own or its type's. */
#define vault_field_max(field)                                               \
    ((field)->max ? (field)->max : (field)->type->max)


/* fragment.c */

ngx_int_t vault_fragment_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot);
ngx_int_t vault_scalar_copy(vault_reader_t *rd, vault_writer_t *w,
    const char *name, const vault_field_t *field, json_t *value);
ngx_int_t vault_object_copy(vault_reader_t *rd, vault_writer_t *w,
    const char *name, const vault_field_t *field, json_t *value);
ngx_int_t vault_list_copy(vault_reader_t *rd, vault_writer_t *w,
    const char *name, const vault_field_t *field, json_t *value);
ngx_int_t vault_array_copy(vault_reader_t *rd, vault_writer_t *w,
    const char *name, const vault_field_t *field, json_t *value);


/* scan.c */

/* Refuses what would cost jansson too much stack or memory. */
ngx_int_t vault_scan_check(vault_reader_t *rd, const ngx_str_t *text);


/* view.c */

ngx_uint_t vault_slot_is_null(const vault_field_t *field, const void *slot);

/* The field as a member, or nothing if it is null and may be left out. */
void vault_field_write(vault_writer_t *w, const char *name,
    const vault_field_t *field, const void *slot);

void vault_texts_write(vault_writer_t *w, const char *name,
    const vault_field_t *field, const void *slot);


/* write.c */

/* The members of "{...}", for the object that is open; null: none. */
void vault_writer_splice(vault_writer_t *w, const ngx_str_t *json);

/* Forgets what was written but keeps the last, largest buffer. */
void vault_writer_rewind(vault_writer_t *w);


/* format.c */

#define VAULT_EMAIL_MAX_LEN  256

/* The number of bytes that a base64 text means; NGX_ERROR if it is none. */
ssize_t vault_base64_size(const u_char *text, size_t len);


#endif
