/*
 * What Vault has, made into the text of a file; and leases.
 */

#include "../aws/source.h"
#include "../crypto/crypto.h"
#include "../json/value.h"
#include "secret_part.h"
#include "template.h"
#include "token.h"


#define OTHERS  32                    /* secrets of a template */

typedef struct {
    ngx_str_t               path;
    vault_agent_envelope_t  envelope;
} other_t;

typedef struct {
    vault_request_t        *vr;
    vault_agent_secret_t   *secret;
    vault_agent_text_t     *text;
    vault_agent_envelope_t  envelope;
    other_t                *others;
    ngx_uint_t              n;
} work_t;


/* Reading one */

static ngx_int_t
refused(work_t *w, const ngx_str_t *path, const vault_http_answer_t *answer)
{
    const char  *remedy;

    switch (answer->status) {

    case NGX_HTTP_FORBIDDEN:
        remedy = "allow \"read\" on it in a policy of the role";
        break;

    case NGX_HTTP_NOT_FOUND:
        remedy = "write it, or correct the path (version 2 of the KV engine "
                 "has \"data/\" after the mount)";
        break;

    default:
        remedy = vault_agent_node_remedy(answer->status);
        break;
    }

    return vault_agent_trouble_with(w->vr, w->secret,
                                    "reading \"%V\" is answered with %ui; %s",
                                    path, answer->status,
                                    remedy ? remedy
                                           : "see the log of the Vault");
}


/* What the login failed with has its remedy already. */
static ngx_int_t
unanswered(work_t *w, const ngx_str_t *path, ngx_uint_t serial,
    const vault_http_answer_t *answer)
{
    const char  *remedy = "; is the Vault up, and is \"vault_agent\" right?";

    if (answer->too_large) {
        remedy = "; make several secrets of it";

    } else if (serial == 0) {
        remedy = "";
    }

    return vault_agent_trouble_with(w->vr, w->secret,
                                    "\"%V\" cannot be read: %V%s", path,
                                    &answer->error, remedy);
}


/* The lease that ends first: tokens that come later live longer. */
static void
count_lease(vault_agent_text_t *text, int64_t lease, ngx_uint_t serial)
{
    if (text->lease == 0) {
        text->lease = lease;
        text->serial = serial;
    }

    text->lease = ngx_min(text->lease, lease);
}


static ngx_int_t
fetch(work_t *w, const ngx_str_t *path, vault_agent_envelope_t *envelope)
{
    ngx_int_t             rc;
    ngx_str_t             body;
    ngx_uint_t            serial;
    vault_agent_call_t    call;
    vault_http_answer_t   answer;

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = "GET";
    call.path = vault_printf(w->vr, "/v1/%V", path);
    call.serial = &serial;

    if (vault_agent_call(w->vr, w->secret->agent, &call, &answer) != NGX_OK) {
        return unanswered(w, path, serial, &answer);
    }

    if (answer.status != NGX_HTTP_OK) {
        return refused(w, path, &answer);
    }

    body.len = answer.body.len;
    body.data = ngx_pnalloc(w->text->pool, body.len + 1);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(body.data, answer.body.data, body.len);

    rc = vault_agent_envelope(w->text->pool, &body, envelope);

    if (rc == NGX_DECLINED) {
        return vault_agent_trouble_with(w->vr, w->secret,
                                        "what is answered for \"%V\" is no "
                                        "secret; is the address that of a "
                                        "Vault, and the path one to read?",
                                        path);
    }

    if (rc == NGX_OK && envelope->lease_id.len && envelope->lease) {
        count_lease(w->text, envelope->lease * 1000, serial);
    }

    return rc;
}


/* Templates */

static const vault_agent_envelope_t *
find_other(void *data, const ngx_str_t *path)
{
    work_t      *w = data;
    other_t     *other;
    ngx_uint_t   i;

    if (path->len == 0) {
        return &w->envelope;
    }

    for (i = 0; i < w->n; i++) {
        other = &w->others[i];

        if (other->path.len == path->len
            && ngx_memcmp(other->path.data, path->data, path->len) == 0)
        {
            return &other->envelope;
        }
    }

    if (w->n == OTHERS) {
        (void) vault_agent_trouble_with(w->vr, w->secret, "its template has "
                                        "more than %d other secrets: make "
                                        "files of some", OTHERS);
        return NULL;
    }

    other = &w->others[w->n];
    other->path = *path;

    if (fetch(w, path, &other->envelope) != NGX_OK) {
        return NULL;
    }

    w->n++;

    return &other->envelope;
}


static ngx_int_t
render(work_t *w, const char **why)
{
    ngx_err_t   err;
    ngx_str_t   text, *path = &w->secret->template;

    if (vault_aws_read_whole(w->vr, path, &text, &err) != NGX_OK) {
        return vault_agent_trouble_with(w->vr, w->secret,
                                        "its template \"%V\" cannot be read "
                                        "(%s): see that it is there and that "
                                        "nginx's user may read it", path,
                                        strerror(err));
    }

    w->others = ngx_pcalloc(w->text->pool, OTHERS * sizeof(other_t));

    return w->others ? vault_agent_template(w->text->pool, &text, find_other,
                                            w, &w->text->text, why)
                     : NGX_ERROR;
}


static ngx_int_t
make_text(work_t *w)
{
    ngx_int_t    rc;
    const char  *why = NULL;

    rc = w->secret->format == VAULT_AGENT_TEMPLATE
         ? render(w, &why)
         : vault_agent_format(w->text->pool, w->secret->format,
                              &w->secret->key, &w->envelope, &w->text->text,
                              &why);

    if (rc == NGX_DECLINED) {
        return vault_agent_trouble_with(w->vr, w->secret,
                                        "%s", why);
    }

    return rc;
}


static void
scrub(void *data)
{
    vault_agent_text_t  *text = data;

    vault_wipe_pool(text->pool);
}


vault_agent_text_t *
vault_agent_text_read(vault_request_t *vr, vault_agent_secret_t *secret)
{
    work_t  *w;

    w = vault_calloc(vr, sizeof(work_t));
    w->vr = vr;
    w->secret = secret;
    w->text = vault_calloc(vr, sizeof(vault_agent_text_t));
    w->text->pool = ngx_create_pool(4096, vr->log);

    if (w->text->pool == NULL) {
        return NULL;
    }

    (void) vault_defer(vr, scrub, w->text);

    if (fetch(w, &secret->path, &w->envelope) != NGX_OK
        || make_text(w) != NGX_OK)
    {
        return NULL;
    }

    w->text->lease_id = w->envelope.lease_id;
    w->text->renewable = w->envelope.renewable && w->n == 0;

    return w->text;
}


/* Leases */

int64_t
vault_agent_lease_renew(vault_request_t *vr, vault_agent_secret_t *secret)
{
    int64_t               lease;
    ngx_str_t             id, quoted;
    vault_json_error_t    ignored;
    vault_agent_call_t    call;
    vault_http_answer_t   answer;

    static const vault_field_t  fields[] = {
        { "lease_duration", VAULT_INT, 0 },
        VAULT_FIELDS_END
    };

    static const vault_shape_t  shape = VAULT_SHAPE(fields, int64_t);

    id.data = secret->lease_id;
    id.len = secret->lease_len;

    if (vault_value_quote(vr->pool, &id, &quoted) != NGX_OK) {
        return 0;
    }

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = "PUT";
    ngx_str_set(&call.path, "/v1/sys/leases/renew");
    call.body = vault_printf(vr, "{\"lease_id\":%V,\"increment\":%L}",
                             &quoted, secret->lease / 1000);

    if (vault_agent_call(vr, secret->agent, &call, &answer) != NGX_OK
        || answer.status != NGX_HTTP_OK
        || vault_json_parse(vr->pool, &answer.body, &shape, &lease, &ignored)
           != NGX_OK
        || lease == VAULT_NULL)
    {
        ngx_log_error(NGX_LOG_NOTICE, vr->log, 0,
                      "vault agent: secret \"%V\": its lease is not renewed, "
                      "so it is read anew", &secret->path);
        return 0;
    }

    return lease * 1000;
}
