/*
 * fragment - a part of a body that is kept as JSON text, checked and written
 * anew by its shape, so that what is stored has one form.
 *
 * Objects and lists inside are copied straight from tree to writer; only
 * plain values pass through a slot, one at a time.  The offsets and the size
 * of such a shape are therefore never used.
 */

#include "type.h"


ngx_int_t
vault_scalar_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    ngx_int_t     rc;
    vault_slot_t  slot;

    rd->borrow = 1;
    rc = vault_field_read(rd, field, value, &slot);
    rd->borrow = 0;

    if (rc == NGX_OK) {
        vault_field_write(w, name, field, &slot);
    }

    return rc;
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


ngx_int_t
vault_list_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
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

        rc = shape_copy(rd, w, NULL, field->arg,
                        json_array_get(value, place.index));
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rd->place = place.up;

    vault_json_close(w, ']');

    return NGX_OK;
}


ngx_int_t
vault_array_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    size_t                n;
    ngx_int_t             rc;
    vault_place_t         place;
    const vault_field_t  *pattern = field->arg;

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

        if (json_is_null(json_array_get(value, place.index))) {
            return vault_reader_fail(rd, "is required");
        }

        rc = pattern->type->copy(rd, w, NULL, pattern,
                                 json_array_get(value, place.index));
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rd->place = place.up;

    vault_json_close(w, ']');

    return NGX_OK;
}


ngx_int_t
vault_texts_copy(vault_reader_t *rd, vault_writer_t *w, const char *name,
    const vault_field_t *field, json_t *value)
{
    ngx_int_t    rc;
    ngx_array_t  texts;

    rd->borrow = 1;
    rc = vault_texts_read(rd, field, value, &texts);
    rd->borrow = 0;

    if (rc == NGX_OK) {
        vault_field_write(w, name, field, &texts);
    }

    return rc;
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
