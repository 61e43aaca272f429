/*
 * mailer - mails that requests cause, and sending them afterwards.
 */

#include "mailer.h"
#include "limits.h"
#include "../model/device.h"
#include "../model/id.h"
#include "../run/await.h"


#define SENDERS    4                  /* tasks of a worker at once */
#define LIFE       (48 * 3600)        /* seconds */
#define LEASE      (VAULT_MAIL_LONGEST + 60000)    /* ms */
#define PAUSE      30000              /* after a first try; doubles */
#define PAUSES     7                  /* doublings: about an hour */
#define MOST       50                 /* mails of one run: its pool grows */
#define LONGEST    20000              /* ms, then no other one is begun */
#define ID_LEN     36
#define VARS_MAX   16
#define VALUE_MAX  4096               /* bytes of a value that are sent */

typedef struct {
    ngx_str_t    name;
    ngx_str_t    value;
} var_t;

typedef struct {
    ngx_array_t  vars;                /* of var_t */
} vars_t;

typedef struct {
    vault_conf_t  *conf;
    u_char         id[ID_LEN];        /* of the one mail to be sent */
    unsigned       one:1;             /* else all that are due */
    unsigned       busy:1;
    unsigned       more:1;
} sender_t;

static const vault_field_t  var_fields[] = {
    { "name", VAULT_TEXT, offsetof(var_t, name), VAULT_REQUIRED, 64, NULL },
    { "value", VAULT_TEXT, offsetof(var_t, value), 0, 4 * VALUE_MAX, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  var_shape = VAULT_SHAPE(var_fields, var_t);

static const vault_field_t  vars_fields[] = {
    { "vars", VAULT_LIST, offsetof(vars_t, vars), VAULT_REQUIRED, VARS_MAX,
      &var_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  vars_shape = VAULT_SHAPE(vars_fields, vars_t);


/*
 * What anybody may ask for, for an address that is not his; and codes, which
 * need a right password first.  What only tells of something that has
 * happened is never held back: an intruder would use that.  Of logins that
 * stop half way twenty an hour say enough.
 */

static const vault_limit_t  asked = { "mail", 5, 3600, 30, 3600 };
static const vault_limit_t  notices = { "mail notice", 20, 3600, 0, 0 };
static const vault_limit_t  codes = { "mail code", 10, 900, 60, 900 };

typedef struct {
    const char           *template;
    const char           *counts;     /* as this one */
    const vault_limit_t  *limit;
    ngx_uint_t            hidden;     /* whether it is sent tells whether there
                                         is such an account */
} limited_t;

static const limited_t  limited[] = {
    { "register-verify",     "register-verify",  &asked, 0 },
    { "register-exists",     "register-verify",  &asked, 0 },
    { "verify-email",        "verify-email",     &asked, 0 },
    { "password-hint",       "password-hint",    &asked, 1 },
    { "password-hint-none",  "password-hint",    &asked, 1 },
    { "delete-account",      "delete-account",   &asked, 1 },
    { "change-email",        "change-email",     &asked, 0 },
    { "change-email-exists", "change-email",     &asked, 0 },
    { "new-device-code",     "new-device-code",  &codes, 0 },
    { "protected-action",    "protected-action", &codes, 0 },
    { "two-factor-code",     "two-factor-code",  &codes, 0 },
    { "two-factor-setup",    "two-factor-code",  &codes, 0 },
    { "incomplete-login",    "incomplete-login", &notices, 0 }
};

/* Whatever has no limit of its own, to an address that is nobody's yet */
static const limited_t  unproved = { NULL, "unproved", &asked, 0 };

/* The template of a mail that is not sent. */
static const ngx_str_t  nobody = ngx_string("nobody");

static sender_t  senders[SENDERS];    /* of this worker */


ngx_uint_t
vault_mailer_enabled(vault_request_t *vr)
{
    return vr->conf->mail != NULL;
}


ngx_str_t
vault_mailer_time(vault_request_t *vr, int64_t ms)
{
    u_char  date[VAULT_DATE_LEN];

    (void) vault_date_format(date, ms);

    return vault_printf(vr, "%*s %*s UTC", (size_t) 10, date, (size_t) 5,
                        date + 11);
}


void
vault_mailer_login(vault_request_t *vr, int64_t device_type, int64_t ms,
    ngx_keyval_t vars[3])
{
    ngx_str_set(&vars[0].key, "device");
    vars[0].value = vault_device_kind(device_type);
    ngx_str_set(&vars[1].key, "address");
    vars[1].value = *vault_client_address(vr);
    ngx_str_set(&vars[2].key, "time");
    vars[2].value = vault_mailer_time(vr, ms);
}


/* Writing */

static const limited_t *
limit_of(const vault_mailer_t *mail)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(limited) / sizeof(limited[0]); i++) {
        if (ngx_strcmp(limited[i].template, mail->template) == 0) {
            return &limited[i];
        }
    }

    return mail->unproved ? &unproved : NULL;
}


static ngx_uint_t
is_held_back(vault_request_t *vr, const vault_mailer_t *mail)
{
    ngx_str_t         key;
    const limited_t  *limit = limit_of(mail);

    if (limit == NULL) {
        return 0;
    }

    key = vault_printf(vr, "%s %V", limit->counts, &mail->to);

    return vault_limit_blocked(vr, limit->limit, &key);
}


static void
write_var(vault_writer_t *w, const char *name, size_t len, ngx_str_t value)
{
    ngx_str_t  key;

    key.data = (u_char *) name;
    key.len = len;

    if (value.len > VALUE_MAX) {
        value.len = VALUE_MAX;

        while (value.len && (value.data[value.len] & 0xc0) == 0x80) {
            value.len--;
        }
    }

    if (value.data == NULL) {
        ngx_str_set(&value, "");
    }

    vault_json_open(w, NULL, '{');
    vault_json_string(w, "name", &key);
    vault_json_string(w, "value", &value);
    vault_json_close(w, '}');
}


static ngx_str_t
write_vars(vault_request_t *vr, const vault_mailer_t *mail)
{
    ngx_str_t        origin, server;
    ngx_uint_t       i;
    vault_writer_t   w;

    origin = vault_origin(vr);
    server = origin;

    if (server.len > 8) {             /* "https://" */
        server.data += 8;
        server.len -= 8;
    }

    vault_writer_init(&w, vr->pool);
    vault_json_open(&w, NULL, '{');
    vault_json_open(&w, "vars", '[');
    write_var(&w, "server", 6, server);
    write_var(&w, "origin", 6, origin);
    write_var(&w, "email", 5, mail->to);

    for (i = 0; i < mail->nvars; i++) {
        write_var(&w, (char *) mail->vars[i].key.data, mail->vars[i].key.len,
                  mail->vars[i].value);
    }

    vault_json_close(&w, ']');
    vault_json_close(&w, '}');

    return vault_written(vr, &w);
}


static void
fill(vault_request_t *vr, const vault_mailer_t *mail, vault_outbox_t *row)
{
    row->id = vault_id_create(vr);
    row->recipient = mail->to;
    row->template.data = (u_char *) mail->template;
    row->template.len = ngx_strlen(mail->template);
    row->created_at = vault_now();
    row->due_at = row->created_at;
    row->expires_at = row->created_at
                      + (int64_t) (mail->life ? mail->life : LIFE) * 1000;

    if (mail->nvars > VARS_MAX - 3
        || vault_template_find(&row->template) == NULL)
    {
        vault_fail(vr, NGX_HTTP_INTERNAL_SERVER_ERROR,
                   "There is no such message.");
    }

    row->variables = write_vars(vr, mail);

    if (mail->nobody) {
        row->template = nobody;
    }
}


static void  sender_task(vault_request_t *vr, void *data);


/* After the request; if it has failed, there is nothing to be found. */
static void
kick(void *data)
{
    sender_t    *wish = data;
    ngx_uint_t   i;

    for (i = 0; i < SENDERS; i++) {

        if (senders[i].busy) {
            continue;
        }

        senders[i] = *wish;

        if (vault_task_start(wish->conf, "mail", 0, sender_task, &senders[i])
            == NGX_OK)
        {
            senders[i].busy = 1;
        }

        return;
    }
}


/*
 * On Lambda the answer waits for what is sent: for the mail of its own request
 * alone, and not for one that shows an account by the time which it takes.
 * The others are left to the scheduled event.
 */
static void
send_later(vault_request_t *vr, const vault_mailer_t *mail,
    const vault_outbox_t *row)
{
    sender_t         *wish;
    const limited_t  *limit = limit_of(mail);

    if (vr->conf->lambda && limit && limit->hidden) {
        return;
    }

    wish = vault_calloc(vr, sizeof(sender_t));
    wish->conf = vr->conf;

    if (vr->conf->lambda) {
        wish->one = 1;
        ngx_memcpy(wish->id, row->id.data, ID_LEN);
    }

    (void) vault_defer(vr, kick, wish);
}


static void
sender_ended(void *data)
{
    sender_t  *sender = data, wish = *sender;

    sender->busy = 0;

    if (wish.more) {
        wish.busy = wish.more = 0;
        kick(&wish);
    }
}


static void  deliver_one(vault_request_t *vr, const ngx_str_t *id);


static void
sender_task(vault_request_t *vr, void *data)
{
    ngx_str_t    id;
    sender_t    *sender = data;
    ngx_uint_t   more;

    (void) vault_defer(vr, sender_ended, sender);

    if (sender->one) {
        id.data = sender->id;
        id.len = ID_LEN;
        deliver_one(vr, &id);
        return;
    }

    (void) vault_mailer_run(vr, &more);
    sender->more = more;
}


ngx_uint_t
vault_mailer_write(vault_request_t *vr, const vault_mailer_t *mail,
    vault_outbox_t *row)
{
    if (!vault_mailer_enabled(vr) || is_held_back(vr, mail)) {
        return 0;
    }

    fill(vr, mail, row);
    send_later(vr, mail, row);

    return 1;
}


ngx_uint_t
vault_mailer_add(vault_change_t *change, const vault_mailer_t *mail)
{
    vault_outbox_t  row;

    if (!vault_mailer_write(change->vr, mail, &row)) {
        return 0;
    }

    vault_outbox_add(change, &row);

    return 1;
}


ngx_uint_t
vault_mailer_queue(vault_request_t *vr, const vault_mailer_t *mail)
{
    vault_outbox_t  row;

    if (!vault_mailer_write(vr, mail, &row)) {
        return 0;
    }

    vault_outbox_insert(vr, &row);

    return 1;
}


/* Sending */

static int64_t
pause_of(int64_t tries)
{
    int64_t  ms;

    ms = (int64_t) PAUSE << ngx_min(ngx_max(tries - 1, 0), PAUSES);

    return ms + (int64_t) (ngx_random() % (ms / 4));
}


static void
give_up(vault_request_t *vr, const vault_outbox_t *row, const char *why)
{
    vault_mail_give_up(vr->conf->mail);

    ngx_log_error(NGX_LOG_WARN, vr->log, 0,
                  "vault: mail %V (%V) is given up: after %L tries %s",
                  &row->id, &row->template, row->tries, why);
}


static ngx_uint_t
is_for_nobody(const vault_outbox_t *row)
{
    return row->template.len == nobody.len
           && ngx_memcmp(row->template.data, nobody.data, nobody.len) == 0;
}


static vault_mail_end_e
attempt(vault_request_t *vr, const vault_outbox_t *row)
{
    var_t                 *var;
    vars_t                 vars;
    ngx_uint_t             i;
    ngx_keyval_t          *pairs;
    vault_json_error_t     err;
    vault_mail_message_t   message;

    if (vault_json_parse(vr->pool, &row->variables, &vars_shape, &vars, &err)
        != NGX_OK)
    {
        give_up(vr, row, "its row cannot be read");
        return VAULT_MAIL_REFUSED;
    }

    var = vars.vars.elts;
    pairs = vault_alloc(vr, (vars.vars.nelts + 1) * sizeof(ngx_keyval_t));

    for (i = 0; i < vars.vars.nelts; i++) {
        pairs[i].key = var[i].name;
        pairs[i].value = var[i].value;
    }

    message.id = row->id;
    message.date = row->created_at;
    message.template = row->template;
    message.to = row->recipient;
    message.vars = pairs;
    message.nvars = vars.vars.nelts;

    return vault_mail_send(vr, &message);
}


/* 0: the mail server is away. */
static ngx_uint_t
deliver(vault_request_t *vr, const vault_outbox_t *row, ngx_uint_t *done)
{
    vault_mail_end_e  end;

    if (is_for_nobody(row)) {
        end = VAULT_MAIL_REFUSED;

    } else if (row->expires_at <= vault_now()) {
        give_up(vr, row, "it is of no use any more");
        end = VAULT_MAIL_REFUSED;

    } else {
        end = attempt(vr, row);
    }

    if (end == VAULT_MAIL_SENT || end == VAULT_MAIL_REFUSED) {
        vault_outbox_delete(vr, row);
        (*done)++;

    } else {
        vault_outbox_put_off(vr, row, vault_now() + pause_of(row->tries));
    }

    return end != VAULT_MAIL_AWAY;
}


static void
deliver_one(vault_request_t *vr, const ngx_str_t *id)
{
    ngx_uint_t      done = 0;
    vault_outbox_t  row;

    if (vault_outbox_take_one(vr, &row, id, LEASE)) {
        (void) deliver(vr, &row, &done);
    }
}


ngx_uint_t
vault_mailer_run(vault_request_t *vr, ngx_uint_t *more)
{
    ngx_msec_t      from = ngx_current_msec;
    ngx_uint_t      n, done = 0;
    vault_outbox_t  row;

    *more = vault_mailer_enabled(vr);

    for (n = 0;
         *more && n < MOST && ngx_current_msec - from < LONGEST;
         n++)
    {
        *more = vault_outbox_take(vr, &row, LEASE)
                && deliver(vr, &row, &done);
    }

    return done;
}
