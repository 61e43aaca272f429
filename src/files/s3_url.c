#include "s3_url.h"

#include "../aws/endpoint.h"

#include <arpa/inet.h>


#define BUCKET_MIN  3
#define BUCKET_MAX  63
#define PREFIX_MAX  512               /* keys have at most 1024 bytes */
#define ERROR_MAX   512

/* Takes a value, or says by a format with one %V what is wrong with it. */
typedef const char *(*option_pt)(vault_s3_url_t *url, const ngx_str_t *value);

typedef struct {
    const char  *name;
    option_pt    set;
} option_t;

#define PATH_STYLE_SAID  1            /* the bit of the first option */


static ngx_uint_t
is(const ngx_str_t *text, const char *what)
{
    size_t  len = ngx_strlen(what);

    return text->len == len && ngx_strncmp(text->data, what, len) == 0;
}


static ngx_uint_t
begins_with(const ngx_str_t *text, const char *start)
{
    size_t  len = ngx_strlen(start);

    return text->len >= len && ngx_strncmp(text->data, start, len) == 0;
}


static ngx_uint_t
ends_with(const ngx_str_t *text, const char *end)
{
    size_t  len = ngx_strlen(end);

    return text->len >= len
           && ngx_strncmp(text->data + text->len - len, end, len) == 0;
}


static ngx_uint_t
is_small(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}


static ngx_uint_t
is_capital(u_char c)
{
    return c >= 'A' && c <= 'Z';
}


/* The part before `mark`, which is taken off `rest` with the mark. */
static ngx_str_t
cut(ngx_str_t *rest, u_char mark)
{
    u_char     *p;
    ngx_str_t   part;

    part = *rest;
    p = ngx_strlchr(rest->data, rest->data + rest->len, mark);

    if (p == NULL) {
        rest->data += rest->len;
        rest->len = 0;
        return part;
    }

    part.len = p - part.data;
    rest->len -= part.len + 1;
    rest->data = p + 1;

    return part;
}


/* An address as inet_pton() reads it. */
static ngx_uint_t
is_address(int family, const ngx_str_t *host)
{
    char    text[INET6_ADDRSTRLEN];
    u_char  address[sizeof(struct in6_addr)];

    if (host->len == 0 || host->len >= sizeof(text)) {
        return 0;
    }

    ngx_memcpy(text, host->data, host->len);
    text[host->len] = '\0';

    return inet_pton(family, text, address) == 1;
}


/* Bucket and prefix */

/*
 * Source: docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
static const char *
check_bucket(const ngx_str_t *bucket)
{
    size_t   i;
    u_char   c, last;

    last = '.';

    for (i = 0; i < bucket->len; i++, last = c) {
        c = bucket->data[i];

        if (is_small(c) || (c == '-' && last != '.')
            || (c == '.' && last != '.' && last != '-'))
        {
            continue;
        }

        break;
    }

    if (i < bucket->len || bucket->len < BUCKET_MIN
        || bucket->len > BUCKET_MAX || !is_small(last)
        || is_address(AF_INET, bucket) || begins_with(bucket, "xn--"))
    {
        return "\"%V\" is not the name of a bucket: 3 to 63 lower-case "
               "letters, digits, \"-\" and \".\"";
    }

    if (ends_with(bucket, "--x-s3")) {
        return "\"%V\" is a directory bucket, which is not supported";
    }

    return NULL;
}


/* Only what is never encoded, so that a path has one spelling everywhere. */
static const char *
check_prefix(const ngx_str_t *prefix)
{
    u_char      c;
    size_t      i;
    ngx_str_t   rest, part;

    for (i = 0; i < prefix->len; i++) {
        c = prefix->data[i];

        if (!is_small(c) && !is_capital(c)
            && (c == '\0' || ngx_strchr("-._~/", c) == NULL))
        {
            return "the prefix \"%V\" may have letters, digits, \"-\", "
                   "\".\", \"_\", \"~\" and \"/\" only";
        }
    }

    if (prefix->len > PREFIX_MAX) {
        return "the prefix \"%V\" is too long";
    }

    for (rest = *prefix; rest.len; ) {
        part = cut(&rest, '/');

        if (part.len == 0 || is(&part, ".") || is(&part, "..")) {
            return "the prefix \"%V\" has an empty part, \".\" or \"..\"";
        }
    }

    return NULL;
}


/* With one slash at its end, unless it is empty. */
static ngx_int_t
take_prefix(ngx_pool_t *pool, ngx_str_t prefix, ngx_str_t *out)
{
    u_char  *p;

    ngx_str_null(out);

    if (prefix.len == 0) {
        return NGX_OK;
    }

    if (prefix.data[prefix.len - 1] == '/') {
        prefix.len--;
    }

    p = ngx_pnalloc(pool, prefix.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    p = ngx_cpymem(p, prefix.data, prefix.len);
    *p = '/';
    out->len = prefix.len + 1;

    return NGX_OK;
}


/* Options */

static const char *
set_region(vault_s3_url_t *url, const ngx_str_t *value)
{
    if (vault_aws_region_check(value) != NGX_OK) {
        return "\"%V\" is not the name of a region";
    }

    url->region = *value;

    return NULL;
}


static ngx_uint_t
check_host(const ngx_str_t *host)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < host->len; i++) {
        c = host->data[i];

        if (!is_small(c) && !is_capital(c) && c != '-' && c != '.'
            && c != '_')
        {
            return 0;
        }
    }

    return host->len > 0 && host->len <= 253 && host->data[0] != '.'
           && host->data[0] != '-';
}


/* "host[:port]" or "[v6][:port]" */
static ngx_uint_t
take_authority(vault_s3_url_t *url, ngx_str_t rest)
{
    ngx_int_t   port;
    ngx_str_t   host;
    ngx_uint_t  named;

    named = rest.len == 0 || rest.data[0] != '[';

    if (named) {
        host.data = rest.data;
        host.len = 0;

        while (host.len < rest.len && rest.data[host.len] != ':') {
            host.len++;
        }

        rest.data += host.len;
        rest.len -= host.len;

    } else if (ngx_strlchr(rest.data, rest.data + rest.len, ']')) {
        host = cut(&rest, ']');
        host.data++;
        host.len--;

    } else {
        return 0;
    }

    if (named ? !check_host(&host) : !is_address(AF_INET6, &host)) {
        return 0;
    }

    url->host = host;

    if (rest.len == 0) {
        return 1;
    }

    port = ngx_atoi(rest.data + 1, rest.len - 1);
    url->port = (in_port_t) port;

    return rest.data[0] == ':' && port > 0 && port < 65536;
}


static const char *
set_endpoint(vault_s3_url_t *url, const ngx_str_t *value)
{
    ngx_str_t  rest;

    rest = *value;
    url->tls = begins_with(value, "https://");

    if (!url->tls && !begins_with(value, "http://")) {
        return "the endpoint \"%V\" does not begin with https:// or http://";
    }

    rest.data += url->tls ? 8 : 7;
    rest.len -= url->tls ? 8 : 7;
    url->port = url->tls ? 443 : 80;

    if (rest.len && rest.data[rest.len - 1] == '/') {
        rest.len--;
    }

    if (!take_authority(url, rest)) {
        return "the endpoint \"%V\" is not like https://host:port";
    }

    url->loopback = is(&url->host, "localhost") || is(&url->host, "::1")
                    || (begins_with(&url->host, "127.")
                        && is_address(AF_INET, &url->host));

    return NULL;
}


static const char *
set_path_style(vault_s3_url_t *url, const ngx_str_t *value)
{
    url->path_style = is(value, "on");

    return url->path_style || is(value, "off")
           ? NULL : "path_style is \"on\" or \"off\", not \"%V\"";
}


static const char *
set_storage_class(vault_s3_url_t *url, const ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {
        if (!is_capital(value->data[i]) && value->data[i] != '_') {
            break;
        }
    }

    if (value->len == 0 || value->len > 32 || i < value->len) {
        return "\"%V\" is not a storage class";
    }

    if (is(value, "GLACIER") || is(value, "DEEP_ARCHIVE")) {
        return "what is stored as \"%V\" cannot be read at once";
    }

    url->storage_class = *value;

    return NULL;
}


static const char *
set_sse(vault_s3_url_t *url, const ngx_str_t *value)
{
    if (!is(value, "AES256") && !is(value, "aws:kms")
        && !is(value, "aws:kms:dsse"))
    {
        return "sse is AES256, aws:kms or aws:kms:dsse, not \"%V\"";
    }

    url->sse = *value;

    return NULL;
}


/* An id, an alias or an ARN. */
static const char *
set_kms_key(vault_s3_url_t *url, const ngx_str_t *value)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if (!is_small(c) && !is_capital(c)
            && (c == '\0' || ngx_strchr(":/_-", c) == NULL))
        {
            break;
        }
    }

    if (value->len == 0 || value->len > 2048 || i < value->len) {
        return "\"%V\" is not the id or ARN of a key";
    }

    url->kms_key = *value;

    return NULL;
}


static const option_t  options[] = {
    { "path_style",    set_path_style },
    { "region",        set_region },
    { "endpoint",      set_endpoint },
    { "storage_class", set_storage_class },
    { "sse",           set_sse },
    { "kms_key",       set_kms_key },
};


/* `value` becomes what a message is to show; `said` has a bit an option. */
static const char *
take_option(vault_s3_url_t *url, ngx_str_t *value, ngx_uint_t *said)
{
    ngx_str_t   name, rest;
    ngx_uint_t  i;

    rest = *value;
    name = cut(&rest, '=');

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {

        if (!is(&name, options[i].name)) {
            continue;
        }

        if (*said & ((ngx_uint_t) 1 << i)) {
            *value = name;
            return "the option \"%V\" is there twice";
        }

        *said |= (ngx_uint_t) 1 << i;
        *value = rest;

        return options[i].set(url, value);
    }

    *value = name;

    return "unknown option \"%V\"; there are region, endpoint, path_style, "
           "storage_class, sse and kms_key";
}


/* AWS names its classes; other stores have their own. */
static const char *
check_aws(const vault_s3_url_t *url, ngx_str_t *shown)
{
    ngx_uint_t          i;
    static const char  *classes[] = {
        "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
        "GLACIER_IR", "REDUCED_REDUNDANCY", "EXPRESS_ONEZONE", NULL
    };

    if (url->storage_class.len == 0) {
        return NULL;
    }

    for (i = 0; classes[i]; i++) {
        if (is(&url->storage_class, classes[i])) {
            return NULL;
        }
    }

    *shown = url->storage_class;

    return "\"%V\" is not a storage class of AWS";
}


/* What options mean together. */
static const char *
check_whole(vault_s3_url_t *url, ngx_uint_t said, ngx_str_t *shown)
{
    ngx_uint_t  dots;

    dots = ngx_strlchr(url->bucket.data, url->bucket.data + url->bucket.len,
                       '.')
           != NULL;

    if (!(said & PATH_STYLE_SAID)) {
        url->path_style = url->host.len || dots;
    }

    if (!url->path_style && dots && url->tls) {
        *shown = url->bucket;
        return "\"%V\" has dots: no certificate fits its host, so that "
               "path_style=off is not possible";
    }

    if (!url->path_style
        && (is_address(AF_INET, &url->host)
            || is_address(AF_INET6, &url->host)))
    {
        *shown = url->host;
        return "the endpoint \"%V\" is an address, which no bucket's name "
               "can stand before: path_style=on";
    }

    if (url->kms_key.len && (url->sse.len == 0 || is(&url->sse, "AES256"))) {
        *shown = url->kms_key;
        return "the key \"%V\" needs sse=aws:kms";
    }

    return url->host.len ? NULL : check_aws(url, shown);
}


static const char *
parse(vault_s3_url_t *url, ngx_str_t rest, ngx_str_t *prefix,
    ngx_str_t *shown)
{
    ngx_str_t    path;
    ngx_uint_t   said;
    const char  *wrong;

    path = cut(&rest, '?');
    url->bucket = cut(&path, '/');
    *prefix = path;

    *shown = url->bucket;
    wrong = check_bucket(&url->bucket);

    if (wrong == NULL) {
        *shown = path;
        wrong = check_prefix(&path);
    }

    said = 0;

    while (wrong == NULL && rest.len) {
        *shown = cut(&rest, '&');
        wrong = take_option(url, shown, &said);
    }

    return wrong ? wrong : check_whole(url, said, shown);
}


ngx_int_t
vault_s3_url_parse(ngx_pool_t *pool, const ngx_str_t *text,
    vault_s3_url_t *url, ngx_str_t *error)
{
    u_char      *p;
    ngx_str_t    rest, prefix, shown;
    const char  *wrong;

    ngx_memzero(url, sizeof(vault_s3_url_t));
    url->tls = 1;
    url->port = 443;

    if (!begins_with(text, "s3://")) {
        ngx_str_set(error, "does not begin with s3://");
        return NGX_DECLINED;
    }

    rest.data = text->data + 5;
    rest.len = text->len - 5;
    wrong = parse(url, rest, &prefix, &shown);

    if (wrong == NULL) {
        return take_prefix(pool, prefix, &url->prefix);
    }

    p = ngx_pnalloc(pool, ERROR_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    shown.len = ngx_min(shown.len, 200);
    error->data = p;
    error->len = ngx_snprintf(p, ERROR_MAX, wrong, &shown) - p;

    return NGX_DECLINED;
}


/* Places */

static ngx_int_t
print(ngx_pool_t *pool, ngx_str_t *out, const char *fmt, const ngx_str_t *a,
    const ngx_str_t *b, const ngx_str_t *c)
{
    out->data = ngx_pnalloc(pool, ngx_strlen(fmt) + a->len + b->len + c->len);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    out->len = ngx_sprintf(out->data, fmt, a, b, c) - out->data;

    return NGX_OK;
}


/* "bucket." before a host of AWS or an endpoint, or nothing. */
static ngx_int_t
make_address(ngx_pool_t *pool, const vault_s3_url_t *url,
    const ngx_str_t *region, ngx_str_t *out)
{
    ngx_str_t         domain, none = ngx_string("");
    const ngx_str_t  *bucket;

    bucket = url->path_style ? &none : &url->bucket;

    if (url->host.len) {
        return print(pool, out, bucket->len ? "%V.%V%V" : "%V%V%V", bucket,
                     &url->host, &none);
    }

    domain.data = (u_char *) vault_aws_domain(region);
    domain.len = ngx_strlen(domain.data);

    return print(pool, out, bucket->len ? "%V.s3.%V.%V" : "%Vs3.%V.%V",
                 bucket, region, &domain);
}


static ngx_int_t
make_host(ngx_pool_t *pool, const vault_s3_url_t *url, ngx_str_t *address,
    ngx_str_t *out)
{
    u_char      port[sizeof(":65535") - 1];
    ngx_str_t   suffix, none = ngx_string("");

    suffix.data = port;
    suffix.len = 0;

    if (url->port != (url->tls ? 443 : 80)) {
        suffix.len = ngx_sprintf(port, ":%ui", (ngx_uint_t) url->port) - port;
    }

    return print(pool, out,
                 ngx_strlchr(address->data, address->data + address->len, ':')
                 ? "[%V]%V%V" : "%V%V%V",
                 address, &suffix, &none);
}


ngx_int_t
vault_s3_url_place(ngx_pool_t *pool, const vault_s3_url_t *url,
    const ngx_str_t *region, vault_s3_place_t *place)
{
    ngx_int_t  rc;
    ngx_str_t  none = ngx_string("");

    place->region.len = region->len;
    place->region.data = ngx_pstrdup(pool, (ngx_str_t *) region);
    if (place->region.data == NULL
        || make_address(pool, url, region, &place->address) != NGX_OK
        || make_host(pool, url, &place->address, &place->host) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (url->path_style) {
        rc = print(pool, &place->bucket, "/%V%V%V", &url->bucket, &none,
                   &none);
    } else {
        ngx_str_set(&place->bucket, "/");
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return print(pool, &place->objects, url->path_style ? "%V/%V%V" : "%V%V%V",
                 &place->bucket, &url->prefix, &none);
}
