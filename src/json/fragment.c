/*
 * fragment - a part of a body that is kept as JSON text, checked and written
 * anew by its shape, so that what is stored has one form.
 *
 * Objects and lists inside are copied straight from tree to writer; only
 * plain values pass through a slot, one at a time.  The offsets and the size
 * of such a shape are therefore never used.
 */

#include "type.h"


typedef ngx_int_t (*item_copy_pt)(vault_reader_t *rd, vault_writer_t *w,
    const void *arg, json_t *item);


ngx_int_t
vault_scalar_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    ngx_int_t     rc;
    vault_slot_t  slot;

    rd->borrow = 1;
    rc = vault_field_read(rd, field, value, &slot);
    rd->borrow = 0;

    if (rc != NGX_OK) {
        return rc;
    }

    /* only an item of a list has no name, and no list has a use for holes */

    if (name == NULL && vault_slot_is_null(field, &slot)) {
        return vault_reader_fail(rd, "is required");
    }

    vault_field_write(w, name, field, &slot);

    return NGX_OK;
}


static ngx_int_t
member_copy(vault_reader_t *rd, vault_writer_t *w, const vault_field_t *field,
    json_t *value)
{
    ngx_int_t     rc;
    vault_slot_t  slot;

    if (value && !json_is_null(value)) {
        return field->type->copy(rd, w, field->name, field, value);
    }

    rc = vault_field_null(rd, field, &slot);

    if (rc == NGX_OK) {
        vault_field_write(w, field->name, field, &slot);
    }

    return rc;
}


static ngx_int_t
shape_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_shape_t *shape, json_t *object)
{
    ngx_int_t             rc;
    vault_place_t         place;
    const vault_field_t  *field;

    if (!json_is_object(object)) {
        return vault_reader_fail(rd, "is not an object");
    }

    vault_json_open(w, name, '{');

    place.up = rd->place;
    place.index = 0;

    for (field = shape->fields; field->type; field++) {

        if (field->type->copy == NULL) {
            continue;
        }

        place.name = field->name;
        rd->place = &place;

        rc = member_copy(rd, w, field,
                         vault_object_find(object, field->name));
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rd->place = place.up;

    vault_json_close(w, '}');

    return NGX_OK;
}


ngx_int_t
vault_object_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    return shape_copy(rd, w, name, field->arg, value);
}


static ngx_int_t
items_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value, item_copy_pt copy)
{
    size_t         n;
    ngx_int_t      rc;
    vault_place_t  place;

    rc = vault_list_check(rd, field, value);
    if (rc != NGX_OK) {
        return rc;
    }

    vault_json_open(w, name, '[');

    place.up = rd->place;
    place.name = NULL;
    rd->place = &place;
    n = json_array_size(value);

    for (place.index = 0; place.index < n; place.index++) {

        rc = copy(rd, w, field->arg, json_array_get(value, place.index));
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rd->place = place.up;

    vault_json_close(w, ']');

    return NGX_OK;
}


static ngx_int_t
object_item_copy(vault_reader_t *rd, vault_writer_t *w, const void *shape,
    json_t *item)
{
    return shape_copy(rd, w, NULL, shape, item);
}


ngx_int_t
vault_list_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    return items_copy(rd, w, name, field, value, object_item_copy);
}


static ngx_int_t
pattern_item_copy(vault_reader_t *rd, vault_writer_t *w, const void *arg,
    json_t *item)
{
    const vault_field_t  *pattern;

    pattern = arg;

    return pattern->type->copy(rd, w, NULL, pattern, item);
}


ngx_int_t
vault_array_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    return items_copy(rd, w, name, field, value, pattern_item_copy);
}


ngx_int_t
vault_fragment_read(vault_reader_t *rd, const vault_field_t *field,
    json_t *value, void *slot)
{
    ngx_int_t  rc;

    vault_writer_rewind(&rd->scratch);

    rc = field->type->copy(rd, &rd->scratch, NULL, field, value);
    if (rc != NGX_OK) {
        return rc;
    }

    return vault_writer_text(&rd->scratch, slot);
}
