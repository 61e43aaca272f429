/*
 * The shared credentials file: sections in brackets, "name = value" below.
 * Static keys only; a profile that says how to get some is not understood.
 */

#include "../crypto/crypto.h"
#include "source.h"


static void
trim(ngx_str_t *text)
{
    while (text->len && text->data[text->len - 1] <= ' ') {
        text->len--;
    }

    while (text->len && *text->data <= ' ') {
        text->data++;
        text->len--;
    }
}


static ngx_uint_t
is(const ngx_str_t *text, const char *word)
{
    size_t  len = ngx_strlen(word);

    return text->len == len
           && ngx_strncasecmp(text->data, (u_char *) word, len) == 0;
}


static ngx_uint_t
is_section(const ngx_str_t *line, const ngx_str_t *profile)
{
    ngx_str_t  name;

    if (line->len < 2 || line->data[line->len - 1] != ']') {
        return 0;
    }

    name.data = line->data + 1;
    name.len = line->len - 2;
    trim(&name);

    return name.len == profile->len
           && ngx_memcmp(name.data, profile->data, name.len) == 0;
}


static void
read_pair(const ngx_str_t *line, vault_aws_keys_t *keys)
{
    u_char     *equals;
    ngx_str_t   name, value;

    equals = ngx_strlchr(line->data, line->data + line->len, '=');
    if (equals == NULL) {
        return;
    }

    name.data = line->data;
    name.len = equals - line->data;
    trim(&name);

    value.data = equals + 1;
    value.len = line->data + line->len - value.data;
    trim(&value);

    if (is(&name, "aws_access_key_id")) {
        keys->access_key = value;

    } else if (is(&name, "aws_secret_access_key")) {
        keys->secret_key = value;

    } else if (is(&name, "aws_session_token")) {
        keys->session_token = value;
    }
}


static void
read_profile(const ngx_str_t *text, const ngx_str_t *profile,
    vault_aws_keys_t *keys)
{
    u_char      *p, *end, *eol;
    ngx_str_t    line;
    ngx_uint_t   inside;

    p = text->data;
    end = p + text->len;
    inside = 0;

    while (p < end) {
        eol = ngx_strlchr(p, end, '\n');
        if (eol == NULL) {
            eol = end;
        }

        line.data = p;
        line.len = eol - p;
        trim(&line);
        p = eol < end ? eol + 1 : end;

        if (line.len && line.data[0] == '[') {
            inside = is_section(&line, profile);

        } else if (inside && line.len && line.data[0] != '#'
                   && line.data[0] != ';')
        {
            read_pair(&line, keys);
        }
    }
}


static ngx_uint_t
find_path(vault_request_t *vr, ngx_str_t *path)
{
    vault_aws_env_t  *env = &vr->conf->aws->env;

    if (env->credentials_file.len) {
        *path = env->credentials_file;
        return 1;
    }

    if (env->home.len == 0) {
        return 0;
    }

    *path = vault_printf(vr, "%V/.aws/credentials%Z", &env->home);
    path->len--;

    return 1;
}


ngx_int_t
vault_aws_from_profile(vault_request_t *vr, vault_aws_keys_t *keys)
{
    ngx_err_t         err;
    ngx_int_t         rc;
    ngx_str_t         path, text, profile;
    ngx_uint_t        wanted;
    vault_aws_keys_t  found;
    vault_aws_env_t  *env = &vr->conf->aws->env;

    /* who names the file or the profile wants to know if it is not there */
    wanted = env->profile.len || env->credentials_file.len;
    profile = env->profile;

    if (profile.len == 0) {
        ngx_str_set(&profile, "default");
    }

    if (!find_path(vr, &path)) {
        return NGX_DECLINED;
    }

    rc = vault_aws_read_file(vr, &path, &text, &err);

    if (rc != NGX_OK) {
        if (rc == NGX_ERROR || wanted) {
            ngx_log_error(NGX_LOG_WARN, vr->log, err,
                          "credentials of AWS: \"%V\" cannot be read", &path);
        }

        return wanted ? NGX_ERROR : NGX_DECLINED;
    }

    ngx_memzero(&found, sizeof(vault_aws_keys_t));
    read_profile(&text, &profile, &found);

    if (found.access_key.len && found.secret_key.len) {
        *keys = found;
        return NGX_OK;
    }

    if (!wanted) {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_ERR, vr->log, 0,
                  "credentials of AWS: \"%V\" has no keys for the profile "
                  "\"%V\"", &path, &profile);

    return NGX_ERROR;
}
