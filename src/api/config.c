/*
 * Config: what clients ask a server about itself before anybody has signed in,
 * and the calls that only want to know whether it is there.
 */

#include "../run/route.h"


/*
 * The release of the official server whose contract this one keeps.  Clients
 * compare it: strictly MAJOR.MINOR.PATCH.
 */
#define CONFIG_VERSION  "2026.9.0"


static void  config_get(vault_request_t *vr);
static void  config_version(vault_request_t *vr);
static void  config_now(vault_request_t *vr);
static void  config_collect(vault_request_t *vr);


const vault_route_t  vault_config_routes[] = {
    { GET,  "/api/config",         config_get,     VAULT_ANYONE },
    { GET,  "/api/version",        config_version, VAULT_ANYONE },
    { GET,  "/api/now",            config_now,     VAULT_ANYONE },
    { GET,  "/api/alive",          config_now,     VAULT_ANYONE },
    { GET,  "/alive",              config_now,     VAULT_ANYONE },
    { GET,  "/now",                config_now,     VAULT_ANYONE },
    { POST, "/events/collect",     config_collect, VAULT_USER },
    { POST, "/api/events/collect", config_collect, VAULT_USER },
    VAULT_ROUTE_END
};


/*
 * Flags that say what this server can do.  A flag that is absent is false to
 * every client; those of features that need more than a flag stay absent.
 */
static const char *const  features[] = {
    "pm-19148-innovation-archive",
    "cipher-key-encryption",
    NULL
};

static const struct {
    const char  *name;
    const char  *path;
} places[] = {
    { "vault", "" },
    { "api", "/api" },
    { "identity", "/identity" },
    { "notifications", "/notifications" },
    { NULL, NULL }
};


static void  environment_write(vault_request_t *vr, vault_writer_t *w,
    const ngx_str_t *origin);
static void  features_write(vault_writer_t *w);
static void  settings_write(vault_request_t *vr, vault_writer_t *w);


static void
config_get(vault_request_t *vr)
{
    ngx_str_t        origin;
    vault_writer_t  *w;

    origin = vault_origin(vr);

    w = vault_writer(vr);
    vault_json_open(w, NULL, '{');

    vault_json_cstring(w, "version", CONFIG_VERSION);
    vault_json_cstring(w, "gitHash", "unknown");

    /* its presence makes clients say "third-party server" */

    vault_json_open(w, "server", '{');
    vault_json_cstring(w, "name", "ngx_http_vault_module");
    vault_json_string(w, "url", &origin);
    vault_json_close(w, '}');

    environment_write(vr, w, &origin);
    features_write(w);

    vault_json_open(w, "push", '{');
    vault_json_integer(w, "pushTechnology", 0);
    vault_json_null(w, "vapidPublicKey");
    vault_json_close(w, '}');

    vault_json_null(w, "communication");
    settings_write(vr, w);
    vault_json_cstring(w, "object", "config");

    vault_json_close(w, '}');

    vault_reply_writer(vr, w);
}


static void
environment_write(vault_request_t *vr, vault_writer_t *w,
    const ngx_str_t *origin)
{
    ngx_str_t   url;
    ngx_uint_t  i;

    vault_json_open(w, "environment", '{');
    vault_json_null(w, "cloudRegion");

    for (i = 0; places[i].name; i++) {
        url = vault_printf(vr, "%V%s", origin, places[i].path);
        vault_json_string(w, places[i].name, &url);
    }

    vault_json_cstring(w, "sso", "");
    vault_json_close(w, '}');
}


static void
features_write(vault_writer_t *w)
{
    ngx_uint_t  i;

    vault_json_open(w, "featureStates", '{');

    for (i = 0; features[i]; i++) {
        vault_json_boolean(w, features[i], 1);
    }

    vault_json_close(w, '}');
}


static void
settings_write(vault_request_t *vr, vault_writer_t *w)
{
    vault_json_open(w, "settings", '{');
    vault_json_boolean(w, "disableUserRegistration", !vr->conf->signups);
    vault_json_boolean(w, "suppressOnboardingInterstitials", 0);
    vault_json_close(w, '}');
}


static void
config_version(vault_request_t *vr)
{
    vault_writer_t  *w;

    w = vault_writer(vr);
    vault_json_cstring(w, NULL, CONFIG_VERSION);
    vault_reply_writer(vr, w);
}


static void
config_now(vault_request_t *vr)
{
    u_char           date[VAULT_DATE_LEN];
    ngx_str_t        text;
    vault_writer_t  *w;

    text.data = date;
    text.len = vault_date_format(date, vault_now()) - date;

    w = vault_writer(vr);
    vault_json_string(w, NULL, &text);
    vault_reply_writer(vr, w);
}


/* Events are an organization's; whoever is in none has nothing to log. */

static void
config_collect(vault_request_t *vr)
{
    vault_reply_empty(vr, NGX_HTTP_OK);
}
