/*
 * Equivalent domains: the settings of one user.
 */

#include "../run/route.h"
#include "../rules/domains.h"
#include "../rules/session.h"


#define DOMAINS_GROUPS  1000          /* of the user's own */
#define DOMAINS_NAMES   1000          /* in a group */
#define DOMAINS_NAME    1000          /* bytes */
#define DOMAINS_BYTES   (256 * 1024)  /* together */


static void  domains_get(vault_request_t *vr);
static void  domains_update(vault_request_t *vr);
static void  domains_reply(vault_request_t *vr, const vault_user_t *user,
    ngx_uint_t all);


const vault_route_t  vault_domains_routes[] = {
    { GET,  "/api/settings/domains", domains_get,    VAULT_USER },
    { PUT,  "/api/settings/domains", domains_update, VAULT_USER },
    { POST, "/api/settings/domains", domains_update, VAULT_USER },
    VAULT_ROUTE_END
};


typedef struct {
    ngx_str_t  own;                   /* [["a.example","b.example"],…] */
    ngx_str_t  excluded;              /* [2,17,…] */
} domains_form_t;

static const vault_range_t  number_range = { 0, 255 };

static const vault_field_t  name_field = {
    "domain", VAULT_TEXT, 0, VAULT_REQUIRED, DOMAINS_NAME
};

static const vault_field_t  group_field = {
    "domains", VAULT_ARRAY, 0, VAULT_REQUIRED, DOMAINS_NAMES, &name_field
};

static const vault_field_t  number_field = {
    "type", VAULT_INT, 0, VAULT_REQUIRED, 0, &number_range
};

static const vault_field_t  domains_fields[] = {
    { "equivalentDomains", VAULT_ARRAY, offsetof(domains_form_t, own), 0,
      DOMAINS_GROUPS, &group_field },
    { "excludedGlobalEquivalentDomains", VAULT_ARRAY,
      offsetof(domains_form_t, excluded), 0, 256, &number_field },
    VAULT_FIELDS_END
};

static const vault_shape_t  domains_form =
    VAULT_SHAPE(domains_fields, domains_form_t);


/* ?excluded=false leaves out the globals that are switched off. */

static void
domains_get(vault_request_t *vr)
{
    ngx_str_t  excluded;

    excluded = vault_query_arg(vr, "excluded");

    domains_reply(vr, vault_me(vr),
                  excluded.len != 5
                  || ngx_strncasecmp(excluded.data, (u_char *) "false", 5)
                     != 0);
}


/* Both lists are replaced; one that is absent becomes empty. */

static void
domains_update(vault_request_t *vr)
{
    vault_user_t    user;
    domains_form_t  form;

    vault_json_read(vr, &domains_form, &form);

    if (form.own.len > DOMAINS_BYTES) {
        vault_fail(vr, NGX_HTTP_BAD_REQUEST,
                   "These are too many domains.");
    }

    user = *vault_me(vr);

    ngx_str_set(&user.equivalent_domains, "[]");
    ngx_str_set(&user.excluded_globals, "[]");

    if (form.own.data) {
        user.equivalent_domains = form.own;
    }

    if (form.excluded.data) {
        user.excluded_globals = form.excluded;
    }

    vault_user_set_domains(vr, &user);                /* awaits */

    domains_reply(vr, &user, 1);
}


static void
domains_reply(vault_request_t *vr, const vault_user_t *user, ngx_uint_t all)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_domains_write(w, NULL, user, all);
    vault_reply_writer(vr, w);
}
