#include "bucket.h"

#include "../crypto/crypto.h"
#include "../files/files.h"
#include "../run/cors.h"


#define PATH  "/bucket"               /* links begin so: files/s3_link.c */


static ngx_http_output_header_filter_pt  next_header_filter;


/* The place of the server's bucket; NULL if there is none. */
static ngx_int_t
find_place(ngx_http_request_t *r, vault_files_place_t *place)
{
    vault_srv_conf_t  *scf;

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);

    return scf->vault.files ? vault_files_place(scf->vault.files, place)
                            : NGX_DECLINED;
}


static ngx_uint_t
is_on(ngx_http_request_t *r)
{
    vault_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_vault_module);

    return lcf->bucket == 1 && r == r->main;
}


/* Variables */

/* As it came: a signature is over the bytes of a path. */
static ngx_int_t
get_url(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p;
    ngx_str_t             target;
    vault_files_place_t   place;

    target = r->unparsed_uri;
    v->not_found = 1;

    if (target.len < sizeof(PATH)
        || ngx_strncmp(target.data, PATH "/", sizeof(PATH)) != 0
        || find_place(r, &place) != NGX_OK)
    {
        return NGX_OK;
    }

    target.data += sizeof(PATH) - 1;
    target.len -= sizeof(PATH) - 1;

    p = ngx_pnalloc(r->pool, place.url.len + target.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    p = ngx_cpymem(p, place.url.data, place.url.len);
    p = ngx_cpymem(p, target.data, target.len);
    v->len = p - v->data;
    v->valid = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
get_host(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    vault_files_place_t  place;

    v->not_found = 1;

    if (find_place(r, &place) == NGX_OK) {
        v->data = place.host.data;
        v->len = place.host.len;
        v->valid = 1;
        v->not_found = 0;
    }

    return NGX_OK;
}


ngx_int_t
vault_bucket_variables(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;
    static struct {
        ngx_str_t                     name;
        ngx_http_get_variable_pt      get;
    } variables[] = {
        { ngx_string("vault_bucket_url"), get_url },
        { ngx_string("vault_bucket_host"), get_host },
    };

    for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        var = ngx_http_add_variable(cf, &variables[i].name,
                                    NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = variables[i].get;
    }

    return NGX_OK;
}


/* Requests */

static u_char *
write_log(ngx_http_request_t *r, ngx_http_request_t *sr, u_char *buf,
    size_t len)
{
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    return ngx_snprintf(buf, len, ", server: %V, request: \"%V %V\"",
                        &cscf->server_name, &r->method_name, &r->uri);
}


void
vault_hide_query(ngx_http_request_t *r)
{
    u_char  *query;

    query = ngx_strlchr(r->request_line.data,
                        r->request_line.data + r->request_line.len, '?');
    if (query) {
        r->request_line.len = query - r->request_line.data;
    }

    r->log_handler = write_log;
}


/* "/bucket", the way to our objects, a name of ours, and a query. */
static ngx_uint_t
is_ours(ngx_http_request_t *r)
{
    ngx_str_t             rest, name;
    vault_files_place_t   place;

    rest = r->unparsed_uri;

    if (find_place(r, &place) != NGX_OK
        || rest.len <= sizeof(PATH) - 1 + place.path.len + VAULT_UUID_LEN
        || ngx_strncmp(rest.data, PATH, sizeof(PATH) - 1) != 0)
    {
        return 0;
    }

    rest.data += sizeof(PATH) - 1;

    name.data = rest.data + place.path.len;
    name.len = VAULT_UUID_LEN;

    return ngx_strncmp(rest.data, place.path.data, place.path.len) == 0
           && vault_uuid_check(&name) == NGX_OK
           && name.data[name.len] == '?';
}


static vault_request_t *
make_request(ngx_http_request_t *r)
{
    vault_request_t   *vr;
    vault_srv_conf_t  *scf;

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);
    vr = ngx_pcalloc(r->pool, sizeof(vault_request_t));

    if (vr) {
        vr->http = r;
        vr->pool = r->pool;
        vr->log = r->connection->log;
        vr->conf = &scf->vault;
    }

    return vr;
}


static ngx_int_t
answer_preflight(ngx_http_request_t *r)
{
    vault_request_t  *vr;

    vr = make_request(r);
    if (vr == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return vault_cors_preflight(vr) ? NGX_HTTP_NO_CONTENT
                                    : NGX_HTTP_NOT_ALLOWED;
}


static ngx_int_t
access_handler(ngx_http_request_t *r)
{
    vault_srv_conf_t  *scf;

    if (!is_on(r) || r->internal) {
        return NGX_DECLINED;
    }

    vault_hide_query(r);

    if (r->method == NGX_HTTP_OPTIONS) {
        return answer_preflight(r);
    }

    if (r->method != NGX_HTTP_PUT) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (!is_ours(r)) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (r->headers_in.content_length_n < 0) {
        return NGX_HTTP_LENGTH_REQUIRED;      /* S3 wants it */
    }

    scf = ngx_http_get_module_srv_conf(r, ngx_http_vault_module);

    return r->headers_in.content_length_n > scf->vault.file_max
           ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE : NGX_DECLINED;
}


/* Answers */

static void
drop_amazon(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len > 6
                && ngx_strncasecmp(h[i].key.data, (u_char *) "x-amz-", 6) == 0)
            {
                h[i].hash = 0;
            }
        }
    }
}


static ngx_int_t
header_filter(ngx_http_request_t *r)
{
    vault_request_t  *vr;

    if (!is_on(r)) {
        return next_header_filter(r);
    }

    vr = make_request(r);

    if (vr == NULL || vault_cors_headers(vr) != NGX_OK) {
        return NGX_ERROR;
    }

    drop_amazon(r);

    if (r->method == NGX_HTTP_PUT && r->headers_out.status == NGX_HTTP_OK) {
        r->headers_out.status = NGX_HTTP_CREATED;
        ngx_str_null(&r->headers_out.status_line);
    }

    return next_header_filter(r);
}


ngx_int_t
vault_bucket_install(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *handler;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = access_handler;

    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;

    return NGX_OK;
}


ngx_int_t
vault_bucket_check(ngx_conf_t *cf, vault_conf_t *vault)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (vault->files == NULL || !vault_files_is_bucket(vault->files)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_bucket\" needs \"vault_files s3://…\" in "
                           "its server block");
        return NGX_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->resolver == NULL || clcf->resolver->connections.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"vault_bucket\" without \"resolver\" reaches a "
                           "bucket whose endpoint is an address only");
    }

    return NGX_OK;
}
