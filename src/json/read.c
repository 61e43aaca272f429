/*
 * read - a body, by its shape, into a C struct.
 */

#include "type.h"


#define NAME_MAX_LEN   64
#define PLACE_MAX_LEN  256
#define ERROR_MAX_LEN  128

typedef ngx_int_t (*item_read_pt)(vault_reader_t *rd, const void *arg,
    json_t *item, void *slot);


static u_char *
place_format(u_char *p, u_char *last, const vault_place_t *place)
{
    if (place == NULL) {
        return p;
    }

    p = place_format(p, last, place->up);

    if (place->name == NULL) {
        return ngx_slprintf(p, last, "[%uz]", place->index);
    }

    return ngx_slprintf(p, last, "%s%s", place->up ? "." : "", place->name);
}


static ngx_int_t
error_set(ngx_pool_t *pool, ngx_str_t *out, const u_char *p, const u_char *last)
{
    out->len = last - p;
    out->data = ngx_pnalloc(pool, out->len);

    if (out->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(out->data, p, out->len);

    return NGX_OK;
}


ngx_int_t
vault_reader_fail(vault_reader_t *rd, const char *fmt, ...)
{
    u_char   buf[PLACE_MAX_LEN], *last;
    va_list  args;

    last = place_format(buf, buf + PLACE_MAX_LEN, rd->place);

    if (error_set(rd->pool, &rd->err->field, buf, last) != NGX_OK) {
        return NGX_ERROR;
    }

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + ERROR_MAX_LEN, fmt, args);
    va_end(args);

    if (error_set(rd->pool, &rd->err->text, buf, last) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_DECLINED;
}


ngx_int_t
vault_field_null(vault_reader_t *rd, const vault_field_t *field, void *slot)
{
    if (field->flags & VAULT_REQUIRED) {
        return vault_reader_fail(rd, "is required");
    }

    switch (field->type->slot) {

    case VAULT_SLOT_TEXT:
        ngx_str_null((ngx_str_t *) slot);
        break;

    case VAULT_SLOT_NUMBER:
        *(int64_t *) slot = VAULT_NULL;
        break;

    case VAULT_SLOT_POINTER:
        *(void **) slot = NULL;
        break;

    case VAULT_SLOT_ARRAY:
        ngx_memzero(slot, sizeof(ngx_array_t));
        break;

    case VAULT_SLOT_NONE:
        break;
    }

    return NGX_OK;
}


ngx_int_t
vault_field_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot)
{
    if (value == NULL || json_is_null(value)) {
        return vault_field_null(rd, field, slot);
    }

    return field->type->value(rd, field, value, slot);
}


ngx_int_t
vault_field_text(vault_reader_t *rd, const vault_field_t *field,
    const ngx_str_t *text, void *slot)
{
    if (text->len > vault_field_max(field)) {
        return vault_reader_fail(rd, "is longer than %uz bytes",
                                 vault_field_max(field));
    }

    if (text->len == 0
        && (field->type->empty_null || (field->flags & VAULT_REQUIRED)))
    {
        return vault_field_null(rd, field, slot);
    }

    return field->type->text(rd, field, text, slot);
}


json_t *
vault_object_find(json_t *object, const char *name)
{
    char     capital[NAME_MAX_LEN];
    size_t   len;
    json_t  *value;

    value = json_object_get(object, name);
    if (value) {
        return value;
    }

    len = ngx_strlen(name) + 1;
    if (len > NAME_MAX_LEN) {
        return NULL;
    }

    ngx_memcpy(capital, name, len);
    capital[0] = ngx_toupper(capital[0]);

    return json_object_get(object, capital);
}


static ngx_int_t
shape_read(vault_reader_t *rd, const void *arg, json_t *object, void *out)
{
    json_t               *value;
    ngx_int_t             rc;
    vault_place_t         place;
    const vault_field_t  *field;
    const vault_shape_t  *shape;

    shape = arg;

    if (!json_is_object(object)) {
        return vault_reader_fail(rd, "is not an object");
    }

    vault_json_init(shape, out);

    place.up = rd->place;
    place.index = 0;

    for (field = shape->fields; field->type; field++) {

        if (field->type->value == NULL) {
            continue;
        }

        place.name = field->name;
        rd->place = &place;
        value = vault_object_find(object, field->name);

        rc = vault_field_read(rd, field, value,
                              (u_char *) out + field->offset);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rd->place = place.up;

    return NGX_OK;
}


ngx_int_t
vault_object_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot)
{
    void                 *object;
    const vault_shape_t  *shape;

    shape = field->arg;

    object = ngx_palloc(rd->pool, shape->size);
    if (object == NULL) {
        return NGX_ERROR;
    }

    *(void **) slot = object;

    return shape_read(rd, shape, value, object);
}


ngx_int_t
vault_list_check(vault_reader_t *rd, const vault_field_t *field, json_t *value)
{
    if (!json_is_array(value)) {
        return vault_reader_fail(rd, "is not a list");
    }

    if (json_array_size(value) > vault_field_max(field)) {
        return vault_reader_fail(rd, "has more than %uz items",
                                 vault_field_max(field));
    }

    return NGX_OK;
}


static ngx_int_t
items_read(vault_reader_t *rd, const vault_field_t *field, json_t *value,
    ngx_array_t *list, size_t size, item_read_pt read)
{
    size_t          n;
    u_char         *item;
    ngx_int_t       rc;
    vault_place_t   place;

    rc = vault_list_check(rd, field, value);
    if (rc != NGX_OK) {
        return rc;
    }

    n = json_array_size(value);

    /* an empty list has elts too, as elts NULL means null */

    if (ngx_array_init(list, rd->pool, ngx_max(n, 1), size) != NGX_OK) {
        return NGX_ERROR;
    }

    list->nelts = n;
    item = list->elts;

    place.up = rd->place;
    place.name = NULL;
    rd->place = &place;

    for (place.index = 0; place.index < n; place.index++) {

        rc = read(rd, field->arg, json_array_get(value, place.index), item);
        if (rc != NGX_OK) {
            return rc;
        }

        item += size;
    }

    rd->place = place.up;

    return NGX_OK;
}


ngx_int_t
vault_list_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot)
{
    const vault_shape_t  *shape;

    shape = field->arg;

    return items_read(rd, field, value, slot, shape->size, shape_read);
}


static ngx_int_t
map_item_read(vault_reader_t *rd, const vault_shape_t *shape,
    const char *name, json_t *value, u_char *out)
{
    ngx_int_t             rc;
    ngx_str_t             text;
    const vault_field_t  *key = &shape->fields[0], *only = &shape->fields[1];

    if (json_is_string(value)) {
        vault_json_init(shape, out);
        rc = vault_field_read(rd, only, value, out + only->offset);

    } else {
        rc = shape_read(rd, shape, value, out);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    text.data = (u_char *) name;
    text.len = ngx_strlen(name);

    return vault_field_text(rd, key, &text, out + key->offset);
}


/* Places are numbered: an error does not repeat what a client has written. */

ngx_int_t
vault_map_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot)
{
    json_t               *item;
    ngx_int_t             rc;
    const char           *name;
    ngx_array_t          *list = slot;
    vault_place_t         place;
    const vault_shape_t  *shape = field->arg;

    if (!json_is_object(value)) {
        return vault_reader_fail(rd, "is not an object");
    }

    if (json_object_size(value) > vault_field_max(field)) {
        return vault_reader_fail(rd, "has more than %uz items",
                                 vault_field_max(field));
    }

    if (ngx_array_init(list, rd->pool, ngx_max(json_object_size(value), 1),
                       shape->size)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    place.up = rd->place;
    place.name = NULL;
    place.index = 0;
    rd->place = &place;

    json_object_foreach(value, name, item) {
        rc = map_item_read(rd, shape, name, item, ngx_array_push(list));
        if (rc != NGX_OK) {
            return rc;
        }

        place.index++;
    }

    rd->place = place.up;

    return NGX_OK;
}


static ngx_int_t
text_item_read(vault_reader_t *rd, const void *arg, json_t *item, void *slot)
{
    ngx_int_t             rc;
    const vault_field_t  *pattern;

    pattern = arg;

    rc = vault_field_read(rd, pattern, item, slot);

    /* no list has a use for holes */

    if (rc == NGX_OK && vault_slot_is_null(pattern, slot)) {
        return vault_reader_fail(rd, "is required");
    }

    return rc;
}


ngx_int_t
vault_texts_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot)
{
    return items_read(rd, field, value, slot, sizeof(ngx_str_t),
                      text_item_read);
}


void
vault_json_init(const vault_shape_t *shape, void *out)
{
    const vault_field_t  *field;

    ngx_memzero(out, shape->size);

    for (field = shape->fields; field->type; field++) {

        if (field->type->slot == VAULT_SLOT_NUMBER) {
            *(int64_t *) ((u_char *) out + field->offset) = VAULT_NULL;
        }
    }
}


static void
reader_init(vault_reader_t *rd, ngx_pool_t *pool, vault_json_error_t *err,
    const vault_place_t *place)
{
    ngx_memzero(rd, sizeof(vault_reader_t));

    rd->pool = pool;
    rd->err = err;
    rd->place = place;

    vault_writer_init(&rd->scratch, pool);
}


/* Its own text of a syntax error quotes the body, which may hold secrets. */
static ngx_int_t
load(vault_reader_t *rd, const ngx_str_t *text, json_t **root)
{
    json_error_t  error;

    *root = json_loadb((char *) text->data, text->len, 0, &error);
    if (*root) {
        return NGX_OK;
    }

    if (json_error_code(&error) == json_error_out_of_memory) {
        return NGX_ERROR;
    }

    return vault_reader_fail(rd, "is not valid JSON (near byte %d)",
                             error.position);
}


ngx_int_t
vault_json_parse(ngx_pool_t *pool, const ngx_str_t *text,
    const vault_shape_t *shape, void *out, vault_json_error_t *err)
{
    json_t               *root;
    ngx_int_t             rc;
    vault_reader_t        rd;
    const vault_place_t   body = { NULL, "body", 0 };

    reader_init(&rd, pool, err, &body);

    if (text->len == 0) {
        return vault_reader_fail(&rd, "is empty");
    }

    rc = vault_scan_check(&rd, text);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = load(&rd, text, &root);
    if (rc != NGX_OK) {
        return rc;
    }

    /* the fields of the body are named without it */

    if (json_is_object(root)) {
        rd.place = NULL;
    }

    rc = shape_read(&rd, shape, root, out);

    json_decref(root);

    return rc;
}


ngx_int_t
vault_json_text(ngx_pool_t *pool, const ngx_str_t *text,
    const vault_field_t *field, void *slot, vault_json_error_t *err)
{
    vault_place_t   place;
    vault_reader_t  rd;

    place.up = NULL;
    place.name = field->name ? field->name : "value";
    place.index = 0;

    reader_init(&rd, pool, err, &place);

    if (text->data == NULL) {
        return vault_field_null(&rd, field, slot);
    }

    if (field->type->text == NULL) {
        return vault_reader_fail(&rd, "cannot be given as a text");
    }

    if (vault_utf8_check(text) != NGX_OK) {
        return vault_reader_fail(&rd, "is not UTF-8 text");
    }

    return vault_field_text(&rd, field, text, slot);
}
