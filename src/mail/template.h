/*
 * template - the words of every message, and how they become its two parts.
 *
 * Why:    one short text a message is the source of both the plain and the
 *         HTML part, so that they cannot say different things.
 * Use:    vault_template_load() while the configuration is read, then
 *         vault_template_render().
 * Owns:   results live in the pool that was given.
 * Fails:  loading: NULL with what is wrong in *err.  Rendering: NGX_DECLINED
 *         for a name that is none, NGX_ERROR for memory.
 * Waits:  rendering never; loading reads files.
 *
 * The form of a text: its first line is the subject, then paragraphs with an
 * empty line between.  {{name}} stands for a variable.  A paragraph
 *
 *     = {{code}}             is shown large, to be typed
 *     -> Log in: {{url}}     is a button, and a link to copy
 *
 * An operator's folder may hold NAME.txt of this form, layout.html, which is
 * around all of them ({{subject}}, {{body}}), and NAME.html, which is the
 * whole of one message's HTML.
 *
 * Values come from users: their control characters become spaces, and HTML
 * gets them escaped.  What a template says of form is read before.
 */

#ifndef VAULT_MAIL_TEMPLATE_H
#define VAULT_MAIL_TEMPLATE_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    const char  *name;
    const char  *variables;           /* with spaces between, besides
                                         VAULT_TEMPLATE_COMMON */
    const char  *text;
} vault_template_t;

/* server: its host; origin: its URL; email: to whom the message goes. */
#define VAULT_TEMPLATE_COMMON  "server origin email"

extern const vault_template_t  vault_template_texts[];  /* ended by name NULL */
extern const char              vault_template_layout[];

typedef struct vault_templates_s  vault_templates_t;

typedef struct {
    ngx_str_t    subject;
    ngx_str_t    text;
    ngx_str_t    html;
} vault_template_parts_t;


/* `folder` empty: none.  What is missing in it is ours. */
vault_templates_t *vault_template_load(ngx_pool_t *pool,
    const ngx_str_t *folder, ngx_str_t *err);

/* NULL if there is none of that name. */
const vault_template_t *vault_template_find(const ngx_str_t *name);

/* A variable that is not among `vars` is empty. */
ngx_int_t vault_template_render(ngx_pool_t *pool,
    const vault_templates_t *templates, const ngx_str_t *name,
    const ngx_keyval_t *vars, ngx_uint_t nvars, vault_template_parts_t *out);


#endif
