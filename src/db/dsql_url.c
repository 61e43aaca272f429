/*
 * dsql://<cluster>.dsql.<region>.on.aws[/database][?option=value&…]
 *
 * Strict, as what is wrong here would only be seen when somebody connects.
 */

#include "dsql.h"
#include "../aws/endpoint.h"


#define SCHEME      "dsql://"
#define ID_LEN      26                /* of a cluster */
#define LONGEST_NAME   63                /* of a role or database */

typedef struct {
    const char  *name;
    size_t       offset;
} option_t;

static const option_t  options[] = {
    { "role",        offsetof(vault_dsql_url_t, role) },
    { "hostaddr",    offsetof(vault_dsql_url_t, hostaddr) },
    { "port",        offsetof(vault_dsql_url_t, port) },
    { "sslrootcert", offsetof(vault_dsql_url_t, ca_file) },
    { "region",      offsetof(vault_dsql_url_t, region) },
    { "grant",       offsetof(vault_dsql_url_t, grant) },
    { NULL, 0 }
};


/* Up to one of `stops`; *text moves behind it. */
static ngx_str_t
take(ngx_str_t *text, const char *stops)
{
    ngx_str_t  part;

    part.data = text->data;
    part.len = 0;

    while (part.len < text->len
           && ngx_strchr(stops, part.data[part.len]) == NULL)
    {
        part.len++;
    }

    text->data += part.len;
    text->len -= part.len;

    return part;
}


static ngx_int_t
keep(ngx_pool_t *pool, const ngx_str_t *text, ngx_str_t *out)
{
    out->data = ngx_pnalloc(pool, text->len + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(out->data, text->data, text->len);
    out->data[text->len] = '\0';
    out->len = text->len;

    return NGX_OK;
}


/* Names that need no quotes in SQL: they stand in statements as they are. */
static ngx_uint_t
is_name(const ngx_str_t *text)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (!(c >= 'a' && c <= 'z') && c != '_'
            && (i == 0 || c < '0' || c > '9'))
        {
            return 0;
        }
    }

    return text->len > 0 && text->len <= LONGEST_NAME;
}


static ngx_uint_t
is_plain(const ngx_str_t *text, const char *more)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')
            && !(c >= '0' && c <= '9') && ngx_strchr(more, c) == NULL)
        {
            return 0;
        }
    }

    return text->len > 0;
}


/* <26 letters and digits>.dsql[-…].<region>.on.aws */
static ngx_uint_t
is_endpoint(const ngx_str_t *host)
{
    size_t  i;

    for (i = 0; i < host->len && i < ID_LEN; i++) {
        if (!(host->data[i] >= 'a' && host->data[i] <= 'z')
            && !(host->data[i] >= '0' && host->data[i] <= '9'))
        {
            return 0;
        }
    }

    return host->len > ID_LEN + 6
           && ngx_strncmp(host->data + ID_LEN, ".dsql", 5) == 0;
}


static const char *
check_host(vault_dsql_url_t *url)
{
    size_t  len = url->host.len;

    if (!is_plain(&url->host, ".-")) {
        return "names no host; the form is dsql://<cluster>.dsql.<region>"
               ".on.aws";
    }

    if (len > 7
        && ngx_strncmp(url->host.data + len - 7, ".on.aws", 7) == 0
        && !is_endpoint(&url->host))
    {
        return "has a host that is not a cluster's endpoint, "
               "<26 letters and digits>.dsql.<region>.on.aws";
    }

    if (url->region.len == 0) {
        (void) vault_aws_region_of(&url->host, &url->region);

    } else if (vault_aws_region_check(&url->region) != NGX_OK) {
        return "has an option \"region\" that is not a region";
    }

    return NULL;
}


static const char *
check_options(const vault_dsql_url_t *url)
{
    ngx_int_t  port;

    if (!is_name(&url->database)) {
        return "has a database's name with other characters than a-z, 0-9, _";
    }

    if (!is_name(&url->role)) {
        return "has a role's name with other characters than a-z, 0-9, _";
    }

    if (ngx_strcmp(url->role.data, VAULT_DSQL_ADMIN) == 0) {
        return "has the role \"admin\", which migrates only; servers are "
               "another, that of option \"role\" or \"vault\"";
    }

    port = ngx_atoi(url->port.data, url->port.len);

    if (port < 1 || port > 65535) {
        return "has a port that is not a number from 1 to 65535";
    }

    if (url->hostaddr.len && !is_plain(&url->hostaddr, ".:")) {
        return "has an option \"hostaddr\" that is not an address";
    }

    if (url->ca_file.len && access((char *) url->ca_file.data, R_OK) != 0) {
        return "has an option \"sslrootcert\" that is not a file to be read";
    }

    if (url->grant.len
        && (ngx_strncmp(url->grant.data, "arn:", 4) != 0
            || !is_plain(&url->grant, ":/_+=,.@-")))
    {
        return "has an option \"grant\" that is not the ARN of an IAM role";
    }

    return NULL;
}


static const char *
read_options(ngx_pool_t *pool, ngx_str_t text, vault_dsql_url_t *url)
{
    ngx_str_t        name, value;
    const option_t  *option;

    while (text.len) {
        text.data++;                  /* "?" or "&" */
        text.len--;

        name = take(&text, "=&");
        ngx_str_null(&value);

        if (text.len && text.data[0] == '=') {
            text.data++;
            text.len--;
            value = take(&text, "&");
        }

        for (option = options; option->name; option++) {
            if (name.len == ngx_strlen(option->name)
                && ngx_strncmp(name.data, option->name, name.len) == 0)
            {
                break;
            }
        }

        if (option->name == NULL) {
            return "has an option other than role, hostaddr, port, region, "
                   "sslrootcert, grant";
        }

        if (value.len == 0) {
            return "has an option without a value";
        }

        if (keep(pool, &value, (ngx_str_t *) ((u_char *) url + option->offset))
            != NGX_OK)
        {
            return "no memory";
        }
    }

    return NULL;
}


ngx_int_t
vault_dsql_url(ngx_pool_t *pool, const ngx_str_t *text, vault_dsql_url_t *url,
    const char **err)
{
    ngx_str_t  rest, part;

    ngx_memzero(url, sizeof(vault_dsql_url_t));
    ngx_str_set(&url->port, "5432");
    ngx_str_set(&url->database, "postgres");
    ngx_str_set(&url->role, "vault");
    *err = "no memory";

    rest.data = text->data + sizeof(SCHEME) - 1;
    rest.len = text->len - (sizeof(SCHEME) - 1);

    part = take(&rest, ":/?");

    if (keep(pool, &part, &url->host) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rest.len && rest.data[0] == ':') {
        rest.data++;
        rest.len--;
        part = take(&rest, "/?");

        if (keep(pool, &part, &url->port) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (rest.len && rest.data[0] == '/') {
        rest.data++;
        rest.len--;
        part = take(&rest, "?");

        if (part.len && keep(pool, &part, &url->database) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    *err = read_options(pool, rest, url);
    *err = *err ? *err : check_host(url);
    *err = *err ? *err : check_options(url);

    return *err ? NGX_ERROR : NGX_OK;
}
