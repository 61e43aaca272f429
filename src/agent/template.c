/*
 * Templates: what is between "{{" and "}}" is a place, all else is itself.
 */

#include "../crypto/crypto.h"
#include "../json/value.h"
#include "template.h"


#define PLACES  1000                  /* in a template */

typedef struct {
    ngx_str_t   path;                 /* empty: the secret itself */
    ngx_str_t   key;
    ngx_str_t   filter;               /* empty: none */
} place_t;

typedef struct {
    ngx_pool_t           *pool;
    vault_agent_find_pt   find;
    void                 *data;
    const char          **why;
    ngx_array_t           parts;      /* of ngx_str_t */
} render_t;


static ngx_str_t
trimmed(u_char *from, u_char *to)
{
    ngx_str_t  text;

    while (from < to && *from <= ' ') {
        from++;
    }

    while (to > from && to[-1] <= ' ') {
        to--;
    }

    text.data = from;
    text.len = to - from;

    return text;
}


/* "path#key | filter" */
static ngx_int_t
read_place(u_char *from, u_char *to, place_t *place)
{
    u_char  *bar, *hash;

    ngx_memzero(place, sizeof(place_t));

    bar = ngx_strlchr(from, to, '|');

    if (bar) {
        place->filter = trimmed(bar + 1, to);
        to = bar;
    }

    hash = ngx_strlchr(from, to, '#');

    if (hash) {
        place->path = trimmed(from, hash);
        from = hash + 1;
    }

    place->key = trimmed(from, to);

    return place->key.len && (bar == NULL || place->filter.len)
           && (hash == NULL || place->path.len) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
apply(render_t *r, const ngx_str_t *filter, ngx_str_t *text)
{
    ngx_str_t  in = *text;

    if (filter->len == 0) {
        return NGX_OK;
    }

    if (filter->len == 4 && ngx_memcmp(filter->data, "json", 4) == 0) {
        return vault_value_quote(r->pool, &in, text);
    }

    if (filter->len == 5 && ngx_memcmp(filter->data, "shell", 5) == 0) {
        return vault_agent_shell(r->pool, &in, text);
    }

    if (filter->len == 6 && ngx_memcmp(filter->data, "base64", 6) == 0) {
        return vault_base64(r->pool, &in, text);
    }

    *r->why = "the template has a filter that is none of json, shell, base64";

    return NGX_DECLINED;
}


static ngx_int_t
fill(render_t *r, u_char *from, u_char *to, ngx_str_t *out)
{
    place_t                        place;
    ngx_int_t                      rc;
    const vault_agent_envelope_t  *envelope;

    if (read_place(from, to, &place) != NGX_OK) {
        *r->why = "the template has a \"{{ }}\" that names nothing: write "
                  "{{ key }}, {{ path#key }} or {{ key | json }}";
        return NGX_DECLINED;
    }

    envelope = r->find(r->data, &place.path);
    if (envelope == NULL) {
        return NGX_ERROR;
    }

    rc = vault_agent_value(r->pool, envelope, &place.key, out, r->why);

    return rc == NGX_OK ? apply(r, &place.filter, out) : rc;
}


static u_char *
find_two(u_char *p, u_char *end, u_char c)
{
    for ( /* void */ ; end - p >= 2; p++) {
        if (p[0] == c && p[1] == c) {
            return p;
        }
    }

    return NULL;
}


static ngx_int_t
split(render_t *r, const ngx_str_t *text)
{
    u_char     *p = text->data, *end = text->data + text->len, *open, *close;
    ngx_int_t   rc;
    ngx_str_t  *part;

    while (p < end) {

        part = ngx_array_push(&r->parts);
        if (part == NULL) {
            return NGX_ERROR;
        }

        open = find_two(p, end, '{');
        part->data = p;
        part->len = (open ? open : end) - p;

        if (open == NULL) {
            break;
        }

        close = find_two(open + 2, end, '}');

        if (close == NULL || r->parts.nelts > 2 * PLACES) {
            *r->why = "the template has a \"{{\" without its \"}}\", or too "
                      "many of them";
            return NGX_DECLINED;
        }

        part = ngx_array_push(&r->parts);
        rc = part ? fill(r, open + 2, close, part) : NGX_ERROR;

        if (rc != NGX_OK) {
            return rc;
        }

        p = close + 2;
    }

    return NGX_OK;
}


static ngx_int_t
join(render_t *r, ngx_str_t *out)
{
    u_char      *p;
    size_t       len = 0;
    ngx_str_t   *part = r->parts.elts;
    ngx_uint_t   i;

    for (i = 0; i < r->parts.nelts; i++) {
        len += part[i].len;
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    out->len = len;

    for (i = 0; i < r->parts.nelts; i++) {
        p = ngx_cpymem(p, part[i].data, part[i].len);
    }

    return NGX_OK;
}


ngx_int_t
vault_agent_template(ngx_pool_t *pool, const ngx_str_t *text,
    vault_agent_find_pt find, void *data, ngx_str_t *out, const char **why)
{
    ngx_int_t  rc;
    render_t   r;

    r.pool = pool;
    r.find = find;
    r.data = data;
    r.why = why;

    if (ngx_array_init(&r.parts, pool, 16, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = split(&r, text);

    return rc == NGX_OK ? join(&r, out) : rc;
}
