/*
 * From cells to structs.  Columns are found by name once a result.
 */

#include "port.h"


#define BIND_COLUMNS  64

typedef struct {
    const vault_row_t        *row;
    const vault_db_result_t  *result;
    ngx_uint_t                cells[BIND_COLUMNS];  /* of each column */
    ngx_uint_t                n;
} bind_map_t;

/* The address is the meaning: see adapter.h. */
u_char  vault_db_integer[1];


static void bind_refuse(vault_request_t *vr,
    const vault_db_statement_t *statement, const char *column,
    const char *why) __attribute__((noreturn));


static void
bind_refuse(vault_request_t *vr, const vault_db_statement_t *statement,
    const char *column, const char *why)
{
    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "vault: column \"%s\" %s, in \"%*s\"", column, why,
                  ngx_min(ngx_strlen(statement->sql), 200), statement->sql);

    vault_db_fail(vr, VAULT_DB_BAD);
}


static void
bind_resolve(vault_request_t *vr, bind_map_t *map, const vault_row_t *row,
    const vault_db_statement_t *statement)
{
    size_t                    len;
    ngx_uint_t                i;
    const vault_column_t     *column;
    const vault_db_result_t  *result = &statement->result;

    map->row = row;
    map->result = result;
    map->n = 0;

    for (column = row->columns; column->type != VAULT_COL_END; column++) {

        len = ngx_strlen(column->name);

        for (i = 0; i < result->columns; i++) {
            if (result->names[i].len == len
                && ngx_memcmp(result->names[i].data, column->name, len) == 0)
            {
                break;
            }
        }

        if (i == result->columns || map->n == BIND_COLUMNS) {
            bind_refuse(vr, statement, column->name, "is not in the result");
        }

        map->cells[map->n++] = i;
    }
}


static ngx_int_t
integer_parse(const ngx_str_t *text, int64_t *out)
{
    u_char      *p = text->data;
    u_char      *last = text->data + text->len;
    int64_t      n = 0;
    ngx_uint_t   minus = 0;

    if (p < last && *p == '-') {
        minus = 1;
        p++;
    }

    if (p == last) {
        return NGX_ERROR;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p < '0' || *p > '9'
            || __builtin_mul_overflow(n, 10, &n)
            || __builtin_sub_overflow(n, *p - '0', &n))
        {
            return NGX_ERROR;
        }
    }

    if (!minus && n == INT64_MIN) {
        return NGX_ERROR;
    }

    *out = minus ? n : -n;            /* there is one more below zero */

    return NGX_OK;
}


static ngx_int_t
bind_integer(const vault_db_cell_t *cell, int64_t *out)
{
    if (cell->text.data == NULL) {
        *out = VAULT_NULL;
        return NGX_OK;
    }

    if (cell->text.data == VAULT_DB_INTEGER) {
        *out = (int64_t) cell->text.len;
        return NGX_OK;
    }

    return integer_parse(&cell->text, out);
}


static void
bind_text(vault_request_t *vr, const vault_db_cell_t *cell, ngx_str_t *out)
{
    if (cell->text.data == VAULT_DB_INTEGER) {
        *out = vault_printf(vr, "%L", (int64_t) cell->text.len);
        return;
    }

    *out = cell->text;
}


static void
bind_row(vault_request_t *vr, const bind_map_t *map,
    const vault_db_statement_t *statement, ngx_uint_t n, void *out)
{
    u_char                 *slot;
    ngx_uint_t              i;
    const vault_column_t   *column;
    const vault_db_cell_t  *cells;

    cells = &map->result->cells[n * map->result->columns];

    for (i = 0; i < map->n; i++) {

        column = &map->row->columns[i];
        slot = (u_char *) out + column->offset;

        if (column->type == VAULT_COL_TEXT) {
            bind_text(vr, &cells[map->cells[i]], (ngx_str_t *) slot);
            continue;
        }

        if (bind_integer(&cells[map->cells[i]], (int64_t *) slot) != NGX_OK) {
            bind_refuse(vr, statement, column->name, "is not an integer");
        }
    }
}


void
vault_bind_find(vault_request_t *vr, const vault_row_t *row, void *out,
    ngx_uint_t *found, const vault_db_statement_t *statement)
{
    bind_map_t  map;

    bind_resolve(vr, &map, row, statement);

    *found = statement->result.rows > 0;

    if (*found) {
        bind_row(vr, &map, statement, 0, out);
    }
}


ngx_array_t *
vault_bind_list(vault_request_t *vr, const vault_row_t *row,
    const vault_db_statement_t *statement)
{
    u_char       *out;
    ngx_uint_t    i, n;
    bind_map_t    map;
    ngx_array_t  *rows;

    bind_resolve(vr, &map, row, statement);

    n = statement->result.rows;

    rows = vault_alloc(vr, sizeof(ngx_array_t));
    rows->elts = vault_calloc(vr, ngx_max(n, 1) * row->size);
    rows->nelts = n;
    rows->size = row->size;
    rows->nalloc = ngx_max(n, 1);
    rows->pool = vr->pool;

    for (i = 0, out = rows->elts; i < n; i++, out += row->size) {
        bind_row(vr, &map, statement, i, out);
    }

    return rows;
}
