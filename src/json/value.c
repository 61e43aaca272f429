/*
 * Reading: a checker that knows the grammar, and a walk that trusts it.
 */

#include "value.h"
#include "json.h"


typedef struct {
    const u_char  *p;
    const u_char  *end;
} cursor_t;

static ngx_int_t check_value(cursor_t *c, ngx_uint_t depth);


static void
skip_space(cursor_t *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r'
                             || *c->p == '\t'))
    {
        c->p++;
    }
}


/* The next character that counts, or 0. */
static u_char
next(cursor_t *c)
{
    skip_space(c);

    return c->p < c->end ? *c->p : 0;
}


static ngx_int_t
hex4(const u_char *p, const u_char *end)
{
    return end - p >= 4 ? ngx_hextoi((u_char *) p, 4) : NGX_ERROR;
}


/* \uD83D\uDE00 is one character: its bytes, or 0 if it is none. */
static size_t
surrogates(const u_char *p, const u_char *end, uint32_t *code)
{
    ngx_int_t  high, low;

    high = hex4(p, end);

    if (high <= 0) {
        return 0;                     /* NUL is no text of ours */
    }

    if (high < 0xd800 || high > 0xdfff) {
        *code = high;
        return 4;
    }

    if (high > 0xdbff || end - p < 10 || p[4] != '\\' || p[5] != 'u') {
        return 0;
    }

    low = hex4(p + 6, end);

    if (low < 0xdc00 || low > 0xdfff) {
        return 0;
    }

    *code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);

    return 10;
}


static ngx_int_t
check_string(cursor_t *c)
{
    size_t         n;
    uint32_t       code;
    ngx_str_t      text;
    const u_char  *start = ++c->p;

    for ( /* void */ ; c->p < c->end; c->p++) {

        if (*c->p == '"') {
            text.data = (u_char *) start;
            text.len = c->p++ - start;
            return vault_utf8_check(&text);
        }

        if (*c->p < ' ') {
            return NGX_DECLINED;
        }

        if (*c->p != '\\') {
            continue;
        }

        if (++c->p == c->end) {
            return NGX_DECLINED;
        }

        if (*c->p != 'u') {
            if (strchr("\"\\/bfnrt", *c->p) == NULL || *c->p == '\0') {
                return NGX_DECLINED;
            }

            continue;
        }

        n = surrogates(c->p + 1, c->end, &code);
        if (n == 0) {
            return NGX_DECLINED;
        }

        c->p += n;
    }

    return NGX_DECLINED;
}


static size_t
digits(cursor_t *c)
{
    const u_char  *start = c->p;

    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        c->p++;
    }

    return c->p - start;
}


static ngx_int_t
check_number(cursor_t *c)
{
    if (*c->p == '-') {
        c->p++;
    }

    if (c->p < c->end && *c->p == '0') {
        c->p++;

    } else if (digits(c) == 0) {
        return NGX_DECLINED;
    }

    if (c->p < c->end && *c->p == '.') {
        c->p++;

        if (digits(c) == 0) {
            return NGX_DECLINED;
        }
    }

    if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
        c->p++;

        if (c->p < c->end && (*c->p == '+' || *c->p == '-')) {
            c->p++;
        }

        return digits(c) ? NGX_OK : NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
check_word(cursor_t *c, const char *word)
{
    size_t  len = ngx_strlen(word);

    if ((size_t) (c->end - c->p) < len || ngx_memcmp(c->p, word, len) != 0) {
        return NGX_DECLINED;
    }

    c->p += len;

    return NGX_OK;
}


/* What is between the brackets of an object or a list. */
static ngx_int_t
check_items(cursor_t *c, ngx_uint_t depth, u_char close)
{
    c->p++;

    if (depth == VAULT_JSON_MAX_DEPTH) {
        return NGX_DECLINED;
    }

    if (next(c) == close) {
        c->p++;
        return NGX_OK;
    }

    for ( ;; ) {

        if (close == '}') {
            if (next(c) != '"' || check_string(c) != NGX_OK
                || next(c) != ':')
            {
                return NGX_DECLINED;
            }

            c->p++;
        }

        if (check_value(c, depth + 1) != NGX_OK) {
            return NGX_DECLINED;
        }

        switch (next(c)) {

        case ',':
            c->p++;
            continue;

        default:
            return c->p < c->end && *c->p++ == close ? NGX_OK : NGX_DECLINED;
        }
    }
}


static ngx_int_t
check_value(cursor_t *c, ngx_uint_t depth)
{
    switch (next(c)) {

    case '{':
        return check_items(c, depth, '}');

    case '[':
        return check_items(c, depth, ']');

    case '"':
        return check_string(c);

    case 't':
        return check_word(c, "true");

    case 'f':
        return check_word(c, "false");

    case 'n':
        return check_word(c, "null");

    default:
        return c->p < c->end ? check_number(c) : NGX_DECLINED;
    }
}


ngx_int_t
vault_value_check(ngx_str_t *json)
{
    cursor_t       c = { json->data, json->data + json->len };
    const u_char  *start, *last;

    if (next(&c) == 0) {
        return NGX_DECLINED;
    }

    start = c.p;

    if (check_value(&c, 0) != NGX_OK) {
        return NGX_DECLINED;
    }

    last = c.p;

    if (next(&c) != 0 || c.p != c.end) {
        return NGX_DECLINED;
    }

    json->data = (u_char *) start;
    json->len = last - start;

    return NGX_OK;
}


/* Walking: the text is known to be good */

static ngx_str_t
take(cursor_t *c)
{
    ngx_str_t  value;

    (void) next(c);
    value.data = (u_char *) c->p;
    (void) check_value(c, 0);
    value.len = c->p - value.data;

    return value;
}


static u_char *
unescape(u_char *dst, cursor_t *c)
{
    size_t             n;
    uint32_t           code;
    const char        *known;
    static const char  from[] = "bfnrt", to[] = "\b\f\n\r\t";

    if (*c->p != 'u') {
        known = strchr(from, *c->p);
        *dst++ = known ? (u_char) to[known - from] : *c->p;
        c->p++;
        return dst;
    }

    n = surrogates(c->p + 1, c->end, &code);
    c->p += 1 + n;

    if (code < 0x80) {
        *dst++ = (u_char) code;

    } else if (code < 0x800) {
        *dst++ = (u_char) (0xc0 | (code >> 6));
        *dst++ = (u_char) (0x80 | (code & 0x3f));

    } else if (code < 0x10000) {
        *dst++ = (u_char) (0xe0 | (code >> 12));
        *dst++ = (u_char) (0x80 | ((code >> 6) & 0x3f));
        *dst++ = (u_char) (0x80 | (code & 0x3f));

    } else {
        *dst++ = (u_char) (0xf0 | (code >> 18));
        *dst++ = (u_char) (0x80 | ((code >> 12) & 0x3f));
        *dst++ = (u_char) (0x80 | ((code >> 6) & 0x3f));
        *dst++ = (u_char) (0x80 | (code & 0x3f));
    }

    return dst;
}


ngx_int_t
vault_value_text(ngx_pool_t *pool, const ngx_str_t *value, ngx_str_t *text)
{
    u_char    *dst;
    cursor_t   c;

    if (!vault_value_is(value, '"')) {
        *text = *value;
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, value->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    text->data = dst;
    c.p = value->data + 1;
    c.end = value->data + value->len - 1;

    while (c.p < c.end) {
        if (*c.p == '\\') {
            c.p++;
            dst = unescape(dst, &c);
            continue;
        }

        *dst++ = *c.p++;
    }

    text->len = dst - text->data;

    return NGX_OK;
}


ngx_int_t
vault_value_item(ngx_str_t *rest, ngx_str_t *item)
{
    cursor_t  c = { rest->data, rest->data + rest->len };

    if (next(&c) == ',') {
        c.p++;
    }

    if (next(&c) == 0) {
        return NGX_DECLINED;
    }

    *item = take(&c);
    rest->data = (u_char *) c.p;
    rest->len = c.end - c.p;

    return NGX_OK;
}


/* Equal names stay in their order. */
static int ngx_libc_cdecl
by_name(const void *one, const void *two)
{
    int                  rc;
    const ngx_keyval_t  *a = one, *b = two;

    rc = ngx_memcmp(a->key.data, b->key.data,
                    ngx_min(a->key.len, b->key.len));

    if (rc == 0 && a->key.len != b->key.len) {
        rc = a->key.len < b->key.len ? -1 : 1;
    }

    return rc ? rc : a->value.data < b->value.data ? -1 : 1;
}


static ngx_int_t
add_member(ngx_pool_t *pool, ngx_array_t *list, cursor_t *c)
{
    ngx_str_t      name;
    ngx_keyval_t  *pair;

    pair = ngx_array_push(list);
    if (pair == NULL) {
        return NGX_ERROR;
    }

    name = take(c);
    (void) next(c);
    c->p++;                           /* ':' */
    pair->value = take(c);

    return vault_value_text(pool, &name, &pair->key);
}


ngx_int_t
vault_value_members(ngx_pool_t *pool, const ngx_str_t *object,
    ngx_array_t **members)
{
    cursor_t      c = { object->data, object->data + object->len };
    ngx_array_t  *list;

    if (next(&c) != '{') {
        return NGX_DECLINED;
    }

    list = ngx_array_create(pool, 8, sizeof(ngx_keyval_t));
    if (list == NULL) {
        return NGX_ERROR;
    }

    c.p++;

    while (next(&c) != '}') {

        if (*c.p == ',') {
            c.p++;
            continue;
        }

        if (add_member(pool, list, &c) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    qsort(list->elts, list->nelts, sizeof(ngx_keyval_t), by_name);
    *members = list;

    return NGX_OK;
}


ngx_int_t
vault_value_find(ngx_pool_t *pool, const ngx_str_t *object,
    const ngx_str_t *name, ngx_str_t *value)
{
    ngx_int_t      rc;
    ngx_uint_t     i;
    ngx_array_t   *members;
    ngx_keyval_t  *pair;

    rc = vault_value_members(pool, object, &members);
    if (rc != NGX_OK) {
        return rc;
    }

    pair = members->elts;

    for (i = members->nelts; i > 0; i--) {
        if (pair[i - 1].key.len == name->len
            && ngx_memcmp(pair[i - 1].key.data, name->data, name->len) == 0)
        {
            *value = pair[i - 1].value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
