/*
 * view - a C struct, by its shape, into a writer.
 */

#include "type.h"


ngx_uint_t
vault_slot_is_null(const vault_field_t *field, const void *slot)
{
    switch (field->type->slot) {

    case VAULT_SLOT_TEXT:
        return ((const ngx_str_t *) slot)->data == NULL;

    case VAULT_SLOT_NUMBER:
        return *(const int64_t *) slot == VAULT_NULL;

    case VAULT_SLOT_POINTER:
        return *(void *const *) slot == NULL;

    case VAULT_SLOT_ARRAY:
        return ((const ngx_array_t *) slot)->elts == NULL;

    case VAULT_SLOT_NONE:
        break;
    }

    return 0;
}


void
vault_field_write(vault_writer_t *w, const char *name,
    const vault_field_t *field, const void *slot)
{
    if (!vault_slot_is_null(field, slot)) {
        field->type->write(w, name, field, slot);

    } else if (!(field->flags & VAULT_OMIT_NULL)) {
        vault_json_null(w, name);
    }
}


void
vault_json_members(vault_writer_t *w, const vault_shape_t *shape,
    const void *row)
{
    const vault_field_t  *field;

    for (field = shape->fields; field->type; field++) {
        vault_field_write(w, field->name, field,
                          (const u_char *) row + field->offset);
    }
}


void
vault_json_object(vault_writer_t *w, const char *name,
    const vault_shape_t *shape, const void *row)
{
    if (row == NULL) {
        vault_json_null(w, name);
        return;
    }

    vault_json_open(w, name, '{');
    vault_json_members(w, shape, row);
    vault_json_close(w, '}');
}


void
vault_json_rows(vault_writer_t *w, const char *name,
    const vault_shape_t *shape, const ngx_array_t *rows)
{
    u_char      *row;
    ngx_uint_t   i;

    vault_json_open(w, name, '[');

    row = rows->elts;

    for (i = 0; i < rows->nelts; i++) {
        vault_json_object(w, NULL, shape, row);
        row += shape->size;
    }

    vault_json_close(w, ']');
}


void
vault_texts_write(vault_writer_t *w, const char *name,
    const vault_field_t *field, const void *slot)
{
    ngx_str_t            *text;
    ngx_uint_t            i;
    const ngx_array_t    *list;
    const vault_field_t  *pattern;

    list = slot;
    text = list->elts;
    pattern = field->arg;

    vault_json_open(w, name, '[');

    for (i = 0; i < list->nelts; i++) {
        vault_field_write(w, NULL, pattern, &text[i]);
    }

    vault_json_close(w, ']');
}
