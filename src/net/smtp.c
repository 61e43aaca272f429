/*
 * smtp - hands one message to a mail server.
 */

#include "smtp.h"
#include "line.h"
#include "talk.h"
#include "../crypto/crypto.h"


#define CONNECT    10000              /* ms for each address */
#define GOODBYE    1000               /* for the answer to QUIT */
#define LINES_MAX  100                /* of one answer */
#define TEXT_MAX   300                /* of it that is told */

typedef struct {
    vault_request_t            *vr;
    const vault_smtp_server_t  *server;
    vault_smtp_answer_t        *answer;
    vault_talk_t               *talk;

    unsigned                    starttls:1;   /* what the server offers */
    unsigned                    plain:1;
    unsigned                    login:1;
    unsigned                    xoauth2:1;
} dialog_t;


static ngx_int_t
give_up(dialog_t *d, const char *why)
{
    d->answer->code = 0;
    d->answer->text = vault_printf(d->vr, "%s", why);

    return NGX_ERROR;
}


/* What the server says */

static ngx_uint_t
word_is(const u_char *p, const u_char *end, const char *word)
{
    size_t  len = ngx_strlen(word);

    return (size_t) (end - p) >= len
           && ngx_strncasecmp((u_char *) p, (u_char *) word, len) == 0
           && (p + len == end || p[len] == ' ');
}


/* "STARTTLS" or "AUTH PLAIN LOGIN", or the "AUTH=PLAIN" of old servers. */
static void
read_offer(dialog_t *d, const u_char *p, const u_char *end)
{
    if (word_is(p, end, "STARTTLS")) {
        d->starttls = 1;
        return;
    }

    if (end - p < 5 || ngx_strncasecmp((u_char *) p, (u_char *) "AUTH", 4)
                       != 0)
    {
        return;
    }

    for (p += 5; p < end; p++) {
        if (p[-1] == ' ' || p[-1] == '=') {
            d->plain |= word_is(p, end, "PLAIN");
            d->login |= word_is(p, end, "LOGIN");
            d->xoauth2 |= word_is(p, end, "XOAUTH2");
        }
    }
}


/* For the log: what a server says is not to be trusted with its form. */
static void
keep_text(dialog_t *d, const ngx_str_t *line)
{
    size_t      i;
    ngx_str_t  *text = &d->answer->text;

    text->len = ngx_min(line->len, TEXT_MAX);
    text->data = vault_alloc(d->vr, text->len + 1);

    for (i = 0; i < text->len; i++) {
        text->data[i] = line->data[i] < ' ' || line->data[i] >= 0x7f
                        ? '?' : line->data[i];
    }
}


/* The code of a line, 0 if it has none. */
static ngx_uint_t
read_code(const ngx_str_t *line)
{
    ngx_int_t  code;

    if (line->len < 3
        || (line->len > 3 && line->data[3] != ' ' && line->data[3] != '-'))
    {
        return 0;
    }

    code = ngx_atoi(line->data, 3);

    return code >= 200 && code < 600 ? (ngx_uint_t) code : 0;
}


/* One answer, of several lines perhaps.  NGX_OK if it is of this class. */
static ngx_int_t
listen_for(dialog_t *d, ngx_uint_t class)
{
    ngx_str_t   line;
    ngx_uint_t  code, n;

    d->answer->code = 0;

    for (n = 0; n < LINES_MAX; n++) {

        if (vault_talk_line(d->talk, &line) != NGX_OK) {
            d->answer->text = d->talk->error;
            return NGX_ERROR;
        }

        code = read_code(&line);

        if (code == 0) {
            return give_up(d, "what answers does not speak SMTP");
        }

        if (d->answer->stage == VAULT_SMTP_AT_HELLO && line.len > 4) {
            read_offer(d, line.data + 4, line.data + line.len);
        }

        if (line.len == 3 || line.data[3] == ' ') {
            d->answer->code = code;
            keep_text(d, &line);
            return code / 100 == class ? NGX_OK : NGX_ERROR;
        }
    }

    return give_up(d, "an answer without an end");
}


static ngx_int_t
say(dialog_t *d, const ngx_str_t *line, ngx_uint_t class)
{
    d->answer->code = 0;

    if (vault_talk_write(d->talk, line) != NGX_OK) {
        d->answer->text = d->talk->error;
        return NGX_ERROR;
    }

    return listen_for(d, class);
}


static ngx_int_t
command(dialog_t *d, const char *name, const ngx_str_t *argument,
    const char *end, ngx_uint_t class)
{
    u_char     *p;
    ngx_str_t   line;

    line.data = vault_alloc(d->vr, ngx_strlen(name) + argument->len
                                   + ngx_strlen(end) + 2);
    p = ngx_sprintf(line.data, "%s%V%s\r\n", name, argument, end);
    line.len = p - line.data;

    return say(d, &line, class);
}


/* Who we are */

static ngx_int_t
hello(dialog_t *d)
{
    d->answer->stage = VAULT_SMTP_AT_HELLO;
    d->starttls = d->plain = d->login = d->xoauth2 = 0;

    return command(d, "EHLO ", &d->server->name, "", 2);
}


static ngx_int_t
secure(dialog_t *d)
{
    d->answer->stage = VAULT_SMTP_AT_TLS;

    if (vault_talk_secure(d->talk) != NGX_OK) {
        d->answer->code = 0;
        d->answer->text = d->talk->error;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
start_tls(dialog_t *d)
{
    ngx_str_t  line = ngx_string("STARTTLS\r\n");

    if (!d->starttls) {
        d->answer->stage = VAULT_SMTP_AT_TLS;
        return give_up(d, "the server offers no STARTTLS");
    }

    d->answer->stage = VAULT_SMTP_AT_TLS;

    return say(d, &line, 2) == NGX_OK && secure(d) == NGX_OK ? hello(d)
                                                             : NGX_ERROR;
}


/* `name` and base64 of the n texts, one after another. */
static ngx_int_t
say_secret(dialog_t *d, const char *name, const ngx_str_t *parts,
    ngx_uint_t n, ngx_uint_t class)
{
    size_t      len = 0;
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   secret, encoded, line;
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    secret.len = len;
    secret.data = vault_alloc(d->vr, len + 1);
    p = secret.data;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, parts[i].data, parts[i].len);
    }

    line.data = vault_alloc(d->vr, ngx_strlen(name)
                                   + ngx_base64_encoded_length(len) + 2);
    p = ngx_cpymem(line.data, name, ngx_strlen(name));
    encoded.data = p;
    ngx_encode_base64(&encoded, &secret);
    p = ngx_cpymem(p + encoded.len, "\r\n", 2);
    line.len = p - line.data;

    vault_wipe(secret.data, secret.len);
    rc = say(d, &line, class);
    vault_wipe(line.data, line.len);

    return rc;
}


static ngx_int_t
auth_plain(dialog_t *d)
{
    ngx_str_t  parts[] = {
        { 1, (u_char *) "" }, d->server->user,
        { 1, (u_char *) "" }, d->server->password
    };

    return say_secret(d, "AUTH PLAIN ", parts, 4, 2);
}


static ngx_int_t
auth_login(dialog_t *d)
{
    ngx_str_t  line = ngx_string("AUTH LOGIN\r\n");

    return say(d, &line, 3) == NGX_OK
           && say_secret(d, "", &d->server->user, 1, 3) == NGX_OK
           ? say_secret(d, "", &d->server->password, 1, 2) : NGX_ERROR;
}


static ngx_int_t
auth_xoauth2(dialog_t *d)
{
    ngx_str_t  end = ngx_string("\r\n");
    ngx_str_t  parts[] = {
        ngx_string("user="), d->server->user,
        ngx_string("\1auth=Bearer "), d->server->password,
        ngx_string("\1\1")
    };

    if (say_secret(d, "AUTH XOAUTH2 ", parts, 5, 2) == NGX_OK) {
        return NGX_OK;
    }

    /* it has said why in base64, and says it is an error if asked */
    return d->answer->code == 334 ? say(d, &end, 2) : NGX_ERROR;
}


static ngx_int_t
authenticate(dialog_t *d)
{
    vault_smtp_auth_e  auth = d->server->auth;

    d->answer->stage = VAULT_SMTP_AT_AUTH;

    if (auth == VAULT_SMTP_AUTH_ANY) {
        auth = d->login && !d->plain ? VAULT_SMTP_AUTH_LOGIN
                                     : VAULT_SMTP_AUTH_PLAIN;
    }

    if (auth == VAULT_SMTP_AUTH_LOGIN && d->login) {
        return auth_login(d);
    }

    if (auth == VAULT_SMTP_AUTH_XOAUTH2 && d->xoauth2) {
        return auth_xoauth2(d);
    }

    if (auth == VAULT_SMTP_AUTH_PLAIN && d->plain) {
        return auth_plain(d);
    }

    return give_up(d, "the server does not offer this kind of AUTH");
}


static ngx_int_t
begin(dialog_t *d)
{
    if (d->server->tls == VAULT_SMTP_TLS && secure(d) != NGX_OK) {
        return NGX_ERROR;
    }

    d->answer->stage = VAULT_SMTP_AT_GREETING;

    if (listen_for(d, 2) != NGX_OK || hello(d) != NGX_OK) {
        return NGX_ERROR;
    }

    if (d->server->tls == VAULT_SMTP_STARTTLS && start_tls(d) != NGX_OK) {
        return NGX_ERROR;
    }

    return d->server->user.len ? authenticate(d) : NGX_OK;
}


/* What we bring */

/* A line that begins with a dot gets another one. */
static ngx_int_t
write_message(dialog_t *d, const ngx_str_t *message)
{
    u_char     *p, *end = message->data + message->len;
    ngx_str_t   part, dot = ngx_string(".");

    part.data = message->data;

    for (p = message->data; p < end; p++) {

        if (*p != '.' || (p != message->data && p[-1] != '\n')) {
            continue;
        }

        part.len = p - part.data;

        if (vault_talk_write(d->talk, &part) != NGX_OK
            || vault_talk_write(d->talk, &dot) != NGX_OK)
        {
            return NGX_ERROR;
        }

        part.data = p;
    }

    part.len = end - part.data;

    return vault_talk_write(d->talk, &part);
}


static ngx_int_t
deliver(dialog_t *d, const ngx_str_t *from, const ngx_str_t *to,
    const ngx_str_t *message)
{
    ngx_str_t  data = ngx_string("DATA\r\n"), end = ngx_string(".\r\n");

    d->answer->stage = VAULT_SMTP_AT_SENDER;

    if (command(d, "MAIL FROM:<", from, ">", 2) != NGX_OK) {
        return NGX_ERROR;
    }

    d->answer->stage = VAULT_SMTP_AT_RECIPIENT;

    if (command(d, "RCPT TO:<", to, ">", 2) != NGX_OK) {
        return NGX_ERROR;
    }

    d->answer->stage = VAULT_SMTP_AT_MESSAGE;

    if (say(d, &data, 3) != NGX_OK) {
        return NGX_ERROR;
    }

    d->answer->code = 0;
    d->talk->silence = 3 * d->server->timeout;

    if (write_message(d, message) != NGX_OK) {
        d->answer->text = d->talk->error;
        return NGX_ERROR;
    }

    return say(d, &end, 2);
}


/* Politely, but what it answers changes nothing. */
static void
leave(dialog_t *d)
{
    ngx_str_t            line = ngx_string("QUIT\r\n");
    vault_smtp_answer_t  answer = *d->answer;

    if (answer.code) {
        d->talk->silence = GOODBYE;
        (void) say(d, &line, 2);
        *d->answer = answer;
    }

    vault_talk_close(d->talk);
}


static ngx_uint_t
is_sound(const ngx_str_t *from, const ngx_str_t *to, const ngx_str_t *message)
{
    return vault_line_is_value(from) && vault_line_is_value(to)
           && message->len >= 2
           && ngx_memcmp(message->data + message->len - 2, "\r\n", 2) == 0;
}


ngx_int_t
vault_smtp_send(vault_request_t *vr, const vault_smtp_server_t *server,
    const ngx_str_t *from, const ngx_str_t *to, const ngx_str_t *message,
    vault_smtp_answer_t *answer)
{
    dialog_t   *d;
    ngx_int_t   rc;

    ngx_memzero(answer, sizeof(vault_smtp_answer_t));

    d = vault_calloc(vr, sizeof(dialog_t));
    d->vr = vr;
    d->server = server;
    d->answer = answer;

    if (!is_sound(from, to, message)) {
        return give_up(d, "the message is malformed");
    }

    d->talk = vault_talk_open(vr, server->up,
                              ngx_min(server->timeout, CONNECT),
                              VAULT_SMTP_TOTAL, &answer->text);
    if (d->talk == NULL) {
        return NGX_ERROR;
    }

    d->talk->silence = server->timeout;
    rc = begin(d);

    if (rc == NGX_OK) {
        rc = deliver(d, from, to, message);
    }

    leave(d);

    return rc;
}
