/*
 * json - bodies in, answers out, both driven by one table of fields.
 *
 * Why:    a form or a view is data: its table parses, validates and emits, so
 *         no endpoint picks a tree apart and no malformed value is stored.
 * Use:    vault_json_parse() for a body, vault_json_object() for an answer.
 * Owns:   results live in the pool that was given; jansson's tree never
 *         leaves vault_json_parse().
 * Fails:  NGX_DECLINED with the field and the reason; NGX_ERROR for memory.
 *         A writer remembers that it failed; ask once at the end.
 * Waits:  never; a pure leaf: no request, no event loop.  Safe in a thread
 *         with a pool of its own.
 *
 * C types behind the field types: text is an ngx_str_t (data NULL: null),
 * every number, boolean, enum and time is an int64_t (VAULT_NULL: null).
 * A form is zeroed first, then every number in it is VAULT_NULL.
 *
 * Property names of input are accepted as given and with a capital first
 * letter, as .NET and old clients send them; unknown ones are ignored.
 */

#ifndef VAULT_JSON_JSON_H
#define VAULT_JSON_JSON_H

#include <ngx_config.h>
#include <ngx_core.h>


#define VAULT_NULL            INT64_MIN
#define VAULT_JSON_MAX_DEPTH  32

typedef struct vault_field_s  vault_field_t;
typedef struct vault_type_s   vault_type_t;

typedef struct {
    const vault_field_t  *fields;     /* ended by VAULT_FIELDS_END */
    size_t                size;       /* of the C struct */
} vault_shape_t;

#define VAULT_SHAPE(fields, type)  { fields, sizeof(type) }

struct vault_field_s {
    const char           *name;       /* camelCase */
    const vault_type_t   *type;
    size_t                offset;     /* in the C struct */
    ngx_uint_t            flags;
    size_t                max;        /* bytes of a text, items of a list;
                                         0: the type's own default */
    const void           *arg;        /* says the type */
};

#define VAULT_FIELDS_END  { NULL, NULL, 0, 0, 0, NULL }  /* by the type */

#define VAULT_REQUIRED    0x01        /* in: neither absent nor null, and a
                                         text not empty */
#define VAULT_OMIT_NULL   0x02        /* out: leave out instead of null */

/*
 * The types.  "arg" in brackets.  An empty text counts as null for UUID,
 * DATE, ENC, EMAIL and BASE64.
 *
 *  VAULT_TEXT      UTF-8 without NUL; max 10,000 bytes unless told
 *  VAULT_UUID      RFC 9562 text, lower-cased
 *  VAULT_DATE      RFC 3339 in; "2026-01-31T12:00:00.123Z" out; int64_t ms
 *  VAULT_EMAIL     trimmed, lower-cased, one @ with text on both sides, no
 *                  spaces, controls or <>(); max 256
 *  VAULT_ENC       Bitwarden EncString, types 0 to 7, each part base64 of the
 *                  right length; max 10,000 bytes unless told
 *  VAULT_BASE64    RFC 4648 §4 with padding; kept as text; max 10,000
 *  VAULT_INT       [const vault_range_t *, or NULL] in quotes as well
 *  VAULT_BOOL      0 or 1
 *  VAULT_ENUM      [const int64_t *: allowed values, ended by VAULT_NULL]
 *                  in quotes as well
 *  VAULT_OBJECT    [const vault_shape_t *] the slot is a pointer to the
 *                  nested struct, NULL for null
 *  VAULT_LIST      [const vault_shape_t *] the slot is an ngx_array_t of
 *                  structs, elts NULL for null; max 1,000 unless told
 *  VAULT_MAP       [const vault_shape_t *] in only: an object used as a list;
 *                  as LIST, but each member's name is read by the first field
 *                  of the shape, and a value that is a text by the second
 *  VAULT_TEXTS     [const vault_field_t *: one text field as pattern] the
 *                  slot is an ngx_array_t of ngx_str_t, none of them null;
 *                  max as for LIST
 *  VAULT_FRAGMENT  [const vault_shape_t *] an object, checked against the
 *                  shape, kept as its normalised JSON text in an ngx_str_t:
 *                  every field of the shape present, in order, or null.
 *                  No struct stands behind the shape: offsets and size are
 *                  unused, OBJECT and LIST inside mean FRAGMENT(S)
 *  VAULT_FRAGMENTS the same for a list of objects: one text "[…]"
 *  VAULT_ARRAY     [const vault_field_t *: one field as pattern, of any type
 *                  that a fragment may hold] a list kept as its normalised
 *                  JSON text: of numbers, or of lists of texts
 *  VAULT_RAW       out only: an ngx_str_t of JSON text, copied
 *  VAULT_CONST     out only: [const char *: JSON text], no slot
 *  VAULT_MEMBERS   out only: an ngx_str_t "{…}" whose members are copied into
 *                  the surrounding object; the name is not written
 */
extern const vault_type_t  vault_type_text, vault_type_uuid, vault_type_date,
                           vault_type_email, vault_type_enc,
                           vault_type_base64, vault_type_int, vault_type_bool,
                           vault_type_enum, vault_type_object,
                           vault_type_list, vault_type_map,
                           vault_type_texts,
                           vault_type_fragment, vault_type_fragments,
                           vault_type_array,
                           vault_type_raw, vault_type_const,
                           vault_type_members;

#define VAULT_TEXT       &vault_type_text
#define VAULT_UUID       &vault_type_uuid
#define VAULT_DATE       &vault_type_date
#define VAULT_EMAIL      &vault_type_email
#define VAULT_ENC        &vault_type_enc
#define VAULT_BASE64     &vault_type_base64
#define VAULT_INT        &vault_type_int
#define VAULT_BOOL       &vault_type_bool
#define VAULT_ENUM       &vault_type_enum
#define VAULT_OBJECT     &vault_type_object
#define VAULT_LIST       &vault_type_list
#define VAULT_MAP        &vault_type_map
#define VAULT_TEXTS      &vault_type_texts
#define VAULT_FRAGMENT   &vault_type_fragment
#define VAULT_FRAGMENTS  &vault_type_fragments
#define VAULT_ARRAY      &vault_type_array
#define VAULT_RAW        &vault_type_raw
#define VAULT_CONST      &vault_type_const
#define VAULT_MEMBERS    &vault_type_members

typedef struct {
    int64_t  min;
    int64_t  max;
} vault_range_t;


/* Reading */

typedef struct {
    ngx_str_t  field;                 /* "ciphers[3].login.password" */
    ngx_str_t  text;                  /* "is not an encrypted string" */
} vault_json_error_t;

/*
 * Parses `text`, one object, by `shape` into `out` (shape->size bytes).
 * NGX_OK; NGX_DECLINED with *err, which lives in the pool and quotes nothing
 * of the text: the first bad field, or the field "body" for syntax, depth,
 * or more objects and lists than a text of this length has; NGX_ERROR: no
 * memory.  `out` is undefined unless NGX_OK.
 */
ngx_int_t vault_json_parse(ngx_pool_t *pool, const ngx_str_t *text,
    const vault_shape_t *shape, void *out, vault_json_error_t *err);

/*
 * Checks one text against a field (its type, flags and max) and stores it at
 * `slot`: for form bodies, headers and query parameters.  Numbers are read
 * from decimal text, spaces around them ignored.
 */
ngx_int_t vault_json_text(ngx_pool_t *pool, const ngx_str_t *text,
    const vault_field_t *field, void *slot, vault_json_error_t *err);

/* Zeroes a form and sets every number of it to VAULT_NULL. */
void vault_json_init(const vault_shape_t *shape, void *out);


/* Writing: into a chain of buffers that nginx sends as it is. */

typedef struct {
    ngx_pool_t    *pool;
    ngx_chain_t   *chain;             /* NULL: nothing was written */
    ngx_chain_t   *last;
    off_t          size;              /* bytes written so far */
    off_t          max;               /* 0: no bound */
    unsigned       comma:1;           /* a value precedes */
    unsigned       failed:1;          /* no memory, or over max */
} vault_writer_t;

void vault_writer_init(vault_writer_t *w, ngx_pool_t *pool);

/*
 * Containers and values.  Commas are set by the writer; `name` NULL inside a
 * list and for the outermost value.  Names are written as they are.
 */
void vault_json_open(vault_writer_t *w, const char *name, u_char bracket);
void vault_json_close(vault_writer_t *w, u_char bracket);
void vault_json_string(vault_writer_t *w, const char *name,
    const ngx_str_t *text);           /* data NULL: null */
void vault_json_cstring(vault_writer_t *w, const char *name,
    const char *text);
void vault_json_integer(vault_writer_t *w, const char *name, int64_t n);
void vault_json_boolean(vault_writer_t *w, const char *name, int64_t n);
void vault_json_null(vault_writer_t *w, const char *name);
void vault_json_raw(vault_writer_t *w, const char *name,
    const ngx_str_t *json);           /* copied; data NULL: null */

/* `row` by `shape`, braces included; NULL gives null. */
void vault_json_object(vault_writer_t *w, const char *name,
    const vault_shape_t *shape, const void *row);

/* The members only, for an object that has more than its shape. */
void vault_json_members(vault_writer_t *w, const vault_shape_t *shape,
    const void *row);

/* [row, row, …] of an array of shape->size structs. */
void vault_json_rows(vault_writer_t *w, const char *name,
    const vault_shape_t *shape, const ngx_array_t *rows);

/* All that was written as one text in the pool: NGX_OK or NGX_ERROR. */
ngx_int_t vault_writer_text(vault_writer_t *w, ngx_str_t *out);


/*
 * Formats that are useful outside a body too; none needs a pool.  NGX_OK or
 * NGX_DECLINED; the text is taken as it is, an e-mail address untrimmed.
 */

#define VAULT_DATE_LEN  (sizeof("2026-01-31T12:00:00.123Z") - 1)

ngx_int_t vault_date_parse(const ngx_str_t *text, int64_t *ms);
u_char *vault_date_format(u_char *out, int64_t ms);  /* the end; no NUL */
ngx_int_t vault_enc_check(const ngx_str_t *text);
ngx_int_t vault_uuid_check(const ngx_str_t *text);
ngx_int_t vault_email_check(const ngx_str_t *text);
ngx_int_t vault_utf8_check(const ngx_str_t *text);   /* and no NUL */


#endif
