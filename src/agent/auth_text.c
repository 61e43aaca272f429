/*
 * By a text that the platform or the administrator puts in a file: a service
 * account's token of Kubernetes, an AppRole's secret id, or a token itself.
 * Files are read anew each time: their text is replaced while we run.
 */

#include "../crypto/crypto.h"
#include "auth.h"


/* {"<name>": own, "<other>": text}, wiped with the pool. */
static ngx_int_t
login_with(vault_request_t *vr, vault_agent_t *agent, const char *name,
    const ngx_str_t *own, const char *other, const ngx_str_t *text,
    vault_agent_grant_t *grant, ngx_str_t *why)
{
    ngx_str_t            plain, body;
    vault_writer_t       w;
    vault_http_answer_t  answer;

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_string(&w, name, own);

    if (text->len) {
        vault_json_string(&w, other, text);
    }

    vault_json_close(&w, '}');

    plain = vault_written(vr, &w);
    body = vault_secret(vr, &plain);
    vault_wipe(plain.data, plain.len);

    return vault_agent_login_call(vr, agent, &body, grant, why, &answer);
}


ngx_int_t
vault_agent_login_kubernetes(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why)
{
    ngx_str_t            jwt;
    vault_agent_auth_t  *auth = &agent->settings.auth;

    return vault_agent_read(vr, agent, &auth->file, &jwt, why) == NGX_OK
           ? login_with(vr, agent, "role", &auth->role, "jwt", &jwt, grant,
                        why)
           : NGX_ERROR;
}


ngx_int_t
vault_agent_login_approle(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why)
{
    ngx_str_t            id = ngx_null_string;
    vault_agent_auth_t  *auth = &agent->settings.auth;

    if (auth->file.len
        && vault_agent_read(vr, agent, &auth->file, &id, why) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return login_with(vr, agent, "role_id", &auth->role_id, "secret_id",
                      id.len ? &id : &auth->secret_id, grant, why);
}


/* A token file */

typedef struct {
    int64_t    life;                  /* s; 0: it never ends */
    int64_t    renewable;
} token_t;

typedef struct {
    token_t   *data;
} answer_t;

static const vault_field_t  token_fields[] = {
    { "ttl",       VAULT_INT,  offsetof(token_t, life) },
    { "renewable", VAULT_BOOL, offsetof(token_t, renewable) },
    VAULT_FIELDS_END
};

static const vault_shape_t  token_shape = VAULT_SHAPE(token_fields, token_t);

static const vault_field_t  answer_fields[] = {
    { "data", VAULT_OBJECT, offsetof(answer_t, data), VAULT_REQUIRED, 0,
      &token_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  answer_shape = VAULT_SHAPE(answer_fields,
                                                       answer_t);


static ngx_int_t
look_up(vault_request_t *vr, vault_agent_t *agent, const ngx_str_t *token,
    ngx_str_t *why, vault_http_answer_t *answer)
{
    ngx_keyval_t        header;
    vault_agent_call_t  call;

    ngx_str_set(&header.key, "X-Vault-Token");
    header.value = *token;

    ngx_memzero(&call, sizeof(vault_agent_call_t));
    call.method = "GET";
    ngx_str_set(&call.path, "/v1/auth/token/lookup-self");
    call.headers = &header;
    call.nheaders = 1;
    call.anonymous = 1;

    if (vault_agent_call(vr, agent, &call, answer) != NGX_OK) {
        return vault_agent_failed(vr, agent, why,
                                  "the token of \"%V\" cannot be looked up: "
                                  "%V; is the Vault up, and are its address, "
                                  "its port and ca= right?",
                                  &agent->settings.auth.file, &answer->error);
    }

    if (answer->status != NGX_HTTP_OK) {
        return vault_agent_failed(vr, agent, why,
                                  "the token of \"%V\" is answered with %ui; "
                                  "%s", &agent->settings.auth.file,
                                  answer->status,
                                  answer->status >= 500
                                  ? "see the log of the Vault"
                                  : "put a token there that is still good");
    }

    return NGX_OK;
}


ngx_int_t
vault_agent_login_file(vault_request_t *vr, vault_agent_t *agent,
    vault_agent_grant_t *grant, ngx_str_t *why)
{
    answer_t             form;
    ngx_str_t            text, *path = &agent->settings.auth.file;
    vault_json_error_t   ignored;
    vault_http_answer_t  answer;

    if (vault_agent_read(vr, agent, path, &text, why) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!vault_agent_is_token(&text)) {
        return vault_agent_failed(vr, agent, why, "what is in \"%V\" is no "
                                  "token; put one line there", path);
    }

    if (look_up(vr, agent, &text, why, &answer) != NGX_OK) {
        return NGX_ERROR;
    }

    if (vault_json_parse(vr->pool, &answer.body, &answer_shape, &form,
                         &ignored)
        != NGX_OK)
    {
        return vault_agent_failed(vr, agent, why,
                                  "the token is looked up without an answer "
                                  "of use; is the address that of a Vault?");
    }

    grant->token = vault_secret(vr, &text);
    grant->life = form.data->life == VAULT_NULL ? 0 : form.data->life * 1000;
    grant->renewable = form.data->renewable == 1;

    return NGX_OK;
}
