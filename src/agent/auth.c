/*
 * What the ways to log in have in common: the table of them, the request, and
 * what Vault answers to it.
 */

#include "auth.h"
#include "../aws/source.h"
#include "../crypto/crypto.h"
#include "../net/line.h"


#define TROUBLE  512

static const vault_agent_login_pt  methods[] = {
    [VAULT_AGENT_AWS] = vault_agent_login_aws,
    [VAULT_AGENT_KUBERNETES] = vault_agent_login_kubernetes,
    [VAULT_AGENT_APPROLE] = vault_agent_login_approle,
    [VAULT_AGENT_TOKEN_FILE] = vault_agent_login_file,
};

typedef struct {
    ngx_str_t  token;
    int64_t    life;                  /* s */
    int64_t    renewable;
} auth_t;

typedef struct {
    auth_t    *auth;
} answer_t;

static const vault_field_t  auth_fields[] = {
    { "client_token",   VAULT_TEXT, offsetof(auth_t, token), VAULT_REQUIRED,
      VAULT_AGENT_TOKEN },
    { "lease_duration", VAULT_INT,  offsetof(auth_t, life) },
    { "renewable",      VAULT_BOOL, offsetof(auth_t, renewable) },
    VAULT_FIELDS_END
};

static const vault_shape_t  auth_shape = VAULT_SHAPE(auth_fields, auth_t);

static const vault_field_t  answer_fields[] = {
    { "auth", VAULT_OBJECT, offsetof(answer_t, auth), VAULT_REQUIRED, 0,
      &auth_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  answer_shape = VAULT_SHAPE(answer_fields,
                                                       answer_t);

/* What Vault says of a refused login, and what to do.  First match. */
static const struct {
    const char  *text;
    const char  *remedy;
} remedies[] = {
    { "sealed", "unseal the Vault" },
    { "not initialized", "initialise the Vault" },
    { "entry for role", "create the role at this mount, or correct role= of "
      "\"vault_agent_auth\"" },
    { "invalid role", "create the role at this mount, or correct role= of "
      "\"vault_agent_auth\"" },
    { "does not belong to", "bind the role to this identity: "
      "bound_iam_principal_arn" },
    { "Server-ID", "server_id= of \"vault_agent_auth\" must be the mount's "
      "iam_server_id_header_value" },
    { "Signature expired", "the clock is wrong" },
    { "SignatureDoesNotMatch", "Vault asks another region of STS than "
      "sts_region= of \"vault_agent_auth\", or the clock is wrong" },
    { "InvalidClientTokenId", "the keys of AWS are not known to STS, or "
      "Vault asks another region of STS" },
    { "ExpiredToken", "the keys of AWS have expired" },
    { "STS", "STS refuses the keys of AWS: are they valid, and is the clock "
      "right?" },
    { "secret", "give a secret id that is still good" },
    { "role_id", "correct role_id= of \"vault_agent_auth\"" },
    { "service account", "allow this service account and namespace in the "
      "role" },
    { "namespace", "allow this service account and namespace in the role, "
      "or correct namespace= of \"vault_agent\"" },
    { "handler", "enable the method at this mount, or correct mount= of "
      "\"vault_agent_auth\"" },
    { "permission denied", "is the method enabled at this mount, and the "
      "role bound to this identity?" },
    { NULL, NULL }
};


ngx_int_t
vault_agent_login(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why)
{
    ngx_memzero(grant, sizeof(vault_agent_grant_t));
    ngx_str_null(why);

    return methods[agent->settings.auth.method](vr, agent, grant, why);
}


ngx_int_t
vault_agent_failed(vault_request_t *vr, vault_agent_t *agent, ngx_str_t *why,
    const char *fmt, ...)
{
    u_char   buf[TROUBLE], *last;
    va_list  args;

    va_start(args, fmt);
    last = ngx_vslprintf(buf, buf + TROUBLE, fmt, args);
    va_end(args);

    why->len = last - buf;
    why->data = vault_alloc(vr, why->len + 1);
    ngx_memcpy(why->data, buf, why->len);

    ngx_log_error(NGX_LOG_ERR, vr->log, 0, "vault agent: %V: %V",
                  &agent->settings.name, why);

    return NGX_ERROR;
}


ngx_int_t
vault_agent_read(vault_request_t *vr, vault_agent_t *agent,
    const ngx_str_t *path, ngx_str_t *text, ngx_str_t *why)
{
    ngx_err_t  err;

    if (vault_aws_read_file(vr, path, text, &err) != NGX_OK) {
        return vault_agent_failed(vr, agent, why,
                                  "\"%V\" cannot be read (%s): see that it "
                                  "is there and that nginx's user may read "
                                  "it", path, strerror(err));
    }

    if (text->len == 0) {
        return vault_agent_failed(vr, agent, why, "\"%V\" is empty", path);
    }

    return NGX_OK;
}


/* The first of {"errors": ["…"]}, fit for a log. */
static ngx_str_t
error_of(vault_request_t *vr, const vault_http_answer_t *answer)
{
    ngx_str_t          *first, none = ngx_null_string;
    ngx_array_t         list;
    vault_json_error_t  ignored;

    static const vault_field_t  text = { "error", VAULT_TEXT, 0, 0, 4096 };

    static const vault_field_t  fields[] = {
        { "errors", VAULT_TEXTS, 0, 0, 0, &text },
        VAULT_FIELDS_END
    };

    static const vault_shape_t  shape = VAULT_SHAPE(fields, ngx_array_t);

    ngx_memzero(&list, sizeof(ngx_array_t));

    if (vault_json_parse(vr->pool, &answer->body, &shape, &list, &ignored)
        != NGX_OK || list.elts == NULL || list.nelts == 0)
    {
        return none;
    }

    first = list.elts;

    return vault_http_printable(vr, first);
}


const char *
vault_agent_node_remedy(ngx_uint_t status)
{
    switch (status) {

    case 412:
        return "this node is behind the others: give the address of the "
               "active one";

    case 429:
    case 472:
    case 473:
        return "this node is a standby or out of its quota: give the address "
               "of the active one";

    case 503:
        return "is the Vault sealed?";

    default:
        return status >= 500 ? "see the log of the Vault" : NULL;
    }
}


static const char *
remedy_of(const vault_http_answer_t *answer, const ngx_str_t *error)
{
    ngx_uint_t   i;
    const char  *remedy;

    for (i = 0; error->len && remedies[i].text; i++) {
        if (ngx_strnstr(error->data, (char *) remedies[i].text, error->len)) {
            return remedies[i].remedy;
        }
    }

    switch (answer->status) {

    case 400:
    case 403:
        return "is the method enabled at this mount, and the role bound to "
               "this identity?";

    case 404:
        return "is the method enabled at this mount, and the address that "
               "of a Vault?";

    default:
        remedy = vault_agent_node_remedy(answer->status);
        return remedy ? remedy : "is the address that of a Vault?";
    }
}


static ngx_int_t
refused(vault_request_t *vr, vault_agent_t *agent, ngx_str_t *why,
    const vault_http_answer_t *answer)
{
    ngx_str_t    error;
    const char  *remedy;

    error = error_of(vr, answer);
    remedy = remedy_of(answer, &error);

    return vault_agent_failed(vr, agent, why,
                              "the login as \"%V\" at auth/%V is answered "
                              "with %ui%s%V; %s",
                              &agent->settings.auth.role,
                              &agent->settings.auth.mount, answer->status,
                              error.len ? ": " : "", &error, remedy);
}


static ngx_int_t
read_grant(vault_request_t *vr, const vault_http_answer_t *answer,
    vault_agent_grant_t *grant)
{
    answer_t            form;
    vault_json_error_t  ignored;

    if (vault_json_parse(vr->pool, &answer->body, &answer_shape, &form,
                         &ignored)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    grant->token = vault_secret(vr, &form.auth->token);
    vault_wipe(form.auth->token.data, form.auth->token.len);

    if (!vault_agent_is_token(&grant->token)) {
        return NGX_ERROR;
    }

    grant->life = form.auth->life == VAULT_NULL ? 0 : form.auth->life * 1000;
    grant->renewable = form.auth->renewable == 1;

    return grant->life >= 0 ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
vault_agent_is_token(const ngx_str_t *token)
{
    return token->len > 0 && token->len <= VAULT_AGENT_TOKEN
           && vault_line_is_target(token);
}


ngx_int_t
vault_agent_login_call(vault_request_t *vr, vault_agent_t *agent,
    ngx_str_t *body, vault_agent_grant_t *grant, ngx_str_t *why,
    vault_http_answer_t *answer)
{
    vault_agent_call_t  call;

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = "PUT";
    call.path = vault_printf(vr, "/v1/auth/%V/login",
                             &agent->settings.auth.mount);
    call.body = *body;
    call.anonymous = 1;

    if (vault_agent_call(vr, agent, &call, answer) != NGX_OK) {
        return vault_agent_failed(vr, agent, why,
                                  "no login: %V; is the Vault up, and are "
                                  "its address, its port and ca= right?",
                                  &answer->error);
    }

    if (answer->status != NGX_HTTP_OK) {
        return refused(vr, agent, why, answer);
    }

    if (read_grant(vr, answer, grant) != NGX_OK) {
        return vault_agent_failed(vr, agent, why,
                                  "the login is answered without a token; "
                                  "is the address that of a Vault?");
    }

    return NGX_OK;
}


static void
not_renewed(vault_request_t *vr, vault_agent_t *agent,
    const vault_http_answer_t *answer)
{
    const char  *remedy;

    remedy = vault_agent_node_remedy(answer->status);

    if (remedy == NULL) {
        remedy = answer->status == NGX_HTTP_OK
                 ? "is the address that of a Vault?"
                 : "it has ended, or may not be renewed: a login follows";
    }

    ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                  "vault agent: %V: renewing the token is answered with %ui; "
                  "%s", &agent->settings.name, answer->status, remedy);
}


ngx_int_t
vault_agent_renew(vault_request_t *vr, vault_agent_t *agent,
    const ngx_str_t *token, int64_t life, vault_agent_grant_t *grant,
    ngx_uint_t *status)
{
    ngx_keyval_t         header;
    vault_agent_call_t   call;
    vault_http_answer_t  answer;

    ngx_str_set(&header.key, "X-Vault-Token");
    header.value = *token;

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = "PUT";
    ngx_str_set(&call.path, "/v1/auth/token/renew-self");
    call.body = vault_printf(vr, "{\"increment\":%L}", life / 1000);
    call.headers = &header;
    call.nheaders = 1;
    call.anonymous = 1;

    *status = 0;

    if (vault_agent_call(vr, agent, &call, &answer) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                      "vault agent: %V: the token cannot be renewed now: %V; "
                      "is the Vault up, and is \"vault_agent\" right?",
                      &agent->settings.name, &answer.error);
        return NGX_ERROR;
    }

    *status = answer.status;

    if (answer.status == NGX_HTTP_OK
        && read_grant(vr, &answer, grant) == NGX_OK)
    {
        return NGX_OK;
    }

    not_renewed(vr, agent, &answer);

    return NGX_ERROR;
}
