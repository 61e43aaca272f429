/*
 * Endpoints for the tests of mail, in debug builds only: they cause a mail as
 * any request may, and send what is due.
 */

#include "../model/outbox.h"
#include "../rules/mailer.h"
#include "api.h"

#if (VAULT_DEBUG)

typedef struct {
    ngx_str_t    name;
    ngx_str_t    value;
} debug_var_t;

typedef struct {
    ngx_str_t    template;
    ngx_str_t    to;
    int64_t      life;
    int64_t      fail;                /* roll back afterwards */
    ngx_array_t  vars;
} debug_mail_t;

static const vault_field_t  var_fields[] = {
    { "name", VAULT_TEXT, offsetof(debug_var_t, name), VAULT_REQUIRED, 0,
      NULL },
    { "value", VAULT_TEXT, offsetof(debug_var_t, value), 0, 0, NULL },
    VAULT_FIELDS_END
};

static const vault_shape_t  var_shape = VAULT_SHAPE(var_fields, debug_var_t);

static const vault_field_t  mail_fields[] = {
    { "template", VAULT_TEXT, offsetof(debug_mail_t, template),
      VAULT_REQUIRED, 0, NULL },
    { "to", VAULT_TEXT, offsetof(debug_mail_t, to), VAULT_REQUIRED, 0, NULL },
    { "life", VAULT_INT, offsetof(debug_mail_t, life), 0, 0, NULL },
    { "fail", VAULT_BOOL, offsetof(debug_mail_t, fail), 0, 0, NULL },
    { "vars", VAULT_LIST, offsetof(debug_mail_t, vars), VAULT_REQUIRED, 0,
      &var_shape },
    VAULT_FIELDS_END
};

static const vault_shape_t  mail_shape = VAULT_SHAPE(mail_fields,
                                                     debug_mail_t);

static void debug_queue(vault_request_t *vr);
static void debug_run(vault_request_t *vr);
static void debug_list(vault_request_t *vr);


const vault_route_t  vault_debug_mail_routes[] = {
    { POST, "/api/debug/mail",     debug_queue, VAULT_ANYONE },
    { POST, "/api/debug/mail/run", debug_run,   VAULT_ANYONE },
    { GET,  "/api/debug/mail",     debug_list,  VAULT_ANYONE },
    VAULT_ROUTE_END
};


typedef struct {
    const debug_mail_t  *form;
    vault_mailer_t       mail;
    ngx_uint_t           queued;
} debug_work_t;


static void
debug_body(vault_request_t *vr, void *data)
{
    debug_work_t  *work = data;

    work->queued = vault_mailer_queue(vr, &work->mail);

    if (work->form->fail == 1) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST, "The change has failed.");
    }
}


/* In a transaction, which may fail. */
static void
debug_queue(vault_request_t *vr)
{
    ngx_str_t      text;
    ngx_uint_t     i;
    debug_var_t   *var;
    debug_mail_t   form;
    debug_work_t   work;
    ngx_keyval_t  *vars;

    vault_json_read(vr, &mail_shape, &form);

    var = form.vars.elts;
    vars = vault_alloc(vr, (form.vars.nelts + 1) * sizeof(ngx_keyval_t));

    for (i = 0; i < form.vars.nelts; i++) {
        vars[i].key = var[i].name;
        vars[i].value = var[i].value;
    }

    text = vault_printf(vr, "%V%Z", &form.template);

    ngx_memzero(&work, sizeof(debug_work_t));
    work.form = &form;
    work.mail.template = (char *) text.data;
    work.mail.to = form.to;
    work.mail.vars = vars;
    work.mail.nvars = form.vars.nelts;
    work.mail.life = form.life == VAULT_NULL ? 0 : form.life;

    vault_db_transaction(vr, debug_body, &work);

    text = vault_printf(vr, "%ui", work.queued);
    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &text);
}


static void
debug_run(vault_request_t *vr)
{
    ngx_str_t   text;
    ngx_uint_t  more;

    text = vault_printf(vr, "%ui", vault_mailer_run(vr, &more));
    vault_reply_text(vr, NGX_HTTP_OK, "application/json", &text);
}


/* Templates with their variables, for tests and for make mail-preview. */
static void
debug_list(vault_request_t *vr)
{
    vault_writer_t          *w;
    const vault_template_t  *template;

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');

    for (template = vault_template_texts; template->name; template++) {
        vault_json_cstring(w, template->name, template->variables);
    }

    vault_json_close(w, '}');
    vault_reply_writer(vr, w);
}

#endif
