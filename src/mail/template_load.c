/*
 * template - which texts are used: ours, or those of the operator's folder.
 */

#include "template_own.h"
#include "../json/json.h"


#define FILE_MAX     (64 * 1024)
#define SUBJECT_MAX  200


const vault_template_t *
vault_template_find(const ngx_str_t *name)
{
    const vault_template_t  *template;

    for (template = vault_template_texts; template->name; template++) {
        if (ngx_strlen(template->name) == name->len
            && ngx_memcmp(template->name, name->data, name->len) == 0)
        {
            return template;
        }
    }

    return NULL;
}


/* Is `name` one of these, which have spaces between? */
static ngx_uint_t
is_among(const char *names, const ngx_str_t *name)
{
    size_t  len;

    while (*names) {
        len = strcspn(names, " ");

        if (len == name->len && ngx_memcmp(names, name->data, len) == 0) {
            return 1;
        }

        names += len;
        names += *names == ' ';
    }

    return 0;
}


static ngx_int_t
complain(ngx_pool_t *pool, const u_char *path, ngx_str_t *err,
    const char *format, ...)
{
    u_char   *p, *last;
    va_list   args;

    err->data = ngx_pnalloc(pool, 1024);
    if (err->data == NULL) {
        err->len = 0;
        return NGX_ERROR;
    }

    last = err->data + 1024;
    p = ngx_slprintf(err->data, last, "\"%s\" ", path);

    va_start(args, format);
    p = ngx_vslprintf(p, last, format, args);
    va_end(args);

    err->len = p - err->data;

    return NGX_ERROR;
}


/* What a text of these variables is for; NULL: nothing in particular. */
static const ngx_str_t *
purpose_of(const char *variables)
{
    ngx_uint_t              i;
    static const ngx_str_t  purposes[] = {
        ngx_string("url"), ngx_string("code"), ngx_string("body")
    };

    for (i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++) {
        if (is_among(variables, &purposes[i])) {
            return &purposes[i];
        }
    }

    return NULL;
}


/* The variables it uses are known, and the one it is for is there. */
static ngx_int_t
check_variables(ngx_pool_t *pool, const u_char *path, const ngx_str_t *text,
    const char *common, const char *variables, ngx_str_t *err)
{
    u_char           *p, *end = text->data + text->len;
    ngx_str_t         name;
    const ngx_str_t  *needed = purpose_of(variables);

    for (p = text->data; p < end; p++) {

        if (!vault_template_name(p, end, &name)) {
            continue;
        }

        if (!is_among(common, &name) && !is_among(variables, &name)) {
            return complain(pool, path, err, "has {{%V}}, but knows only: "
                            "%s %s", &name, common, variables);
        }

        if (needed && name.len == needed->len
            && ngx_memcmp(name.data, needed->data, name.len) == 0)
        {
            needed = NULL;
        }
    }

    return needed ? complain(pool, path, err, "lacks {{%V}}", needed)
                  : NGX_OK;
}


static ngx_int_t
check_subject(ngx_pool_t *pool, const u_char *path, const ngx_str_t *text,
    ngx_str_t *err)
{
    u_char  *line;

    line = ngx_strlchr(text->data, text->data + text->len, '\n');

    if (line == NULL || line == text->data
        || line - text->data > SUBJECT_MAX || line[1] != '\n')
    {
        return complain(pool, path, err, "must begin with a subject of at "
                        "most %d bytes and an empty line", SUBJECT_MAX);
    }

    return NGX_OK;
}


/* NGX_DECLINED if there is no such file.  Lines end with LF, then a NUL. */
static ngx_int_t
read_text(ngx_pool_t *pool, u_char *path, ngx_str_t *text, ngx_str_t *err)
{
    size_t    i;
    ssize_t   n;
    u_char   *p;
    ngx_fd_t  fd;

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return ngx_errno == NGX_ENOENT
               ? NGX_DECLINED : complain(pool, path, err, "cannot be opened");
    }

    p = ngx_palloc(pool, FILE_MAX + 1);
    n = p ? ngx_read_fd(fd, p, FILE_MAX) : -1;
    (void) ngx_close_file(fd);

    if (n < 0 || n == FILE_MAX) {
        return complain(pool, path, err, n < 0 ? "cannot be read"
                                               : "is too large");
    }

    text->data = p;

    for (i = 0; i < (size_t) n; i++) {
        if (text->data[i] != '\r') {
            *p++ = text->data[i];
        }
    }

    *p = '\0';
    text->len = p - text->data;

    return vault_utf8_check(text) == NGX_OK
           ? NGX_OK : complain(pool, path, err, "is not UTF-8");
}


static u_char *
path_of(ngx_pool_t *pool, const ngx_str_t *folder, const char *name,
    const char *end)
{
    u_char  *path;

    path = ngx_pnalloc(pool, folder->len + ngx_strlen(name) + 8);

    if (path) {
        (void) ngx_sprintf(path, "%V/%s%s%Z", folder, name, end);
    }

    return path;
}


/* One file of the folder, if it is there, instead of *text. */
static ngx_int_t
load(ngx_pool_t *pool, const ngx_str_t *folder, const char *name,
    const char *end, const char *common, const char *variables,
    ngx_str_t *text, ngx_str_t *err)
{
    u_char     *path;
    ngx_int_t   rc;

    path = path_of(pool, folder, name, end);
    if (path == NULL) {
        return NGX_ERROR;
    }

    rc = read_text(pool, path, text, err);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    if (*end == '.' && end[1] == 't'
        && check_subject(pool, path, text, err) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return check_variables(pool, path, text, common, variables, err);
}


static ngx_int_t
load_all(ngx_pool_t *pool, vault_templates_t *templates,
    const ngx_str_t *folder, ngx_str_t *err)
{
    vault_template_own_t    *own = templates->own;
    const vault_template_t  *template;

    for (template = vault_template_texts; template->name; template++, own++) {

        if (load(pool, folder, template->name, ".txt",
                 VAULT_TEMPLATE_COMMON, template->variables, &own->text, err)
            != NGX_OK
            || load(pool, folder, template->name, ".html",
                    VAULT_TEMPLATE_COMMON " subject", template->variables,
                    &own->html, err)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return load(pool, folder, "layout", ".html",
                VAULT_TEMPLATE_COMMON " subject", "body", &templates->layout,
                err);
}


vault_templates_t *
vault_template_load(ngx_pool_t *pool, const ngx_str_t *folder,
    ngx_str_t *err)
{
    ngx_uint_t          i, n;
    vault_templates_t  *templates;

    err->len = 0;

    for (n = 0; vault_template_texts[n].name; n++) { /* void */ }

    templates = ngx_pcalloc(pool, sizeof(vault_templates_t));
    if (templates == NULL) {
        return NULL;
    }

    templates->own = ngx_pcalloc(pool, n * sizeof(vault_template_own_t));
    if (templates->own == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        templates->own[i].text.data = (u_char *) vault_template_texts[i].text;
        templates->own[i].text.len = ngx_strlen(vault_template_texts[i].text);
    }

    templates->layout.data = (u_char *) vault_template_layout;
    templates->layout.len = ngx_strlen(vault_template_layout);

    if (folder->len && load_all(pool, templates, folder, err) != NGX_OK) {
        return NULL;
    }

    return templates;
}
