/*
 * By SES, version 2: the finished message as base64 in one JSON text.
 *
 * Only throttling and errors of AWS itself are for now.  Without keys, or
 * without permission, nothing is lost either: that is the operator's to mend.
 * Source: docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
 */

#include "adapter.h"
#include "../aws/clock.h"
#include "../aws/credentials.h"
#include "../aws/endpoint.h"
#include "../crypto/crypto.h"


#define PATH  "/v2/email/outbound-emails"

typedef struct {
    vault_upstream_t  *up;
    ngx_str_t          host;          /* with ":port" if it has one */
    ngx_str_t          region;
} ses_t;

typedef struct {
    ngx_str_t          kind;          /* "MessageRejected" */
    ngx_str_t          text;
} ses_error_t;

static vault_mail_end_e ses_send(vault_request_t *vr, void *data,
    const vault_mail_letter_t *letter, vault_mail_why_t *why);
static void ses_stop(void *data);

static const vault_mail_adapter_t  adapter = {
    .send = ses_send,
    .stop = ses_stop
};

/* What SES says of itself, what that means, and what to do. */
static const struct {
    const char        *kind;
    vault_mail_end_e   end;
    const char        *remedy;
} errors[] = {
    { "TooManyRequestsException", VAULT_MAIL_AWAY,
      "ask AWS for a higher sending quota if this stays" },
    { "MessageRejected", VAULT_MAIL_REFUSED,
      "verify the domain of \"vault_mail_from\" in SES, in this region; in "
      "the sandbox, which AWS opens on request, recipients too" },
    { "MailFromDomainNotVerifiedException", VAULT_MAIL_REFUSED,
      "the MAIL FROM domain of the identity lacks its MX record" },
    { "AccountSuspendedException", VAULT_MAIL_REFUSED,
      "AWS has suspended sending for this account: see its support cases" },
    { "SendingPausedException", VAULT_MAIL_REFUSED,
      "sending is paused in SES: resume it for the account or the "
      "configuration set" },
    { "LimitExceededException", VAULT_MAIL_REFUSED,
      "a limit of SES: see its service quotas" },
    { "NotFoundException", VAULT_MAIL_REFUSED,
      "the default configuration set of the identity does not exist" },
    { "BadRequestException", VAULT_MAIL_REFUSED, NULL },
    { "AccessDeniedException", VAULT_MAIL_AWAY,
      "allow ses:SendEmail and ses:SendRawEmail on the identity and on its "
      "configuration set" },
    { "UnrecognizedClientException", VAULT_MAIL_AWAY,
      "the keys are not known to AWS" },
    { "InvalidSignatureException", VAULT_MAIL_AWAY,
      "is the secret key right, and the clock?" },
    { "ExpiredTokenException", VAULT_MAIL_AWAY, "the keys have expired" },
    { NULL, VAULT_MAIL_AWAY, NULL }
};


static ngx_int_t
ses_host(ngx_conf_t *cf, const vault_mail_settings_t *settings, ses_t *ses,
    ngx_str_t *name)
{
    ses->host.data = ngx_pnalloc(cf->pool, settings->host.len
                                           + settings->region.len + 64);
    if (ses->host.data == NULL) {
        return NGX_ERROR;
    }

    if (settings->host.len == 0) {
        ses->host.len = ngx_sprintf(ses->host.data, "email.%V.%s",
                                    &settings->region,
                                    vault_aws_domain(&settings->region))
                        - ses->host.data;
        *name = ses->host;
        return NGX_OK;
    }

    *name = settings->host;
    ses->host.len = ngx_sprintf(ses->host.data,
                                settings->port == (settings->tls ? 443 : 80)
                                ? "%V" : "%V:%ui",
                                &settings->host,
                                (ngx_uint_t) settings->port)
                    - ses->host.data;

    return NGX_OK;
}


ngx_int_t
vault_mail_ses_create(ngx_conf_t *cf, const vault_mail_settings_t *settings,
    vault_aws_t *aws, vault_mail_t *mail)
{
    ses_t      *ses;
    ngx_str_t   name;

    ses = ngx_pcalloc(cf->pool, sizeof(ses_t));
    if (ses == NULL || ses_host(cf, settings, ses, &name) != NGX_OK) {
        return NGX_ERROR;
    }

    ses->region = settings->region;
    ses->up = vault_upstream_create(cf, &name, settings->port, settings->tls,
                                    settings->ca_file.len
                                    ? (char *) settings->ca_file.data
                                    : vault_aws_ca_file(aws));
    mail->adapter = &adapter;
    mail->data = ses;

    return ses->up ? NGX_OK : NGX_ERROR;
}


static void
ses_stop(void *data)
{
    ses_t  *ses = data;

    vault_upstream_stop(ses->up);
}


/* The request */

static ngx_int_t
make_body(vault_request_t *vr, const vault_mail_letter_t *letter,
    ngx_str_t *body)
{
    ngx_str_t        data;
    vault_writer_t   w;

    if (vault_base64(vr->pool, &letter->text, &data) != NGX_OK) {
        return NGX_ERROR;
    }

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_string(&w, "FromEmailAddress", &letter->from);
    vault_json_open(&w, "Destination", '{');
    vault_json_open(&w, "ToAddresses", '[');
    vault_json_string(&w, NULL, &letter->to);
    vault_json_close(&w, ']');
    vault_json_close(&w, '}');
    vault_json_open(&w, "Content", '{');
    vault_json_open(&w, "Raw", '{');
    vault_json_string(&w, "Data", &data);
    vault_json_close(&w, '}');
    vault_json_close(&w, '}');
    vault_json_close(&w, '}');

    return vault_writer_text(&w, body);
}


static ngx_int_t
sign(vault_request_t *vr, const ses_t *ses, const ngx_keyval_t *type,
    const ngx_str_t *body, const vault_aws_keys_t *keys,
    vault_sigv4_signed_t *out)
{
    vault_sigv4_t  request;

    ngx_memzero(&request, sizeof(vault_sigv4_t));
    ngx_str_set(&request.method, "POST");
    ngx_str_set(&request.path, PATH);
    ngx_str_set(&request.service, "ses");

    request.host = ses->host;
    request.headers = type;
    request.nheaders = 1;
    request.region = ses->region;

    return vault_sigv4_payload(vr->pool, body, &request.payload) == NGX_OK
           ? vault_sigv4_sign(vr->pool, &request, keys, vault_aws_now(), out)
           : NGX_ERROR;
}


/* NGX_ERROR with answer->error: no answer. */
static ngx_int_t
ask(vault_request_t *vr, const ses_t *ses, const ngx_str_t *body,
    const vault_aws_keys_t *keys, vault_http_answer_t *answer)
{
    ngx_buf_t              b;
    ngx_uint_t             i;
    ngx_chain_t            chain = { &b, NULL };
    ngx_keyval_t           headers[5];
    vault_sigv4_signed_t   made;
    vault_upstream_call_t  call;

    ngx_memzero(answer, sizeof(vault_http_answer_t));
    ngx_str_set(&headers[0].key, "Content-Type");
    ngx_str_set(&headers[0].value, "application/json");

    if (sign(vr, ses, headers, body, keys, &made) != NGX_OK) {
        ngx_str_set(&answer->error, "the request cannot be signed");
        return NGX_ERROR;
    }

    for (i = 0; i < made.nheaders; i++) {
        headers[i + 1] = made.headers[i];
    }

    ngx_memzero(&b, sizeof(ngx_buf_t));
    b.memory = 1;
    b.start = b.pos = body->data;
    b.end = b.last = body->data + body->len;
    b.last_buf = 1;
    b.last_in_chain = 1;

    ngx_memzero(&call, sizeof(vault_upstream_call_t));
    call.method = "POST";
    call.target = made.target;
    call.host = ses->host;
    call.headers = headers;
    call.nheaders = made.nheaders + 1;
    call.body = &chain;
    call.size = body->len;

    return vault_upstream_request(vr, ses->up, &call, answer);
}


/* The answer */

/* "name#Kind:http://…" is "Kind". */
static ngx_str_t
bare_kind(ngx_str_t kind)
{
    u_char  *p;

    p = ngx_strlchr(kind.data, kind.data + kind.len, '#');

    if (p) {
        kind.len -= p + 1 - kind.data;
        kind.data = p + 1;
    }

    p = ngx_strlchr(kind.data, kind.data + kind.len, ':');

    if (p) {
        kind.len = p - kind.data;
    }

    return kind;
}


static ses_error_t
read_error(vault_request_t *vr, const vault_http_answer_t *answer)
{
    ses_error_t         error;
    vault_json_error_t  ignored;

    static const vault_field_t  fields[] = {
        { "__type", VAULT_TEXT, offsetof(ses_error_t, kind), 0, 0, NULL },
        { "message", VAULT_TEXT, offsetof(ses_error_t, text), 0, 0, NULL },
        VAULT_FIELDS_END
    };

    static const vault_shape_t  shape = VAULT_SHAPE(fields, ses_error_t);

    if (vault_json_parse(vr->pool, &answer->body, &shape, &error, &ignored)
        != NGX_OK)
    {
        ngx_memzero(&error, sizeof(ses_error_t));
    }

    if (error.kind.len == 0) {
        error.kind = vault_http_header(answer, "x-amzn-errortype");
    }

    if (error.kind.len) {
        error.kind = bare_kind(error.kind);
    }

    return error;
}


static ngx_uint_t
is(const ngx_str_t *kind, const char *text)
{
    return kind->len == ngx_strlen(text)
           && ngx_strncmp(kind->data, text, kind->len) == 0;
}


/* Whether another try with other keys or another time makes sense. */
static vault_aws_keys_t *
better(vault_request_t *vr, const ses_error_t *error,
    const vault_http_answer_t *answer, vault_aws_keys_t *keys)
{
    ngx_str_t  date;

    if (is(&error->kind, "ExpiredTokenException")
        || is(&error->kind, "UnrecognizedClientException"))
    {
        return vault_aws_refresh(vr, keys);
    }

    if (is(&error->kind, "InvalidSignatureException")
        || is(&error->kind, "RequestTimeTooSkewed")
        || is(&error->kind, "RequestExpired"))
    {
        date = vault_http_header(answer, "date");
        return vault_aws_clock_correct(&date) == NGX_OK ? keys : NULL;
    }

    return NULL;
}


static vault_mail_end_e
judge(vault_request_t *vr, const ses_error_t *error,
    const vault_http_answer_t *answer, vault_mail_why_t *why)
{
    ngx_str_t   kind, text;
    ngx_uint_t  i;

    kind = vault_http_printable(vr, &error->kind);
    text = vault_http_printable(vr, &error->text);
    why->text = vault_printf(vr, "SES answers %ui %V: %V", answer->status,
                             &kind, &text);

    if (answer->status >= 500) {
        return VAULT_MAIL_AWAY;
    }

    for (i = 0; errors[i].kind; i++) {
        if (is(&error->kind, errors[i].kind)) {
            why->remedy = errors[i].remedy;
            return errors[i].end;
        }
    }

    return answer->status == 400 ? VAULT_MAIL_REFUSED : VAULT_MAIL_AWAY;
}


static vault_mail_end_e
ses_send(vault_request_t *vr, void *data, const vault_mail_letter_t *letter,
    vault_mail_why_t *why)
{
    ses_t                *ses = data;
    ngx_str_t             body;
    ngx_uint_t            tries;
    ses_error_t           error;
    vault_aws_keys_t     *keys;
    vault_http_answer_t   answer;

    keys = vault_aws_find_credentials(vr);

    if (keys == NULL || make_body(vr, letter, &body) != NGX_OK) {
        ngx_str_set(&why->text, "SES cannot be asked");
        why->remedy = "this server has no credentials of AWS";
        return VAULT_MAIL_AWAY;
    }

    for (tries = 0; /* void */ ; tries++) {

        if (ask(vr, ses, &body, keys, &answer) != NGX_OK) {
            why->text = vault_printf(vr, "SES: %V", &answer.error);
            why->remedy = "can this server reach AWS?";
            return VAULT_MAIL_AWAY;
        }

        if (answer.status == NGX_HTTP_OK) {
            return VAULT_MAIL_SENT;
        }

        error = read_error(vr, &answer);
        keys = tries ? NULL : better(vr, &error, &answer, keys);

        if (keys == NULL) {
            return judge(vr, &error, &answer, why);
        }
    }
}
