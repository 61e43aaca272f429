/*
 * The formats but the template.
 */

#include "../json/json.h"
#include "../json/value.h"
#include "format.h"


static ngx_int_t
member(ngx_pool_t *pool, const ngx_str_t *object, const char *name,
    ngx_str_t *value)
{
    ngx_int_t  rc;
    ngx_str_t  key;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    ngx_str_null(value);
    rc = vault_value_find(pool, object, &key, value);

    if (rc == NGX_OK && vault_value_is(value, 'n')) {
        ngx_str_null(value);
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* Version 2 answers {"data": {…}, "metadata": {"version": …, …}}. */
static ngx_int_t
unwrap(ngx_pool_t *pool, const ngx_str_t *data, ngx_str_t *values)
{
    ngx_str_t  inner, metadata, version = ngx_null_string;

    *values = *data;

    if (member(pool, data, "data", &inner) != NGX_OK
        || member(pool, data, "metadata", &metadata) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (inner.data == NULL || metadata.data == NULL
        || !vault_value_is(&inner, '{') || !vault_value_is(&metadata, '{'))
    {
        return NGX_OK;
    }

    if (member(pool, &metadata, "version", &version) != NGX_OK) {
        return NGX_ERROR;
    }

    if (version.data) {
        *values = inner;
    }

    return NGX_OK;
}


static ngx_int_t
read_lease(ngx_pool_t *pool, vault_agent_envelope_t *envelope)
{
    ngx_str_t  id, seconds, renewable;

    if (member(pool, &envelope->body, "lease_id", &id) != NGX_OK
        || member(pool, &envelope->body, "lease_duration", &seconds) != NGX_OK
        || member(pool, &envelope->body, "renewable", &renewable) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (seconds.data) {
        envelope->lease = ngx_atotm(seconds.data, seconds.len);
        envelope->lease = ngx_max(envelope->lease, 0);
    }

    envelope->renewable = renewable.data && vault_value_is(&renewable, 't');

    return id.data && vault_value_is(&id, '"')
           ? vault_value_text(pool, &id, &envelope->lease_id) : NGX_OK;
}


ngx_int_t
vault_agent_envelope(ngx_pool_t *pool, const ngx_str_t *body,
    vault_agent_envelope_t *envelope)
{
    ngx_memzero(envelope, sizeof(vault_agent_envelope_t));
    envelope->body = *body;

    if (vault_value_check(&envelope->body) != NGX_OK
        || !vault_value_is(&envelope->body, '{'))
    {
        return NGX_DECLINED;
    }

    if (member(pool, &envelope->body, "data", &envelope->data) != NGX_OK) {
        return NGX_ERROR;
    }

    if (envelope->data.data == NULL || !vault_value_is(&envelope->data, '{'))
    {
        return NGX_DECLINED;
    }

    return unwrap(pool, &envelope->data, &envelope->values) == NGX_OK
           ? read_lease(pool, envelope) : NGX_ERROR;
}


/* The members of Go's api.Secret, in their order. */
static ngx_int_t
as_json(ngx_pool_t *pool, const vault_agent_envelope_t *envelope,
    ngx_str_t *out)
{
    u_char      *p;
    ngx_str_t    value[8], *v;
    ngx_uint_t   i, n = 0;
    size_t       len = 64;

    static const struct {
        const char  *name;
        const char  *zero;            /* NULL: left out if it is null */
    } members[] = {
        { "request_id", "\"\"" }, { "lease_id", "\"\"" },
        { "lease_duration", "0" }, { "renewable", "false" },
        { "data", "null" }, { "warnings", "null" },
        { "auth", NULL }, { "wrap_info", NULL }
    };

    for (i = 0; i < 8; i++) {
        v = &value[i];

        if (member(pool, &envelope->body, members[i].name, v) != NGX_OK) {
            return NGX_ERROR;
        }

        if (v->data == NULL && members[i].zero) {
            v->data = (u_char *) members[i].zero;
            v->len = ngx_strlen(members[i].zero);
        }

        if (v->data && vault_value_indent(pool, v, 1, v) != NGX_OK) {
            return NGX_ERROR;
        }

        len += v->len + 32;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    *p++ = '{';

    for (i = 0; i < 8; i++) {
        if (value[i].data) {
            p = ngx_sprintf(p, "%s\n  \"%s\": ", n++ ? "," : "",
                            members[i].name);
            p = ngx_cpymem(p, value[i].data, value[i].len);
        }
    }

    p = ngx_cpymem(p, "\n}", 2);
    out->len = p - out->data;

    return NGX_OK;
}


ngx_int_t
vault_agent_value(ngx_pool_t *pool, const vault_agent_envelope_t *envelope,
    const ngx_str_t *key, ngx_str_t *out, const char **why)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    rc = vault_value_find(pool, &envelope->values, key, &value);

    if (rc == NGX_DECLINED) {
        *why = "it has no such key: add it to the secret, or correct the name";
        return NGX_DECLINED;
    }

    return rc == NGX_OK ? vault_value_text(pool, &value, out) : NGX_ERROR;
}


ngx_int_t
vault_agent_shell(ngx_pool_t *pool, const ngx_str_t *text, ngx_str_t *out)
{
    size_t   i;
    u_char  *p;

    p = ngx_pnalloc(pool, 4 * text->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    *p++ = '\'';

    for (i = 0; i < text->len; i++) {
        if (text->data[i] == '\'') {
            p = ngx_cpymem(p, "'\\''", 4);

        } else {
            *p++ = text->data[i];
        }
    }

    *p++ = '\'';
    out->len = p - out->data;

    return NGX_OK;
}


/* What no name of a variable may have becomes "_". */
static u_char *
write_name(u_char *p, const ngx_str_t *name)
{
    size_t  i;
    u_char  c;

    if (name->len == 0 || (*name->data >= '0' && *name->data <= '9')) {
        *p++ = '_';
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];
        *p++ = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
               || (c >= '0' && c <= '9') ? c : '_';
    }

    return p;
}


static ngx_int_t
as_env(ngx_pool_t *pool, const vault_agent_envelope_t *envelope,
    ngx_str_t *out)
{
    u_char        *p;
    ngx_str_t      text, word;
    ngx_uint_t     i;
    ngx_array_t   *members;
    ngx_keyval_t  *pair;

    if (vault_value_members(pool, &envelope->values, &members) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, 4 * envelope->values.len + 8 * members->nelts + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    pair = members->elts;

    for (i = 0; i < members->nelts; i++) {

        if (vault_value_text(pool, &pair[i].value, &text) != NGX_OK
            || vault_agent_shell(pool, &text, &word) != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = write_name(p, &pair[i].key);
        *p++ = '=';
        p = ngx_cpymem(p, word.data, word.len);
        *p++ = '\n';
    }

    out->len = p - out->data;

    return NGX_OK;
}


static ngx_int_t
as_data(ngx_pool_t *pool, const vault_agent_envelope_t *envelope,
    ngx_str_t *out)
{
    u_char     *p;
    ngx_str_t   text;

    if (vault_value_indent(pool, &envelope->values, 0, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, text.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    out->len = text.len + 1;
    p = ngx_cpymem(p, text.data, text.len);
    *p = '\n';

    return NGX_OK;
}


ngx_int_t
vault_agent_format(ngx_pool_t *pool, vault_agent_format_e format,
    const ngx_str_t *key, const vault_agent_envelope_t *envelope,
    ngx_str_t *out, const char **why)
{
    switch (format) {

    case VAULT_AGENT_DATA:
        return as_data(pool, envelope, out);

    case VAULT_AGENT_KEY:
        return vault_agent_value(pool, envelope, key, out, why);

    case VAULT_AGENT_ENV:
        return as_env(pool, envelope, out);

    case VAULT_AGENT_VALUES:
        *out = envelope->values;
        return NGX_OK;

    default:
        return as_json(pool, envelope, out);
    }
}
