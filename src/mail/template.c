/*
 * template - texts with variables become the two parts of a message.
 */

#include "template_own.h"


typedef struct {
    ngx_pool_t  *pool;
    u_char      *data;
    size_t       len;
    size_t       size;
    unsigned     failed:1;
} out_t;

typedef struct {
    const ngx_keyval_t  *vars;
    ngx_uint_t           nvars;
    const ngx_str_t     *subject;     /* for a layout; or NULL */
    const ngx_str_t     *body;
} scope_t;

typedef enum { AS_TEXT = 0, AS_HTML } form_e;


/* Writing */

static void
put(out_t *out, const void *data, size_t len)
{
    u_char  *p;
    size_t   size;

    if (out->failed || len == 0) {
        return;
    }

    if (len > out->size - out->len) {
        size = ngx_max(2 * out->size, out->len + len + 1024);

        p = ngx_pnalloc(out->pool, size);
        if (p == NULL) {
            out->failed = 1;
            return;
        }

        if (out->len) {
            ngx_memcpy(p, out->data, out->len);
        }

        out->data = p;
        out->size = size;
    }

    ngx_memcpy(out->data + out->len, data, len);
    out->len += len;
}


static void
put_cstring(out_t *out, const char *text)
{
    put(out, text, ngx_strlen(text));
}


static void
put_char(out_t *out, u_char c, form_e form)
{
    if (form == AS_TEXT) {
        put(out, &c, 1);
        return;
    }

    switch (c) {

    case '<':
        put_cstring(out, "&lt;");
        break;

    case '>':
        put_cstring(out, "&gt;");
        break;

    case '&':
        put_cstring(out, "&amp;");
        break;

    case '"':
        put_cstring(out, "&quot;");
        break;

    case '\'':
        put_cstring(out, "&#39;");
        break;

    default:
        put(out, &c, 1);
    }
}


static void
put_value(out_t *out, const ngx_str_t *value, form_e form)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];
        put_char(out, c < ' ' || c == 0x7f ? ' ' : c, form);
    }
}


/* Variables */

ngx_uint_t
vault_template_name(const u_char *p, const u_char *end,
    ngx_str_t *name)
{
    const u_char  *q;

    if (end - p < 5 || p[0] != '{' || p[1] != '{') {
        return 0;
    }

    for (q = p + 2; q < end && ((*q >= 'a' && *q <= 'z') || *q == '_'); q++) {
        /* void */
    }

    if (end - q < 2 || q[0] != '}' || q[1] != '}' || q == p + 2) {
        return 0;
    }

    name->data = (u_char *) p + 2;
    name->len = q - p - 2;

    return 1;
}


static ngx_uint_t
is(const ngx_str_t *name, const char *text)
{
    return name->len == ngx_strlen(text)
           && ngx_memcmp(name->data, text, name->len) == 0;
}


static void
put_variable(out_t *out, const scope_t *scope, const ngx_str_t *name,
    form_e form)
{
    ngx_uint_t  i;

    if (scope->body && is(name, "body")) {
        put(out, scope->body->data, scope->body->len);
        return;
    }

    if (scope->subject && is(name, "subject")) {
        put_value(out, scope->subject, form);
        return;
    }

    for (i = 0; i < scope->nvars; i++) {
        if (scope->vars[i].key.len == name->len
            && ngx_memcmp(scope->vars[i].key.data, name->data, name->len)
               == 0)
        {
            put_value(out, &scope->vars[i].value, form);
            return;
        }
    }
}


/* `markup`: is the text itself HTML? */
static void
put_template(out_t *out, const scope_t *scope, const u_char *p,
    const u_char *end, form_e form, ngx_uint_t markup)
{
    ngx_str_t  name;

    while (p < end) {

        if (vault_template_name(p, end, &name)) {
            put_variable(out, scope, &name, form);
            p = name.data + name.len + 2;

        } else if (*p == '\n' && form == AS_HTML && !markup) {
            put_cstring(out, "<br>\n");
            p++;

        } else {
            put_char(out, *p++, markup ? AS_TEXT : form);
        }
    }
}


/* Paragraphs */

static ngx_uint_t
begins(const u_char *p, const u_char *end, const char *text)
{
    size_t  len = ngx_strlen(text);

    return (size_t) (end - p) >= len && ngx_memcmp(p, text, len) == 0;
}


/* "-> Label: URL" without its arrow */
static void
put_button(out_t *out, const scope_t *scope, const u_char *p,
    const u_char *end, form_e form)
{
    const u_char  *url;

    for (url = p; url < end && !begins(url, end, ": "); url++) { /* void */ }

    if (form == AS_TEXT) {
        put_template(out, scope, p, url, form, 0);
        put_cstring(out, ":\n");
        put_template(out, scope, ngx_min(url + 2, end), end, form, 0);
        return;
    }

    put_cstring(out, "<p><a class=\"button\" href=\"");
    put_template(out, scope, ngx_min(url + 2, end), end, form, 0);
    put_cstring(out, "\">");
    put_template(out, scope, p, url, form, 0);
    put_cstring(out, "</a></p>\n<p class=\"link\">");
    put_template(out, scope, ngx_min(url + 2, end), end, form, 0);
    put_cstring(out, "</p>\n");
}


static void
put_paragraph(out_t *out, const scope_t *scope, const u_char *p,
    const u_char *end, form_e form)
{
    ngx_uint_t  code = begins(p, end, "= ");

    if (begins(p, end, "-> ")) {
        put_button(out, scope, p + 3, end, form);

    } else if (form == AS_TEXT) {
        put_cstring(out, code ? "    " : "");
        put_template(out, scope, p + (code ? 2 : 0), end, form, 0);

    } else {
        put_cstring(out, code ? "<p class=\"code\">" : "<p>");
        put_template(out, scope, p + (code ? 2 : 0), end, form, 0);
        put_cstring(out, "</p>\n");
    }
}


static void
put_paragraphs(out_t *out, const scope_t *scope, const u_char *p,
    const u_char *end, form_e form)
{
    const u_char  *q;

    while (p < end) {

        if (*p == '\n') {
            p++;
            continue;
        }

        for (q = p; q < end && !begins(q, end, "\n\n"); q++) { /* void */ }

        if (form == AS_TEXT && out->len) {
            put_cstring(out, "\n\n");
        }

        put_paragraph(out, scope, p,
                      q == end && q[-1] == '\n' ? q - 1 : q, form);
        p = q;
    }

    if (form == AS_TEXT) {
        put_cstring(out, "\n");
    }
}


/* Messages */

static ngx_int_t
take(out_t *out, ngx_str_t *text)
{
    if (out->failed) {
        return NGX_ERROR;
    }

    text->data = out->data ? out->data : (u_char *) "";
    text->len = out->len;

    out->data = NULL;
    out->len = 0;
    out->size = 0;

    return NGX_OK;
}


static ngx_int_t
render_html(out_t *out, scope_t *scope, const ngx_str_t *html,
    const ngx_str_t *layout, const u_char *p, const u_char *end,
    ngx_str_t *text)
{
    ngx_str_t  body;

    if (html->len == 0) {
        put_paragraphs(out, scope, p, end, AS_HTML);

        if (take(out, &body) != NGX_OK) {
            return NGX_ERROR;
        }

        scope->body = &body;
        html = layout;
    }

    put_template(out, scope, html->data, html->data + html->len, AS_HTML, 1);

    return take(out, text);
}


ngx_int_t
vault_template_render(ngx_pool_t *pool, const vault_templates_t *templates,
    const ngx_str_t *name, const ngx_keyval_t *vars, ngx_uint_t nvars,
    vault_template_parts_t *parts)
{
    u_char                      *end, *line;
    out_t                        out = { pool, NULL, 0, 0, 0 };
    scope_t                      scope = { vars, nvars, NULL, NULL };
    const vault_template_t      *template;
    const vault_template_own_t  *own;

    template = vault_template_find(name);
    if (template == NULL) {
        return NGX_DECLINED;
    }

    own = &templates->own[template - vault_template_texts];
    end = own->text.data + own->text.len;
    line = ngx_strlchr(own->text.data, end, '\n');

    put_template(&out, &scope, own->text.data, line, AS_TEXT, 0);

    if (take(&out, &parts->subject) != NGX_OK) {
        return NGX_ERROR;
    }

    put_paragraphs(&out, &scope, line, end, AS_TEXT);

    if (take(&out, &parts->text) != NGX_OK) {
        return NGX_ERROR;
    }

    scope.subject = &parts->subject;

    return render_html(&out, &scope, &own->html, &templates->layout, line,
                       end, &parts->html);
}
