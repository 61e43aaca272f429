/*
 * What of a request reaches the Vault: its method, path and body as they came,
 * and its headers without those that concern the connection, tell of other
 * proxies, or are for us.
 */

#include "proxy_head.h"


enum {
    DROP = 1,
    TOKEN,                            /* stays if it may */
    NAMESPACE
};

static const struct {
    ngx_str_t   name;
    ngx_uint_t  what;
} special[] = {
    { ngx_string("host"), DROP },
    { ngx_string("connection"), DROP },
    { ngx_string("keep-alive"), DROP },
    { ngx_string("te"), DROP },
    { ngx_string("trailer"), DROP },
    { ngx_string("transfer-encoding"), DROP },
    { ngx_string("upgrade"), DROP },
    { ngx_string("http2-settings"), DROP },
    { ngx_string("expect"), DROP },
    { ngx_string("proxy-connection"), DROP },
    { ngx_string("proxy-authorization"), DROP },
    { ngx_string("content-length"), DROP },
    { ngx_string("accept-encoding"), DROP },
    { ngx_string("forwarded"), DROP },
    { ngx_string("via"), DROP },
    { ngx_string("x-real-ip"), DROP },
    { ngx_string("x-vault-request"), DROP },
    { ngx_string("x-vault-cache-control"), DROP },
    { ngx_string("x-vault-token-options"), DROP },
    { ngx_string("x-vault-token"), TOKEN },
    { ngx_string("authorization"), TOKEN },
    { ngx_string("x-vault-namespace"), NAMESPACE },
};


static ngx_uint_t
kind_of(const ngx_table_elt_t *h)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (h->key.len == special[i].name.len
            && ngx_memcmp(h->lowcase_key, special[i].name.data, h->key.len)
               == 0)
        {
            return special[i].what;
        }
    }

    return h->key.len > 12
           && ngx_strncmp(h->lowcase_key, "x-forwarded-", 12) == 0
           ? DROP : 0;
}


ngx_uint_t
vault_agent_proxy_has_token(ngx_http_request_t *r)
{
    return vault_agent_header(r, "x-vault-token")
           || vault_agent_header(r, "authorization");
}


/* Copies to `p`, or counts if it is NULL. */
static size_t
write_headers(ngx_http_request_t *r, ngx_uint_t own, ngx_uint_t *namespace,
    u_char *p)
{
    size_t            len = 0;
    ngx_uint_t        i, what;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            what = kind_of(&h[i]);

            if (what == DROP || (what == TOKEN && !own)) {
                continue;
            }

            *namespace |= what == NAMESPACE;
            len += h[i].key.len + h[i].value.len + sizeof(": \r\n") - 1;

            if (p) {
                p = ngx_sprintf(p, "%V: %V\r\n", &h[i].key, &h[i].value);
            }
        }
    }

    return len;
}


ngx_int_t
vault_agent_proxy_head(ngx_http_request_t *r, const vault_agent_t *agent,
    const ngx_str_t *host, ngx_uint_t own, ngx_str_t *head)
{
    size_t            len;
    u_char           *p;
    ngx_uint_t        namespace = 0;
    const ngx_str_t  *set = &agent->settings.namespace;

    len = write_headers(r, own, &namespace, NULL);

    head->data = ngx_pnalloc(r->pool, len + r->method_name.len
                             + r->unparsed_uri.len + host->len + set->len
                             + NGX_OFF_T_LEN
                             + sizeof("  HTTP/1.1\r\nHost: \r\n"
                                      "Connection: keep-alive\r\n"
                                      "X-Vault-Request: true\r\n"
                                      "X-Vault-Namespace: \r\n"
                                      "Content-Length: \r\n"));
    if (head->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(head->data, "%V %V HTTP/1.1\r\nHost: %V\r\n"
                    "Connection: keep-alive\r\nX-Vault-Request: true\r\n",
                    &r->method_name, &r->unparsed_uri, host);

    p += write_headers(r, own, &namespace, p);

    if (set->len && !namespace) {
        p = ngx_sprintf(p, "X-Vault-Namespace: %V\r\n", set);
    }

    /* a subrequest's headers are those of another one */
    if (r->headers_in.content_length_n >= 0 && r == r->main) {
        p = ngx_sprintf(p, "Content-Length: %O\r\n",
                        r->headers_in.content_length_n);
    }

    head->len = p - head->data;

    return NGX_OK;
}
