#include "static.h"

#include "../files/files.h"


/* The end of the policy: a bucket's host is added to it. */
#define CONNECT  "connect-src 'self' https://api.pwnedpasswords.com"

typedef struct {
    const char  *name;
    ngx_str_t    value;
} static_header_t;

/* On every file. */
static static_header_t  static_always[] = {
    { "X-Content-Type-Options", ngx_string("nosniff") },
    { "Referrer-Policy", ngx_string("same-origin") },
    { "Permissions-Policy", ngx_string("accelerometer=(), camera=(), "
      "geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
      "payment=(), usb=()") },
    { NULL, ngx_null_string }
};

/* On pages that nobody may frame.  The vault itself needs WebAssembly for its
   crypto, inline styles, and blob and data images. */
static static_header_t  static_framed[] = {
    { "X-Frame-Options", ngx_string("SAMEORIGIN") },
    { "Content-Security-Policy", ngx_string("default-src 'none'; "
      "base-uri 'self'; form-action 'self'; manifest-src 'self'; "
      "script-src 'self' 'wasm-unsafe-eval'; style-src 'self' "
      "'unsafe-inline'; font-src 'self'; img-src 'self' data: blob:; "
      "media-src 'self' blob:; child-src 'self'; frame-src 'self'; "
      "worker-src 'self' blob:; object-src 'self' blob:; "
      "frame-ancestors 'self' chrome-extension: moz-extension: "
      "safari-web-extension:; "
      CONNECT) },
    { NULL, ngx_null_string }
};

static static_header_t  static_fresh[] = {
    { "Cache-Control", ngx_string("no-cache") },
    { NULL, ngx_null_string }
};

/* The build names these files by their content. */
static static_header_t  static_kept[] = {
    { "Cache-Control", ngx_string("public, max-age=604800, immutable") },
    { NULL, ngx_null_string }
};


static ngx_int_t
static_add(ngx_http_request_t *r, static_header_t *header)
{
    ngx_table_elt_t  *h;

    for ( /* void */ ; header->name; header++) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));
        h->hash = 1;
        h->key.data = (u_char *) header->name;
        h->key.len = ngx_strlen(header->name);
        h->value = header->value;
    }

    return NGX_OK;
}


/* Pages that may not be framed; they fetch files from the bucket itself. */
static ngx_int_t
static_add_framed(ngx_http_request_t *r, vault_conf_t *conf)
{
    ngx_str_t            *policy;
    static_header_t       headers[3];
    vault_files_place_t   place;

    if (conf->files == NULL
        || vault_files_place(conf->files, &place) != NGX_OK)
    {
        return static_add(r, static_framed);
    }

    ngx_memcpy(headers, static_framed, sizeof(headers));
    policy = &headers[1].value;

    policy->data = ngx_pnalloc(r->pool, policy->len + 1 + place.url.len);
    if (policy->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    policy->len = ngx_sprintf(policy->data, "%V %V", &static_framed[1].value,
                              &place.url)
                  - policy->data;

    return static_add(r, headers);
}


static ngx_uint_t
static_ends(ngx_str_t *path, const char *end)
{
    size_t  len = ngx_strlen(end);

    return path->len >= len
           && ngx_memcmp(path->data + path->len - len, end, len) == 0;
}


/* "main.0123456789abcdef0123.js": twenty hex digits before the suffix. */
static ngx_uint_t
static_hashed(ngx_str_t *path)
{
    size_t   n;
    u_char  *p, *dot;

    dot = path->data + path->len;
    while (dot > path->data && *--dot != '.') { /* void */ }

    for (n = 0, p = dot; p > path->data; n++) {
        p--;
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f'))) {
            break;
        }
    }

    return n >= 20;
}


ngx_int_t
vault_static_handle(ngx_http_request_t *r, vault_conf_t *conf)
{
    if (conf->web_vault.len == 0) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (r->uri.data[r->uri.len - 1] == '/') {
        return NGX_DECLINED;          /* comes again as its index page */
    }

    if (static_add(r, static_always) != NGX_OK
        || static_add(r, static_hashed(&r->uri) ? static_kept : static_fresh)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!static_ends(&r->uri, "-connector.html")
        && static_add_framed(r, conf) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}
