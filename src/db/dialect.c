#include "dialect.h"


typedef struct {
    const vault_dialect_t  *dialect;
    u_char                 *p;
    u_char                 *last;     /* of the text; NUL comes behind */
} dialect_out_t;


static u_char *
text_put(u_char *p, u_char *last, const char *text)
{
    while (*text && p < last) {
        *p++ = (u_char) *text++;
    }

    return p;
}


static ngx_uint_t
starts_with(const ngx_str_t *text, const char *word)
{
    size_t  len = ngx_strlen(word);

    return text->len >= len && ngx_memcmp(text->data, word, len) == 0;
}


static ngx_uint_t
is_word(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'
           || c == '$';
}


/* The next word of `text`, which moves behind it; len 0 if there is none. */
static ngx_str_t
next_word(ngx_str_t *text)
{
    ngx_str_t  word;

    while (text->len && *text->data == ' ') {
        text->data++;
        text->len--;
    }

    word.data = text->data;
    word.len = 0;

    while (text->len && is_word(*text->data)) {
        text->data++;
        text->len--;
        word.len++;
    }

    return word;
}


static ngx_uint_t
take(ngx_str_t *text, u_char c)
{
    while (text->len && *text->data == ' ') {
        text->data++;
        text->len--;
    }

    if (text->len == 0 || *text->data != c) {
        return 0;
    }

    text->data++;
    text->len--;

    return 1;
}


/* "$1 (id text, n bigint)" */
static ngx_int_t
expand_rows(dialect_out_t *out, ngx_str_t text)
{
    ngx_str_t               parameter;
    ngx_uint_t              n = 0;
    vault_dialect_column_t  columns[VAULT_DIALECT_COLUMNS];

    parameter = next_word(&text);

    if (parameter.len < 2 || !take(&text, '(')) {
        return NGX_ERROR;
    }

    do {
        if (n == VAULT_DIALECT_COLUMNS) {
            return NGX_ERROR;
        }

        columns[n].name = next_word(&text);
        columns[n].type = next_word(&text);

        if (columns[n].name.len == 0 || columns[n].type.len == 0) {
            return NGX_ERROR;
        }

        n++;

    } while (take(&text, ','));

    if (!take(&text, ')')) {
        return NGX_ERROR;
    }

    out->p = out->dialect->rows(out->p, out->last, &parameter, columns, n);

    return NGX_OK;
}


/* `token` is what stands between the braces. */
static ngx_int_t
expand_token(dialect_out_t *out, ngx_str_t token)
{
    ngx_str_t  parameter;

    if (starts_with(&token, "rows ")) {
        token.data += sizeof("rows ") - 1;
        token.len -= sizeof("rows ") - 1;

        return expand_rows(out, token);
    }

    if (starts_with(&token, "list ")) {
        token.data += sizeof("list ") - 1;
        token.len -= sizeof("list ") - 1;

        parameter = next_word(&token);

        if (parameter.len < 2) {
            return NGX_ERROR;
        }

        out->p = out->dialect->list(out->p, out->last, &parameter);
        return NGX_OK;
    }

    if (starts_with(&token, "join ")) {
        token.data += sizeof("join ") - 1;
        token.len -= sizeof("join ") - 1;

        out->p = out->dialect->join(out->p, out->last, &token);
        return NGX_OK;
    }

    if (starts_with(&token, "for update")) {
        out->p = text_put(out->p, out->last, out->dialect->for_update);
        return NGX_OK;
    }

    if (starts_with(&token, "async")) {
        out->p = text_put(out->p, out->last, out->dialect->async);
        return NGX_OK;
    }

    return NGX_ERROR;
}


size_t
vault_dialect_expand(const vault_dialect_t *dialect, const char *sql,
    u_char *out, size_t size)
{
    ngx_str_t      token;
    const char    *end;
    dialect_out_t  to;

    to.dialect = dialect;
    to.p = out;
    to.last = out + size - 1;

    while (*sql && to.p < to.last) {

        if (sql[0] != '{' || sql[1] != '{') {
            *to.p++ = (u_char) *sql++;
            continue;
        }

        end = strstr(sql, "}}");
        if (end == NULL) {
            return 0;
        }

        token.data = (u_char *) sql + 2;
        token.len = end - sql - 2;

        if (expand_token(&to, token) != NGX_OK) {
            return 0;
        }

        sql = end + 2;
    }

    if (to.p == to.last) {
        return 0;                     /* perhaps cut short */
    }

    *to.p = '\0';

    return to.p - out;
}
