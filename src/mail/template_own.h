/*
 * template_own - the texts in use, for the files of template alone.
 */

#ifndef VAULT_MAIL_TEMPLATE_OWN_H
#define VAULT_MAIL_TEMPLATE_OWN_H

#include "template.h"


typedef struct {
    ngx_str_t               text;     /* checked: a subject, then LF */
    ngx_str_t               html;     /* empty: from the text */
} vault_template_own_t;

struct vault_templates_s {
    vault_template_own_t   *own;      /* one for each of ours */
    ngx_str_t               layout;
};


/* The name in the "{{name}}" at p; 0 if there is none. */
ngx_uint_t vault_template_name(const u_char *p, const u_char *end,
    ngx_str_t *name);


#endif
