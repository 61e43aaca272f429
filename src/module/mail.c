/*
 * How mail is sent: a URL, a sender, and the operator's own words.
 */

#include "module.h"
#include "../aws/endpoint.h"
#include "../net/line.h"


#define TIMEOUT  30000                /* ms for each answer */
#define NAME     255                  /* of a host or a region */


/* A part of a URL, decoded and ended by NUL. */
static ngx_int_t
decode(ngx_conf_t *cf, const u_char *from, const u_char *to, ngx_str_t *out)
{
    u_char  *src = (u_char *) from, *dst;

    dst = ngx_pnalloc(cf->pool, to - from + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    out->data = dst;
    ngx_unescape_uri(&dst, &src, to - from, 0);
    *dst = '\0';
    out->len = dst - out->data;

    return NGX_OK;
}


static ngx_uint_t
is(const ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_memcmp(text->data, word, text->len) == 0;
}


/* "host", "host:587" or "[::1]:587" */
static char *
read_host(ngx_conf_t *cf, const u_char *p, const u_char *end,
    vault_mail_settings_t *mail)
{
    size_t         i;
    ngx_int_t      port;
    const u_char  *colon = end;

    if (p < end && *p == '[') {
        colon = ngx_strlchr((u_char *) p, (u_char *) end, ']');

        if (colon == NULL) {
            return "has an address without its \"]\"";
        }

        mail->host.len = colon - p - 1;
        mail->host.data = (u_char *) p + 1;
        colon++;

    } else {
        colon = ngx_strlchr((u_char *) p, (u_char *) end, ':');
        colon = colon ? colon : end;
        mail->host.len = colon - p;
        mail->host.data = (u_char *) p;
    }

    if (colon < end) {
        port = *colon == ':' ? ngx_atoi((u_char *) colon + 1, end - colon - 1)
                             : NGX_ERROR;

        if (port < 1 || port > 65535) {
            return "has a port that is none";
        }

        mail->port = port;
    }

    for (i = 0; i < mail->host.len; i++) {
        if (mail->host.data[i] <= ' ' || mail->host.data[i] >= 0x7f
            || strchr("/?@%[]\"", mail->host.data[i]))
        {
            return "has a host that is none";
        }
    }

    return mail->host.len && mail->host.len <= NAME
           ? NGX_CONF_OK : "has a host that is none";
}


/* Parameters of both kinds */

static char *
read_file(ngx_conf_t *cf, const ngx_str_t *value, ngx_str_t *path)
{
    ngx_file_info_t  fi;

    *path = *value;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_file_info(path->data, &fi) == NGX_FILE_ERROR
           ? "has a ca= that names no file" : NGX_CONF_OK;
}


static char *
read_auth(const ngx_str_t *value, vault_mail_settings_t *mail)
{
    mail->auth = is(value, "plain") ? VAULT_SMTP_AUTH_PLAIN
                 : is(value, "login") ? VAULT_SMTP_AUTH_LOGIN
                 : is(value, "xoauth2") ? VAULT_SMTP_AUTH_XOAUTH2
                 : VAULT_SMTP_AUTH_ANY;

    return mail->auth == VAULT_SMTP_AUTH_ANY
           ? "has an auth= that is neither plain, login nor xoauth2"
           : NGX_CONF_OK;
}


static char *
smtp_parameter(ngx_conf_t *cf, const ngx_str_t *name, ngx_str_t *value,
    vault_mail_settings_t *mail)
{
    if (is(name, "starttls") && mail->tls != VAULT_SMTP_TLS) {
        mail->tls = is(value, "none") ? VAULT_SMTP_PLAIN
                                      : VAULT_SMTP_STARTTLS;
        return is(value, "none") || is(value, "required")
               ? NGX_CONF_OK
               : "has a starttls= that is neither required nor none";
    }

    if (is(name, "auth")) {
        return read_auth(value, mail);
    }

    if (is(name, "password")) {
        return vault_secret_value(cf, value, &mail->password);
    }

    if (is(name, "name")) {
        mail->name = *value;
        return value->len && vault_line_is_target(value)
               ? NGX_CONF_OK : "has a name= that is none";
    }

    if (is(name, "timeout")) {
        mail->timeout = ngx_parse_time(value, 0);
        return mail->timeout == (ngx_msec_t) NGX_ERROR || mail->timeout == 0
               ? "has a timeout= that is no time" : NGX_CONF_OK;
    }

    return "has a parameter it does not know";
}


static char *
ses_parameter(ngx_conf_t *cf, const ngx_str_t *name, ngx_str_t *value,
    vault_mail_settings_t *mail)
{
    size_t  skip;

    if (!is(name, "endpoint")) {
        return "has a parameter it does not know";
    }

    if (value->len > 8 && ngx_strncmp(value->data, "https://", 8) == 0) {
        skip = 8;

    } else if (value->len > 7
               && ngx_strncmp(value->data, "http://", 7) == 0)
    {
        skip = 7;
        mail->tls = 0;
        mail->port = 80;

    } else {
        return "has an endpoint= that is no URL";
    }

    return read_host(cf, value->data + skip, value->data + value->len, mail);
}


static char *
read_parameters(ngx_conf_t *cf, u_char *p, u_char *end,
    vault_mail_settings_t *mail)
{
    char       *rc;
    u_char     *next, *equals;
    ngx_str_t   name, value;

    while (p < end) {
        next = ngx_strlchr(p, end, '&');
        next = next ? next : end;
        equals = ngx_strlchr(p, next, '=');

        if (equals == NULL) {
            return "has a parameter without \"=\"";
        }

        name.data = p;
        name.len = equals - p;

        if (decode(cf, equals + 1, next, &value) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        rc = is(&name, "ca") ? read_file(cf, &value, &mail->ca_file)
             : mail->kind == VAULT_MAIL_SES
             ? ses_parameter(cf, &name, &value, mail)
             : smtp_parameter(cf, &name, &value, mail);

        if (rc != NGX_CONF_OK) {
            return rc;
        }

        p = next + 1;
    }

    return NGX_CONF_OK;
}


/* The whole */

/* What is between the scheme and the parameters of smtp: "user@host:port". */
static char *
read_server(ngx_conf_t *cf, u_char *p, u_char *end,
    vault_mail_settings_t *mail)
{
    u_char  *at;

    if (p < end && end[-1] == '/') {
        end--;
    }

    at = ngx_strlchr(p, end, '@');

    if (at) {
        if (ngx_strlchr(p, at, ':')) {
            return "has its password in the wrong place: say "
                   "\"?password=file:PATH\"";
        }

        if (decode(cf, p, at, &mail->user) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        p = at + 1;
    }

    return read_host(cf, p, end, mail);
}


static ngx_uint_t
is_loopback(const ngx_str_t *host)
{
    return is(host, "localhost") || is(host, "::1")
           || (host->len > 4 && ngx_strncmp(host->data, "127.", 4) == 0);
}


static char *
check_smtp(ngx_conf_t *cf, const vault_mail_settings_t *mail)
{
    if (mail->user.len == 0
        && (mail->password.data || mail->auth != VAULT_SMTP_AUTH_ANY))
    {
        return "has a password or auth= but no user";
    }

    if (mail->user.len && mail->password.len == 0) {
        return "has a user but no password=";
    }

    if (mail->tls == VAULT_SMTP_PLAIN && mail->user.len
        && !is_loopback(&mail->host))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"vault_mail\" sends its password to %V without "
                           "TLS", &mail->host);
    }

    return NGX_CONF_OK;
}


static char *
read_smtp(ngx_conf_t *cf, ngx_str_t *url, vault_mail_settings_t *mail)
{
    char    *rc;
    u_char  *p, *end, *question;

    mail->kind = VAULT_MAIL_SMTP;
    mail->timeout = TIMEOUT;

    if (ngx_strncmp(url->data, "smtps://", 8) == 0) {
        p = url->data + 8;
        mail->tls = VAULT_SMTP_TLS;
        mail->port = 465;

    } else {
        p = url->data + 7;
        mail->tls = VAULT_SMTP_STARTTLS;
        mail->port = 587;
    }

    end = url->data + url->len;
    question = ngx_strlchr(p, end, '?');
    question = question ? question : end;

    rc = read_server(cf, p, question, mail);

    if (rc == NGX_CONF_OK && question < end) {
        rc = read_parameters(cf, question + 1, end, mail);
    }

    return rc == NGX_CONF_OK ? check_smtp(cf, mail) : rc;
}


static char *
read_ses(ngx_conf_t *cf, ngx_str_t *url, vault_mail_settings_t *mail)
{
    u_char  *p, *end, *question;

    mail->kind = VAULT_MAIL_SES;
    mail->tls = 1;
    mail->port = 443;

    p = url->data + 4;
    end = url->data + url->len;
    question = ngx_strlchr(p, end, '?');
    question = question ? question : end;

    mail->region.data = p;
    mail->region.len = question - p;

    if (vault_aws_region_check(&mail->region) != NGX_OK) {
        return "takes a region after \"ses:\", such as ses:eu-west-1";
    }

    return question < end ? read_parameters(cf, question + 1, end, mail)
                          : NGX_CONF_OK;
}


char *
vault_set_mail(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t         *value;
    vault_srv_conf_t  *scf = conf;

    if (scf->mail_set) {
        return "is duplicate";
    }

    scf->mail_set = 1;
    value = cf->args->elts;

    if (is(&value[1], "off")) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[1].data, "smtp://", 7) == 0
        || ngx_strncmp(value[1].data, "smtps://", 8) == 0)
    {
        return read_smtp(cf, &value[1], &scf->mail);
    }

    if (ngx_strncmp(value[1].data, "ses:", 4) == 0) {
        return read_ses(cf, &value[1], &scf->mail);
    }

    return "takes \"off\", \"smtp://user@host:587?password=file:PATH\", "
           "\"smtps://…\" or \"ses:REGION\"";
}


/* "Name <address>", or the address alone. */
char *
vault_set_mail_from(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char            *open, *end;
    ngx_str_t         *value, *name, *from;
    vault_srv_conf_t  *scf = conf;

    name = &scf->mail.from_name;
    from = &scf->mail.from;

    if (from->data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *from = value[1];
    end = from->data + from->len;
    open = ngx_strlchr(from->data, end, '<');

    if (open) {
        if (end[-1] != '>') {
            return "must be like \"Vault <vault@example.com>\"";
        }

        name->data = from->data;
        name->len = open - from->data;
        from->data = open + 1;
        from->len = end - 1 - from->data;

        while (name->len && name->data[name->len - 1] == ' ') {
            name->len--;
        }
    }

    if (vault_email_check(from) != NGX_OK
        || (name->len && vault_utf8_check(name) != NGX_OK))
    {
        return "must be like \"Vault <vault@example.com>\"";
    }

    return NGX_CONF_OK;
}


/* The folder is the vault's own business; only that it is there is asked. */
char *
vault_set_mail_templates(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t         *value, *path;
    ngx_file_info_t    fi;
    vault_srv_conf_t  *scf = conf;

    path = &scf->mail.templates;

    if (path->data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *path = value[1];

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        return "names a folder that is not there";
    }

    return NGX_CONF_OK;
}


/* Each of the three directives is inherited by itself. */
void
vault_merge_mail(vault_srv_conf_t *prev, vault_srv_conf_t *conf)
{
    vault_mail_settings_t  own = conf->mail;

    if (!conf->mail_set) {
        conf->mail = prev->mail;
        conf->mail_set = prev->mail_set;
    }

    conf->mail.from = own.from.data ? own.from : prev->mail.from;
    conf->mail.from_name = own.from.data ? own.from_name
                                         : prev->mail.from_name;
    conf->mail.templates = own.templates.data ? own.templates
                                              : prev->mail.templates;
}


ngx_int_t
vault_attach_mail(ngx_conf_t *cf, vault_srv_conf_t *scf)
{
    if (scf->mail.kind == VAULT_MAIL_OFF) {
        return NGX_OK;
    }

    if (scf->mail.from.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_mail\" needs \"vault_mail_from\" too");
        return NGX_ERROR;
    }

    /* else links would lead to whatever Host a stranger has sent */

    if (scf->vault.origin.len == 0 && scf->vault.secrets[0].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vault_mail\" needs \"vault_origin\" too: links "
                           "in mails lead there");
        return NGX_ERROR;
    }

    scf->vault.mail = vault_mail_create(cf, &scf->mail, scf->vault.aws);

    return scf->vault.mail ? NGX_OK : NGX_ERROR;
}
